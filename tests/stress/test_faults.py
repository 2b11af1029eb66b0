# SPDX-License-Identifier: MIT
"""A system that refuses what the sampler would like: a sentence, or a fallback that says so, and never a wrong profile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from stress.running import SECONDS, result, run

from hybridprof import _core

pytestmark = pytest.mark.timeout(0)
SHORT = max(0.6, SECONDS / 3)
TWO_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU: nowhere to move to")
NO_THREAD = "the sampler's thread cannot be started: Resource temporarily unavailable; the limits on threads "
LEAVE_ROOM = "(ulimit -u, the container's) and on memory (ulimit -v) must leave room for one more"


def fault(name: str, *arguments: object, **env: str | None) -> dict[str, Any]:
    found = result("faults.py", name, *arguments, env=env)
    print(found)
    return found


def is_true(found: dict[str, Any], method: str, unresolved: float = 0.001) -> None:
    """No stack that cannot be, all of the main thread's time somewhere, samples before and after what happened in the middle."""
    assert found["impossible"] == {}
    # The innermost functions last some 20 ns: read from another CPU they are hardly ever met, and the profile says so.
    assert [name for name in found["not_seen"] if method != "remote" or not name.endswith("5")] == []
    assert found["method"] == method
    assert found["unresolved"] <= max(1, unresolved * found["kept"])
    assert found["early"] > 3 and found["kept"] > found["early"] + 10  # however busy the machine is
    assert abs(found["sampled_ns"] + found["residual_ns"] - found["took_ns"]) < 0.05 * found["took_ns"]


# --- refused calls -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "later"])
@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("sched_setaffinity", "the system refuses to move the sampler to another CPU"),
        ("sched_getaffinity", "the system does not tell the thread's CPU affinity"),
    ],
)
@TWO_CPUS
def test_the_system_pins_nobody(call: str, reason: str, when: str) -> None:
    found = fault("refused", call, "EPERM", when, SHORT)
    if when == "later" and found["method"] == "same-cpu":  # nobody had to be moved since
        is_true(found, "same-cpu")
        return
    is_true(found, "remote", 0.2)
    assert any(reason in warning for warning in found["warnings"])


@pytest.mark.parametrize("allocator", ["pymalloc", "malloc"])
@pytest.mark.parametrize(("error", "when"), [("EPERM", "before"), ("ENOSYS", "before"), ("EPERM", "later")])
def test_the_kernel_copies_no_memory(error: str, when: str, allocator: str) -> None:
    """With malloc, generators lie in memory that only the kernel can be asked for."""
    is_true(fault("refused", "process_vm_readv", error, when, SHORT, PYTHONMALLOC=allocator), "same-cpu")


def test_a_sandbox_that_kills_whoever_opens_a_file() -> None:
    """States of threads that come later are left out; nothing else is."""
    found = fault("sandboxed", SHORT)
    assert found["impossible"] == {} and found["after"] > found["before"] > 10
    assert "unknown" in found["states"]


def test_no_short_slices() -> None:
    is_true(fault("refused", "sched_setattr", "EPERM", "before", SHORT), "same-cpu")


def test_no_thread_can_be_made() -> None:
    found = fault("no_threads", 1)
    assert found["said"] == [f"RuntimeError: {NO_THREAD}{LEAVE_ROOM}"] * 3
    assert not found["running"] and not found["stopped"] and not found["status"]


def test_no_thread_can_be_made_for_the_command_line(tmp_path: Path) -> None:
    done = run("faults.py", "command_line_without_threads", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"hybridprof: {NO_THREAD}{LEAVE_ROOM}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["ran.py"]


def test_no_thread_can_be_made_after_a_fork(tmp_path: Path, shim: str) -> None:
    path = tmp_path / "refused.hyprof"
    found = fault("threads_refused_later", path, LD_PRELOAD=shim)
    assert found["error"] == f"no thread could be started to write '{path}' while the program runs"
    assert NO_THREAD + LEAVE_ROOM in found["warnings"]
    assert found["running"] == [False, False, True]
    assert found["said"] == NO_THREAD + LEAVE_ROOM and found["started"] is False
    assert found["later"] > found["before"] + 20 and found["mended"] is None
    assert found["stopped"] and found["kept"] > 20
    assert _core.load(str(path)).meta()["samples"]["kept"] == found["kept"]


def test_a_file_whose_thread_is_refused_is_written_at_the_end(tmp_path: Path, shim: str) -> None:
    path = tmp_path / "late.hyprof"
    found = fault("no_thread_to_write", path, LD_PRELOAD=shim, SHIM_THREADS="2")
    assert found["error"] == f"no thread could be started to write '{path}' while the program runs"
    assert found["error"] in found["warnings"] and found["kept"] > 20
    profile = _core.load(str(path))
    assert profile.meta()["samples"]["kept"] == found["kept"] and profile.meta()["warnings"] == found["warnings"]


# --- CPUs ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tunables", ["", "glibc.pthread.rseq=0"])
def test_one_cpu(tunables: str) -> None:
    is_true(fault("one_cpu", SHORT, GLIBC_TUNABLES=tunables or None), "same-cpu")


@TWO_CPUS
@pytest.mark.parametrize("tunables", ["", "glibc.pthread.rseq=0"])
@pytest.mark.parametrize("whom", ["main", "all"])
def test_the_affinity_changes_all_the_time(whom: str, tunables: str) -> None:
    is_true(fault("moved", whom, SHORT, GLIBC_TUNABLES=tunables or None), "same-cpu")


@TWO_CPUS
def test_a_sampler_that_is_pushed_away_comes_back() -> None:
    found = fault("pushed", SECONDS)
    assert found["method"] == "same-cpu"
    estimate, truth = (found[which]["hot"] / sum(found[which].values()) for which in ("estimate", "truth"))
    assert abs(estimate - truth) < 0.06, (estimate, truth)


# --- memory --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 0])
def test_the_samplers_allocations_fail(shim: str, count: int) -> None:
    """The Nth alone, or all from the Nth on, for each N."""
    found = fault("starved", count, SECONDS, LD_PRELOAD=shim)
    assert found["wrong"] == [] and not found["running"]
    assert found["failed"] > 10 and found["most"] > 10
    assert found["empty"] < 0.5 * found["sessions"]


def test_time_beyond_memory_is_nobody_elses(shim: str) -> None:
    """Half the time in a stack that does not fit, half in one that does."""
    found = fault("starved_deep", LD_PRELOAD=shim)
    deep, flat = found["truth_ns"]
    assert found["flat_ns"] < flat + 0.3 * deep
    assert found["deep_ns"] + found["unresolved_ns"] > 0.7 * deep
    assert any("could not be resolved" in warning for warning in found["warnings"])
    assert found["unresolved_by"]["memory"] > 0.9 * found["unresolved"] > 0


def test_a_thread_met_without_memory_is_sampled_with_it(shim: str) -> None:
    found = fault("starved_thread", LD_PRELOAD=shim)
    assert found["refused"] > 0
    assert found["total_ns"] > 0.6 * found["took_ns"]  # of the time after memory came back
    assert any("samples of some threads were not taken" in warning for warning in found["warnings"])
