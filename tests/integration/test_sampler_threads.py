# SPDX-License-Identifier: MIT
"""Which thread a sample is of: names and native ids of Python's threads and of C's, while they live and afterwards."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hybridprof
from hybridprof import _core
from hybridprof.profile import Profile, Thread

RunPython = Callable[..., "subprocess.CompletedProcess[str]"]

# Dicts that tell of their changes came with 3.12. Before, a thread's name is known if it lived at a snapshot, at stop or at a stream's turn.
TOLD_OF_ENDS = sys.version_info >= (3, 12)
SECONDS = 0.08


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    _core.stop()
    yield
    _core.stop()


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def by_name(profile: Profile) -> dict[str, Thread]:
    return {thread.name: thread for thread in profile.threads}


def functions_of(thread: Thread) -> set[str]:
    """Names of what was met in it."""
    met, waiting = set(), [thread.root] if thread.root else []
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.function is not None:
            met.add(node.function.name)
    return met


class Worker(threading.Thread):
    """Burns in a function of its own, so that stacks tell whose they are; keeps its native id."""

    def __init__(self, function: Callable[[float], None], name: str, *, daemon: bool = False, later: str | None = None) -> None:
        super().__init__(name=name, daemon=daemon)
        self.function, self.later, self.number, self.leave = function, later, 0, threading.Event()

    def run(self) -> None:
        self.number = threading.get_native_id()
        if self.later is not None:
            self.name = self.later
        self.function(SECONDS)
        self.leave.wait()

    def end(self) -> None:
        self.leave.set()
        self.join()


def functions(count: int) -> list[Callable[[float], None]]:
    made: dict[str, Any] = {"burn": burn}
    for number in range(count):
        exec(f"def burns_{number}(seconds):\n    burn(seconds)\n", made)
    return [made[f"burns_{number}"] for number in range(count)]


@pytest.mark.parametrize("ended", [False, True], ids=["alive", "ended"])
def test_threads_of_every_kind(ended: bool) -> None:
    if ended and not TOLD_OF_ENDS:
        pytest.skip("3.11 tells of no thread's end")
    spins = functions(6)
    early = Worker(spins[0], "begun before")
    early.start()
    _core.start(rate=1000)
    workers = [
        early,
        Worker(spins[1], "begun after"),
        Worker(spins[2], "daemon", daemon=True),
        Worker(spins[3], "a name", later="another name"),
        Worker(spins[4], "näme; with\nall of it \udc80"),
        Worker(spins[5], "x" * 3000),
    ]
    for worker in workers[1:]:
        worker.start()
    while not all(worker.number for worker in workers):
        time.sleep(0.01)
    time.sleep(6 * SECONDS)
    for worker in workers if ended else []:
        worker.end()
    _core.stop()
    found = by_name(hybridprof.snapshot())
    for worker in workers:
        worker.end()
    for number, worker in enumerate(workers):
        thread = found[worker.later or worker.name]
        assert thread.native_id == worker.number
        met = {name for name in functions_of(thread) if name.startswith("burns_")}
        assert met <= {f"burns_{number}"} and (met or number == 0), (worker.name, met)
    assert "a name" not in found


AFTERWARDS = """
import json, sys, time
from hybridprof import _core
_core.start(rate=2000)
assert "threading" not in sys.modules
import threading
def burn():
    end = time.monotonic() + 0.1
    while time.monotonic() < end: pass
for number in range(3):
    thread = threading.Thread(target=burn, name=f"worker {number}")
    thread.start()
    thread.join()
_core.stop()
print(json.dumps([row["name"] for row in _core.snapshot().threads()]))
"""


@pytest.mark.skipif(not TOLD_OF_ENDS, reason="3.11 tells of no thread's end")
def test_threading_may_be_imported_later(run_python: RunPython) -> None:
    done = run_python(AFTERWARDS)
    assert done.stdout == '["MainThread", "worker 0", "worker 1", "worker 2"]\n' and done.stderr == ""


NAMED_BY_CODE = """
import sys, threading, time
from hybridprof import _core
asked = []
class Named(threading.Thread):
    @property
    def _name(self):
        if sys._getframe(1).f_code.co_name == "_delete":  # where nobody but us asks
            asked.append(self)
            for number in range(1000):
                threading._active[1 << 60 | number] = self
            for number in range(1000):
                del threading._active[1 << 60 | number]
        return "by code"
    @_name.setter
    def _name(self, name):
        pass
_core.start(rate=2000)
for _ in range(5):
    thread = Named(target=time.sleep, args=(0.05,))
    thread.start()
    thread.join()
_core.stop()
print(asked, list(threading._active.values()) == [threading.main_thread()])
"""


def test_no_code_of_a_threads_runs_where_it_ends(run_python: RunPython) -> None:
    """It ends in the middle of a change to a dict, which must not change meanwhile."""
    done = run_python(NAMED_BY_CODE)
    assert (done.stdout, done.stderr) == ("[] True\n", "")


def test_an_exception_in_flight_survives_the_end_of_a_thread() -> None:
    """The dict tells of a thread's end while that thread may be unwinding."""
    caught: list[threading.ExceptHookArgs] = []
    before, threading.excepthook = threading.excepthook, caught.append
    try:
        _core.start(rate=1000)
        for number in range(20):
            thread = threading.Thread(target=lambda: 1 // 0, name=f"fails {number}")
            thread.start()
            thread.join()
        _core.stop()
    finally:
        threading.excepthook = before
    assert [type(each.exc_value) for each in caught] == [ZeroDivisionError] * 20


def test_threads_that_are_not_sampled_leave_nothing_behind() -> None:
    _core.start(rate=1)
    for _ in range(300):
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    _core.stop()
    assert len(_core.snapshot().threads()) < 50


# --- threads of C -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def c_threads(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if shutil.which("gcc") is None:
        pytest.skip("no compiler")
    library = tmp_path_factory.mktemp("c_threads") / "c_threads.so"
    source = Path(__file__).with_name("c_threads.c")
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-shared", "-fPIC", "-pthread", "-o", library, source], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.thread_begin.restype = ctypes.c_void_p
    loaded.thread_end.argtypes = [ctypes.c_void_p]
    return loaded


CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int)


def test_a_thread_that_c_made_and_named(c_threads: ctypes.CDLL) -> None:
    def in_named(_: int) -> None:
        burn(0.3)

    def in_unnamed(_: int) -> None:
        burn(0.3)

    callbacks = CALLBACK(in_named), CALLBACK(in_unnamed)
    _core.start(rate=1000)
    jobs = c_threads.thread_begin(b"audio-io", callbacks[0], 1), c_threads.thread_begin(None, callbacks[1], 1)
    ids = [c_threads.thread_end(job) for job in jobs]
    _core.stop()
    threads = {thread.native_id: thread for thread in hybridprof.snapshot().threads}
    assert threads[ids[0]].name == "audio-io" and threads[ids[1]].name == "unnamed"
    for native_id, function in zip(ids, ("in_named", "in_unnamed"), strict=True):
        (name,) = (each for each in functions_of(threads[native_id]) if "in_" in each)
        assert name.endswith(function)


def test_a_thread_state_for_each_call(c_threads: ctypes.CDLL) -> None:
    """Thousands of PyGILState_Ensure and Release: each gives the same native thread a new Python thread."""
    calls = 0

    def short(_: int) -> None:
        nonlocal calls
        calls += 1
        sum(range(300))

    callback = CALLBACK(short)
    _core.start(rate=10_000)
    jobs = [c_threads.thread_begin(b"calls-back", callback, 5000) for _ in range(2)]
    time.sleep(0.1)
    _core.snapshot()
    ids = {c_threads.thread_end(job) for job in jobs}
    _core.stop()
    profile = hybridprof.snapshot()
    assert calls == 10_000
    met = [thread for thread in profile.threads if any(name.endswith("short") for name in functions_of(thread))]
    assert {thread.native_id for thread in met} == ids
    assert {thread.name for thread in met} == {"calls-back"}
    # A state that the snapshot meets first has a record of its own.
    assert len(met) <= 2 + 2
    samples = _core.status()["samples"]
    assert samples["unresolved"] <= 0.02 * samples["kept"] + 2


def test_a_thread_state_for_each_traced_call(c_threads: ctypes.CDLL) -> None:
    """Each of them is traced, and the last ones cost no more than the first."""
    made, every = 24_000, 2_000
    begins: list[float] = []

    def short(number: int) -> None:
        if number % every == 0:
            begins.append(time.thread_time())

    callback = CALLBACK(hybridprof.deep(short))
    _core.start(rate=0)
    try:
        c_threads.thread_end(c_threads.thread_begin(None, callback, made))
    finally:
        _core.stop()
        _core.remove_target(short.__code__)
    assert {row[0].rsplit(".", 1)[-1]: row[5] for row in _core.snapshot().functions()}["short"] == made
    took = [after - before for before, after in zip(begins, begins[1:], strict=False)]
    assert min(took[-3:]) < 3 * min(took[:3]) + 0.02


REUSES = """
import os, sys, threading, time
from hybridprof import _core
def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end: pass
def first(): burn(0.1)
def second(): burn(0.1)
_core.start(rate=2000)
idents = []
for function in (first, second) * 3:
    thread = threading.Thread(target=function, name=function.__name__ + " thread")
    thread.start()
    idents.append(thread.ident)
    _core.snapshot()
    thread.join()
_core.stop()
assert len(set(idents)) < len(idents), idents  # pthread_t is used again at once
profile = _core.snapshot()
functions = [row[0] for row in profile.functions()]
names = []
for parent, function, _calls, _ns, _total, samples, _measured in profile.nodes():
    names.append(() if parent < 0 else (*names[parent], functions[function]))
    for wrong, right in (("first", "second"), ("second", "first")):
        assert not (wrong in names[-1] and names[-1][0].startswith(f"<thread {right}")), names[-1]
print(sorted(row["name"] for row in profile.threads() if row["samples"] > 5 and row["name"] != "MainThread"))
"""


def test_idents_that_are_used_again(run_python: RunPython) -> None:
    done = run_python(REUSES)
    assert done.stdout == f"{['first thread'] * 3 + ['second thread'] * 3}\n" and done.stderr == ""


APART = 1024  # records of threads that are kept apart


def request(seconds: float) -> None:
    time.sleep(seconds)
    burn(0.0003)


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_a_program_may_make_threads_for_ever(clock: str) -> None:
    """One that makes a thread for each request: later ones take over the records of those that have ended, and the books stay right."""
    _core.start(rate=2000, clock=clock)
    made = 0
    while made < 2 * APART:
        threads = [threading.Thread(target=request, args=(0.004,)) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made += len(threads)
    _core.stop()
    profile = _core.snapshot()
    records = profile.threads()
    assert len(records) < APART + 200
    others = [int(record["name"].split(" and ")[1].split()[0]) for record in records if "ended before" in record["name"]]
    assert made / 2 < len(records) + sum(others) <= made + 1  # those that came and went between two ticks were never met
    measured = sum(record["measured_ns"] for record in records)
    # CPU time is given to a stack at the next sample, and the last of a short thread has none.
    assert abs(profile.meta()["residual_ns"]) < (0.02 if clock == "wall" else 0.2) * measured
    rows = {row[0]: row for row in profile.functions()}
    assert rows["request"][8] > 0 and rows["burn"][8] > 0
