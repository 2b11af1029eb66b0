# SPDX-License-Identifier: MIT
"""What the self-check makes of measurements: verdicts, the printed lines, JSON, and what its judges say of made-up and of true data."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import hybridprof
from hybridprof.cli import selfcheck as command
from hybridprof.selfcheck import calls, counts, oracle, run, sampling, shares, stacks
from hybridprof.selfcheck.intervals import Estimate, exactly
from hybridprof.selfcheck.programs import file_name, load
from hybridprof.selfcheck.promises import PROMISES, Promise
from hybridprof.selfcheck.results import NOTHING, TOO_LITTLE, TOO_WIDE, failed, result_of

WITHIN = Promise("within", "within two", "points", "points", 2.0, -2.0)
AT_MOST = Promise("at_most", "at most one", "percent", "%", 1.0)
NEVER = Promise("never", "never", "count", "", 0.0, never=True)


@pytest.mark.parametrize(
    ("promise", "low", "value", "high", "verdict"),
    [
        (WITHIN, -1.0, 0.0, 1.0, "ok"),
        (WITHIN, -2.0, 0.0, 2.0, "ok"),
        (WITHIN, -2.1, 0.0, 2.0, "not shown"),
        (WITHIN, 1.9, 5.0, 8.1, "not shown"),  # far out, and not surely
        (WITHIN, 2.1, 5.0, 7.9, "out of promise"),
        (WITHIN, -9.0, -5.0, -2.1, "out of promise"),
        (WITHIN, -math.inf, 0.0, math.inf, "not shown"),
        (AT_MOST, -5.0, -4.0, 0.5, "ok"),
        (AT_MOST, -5.0, 0.0, 1.5, "not shown"),
        (AT_MOST, 1.1, 2.0, 3.0, "out of promise"),
        (NEVER, 0.0, 0.0, 0.4, "ok"),
        (NEVER, 0.0001, 0.001, 0.4, "out of promise"),
        (NEVER, 1.0, 1.0, 1.0, "out of promise"),
        (NEVER, 0.0, math.nan, 1.0, "not shown"),
        (WITHIN, -math.inf, math.nan, math.inf, "not shown"),
    ],
)
def test_verdicts(promise: Promise, low: float, value: float, high: float, verdict: str) -> None:
    assert promise.verdict(Estimate(value, low, high)) == verdict


def test_why() -> None:
    assert result_of(WITHIN, (Estimate(0, -3, 3), {})).why == TOO_WIDE
    assert result_of(WITHIN, (NOTHING, {})).why == TOO_LITTLE
    assert result_of(WITHIN, (exactly(0.0), {"examples": ["a"]})).why is None
    assert result_of(NEVER, (exactly(2.0), {"examples": ["a > b", "c"]})).why == "for instance: a > b; c"


def test_the_promises_are_those_of_the_checks() -> None:
    assert sorted(PROMISES) == sorted(name for check in run.CHECKS.values() for name in check.promises)
    assert PROMISES["traced_call"].high == (0.85 if sys.version_info < (3, 12) else 0.5)
    assert {name for name, promise in PROMISES.items() if promise.never} == {"impossible_stacks", "count_differences"}


LINES = """\
verdict         what                                            measured (95 % interval)        promise
ok              sampled stacks that cannot have been            0 (0 to 0.12) %                 none
out of promise  counts that differ from an oracle's             2                               none
                for instance: calls of f (line 3): 1, truly 2
not shown       sampled share of a half, less the true one      +0.31 (-2.50 to +3.12) points   within 2 points
                the interval is too wide on this machine
out of promise  CPU time of a sample, wake-up included          81.20 (70 to 93.46) µs          at most 50 µs
failed          slowdown of a program sampled at 100 Hz         -                               at most 1 %
                its program was ended by SIGSEGV

5 promises: 1 hold, 1 not shown (sampling_bias), 2 OUT OF PROMISE (count_differences, sample_cost), 1 FAILED (slowdown_100_hz)
"""


def made_up() -> list[Any]:
    found = {
        "impossible_stacks": (Estimate(0.0, 0.0, 0.1234), {}),
        "count_differences": (exactly(2.0), {"examples": ["calls of f (line 3): 1, truly 2"]}),
        "sampling_bias": (Estimate(0.3123, -2.5, 3.123), {}),
        "sample_cost": (Estimate(81.2, 70.0, 93.456), {"samples": 12}),
    }
    results = [result_of(PROMISES[name], each) for name, each in found.items()]
    return [*results, failed(PROMISES["slowdown_100_hz"], "its program was ended by SIGSEGV")]


def test_the_printed_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert command._shown(iter(made_up())) == made_up()
    head, empty, rest = capsys.readouterr().out.split("\n", 2)
    assert head.startswith(f"hybridprof {hybridprof.__version__} on Python {sys.version.split()[0]}, Linux-") and empty == ""
    assert rest == LINES


KEYS = ("measured", "low", "high", "promised_low", "promised_high")


def test_json() -> None:
    for result in made_up():
        found = json.loads(json.dumps(result.as_json(), allow_nan=False))
        unit = result.promise.unit
        assert list(found) == ["name", "what", "verdict", "why", *(f"{key}_{unit}" for key in KEYS), "details"]
        assert all(found[f"{key}_{unit}"] is None or isinstance(found[f"{key}_{unit}"], (int, float)) for key in KEYS)
        assert (found["why"] is None) == (found["verdict"] == "ok" or result.promise.name == "sample_cost")
    cost = made_up()[3].as_json()
    assert (cost["measured_us"], cost["low_us"], cost["high_us"], cost["promised_high_us"], cost["promised_low_us"]) == (
        81.2,
        70.0,
        93.456,
        50.0,
        None,
    )
    assert made_up()[4].as_json()["measured_percent"] is None


# --- the judges --------------------------------------------------------------------------------------------------------------------------


def test_the_truth_of_shares() -> None:
    """A loop of 50, a hot half of 300, a cold one of 600, an empty call of 40, of which 20 are the caller's in each."""
    clock = {"mix_1_1": 950.0, "mix_2_1": 1250.0, "mix_1_2": 1550.0, "mix_2_2": 1850.0, "mix_empty": 990.0}
    truth = shares.truth_of(clock)
    assert truth.share == pytest.approx(280 / 860)
    assert truth.unsure == pytest.approx(abs(260 / 820 - 300 / 900) / 2)


def share_raw(error: float | None) -> dict[str, Any]:
    return {"error": error, "share": 0.4, "unsure": 0.002, "runs": 3, "left_out": 1}


def test_shares_are_judged_over_processes() -> None:
    found, details = shares.judge_traced([share_raw(error) for error in (1.0, 2.0, 3.0, 4.0, 5.0, None)])["traced_share_error"]
    margin = 2.7764 * math.sqrt(2.5 / 5) + 0.2
    assert (found.value, found.low, found.high) == pytest.approx((3, 3 - margin, 3 + margin), abs=0.006)
    assert details == {"true_share_percent": 40.0, "truth_unsure_points": 0.2, "processes": 5, "runs": 15, "runs_left_out": 6}
    assert math.isnan(shares.judge_sampled([share_raw(None)])["sampling_bias"][0].value)


def test_a_clock_that_says_nothing_is_no_truth() -> None:
    still = dict.fromkeys(shares.MIXES, 1.0)
    assert shares._raw([0.5], [still], 0)["error"] is None
    clock = {"mix_1_1": 950.0, "mix_2_1": 1250.0, "mix_1_2": 1550.0, "mix_2_2": 1850.0, "mix_empty": 990.0}
    assert shares._raw([0.9, 280 / 860 + 0.01, 0.1], [clock, still, clock], 0)["error"] == pytest.approx(1.0)
    assert shares._raw([], [clock], 2) | {"share": None} == {"error": None, "share": None, "unsure": None, "runs": 0, "left_out": 2}


def test_a_run_in_which_another_had_the_processor_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "share_in", lambda profile: 0.5)
    assert shares._traced_run(lambda rounds: time.sleep(0.005), 1) is None
    monkeypatch.setattr(shares.time, "perf_counter_ns", lambda: 0)  # nobody else ever has it
    assert shares._traced_run(lambda rounds: sum(range(1000)), 1) == 0.5


def test_costs_are_ratios_of_their_round() -> None:
    rounds = [[30.0, 50.0, 100.0, 20.0], [60.0, 100.0, 200.0, 40.0], [30.0, 0.0, -1.0, 0.0]] * 4
    found = calls.judge([{"rounds": rounds}] * 5 + [{"rounds": []}])
    assert found["traced_call"][0] == exactly(0.5) and found["gated_call"][0] == exactly(0.2)
    assert found["traced_call"][1] == {"bare_call_ns": 45.0, "traced_call_ns": 75.0, "cprofile_ns": 150.0, "processes": 5, "rounds": 40}
    slow = [[30.0, 90.0, 100.0, 20.0]]
    spread = calls.judge([{"rounds": rounds}] * 4 + [{"rounds": slow}])["traced_call"][0]
    assert spread.value == pytest.approx(0.58) and spread.low < 0.5 < 0.7 < spread.high
    assert math.isnan(calls.judge([{"rounds": []}])["gated_call"][0].value)


def test_costs_of_samples_and_slowdowns() -> None:
    """Stretches in which others had the processor do not count."""
    alone, disturbed = [1_000, 1_000], [1_200, 1_000]
    batches = [[50_000, 2, *alone], [0, 0, *alone], [900_000, 1, *disturbed], *[[250_000, 10, *alone]] * 6]
    found, details = sampling.judge_sample([{"batches": batches}])["sample_cost"]
    assert (found, details["samples"], details["batches_left_out"]) == (exactly(25.0), 62, 2)
    pieces = [
        [[100, 100], [102, 90], [104, 104]],
        [[200, 200], [200, 200], [200, 210]],
        [[0, 0], [5, 5], [0, 0]],
        [[10, 10], [20, 30], [10, 10]],
    ]
    found, details = sampling.judge_slowdown([{"pieces": pieces * 4}])["slowdown_100_hz"]
    assert (found, details["pairs"], details["pairs_left_out"]) == (exactly(0.0), 8, 8)
    assert math.isnan(sampling.judge_slowdown([{"pieces": []}])["slowdown_100_hz"][0].value)


# --- stacks ------------------------------------------------------------------------------------------------------------------------------

LEGAL = [
    "run",
    "run drive_a a0 a1 a2 a3 a4 a5",
    "run drive_a endless_a a3 a4",
    "run endless_a",
    "run drive_c Compares.__lt__ c3 c4 c5",
    "run drive_d Constructs.__init__ d3",
    "run descend descend descend a4 a5",
    "run drive_b b0 <unresolved>",
]
IMPOSSIBLE = [
    "run drive_a a0 b1",
    "run drive_a a0 a2",
    "run drive_a b0",
    "run endless_a a3",
    "run a0",
    "drive_a a0",
    "run drive_c Compares.__lt__ c4",
    "run descend a5",
    "run drive_c Constructs.__init__",
]


@pytest.mark.parametrize(("stack", "legal"), [*((stack, True) for stack in LEGAL), *((stack, False) for stack in IMPOSSIBLE)])
def test_which_stacks_are_legal(stack: str, legal: bool) -> None:
    assert load("chains").legal(tuple(stack.split())) is legal


def test_one_impossible_stack_is_enough() -> None:
    program = load("chains")
    met = Counter({tuple(stack.split()): 100 for stack in [*LEGAL, "run drive_b b0 b1 b2 b3 b4 b5", "run drive_d d0 d1 d2 d3 d4 d5"]})
    found, details = stacks.judge([stacks._raw(program, met)])["impossible_stacks"]
    assert (found.value, found.low, details["samples"], details["unresolved"]) == (0, 0, 1000, 100)
    met["run", "drive_a", "b0"] = 1
    result = result_of(PROMISES["impossible_stacks"], stacks.judge([stacks._raw(program, met)])["impossible_stacks"])
    assert result.verdict == "out of promise" and result.why == "for instance: run > drive_a > b0"


@pytest.mark.parametrize("met", [Counter(), Counter({("run",): 5000})])
def test_a_program_that_was_hardly_met_shows_nothing(met: Counter[tuple[str, ...]]) -> None:
    raw = stacks._raw(load("chains"), met)
    assert result_of(PROMISES["impossible_stacks"], stacks.judge([raw])["impossible_stacks"]).verdict == "not shown"


# --- counts ------------------------------------------------------------------------------------------------------------------------------


def test_the_oracle_counts_what_is_known() -> None:
    program = load("odd_calls")
    found = oracle.counted(lambda: [program.factorial(5), program.even(4), sum(program.numbers(3))], file_name("odd_calls"))
    by_name = {name: (count, found.primitive_calls[name, line]) for (name, line), count in found.calls.items()}
    assert by_name == {"factorial": (5, 1), "even": (3, 1), "odd": (2, 1), "numbers": (1, 1), "leaf": (4, 4)}
    edges = {(caller and caller[0], callee[0]): count for (caller, callee), count in found.edges.items()}
    assert edges["factorial", "factorial"] == 4 and edges[None, "factorial"] == 1 and edges["numbers", "leaf"] == 4


def test_the_oracle_beneath_a_target() -> None:
    program = load("odd_calls")
    found = oracle.counted(lambda: [program.leaf(), program.catches()], file_name("odd_calls"), program.catches.__code__)
    assert {name: count for (name, _), count in found.calls.items()} == {"catches": 1, "raises": 8, "leaf": 3 + 5}


def test_differences_are_told() -> None:
    one, other = oracle.Counts(), oracle.Counts()
    for each, count in ((one, 3), (other, 4)):
        each.calls["f", 1] = count
        each.primitive_calls["f", 1] = 1
        each.edges[None, ("f", 1)] = 1
        each.edges[("g", 7), ("f", 1)] = count - 1
    assert counts.differences(one, one) == []
    assert counts.differences(one, other) == ["calls of f (line 1): 3, truly 4", "edges of f (line 1) from g (line 7): 2, truly 3"]
    assert math.isnan(counts.judge([{"differences": [], "compared": 0, "calls": 0}])["count_differences"][0].value)


# --- processes ---------------------------------------------------------------------------------------------------------------------------


def broken(source: str) -> Any:
    """A way to start a check's process that runs this instead."""
    return f"import os, sys, time; {source}"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("os.abort()", "its program was ended by SIGABRT"),
        ("sys.exit('no luck')", "its program failed with status 1: no luck"),
        ("raise ValueError('odd')", "its program failed with status 1: ValueError: odd"),
        ("os._exit(3)", "its program failed with status 3: it said nothing"),
        ("print('{')", "its program printed no result but b'{\\n'"),
        ("time.sleep(60)", "its program had not ended after 1 s"),
    ],
)
def test_a_process_that_fails(monkeypatch: pytest.MonkeyPatch, source: str, sentence: str) -> None:
    monkeypatch.setattr(run, "START", broken(source))
    monkeypatch.setattr(run, "_in_line", lambda pid: 0.0)  # however busy this machine is
    if "sleep" in source:
        monkeypatch.setattr(run, "PATIENCE_S", 1.0)
    found = list(run.results(["calls" if "sleep" not in source else "counts"], quick=True))
    assert [(result.verdict, result.why) for result in found] == [("failed", sentence)] * len(found)
    assert all(result.bad for result in found)


def test_a_process_that_gets_no_processor_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no failure of ours; one that waits for something else is."""
    monkeypatch.setattr(run, "START", broken("time.sleep(60)"))
    monkeypatch.setattr(run, "PATIENCE_S", 0.5)
    for in_line, expected in ((0.4, ("not shown", TOO_LITTLE)), (0.1, ("failed", "its program had not ended after 0 s"))):
        monkeypatch.setattr(run, "_in_line", lambda pid, in_line=in_line: in_line)
        (result,) = run.results(["counts"], quick=True)
        assert (result.verdict, result.why) == expected


def test_standing_in_line() -> None:
    assert 0 <= run._in_line(os.getpid()) < time.monotonic()
    assert run._in_line(-1) == 0


def test_an_interpreter_that_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    (result,) = run.results(["counts"], quick=True)
    assert result.verdict == "failed" and result.why is not None and result.why.startswith("its program could not be started: ")
