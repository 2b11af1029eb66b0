# SPDX-License-Identifier: MIT
"""A fleet of hosts whose truth is known: what each of them would have measured, and what of that a regression changes."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass

from hybridprof.rollout.figures import Host, Side

_NORMAL = statistics.NormalDist()


@dataclass(frozen=True, slots=True)
class Fleet:
    """latency, cpu: factors by which the canary is worse; errors: added share of requests; restarts: added by host.

    Latencies of a host's requests are log-normal (sigma 0.6: the 95th percentile is 2.7 times the median). spread: standard deviation from host to host of the
    logarithm of the host's own scale. slow: share of hosts that are three times as slow, in canary and control alike. Errors are gamma-mixed by host."""

    hosts: int = 10_000
    canaries: int = 100
    requests: int = 2_000
    spread: float = 0.1
    slow: float = 0.0
    latency: float = 1.0
    cpu: float = 1.0
    errors: float = 0.0
    restarts: float = 0.0


def poisson(mean: float, rng: random.Random) -> int:
    """Of small means by waiting times, of large ones by their normal."""
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    count, left = 0, rng.expovariate(1.0)
    while left < mean:
        count, left = count + 1, left + rng.expovariate(1.0)
    return count


def _percentiles(count: int, rng: random.Random) -> tuple[float, float]:
    """The median and 95th percentile that `count` requests of a log-normal latency show: order statistics of even numbers, drawn as such (Beta variates)."""
    middle, high = math.ceil(0.5 * count), math.ceil(0.95 * count)
    first = rng.betavariate(middle, count - middle + 1)
    second = first + (1 - first) * rng.betavariate(high - middle, count - high + 1)
    return math.exp(0.6 * _NORMAL.inv_cdf(first)), math.exp(0.6 * _NORMAL.inv_cdf(second))


def host(fleet: Fleet, canary: bool, rng: random.Random) -> Host:
    requests = max(40, round(rng.lognormvariate(math.log(fleet.requests), 0.3)))
    scale = rng.lognormvariate(0, fleet.spread) * (3.0 if rng.random() < fleet.slow else 1.0)
    p50, p95 = _percentiles(requests, rng)
    slower = scale * (fleet.latency if canary else 1.0)
    seconds = 0.01 * requests * scale * rng.lognormvariate(0, 0.03) * (fleet.cpu if canary else 1.0)
    share = rng.gammavariate(2, 0.0005) + (fleet.errors if canary else 0.0)
    restarts = poisson(0.01 + (fleet.restarts if canary else 0.0), rng)
    return Host(None, slower * p50, slower * p95, (seconds, requests), requests, min(requests, poisson(share * requests, rng)), restarts)


def sides(fleet: Fleet, rng: random.Random) -> tuple[Side, Side]:
    """Canary and control."""
    return [host(fleet, True, rng) for _ in range(fleet.canaries)], [host(fleet, False, rng) for _ in range(fleet.hosts - fleet.canaries)]
