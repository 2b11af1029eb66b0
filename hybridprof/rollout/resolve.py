# SPDX-License-Identifier: MIT
"""From all layers to what is in force, in one pure function: kill file > HYBRIDPROF_DISABLE > override > file > environment > code.

Caps bound every layer but are only read from the local file, so that nothing remote can raise them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import buckets
from .config import Settings
from .schema import SCHEMA, cap_of, variable
from .stages import STAGES, default, reaches


@dataclass(frozen=True, slots=True)
class Override:
    """A value that outranks the file until a moment (seconds of the ruler's clock). by: who set it, for status and audit."""

    value: Any
    until: float
    by: str = "control"


@dataclass(frozen=True, slots=True)
class Value:
    """A value in force. source: where it came from, in words; capped: what was asked for, where a cap made it less."""

    value: Any
    source: str
    capped: Any = None


@dataclass(frozen=True, slots=True)
class Layers:
    """Everything that has a say. stopped: a sentence if a kill file or HYBRIDPROF_DISABLE ends it all; ceilings: {who: (highest stage, why)}, what
    steps down by itself; host, slot: whose membership is asked."""

    stopped: str = ""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    file: Settings | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, Any] = field(default_factory=dict)
    ceilings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    host: str = ""
    slot: str = "0"


@dataclass(frozen=True, slots=True)
class InForce:
    """What runs, and why. values: every key of the schema that has a value; members: whether this host and this process are among the shares."""

    stage: str
    samples: bool
    traces: bool
    why: str
    values: Mapping[str, Value]
    members: Mapping[str, bool]

    def __getitem__(self, key: str) -> Any:
        return self.values[key].value if key in self.values else None


def resolve(layers: Layers, now: float) -> InForce:
    values: dict[str, Value] = {}
    stage = _stage(layers, now)
    values["stage"] = stage
    for key in SCHEMA:
        value = _bounded(key, _first(key, layers, now, stage.value), layers, stage.value)
        if key != "stage" and value is not None:
            values[key] = value
    members = {
        "host": buckets.is_member("host", layers.host, values["rollout.hosts"].value),
        "process": buckets.is_member("process", layers.slot, values["rollout.processes"].value),
    }
    samples, traces, why = _runs(layers, values, members)
    return InForce(stage.value, samples, traces, why, values, members)


def _first(key: str, layers: Layers, now: float, stage: str = "off") -> Value | None:
    override = layers.overrides.get(key)
    if override is not None and now < override.until:
        return Value(override.value, f"override by {override.by}, for {override.until - now:.0f} s more")
    if layers.file is not None and key in layers.file.values:
        return Value(layers.file.values[key], layers.file.places[key])
    if key in layers.environment:
        return Value(layers.environment[key], f"{variable(key)} in the environment")
    if key in layers.code:
        return Value(layers.code[key], "the program's code")
    value = default(key, stage)
    return None if value is None else Value(value, "default")


def _stage(layers: Layers, now: float) -> Value:
    if layers.stopped:
        return Value("off", layers.stopped)
    stage = _first("stage", layers, now)
    assert stage is not None  # it has a default
    for who, (highest, why) in layers.ceilings.items():
        if STAGES.index(highest) < STAGES.index(stage.value):
            stage = Value(highest, f"{who}: {why}", capped=stage.value)
    return stage


def _bounded(key: str, value: Value | None, layers: Layers, stage: str) -> Value | None:
    if value is None:
        return None
    cap, who = cap_of(key, layers.file.values if layers.file is not None else {}, stage)
    if not who or value.value <= cap:
        return value
    return Value(cap, f"{value.source}, bounded by {who}", capped=value.value)


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
    return True, not outside, why + (f"; no targets{outside}" if outside else "")


def _outside(values: Mapping[str, Value], members: Mapping[str, bool], layers: Layers) -> str:
    if not members["host"]:
        return f": host {layers.host!r} is not among the share {values['rollout.hosts'].value:g} of hosts"
    if not members["process"]:
        return f": process slot {layers.slot!r} is not among the share {values['rollout.processes'].value:g} of processes"
    return ""
