# SPDX-License-Identifier: MIT
"""Threads that live for less than an interval between two samples have their time all the same: most are never met, and those that are stand for them."""

import ctypes
import sys
import threading
import time

import pytest

from hybridprof import _core

LIFE = 0.004  # seconds: at 100 Hz one in three is met
SECONDS = 4.0


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(50))


def lives_in_thread() -> None:
    burn(LIFE)


def many_threads() -> float:
    """Threads one after another; returns what they burned in all, seconds."""
    count = int(SECONDS / LIFE / 2)
    for _ in range(count):
        thread = threading.Thread(target=lives_in_thread)
        thread.start()
        thread.join()
    return count * LIFE


def called_back(_argument: object) -> None:
    burn(LIFE)


def many_states() -> float:
    """One native thread that comes to Python again and again, each time with a new thread state; returns as above."""
    callback = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(called_back)
    library = ctypes.CDLL(None)
    count = int(SECONDS / LIFE / 2)
    thread = ctypes.c_ulong()
    for _ in range(count):
        assert library.pthread_create(ctypes.byref(thread), None, callback, None) == 0
        assert library.pthread_join(thread, None) == 0
    return count * LIFE


def total_of(name: str) -> tuple[float, float]:
    """Sampled total and its error, seconds."""
    import hybridprof

    rows = [row for row in hybridprof.snapshot().functions if row.name == name]
    return (sum(row.total_ns for row in rows) / 1e9, max((row.total_error_ns for row in rows), default=0) / 1e9)


@pytest.mark.timing
@pytest.mark.parametrize("clock", ["wall", "cpu"])
@pytest.mark.parametrize("program", [many_threads, many_states], ids=["threads", "states"])
def test_short_lives_add_up(program, clock: str) -> None:
    _core.start(rate=100, clock=clock)
    burned = program()
    _core.stop()
    found, _ = total_of("lives_in_thread" if program is many_threads else "called_back")
    # Some 200 samples of 10 ms, one standard deviation 7 %; on the wall clock waiting for a CPU counts too.
    assert 0.75 * burned < found < (1.3 if clock == "cpu" else 2.5) * burned, (found, burned, sys.version_info)
