# SPDX-License-Identifier: MIT
"""Programs that fork, in every way there is, while they are sampled. `PYTHONPATH=tests python -P tests/stress/forks.py NAME [ARGUMENT...]`.

Each prints one line of JSON at its end."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from stress.lives import burn, burn_until, daemons, kept, say

from hybridprof import _core


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


def serve(path: str, number: int) -> None:
    """A worker: its own session, its own file, ended by the master's signal as by its own end."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    assert not _core.running()
    _core.stream(f"{path}/worker-{os.getpid()}.hyprof", 0.05)
    assert _core.start(rate=2000)
    while not ended:
        globals()[f"request_{number % 2}"]()


def request_0() -> None:
    burn(0.002)


def request_1() -> None:
    burn(0.002)


def prefork(how: str, path: str) -> None:
    """The master is sampled, makes workers that are sampled, replaces one that was killed, and ends them."""
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)
    if how == "python":
        daemons(1)
    _core.stream(f"{path}/master.hyprof", 0.05)
    _core.start(rate=2000)
    told, bare = ctypes.PyDLL(os.environ["STRESS_SHIM"]).shim_fork, ctypes.PyDLL(None).fork
    fork: Callable[[], int] = {"python": os.fork, "c": told, "bare": bare}[how]
    workers: list[int] = []

    def make(number: int) -> None:
        pid = fork()
        if pid == 0:
            serve(path, number)
            sys.exit(0)
        workers.append(pid)

    for number in range(3):
        make(number)
    killed = workers.pop(0)
    burn_until(f"{path}/worker-{killed}.hyprof")
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    make(3)
    for pid in workers:
        burn_until(f"{path}/worker-{pid}.hyprof")
        os.kill(pid, signal.SIGTERM)
    for pid in workers:
        reap(pid)
    say(workers=workers, killed=killed, running=_core.running(), master=os.getpid())


def main() -> None:
    programs: dict[str, Callable[..., None]] = {function.__name__: function for function in (forks, forks_silent, processes, prefork)}
    programs[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
