# SPDX-License-Identifier: MIT
"""Programs that are hard on the sampler's life. `PYTHONPATH=tests python -P tests/stress/lives.py NAME [ARGUMENT...]` runs one.

Each prints one line of JSON at its end, if it is one that ends by itself."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybridprof import _core


def say(**found: object) -> None:
    print(json.dumps(found), flush=True)


def burn(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(60))


def kept() -> int:
    count: int = _core.status()["samples"]["kept"]
    return count


def resources() -> dict[str, int]:
    """What a process must not gather: threads, descriptors, bytes of memory, mappings."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        mappings = sum(1 for _ in maps)
    counts = {"threads": len(os.listdir("/proc/self/task")), "files": len(os.listdir("/proc/self/fd"))}
    return counts | {"bytes": pages * os.sysconf("SC_PAGE_SIZE"), "mappings": mappings}


def forever() -> None:
    while True:
        burn(0.01)


def daemons(count: int) -> None:
    for _ in range(count):
        threading.Thread(target=forever, daemon=True).start()


# --- starting and stopping -----------------------------------------------------------------------------------------------------------------


def start_stop(count: str) -> None:
    """The same process again and again: what it holds after the first tenth is what it holds at the end."""
    times, before = int(count), {}
    for i in range(times):
        if i == times // 10:
            before = resources()
        assert _core.start(rate=20000, clock="wall" if i % 2 else "cpu")
        if i % 10 == 0:
            burn(0.0005)
        assert _core.stop()
    say(before=before, after=resources(), running=_core.running())


def start_stop_loaded(seconds: str) -> None:
    """Under threads that are born, work and die, with snapshots and another rate each time."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            thread = threading.Thread(target=burn, args=(0.001,))
            thread.start()
            thread.join()

    sys.setswitchinterval(0.0005)
    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    end, sessions, samples = time.perf_counter() + float(seconds), 0, 0
    while time.perf_counter() < end:
        _core.start(rate=random.choice((100, 5000, 50000)))
        time.sleep(random.random() * 0.004)
        _core.snapshot()
        _core.stop()
        sessions += 1
        samples += kept()
    ended.set()
    for worker in workers:
        worker.join()
    say(sessions=sessions, samples=samples, running=_core.running())


def start_from_many(seconds: str, path: str) -> None:
    """Eight threads that do not know of each other use the one session."""
    end, odd = time.perf_counter() + float(seconds), []
    started, stopped = [0] * 8, [0] * 8
    sys.setswitchinterval(0.0002)

    def use(number: int) -> None:
        dice = random.Random(number)
        while time.perf_counter() < end:
            try:
                started[number] += _core.start(rate=dice.choice((1000, 20000)))
                burn(0.0005)
                dice.choice((_core.status, _core.running, _core.snapshot, lambda: _core.stream(path, 0.05), lambda: _core.stream(None)))()
                stopped[number] += _core.stop()
            except Exception as error:
                odd.append(repr(error))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _core.stream(None)
    last = _core.stop()
    say(started=sum(started), stopped=sum(stopped) + last, odd=odd[:5], running=_core.running())


# --- ends ----------------------------------------------------------------------------------------------------------------------------------


def exec_another(where: str) -> None:
    """The new program must find what the old one had: its CPUs, no blocked signal, no leftover thread."""
    daemons(2)
    _core.start(rate=20000)
    burn(0.05)
    source = (
        "import json, os, signal; print(json.dumps({'cpus': len(os.sched_getaffinity(0)), 'threads': len(os.listdir('/proc/self/task')),"
        " 'blocked': [int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])], 'files': len(os.listdir('/proc/self/fd'))}))"
    )
    line = [sys.executable, "-I", "-S", "-c", source]
    if where == "main":
        os.execv(sys.executable, line)
    threading.Thread(target=os.execv, args=(sys.executable, line)).start()
    forever()


def burn_until(path: str) -> None:
    """Until the stream has written for the first time, however busy the machine is."""
    end = time.perf_counter() + 20
    while not Path(path).exists() and time.perf_counter() < end:
        burn(0.02)
    burn(0.05)


def exit_at_once(path: str) -> None:
    daemons(4)
    _core.stream(path, 0.02)
    _core.start(rate=20000)
    burn_until(path)
    os._exit(7)


def leave_with_daemons(path: str) -> None:
    daemons(4)
    _core.stream(path, 0.02)
    _core.start(rate=20000)
    burn(0.1)
    say(left=True)


def leave_in_thread() -> None:
    """The main thread is done first; a thread that is waited for still starts and stops."""

    def late() -> None:
        for _ in range(30):
            _core.start(rate=20000)
            burn(0.001)
            _core.stop()
        say(left=True)

    threading.Thread(target=late).start()


def wait_to_be_killed(path: str, interval: str) -> None:
    daemons(2)
    _core.stream(path, float(interval))
    _core.start(rate=1000)
    begin = time.monotonic()
    while True:
        burn(0.02)
        say(seconds=time.monotonic() - begin)


# --- little room ---------------------------------------------------------------------------------------------------------------------------


def full_disk(path: str, limit: str) -> None:
    """The stream meets the end of the disk; the program, and the profile in memory, do not care."""
    if limit != "0":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    _core.stream(path, 0.02)
    _core.start(rate=5000)
    end = time.perf_counter() + 20
    turn = 0
    while _core.status()["stream_error"] is None and time.perf_counter() < end:
        turn += 1
        scope: dict[str, Any] = {}
        exec(compile(f"def grows_{turn}():\n    return sum(range(3000))", f"<a rather long file name {turn}>", "exec"), scope)
        for _ in range(40):
            scope[f"grows_{turn}"]()
    error = _core.status()["stream_error"]
    running = _core.running()
    _core.stop()
    say(error=error, running=running, warnings=_core.snapshot().meta()["warnings"], kept=kept(), size=Path(path).stat().st_size)


def tight_memory(extra: str) -> None:
    """Address space for so many bytes more. Either all goes well or Python says MemoryError (or what the system refused)."""
    import resource

    with open("/proc/self/statm", encoding="ascii") as statm:
        used = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    highest = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + int(extra), highest))
    outcome = "started"
    try:
        _core.start(rate=10000)
        burn(0.05)
        _core.status()
        _core.snapshot()
        _core.stop()
    except (MemoryError, RuntimeError) as error:
        outcome = f"{type(error).__name__}: {error}"
    still = _core.running()
    _core.stop()
    resource.setrlimit(resource.RLIMIT_AS, (highest, highest))
    _core.start(rate=10000)  # with memory again, all is as before
    end = time.perf_counter() + 10
    while kept() < 10 and time.perf_counter() < end:
        burn(0.02)
    _core.stop()
    say(outcome=outcome, running=still, kept=kept())


def clock_steps(path: str) -> None:
    """Under SHIM_CLOCK=1."""
    _core.stream(path, 0.05)
    begin = time.perf_counter_ns()
    seen = [time.time() for _ in range(4)]
    _core.start(rate=1000)
    burn(1.0)
    streamed = _core.load(path).meta()["duration_ns"]
    _core.stop()
    took = time.perf_counter_ns() - begin
    meta = _core.snapshot().meta()
    main = next(row for row in _core.snapshot().threads() if row["native_id"] == os.getpid())
    say(
        steps=max(seen) - min(seen),
        took_ns=took,
        duration_ns=meta["duration_ns"],
        sampled_ns=main["sampled_ns"],
        counts=meta["samples"],
        streamed_ns=streamed,
        started=meta["started"],
        residual_ns=main["residual_ns"],
    )


def few_files(path: str) -> None:
    """No descriptor is left for anybody: sampling needs none of the program's, a file says so."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    _core.stream(path, 0.05)
    _core.start(rate=5000)
    burn(0.3)
    error = _core.status()["stream_error"]
    _core.stop()
    stopped = kept()
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    say(
        error=error, kept=stopped, rows=[row[0] for row in _core.snapshot().functions()], unresolved=_core.status()["samples"]["unresolved"]
    )


def few_processes() -> None:
    """A user who may have no thread more."""
    import resource

    _core.start(rate=5000)
    burn(0.05)
    _core.stop()
    if os.getuid() == 0:
        os.setgroups([])
        os.setresuid(65534, 65534, 65534)  # root has no limit
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    said = ""
    try:
        _core.start(rate=5000)
    except RuntimeError as error:
        said = str(error)
    say(said=said, running=_core.running(), stopped=_core.stop(), kept=kept())


def drops_privileges() -> None:
    """A server that begins as root and goes on as somebody else, while it is sampled."""
    _core.start(rate=2000)
    burn(0.2)
    before = kept()
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    threading.Thread(target=time.sleep, args=(0.3,)).start()
    burn(0.4)
    after = kept()
    _core.stop()
    again = _core.start(rate=2000)
    burn(0.2)
    _core.stop()
    say(before=before, after=after, again=again, kept=kept(), unresolved=_core.status()["samples"]["unresolved"])


def holds_the_gil(microseconds: int) -> None:
    ctypes.PyDLL(None).usleep(microseconds)


def hold_gil() -> None:
    """One second in C code that does not give the GIL up, beside a thread that waits for it."""
    daemons(1)
    _core.start(rate=1000)
    begin = time.perf_counter_ns()
    holds_the_gil(999_999)
    took = time.perf_counter_ns() - begin
    _core.stop()
    rows = [row for row in _core.snapshot().functions() if row[0] == "holds_the_gil"]
    say(
        took_ns=took, total_ns=sum(row[8] for row in rows), samples=sum(row[12] for row in rows), missed=_core.status()["samples"]["missed"]
    )


def signals_arrive(seconds: str) -> None:
    """A timer's signals, hundreds of times a second: handled in the main thread, none lost to ours, and the sampler samples."""
    caught = 0

    def count(_signal: int, _frame: object) -> None:
        nonlocal caught
        caught += 1

    signal.signal(signal.SIGALRM, count)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    _core.start(rate=5000)
    burn(float(seconds))
    signal.setitimer(signal.ITIMER_REAL, 0)
    _core.stop()
    say(caught=caught, kept=kept())


def main() -> None:
    programs: dict[str, Callable[..., None]] = {
        function.__name__: function for function in (start_stop, start_stop_loaded, start_from_many, exec_another, exit_at_once)
    }
    programs |= {
        function.__name__: function
        for function in (leave_with_daemons, leave_in_thread, wait_to_be_killed, full_disk, tight_memory, hold_gil, signals_arrive)
    }
    programs |= {function.__name__: function for function in (clock_steps, few_files, few_processes, drops_privileges)}
    programs[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
