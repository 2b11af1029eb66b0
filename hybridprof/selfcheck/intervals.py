# SPDX-License-Identifier: MIT
"""Estimates and their 95 % intervals. Where there is too little to say anything, the interval is infinite: it never looks better than it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Z = statistics.NormalDist().inv_cdf(0.975)
FEWEST = 5  # batches that a mean's interval needs


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value and the ends of its 95 % interval, in one unit."""

    value: float
    low: float
    high: float

    def widened(self, by: float) -> Estimate:
        """For an error that more measuring would not make smaller."""
        return Estimate(self.value, self.low - by, self.high + by)


def exactly(value: float) -> Estimate:
    """Counted, not estimated."""
    return Estimate(value, value, value)


def student(freedom: int) -> float:
    """The 97.5 % point of Student's t, by its expansion around the normal one: within 0.3 % from 4 degrees of freedom on, infinite below."""
    if freedom < FEWEST - 1:
        return math.inf
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / freedom + second / freedom**2 + third / freedom**3


def mean(batches: Sequence[float]) -> Estimate:
    """Of batches of one run, each so long that they are independent of one another."""
    if not batches:
        return Estimate(math.nan, -math.inf, math.inf)
    middle = statistics.fmean(batches)
    if len(batches) < FEWEST:
        return Estimate(middle, -math.inf, math.inf)
    margin = student(len(batches) - 1) * statistics.stdev(batches) / math.sqrt(len(batches))
    return Estimate(middle, middle - margin, middle + margin)


def median(values: Sequence[float]) -> Estimate:
    """The interval is between two order statistics: it holds for any distribution, so an outlier of a busy machine does no harm. Needs six values."""
    if not values:
        return Estimate(math.nan, -math.inf, math.inf)
    ordered = sorted(values)
    rank = _rank(len(ordered))
    if rank == 0:
        return Estimate(statistics.median(ordered), -math.inf, math.inf)
    return Estimate(statistics.median(ordered), ordered[rank - 1], ordered[-rank])


def _rank(count: int) -> int:
    """The largest k so that fewer than k of `count` values lie below their median with a chance of at most 2.5 %; 0 where there is none."""
    below, rank = 0, 0
    while rank < count and (below := below + math.comb(count, rank)) <= 0.025 * 2**count:
        rank += 1
    return rank


def proportion(hits: int, trials: int) -> Estimate:
    """Wilson's interval: it does not shrink to nothing where there are no hits."""
    if trials == 0:
        return Estimate(math.nan, 0.0, 1.0)
    share, weight = hits / trials, Z * Z / trials
    middle = (share + weight / 2) / (1 + weight)
    margin = Z * math.sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    return Estimate(share, max(0.0, middle - margin) if hits else 0.0, min(1.0, middle + margin) if hits < trials else 1.0)
