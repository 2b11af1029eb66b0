# SPDX-License-Identifier: MIT
"""gunicorn: `from hybridprof.integrations.gunicorn import pre_fork, post_fork, worker_exit` in its configuration file.

Each worker profiles itself, as the configuration that HYBRIDPROF_CONFIG names says. Its slot is the lowest number that no other worker has, and so
the same after a restart, unlike its pid: shares of processes stay with their members, and files tell workers apart.
"""

from __future__ import annotations

import os
from typing import Any

from . import workers


def pre_fork(server: Any, worker: Any) -> None:
    """In gunicorn's main process, before each worker: chooses the slot."""
    taken = {getattr(each, "hybridprof_slot", None) for each in server.WORKERS.values()}
    worker.hybridprof_slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """In each new worker: starts what the configuration says, or the sampler where there is none. What cannot start is said in gunicorn's log; the worker
    goes on."""
    try:
        workers.begin(str(getattr(worker, "hybridprof_slot", 0)))
    except Exception as error:
        server.log.warning("hybridprof does not run in this worker: %s", error)


def worker_exit(server: Any, worker: Any) -> None:
    """In a worker that ends: its last file is written, and offered to the uploader, in a bounded time."""
    if worker.pid == os.getpid():  # gunicorn's main process calls it too, for a worker that it finds gone
        workers.end()
