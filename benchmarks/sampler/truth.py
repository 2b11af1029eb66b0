# SPDX-License-Identifier: MIT
"""From what `programs/alternating.py` measured to shares that are true, and from samples to estimates of them and their errors."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass

from sampler.peers.base import Stack

Clock = dict[str, int]  # ns of every block in all, and "rounds"


@dataclass(frozen=True)
class Truth:
    """share: of hot in hot and cold. unsure: half of what the callers' part can change it by. apart: its two independent estimates. All 0 to 1.
    period: ns of one hot and one cold half. plain, more: ns of one round of every mix of the first and of the second program."""

    share: float
    unsure: float
    apart: float
    period: float
    plain: float
    more: float


def of_clock(clock: Clock) -> Truth:
    each = {name: value / clock["rounds"] for name, value in clock.items() if name != "rounds"}
    hots = each["plain 2 1"] - each["plain 1 1"], each["plain 2 2"] - each["plain 1 2"]
    colds = each["plain 1 2"] - each["plain 1 1"], each["plain 2 2"] - each["plain 2 1"]
    hot, cold, call = sum(hots) / 2, sum(colds) / 2, each["empty"] - each["plain 1 1"]

    def share(callers: float) -> float:
        return (hot - callers) / (hot + cold - 2 * callers)

    return Truth(
        share=share(call / 2),
        unsure=abs(share(call) - share(0)) / 2,
        apart=abs(hots[0] / (hots[0] + colds[0]) - hots[1] / (hots[1] + colds[1])),
        period=each["plain 1 1"],
        plain=sum(value for name, value in each.items() if name.startswith("plain")),
        more=sum(value for name, value in each.items() if name.startswith("more")),
    )


def joined(*clocks: Clock) -> Clock:
    return {name: sum(clock[name] for clock in clocks) for name in clocks[0]}


def sums_of(weights: Counter[Stack]) -> Counter[str]:
    """By program, half and function; only what lies in one of the two programs."""
    sums: Counter[str] = Counter()
    for stack, weight in weights.items():
        names = [name for name, _ in stack]
        block = next((name for name in names if name.startswith(("plain_", "more_"))), "")
        if not block:
            continue
        program = block.partition("_")[0]
        sums["all"] += weight
        if program == "plain" and {"hot", "hot_bare", "cold"} & set(names):
            sums["cold" if "cold" in names else "hot"] += weight
        if block != "plain_empty":
            sums[program] += weight
            sums["tiny " + program] += weight if names[-1].startswith("tiny") else 0
    return sums


@dataclass(frozen=True)
class Errors:
    """Estimate minus truth. hot: of its share in hot and cold. tiny: of its self share in the second program, beyond what it has in the first; 0
    where there was no second one.
    Margins are half of 95 % intervals, as far as samples are independent. All 0 to 1."""

    hot: float
    hot_margin: float
    tiny: float
    tiny_margin: float
    tiny_share: float
    truth: dict[str, float]


def errors(weights: Counter[Stack], samples: float, clock: Clock) -> Errors | None:
    """samples: as many equal ones as would vary as much. None where nothing was seen."""
    sums, truth = sums_of(weights), of_clock(clock)
    if not (sums["hot"] + sums["cold"] and sums["plain"] and (sums["more"] or not truth.more)):
        return None
    each = samples / sum(weights.values())
    share = sums["hot"] / (sums["hot"] + sums["cold"])
    first, second = sums["tiny plain"] / sums["plain"], sums["tiny more"] / max(sums["more"], 1)
    ratio = truth.plain / truth.more if truth.more else 1.0
    return Errors(
        hot=share - truth.share,
        hot_margin=_margin(share, each * (sums["hot"] + sums["cold"])),
        tiny=second - first * ratio - (1 - ratio) if truth.more else 0.0,
        tiny_margin=math.hypot(_margin(second, each * max(sums["more"], 1)), ratio * _margin(first, each * sums["plain"])),
        tiny_share=first,
        truth=asdict(truth),
    )


def _margin(share: float, samples: float) -> float:
    return 1.96 * math.sqrt(max(0.0, share * (1 - share)) / samples)
