# SPDX-License-Identifier: MIT
"""deep="auto": everything is traced that fits in the budget, the rest is sampled, and the profile says what and why."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import hybridprof
from hybridprof import _core

SPARES = "monitoring" in _core.HOOKS
needs_monitoring = pytest.mark.skipif(not SPARES, reason="3.11 cannot spare single functions: see test_it_needs_monitoring")


def hot(number: int) -> int:
    return number + 1


def middling(count: int) -> int:
    total = 0
    for number in range(count):
        total += hot(number)
    return total


def seldom() -> None:
    middling(2000)


def main(seconds: float) -> int:
    rounds = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seldom()
        rounds += 1
    return rounds


def escalated(function: Any, *arguments: Any, **options: Any) -> tuple[hybridprof.Profile, Any]:
    with hybridprof.Profiler(**{"rate": 1000, "deep": ["auto"], **options}) as profiler:
        result = function(*arguments)
    assert profiler.profile is not None
    return profiler.profile, result


def rows(profile: hybridprof.Profile) -> dict[str, hybridprof.Function]:
    return {row.name: row for row in profile.functions}


@needs_monitoring
def test_what_is_called_seldom_is_exact_and_what_is_hot_is_sampled() -> None:
    profile, rounds = escalated(main, 1.5)
    found = rows(profile)
    assert (found["main"].calls, found["main"].measured) == (1, "exact")
    assert (found["seldom"].calls, found["seldom"].measured) == (rounds, "exact")
    assert (found["middling"].calls, found["middling"].measured) == (rounds, "exact")
    assert found["hot"].measured == "mixed" and found["hot"].samples > 50
    assert found["hot"].calls < 2000 * rounds
    warnings = profile.meta["warnings"]
    assert any(sentence.startswith("left to the sampler for what their calls cost: hot (") for sentence in warnings), warnings
    (name,) = (name for name in profile.spared if name.rpartition(".")[2] == "hot")
    assert profile.spared[name] > 0 and not any(each in profile.spared for each in (f"{__name__}.seldom", f"{__name__}.main"))
    # The whole is known exactly, however it is divided.
    assert found["main"].total_ns == pytest.approx(1.5e9, rel=0.1)
    for thread in profile.threads:
        assert abs(thread.residual_ns) <= 0.02 * thread.measured_ns + 5e6


def important(number: int) -> int:
    total = 0
    for value in range(200):
        total += value ^ number
    return total


def trivials() -> list[Callable[[int], int]]:
    names: dict[str, Any] = {}
    exec("".join(f"def trivial_{i}(number):\n    return number + {i}\n" for i in range(9)), names)
    return [names[f"trivial_{i}"] for i in range(9)]


@needs_monitoring
def test_what_tells_least_for_its_cost_is_left_to_the_sampler_first() -> None:
    """The one function that has nearly all of the time has the most events too, and went first. How much a budget is depends on the machine's load:
    it is halved until something goes."""
    others = trivials()

    def run(seconds: float) -> int:
        rounds, end = 0, time.thread_time() + seconds
        while time.thread_time() < end:
            for number in range(100):
                for _ in range(11):
                    important(number)
                for trivial in others:
                    for _ in range(10):
                        trivial(number)
            rounds += 100
        return rounds

    budget, gone = 20.0, []
    while not gone and budget > 0.1:
        profile, rounds = escalated(run, 0.6, budget=budget)
        found = rows(profile)
        gone = [name for name in found if name.startswith("trivial_") and found[name].calls != 10 * rounds]
        assert gone or found["important"].calls == 11 * rounds
        budget /= 2
    assert gone
    assert (found["important"].calls, found["important"].measured) == (11 * rounds, "exact") or len(gone) == len(others)


@needs_monitoring
def test_frames_that_were_there_before() -> None:
    """The outermost ones are in no call that was seen, but what they call is, and their time is theirs."""

    def outer() -> hybridprof.Profile:
        with hybridprof.Profiler(rate=1000, deep="auto") as profiler:
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                pass
            seldom()
            time.sleep(0)
        assert profiler.profile is not None
        return profiler.profile

    found = {row.name.rpartition(".")[2]: row for row in outer().functions}
    assert found["seldom"].calls == 1
    assert found["outer"].calls in (None, 0)
    assert found["outer"].self_ns > 0.25e9


@needs_monitoring
def test_counts_are_the_oracles_where_nothing_was_spared() -> None:
    def tree(depth: int) -> int:
        return 1 if depth == 0 else tree(depth - 1) + tree(depth - 1)

    def generators(count: int) -> int:
        return sum(value for value in (number * 2 for number in range(count)))

    profile, _ = escalated(lambda: (tree(9), generators(300)), budget=100.0)
    found = {row.name.rpartition(".")[2]: row for row in profile.functions}
    assert (found["tree"].calls, found["tree"].primitive_calls) == (1023, 1)
    assert found["generators"].calls == 1
    assert [row.measured for row in (found["tree"], found["generators"])] == ["exact", "exact"]


@needs_monitoring
def test_threads_that_begin_later_and_exceptions() -> None:
    def fails(number: int) -> None:
        if number % 2:
            raise ValueError(number)

    def body() -> None:
        for number in range(100):
            try:
                fails(number)
            except ValueError:
                pass

    def run() -> None:
        threads = [threading.Thread(target=body, name=f"worker {number}") for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    profile, _ = escalated(run, budget=100.0)
    found = {row.name.rpartition(".")[2]: row for row in profile.functions}
    assert (found["body"].calls, found["fails"].calls) == (4, 400)
    assert sum(thread.name.startswith("worker") for thread in profile.threads) == 4


@needs_monitoring
def test_an_outermost_function_that_cannot_be_spared_pauses_it_all() -> None:
    """Entered from C all the time, each time as the first Python function of the stack: there is nothing above to give the time to."""
    source = """
import ctypes, json, sys, threading, time
import hybridprof
from hybridprof import _core
def called(_):
    return 0
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(called)
seconds, calls = 2.0, 0
library = ctypes.CDLL(None)
thread = ctypes.c_ulong()
with hybridprof.Profiler(rate=500, deep="auto", budget=0.05) as profiler:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        library.pthread_create(ctypes.byref(thread), None, ctypes.cast(callback, ctypes.c_void_p), None)
        library.pthread_join(thread, None)
        calls += 1
profile = profiler.profile
print(json.dumps({"calls": calls, "warnings": profile.meta["warnings"], "rows": {row.name: row.calls for row in profile.functions},
    "overhead": profile.meta["tracing"]["overhead_ns"]}))
"""
    import json
    import subprocess

    from conftest import clean_environment

    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, env=clean_environment())
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"].get("called", 0) <= found["calls"]


@needs_monitoring
def test_the_budget_holds_and_the_choice_is_made_anew() -> None:
    def phases() -> None:
        main(0.7)
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            time.sleep(0.01)
            middling(1)
        before = _core.status()["tracing"]["calls"]
        middling(50)
        after = _core.status()["tracing"]["calls"]
        assert after - before >= 51  # hot has its events again

    profile, _ = escalated(phases)
    assert profile.meta["tracing"]["overhead_ns"] <= 0.02 * 4.2e9 * 2


@needs_monitoring
def test_everything_within_a_budget_is_the_same() -> None:
    profile, rounds = escalated(main, 0.6, deep=["*"], budget=2.0)
    found = rows(profile)
    assert (found["seldom"].calls, found["seldom"].measured) == (rounds, "exact")
    assert found["hot"].measured == "mixed"


def test_it_needs_monitoring() -> None:
    if SPARES:
        with pytest.raises(ValueError, match="need hook='monitoring'"):
            hybridprof.Profiler(deep="auto", hook="setprofile")
    else:
        with pytest.raises(ValueError, match=r"need Python 3\.12 or later"):
            hybridprof.Profiler(deep="auto")
        with pytest.raises(ValueError, match=r"need Python 3\.12 or later"):
            hybridprof.Profiler(deep="*", budget=1.0)


def test_the_command_line(run_cli: Any, sample_program: Any, tmp_path: Any) -> None:
    if not SPARES:
        done = run_cli("run", "--deep", "auto", "-o", "x.hyprof", sample_program, status=2)
        assert "need Python 3.12 or later" in done.stderr and not (tmp_path / "x.hyprof").exists()
        return
    run_cli("run", "--deep", "auto", "-o", "x.hyprof", sample_program)
    found = rows(hybridprof.load(tmp_path / "x.hyprof"))
    assert (found["main"].calls, found["recursive"].calls, found["recursive"].primitive_calls) == (1, 28, 7)
    assert found["counted"].calls == 7 and found["busy"].calls == 1
