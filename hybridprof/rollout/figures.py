# SPDX-License-Identifier: MIT
"""What is known of each host of a side: latencies, CPU, requests, errors, restarts. One host is one unit of the comparison, because hosts, not requests,
are what a rollout divides: requests of one host have its hardware, its caches and its neighbours in common."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .prometheus import Names, Samples, hosts_of, parsed

FEWEST_REQUESTS = 20  # of which a host's 95th percentile says anything
LARGEST = 256 << 20  # bytes of one file


class Latencies(Protocol):
    """A distribution: how many requests, and the latency below which a share of them is."""

    @property
    def count(self) -> int: ...
    def at(self, share: float) -> float: ...


class Values:
    """Every request's own latency."""

    def __init__(self, values: Iterable[float]) -> None:
        self._ordered = sorted(values)

    @property
    def count(self) -> int:
        return len(self._ordered)

    def at(self, share: float) -> float:
        return self._ordered[max(0, min(math.ceil(share * self.count), self.count) - 1)]


class Histogram:
    """Requests by bucket, evenly spread within one, as Prometheus itself takes them to be. Beyond the last bucket with a bound latencies are unknown: infinite."""

    def __init__(self, bounds: list[float], cumulative: list[float]) -> None:
        self._bounds, self._cumulative = bounds, cumulative

    @property
    def count(self) -> int:
        return int(self._cumulative[-1])

    def at(self, share: float) -> float:
        rank = share * self._cumulative[-1]
        index = min(bisect_left(self._cumulative, rank), len(self._bounds) - 1)
        high, below = self._bounds[index], self._cumulative[index - 1] if index else 0.0
        if math.isinf(high):
            return math.inf
        low = self._bounds[index - 1] if index else min(0.0, high)
        inside = self._cumulative[index] - below
        return high if not inside else low + (high - low) * (rank - below) / inside


@dataclass(frozen=True, slots=True)
class Host:
    """None: not known. Latencies are in any unit, the same on both sides. cpu: seconds, and the requests that they were spent on."""

    latency: Latencies | None = None
    p50: float | None = None
    p95: float | None = None
    cpu: tuple[float, float] | None = None
    requests: float | None = None
    errors: float | None = None
    restarts: float | None = None

    def percentile(self, share: float) -> float | None:
        """As given, else from the latencies, if there are enough of them and the percentile is a number."""
        given = self.p50 if share == 0.5 else self.p95
        if given is not None or self.latency is None or self.latency.count < FEWEST_REQUESTS:
            return given
        found = self.latency.at(share)
        return found if math.isfinite(found) else None


Side = list[Host]


def read(paths: Iterable[str | Path], names: Names | None = None) -> Side:
    """All hosts of some files; of a folder, of the files in it. Raises ValueError with one sentence, or OSError."""
    hosts: Side = []
    for path in paths:
        place = Path(path)
        files = sorted(each for each in place.iterdir() if each.is_file() and not each.name.startswith(".")) if place.is_dir() else [place]
        if not files:
            raise ValueError(f"{path}: the folder holds no file; give files of figures")
        for file in files:
            hosts += _read_file(file, names or Names())
    return hosts


def _read_file(path: Path, names: Names) -> Side:
    with path.open("rb") as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise ValueError(f"{path}: it is larger than {LARGEST >> 20} MB; give figures of fewer hosts or requests at a time")
    try:
        return from_text(raw.decode("utf-8-sig"), names)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: it is not UTF-8 text; give numbers, JSON or Prometheus' text format") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def from_text(text: str, names: Names | None = None) -> Side:
    """The format is told by the first character, and by whether the first line is a number. Raises ValueError."""
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    said = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not said:
        raise ValueError("it holds no figures; give numbers, JSON or Prometheus' text format")
    if said[0][1][0] in "[{":
        return _from_json(text)
    if said[0][1][0] in "+-.0123456789":
        return [Host(latency=Values(_number(line, f"line {number}") for number, line in said))]
    return [_from_samples(host, names or Names()) for host in hosts_of(parsed(said))]


def _number(text: Any, where: str) -> float:
    try:
        value = float(text)
    except (ValueError, TypeError, OverflowError):
        value = math.nan
    if isinstance(text, bool) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{where}: {_short(text)} is no figure; give a number that is 0 or more")
    return value


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else type(value).__name__ if isinstance(value, (list, dict)) else str(value)
    return repr(text if len(text) <= 40 else text[:40] + "...")


_NUMBERS = ("p50", "p95", "requests", "errors", "restarts", "cpu_seconds", "cpu_per_request")


def _from_json(text: str) -> Side:
    """A list of latencies, an object for one host, or a list of such objects, also beneath "hosts"."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: it is no JSON: {error.msg}") from None
    except (RecursionError, ValueError):
        raise ValueError("it is JSON that is nested too deeply, or has too long a number") from None
    if isinstance(found, dict) and set(found) == {"hosts"}:
        found = found["hosts"]
    if isinstance(found, list) and found and not isinstance(found[0], dict):
        return [Host(latency=_values(found, "latency"))]
    objects = found if isinstance(found, list) else [found]
    if not objects:
        raise ValueError("it holds no figures; give at least one host")
    return [_host(each, f"host {number}") for number, each in enumerate(objects, 1)]


def _values(found: Any, where: str) -> Values:
    if not isinstance(found, list) or not found:
        raise ValueError(f"{where}: {_short(found)} is no list of latencies; give a list of numbers")
    return Values(_number(each, f"{where} {number}") for number, each in enumerate(found, 1))


def _host(found: Any, where: str) -> Host:
    if not isinstance(found, dict):
        raise ValueError(f'{where}: {_short(found)} is no object; give {{"latency": [...], "cpu_seconds": ..., ...}}')
    unknown = sorted(set(found) - {*_NUMBERS, "latency", "host"})
    if unknown:
        raise ValueError(f"{where}: there is no figure {_short(unknown[0])}; use {', '.join(('latency', *_NUMBERS))}")
    number = {key: _number(found[key], f"{where}, {key}") for key in _NUMBERS if found.get(key) is not None}
    requests, cpu = number.get("requests"), None
    if "cpu_per_request" in number:
        weight = requests if requests is not None else 1.0  # without a count of requests each host weighs the same
        cpu = (number["cpu_per_request"] * weight, weight)
    elif "cpu_seconds" in number:
        if requests is None:
            raise ValueError(f"{where}: cpu_seconds says nothing without requests; give both, or cpu_per_request")
        cpu = (number["cpu_seconds"], requests)
    if number.get("errors", 0.0) > (requests if requests is not None else math.inf):
        raise ValueError(f"{where}: {number['errors']:g} errors of {requests:g} requests; give at most as many errors as requests")
    latency = _values(found["latency"], f"{where}, latency") if found.get("latency") is not None else None
    return Host(latency, number.get("p50"), number.get("p95"), cpu, requests, number.get("errors"), number.get("restarts"))


def _from_samples(samples: Samples, names: Names) -> Host:
    latency = names.latency_of(samples)
    requests = names.requests_of(samples, latency)
    errors = names.errors_of(samples)
    if errors is not None and requests is not None and errors > requests:
        raise ValueError(f"{errors:g} errors of {requests:g} requests; name the right counters with --requests and --errors")
    p50 = p95 = None
    distribution = None
    if latency is not None and latency.buckets:
        bounds = sorted(latency.buckets)
        distribution = Histogram(bounds, [latency.buckets[bound] for bound in bounds])
    elif latency is not None:
        p50, p95 = latency.quantiles.get(0.5), latency.quantiles.get(0.95)
    seconds = samples.total("process_cpu_seconds_total")
    cpu = (seconds, requests) if seconds is not None and requests is not None else None
    return Host(distribution, p50, p95, cpu, requests, errors, names.restarts_of(samples))
