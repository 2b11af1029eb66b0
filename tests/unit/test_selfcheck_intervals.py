# SPDX-License-Identifier: MIT
"""The self-check's statistics: known answers, and intervals that cover what they should."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from hybridprof.selfcheck import intervals


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(4, 2.776445), (5, 2.570582), (7, 2.364624), (9, 2.262157), (30, 2.042272), (1000, 1.962339)]
)
def test_students_t(freedom: int, quantile: float) -> None:
    assert intervals.student(freedom) == pytest.approx(quantile, rel=0.003)


def test_a_mean() -> None:
    found = intervals.mean([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.value == 3.0
    assert (found.low, found.high) == pytest.approx((3 - 2.7764 * math.sqrt(2.5 / 5), 3 + 2.7764 * math.sqrt(2.5 / 5)), abs=0.006)


@pytest.mark.parametrize("few", [[], [1.0], [1.0, 1.0, 1.0, 1.0]])
def test_too_few_batches_say_nothing(few: list[float]) -> None:
    found = intervals.mean(few)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert math.isnan(found.value) == (not few)


@pytest.mark.parametrize(("count", "rank"), [(5, 0), (6, 1), (8, 1), (9, 2), (20, 6), (50, 18), (100, 40)])
def test_the_order_statistics_of_a_median(count: int, rank: int) -> None:
    """Ranks of the sign test, as in the tables of Conover, Practical Nonparametric Statistics."""
    found = intervals.median([float(number) for number in range(1, count + 1)])
    assert found.value == (count + 1) / 2
    assert (found.low, found.high) == ((rank, count + 1 - rank) if rank else (-math.inf, math.inf))


def test_an_outlier_moves_no_median() -> None:
    assert intervals.median([1.0] * 20 + [1e9]) == intervals.Estimate(1.0, 1.0, 1.0)
    assert math.isnan(intervals.median([]).value)


def test_proportions() -> None:
    """Wilson's: 0 of 10 reaches to 0.2775, 5 of 10 from 0.2366 to 0.7634 (Brown, Cai, DasGupta 2001)."""
    none, half, all_of_them = (intervals.proportion(hits, 10) for hits in (0, 5, 10))
    assert (none.value, none.low, none.high) == pytest.approx((0, 0, 0.2775), abs=1e-4)
    assert (half.value, half.low, half.high) == pytest.approx((0.5, 0.2366, 0.7634), abs=1e-4)
    assert (all_of_them.low, all_of_them.high) == pytest.approx((0.7225, 1), abs=1e-4)
    assert intervals.proportion(1, 100_000).low > 0
    assert math.isnan(intervals.proportion(0, 0).value)


def test_the_intervals_cover() -> None:
    """What 95 % of them should hold, 2,000 of each, of a normal and of a skewed distribution."""
    choice = random.Random(1)
    held = {"mean": 0, "median": 0, "proportion": 0}
    for _ in range(2000):
        found = intervals.mean([choice.gauss(3, 2) for _ in range(8)])
        held["mean"] += found.low <= 3 <= found.high
        found = intervals.median([choice.expovariate(1) for _ in range(15)])
        held["median"] += found.low <= math.log(2) <= found.high
        found = intervals.proportion(sum(choice.random() < 0.03 for _ in range(200)), 200)
        held["proportion"] += found.low <= 0.03 <= found.high
    assert 0.94 < held["mean"] / 2000 < 0.96
    assert 0.95 < held["median"] / 2000 < 0.985  # 96.5 %: order statistics come in steps
    assert 0.93 < held["proportion"] / 2000 < 0.98


def test_widened() -> None:
    assert intervals.Estimate(1, 0, 2).widened(0.5) == intervals.Estimate(1, -0.5, 2.5)
    assert statistics.fmean([intervals.exactly(3.0).low, intervals.exactly(3.0).high]) == 3.0
