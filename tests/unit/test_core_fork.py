# SPDX-License-Identifier: MIT
"""Forks: no warning because of us, sampling goes on in the parent, the child begins with nothing. Each in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

RunPython = Callable[..., "CompletedProcess[str]"]

SANITIZED = bool(os.environ.get("HYBRIDPROF_SANITIZED"))

PRELUDE = """
import os, sys, threading, time, warnings
warnings.simplefilter("error")
from hybridprof import _core
def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: pass
def kept(): return _core.status()["samples"]["kept"]
def wait(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_a_fork_warns_nobody_and_sampling_goes_on(run_python: RunPython) -> None:
    done = run_python(
        PRELUDE
        + """
_core.start(rate=1000)
for _ in range(20):
    pid = os.fork()
    if pid == 0: os._exit(0)
    wait(pid)
spin(0.01)
before = kept()
spin(0.2)
print(kept() - before > 20, _core.running())
"""
    )
    assert (done.stdout, done.stderr) == ("True True\n", "")


def test_hooks_in_python_before_and_after_ours_do_not_start_us_too_early(run_python: RunPython) -> None:
    done = run_python(
        """
import os
def slow():
    for _ in range(20000): pass
os.register_at_fork(before=slow, after_in_parent=slow)
"""
        + PRELUDE
        + """
os.register_at_fork(before=slow, after_in_parent=slow)
_core.start(rate=1000)
for _ in range(5):
    pid = os.fork()
    if pid == 0: os._exit(0)
    wait(pid)
before = kept()
spin(0.2)
print(kept() - before > 20)
"""
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_hooks_in_python_that_are_traced_return(run_python: RunPython) -> None:
    done = run_python(
        PRELUDE
        + """
calls = []
def after(): calls.append(1)
os.register_at_fork(after_in_parent=after)
_core.start(rate=100, hook="setprofile")
_core.trace_everything(True)
for _ in range(3):
    pid = os.fork()
    if pid == 0: os._exit(0)
    wait(pid)
_core.trace_everything(False)
print(len(calls))
"""
    )
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_the_child_does_not_run_and_can_start_anew(run_python: RunPython) -> None:
    done = run_python(
        PRELUDE
        + """
def target(): pass
_core.add_target(target.__code__)
call = _core.deep_function(target) if _core.needs_wrapper(target.__code__) else target
_core.start(rate=1000)
call(); call()
spin(0.05)
pid = os.fork()
if pid == 0:
    assert not _core.running()
    assert {row[13] for row in _core.snapshot().functions()} <= {"thread"} and _core.snapshot().meta()["pid"] == os.getpid()
    assert [code.co_name for code, _ in _core.targets()] == ["target"]
    assert _core.start(rate=1000)
    call()
    spin(0.1)
    rows = {row[0]: row for row in _core.snapshot().functions()}
    assert rows["target"][5] == 1, rows
    assert rows["spin"][12] > 10, rows
    assert _core.snapshot().meta()["pid"] == os.getpid()
    _core.stop()
    os._exit(0)
wait(pid)
call()
_core.stop()
print({row[0]: row[5] for row in _core.snapshot().functions()}["target"])
"""
    )
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_a_fork_inside_a_target(run_python: RunPython) -> None:
    done = run_python(
        PRELUDE
        + """
def target():
    pid = os.fork()
    if pid == 0:
        inner()
        return 0
    return pid
def inner(): pass
_core.add_target(target.__code__)
call = _core.deep_function(target) if _core.needs_wrapper(target.__code__) else target
_core.start(rate=1000)
pid = call()
if pid == 0:
    assert not _core.running()
    spin(0.01)
    os._exit(0)
wait(pid)
_core.stop()
print({row[0]: row[5] for row in _core.snapshot().functions() if row[5] is not None})
"""
    )
    assert done.stderr == "" and "'target': 1" in done.stdout and "inner" not in done.stdout


def test_a_fork_from_another_thread(run_python: RunPython) -> None:
    done = run_python(
        PRELUDE
        + """
warnings.simplefilter("ignore")  # the interpreter's own: two threads of the program
def work():
    pid = os.fork()
    if pid == 0: os._exit(0)
    wait(pid)
_core.start(rate=1000)
thread = threading.Thread(target=work)
thread.start()
thread.join()
before = kept()
spin(0.2)
print(kept() - before > 20)
"""
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_multiprocessing_by_fork(run_python: RunPython) -> None:
    done = run_python(
        PRELUDE
        + """
import multiprocessing
def work(queue): queue.put((_core.running(), os.getpid()))
_core.start(rate=1000)
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
processes = [context.Process(target=work, args=(queue,)) for _ in range(3)]
for process in processes: process.start()
results = [queue.get() for _ in processes]
for process in processes: process.join()
print(sorted(running for running, _ in results), [process.exitcode for process in processes], _core.running())
"""
    )
    assert (done.stdout, done.stderr) == ("[False, False, False] [0, 0, 0] True\n", "")


@pytest.mark.parametrize("streams", [False, True])
def test_a_fork_that_goes_around_pythons_hooks(run_python: RunPython, streams: bool) -> None:
    if streams and SANITIZED:
        pytest.skip("an address sanitizer's malloc, unlike the system's, does not survive a fork in the midst of another thread's malloc")
    done = run_python(
        PRELUDE
        + """
import ctypes
libc = ctypes.PyDLL(None)
_core.start(rate=5000)
if sys.argv[1] == "True":
    _core.stream("parent.hyprof", 0.01)
spin(0.05)
for _ in range(10):
    pid = libc.fork()
    if pid == 0:
        fresh = [compile(f"x = {n}", "f", "exec") for n in range(100)]
        del fresh
        ok = not _core.running() and _core.start(rate=1000)
        spin(0.02)
        os._exit(0 if ok and _core.stop() else 1)
    wait(pid)
before = kept()
spin(0.1)
print(kept() > before)
""",
        streams,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("running", [True, False])
def test_what_starts_a_thread_of_its_own_is_called_when_it_may(run_python: RunPython, running: bool) -> None:
    done = run_python(
        PRELUDE
        + f"""
import _thread
calls = []
def again():
    calls.append(os.getpid())
    _thread.start_new_thread(time.sleep, (0.01,))
_core.after_fork(again)
if {running}: _core.start(rate=1000)
for _ in range(3):
    pid = os.fork()
    if pid == 0: os._exit(len(calls) > 3)
    wait(pid)
    spin(0.001)
    while len(os.listdir("/proc/self/task")) > 1 + {running}: time.sleep(0.001)  # Python warns of threads at a fork
_core.stop()
assert calls == [os.getpid()] * 3, calls
_core.after_fork(lambda: 1 / 0)
pid = os.fork()
if pid == 0: os._exit(0)
wait(pid)
spin(0.01)
_core.after_fork(None)
try: _core.after_fork(5)
except TypeError as error: print(error)
"""
    )
    assert done.stdout == "after_fork takes a callable, or None for nothing, not int\n"
    assert "ZeroDivisionError" in done.stderr and "Warning" not in done.stderr
