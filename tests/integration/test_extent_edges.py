# SPDX-License-Identifier: MIT
"""What is sampled while the hook is on its way into or out of a target is the hook's time: the target stays exact."""

import sys
import threading
import time
from collections.abc import Callable

import pytest

import hybridprof
from hybridprof import _core

CALLS_A_ROUND = 2000


def small(number: int) -> int:
    total = 0
    for value in range(20):
        total += value * number
    return total


def rounds(seconds: float, function: Callable[[int], int] = small) -> int:
    calls = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number in range(CALLS_A_ROUND):
            function(number)
        calls += CALLS_A_ROUND
    return calls


def row_of(profile: hybridprof.Profile, name: str) -> hybridprof.Function:
    (row,) = [row for row in profile.functions if row.name == name]
    return row


def traced_from_its_first_call() -> tuple[hybridprof.Profile, int]:
    """And how often it was called."""
    marked = hybridprof.deep(small)
    try:
        with hybridprof.Profiler(rate=5000) as profiler:
            calls = rounds(0.6, marked)
    finally:
        _core.remove_target(small.__code__)
    assert profiler.profile is not None
    return profiler.profile, calls


def test_a_target_traced_from_its_first_call_is_exact() -> None:
    profile, calls = traced_from_its_first_call()
    row = row_of(profile, "small")
    assert (row.measured, row.calls, row.self_error_ns) == ("exact", calls, 0)


@pytest.mark.timing
def test_its_time_and_what_is_sampled_are_the_threads() -> None:
    threads = traced_from_its_first_call()[0].threads
    assert sum(abs(thread.residual_ns) for thread in threads) <= 0.02 * sum(thread.measured_ns for thread in threads)


def test_calls_that_go_round_a_wrapper_are_sampled() -> None:
    marked = hybridprof.deep(small)
    try:
        with hybridprof.Profiler(rate=2000) as profiler:
            calls = rounds(0.3, marked)
            around = rounds(0.3)
    finally:
        _core.remove_target(small.__code__)
    profile = profiler.profile
    assert profile is not None
    row = row_of(profile, "small")
    if marked is small:  # nothing goes round: the code itself is marked
        assert (row.measured, row.calls, row.samples) == ("exact", calls + around, 0)
    else:
        assert (row.measured, row.calls) == ("mixed", calls)
        assert row.samples > 100


def test_a_target_sampled_before_it_was_marked_is_mixed() -> None:
    with hybridprof.Profiler(rate=5000) as profiler:
        rounds(0.2)
        _core.add_target(small.__code__, 1.0)
        try:
            calls = rounds(0.2)
        finally:
            _core.remove_target(small.__code__)
    profile = profiler.profile
    assert profile is not None
    row = row_of(profile, "small")
    assert row.samples > 0
    if sys.version_info >= (3, 12):
        assert (row.measured, row.calls) == ("mixed", calls)


def test_threads_that_came_and_went_are_measured_by_their_own_life() -> None:
    def busy() -> None:
        rounds(0.3)

    with hybridprof.Profiler(rate=1000) as profiler:
        began = time.monotonic()
        for _ in range(2):
            worker = threading.Thread(target=busy)
            worker.start()
            worker.join()
        lasted = (time.monotonic() - began) * 1e9
    profile = profiler.profile
    assert profile is not None
    workers = [thread for thread in profile.threads if thread.name != "MainThread"]
    assert len(workers) == 2
    for worker_row in workers:
        assert 0.2e9 <= worker_row.measured_ns <= lasted
        assert abs(worker_row.residual_ns) <= 0.05 * worker_row.measured_ns


def test_a_target_removed_beneath_a_thread_that_stands_still_gives_its_time_to_samples() -> None:
    gate = threading.Lock()
    gate.acquire()

    def waits() -> None:
        gate.acquire()

    _core.add_target(waits.__code__, 1.0)
    with hybridprof.Profiler(rate=500) as profiler:
        thread = threading.Thread(target=hybridprof.deep(waits) if _core.needs_wrapper(waits.__code__) else waits, name="waiter")
        thread.start()
        rounds(0.2)
        _core.remove_target(waits.__code__)
        rounds(0.6)
    gate.release()
    thread.join()
    profile = profiler.profile
    assert profile is not None
    (waiter,) = [thread for thread in profile.threads if thread.name == "waiter"]
    assert waiter.sampled_ns >= 0.5e9
    assert abs(waiter.residual_ns) <= 0.05 * waiter.measured_ns
