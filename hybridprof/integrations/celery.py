# SPDX-License-Identifier: MIT
"""Celery: `profile()` where the app is made, and `Celery(..., task_cls="hybridprof.integrations.celery:Task")` for traced tasks.

Each process of a prefork worker profiles itself, and writes its last file when Celery ends it. Its slot is its number in the pool, the same in the process that takes its place. Of the tasks the share `rollout.requests` is traced, by
the trace id in their headers (`traceparent`), else by their root task's id, beneath the task's name.
"""

from __future__ import annotations

from typing import Any

from billiard.process import current_process
from celery import Task as _Task
from celery.signals import worker_process_init, worker_process_shutdown

from . import workers
from .requests import Requests, traced

requests = Requests()


class Task(_Task):  # type: ignore[misc]
    """A task that may be traced; all else is Celery's."""

    abstract = True

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if not requests.picks(_trace(self.request)):
            return super().__call__(*arguments, **options)
        call = super().__call__
        return traced(requests.label(None, self.name), lambda: call(*arguments, **options))


def _trace(request: Any) -> str | None:
    headers = getattr(request, "headers", None) or {}
    return headers.get("traceparent") or _from_id(getattr(request, "root_id", None))


def _from_id(identity: object) -> str | None:
    """A task's id is a UUID, 32 hex digits as a trace id has them; as such a header."""
    digits = identity.replace("-", "").lower() if isinstance(identity, str) else ""
    return f"00-{digits}-{'0' * 15}1-01" if len(digits) == 32 else None


def profile() -> None:
    """Connects to the signals of Celery's worker processes. Again: nothing happens."""
    worker_process_init.connect(_begin, dispatch_uid="hybridprof")
    worker_process_shutdown.connect(_end, dispatch_uid="hybridprof")


def _begin(**_: Any) -> None:
    index = getattr(current_process(), "index", None)  # in the pool: a process that takes another's place has its number
    workers.begin(None if index is None else str(index))


def _end(**_: Any) -> None:
    workers.end()
