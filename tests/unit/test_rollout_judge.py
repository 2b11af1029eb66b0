# SPDX-License-Identifier: MIT
"""The judge: its intervals against known values, its verdicts on hosts whose truth is known, and what it says where figures are missing."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridprof.rollout.figures import Histogram, Host, Side, Values
from hybridprof.rollout.judge import FIGURES, Comparison, Judgement, Percentile, Rate, Ratio, Share, _end, enforce, expanded, judge, student

LATENCY = {"p50", "p95"}


def hosts(
    count: int, rng: random.Random, *, latency: float = 1.0, errors: float = 0.0, restarts: float = 0.0, spread: float = 0.05
) -> Side:
    """Log-normal from host to host; no figure depends on another."""
    made = []
    for _ in range(count):
        p50, p95, cpu = (scale * rng.lognormvariate(0, spread) for scale in (latency, 3 * latency, 0.01))
        failed = sum(rng.random() < 0.001 + errors for _ in range(200))
        made.append(Host(None, p50, p95, (cpu * 200, 200), 200, failed, float(rng.random() < 0.01 + restarts)))
    return made


def by_name(found: Judgement) -> dict[str, Comparison]:
    return {each.figure.name: each for each in found.comparisons}


@pytest.mark.parametrize(
    ("tail", "freedom", "known"), [(0.025, 7, 2.3646), (0.01, 9, 2.8214), (0.005, 20, 2.8453), (0.001, 7, 4.7853), (0.05, 99, 1.6604)]
)
def test_students_t_is_the_tables(tail: float, freedom: int, known: float) -> None:
    assert student(tail, freedom) == pytest.approx(known, rel=0.01)


def test_tails_are_expanded_for_few_units_and_hardly_for_many() -> None:
    assert expanded(0.01, 0) == 0.01
    assert expanded(0.01, 10_000) == pytest.approx(0.01, rel=0.01)
    assert expanded(0.01, 8) < 0.002 < expanded(0.01, 30) < 0.01


def test_a_percentile_drawn_by_one_beta_variate_is_that_of_values_drawn_anew() -> None:
    rng = random.Random(5)
    values = Values([rng.lognormvariate(0, 1) for _ in range(400)])
    drawn = Percentile(values, 0.95)
    quick = statistics.quantiles([drawn.draw(rng) for _ in range(4000)], n=20)
    every = [values.at(rank / 400) for rank in range(1, 401)]
    plain = statistics.quantiles([sorted(rng.choices(every, k=400))[379] for _ in range(2000)], n=20)
    assert all(a == pytest.approx(b, rel=0.05) for a, b in zip(quick, plain, strict=True))


def test_groups_leave_value_and_variance_as_they_are() -> None:
    rng = random.Random(6)
    pairs = [(rng.lognormvariate(0, 0.5), rng.uniform(1, 2)) for _ in range(5000)]
    grouped = Ratio(pairs, rng)
    value = sum(pair[0] for pair in pairs) / sum(pair[1] for pair in pairs)
    assert grouped.value == pytest.approx(value) and grouped.units == 100
    truth = (
        statistics.stdev([over - value * under for over, under in pairs])
        / statistics.fmean([under for _, under in pairs])
        / math.sqrt(5000)
    )
    # A deviation from 100 groups is known to 7 %.
    assert statistics.stdev([grouped.draw(rng) for _ in range(1000)]) == pytest.approx(truth, rel=0.25)


def test_counts_of_nothing_are_no_rate_of_nothing() -> None:
    rng = random.Random(7)
    for sample in (Share(0, 100), Rate(0, 100)):
        upper = statistics.quantiles([sample.draw(rng) for _ in range(4000)], n=20)[-1]
        assert sample.value == 0 and upper == pytest.approx(0.019, rel=0.15)  # 1.92 events: the 95 % point of half a chi-squared


@pytest.mark.parametrize(
    ("change", "failing"), [({}, set()), ({"latency": 1.2}, LATENCY), ({"errors": 0.02}, {"errors"}), ({"restarts": 0.4}, {"restarts"})]
)
def test_what_is_worse_fails_and_nothing_else(change: dict[str, float], failing: set[str]) -> None:
    found = judge(hosts(150, random.Random(1), **change), hosts(400, random.Random(2)))
    verdicts = {each.figure.name: each.verdict for each in found.comparisons}
    assert {name for name, verdict in verdicts.items() if verdict == "fail"} == failing
    assert found.verdict == ("fail" if failing else "pass"), found.reasons
    if failing:
        assert found.reasons[0].startswith(tuple(failing)) and "worse beyond chance and tolerance" in found.reasons[0]


def test_what_is_better_passes() -> None:
    found = judge(hosts(150, random.Random(1), latency=0.8), hosts(400, random.Random(2)))
    assert found.verdict == "pass" and by_name(found)["p95"].high < 0


def test_few_hosts_pass_nothing_and_fewer_are_not_looked_at() -> None:
    few = judge(hosts(10, random.Random(1)), hosts(50, random.Random(2)))
    assert few.verdict == "not enough data" and "too wide to tell" in few.reasons[0]
    fewer = judge(hosts(3, random.Random(1)), hosts(50, random.Random(2)))
    assert fewer.verdict == "not enough data" and all("3 hosts, and 8 are needed" in reason for reason in fewer.reasons)
    assert judge([], []).reasons == ("no figure is known of either side",)
    assert judge([], []).verdict == "not enough data"


def percentiles(side: Side) -> Side:
    return [Host(p50=host.p50, p95=host.p95) for host in side]


def test_false_alarms_of_a_simulated_fleet_stay_below_the_level() -> None:
    """25 pairs without a change, at a level of 20 %: 10 and more would happen in 2 % of such simulations if 20 % were reached. The seeds are fixed."""
    control = percentiles(hosts(40, random.Random(99)))
    found = Counter(judge(percentiles(hosts(20 + seed, random.Random(seed))), control, level=0.2, seed=seed).verdict for seed in range(25))
    assert found["fail"] < 10 and found.total() == 25


def test_a_large_change_is_never_missed_in_a_simulated_fleet() -> None:
    control = percentiles(hosts(60, random.Random(99)))
    for seed in range(10):
        assert judge(percentiles(hosts(40, random.Random(seed), latency=1.1)), control, seed=seed).verdict == "fail"


def test_more_figures_and_more_looks_ask_for_more() -> None:
    canary, control = hosts(60, random.Random(1)), hosts(60, random.Random(2))
    alone = [replace(host, p50=None, cpu=None, requests=None, errors=None, restarts=None) for host in canary]
    others = [replace(host, p50=None, cpu=None, requests=None, errors=None, restarts=None) for host in control]
    # The upper end does not depend on the number of figures; replicates differ.
    one, all_five = by_name(judge(alone, others))["p95"], by_name(judge(canary, control))["p95"]
    looks = by_name(judge(canary, control, looks=4))["p95"]
    assert looks.low < all_five.low < one.low < one.effect
    assert one.high == pytest.approx(all_five.high, abs=0.003) and looks.high > all_five.high


def test_ends_that_no_replicate_reaches_are_carried_on() -> None:
    rng = random.Random(8)
    drawn = sorted(rng.gauss(0, 1) for _ in range(5000))
    ends = [_end(drawn, 0.0, tail) for tail in (0.01, 1e-3, 1e-6, 1e-12)]
    assert ends == [pytest.approx(statistics.NormalDist().inv_cdf(tail), rel=0.12) for tail in (0.01, 1e-3, 1e-6, 1e-12)]
    rarest = judge(hosts(8, random.Random(1)), hosts(8, random.Random(2)), level=0.0001, looks=1000)
    assert all(-math.inf < each.low < each.effect < each.high < math.inf for each in rarest.comparisons if each.figure.name in LATENCY)


def test_the_same_seed_gives_the_same_judgement() -> None:
    canary, control = hosts(20, random.Random(1)), hosts(20, random.Random(2))
    assert judge(canary, control, seed=3) == judge(canary, control, seed=3)
    assert judge(canary, control, seed=3) != judge(canary, control, seed=4)


def test_a_figure_that_one_side_does_not_have_is_not_passed_over() -> None:
    canary, control = hosts(150, random.Random(1)), hosts(400, random.Random(2))
    found = judge([replace(host, errors=None) for host in canary], control)
    assert found.verdict == "not enough data" and found.reasons[0] == "errors: errors per request is not known of the canary"
    neither = judge([replace(host, errors=None) for host in canary], [replace(host, errors=None) for host in control])
    assert neither.verdict == "pass" and "errors" not in by_name(neither)


def test_one_host_on_each_side_is_judged_by_its_requests() -> None:
    rng = random.Random(3)
    values = [[rng.lognormvariate(0, 0.2) * scale for _ in range(5000)] for scale in (1.0, 1.0, 1.2)]
    same, other, slower = ([Host(latency=Values(each), requests=5000, errors=0)] for each in values)
    assert judge(same, other, {"p50": 0.05, "p95": 0.05}).verdict == "pass"
    assert judge(slower, other).verdict == "fail"
    few = judge([Host(latency=Values(values[0][:100]))], other)
    assert "p95: 95th percentile of latency, canary: 100 requests, and 200 are needed" in few.reasons
    # A lone host against many would have its own peculiarities taken for the change's.
    assert all("1 host, and 8 are needed" in reason or "not known" in reason for reason in judge(same, hosts(50, rng)).reasons)


def test_what_is_beyond_a_histogram_is_not_enough_data() -> None:
    short = [Host(latency=Histogram([0.1, math.inf], [900.0, 1000.0]))]
    found = by_name(judge(short, short))
    assert found["p95"].reason == "95th percentile of latency, canary: it is beyond the histogram's last bucket"
    assert found["p50"].effect == 0


def test_nothing_to_compare_with() -> None:
    idle = [Host(p50=0.0, cpu=(0.0, 10.0)) for _ in range(20)]
    found = judge(hosts(20, random.Random(1)), idle)
    assert found.verdict == "not enough data" and "there is nothing to compare with" in by_name(found)["p50"].reason


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tolerances": {"p99": 1.0}}, "there is no figure 'p99'; use one of p50, p95, cpu, errors, restarts"),
        ({"tolerances": {"p95": -1.0}}, "the tolerance of p95 must be 0 or more, not -1.0"),
        ({"tolerances": {"p95": math.nan}}, "the tolerance of p95 must be 0 or more, not nan"),
        ({"level": 0.0}, "level is the chance of a false alarm, from 0.0001 to 0.5, not 0.0"),
        ({"looks": 0}, "looks is how often the same rollout is judged, from 1 to 1000, not 0"),
    ],
)
def test_settings_that_are_none(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + sentence.replace(".", r"\.") + "$"):
        judge([], [], **options)  # type: ignore[arg-type]


numbers = st.one_of(st.none(), st.floats(0, 1e300), st.sampled_from([0.0, 5e-324, 1e300]))


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.builds(Host, p50=numbers, p95=numbers, restarts=st.one_of(st.none(), st.floats(0, 1e6))), max_size=12), st.integers(0, 9)
)
def test_any_figures_are_judged(side: Side, seed: int) -> None:
    found = judge(side, side, seed=seed)
    assert found.verdict != "fail"
    assert all(each.low <= each.effect <= each.high or math.isnan(each.effect) for each in found.comparisons)


def test_the_hook_is_called_where_the_canary_failed_and_only_there() -> None:
    said: list[str] = []
    comparison = Comparison(FIGURES[1], "fail", "worse")
    for verdict in ("pass", "not enough data", "fail"):
        found = Judgement(verdict, ("p95: worse",), (comparison,), 0.05, 1, 0)  # type: ignore[arg-type]
        assert enforce(found, said.append) is (verdict == "fail")
    assert said == ["p95: worse"]
    assert enforce(found, lambda reason: 1 / 0) is False
