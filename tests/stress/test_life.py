# SPDX-License-Identifier: MIT
"""The sampler's beginnings and ends, thousands of them, and those of the process around it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stress.running import SECONDS, command, environment, result, run

from hybridprof import _core

pytestmark = pytest.mark.timeout(0)
STARTS = 10_000 if SECONDS > 10 else 2000
NO_THREAD = "the sampler's thread cannot be started: Resource temporarily unavailable; the limits on threads "
ROUNDS = max(1, int(SECONDS / 4))  # of what takes a process for each round
FORKS = ("forks", "forks_silent", "processes", "prefork")
KILLS = 10 if SECONDS > 10 else ROUNDS


def life(name: str, *arguments: object, **env: str | None) -> dict[str, Any]:
    found = result("forks.py" if name in FORKS else "lives.py", name, *arguments, env=env)
    print(found)
    return found


def whole(path: Path) -> dict[str, Any]:
    """What a file that can be read says of itself."""
    profile = _core.load(str(path))
    assert profile.nodes()
    return profile.meta()


def test_thousands_of_sessions_leave_nothing_behind() -> None:
    found = life("start_stop", STARTS)
    before, after = found["before"], found["after"]
    assert not found["running"]
    assert after["threads"] == 1 and after["files"] == before["files"]
    assert after["mappings"] <= before["mappings"] + 10
    assert after["bytes"] <= before["bytes"] + 4_000_000


def test_sessions_come_and_go_under_threads() -> None:
    found = life("start_stop_loaded", SECONDS)
    assert found["sessions"] >= 5 * SECONDS and found["samples"] > found["sessions"] and not found["running"]


def test_threads_that_do_not_know_of_each_other(tmp_path: Path) -> None:
    found = life("start_from_many", SECONDS, tmp_path / "many.hyprof")
    assert found["odd"] == []
    assert found["started"] == found["stopped"] > 5 * SECONDS
    assert not found["running"]


def test_fork_storm(tmp_path: Path, shim: str) -> None:
    found = life("forks", SECONDS, tmp_path / "forks.hyprof", STRESS_SHIM=shim)
    assert found["error"] is None
    assert found["after"] > found["before"] + 50
    assert whole(tmp_path / "forks.hyprof")["samples"]["kept"] == found["shown"]


def test_forks_of_a_program_without_threads_warn_of_nothing(shim: str) -> None:
    assert life("forks_silent", 4 * ROUNDS, STRESS_SHIM=shim)["kept"] > 20


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str) -> None:
    for _ in range(ROUNDS):
        found = life("processes", method, 3)
        assert found["numbers"] == list(range(8))
        assert found["running"] and found["kept"] > 20


@pytest.mark.parametrize("how", ["python", "c", "bare"])
def test_prefork_server(tmp_path: Path, shim: str, how: str) -> None:
    """Workers by os.fork(), as gunicorn makes them, and by a C program that embeds the interpreter, which may or may not tell Python (uWSGI's --py-call-osafterfork)."""
    found = life("prefork", how, tmp_path, STRESS_SHIM=shim)
    assert found["running"]
    for pid in found["workers"]:
        meta = whole(tmp_path / f"worker-{pid}.hyprof")
        assert meta["pid"] == pid and meta["samples"]["kept"] > 20
        assert not any("cut short" in warning or "incomplete" in warning for warning in meta["warnings"])
    assert whole(tmp_path / f"worker-{found['killed']}.hyprof")["pid"] == found["killed"]
    assert whole(tmp_path / "master.hyprof")["pid"] == found["master"]
    names = {row[0] for pid in found["workers"] for row in _core.load(str(tmp_path / f"worker-{pid}.hyprof")).functions()}
    assert {"serve", "request_0", "request_1"} <= names
    assert not {"serve", "request_0"} & {row[0] for row in _core.load(str(tmp_path / "master.hyprof")).functions()}


def test_steps_of_the_clock_do_not_matter(tmp_path: Path, shim: str) -> None:
    found = life("clock_steps", tmp_path / "clock.hyprof", LD_PRELOAD=shim, SHIM_CLOCK="1")
    assert found["steps"] > 86400
    assert 0.8 * found["took_ns"] < found["duration_ns"] <= found["took_ns"]
    assert abs(found["sampled_ns"] + found["residual_ns"] - found["duration_ns"]) < 0.05 * found["duration_ns"]
    counts = found["counts"]
    assert 0.7e-6 * found["duration_ns"] < counts["kept"] + counts["missed"] < 1.3e-6 * found["duration_ns"]
    assert found["streamed_ns"] > 0.3e9  # the stream's interval is not the clock's of the day
    assert found["started"].startswith("20")


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    found = life("few_files", tmp_path / "few.hyprof")
    assert "few.hyprof" in found["error"] and "Too many open files" in found["error"]
    assert found["kept"] > 20 and "burn" in found["rows"] and found["unresolved"] <= found["kept"] // 100


def test_no_process_is_left() -> None:
    found = life("few_processes")
    assert found["said"].startswith(NO_THREAD) and not found["running"] and not found["stopped"] and found["kept"] > 0


def test_a_server_that_drops_its_privileges() -> None:
    found = life("drops_privileges")
    assert found["after"] > found["before"] + 20 and found["again"] and found["kept"] > 20
    assert found["unresolved"] <= found["kept"] // 100


@pytest.mark.parametrize("where", ["main", "thread"])
def test_exec_hands_over_a_clean_process(where: str) -> None:
    files = {life("exec_another", where)["files"] for _ in range(ROUNDS)}
    found = life("exec_another", where)
    assert found["cpus"] == len(os.sched_getaffinity(0))
    assert found["threads"] == 1 and found["blocked"] == [] and files == {found["files"]}


def test_os_exit_with_threads_running(tmp_path: Path) -> None:
    for _ in range(2 * ROUNDS):
        done = run("lives.py", "exit_at_once", tmp_path / "exit.hyprof")
        assert done.returncode == 7 and done.stderr == ""
        assert whole(tmp_path / "exit.hyprof")["samples"]["kept"] > 0


def test_the_interpreter_ends_under_daemon_threads_and_a_stream(tmp_path: Path) -> None:
    for _ in range(2 * ROUNDS):
        assert life("leave_with_daemons", tmp_path / "left.hyprof")["left"]
        assert whole(tmp_path / "left.hyprof")["duration_ns"] > 0.05e9


def test_sessions_after_the_main_thread_is_done() -> None:
    for _ in range(2 * ROUNDS):
        assert life("leave_in_thread")["left"]


@pytest.mark.parametrize("interval", [0.05, 1.0])
def test_sigkill_costs_the_last_second_at_most(tmp_path: Path, interval: float) -> None:
    path = tmp_path / "killed.hyprof"
    for _ in range(KILLS):
        wanted = interval * 2 + 0.5 + random.random() * interval
        with subprocess.Popen(
            command("lives.py", "wait_to_be_killed", path, interval), env=environment(), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            lived = next(seconds for line in process.stdout if (seconds := float(json.loads(line)["seconds"])) > wanted)
            process.send_signal(signal.SIGKILL)
        meta = whole(path)
        # What was measured in one interval, and what a busy machine takes to write it.
        lost = lived - meta["duration_ns"] / 1e9
        assert lost < interval + 0.5, (lost, lived)
        assert meta["samples"]["kept"] > 20


@pytest.mark.parametrize("limit", [0, 3000, 40_000])
def test_the_disk_is_full(tmp_path: Path, limit: int, tiny_disk: Callable[[], Path | None]) -> None:
    """A limit on the size of files, or (0) a file system of 64 KiB."""
    folder = tmp_path if limit else tiny_disk()
    if folder is None:
        pytest.skip("this system lets us mount nothing")
    found = life("full_disk", folder / "full.hyprof", limit)
    assert found["error"] is not None and "full.hyprof" in found["error"]
    assert "No space left" in found["error"] or "too large" in found["error"]
    assert found["running"] and found["kept"] > 0
    assert found["error"] in found["warnings"]
    if found["size"] > 2000:  # what was written before is there
        assert whole(folder / "full.hyprof")["samples"]["kept"] > 0


def test_tight_memory() -> None:
    """From so little that a thread's stack does not fit to plenty."""
    started = 0
    for step in range(8 * ROUNDS):
        found = life("tight_memory", 20_000 * 3 ** (step % 8) + step // 8 * 9973)
        started += found["outcome"] == "started"
        assert (
            found["outcome"] == "started" or found["outcome"].startswith("MemoryError") or f"RuntimeError: {NO_THREAD}" in found["outcome"]
        ), found
        assert found["kept"] > 5
    assert 0 < started < 8 * ROUNDS


def test_a_call_that_keeps_the_gil_is_sampled_throughout() -> None:
    found = life("hold_gil")
    assert 0.97 * found["took_ns"] < found["total_ns"] < 1.03 * found["took_ns"]
    assert found["samples"] > 500


def test_signals_go_to_the_program() -> None:
    found = life("signals_arrive", SECONDS)
    assert found["caught"] > 100 * SECONDS and found["kept"] > 500 * SECONDS
