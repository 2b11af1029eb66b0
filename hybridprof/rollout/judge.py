# SPDX-License-Identifier: MIT
"""Canary against control: pass, fail, or not enough data.

Each figure (p50, p95, CPU per request, errors, restarts) has an interval of how much worse the canary is, by bootstrap, and a tolerance.

    fail   worse beyond chance (the lower end is above 0) and by more than the tolerance
    pass   the upper end is within the tolerance
    else   not enough data

Several figures. One that fails is enough to roll back, so each more that is looked at is a chance more for a false alarm: the lower ends are at
level / number of figures (Bonferroni), and the chance of a false alarm among all of them is at most `level`. All of them must pass, which no chance
favours: the upper ends are at `level` each (an intersection-union test). Whoever looks again and again has as many chances of both kinds: `looks` divides both.

The unit is the host: resampled are hosts. Of one host alone, requests are; that they are independent of one another is then taken for granted, and said.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .figures import Host, Latencies, Side

Verdict = Literal["pass", "fail", "not enough data"]

FEWEST_HOSTS = 8
FEWEST_BEYOND = 10  # requests of a lone host beyond a percentile
GROUPS = 100
REPLICATES = 2000
MOST_REPLICATES = 5000
IN_TAIL = 20  # replicates beyond an end of the interval, so that a second run finds nearly the same end

_NORMAL = statistics.NormalDist()


@dataclass(frozen=True, slots=True)
class Figure:
    """relative: canary / control - 1 is judged, else canary - control. tolerance: in that scale."""

    name: str
    what: str
    relative: bool
    tolerance: float


FIGURES = (
    Figure("p50", "median latency", True, 0.02),
    Figure("p95", "95th percentile of latency", True, 0.02),
    Figure("cpu", "CPU per request", True, 0.02),
    Figure("errors", "errors per request", False, 0.001),
    Figure("restarts", "restarts per host", False, 0.05),
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure. effect, low, high: how much worse the canary is, and its interval; NaN where that is unknown."""

    figure: Figure
    verdict: Verdict
    reason: str
    canary: float = math.nan
    control: float = math.nan
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Judgement:
    """reasons: one sentence for each figure, those that decided first."""

    verdict: Verdict
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    level: float
    looks: int
    seed: int


class Sample(Protocol):
    """One side of one figure: its value, and what it might have been with other hosts or requests. units: resampled ones; 0 where it is counted."""

    value: float
    units: int

    def draw(self, rng: random.Random) -> float: ...


class Ratio:
    """A sum over hosts / a sum over hosts. More than GROUPS are put together in that many groups at random, which leaves the ratio's variance as it is."""

    def __init__(self, pairs: Sequence[tuple[float, float]], rng: random.Random) -> None:
        self._groups = _grouped(pairs, rng)
        self.units = len(self._groups)
        self.value = _ratio(self._groups)

    def draw(self, rng: random.Random) -> float:
        return _ratio(rng.choices(self._groups, k=self.units))


def _ratio(pairs: Sequence[complex]) -> float:
    """Both sums at once: a complex number is a pair that sum() adds in C, and adding up is most of a bootstrap's time."""
    both = sum(pairs, 0j)
    return both.real / both.imag if both.imag else math.nan


def _grouped(pairs: Sequence[tuple[float, float]], rng: random.Random) -> Sequence[complex]:
    mixed = [complex(*pair) for pair in pairs]
    if len(mixed) <= GROUPS:
        return mixed
    rng.shuffle(mixed)
    return [sum(mixed[start::GROUPS], 0j) for start in range(GROUPS)]


class Percentile:
    """Of a lone host's requests. The k-th of n values drawn anew is the one at share U(k), the k-th of n even random numbers, which is a Beta variate: an exact
    bootstrap at the cost of one number."""

    units = 0

    def __init__(self, latency: Latencies, share: float) -> None:
        self._latency = latency
        self._rank = max(1, math.ceil(share * latency.count))
        self.value = latency.at(share)

    def draw(self, rng: random.Random) -> float:
        return self._latency.at(rng.betavariate(self._rank, self._latency.count - self._rank + 1))


class Share:
    """Events among trials, with Jeffreys' half an event more of each kind: no event in 100 trials is not a rate of 0."""

    units = 0

    def __init__(self, events: float, trials: float) -> None:
        self._events, self._trials = events, trials
        self.value = events / trials

    def draw(self, rng: random.Random) -> float:
        return rng.betavariate(self._events + 0.5, self._trials - self._events + 0.5)


class Rate:
    """Events by host, of which there may be several on one; else as Share."""

    units = 0

    def __init__(self, events: float, hosts: float) -> None:
        self._events, self._hosts = events, hosts
        self.value = events / hosts

    def draw(self, rng: random.Random) -> float:
        return rng.gammavariate(self._events + 0.5, 1.0) / self._hosts


def _pairs(side: Side, pair: Callable[[Host], tuple[float | None, float | None] | None]) -> list[tuple[float, float]]:
    found = [pair(host) or (None, None) for host in side]
    return [(over, under) for over, under in found if over is not None and under]


def _percentile(side: Side, share: float, lone: bool, rng: random.Random) -> list[Sample] | str | None:
    latency = side[0].latency if lone else None
    if latency is None:
        return _hosts(_pairs(side, lambda host: (host.percentile(share), 1.0)), rng)
    if (1 - share) * latency.count < FEWEST_BEYOND:
        return f"{latency.count} requests, and {math.ceil(FEWEST_BEYOND / (1 - share) - 1e-9)} are needed"
    return [Percentile(latency, share)] if math.isfinite(latency.at(share)) else "it is beyond the histogram's last bucket"


def _hosts(pairs: list[tuple[float, float]], rng: random.Random) -> list[Sample] | str | None:
    if not pairs:
        return None
    if len(pairs) < FEWEST_HOSTS:
        return f"{len(pairs)} host{'s' if len(pairs) > 1 else ''}, and {FEWEST_HOSTS} are needed"
    return [Ratio(pairs, rng)]


def _events(
    pairs: list[tuple[float, float]], counted: Callable[[float, float], Sample], lone: bool, rng: random.Random
) -> list[Sample] | str | None:
    """Counting is the least there is of chance; hosts that differ add theirs."""
    differing = None if lone and pairs else _hosts(pairs, rng)
    if not pairs or isinstance(differing, str):
        return differing
    return [counted(sum(over for over, _ in pairs), sum(under for _, under in pairs)), *(differing or [])]


def samples(figure: Figure, side: Side, lone: bool, rng: random.Random) -> list[Sample] | str | None:
    """Each of them is a way to see the figure's chance, and the widest counts. None: not measured. Text: why there is too little.
    lone: each side is one host, so that only its requests can be resampled."""
    if figure.name in ("p50", "p95"):
        return _percentile(side, 0.5 if figure.name == "p50" else 0.95, lone, rng)
    if figure.name == "cpu":
        return _hosts(_pairs(side, lambda host: host.cpu), rng)
    if figure.name == "errors":
        return _events(_pairs(side, lambda host: (host.errors, host.requests)), Share, lone, rng)
    return _events(_pairs(side, lambda host: (host.restarts, 1.0)), Rate, lone, rng)


def _effect(figure: Figure, canary: float, control: float) -> float:
    if not figure.relative:
        return canary - control
    if control:
        return canary / control - 1
    return math.inf if canary else 0.0


def student(tail: float, freedom: int) -> float:
    """The point of Student's t that `tail` is beyond, by its expansion around the normal one: within 1 % for tails of 0.1 % and more from 7 degrees of freedom on."""
    z = -_NORMAL.inv_cdf(tail)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / freedom + second / freedom**2 + third / freedom**3 + fourth / freedom**4


def expanded(tail: float, units: int) -> float:
    """Percentiles of resampled means are too near to each other where units are few: as for a variance with 1/n and a normal in place of a t. This is the tail
    of the normal that makes up for both (Hesterberg 2015)."""
    if units == 0:
        return tail
    return max(1e-300, _NORMAL.cdf(-math.sqrt(units / (units - 1)) * student(tail, units - 1)))


def _interval(figure: Figure, canary: Sample, control: Sample, tails: tuple[float, float], rng: random.Random) -> tuple[float, float]:
    units = min([each.units for each in (canary, control) if each.units] or [0])
    below, above = (expanded(tail, units) for tail in tails)
    count = min(MOST_REPLICATES, max(REPLICATES, math.ceil(IN_TAIL / below)))
    drawn = (_effect(figure, canary.draw(rng), control.draw(rng)) for _ in range(count))
    effects = sorted(effect for effect in drawn if not math.isnan(effect))
    if not effects:
        return -math.inf, math.inf
    middle = _effect(figure, canary.value, control.value)
    return _end(effects, middle, below), _end(effects[::-1], middle, above)


def _end(effects: list[float], middle: float, tail: float) -> float:
    """The effect before which `tail` of them are. Where that is too small a tail for so many of them, the smallest that is not, carried on as a normal would be."""
    known = max(tail, IN_TAIL / len(effects)) if len(effects) > 2 * IN_TAIL else 0.5
    end = effects[min(len(effects) - 1, int(known * len(effects)))]
    if known <= tail or not math.isfinite(end) or not math.isfinite(middle) or known >= 0.5:
        return end
    return middle + (end - middle) * _NORMAL.inv_cdf(tail) / _NORMAL.inv_cdf(known)


def _comparison(
    figure: Figure, canaries: list[Sample], controls: list[Sample], tails: tuple[float, float], rng: random.Random
) -> Comparison:
    canary, control = canaries[0].value, controls[0].value
    effect = _effect(figure, canary, control)
    ends = [_interval(figure, one, other, tails, rng) for one, other in zip(canaries, controls, strict=True)]
    low, high = min([effect, *(end[0] for end in ends)]), max([effect, *(end[1] for end in ends)])
    if figure.relative and not control:
        verdict: Verdict = "not enough data"
    elif low > 0 and effect > figure.tolerance:
        verdict = "fail"
    else:
        verdict = "pass" if high <= figure.tolerance else "not enough data"
    return Comparison(figure, verdict, _reason(figure, verdict, canary, control, (effect, low, high)), canary, control, effect, low, high)


def _reason(figure: Figure, verdict: Verdict, canary: float, control: float, ends: tuple[float, float, float]) -> str:
    effect, low, high = (amount(figure, end) for end in ends)
    told = f"{figure.what} is {canary:.4g} against {control:.4g}"
    if figure.relative and not control:
        return f"{told}: there is nothing to compare with"
    says = {"fail": "worse beyond chance and tolerance", "pass": "within tolerance", "not enough data": "too wide to tell"}[verdict]
    return f"{told}: {effect} ({low} to {high}), {says} ({amount(figure, figure.tolerance)})"


def amount(figure: Figure, value: float) -> str:
    """An effect in its unit: `+2.10 %`, `+0.020 points`, `+0.05`."""
    if figure.relative:
        return f"{100 * value:+.2f} %"
    return f"{100 * value:+.3f} points" if figure.name == "errors" else f"{value:+.3f}"


def _unknown(figure: Figure, canary: list[Sample] | str | None, control: list[Sample] | str | None) -> Comparison | None:
    """Of a figure that is not known well enough on both sides; None where it is."""
    for name, side in (("canary", canary), ("control", control)):
        if side is None:
            return Comparison(figure, "not enough data", f"{figure.what} is not known of the {name}")
        if isinstance(side, str):
            return Comparison(figure, "not enough data", f"{figure.what}, {name}: {side}")
    return None


def judge(
    canary: Side, control: Side, tolerances: Mapping[str, float] | None = None, *, level: float = 0.05, looks: int = 1, seed: int = 0
) -> Judgement:
    """The same figures and seed give the same judgement. Raises ValueError for tolerances, levels and looks that are none."""
    figures = _figures(tolerances or {}, level, looks)
    rng = random.Random(seed)
    lone = len(canary) == len(control) == 1
    sides = [(figure, samples(figure, canary, lone, rng), samples(figure, control, lone, rng)) for figure in figures]
    known = [each for each in sides if each[1] is not None or each[2] is not None]
    tails = (level / looks / max(1, len(known)), level / looks)
    comparisons = []
    for figure, one, other in known:
        missing = _unknown(figure, one, other)
        if missing is None and isinstance(one, list) and isinstance(other, list):
            missing = _comparison(figure, one, other, tails, rng)
        assert missing is not None
        comparisons.append(missing)
    return _judgement(comparisons, level, looks, seed)


def _figures(tolerances: Mapping[str, float], level: float, looks: int) -> list[Figure]:
    for name, value in tolerances.items():
        if name not in {figure.name for figure in FIGURES}:
            raise ValueError(f"there is no figure {name!r}; use one of {', '.join(figure.name for figure in FIGURES)}")
        if not 0 <= value < math.inf:
            raise ValueError(f"the tolerance of {name} must be 0 or more, not {value}")
    if not 0.0001 <= level <= 0.5:
        raise ValueError(f"level is the chance of a false alarm, from 0.0001 to 0.5, not {level}")
    if not 1 <= looks <= 1000:
        raise ValueError(f"looks is how often the same rollout is judged, from 1 to 1000, not {looks}")
    return [Figure(each.name, each.what, each.relative, tolerances.get(each.name, each.tolerance)) for each in FIGURES]


def _judgement(comparisons: list[Comparison], level: float, looks: int, seed: int) -> Judgement:
    found = {comparison.verdict for comparison in comparisons}
    verdict: Verdict = "fail" if "fail" in found else "pass" if found == {"pass"} else "not enough data"
    ordered = sorted(comparisons, key=lambda each: each.verdict != verdict)
    reasons = [f"{each.figure.name}: {each.reason}" for each in ordered] or ["no figure is known of either side"]
    return Judgement(verdict, tuple(reasons), tuple(comparisons), level, looks, seed)


def enforce(judgement: Judgement, roll_back: Callable[[str], object]) -> bool:
    """For the rollout: calls roll_back with the reason where the canary failed, and only there. False too where that could not be done: a hook's own error is
    no reason to end the program, and the next judgement tries again."""
    if judgement.verdict != "fail":
        return False
    try:
        roll_back(judgement.reasons[0])
    except Exception:
        return False
    return True
