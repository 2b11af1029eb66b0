# SPDX-License-Identifier: MIT
"""Programs that are hard on the sampler's life. `PYTHONPATH=tests python -P tests/stress/lives.py NAME [ARGUMENT...]` runs one.

Each prints one line of JSON at its end, if it is one that ends by itself."""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import random
import signal
import subprocess
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


# --- forks ---------------------------------------------------------------------------------------------------------------------------------


def child_profiles() -> int:
    """In a child: nothing runs, and a session of its own can be had. An exit status."""
    if _core.running() or not _core.start(rate=5000):
        return 3
    burn(0.01)
    _core.stop()
    return 0 if _core.snapshot().nodes() else 4


def reap(pid: int) -> None:
    status = os.waitpid(pid, 0)[1]
    assert status == 0, f"a child ended with {os.waitstatus_to_exitcode(status)}"


def fork_once() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(child_profiles())
    reap(pid)


def fork_in_c() -> None:
    """As a C program that embeds the interpreter does it, uWSGI for one: see shim.c."""
    pid = ctypes.PyDLL(os.environ["STRESS_SHIM"]).shim_fork()
    if pid == 0:
        os._exit(child_profiles())
    reap(pid)


def fork_bare() -> None:
    """Without a word to Python. Where other threads wait for the GIL the child's first switch would wait for them for ever, so: without any."""
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        os._exit(0 if not _core.running() else 3)
    reap(pid)


def fork_terminal() -> None:
    pid, terminal = os.forkpty()
    if pid == 0:
        os._exit(child_profiles())
    reap(pid)
    os.close(terminal)


def fork_grandchild() -> None:
    pid = os.fork()
    if pid == 0:
        _core.start(rate=5000)
        fork_once()
        os._exit(0 if _core.stop() else 5)
    reap(pid)


def fork_from_thread() -> None:
    odd: list[BaseException] = []

    def fork() -> None:
        try:
            fork_once()
        except BaseException as error:
            odd.append(error)

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    if odd:
        raise odd[0]


def start_program() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", "-c", "print(6)"], capture_output=True, text=True, check=True)
    assert done.stdout == "6\n"


def start_program_prepared() -> None:
    subprocess.run(["/bin/true"], preexec_fn=child_profiles, check=True)


FORKS = (fork_once, fork_in_c, fork_terminal, fork_grandchild, fork_from_thread, start_program, start_program_prepared)


def forks(seconds: str, path: str) -> None:
    """Every way in turn, under a fast sampler, with a stream, and with threads that work meanwhile."""
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)  # the program's own threads
    daemons(2)
    _core.stream(path, 0.05)
    _core.start(rate=10000)
    end, turns, before = time.perf_counter() + float(seconds), 0, 0
    while time.perf_counter() < end or turns < len(FORKS):
        FORKS[turns % len(FORKS)]()
        burn(0.002)
        assert _core.running()
        turns += 1
        before = max(before, kept())
    burn(0.05)  # it goes on
    after = kept()
    _core.stop()
    shown = _core.snapshot().meta()["samples"]["kept"]  # without those of the stream's own thread
    say(turns=turns, before=before, after=after, shown=shown, error=_core.status()["stream_error"])


def forks_silent(count: str) -> None:
    """A program without threads must not be warned of ours."""
    import warnings

    warnings.simplefilter("error")
    _core.start(rate=10000)
    for _ in range(int(count)):
        for fork in (fork_once, fork_terminal, fork_in_c, fork_bare, start_program):
            fork()
            burn(0.001)
    _core.stop()
    say(kept=kept())


def _in_process(number: int) -> int:
    assert not _core.running()
    assert _core.start(rate=5000)
    burn(0.01)
    _core.stop()
    return number if _core.snapshot().nodes() else -1


def processes(method: str, workers: str) -> None:
    _core.start(rate=5000)
    with multiprocessing.get_context(method).Pool(int(workers)) as pool:
        numbers = pool.map(_in_process, range(8), chunksize=1)
    burn(0.02)
    say(numbers=numbers, running=_core.running(), kept=kept())
    _core.stop()


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
    except (MemoryError, OSError) as error:
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
        function.__name__: function
        for function in (start_stop, start_stop_loaded, start_from_many, forks, forks_silent, processes, exec_another, exit_at_once)
    }
    programs |= {
        function.__name__: function
        for function in (leave_with_daemons, leave_in_thread, wait_to_be_killed, full_disk, tight_memory, hold_gil, signals_arrive)
    }
    programs[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
