# SPDX-License-Identifier: MIT
"""Programs whose speed is compared with and without a profiler: bare before and after, so that a drift of the machine cancels."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from typing import Any

from sampler.work import work


def timed(function: Callable[[], object]) -> dict[str, int]:
    """ns: by the wall, and of the whole process's CPU."""
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    function()
    return {"wall": time.perf_counter_ns() - wall, "cpu": time.process_time_ns() - cpu}


def paired(window: Any, pairs: int, function: Callable[[], object], settle: Callable[[], object]) -> list[dict[str, dict[str, int]]]:
    """Bare, profiled, bare, some times over."""
    found = []
    for _ in range(pairs):
        before = timed(function)
        window.open()
        opened = time.perf_counter_ns()
        settle()  # the profiler knows the thread and its first stack
        profiled = timed(function)
        profiled["window"] = time.perf_counter_ns() - opened
        window.close()
        settle()
        found.append({"before": before, "profiled": profiled, "after": timed(function)})
    return found


def busy(window: Any, pairs: int, seconds: float) -> dict[str, Any]:
    """One busy thread; seconds: of each piece of work, about."""
    each = min(timed(lambda: work(400))["wall"] for _ in range(5)) / 400
    rounds = max(40, int(seconds * 1e9 / each))
    return {"pairs": paired(window, pairs, lambda: work(rounds), lambda: work(rounds // 20))}


def workload(window: Any, name: str, scale: int, pairs: int) -> dict[str, Any]:
    """A program of benchmarks/workloads."""
    run = importlib.import_module(f"workloads.{name}").run
    run(1)
    return {"pairs": paired(window, pairs, lambda: run(scale), lambda: None)}


def many_threads(window: Any, seconds: float, workers: int, sleeping: int) -> dict[str, Any]:
    """Pieces of work that some busy threads do in a time, while the others sleep; a higher count is a faster program."""
    done = threading.Event()
    pieces = [0] * workers

    def burn(number: int) -> None:
        while not done.is_set():
            work(20)
            pieces[number] += 1

    def in_a_time() -> dict[str, int]:
        first = sum(pieces)
        found = timed(lambda: time.sleep(seconds))
        return {**found, "pieces": sum(pieces) - first}

    threads = [threading.Thread(target=burn, args=(number,), daemon=True) for number in range(workers)]
    threads += [threading.Thread(target=done.wait, daemon=True) for _ in range(sleeping)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    before = in_a_time()
    window.open()
    profiled = in_a_time()
    profiled["window"] = profiled["wall"]
    window.close()
    after = in_a_time()
    done.set()
    for thread in threads:
        thread.join()
    return {"pairs": [{"before": before, "profiled": profiled, "after": after}]}
