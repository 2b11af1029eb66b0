# SPDX-License-Identifier: MIT
"""How far sampled and traced shares are from the true one.

What a half costs alone is not what it costs next to the other half, with that one's caches and branch history. So the truth is a regression:
rounds of h hot and c cold halves take turns of a millisecond by the thread's CPU clock, and each costs loop + h hot + c cold. What one more
half of a kind costs is measured beside one and beside two of the other. A call of an empty function, measured in the same way, bounds what of
a half's call belongs to its caller: half of it is taken off, which may be wrong by half of it, and the interval is widened by that.

A sampler is compared with the truth of the very run that it sampled. A tracer changes what calls cost, so it is compared with the bare program
before and after. Traced times are wall time: runs in which something else had the processor are left out, and counted.

A process keeps where its code lies in memory, what the processor makes of that, and what was calibrated; so there are several, and the interval is
over their means.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass
from typing import Any

import hybridprof

from . import intervals
from .programs import load
from .results import Found, Raw

MIXES = ("mix_1_1", "mix_2_1", "mix_1_2", "mix_2_2", "mix_empty")
TURN_NS = 1_000_000
FEWEST_RUNS = 3  # undisturbed ones, whose median then cannot be the one odd run
LEARNED = 8  # calls of a target after which it is rarely asked anew what it calls
BARE_S = 0.02  # before and after each traced run
RATE_HZ = 4000.0

Clock = dict[str, float]  # ns of one round of each mix


@dataclass(frozen=True, slots=True)
class Truth:
    """share of hot in hot and cold; unsure: by how much it may be off however long one measures. Both 0 to 1."""

    share: float
    unsure: float


def truth_of(clock: Clock) -> Truth:
    one, empty = clock["mix_1_1"], clock["mix_empty"]
    hot = (clock["mix_2_1"] - one + clock["mix_2_2"] - clock["mix_1_2"]) / 2
    cold = (clock["mix_1_2"] - one + clock["mix_2_2"] - clock["mix_2_1"]) / 2

    def share(callers: float) -> float:
        return (hot - callers) / (hot + cold - 2 * callers)

    return Truth(share((empty - one) / 2), abs(share(empty - one) - share(0)) / 2)


def _timed(function: Any, rounds: int) -> int:
    started = time.thread_time_ns()
    function(rounds)
    return time.thread_time_ns() - started


def rounds_for(program: Any) -> int:
    """So many that a turn takes about a millisecond; the interpreter specialises meanwhile."""
    return max(10, int(TURN_NS * 200 / max(1, min(_timed(program.mix_1_1, 200) for _ in range(20)))))


def measured(program: Any, rounds: int, seconds: float) -> Clock:
    """Every mix in turn for some seconds by the wall: it ends on a busy machine too."""
    sums = dict.fromkeys(MIXES, 0)
    turns = 0
    end = time.perf_counter() + seconds
    while turns < 2 or time.perf_counter() < end:
        for name in random.sample(MIXES, len(MIXES)):  # a sampler that gets a processor at the scheduler's ticks must not keep step
            sums[name] += _timed(getattr(program, name), rounds)
        turns += 1
    return {name: total / turns / rounds for name, total in sums.items()}


def share_in(profile: hybridprof.Profile) -> float | None:
    """The share that the profile says; None where it saw neither half."""
    totals = {row.name: row.total_ns for row in profile.functions if row.name in ("hot", "cold")}
    both = sum(totals.values())
    return totals.get("hot", 0) / both if both else None


def _raw(shares: list[float], clocks: list[Clock], left_out: int) -> Raw:
    """Points by which the median of the shares is off the truth of the median clock: a disturbed run or turn does no harm. null where there is none."""
    raw: Raw = {"error": None, "share": None, "unsure": None, "runs": len(shares), "left_out": left_out}
    try:
        truth = truth_of({name: statistics.median(clock[name] for clock in clocks) for name in MIXES})
    except ZeroDivisionError:
        return raw
    if shares and 0 < truth.share < 1:
        raw.update(error=100 * (statistics.median(shares) - truth.share), share=truth.share, unsure=truth.unsure)
    return raw


def sampled(seconds: float) -> Raw:
    """One run."""
    program = load("halves")
    rounds = rounds_for(program)
    measured(program, rounds, 0.05)
    with hybridprof.Profiler(rate=RATE_HZ, clock="cpu") as profiler:
        clock = measured(program, rounds, seconds)
    share = share_in(profiler.profile)
    return _raw([] if share is None else [share], [clock], 0)


def _traced_run(target: Any, rounds: int) -> float | None:
    """None where it was disturbed."""
    with hybridprof.Profiler() as profiler:
        for _ in range(LEARNED):
            target(1)
        wall = time.perf_counter_ns()
        own = _timed(target, rounds)
        wall = time.perf_counter_ns() - wall
    return share_in(profiler.profile) if wall <= 1.02 * own + 20_000 else None


def traced(seconds: float) -> Raw:
    """Short runs, and the bare program before, between and after them."""
    program = load("halves")
    rounds = rounds_for(program)
    target = hybridprof.deep(program.mix_1_1)
    shares: list[float | None] = []
    clocks = [measured(program, rounds, BARE_S)]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        shares.append(_traced_run(target, rounds))
        clocks.append(measured(program, rounds, BARE_S))
    clean = [share for share in shares if share is not None]
    return _raw(clean if len(clean) >= FEWEST_RUNS else [], clocks, len(shares) - len(clean))


def _judged(raws: list[Raw]) -> Found:
    used = [raw for raw in raws if raw["error"] is not None]
    unsure = 100 * statistics.fmean(raw["unsure"] for raw in used) if used else 0.0
    details = {
        "true_share_percent": round(100 * statistics.fmean(raw["share"] for raw in used), 2) if used else None,
        "truth_unsure_points": round(unsure, 2),
        "processes": len(used),
        "runs": sum(raw["runs"] for raw in used),
        "runs_left_out": sum(raw["left_out"] for raw in raws),
    }
    return intervals.mean([raw["error"] for raw in used]).widened(unsure), details


def judge_sampled(raws: list[Raw]) -> dict[str, Found]:
    return {"sampling_bias": _judged(raws)}


def judge_traced(raws: list[Raw]) -> dict[str, Found]:
    return {"traced_share_error": _judged(raws)}
