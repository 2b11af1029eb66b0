# SPDX-License-Identifier: MIT
"""What the service costs and does, row by row: by the kernel, and by hybridprof's own ledger. The two are written side by side, never mixed."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from .load import Load, Request
from .service import SoakService, Usage, is_sampler, usage

Row = dict[str, Any]
TEN = 9.5  # seconds: a ledger that covers as many speaks of ten


class Recorder:
    """A thread that looks at the service each `interval` seconds. phase: the name of what is going on, for the rows."""

    def __init__(self, service: SoakService, load: Load, interval: float) -> None:
        self._service, self._load, self._interval = service, load, interval
        self.phase = ""
        self.rows: list[Row] = []
        self.failures: list[Request] = []
        self.workers: set[int] = set()
        self.problem = ""
        self.began = time.monotonic()
        self._last = self.began
        self._before: dict[int, Usage] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Recorder:
        self.workers |= self._service.pids()
        self._before = self._usages()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ends.wait(max(0.0, self._last + self._interval - time.monotonic())):
                self.rows.append(self._row(self.phase))
        except Exception as error:  # said at the end: a recorder that has died must not look like a service that is well
            self.problem = f"{type(error).__name__}: {error}"

    def _usages(self) -> dict[int, Usage]:
        found = {pid: usage(pid) for pid in self._service.pids()}
        return {pid: each for pid, each in found.items() if each is not None}

    def _row(self, phase: str) -> Row:
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        before, self._before = self._before, self._usages()
        self.workers |= self._before.keys()
        says = {pid: self._service.status(pid) for pid in sorted(self._before)}
        known = {pid: status for pid, status in says.items() if status is not None}
        files, stored = self._service.stored()
        return {
            "at": round(now - self.began, 2),
            "seconds": seconds,
            "phase": phase,
            "stage": "/".join(sorted({status["stage"] for status in known.values()})),
            "runs": sum(status["running"] for status in known.values()),
            **self._requests(seconds),
            **_kernel(before, self._before, seconds),
            **_ledger(list(known.values())),
            "files": files,
            "file_bytes": stored,
            "config_errors": sum(bool(status["config_errors"]) for status in known.values()),
            "problems": sorted({status["problem"] for status in known.values() if status["problem"]}),
        }

    def _requests(self, seconds: float) -> Row:
        done = self._load.taken()
        failed = [each for each in done if each.failed]
        self.failures += failed
        took = sorted(each.seconds for each in done if not each.failed)
        return {
            "requests": len(took),
            "failed": len(failed),
            "left_out": self._load.left_out,
            "requests_per_s": len(took) / seconds,
            "p50_ms": 1e3 * statistics.median(took) if took else None,
            "p99_ms": 1e3 * took[min(len(took) - 1, int(0.99 * len(took)))] if took else None,
        }


def _kernel(before: dict[int, Usage], now: dict[int, Usage], seconds: float) -> Row:
    """Of all workers together. A thread that was not there before has begun since; what one that has ended took in its last seconds is lost, and a worker's that has ended, too."""
    cpu = sampler = others = 0.0
    for pid, usage_ in now.items():
        old = before.get(pid)
        cpu += usage_.cpu - (old.cpu if old else 0.0)
        for thread, (name, spent) in usage_.threads.items():
            grown = spent - (old.threads[thread][1] if old and thread in old.threads else 0.0)
            sampler, others = (sampler + grown, others) if is_sampler(name) else (sampler, others + grown)
    return {
        "cpu_s": cpu,
        "cores": cpu / seconds,
        "kernel_sampler_s": sampler,
        "kernel_others_s": others,
        "rss_bytes": sum(each.rss for each in now.values()),
    }


def _ledger(statuses: list[dict[str, Any]]) -> Row:
    """By what the workers' ledgers say of their last ten seconds; None where none of them has any to tell of."""
    costs = [status["costs"] for status in statuses if status["costs"]]
    ten = [each for each in costs if each["seconds"] >= TEN]
    cpu = sum(each["process_cpu_s"] for each in costs)

    def share(name: str) -> float | None:
        return sum(each[name + "_share"] * each["process_cpu_s"] for each in costs) / cpu if cpu > 0 else None

    def worst(name: str) -> float | None:
        return max((each[name + "_of_budget"] for each in ten), default=None)

    return {
        **{f"ledger_{name}_share": share(name) for name in ("sampler", "tracer", "writer", "ruler")},
        **{f"{name}_of_budget": worst(name) for name in ("sampler", "tracer")},
        "events": sum(each["events"] for each in costs),
        "own_bytes": sum(each["own_bytes"] for each in costs),
        "step": max((status["ladder"]["step"] for status in statuses), default=0),
        "ladder": sorted({word for status in statuses for word in status["ladder"]["says"]}),
        "crashes": sorted({status["crashes"].get("standing", "") for status in statuses} - {"", "clear"}),
    }


def until(condition: Callable[[], bool], patience: float) -> float | None:
    """Seconds that it took; None: it never came."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            return None
        time.sleep(0.05)
    return time.monotonic() - began
