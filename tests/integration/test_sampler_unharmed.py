# SPDX-License-Identifier: MIT
"""The program's signals, its children and the programs that it becomes are as they would be without us.

Each program runs twice, sampled at 5 kHz and not at all, and must say the same both times.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from conftest import clean_environment

pytestmark = pytest.mark.timing
RunPython = Callable[..., "CompletedProcess[str]"]

PRELUDE = """
import ctypes, json, os, pathlib, select, signal, sys, threading, time
from hybridprof import _core
def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: sum(range(50))
def begin():
    if sys.argv[1] == "H":
        _core.start(rate=5000)
        spin(0.02)
def end():
    _core.stop()
def say(**found): print(json.dumps(found), flush=True)
"""

# What a process is to the system, apart from numbers that are its own.
SURROUNDINGS = """
import ctypes, os, pathlib, platform, resource
def surroundings(task="self"):
    wanted = ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "Cpus_allowed", "Mems_allowed", "NoNewPrivs", "Seccomp", "CapEff")
    lines = dict(line.rstrip("\\n").split(":\\t", 1) for line in pathlib.Path(f"/proc/{task}/status").read_text().splitlines() if ":\\t" in line)
    found = {name: lines[name] for name in wanted if name in lines}
    for name in wanted[:5]:  # 32 and 33 are the C library's: the first thread of a process sets them, and nobody else can
        found[name] = f"{int(found[name], 16) & ~(3 << 31):016x}"
    attributes = ctypes.create_string_buffer(56)
    number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    found["scheduling"] = [ctypes.CDLL(None).syscall(number, 0, attributes, 56, 0), attributes.raw.hex()]
    found["slack"] = pathlib.Path("/proc/self/timerslack_ns").read_text() if os.access("/proc/self/timerslack_ns", os.R_OK) else ""
    found["nice"] = os.getpriority(os.PRIO_PROCESS, 0)
    found["affinity"] = sorted(os.sched_getaffinity(0))
    found["limits"] = [resource.getrlimit(which) for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_STACK)]
    found["files"] = sorted(name for name in os.listdir("/proc/self/fd"))
    return found
"""
PROGRAM_SURROUNDINGS = SURROUNDINGS + "\nimport json\nprint(json.dumps([surroundings(), len(os.listdir('/proc/self/task'))]), flush=True)\n"


def both(run_python: RunPython, program: str) -> Any:
    """What it says with us, after it was found to be what it says without us."""
    said = []
    for with_us in ("", "H"):
        done = run_python(PRELUDE + program, with_us)
        assert done.stderr == ""
        said.append([json.loads(line) for line in done.stdout.splitlines()])
    assert said[0] == said[1]
    return said[1]


# --- signals -------------------------------------------------------------------------------------------------------------------------------


def test_handlers_and_masks(run_python: RunPython) -> None:
    """Of every signal, in every thread of the program, before, while and after; and one that is pending stays pending until it is wanted."""
    said = both(
        run_python,
        """
caught = []
signal.signal(signal.SIGUSR1, lambda *_: caught.append("usr1"))
signal.signal(signal.SIGPROF, lambda *_: caught.append("prof"))
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.signal(signal.SIGURG, lambda *_: caught.append("urg"))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGHUP})
masks = []
ended = threading.Event()
def waits():
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM})
    masks.append(threading.get_native_id())
    ended.wait()
thread = threading.Thread(target=waits, daemon=True)
thread.start()
while not masks: time.sleep(0.001)
def look():
    found = [str(signal.getsignal(each)).split(" at ")[0] for each in sorted(signal.valid_signals())]
    for task in ("self", str(masks[0])):
        lines = dict(line.rstrip("\\n").split(":\\t", 1) for line in pathlib.Path(f"/proc/{task}/status").read_text().splitlines() if ":\\t" in line)
        found.append([int(lines[name], 16) & ~(3 << 31) for name in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")])
    return found
before = look()
begin()
during = look()
os.kill(os.getpid(), signal.SIGPROF)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
spin(0.05)
pending = [int(each) for each in signal.sigpending()]
end()
say(same=before == during, pending=pending, caught=caught)
pending = [int(each) for each in signal.sigpending()]
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
say(pending=pending, caught=caught, look=look())
ended.set()
thread.join()
""",
    )
    assert said[0] == {"same": True, "pending": [signal.SIGUSR1], "caught": ["prof"]}
    assert said[1]["caught"] == ["prof", "usr1"]


def test_no_call_is_interrupted(run_python: RunPython) -> None:
    """Calls in C, which would show every EINTR, in two threads; and a timer's signal interrupts them as it should."""
    said = both(
        run_python,
        """
libc = ctypes.CDLL(None, use_errno=True)
results = {}
def calls(name):
    results[name] = sorted({libc.poll(None, 0, 2) for _ in range(60)} | {libc.usleep(1000) for _ in range(60)})
begin()
thread = threading.Thread(target=calls, args=("thread",))
thread.start()
calls("main")
thread.join()
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.05)
interrupted = [libc.poll(None, 0, 5000), ctypes.get_errno()]
end()
say(results=results, interrupted=interrupted)
""",
    )
    assert said == [{"results": {"main": [0], "thread": [0]}, "interrupted": [-1, 4]}]


def test_wakeup_fd_sigwait_and_timers(run_python: RunPython) -> None:
    said = both(
        run_python,
        """
first, second = os.pipe()
os.set_blocking(second, False)
signal.set_wakeup_fd(second)
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append(threading.current_thread() is threading.main_thread()))
begin()
for _ in range(20):
    os.kill(os.getpid(), signal.SIGUSR1)
    spin(0.001)
bytes_of_signals = list(os.read(first, 1000))
signal.set_wakeup_fd(-1)
# sigwait in a thread: each signal that is sent to the process arrives there
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
waited = []
def waits():
    while len(waited) < 20:
        waited.append(int(signal.sigwait({signal.SIGUSR2})))
thread = threading.Thread(target=waits, daemon=True)
thread.start()
for number in range(20):
    os.kill(os.getpid(), signal.SIGUSR2)
    while len(waited) <= number: time.sleep(0.0005)
thread.join()
# the program's own profiling timer and its own real-time timer
ticks = {"prof": 0, "alarm": 0}
def tick(name):
    ticks[name] += 1
signal.signal(signal.SIGPROF, lambda *_: tick("prof"))
signal.signal(signal.SIGALRM, lambda *_: tick("alarm"))
signal.setitimer(signal.ITIMER_PROF, 0.01, 0.01)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
limit = time.monotonic() + 20
while min(ticks.values()) < 8 and time.monotonic() < limit: spin(0.01)
intervals = [signal.getitimer(signal.ITIMER_PROF)[1], signal.getitimer(signal.ITIMER_REAL)[1]]
signal.setitimer(signal.ITIMER_PROF, 0)
signal.setitimer(signal.ITIMER_REAL, 0)
end()
say(got=got, bytes=bytes_of_signals, waited=waited, ticks=min(ticks.values()) >= 8, intervals=intervals)
""",
    )
    assert said[0]["got"] == [True] * 20 and said[0]["bytes"] == [signal.SIGUSR1] * 20 and said[0]["waited"] == [signal.SIGUSR2] * 20
    assert said[0]["ticks"]


@pytest.mark.parametrize(
    "main",
    [
        "while True: sum(range(50))",
        "time.sleep(20)",
        "threading.Event().wait(20)",
        "select.select([], [], [], 20)",
        "threading.Thread(target=time.sleep, args=(20,), daemon=True).start(); threading.Lock().acquire() and threading.Condition().__enter__() and time.sleep(20)",
    ],
    ids=["busy", "sleep", "event", "select", "nested"],
)
def test_keyboard_interrupt_arrives_in_the_main_thread_at_once(run_python: RunPython, main: str) -> None:
    done = run_python(
        PRELUDE
        + f"""
sent, ready = [], []
def interrupt():
    while not ready: time.sleep(0.01)
    time.sleep(0.05)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
begin()
threading.Thread(target=interrupt).start()
try:
    ready.append(True)
    {main}
except KeyboardInterrupt:
    say(late=time.monotonic() - sent[0], main=threading.current_thread() is threading.main_thread())
end()
""",
        "H",
    )
    said = json.loads(done.stdout)
    assert said["main"] and said["late"] < 1.0  # a program that did not notice would take 20


# --- other programs ------------------------------------------------------------------------------------------------------------------------

WAYS = {
    "exec": "os.execv(sys.executable, line)",
    "exec in a thread": "threading.Thread(target=os.execv, args=(sys.executable, line)).start(); spin(20)",
    "subprocess": "import subprocess; subprocess.run(line, check=True)",
    "preexec_fn": "import subprocess; subprocess.run(line, check=True, preexec_fn=lambda: None)",
    "fork and exec": "pid = os.fork(); pid == 0 and os.execv(sys.executable, line); os.waitpid(pid, 0)",
    "posix_spawn": "os.waitpid(os.posix_spawn(sys.executable, line, os.environ), 0)",
}


@pytest.mark.parametrize("way", WAYS)
def test_another_program_finds_what_it_would_find_without_us(run_python: RunPython, way: str) -> None:
    """Its signals, CPUs, scheduling, timers, files, limits and threads."""
    said = both(
        run_python,
        f"""
import warnings
warnings.simplefilter("ignore")
line = [sys.executable, "-I", "-S", "-c", {PROGRAM_SURROUNDINGS!r}]
begin()
{WAYS[way]}
""",
    )
    assert said[0][1] == 1 and said[0][0]["ShdPnd"] == "0" * 16


def test_a_child_finds_what_it_would_find_without_us(run_python: RunPython) -> None:
    both(
        run_python,
        SURROUNDINGS
        + """
begin()
pid = os.fork()
if pid == 0:
    say(child=surroundings(), threads=len(os.listdir("/proc/self/task")))
    os._exit(0)
os.waitpid(pid, 0)
say(parent=surroundings())
end()
""",
    )


# --- the GIL is not given up ---------------------------------------------------------------------------------------------------------------


def test_a_c_call_that_keeps_the_gil_is_sampled_throughout_at_its_callers_line(run_python: RunPython) -> None:
    done = run_python(
        PRELUDE
        + """
def one_call():
    return sum(range(1, NUMBER))
NUMBER = 1_000_000
began = time.perf_counter(); one_call()
NUMBER = int(NUMBER * 0.8 / (time.perf_counter() - began))
waiting = threading.Thread(target=spin, args=(0.01,))
_core.start(rate=1000)
waiting.start()
began = time.perf_counter_ns(); one_call(); took = time.perf_counter_ns() - began
waiting.join()
_core.stop()
profile = _core.snapshot()
names = [row[0] for row in profile.functions()]
own = {}
nodes = profile.nodes()
for node, line, samples, ns, state in profile.lines():
    if names[nodes[node][1]] == "one_call":
        key = f"{line - one_call.__code__.co_firstlineno} {state}"
        own[key] = own.get(key, 0) + ns
say(took=took, own=own)
""",
        "H",
    )
    said = json.loads(done.stdout)
    assert sum(said["own"].values()) > 0.9 * said["took"] > 0.2e9, said
    assert said["own"]["1 c"] > 0.95 * sum(said["own"].values()), said


# --- an overloaded machine -----------------------------------------------------------------------------------------------------------------

OVERLOADED = (
    PRELUDE
    + """
import subprocess
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
def counts():
    status = _core.status()
    return [status["samples"]["kept"], status["samples"]["missed"], status["sampler_cpu_ns"], time.perf_counter_ns(), time.thread_time_ns()]
_core.stream("out.hyprof", 0.2)
_core.start(rate=2000)
seen = [counts()]
spin(0.4)
seen.append(counts())
busy = [subprocess.Popen([sys.executable, "-I", "-S", "-c", "print(flush=True)\\nwhile True: pass"], stdout=subprocess.PIPE) for _ in range(8)]
for each in busy: each.stdout.read(1)
seen.append(counts())
spin(1.2)
seen.append(counts())
for each in busy: each.kill(); each.wait(); each.stdout.close()
seen.append(counts())
spin(0.6)
seen.append(counts())
_core.stop()
say(seen=seen)
"""
)


def test_eight_busy_processes_on_its_cpu(run_python: RunPython, tmp_path: Path) -> None:
    """Every moment that was wanted is kept or counted as missed, what we take stays small, and afterwards all is as before."""
    done = run_python(OVERLOADED, "H")
    seen = json.loads(done.stdout)["seen"]
    for before, after in zip(seen, seen[1:], strict=False):
        kept, missed, sampler, elapsed, _ = (b - a for a, b in zip(before, after, strict=True))
        if elapsed < 0.3e9:
            continue
        assert abs(kept + missed - 2000 * elapsed / 1e9) < 0.25 * 2000 * elapsed / 1e9, seen
        assert sampler < 0.2 * elapsed, seen
    first, last = ([b - a for a, b in zip(seen[at], seen[at + 1], strict=True)] for at in (0, len(seen) - 2))
    assert last[0] / last[3] > 0.4 * first[0] / first[3], seen  # samples per time: other programs of this machine change it too
    info = subprocess.run(
        [sys.executable, "-m", "hybridprof", "info", "--json", "out.hyprof"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    facts = json.loads(info.stdout)
    assert facts["rate_hz"] == 2000 and facts["sampler_cpu_ns"] > 0
    assert {"kept", "retried", "unresolved", "missed"} <= facts["samples"].keys()
    late = facts["samples"]["missed"] * 100 > facts["samples"]["kept"]
    assert late == any("Hz of 2000 asked for" in warning for warning in facts["warnings"]), facts


def test_ticks_that_take_too_long_become_fewer_and_come_back(run_python: RunPython) -> None:
    """Stacks of thousands of frames, each time others, cost more than a tick has time for; when they are gone, the rate is the old one."""
    done = run_python(
        PRELUDE
        + """
def counts():
    status = _core.status()
    return [status["samples"]["missed"], status["sampler_cpu_ns"], time.perf_counter_ns(), status["samples"]["kept"]]
def rates(work, seconds):
    before = counts()
    work(seconds)
    return [b - a for a, b in zip(before, counts())]
def down(levels): return down(levels - 1) + 1 if levels else 0
def dive(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: down(9000)
sys.setrecursionlimit(10000)
_core.start(rate=10000)
spin(0.2)
first = rates(spin, 0.3)
dive(0.4)
crowded = rates(dive, 0.6)
limit = time.monotonic() + 20
while True:
    alone = rates(spin, 0.3)
    if alone[3] > 0.5 * first[3] or time.monotonic() > limit: break
_core.stop()
say(first=first, crowded=crowded, alone=alone, warnings=_core.snapshot().meta()["warnings"])
""",
        "H",
    )
    said = json.loads(done.stdout)
    for missed, _, elapsed, kept in (said["first"], said["crowded"], said["alone"]):
        assert abs(kept + missed - 10000 * elapsed / 1e9) < 0.35 * 10000 * elapsed / 1e9, said
    missed, cpu, elapsed, _ = said["crowded"]
    assert cpu < 0.7 * elapsed, said  # it does not take a core
    assert missed / elapsed > 0.35 * 10000 / 1e9, said  # and says what it left out
    assert any("Hz of 10000 asked for" in warning for warning in said["warnings"])
    assert said["alone"][3] > 0.5 * said["first"][3] > 0, said


def test_start_of_a_session_and_its_length_are_sane(run_python: RunPython) -> None:
    begun = time.time()
    done = run_python(
        PRELUDE
        + """
from datetime import datetime
began = time.perf_counter_ns(); begin(); spin(0.2); end(); took = time.perf_counter_ns() - began
meta = _core.snapshot().meta()
say(started=datetime.fromisoformat(meta["started"].replace("Z", "+00:00")).timestamp(), share=meta["duration_ns"] / took)
""",
        "H",
    )
    said = json.loads(done.stdout)
    assert begun - 1 < said["started"] < time.time() + 1
    assert 0.5 < said["share"] <= 1
