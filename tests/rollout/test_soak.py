# SPDX-License-Identifier: MIT
"""The verdict on a soak of the service: a record that is well passes, and each thing that is wrong with one is said. The soak itself is `make soak-service`."""

from __future__ import annotations

from typing import Any

import pytest
from rollout.soak.plot import drawn
from rollout.soak.verdict import complaints
from rollout.soak.walk import SHARES

STAGES = {
    "off": "off",
    "dark": "dark",
    "canary": "canary",
    "fleet": "fleet",
    "killed": "off",
    "end": "off",
    "deep": "deep",
    "crash": "deep",
}
PHASE = 250.0  # seconds


def row(at: float, phase: str) -> dict[str, Any]:
    stage = STAGES.get(phase, "wide")
    runs = 0 if stage in ("off", "dark") else 2
    known: dict[str, Any] = {"at": at, "seconds": 10.0, "phase": phase, "stage": stage, "runs": runs, "requests": 200, "cpu_s": 0.4}
    costs = {"kernel_sampler_s": 0.01 if runs else 0.0, "sampler_of_budget": 0.6, "tracer_of_budget": 0.5, "step": 0}
    return {**known, **costs, "files": 20, "file_bytes": 1_000_000, "problems": [], "requests_per_s": 20.0, "p50_ms": 2.0}


def record() -> dict[str, Any]:
    times = {name: (PHASE * number, PHASE * (number + 1)) for number, name in enumerate(SHARES)}
    rows = [row(first + 10.0 * number, name) for name, (first, _) in times.items() for number in range(1, 26)]
    facts: dict[str, Any] = {f"{name}: in force after": 1.0 for name in STAGES}
    facts |= {"crash: worker": 7, "crash: at": times["crash"][0], "crash: replaced after": 0.2, "crash: stage down after": 4.0}
    facts |= {"wide: steps before the jump": 0, "jump: a step after": 0.5, "back: steps in force at the end": 0}
    facts |= {"killed: nothing runs and nothing is armed after": 1.0, "killed: bare to the end": True, "again: runs after": 1.0}
    return {"rows": rows, "facts": facts, "times": times, "told": {"workers": 2, "seen": {7, 8, 9}, "failures": []}}


def said(found: dict[str, Any]) -> list[str]:
    return complaints(found["rows"], found["facts"], found["times"], found["told"])


def test_a_service_that_is_well_passes() -> None:
    assert said(record()) == []


@pytest.mark.parametrize(
    ("phase", "change", "words"),
    [
        ("wide", {"tracer_of_budget": 1.01}, "the tracer took 1.01 times its budget"),
        ("fleet", {"sampler_of_budget": 1.2}, "the sampler took 1.20 times its budget"),
        ("fleet", {"kernel_sampler_s": 2.0}, "by the kernel's clock"),
        ("killed", {"runs": 1}, "under the kill file, 1 samplers ran"),
        ("killed", {"cpu_s": 4.0}, "under the kill file, and 2.000 ms in stage off"),
        ("fleet", {"files": 25}, "held 25 files"),
        ("fleet", {"problems": ["no memory"]}, "a worker says: no memory"),
    ],
)
def test_what_a_row_shows_is_said(phase: str, change: dict[str, Any], words: str) -> None:
    found = record()
    next(each for each in reversed(found["rows"]) if each["phase"] == phase).update(change)
    assert any(words in sentence for sentence in said(found)), said(found)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("deep: in force after", 6.0, "deep: in force after 6.0 s"),
        ("fleet: in force after", None, "fleet: in force after more than"),
        ("jump: a step after", None, "shows nothing of budgets"),
        ("back: steps in force at the end", 3, "3 steps are still in force"),
        ("killed: nothing runs and nothing is armed after", 5.5, "in force after 5.5 s"),
        ("killed: bare to the end", False, "something ran or was armed"),
        ("crash: stage down after", None, "stage down after more than"),
    ],
)
def test_what_a_fact_says_is_said(name: str, value: object, words: str) -> None:
    found = record()
    found["facts"][name] = value
    assert any(words in sentence for sentence in said(found)), said(found)


def test_lost_workers_and_failed_requests_are_said() -> None:
    found = record()
    at = found["facts"]["crash: at"]
    found["told"]["failures"] = [{"at": at + 0.5, "failed": "reset"}]
    assert said(found) == []  # that of the crashed worker
    found["told"] = {"workers": 2, "seen": {7, 8, 9, 10}, "failures": [{"at": at + 100, "failed": "reset"}]}
    assert [sentence.partition(" ")[0] for sentence in said(found)] == ["2", "a"]


def test_the_plot_is_an_svg_with_every_phase() -> None:
    from xml.etree import ElementTree

    found = record()
    found["rows"][3]["p50_ms"] = None  # nothing is known: the line is broken
    root = ElementTree.fromstring(drawn(found["rows"], found["times"], "a < b"))
    assert {"a < b", *SHARES} <= {element.text for element in root.iter() if element.text}
    assert len([element for element in root.iter() if element.tag.endswith("polyline")]) == 6
