# SPDX-License-Identifier: MIT
"""Samples in the order of time: what a program did, when and for how long, is what its files show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import hybridprof

Run = Callable[..., "CompletedProcess[str]"]

# Each function for about this time, one of them twice; it says how long each really took.
PHASES = """
import json, time
def spin(end):
    while time.perf_counter() < end: pass
def first(): spin(time.perf_counter() + 0.5)
def second(): spin(time.perf_counter() + 0.25)
began = time.perf_counter()
first(); a = time.perf_counter(); second(); b = time.perf_counter(); first(); c = time.perf_counter()
with open("took.json", "w") as file: json.dump([a - began, b - a, c - b], file)
"""


@pytest.fixture
def recorded(run_cli: Run, tmp_path: Path) -> Path:
    (tmp_path / "phases.py").write_text(PHASES)
    run_cli("run", "--timeline", "-r", 1000, "-o", "x.hyprof", "phases.py")
    return tmp_path / "x.hyprof"


def phases(spans: list[tuple[float, float, list[str]]]) -> list[tuple[str, float]]:
    """spans: begin and length in s, names from the outermost. Neighbours that are in one phase are one; what lies between phases is no phase."""
    found: list[tuple[str, float]] = []
    for _, length, names in spans:
        phase = next((name for wanted in ("first", "second") for name in names if name.endswith(f".{wanted}")), "").rpartition(".")[2]
        if not phase:
            continue
        if found and found[-1][0] == phase:
            found[-1] = (phase, found[-1][1] + length)
        else:
            found.append((phase, length))
    return found


def speedscope_spans(text: str) -> list[tuple[float, float, list[str]]]:
    file = json.loads(text)
    shown = file["profiles"][file["activeProfileIndex"]]
    assert shown["name"].endswith(", in the order of time")
    spans, at = [], 0.0
    for stack, weight in zip(shown["samples"], shown["weights"], strict=True):
        spans.append((at, weight / 1e9, [file["shared"]["frames"][frame]["name"] for frame in stack]))
        at += weight / 1e9
    assert shown["endValue"] == sum(shown["weights"])
    return spans


def gecko_spans(text: str) -> list[tuple[float, float, list[str]]]:
    file = json.loads(text)
    (chosen,) = file["meta"]["initialSelectedThreads"]
    thread, shared = file["threads"][chosen], file["shared"]
    assert thread["name"] == "MainThread, in the order of time"

    def names(stack: int | None) -> list[str]:
        found = []
        while stack is not None:
            function = shared["frameTable"]["func"][shared["stackTable"]["frame"][stack]]
            found.append(shared["stringArray"][shared["funcTable"]["name"][function]])
            stack = shared["stackTable"]["prefix"][stack]
        return found

    samples: dict[str, list[Any]] = thread["samples"]
    assert samples["time"] == sorted(samples["time"])
    return [
        (time / 1e3, weight / 1e3, names(stack))
        for time, weight, stack in zip(samples["time"], samples["weight"], samples["stack"], strict=True)
    ]


@pytest.mark.timing
@pytest.mark.parametrize(("suffix", "spans_of"), [("speedscope.json", speedscope_spans), ("gecko.json", gecko_spans)])
def test_phases_are_in_their_order_and_of_their_length(recorded: Path, tmp_path: Path, suffix: str, spans_of: Callable[[str], Any]) -> None:
    hybridprof.load(recorded).write(tmp_path / f"x.{suffix}")
    spans = spans_of((tmp_path / f"x.{suffix}").read_text())
    found = phases(spans)
    assert [name for name, _ in found] == ["first", "second", "first"]
    for (_, length), took in zip(found, json.loads((tmp_path / "took.json").read_text()), strict=True):
        assert abs(length - took) < 0.1  # the sampler may be late where the machine is busy: what it missed goes to the next sample
    begins = [begin for begin, _, names in spans if names]
    assert begins == sorted(begins)


def test_it_is_told_and_every_sample_is_in_it(recorded: Path, run_cli: Run) -> None:
    profile = hybridprof.load(recorded)
    timeline = profile.timeline
    assert timeline is not None and timeline.lost == 0
    assert timeline.samples == profile.meta["samples"]["kept"] > 100
    assert f"{timeline.samples:,} samples in the order of time" in run_cli("info", recorded).stdout
    assert json.loads(run_cli("info", "--json", recorded).stdout)["timeline"] == {"samples": timeline.samples, "lost": 0}


def test_without_being_asked_for_there_is_none(run_python: Run) -> None:
    done = run_python("import hybridprof\nwith hybridprof.Profiler(rate=1000) as p:\n    sum(range(10**6))\nprint(p.profile.timeline)")
    assert done.stdout == "None\n"


def test_a_merged_profile_has_none_and_says_so(recorded: Path) -> None:
    profile = hybridprof.load(recorded)
    merged = hybridprof.merge([profile])
    assert merged.timeline is None
    assert sum("no timeline" in warning for warning in merged.meta["warnings"]) == 1


def test_what_is_traced_is_left_out(run_python: Run) -> None:
    """Exact time has no samples: the rest of the thread does, and its weights are the thread's sampled time."""
    done = run_python("""
import hybridprof, time
def work(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: pass
@hybridprof.deep
def traced(): work(0.2)
with hybridprof.Profiler(rate=1000, timeline=True) as profiler:
    work(0.1); traced(); work(0.1)
profile = profiler.profile
print(profile.timeline.lost, profile.timeline.samples == sum(thread.samples for thread in profile.threads))
""")
    assert done.stdout == "0 True\n"


def test_a_thread_that_is_renamed_loses_nothing_that_is_in_the_file(run_python: Run, tmp_path: Path) -> None:
    """A server's threads are named after their requests, and a file that is written meanwhile has what they did under the names before."""
    done = run_python("""
import hybridprof, threading, time
from hybridprof import _core
def work(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: pass
with hybridprof.Profiler(rate=1000, timeline=True) as profiler:
    _core.stream("x.hyprof", 0.02)
    for i in range(4):
        work(0.1)
        threading.current_thread().name = f"request {i}"
assert [thread.name for thread in profiler.profile.threads] == ["request 3"]
""")
    assert done.stdout == "" and done.stderr == ""
    profile = hybridprof.load(tmp_path / "x.hyprof")
    assert profile.timeline is not None and profile.timeline.lost == 0
    assert profile.timeline.samples == profile.meta["samples"]["kept"]
    assert [thread.name for thread in profile.threads] == ["MainThread"]
    assert sum("names that they had first" in warning for warning in profile.meta["warnings"]) == 1
