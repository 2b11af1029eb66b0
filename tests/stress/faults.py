# SPDX-License-Identifier: MIT
"""Programs under a system that refuses what the sampler would like to have. `PYTHONPATH=tests python -P tests/stress/faults.py NAME [ARGUMENT...]`.

Each prints one line of JSON."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from integration.sampler_programs import chains, chains_program
from stress.oracle import Program, found, labelled_stacks
from stress.programs import PROGRAMS
from stress.seccomp import kill, refuse

from hybridprof import _core

RATE = 5000


def say(**said: object) -> None:
    print(json.dumps(said), flush=True)


def account() -> dict[str, Any]:
    """Of the session that ended last: chains_program's stacks, and the main thread's time."""
    profile = _core.snapshot()
    main = next(row for row in profile.threads() if row["native_id"] == os.getpid())
    times = {"sampled_ns": main["sampled_ns"], "residual_ns": main["residual_ns"], "unresolved_ns": main["unresolved_ns"]}
    return {**found(PROGRAMS["chains"]), **times, "warnings": profile.meta()["warnings"]}


def chains_account(seconds: float, before: Callable[[], None] | None = None, method: str = "auto") -> None:
    """`before` happens after a third of the time, while the sampler runs."""
    begin = time.perf_counter_ns()
    _core.start(rate=RATE, method=method)  # type: ignore[arg-type]
    chains_program(seconds / 3)
    early = _core.status()["samples"]["kept"]
    if before is not None:
        before()
    chains_program(seconds * 2 / 3)
    _core.stop()
    took = time.perf_counter_ns() - begin
    say(**account(), early=early, took_ns=took)


# --- refused calls -------------------------------------------------------------------------------------------------------------------------


def refused(call: str, error: str, when: str, seconds: str) -> None:
    number: int = getattr(errno, error)
    if when == "before":
        refuse([call], number)
        chains_account(float(seconds))
    else:

        def now() -> None:
            refuse([call], number)
            if call == "sched_setaffinity" and len(CPUS) > 1:
                return
            if len(CPUS) > 1:
                os.sched_setaffinity(0, {CPUS[0]})  # the sampler has to follow
                os.sched_setaffinity(0, {CPUS[1]})
                os.sched_setaffinity(0, CPUS)

        chains_account(float(seconds), now)


CPUS = sorted(os.sched_getaffinity(0))


def no_threads(seconds: str) -> None:
    """The kernel makes no thread any more: start says so, and nothing else changes."""
    refuse(["clone", "clone3"], errno.EAGAIN)
    said = []
    for _ in range(3):
        try:
            _core.start(rate=RATE)
        except RuntimeError as error:
            said.append(f"{type(error).__name__}: {error}")
    chains["a0"]()
    say(said=said, running=_core.running(), stopped=_core.stop(), status=_core.status()["running"])


def command_line_without_threads() -> None:
    """`hybridprof run` where no thread can be made."""
    import runpy

    Path("ran.py").write_text("open('it-ran', 'w')\n", encoding="utf-8")
    refuse(["clone", "clone3"], errno.EAGAIN)
    sys.argv = ["hybridprof", "run", "-o", "x.hyprof", "ran.py"]
    runpy.run_module("hybridprof", run_name="__main__")


def threads_refused_later(path: str) -> None:
    """Sampler and stream begin, and the first sync; after a fork the two cannot begin again, nor when they are asked to, then they can."""
    shim = Shim()
    _core.stream(path, 0.05)
    _core.start(rate=RATE)
    time.sleep(0.2)
    while shim.library.shim_threads() < 3:
        time.sleep(0.01)
    shim.library.shim_refuse_threads(ctypes.c_long(1), ctypes.c_long(3))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    chains["a0"]()
    time.sleep(0.05)
    error, running = _core.status()["stream_error"], [_core.running()]
    said = ""
    try:
        _core.start()
    except RuntimeError as refusal:
        said = str(refusal)
    running.append(_core.status()["running"])
    before = _core.status()["samples"]["kept"]
    started = _core.start()  # the same session goes on
    running.append(_core.running())
    time.sleep(0.2)
    later, mended = _core.status()["samples"]["kept"], _core.status()["stream_error"]
    stopped = _core.stop()
    meta = _core.snapshot().meta()
    say(
        error=error,
        running=running,
        said=said,
        started=started,
        before=before,
        later=later,
        mended=mended,
        stopped=stopped,
        warnings=meta["warnings"],
        kept=meta["samples"]["kept"],
    )


def no_thread_to_write(path: str) -> None:
    """Under SHIM_THREADS=2: the sampler begins, the stream's thread does not."""
    _core.stream(path, 0.05)
    _core.start(rate=RATE)
    time.sleep(0.2)
    error = _core.status()["stream_error"]
    _core.stop()
    meta = _core.snapshot().meta()
    say(error=error, warnings=meta["warnings"], kept=meta["samples"]["kept"])


def sandboxed(seconds: str) -> None:
    """From now on the system kills whoever opens a file; a thread that comes later has no file open by which the sampler could ask for its state."""
    _core.start(rate=RATE)
    chains_program(float(seconds) / 3)
    before = _core.status()["samples"]["kept"]
    kill(["open", "openat"])
    threads = [threading.Thread(target=time.sleep, args=(0.2,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    chains_program(float(seconds) / 3)
    for thread in threads:
        thread.join()
    after = _core.status()["samples"]["kept"]
    _core.stop()
    profile = _core.snapshot()
    say(before=before, after=after, states=sorted({line[4] for line in profile.lines()}), **found(PROGRAMS["chains"]))


# --- CPUs ----------------------------------------------------------------------------------------------------------------------------------


def one_cpu(seconds: str) -> None:
    os.sched_setaffinity(0, {CPUS[-1]})
    chains_account(float(seconds))


def _every_thread() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/task")]


def moved(whom: str, seconds: str) -> None:
    """The main thread, or every thread with the sampler's (as a changed cpuset or `taskset -a` does), goes from CPU to CPU."""
    ended = threading.Event()
    turn = 0

    def move() -> None:
        nonlocal turn
        while not ended.wait(0.003):
            turn += 1
            cpus = {CPUS[turn % len(CPUS)]}
            for task in [os.getpid()] if whom == "main" else _every_thread():
                try:
                    os.sched_setaffinity(task, cpus)
                except ProcessLookupError:
                    pass  # a thread of the program has ended

    mover = threading.Thread(target=move)
    mover.start()
    chains_account(float(seconds))
    ended.set()
    mover.join()


# --- memory --------------------------------------------------------------------------------------------------------------------------------


class Shim:
    """The library that is preloaded: see shim.c."""

    def __init__(self) -> None:
        self.library = ctypes.PyDLL(None)

    def refuse(self, first: int, count: int) -> None:
        self.library.shim_refuse(ctypes.c_long(first), ctypes.c_long(count))

    def counts(self) -> tuple[int, int]:
        asked, refused_count = ctypes.c_long(), ctypes.c_long()
        self.library.shim_allocations(ctypes.byref(asked), ctypes.byref(refused_count))
        return asked.value, refused_count.value


def descend(levels: int) -> None:
    if levels:
        descend(levels - 1)
    else:
        for _ in range(20):
            chains["a0"]()


def in_thread() -> None:
    for _ in range(20):
        chains["b0"]()


def greedy(turn: int) -> None:
    """Needs room for a deep stack, for threads, for code that was never seen, for many nodes."""
    descend(700)
    threads = [threading.Thread(target=in_thread) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(6):
        scope: dict[str, Any] = {"chains": chains}
        exec(compile(f"def fresh_{turn}_{number}():\n    sum(range(500)); chains['c0']()", "<fresh>", "exec"), scope)
        scope[f"fresh_{turn}_{number}"]()
    for thread in threads:
        thread.join()


def _legal_in_greedy(stack: tuple[str, ...]) -> bool:
    for caller, callee in zip(stack, stack[1:], strict=False):
        if len(callee) == 2 and callee[1].isdigit():
            top = {"a": "descend", "b": "in_thread", "c": "fresh"}[callee[0]]
            right = caller.startswith(top) if callee[1] == "0" else caller == f"{callee[0]}{int(callee[1]) - 1}"
            if not right and caller not in ("<unresolved>", "<overflow>"):
                return False
        if callee.startswith("fresh") and caller != "greedy":
            return False
    return not stack or len(stack[0]) != 2


GREEDY = Program(lambda seconds: None, judge=_legal_in_greedy)


def _unmarked(stack: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lstrip("~") for name in stack)


def starved(count: str, seconds: str) -> None:
    """Sweeps over N: the sampler's Nth allocation fails (count 1), or all from the Nth on (0). Ends when a session asked for fewer than N."""
    shim, end = Shim(), time.perf_counter() + float(seconds)
    wrong: list[str] = []
    sessions = failed = empty = most = 0
    first = 1
    while time.perf_counter() < end:
        shim.refuse(first, int(count))
        _core.start(rate=20000)
        greedy(sessions)
        _core.stop()
        asked, refused_count = shim.counts()
        shim.refuse(0, 0)
        stacks = labelled_stacks(_core.snapshot())
        wrong += [f"{first}: {' > '.join(stack[-8:])}" for stack in stacks if not GREEDY.legal(_unmarked(stack))]
        sessions, failed, most = sessions + 1, failed + (refused_count > 0), max(most, asked)
        empty += _core.status()["samples"]["kept"] == 0
        first = first + 1 if asked >= first else 1
    say(sessions=sessions, failed=failed, empty=empty, most=most, wrong=wrong[:8], running=_core.running())


def spin_deep(levels: int, seconds: float) -> None:
    if levels:
        spin_deep(levels - 1, seconds)
        return
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def spin_flat(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def starved_thread() -> None:
    """A thread that is met while there is no memory is sampled as soon as there is."""
    shim, ended = Shim(), threading.Event()
    _core.start(rate=2000)
    shim.refuse(1, 0)
    thread = threading.Thread(target=spin_until, args=(ended,))
    thread.start()
    begin = time.perf_counter()
    while shim.counts()[1] == 0 and time.perf_counter() < begin + 20:
        time.sleep(0.02)
    refused_count = shim.counts()[1]
    shim.refuse(0, 0)
    again = time.perf_counter_ns()
    time.sleep(0.4)
    ended.set()
    thread.join()
    took = time.perf_counter_ns() - again
    _core.stop()
    profile = _core.snapshot()
    rows = [row for row in profile.functions() if row[0] == "spin_until"]
    say(refused=refused_count, total_ns=sum(row[8] for row in rows), took_ns=took, warnings=profile.meta()["warnings"])


def spin_until(ended: threading.Event) -> None:
    while not ended.is_set():
        spin_flat(0.01)


def pushed(seconds: str) -> None:
    """The sampler is pushed off the CPU that it went to: what it says of short functions must stay true."""
    times = {"hot": 0.0, "cold": 0.0}
    os.sched_setaffinity(0, {CPUS[0]})
    _core.start(rate=RATE, clock="cpu")  # the wall clock would add what the machine's other programs took
    alternate(0.2, times)
    for task in _every_thread():
        if Path(f"/proc/self/task/{task}/comm").read_text(encoding="ascii") == "hybridprof\n":
            os.sched_setaffinity(task, {CPUS[1]})
    times = dict.fromkeys(times, 0.0)
    before = totals()
    alternate(float(seconds), times)
    _core.stop()
    after = totals()
    say(method=_core.status()["sampler_method"], estimate={name: after[name] - before[name] for name in times}, truth=times)


def tiny() -> None:
    pass


def hot() -> None:
    tiny()
    tiny()
    tiny()
    tiny()
    tiny()
    tiny()
    tiny()
    tiny()


def cold() -> None:
    x = 0
    for i in range(12):
        x += i & 7


def hot_many() -> None:
    for _ in range(500):
        hot()


def cold_many() -> None:
    for _ in range(500):
        cold()


def both_many() -> None:
    for _ in range(500):
        hot()
        cold()


def alternate(seconds: float, times: dict[str, float]) -> None:
    """Half the time in turns of about a microsecond, in which a reader from afar errs; between them the true cost of each is measured."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        both_many()
        begin = time.thread_time()
        hot_many()
        middle = time.thread_time()
        cold_many()
        times["hot"] += middle - begin
        times["cold"] += time.thread_time() - middle


def totals() -> dict[str, int]:
    return {row[0]: row[8] for row in _core.snapshot().functions()}


def starved_deep() -> None:
    """No memory at all for the sampler, and a stack that does not fit: its time must not become another function's."""
    shim = Shim()
    truth = [0, 0]
    sys.setrecursionlimit(4000)
    _core.start(rate=1000)
    spin_flat(0.02)
    shim.refuse(1, 0)
    for _ in range(5):
        begin = time.perf_counter_ns()
        spin_deep(3000, 0.05)
        middle = time.perf_counter_ns()
        spin_flat(0.05)
        truth[0] += middle - begin
        truth[1] += time.perf_counter_ns() - middle
    _core.stop()
    shim.refuse(0, 0)
    say(truth_ns=truth, flat_ns=totals()["spin_flat"], deep_ns=totals().get("spin_deep", 0), **account())


def main() -> None:
    programs: dict[str, Callable[..., None]] = {
        function.__name__: function for function in (refused, no_threads, threads_refused_later, one_cpu, moved, starved, starved_deep)
    }
    programs |= {
        function.__name__: function for function in (starved_thread, pushed, sandboxed, no_thread_to_write, command_line_without_threads)
    }
    programs[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
