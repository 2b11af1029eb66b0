# SPDX-License-Identifier: MIT
"""Prometheus' text format, as far as a judge needs it: counters, histograms and summaries, by host. OpenMetrics' exemplars and end mark are passed over."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{((?:[^\"{}]|\"(?:[^\"\\]|\\.)*\")*)\})?\s+(\S+)(?:\s+[-+.0-9eE]+)?\s*(?:#.*)?")
_LABEL = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*\"((?:[^\"\\]|\\.)*)\"\s*(?:,|$)")
_HOST_LABELS = ("instance", "pod", "host", "hostname")
_LATENCY = re.compile(r"duration|latency|response_time|request_time", re.IGNORECASE)
_STATUS_LABELS = ("status", "code", "status_code", "http_status", "http_response_status_code")

Labels = dict[str, str]


@dataclass(slots=True)
class Latency:
    """Of one host: cumulative counts by bound, or quantiles; count of requests."""

    count: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)
    quantiles: dict[float, float] = field(default_factory=dict)


@dataclass(slots=True)
class Samples:
    """All samples of one host, by name."""

    by_name: dict[str, list[tuple[Labels, float]]] = field(default_factory=dict)

    def total(self, name: str) -> float | None:
        found = self.by_name.get(name)
        return None if found is None else sum(value for _, value in found if math.isfinite(value))


def parsed(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[str, Labels, float]]:
    """(name, labels, value) of each numbered line. Raises ValueError."""
    for number, line in lines:
        match = _LINE.fullmatch(line)
        try:
            if match is None:
                raise ValueError
            yield match[1], _labels(match[2] or ""), float(match[3])
        except ValueError:
            shown = line if len(line) <= 60 else line[:60] + "..."
            raise ValueError(f'line {number}: {shown!r} is neither a number nor a sample; write `name{{label="text"}} 1.5`') from None


def _labels(text: str) -> Labels:
    found: Labels = {}
    at = 0
    while at < len(text):
        match = _LABEL.match(text, at)
        if match is None:
            if text[at:].strip():
                raise ValueError
            break
        found[match[1]] = re.sub(r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[1], match[2])
        at = match.end()
    return found


def hosts_of(samples: Iterable[tuple[str, Labels, float]]) -> list[Samples]:
    """By the label that tells hosts apart; all is one host where there is none, as in what one process exposes."""
    every = list(samples)
    label = next((name for name in _HOST_LABELS if any(name in labels for _, labels, _ in every)), None)
    hosts: dict[str, Samples] = {}
    for name, labels, value in every:
        host = labels.get(label) if label else ""
        if host is not None:  # what has no host is of the machinery: `up`, recording rules
            hosts.setdefault(host, Samples()).by_name.setdefault(name, []).append((labels, value))
    return list(hosts.values())


@dataclass(frozen=True, slots=True)
class Names:
    """Of the metrics to judge, where what is usual does not tell."""

    latency: str | None = None
    requests: str | None = None
    errors: str | None = None
    restarts: str | None = None

    def latency_of(self, samples: Samples) -> Latency | None:
        name = self.latency or self._guessed(samples)
        if name is None:
            return None
        if (buckets := samples.by_name.get(name + "_bucket")) is not None:
            return _histogram(name, buckets)
        found = [(labels, value) for labels, value in samples.by_name.get(name, []) if "quantile" in labels]
        return _summary(name, found, samples.total(name + "_count") or 0.0) if found else None

    def _guessed(self, samples: Samples) -> str | None:
        histograms = {name.removesuffix("_bucket") for name in samples.by_name if name.endswith("_bucket")}
        summaries = {name for name, found in samples.by_name.items() if any("quantile" in labels for labels, _ in found)}
        likely = sorted(
            name for name in histograms | summaries if _LATENCY.search(name) and not name.startswith(("go_", "prometheus_", "promhttp_"))
        )
        if len(likely) > 1:
            raise ValueError(f"it has several latencies: {', '.join(likely[:5])}; name one with --latency")
        return likely[0] if likely else None

    def requests_of(self, samples: Samples, latency: Latency | None) -> float | None:
        if self.requests is not None:
            return samples.total(self.requests)
        if (found := _named(samples, r"(^|_)requests_total$")) is not None:
            return found
        return latency.count if latency is not None and latency.count else None

    def errors_of(self, samples: Samples) -> float | None:
        """A counter of errors, or the requests with a status of 500 and more."""
        if self.errors is not None:
            return samples.total(self.errors)
        if (found := _named(samples, r"(^|_)requests?_(errors|failures|exceptions)_total$")) is not None:
            return found
        rows = [row for name, rows in samples.by_name.items() if re.search(r"(^|_)requests_total$", name) for row in rows]
        status = next((label for label in _STATUS_LABELS if any(label in labels for labels, _ in rows)), None)
        if status is None:
            return None
        return sum(value for labels, value in rows if labels.get(status, "").startswith("5") and math.isfinite(value))

    def restarts_of(self, samples: Samples) -> float | None:
        return samples.total(self.restarts) if self.restarts is not None else _named(samples, r"(^|_)restarts_total$")


def _named(samples: Samples, pattern: str) -> float | None:
    found = sorted(name for name in samples.by_name if re.search(pattern, name))
    if len(found) > 1:
        kind = next(kind for kind in ("restarts", "errors", "failures", "exceptions", "requests") if kind in pattern)
        option = kind if kind in ("restarts", "requests") else "errors"
        raise ValueError(f"it has several counters: {', '.join(found[:5])}; name one with --{option}")
    return samples.total(found[0]) if found else None


def _histogram(name: str, rows: list[tuple[Labels, float]]) -> Latency:
    """Buckets of all label sets added up: they are counts."""
    buckets: dict[float, float] = {}
    for labels, value in rows:
        try:
            bound = float(labels["le"])
        except (KeyError, ValueError):
            raise ValueError(f"a bucket of {name} has no number as its `le`") from None
        if math.isnan(bound) or not 0 <= value < math.inf:
            raise ValueError(f"a bucket of {name} is {value:g} for le={labels['le']!r}; a count is 0 or more")
        buckets[bound] = buckets.get(bound, 0.0) + value
    counts = [buckets[bound] for bound in sorted(buckets)]
    if math.inf not in buckets or counts != sorted(counts):
        raise ValueError(f'the buckets of {name} do not grow up to le="+Inf"; they are cumulative counts')
    return Latency(counts[-1], buckets)


def _summary(name: str, rows: list[tuple[Labels, float]], count: float) -> Latency:
    """Quantiles of different label sets cannot be added up."""
    sets = {tuple(sorted((key, text) for key, text in labels.items() if key != "quantile")) for labels, _ in rows}
    if len(sets) > 1:
        raise ValueError(f"the summary {name} has {len(sets)} sets of labels, and quantiles do not add up; give one set, or a histogram")
    quantiles = {}
    for labels, value in rows:
        try:
            quantiles[float(labels["quantile"])] = value
        except ValueError:
            raise ValueError(f"a quantile of {name} is {labels['quantile']!r}; it is a number from 0 to 1") from None
    return Latency(count, quantiles={share: value for share, value in quantiles.items() if 0 <= value < math.inf})
