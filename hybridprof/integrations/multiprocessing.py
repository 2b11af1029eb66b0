# SPDX-License-Identifier: MIT
"""multiprocessing: `install()` where the program's main module is imported. Each worker process then profiles itself from its first moment on and writes
its last file, which without this it does not: such a process ends without its exit handlers.

Where workers are spawned and not forked the main module must say it outside of `if __name__ == "__main__"`, for that is all that they import.
A worker that is ended by a signal, as Pool.terminate() does, leaves the files that it has written until then.
"""

from __future__ import annotations

import sys

import hybridprof

from . import workers

_installed = False


def install() -> None:
    """Again: nothing happens."""
    global _installed
    if _installed or hybridprof.DISABLED:
        return
    from multiprocessing import util

    _installed = True
    util.register_after_fork(_Worker, lambda _: _begin())
    if "--multiprocessing-fork" in sys.orig_argv:  # this process was spawned, and is a worker already
        _begin()


class _Worker:
    """What the hook is registered for: it must live as long as the process."""


def _begin() -> None:
    from multiprocessing import util

    try:
        workers.begin()
    except Exception:  # the worker's work must not fail because of it
        return
    util.Finalize(None, workers.end, exitpriority=-100)  # after those of the program
