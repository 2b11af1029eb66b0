# SPDX-License-Identifier: MIT
"""What threads were doing, against threads that do one thing."""

from __future__ import annotations

import base64
import ctypes
import gc
import os
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Literal

import pytest

import hybridprof
from hybridprof.profile import Profile

pytestmark = pytest.mark.skipif(
    not os.access(f"/proc/self/task/{os.getpid()}/syscall", os.R_OK), reason="this system does not tell system calls"
)

SECONDS = 0.6


def measured(*functions: Callable[[], None], rate: float = 1000, clock: Literal["wall", "cpu"] = "wall") -> Profile:
    """A profile of these functions, each in a thread of its own, all at once."""
    with hybridprof.Profiler(rate=rate, clock=clock) as profiler:
        threads = [threading.Thread(target=function) for function in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert profiler.profile is not None
    return profiler.profile


def shares(profile: Profile, name: str, without: str = "") -> dict[str, float]:
    """Of the sampled self time in the function and what it called, by state. without: a function whose own time does not count."""
    sums: dict[str, int] = {}
    for line in profile.lines:
        node = line.node
        if node.function is not None and node.function.name == without:
            continue
        while node is not None:
            if node.function is not None and node.function.name == name:
                sums[line.state] = sums.get(line.state, 0) + line.self_ns
                break
            assert node.parent is not None or node.function is None
            node = node.parent  # type: ignore[assignment]
    whole = sum(sums.values())
    return {state: ns / whole for state, ns in sums.items()}


def until() -> Callable[[], bool]:
    end = time.monotonic() + SECONDS
    return lambda: time.monotonic() < end


def runs_python() -> None:
    number = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for _ in range(10000):
            number = number + 1 if number < 1000 else 0


def runs_c() -> None:
    numbers = list(range(200_000))
    more = until()
    while more():
        sum(numbers)


def collects() -> None:
    more = until()
    while more():
        gc.collect()


def runs_without_the_gil() -> None:
    data = os.urandom(8_000_000)
    more = until()
    while more():
        zlib.compress(data, 6)


def waits_for_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=SECONDS)


def sleeps() -> None:
    time.sleep(SECONDS)


def waits_for_input() -> None:
    ours, _theirs = socket.socketpair()
    ours.settimeout(None)
    timer = threading.Timer(SECONDS, _theirs.send, (b"x",))
    timer.start()
    ours.recv(1)
    timer.join()


@pytest.mark.parametrize(
    ("function", "state", "least"),
    [
        (runs_python, "python", 0.9),
        (runs_c, "c", 0.9),
        (collects, "gc", 0.9),
        (runs_without_the_gil, "native", 0.75),  # it holds the GIL while it copies
        (waits_for_a_lock, "lock", 0.95),
        (sleeps, "sleep", 0.95),
        (waits_for_input, "io", 0.9),
    ],
)
def test_a_thread_that_does_one_thing(function: Callable[[], None], state: str, least: float) -> None:
    found = shares(measured(function), function.__name__)
    assert found.get(state, 0) >= least, found


class Tiny:
    def __init__(self, value: int = 0) -> None:
        self.value = value

    def method(self, value: int, more: int = 1) -> int:
        return value


def tiny() -> None:
    pass


def tiny_with(first: int, second: int = 2, third: int = 3) -> int:
    return first


def numbers(count: int) -> Iterator[int]:
    number = 0
    while number < count:
        yield number
        number = number + 1


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


MANY = 200_000  # between two looks at the clock


def until_cpu() -> Callable[[], bool]:
    end = time.thread_time() + SECONDS
    return lambda: time.thread_time() < end


def calls_functions() -> None:
    more = until_cpu()
    while more():
        for _ in range(MANY):
            tiny()
            tiny()


def calls_with_defaults() -> None:
    more = until_cpu()
    while more():
        for _ in range(MANY):
            tiny_with(1)
            tiny_with(1, 2)


def calls_with_keywords() -> None:
    more = until_cpu()
    while more():
        for _ in range(MANY):
            tiny_with(1, third=2)
            tiny_with(first=1, second=2)


def calls_methods() -> None:
    more = until_cpu()
    thing = Tiny()
    bound = thing.method
    while more():
        for _ in range(MANY):
            thing.method(1)
            thing.method(1, 2)
            bound(1, 2)


def makes_instances() -> None:
    more = until_cpu()
    while more():
        for _ in range(MANY):
            Tiny(1)
            Tiny(2).method(3, 4)


def resumes_generators() -> None:
    more = until_cpu()
    while more():
        for _ in numbers(MANY):
            pass


def recurses() -> None:
    more = until_cpu()
    while more():
        fibonacci(25)


needs_calls_of_classes = pytest.mark.skipif(sys.version_info < (3, 13), reason="classes are called by C code before 3.13")
needs_calls_with_keywords = pytest.mark.skipif(sys.version_info < (3, 14), reason="calls with keywords are not specialised before 3.14")


@pytest.mark.parametrize(
    "function",
    [
        calls_functions,
        calls_with_defaults,
        pytest.param(calls_with_keywords, marks=needs_calls_with_keywords),
        calls_methods,
        pytest.param(makes_instances, marks=needs_calls_of_classes),
        resumes_generators,
        recurses,
    ],
)
def test_entering_a_python_function_is_no_c_code(function: Callable[[], None]) -> None:
    """The caller's frame is the top one while the interpreter makes the other, and again after its end, and stands at the call."""
    found = shares(measured(function, clock="cpu"), function.__name__, without="until_cpu.<locals>.<lambda>")  # which asks the clock, in C
    assert found.get("python", 0) >= 0.95, found


def sums_long_lists() -> None:
    more, values = until_cpu(), list(range(100_000))
    while more():
        sum(values)


def sorts() -> None:
    more, values = until_cpu(), [str(number * 7919 % 100_003) for number in range(50_000)]
    while more():
        sorted(values)
        values.copy().sort(reverse=True)


def encodes() -> None:
    more, data = until_cpu(), os.urandom(1_000_000)
    while more():
        base64.b64encode(data)


def translates() -> None:
    more, text = until_cpu(), "word " * 100_000
    while more():
        text.upper()
        text.encode(encoding="utf-16")


@pytest.mark.parametrize("function", [sums_long_lists, sorts, encodes, translates])
def test_c_functions_are_c_code(function: Callable[[], None]) -> None:
    """What a call has made is freed by the instruction behind it, for which a sanitizer takes its time, and a debug build overwrites it all."""
    found = shares(measured(function, clock="cpu"), function.__name__)
    slow_to_free = os.environ.get("HYBRIDPROF_SANITIZED") or hasattr(sys, "gettotalrefcount")
    assert found.get("c", 0) >= (0.7 if slow_to_free else 0.9), found


def calls_what_changes() -> None:
    """One call, of a Python function for a long time and then of a C function for as long: its instruction changes meanwhile."""
    values = list(range(1000))
    for function, argument in ((numbers, 0), (sum, values)):
        end = time.thread_time() + SECONDS
        while time.thread_time() < end:
            calls_each(function, argument)


def calls_each(function: Callable[[object], object], argument: object) -> None:
    for _ in range(5000):
        function(argument)


def test_a_call_whose_callee_changes() -> None:
    """What is remembered of an instruction must not outlive what it was specialised for."""
    profile = measured(calls_what_changes, clock="cpu")
    found = shares(profile, "calls_each")
    assert 0.35 <= found.get("c", 0) <= 0.65, found


def holds_the_gil() -> None:
    ctypes.PyDLL(None).usleep(int(SECONDS * 1e6))


def wants_the_gil() -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pass


def test_who_waits_for_the_gil_and_who_holds_it() -> None:
    """A C function that sleeps with the GIL: it is where the time goes, and everybody else waits for it."""
    profile = measured(wants_the_gil, holds_the_gil)
    assert shares(profile, "holds_the_gil").get("c", 0) >= 0.9, shares(profile, "holds_the_gil")
    waited = {row.name: row.total_ns for row in profile.select("gil").functions}
    threads = [ns for name, ns in waited.items() if name.startswith("<thread ")]
    assert sum(threads) > 0.8e9 * SECONDS, waited


def test_states_add_up_and_a_selection_is_a_profile() -> None:
    profile = measured(runs_python, sleeps, waits_for_a_lock)
    sampled = sum(thread.sampled_ns for thread in profile.threads)
    assert sum(profile.states.values()) == sampled
    parts = [profile.select(state) for state in profile.states]
    assert sum(row.self_ns for part in parts for row in part.functions) == sampled
    assert sum(row.samples for part in parts for row in part.functions) == sum(row.samples for row in profile.functions)
    running, waiting = profile.select("running"), profile.select("waiting")
    assert sum(row.self_ns for part in (running, waiting) for row in part.functions) == sampled
    (row,) = (row for row in waiting.functions if row.name == "sleeps")
    (whole,) = (row for row in profile.functions if row.name == "sleeps")
    assert row.self_ns == whole.self_ns - sum(
        line.self_ns for line in running.lines if line.node.function is not None and line.node.function.name == "sleeps"
    )
    assert 0 < row.self_error_ns < row.self_ns
    assert not [row for row in running.functions if row.name == "waits_for_a_lock" and row.self_ns > 0.1e9]
    with pytest.raises(ValueError, match="there is no state 'asleep'; use one of running, waiting, python"):
        profile.select("asleep")


def test_more_threads_than_are_asked_at_every_tick() -> None:
    profile = measured(*[sleeps] * 12, *[waits_for_a_lock] * 4)
    assert shares(profile, "sleeps").get("sleep", 0) >= 0.9
    assert shares(profile, "waits_for_a_lock").get("lock", 0) >= 0.9


OPENS = """
import os, threading, time
from hybridprof import _core
sleeper = threading.Thread(target=time.sleep, args=(1.0,))
sleeper.start()
_core.start(rate=10000)
end = time.monotonic() + 0.8
wrong = 0
while time.monotonic() < end:
    first, second = os.pipe()
    os.close(first)
    if os.open(os.devnull, os.O_RDONLY) != first:
        wrong += 1
    os.close(first); os.close(second)
names = {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")}
print(wrong, [name for name in names if "syscall" in name], flush=True)
sleeper.join()
_core.stop()
"""


def test_our_files_are_not_the_programs(run_python: Callable[..., object]) -> None:
    """A number that the program gave back is the one it gets next, as on any day; a pipe that it closes is closed."""
    done = run_python(OPENS)
    assert done.stdout == "0 []\n"  # type: ignore[attr-defined]


CLOSES = """
import os, time
from hybridprof import _core
first, second = os.pipe()
_core.start(rate=1000)
time.sleep(0.1)
os.close(second)
print(os.read(first, 1))
"""


def test_a_pipe_that_the_program_closes_is_closed(run_python: Callable[..., object]) -> None:
    done = run_python(CLOSES)
    assert done.stdout == "b''\n"  # type: ignore[attr-defined]
