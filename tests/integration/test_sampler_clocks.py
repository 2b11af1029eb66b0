# SPDX-License-Identifier: MIT
"""Time goes to what the thread did, on either clock: threads that burn CPU in bursts between sleeps."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from hybridprof import _core

RATE = 1000
NAPS = 0.004, 0.012  # seconds


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    _core.stop()
    yield
    _core.stop()


def burst(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def nap(seconds: float) -> None:
    time.sleep(seconds)


def in_bursts(seed: int, bursts: int, truth: Counter[str]) -> None:
    """Bursts of 1 to 30 ms."""
    chance = random.Random(seed)
    for _ in range(bursts):
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        burst(chance.uniform(0.001, 0.030))
        truth["burst cpu"] += time.thread_time_ns() - cpu
        truth["burst wall"] += time.perf_counter_ns() - wall
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        nap(chance.uniform(*NAPS))
        truth["nap cpu"] += time.thread_time_ns() - cpu
        truth["nap wall"] += time.perf_counter_ns() - wall


@pytest.mark.timing
@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_bursts_have_their_time_and_sleeps_theirs(clock: str, threads: int) -> None:
    truths: list[Counter[str]] = [Counter() for _ in range(threads)]
    workers = [threading.Thread(target=in_bursts, args=(seed, 60 // threads, truth)) for seed, truth in enumerate(truths)]
    _core.start(rate=RATE, clock=clock)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    _core.stop()
    samples = _core.status()["samples"]
    missed = samples["missed"] / (samples["missed"] + samples["kept"] / (threads + 1))
    rows = {row[0]: row for row in _core.snapshot().functions()}
    truth = sum(truths, Counter())
    for name in ("burst", "nap"):
        true, found = truth[f"{name} {clock}"], rows[name][8] if name in rows else 0
        # Gaps are exponential: an interval ends after the burst did with as much as a mean gap, and twice the variance of a count's. Of a
        # tick that is missed the time goes to the next.
        count = true / 1e9 * RATE
        edges = 60 * 1e9 / RATE if clock == "cpu" and name == "burst" else 0
        assert abs(found - true) < true * (5 * (2 / (count + 1)) ** 0.5 + missed) + edges * 0.25 + 10e6, (name, true, found, samples)
    if clock == "cpu":
        assert (rows["nap"][8] if "nap" in rows else 0) < 0.02 * truth["burst cpu"] + 2e6
