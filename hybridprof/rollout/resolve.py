# SPDX-License-Identifier: MIT
"""From all layers to what is in force, in one pure function: kill file > HYBRIDPROF_DISABLE > override > file > environment > code.

Caps bound every layer but are only read from the local file, so that nothing remote can raise them. Ceilings (a verdict of the judge, whoever else asked for one), crashes of earlier lives
and what profiling costs only lower, in this order: what is held against the program is held against what would run otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import buckets
from .config import Settings
from .crash_rules import Standing, allowed
from .ladder import Easing
from .schema import SCHEMA, cap_of, variable
from .stages import NOTHING_RUNS, default, lower, reaches


@dataclass(frozen=True, slots=True)
class Override:
    """A value that outranks the file until a moment (seconds of the ruler's clock). by: who set it, for status and audit."""

    value: Any
    until: float
    by: str = "control"


@dataclass(frozen=True, slots=True)
class Value:
    """A value in force. source: where it came from, in words; capped: what was asked for, where something made it less; layer: by what way it came, in one word, for the audit log."""

    value: Any
    source: str
    capped: Any = None
    layer: str = "default"


@dataclass(frozen=True, slots=True)
class Layers:
    """Everything that has a say. stopped: a sentence if a kill file or HYBRIDPROF_DISABLE ends it all; ceilings: {who: (highest stage, why)}; crashes: how earlier lives ended, and a
    sentence; easing: what costs too much; host, slot: whose membership is asked."""

    stopped: str = ""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    file: Settings | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, Any] = field(default_factory=dict)
    ceilings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    crashes: tuple[Standing, str] = (Standing.CLEAR, "")
    easing: Easing | None = None
    host: str = ""
    slot: str = "0"


@dataclass(frozen=True, slots=True)
class InForce:
    """What runs, and why. values: every key of the schema that has a value; members: whether this host and this process are among the shares; asked: the stage without what is held
    against the program for its crashes."""

    stage: str
    samples: bool
    traces: bool
    why: str
    values: Mapping[str, Value]
    members: Mapping[str, bool]
    asked: str = "off"

    def __getitem__(self, key: str) -> Any:
        return self.values[key].value if key in self.values else None

    def listed(self) -> dict[str, dict[str, Any]]:
        """Each value and where it came from, for status() and others."""
        return {key: {"value": each.value, "from": each.source, "asked": each.capped} for key, each in self.values.items()}

    def described(self) -> dict[str, Any]:
        """The same in short, for reports."""
        return {
            "stage": self.stage,
            "why": self.why,
            "runs": {"sampler": self.samples, "tracer": self.traces},
            "service": self["service"],
            "members": {**self.members, "requests": self["rollout.requests"] if self.traces else 0.0},
            "rate_in_force_hz": self["sampler.rate"] if self.samples else 0.0,
            "deep_rate": self["deep.rate"] if self.traces else 0.0,
            "deep_targets": list(self["deep.targets"]) if self.traces else [],
        }


class Resolver:
    """Remembers what the last two different layers came to: mostly nothing has changed since the last look, and resolving is the larger part of what one costs. Overrides
    say how long they last, so that with them the same layers come to something else each time."""

    def __init__(self) -> None:
        self._known: tuple[tuple[Layers, InForce], ...] = ()

    def __call__(self, layers: Layers, now: float) -> InForce:
        if layers.overrides:
            return resolve(layers, now)
        for known, found in self._known:
            if known == layers:
                return found
        found = resolve(layers, now)
        self._known = ((layers, found), *self._known[:1])
        return found


def resolve(layers: Layers, now: float) -> InForce:
    values: dict[str, Value] = {}
    asked = _stage(layers, now)
    stage = _eased_stage(_after_crashes(asked, layers), layers)
    values["stage"] = stage
    for key in SCHEMA:
        value = _eased(key, _bounded(key, _first(key, layers, now, stage.value), layers, stage.value), layers.easing)
        if key != "stage" and value is not None:
            values[key] = value
    members = {
        "host": buckets.is_member("host", layers.host, values["rollout.hosts"].value),
        "process": buckets.is_member("process", layers.slot, values["rollout.processes"].value),
    }
    samples, traces, why = _runs(layers, values, members)
    return InForce(stage.value, samples, traces, why, values, members, asked.value)


def _first(key: str, layers: Layers, now: float, stage: str = "off") -> Value | None:
    override = layers.overrides.get(key)
    if override is not None and now < override.until:
        return Value(override.value, f"override by {override.by}, for {override.until - now:.0f} s more", layer="override")
    if layers.file is not None and key in layers.file.values:
        return Value(layers.file.values[key], layers.file.places[key], layer="file")
    if key in layers.environment:
        return Value(layers.environment[key], f"{variable(key)} in the environment", layer="environment")
    if key in layers.code:
        return Value(layers.code[key], "the program's code", layer="code")
    value = default(key, stage)
    return None if value is None else Value(value, "default")


def _stage(layers: Layers, now: float) -> Value:
    if layers.stopped:
        return Value("off", layers.stopped, layer="stop")
    stage = _first("stage", layers, now)
    assert stage is not None  # it has a default
    for who, (highest, why) in layers.ceilings.items():
        stage = _lowered(stage, highest, who, why)
    return stage


def _lowered(stage: Value, highest: str, who: str, why: str) -> Value:
    if lower(highest, stage.value) == stage.value:
        return stage
    return Value(highest, f"{who}: {why}", capped=stage.value, layer=who)


def _after_crashes(stage: Value, layers: Layers) -> Value:
    standing, why = layers.crashes
    return _lowered(stage, allowed(stage.value, standing), "crash guard", why)


def _eased_stage(stage: Value, layers: Layers) -> Value:
    if layers.easing is None or not layers.easing.off:
        return stage
    return _lowered(stage, NOTHING_RUNS, "budget", layers.easing.why)


def _eased(key: str, value: Value | None, easing: Easing | None) -> Value | None:
    """With what the ladder has taken back."""
    if value is None or easing is None:
        return value
    eased: dict[str, Callable[[], Any]] = {
        "deep.rate": lambda: value.value * easing.deep_share,
        "deep.targets": lambda: tuple(each for each in value.value if each not in easing.dropped),
        "sampler.rate": lambda: value.value / easing.interval,
    }
    now = eased[key]() if key in eased else value.value
    if now == value.value:
        return value
    asked = value.value if value.capped is None else value.capped
    return replace(value, value=now, source=f"{value.source}, lowered by the budget: {easing.why}", capped=asked, layer="budget")


def _bounded(key: str, value: Value | None, layers: Layers, stage: str) -> Value | None:
    if value is None:
        return None
    cap, who = cap_of(key, layers.file.values if layers.file is not None else {}, stage)
    if not who or value.value <= cap:
        return value
    return replace(value, value=cap, source=f"{value.source}, bounded by {who}", capped=value.value)


def _runs(layers: Layers, values: Mapping[str, Value], members: Mapping[str, bool]) -> tuple[bool, bool, str]:
    """Whether the sampler runs, whether targets are traced, and a sentence."""
    stage, source = values["stage"].value, values["stage"].source
    if layers.stopped:
        return False, False, layers.stopped
    why = f"stage {stage!r} ({source})"
    if not reaches(stage, "canary"):
        return False, False, why + ("" if stage == "off" else ": the configuration is followed, and nothing runs yet")
    outside = _outside(values, members, layers)
    if stage == "canary":
        return not outside, False, why + outside
    if not reaches(stage, "deep"):
        return True, False, why
    if layers.easing is not None and layers.easing.untraced:
        outside = outside or f": {layers.easing.why}"
    return True, not outside, why + (f"; no targets{outside}" if outside else "")


def _outside(values: Mapping[str, Value], members: Mapping[str, bool], layers: Layers) -> str:
    if not members["host"]:
        return f": host {layers.host!r} is not among the share {values['rollout.hosts'].value:g} of hosts"
    if not members["process"]:
        return f": process slot {layers.slot!r} is not among the share {values['rollout.processes'].value:g} of processes"
    return ""
