# SPDX-License-Identifier: MIT
"""Time goes to what the thread did, on either clock: threads that burn CPU in bursts between sleeps."""

from __future__ import annotations

import errno
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


NO_CLOCKS = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from stress import seccomp
from hybridprof import _core
def work(enough):
    end = time.monotonic() + 60
    while time.monotonic() < end and not enough(_core.status()["samples"]):
        sum(range(1000))
def say(**more):
    meta = _core.snapshot().meta()
    print(json.dumps({**meta["samples"], "cpu_ns": meta["sampler_cpu_ns"], "warnings": meta["warnings"], **more}))
"""
REFUSED_BEFORE = """
seccomp.refuse(["clock_gettime"], int(sys.argv[2]))
try:
    _core.start(rate=1000, clock="cpu")
    said = ""
except RuntimeError as error:
    said = str(error)
running = _core.running()
_core.start(rate=2000)
work(lambda samples: samples["kept"] > 1000)
costs = _core.costs()
_core.stop()
say(said=said, running=running, costs=costs["sampler_cpu_ns"])
"""
REFUSED_LATER = """
_core.start(rate=1000, clock="cpu")
work(lambda samples: samples["kept"] > 50)
seccomp.refuse(["clock_gettime"], int(sys.argv[2]))
then = _core.status()["samples"]
work(lambda samples: samples["ticks"] > then["ticks"] + 300)
_core.stop()
say(then=then["kept"])
"""


def without_clocks(run_python: Callable[..., Any], program: str) -> dict[str, Any]:
    done = run_python(NO_CLOCKS + program, str(Path(__file__).parents[1]), str(errno.EPERM))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_system_that_refuses_the_clocks_of_threads(run_python: Callable[..., Any]) -> None:
    """No CPU clock then, and a sentence; by the wall clock all is as ever, but what the sampler costs is not known."""
    found = without_clocks(run_python, REFUSED_BEFORE)
    assert "clock_gettime: Operation not permitted" in found["said"] and "use the clock 'wall'" in found["said"]
    assert not found["running"]
    assert found["kept"] > 1000 and found["cpu_ns"] == 0 and found["costs"] == 0
    assert not [warning for warning in found["warnings"] if "clocks of threads" in warning]


def test_a_system_that_begins_to_refuse_the_clocks_of_threads(run_python: Callable[..., Any]) -> None:
    found = without_clocks(run_python, REFUSED_LATER)
    assert len([warning for warning in found["warnings"] if "refuse the clocks of threads" in warning]) == 1, found
    assert found["kept"] <= found["then"] + 10  # one more tick may have been under way
    assert found["cpu_ns"] < 60_000_000_000
