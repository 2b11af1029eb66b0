# SPDX-License-Identifier: MIT
"""The rate that was asked for and the one that was had, in words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridprof import _core
from hybridprof.cli import rates


def meta(ticks: int, missed: int, lowered: int = 0, rate: float = 10_000.0) -> dict[str, Any]:
    return {
        "rate_hz": rate,
        "duration_ns": 1e9 * (ticks + missed) / rate if rate else 1,
        "samples": {"ticks": ticks, "missed": missed, "lowered": lowered},
    }


def test_a_rate_that_was_had_is_said_as_it_was_asked_for() -> None:
    assert rates.in_words(meta(10_000, 50)) == "10000 Hz"
    assert rates.complaint(meta(10_000, 50)) is None


def test_a_rate_that_was_not_had() -> None:
    found = meta(3_811, 16_271)
    assert rates.had(found) == pytest.approx(1897.7, abs=0.1)
    assert rates.in_words(found) == "1,898 Hz of 10,000 asked for"
    assert rates.complaint(found) == "sampled at 1,898 Hz of 10,000 asked for: 81 % of the ticks were missed"


def test_a_rate_that_the_sampler_lowered_is_told_of_however_short_it_was() -> None:
    found = meta(600, 400, lowered=250)
    assert rates.in_words(found) == "6,000 Hz of 10,000 asked for (lowered by itself for 25 % of the ticks)"
    assert rates.complaint(found) is not None


def test_a_few_ticks_tell_nothing() -> None:
    assert rates.complaint(meta(50, 20)) is None
    assert rates.complaint(meta(899, 101)) is not None


def test_a_file_that_does_not_know_its_ticks_says_what_it_knows() -> None:
    assert rates.had(meta(0, 5)) is None
    assert rates.in_words(meta(0, 5)) == "10000 Hz"
    assert rates.had(meta(0, 0, rate=0.0)) is None


def test_a_rate_that_no_machine_has() -> None:
    """A million a second: status, the profile and its warning agree on what there was of it."""
    _core.start(rate=1e6, method="remote")
    try:
        while _core.status()["samples"]["ticks"] < 2000:
            sum(range(1000))
    finally:
        _core.stop()
    status, found = _core.status(), _core.snapshot().meta()
    samples = found["samples"]
    assert samples["ticks"] >= 2000 and samples["missed"] > samples["ticks"] / 10
    assert math.isclose(rates.had(found) or 0, status["rate_had_hz"], rel_tol=1e-3) and status["rate_had_hz"] < 0.95e6
    (warning,) = (text for text in found["warnings"] if "Hz of" in text)
    assert f"left out {samples['missed']} of {samples['ticks'] + samples['missed']} ticks" in warning
    assert f"{rates.had(found):.4g} Hz of 1e+06 asked for" in warning


def test_ticks_are_kept_in_a_file(tmp_path: Path) -> None:
    _core.start(rate=1e6, method="remote")
    while _core.status()["samples"]["lowered"] < 10:
        sum(range(1000))
    _core.stop()
    profile, name = _core.snapshot(), str(tmp_path / "kept.hyprof")
    profile.write(name)
    assert _core.load(name).meta()["samples"] == profile.meta()["samples"]


def test_whoever_asked_is_told(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    """`run` in one line on stderr, `info` for people and programs."""
    script = tmp_path / "busy.py"
    script.write_text(
        "from hybridprof import _core\n"
        "_core.adjust(rate=1e6, budget=0)\n"  # what no machine has; the command has a bound
        "while _core.status()['samples']['ticks'] < 2000: sum(range(1000))\n"
    )
    done = run_cli("run", "--rate", "10000", "--method", "remote", "-o", tmp_path / "busy.hyprof", script)
    (line,) = (line for line in done.stderr.splitlines() if "asked for" in line)
    assert line.startswith("hybridprof: sampled at ") and line.endswith(" % of the ticks were missed")
    found = json.loads(run_cli("info", tmp_path / "busy.hyprof", "--json").stdout)
    assert found["sampler_method"] == "remote" and 0 < found["rate_had_hz"] < 0.95 * found["rate_hz"]
    assert " asked for" in run_cli("info", tmp_path / "busy.hyprof").stdout
