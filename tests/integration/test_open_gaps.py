# SPDX-License-Identifier: MIT
"""The time since a thread's last sample, when numbers are asked for: nothing is lost, nothing counts twice, whatever the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import accounting
import pytest
from oracle.targets import no_session_left

import hybridprof
from hybridprof import _core
from hybridprof.profile import Node, Thread

__all__ = ["no_session_left"]

CLOCKS = pytest.mark.parametrize("clock", ["wall", "cpu"])
NOW = {"wall": time.monotonic, "cpu": time.thread_time}
SLOW = 4  # Hz: nearly all that is asked for lies within gaps


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def thread_time_of(thread: threading.Thread) -> float:
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def main_of(profile: hybridprof.Profile) -> Thread:
    (main,) = [thread for thread in profile.threads if thread.name == "MainThread"]
    return main


def spin_until_sampled(profile: Callable[[], hybridprof.Profile] = hybridprof.snapshot) -> None:
    while not main_of(profile()).samples:
        spin(0.02)


def sampled_by_path(node: Node) -> Iterator[tuple[tuple[object, ...], int]]:
    for each in accounting.below(node):
        path, at = [], each
        while at.parent is not None:
            assert at.function is not None
            path.append((at.function.name, at.function.line))
            at = at.parent
        yield tuple(path), each.self_ns


@CLOCKS
def test_what_passed_since_the_last_sample_is_counted(clock: str) -> None:
    _core.start(rate=SLOW, clock=clock)  # type: ignore[arg-type]
    began = NOW[clock]()
    spin_until_sampled()
    spin(0.2)
    took = NOW[clock]() - began
    _core.stop()
    main = main_of(hybridprof.snapshot())
    assert main.measured_ns >= 0.99e9 * took
    assert 0 <= main.residual_ns <= 0.01 * main.measured_ns


def test_bursts_that_no_sample_met_are_counted() -> None:
    """By the CPU clock a sample goes only to who is on a CPU, which between bursts nobody is."""
    _core.start(rate=200, clock="cpu")
    spin_until_sampled()
    for _ in range(40):
        spin(0.001)
        time.sleep(0.01)
    _core.stop()
    main = main_of(hybridprof.snapshot())
    assert 0 <= main.residual_ns <= 0.01 * main.measured_ns


def test_bursts_of_a_thread_that_was_never_met_on_a_cpu_are_counted() -> None:
    """Where it stood between them is all that is known, so the error is as large as the time."""
    stop = threading.Event()

    def body() -> None:
        while not stop.wait(0.01):
            spin(0.00002)

    thread = threading.Thread(target=body, name="bursts")
    _core.start(rate=50, clock="cpu")
    thread.start()
    while thread_time_of(thread) < 0.005:
        time.sleep(0.02)
    hybridprof.snapshot()  # before 3.12 this alone tells the thread's name
    stop.set()
    thread.join()
    _core.stop()
    profile = hybridprof.snapshot()
    (bursts,) = [each for each in profile.threads if each.name == "bursts"]
    assert bursts.measured_ns > 0 and bursts.residual_ns == 0
    assert bursts.root is not None
    held = [node for node in accounting.below(bursts.root) if node.self_ns and node.function]
    assert held and all(node.function.self_error_ns > 0 for node in held if node.function)


@CLOCKS
def test_numbers_that_were_told_neither_shrink_nor_count_twice(clock: str) -> None:
    _core.start(rate=SLOW, clock=clock)  # type: ignore[arg-type]
    told: dict[tuple[object, ...], int] = {}
    for _ in range(60):
        spin(0.005)
        profile = hybridprof.snapshot()
        assert accounting.broken(profile) == []
        now = dict(sampled_by_path(profile.tree))
        assert not {path: (ns, now.get(path, 0)) for path, ns in told.items() if now.get(path, 0) < ns}
        told = now
    spin_until_sampled()
    _core.stop()
    main = main_of(hybridprof.snapshot())
    assert 0 <= main.residual_ns <= 0.01 * main.measured_ns


@CLOCKS
def test_windows_have_each_gap_once(clock: str) -> None:
    _core.start(rate=SLOW, clock=clock)  # type: ignore[arg-type]
    threads = []
    for _ in range(20):
        spin(0.01)
        threads.append(main_of(hybridprof.Profile(_core.window())))
    spin_until_sampled()
    _core.stop()
    threads.append(main_of(hybridprof.Profile(_core.window())))
    main = main_of(hybridprof.snapshot())
    for thread in threads:
        assert thread.residual_ns >= 0
    assert sum(thread.samples for thread in threads) == main.samples
    assert sum(thread.measured_ns for thread in threads) == main.measured_ns
    assert sum(thread.sampled_ns for thread in threads) == main.sampled_ns


@CLOCKS
def test_a_thread_that_ended_keeps_its_last_gap(clock: str) -> None:
    """A gap that is open as a thread ends is known up to the last look at it."""
    going, ended = threading.Event(), threading.Event()

    def body() -> None:
        while not ended.is_set():
            spin(0.001)
            going.set()

    _core.start(rate=100, clock=clock)  # type: ignore[arg-type]
    thread = threading.Thread(target=body, name="short")
    thread.start()
    while not [each for each in hybridprof.snapshot().threads if each.name == "short" and each.samples > 3]:
        going.wait()
        time.sleep(0.02)
    ended.set()
    thread.join()
    spin(0.05)
    _core.stop()
    (short,) = [each for each in hybridprof.snapshot().threads if each.name == "short"]
    assert 0 <= short.residual_ns <= 0.01 * short.measured_ns


@CLOCKS
def test_the_error_says_how_much_was_open(clock: str) -> None:
    """No sample tells whether what ran at the last one ran until the end."""
    _core.start(rate=SLOW, clock=clock)  # type: ignore[arg-type]
    spin_until_sampled()
    before = main_of(hybridprof.snapshot())
    while main_of(hybridprof.snapshot()).samples > before.samples:
        before = main_of(hybridprof.snapshot())
    spin(0.2)
    _core.stop()
    profile = hybridprof.snapshot()
    after = main_of(profile)
    if after.samples == before.samples:  # nearly always: else the gap was closed by a sample
        # Of what ran at a sample: mostly spin; it may have been whoever asked.
        error = max(row.total_error_ns for row in profile.functions if row.self_ns)
        assert error > 1.9 * 200e6 or error >= after.sampled_ns - 1


@CLOCKS
@pytest.mark.timing
def test_the_residual_of_a_second_at_100_hz(clock: str) -> None:
    """Of a program that mostly sleeps, and of one beside it that does not."""

    def target() -> None:
        spin(0.001)

    marked = hybridprof.deep(target)

    def sleepy() -> None:
        for _ in range(60):
            marked()
            spin(0.004)
            time.sleep(0.002)

    def busy() -> None:
        for _ in range(200):
            marked()
            spin(0.004)

    with hybridprof.Profiler(rate=100, clock=clock) as profiler:  # type: ignore[arg-type]
        threads = [threading.Thread(target=body, name=body.__name__) for body in (sleepy, busy)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    profile = profiler.profile
    assert profile is not None and accounting.broken(profile) == []
    for each in profile.threads:
        if each.name in ("sleepy", "busy"):
            assert 0 <= each.residual_ns <= 0.01 * each.measured_ns, each
