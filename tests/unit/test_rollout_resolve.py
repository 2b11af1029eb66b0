# SPDX-License-Identifier: MIT
"""From layers to what is in force: who outranks whom, what nobody may exceed, who is a member."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridprof.rollout import buckets
from hybridprof.rollout.config import Settings
from hybridprof.rollout.overrides import Overrides
from hybridprof.rollout.resolve import InForce, Layers, Override, Resolver, resolve
from hybridprof.rollout.stages import STAGES


def from_file(**values: Any) -> Settings:
    named = {key.replace("__", "."): value for key, value in values.items()}
    return Settings("f", named, {key: f"f:{line}" for line, key in enumerate(named, 1)})


def test_each_layer_outranks_those_below() -> None:
    """From all of them, the highest is taken away again and again."""
    layers: dict[str, Any] = {
        "stopped": "kill file /k exists",
        "overrides": {"stage": Override("wide", 60.0), "sampler.rate": Override(6.0, 60.0)},
        "file": from_file(stage="deep", sampler__rate=5.0),
        "environment": {"stage": "fleet", "sampler.rate": 4.0},
        "code": {"stage": "canary", "sampler.rate": 3.0},
    }
    seen = []
    for layer in (None, *layers):
        layers = {name: value for name, value in layers.items() if name != layer}
        now = resolve(Layers(**layers), 0.0)
        seen.append((now.stage, now.values["stage"].source, now["sampler.rate"], now.values["sampler.rate"].source))
    assert seen == [
        ("off", "kill file /k exists", 6.0, "override by control, for 60 s more"),
        ("wide", "override by control, for 60 s more", 6.0, "override by control, for 60 s more"),
        ("deep", "f:1", 5.0, "f:2"),
        ("fleet", "HYBRIDPROF_STAGE in the environment", 4.0, "HYBRIDPROF_SAMPLER_RATE in the environment"),
        ("canary", "the program's code", 3.0, "the program's code"),
        ("off", "default", 100.0, "default"),
    ]


def test_an_override_ends() -> None:
    layers = Layers(overrides={"stage": Override("off", 60.0)}, file=from_file(stage="fleet"))
    assert [resolve(layers, now).stage for now in (0.0, 59.9, 60.0, 1e9)] == ["off", "off", "fleet", "fleet"]


def test_nothing_exceeds_the_caps_of_the_file() -> None:
    caps = from_file(stage="wide", caps__rate=50.0, caps__deep_rate=0.002, caps__deep_budget=0.5, caps__sampler_budget=0.25)
    asked = {"sampler.rate": 60.0, "deep.rate": 1.0, "deep.budget": 9.0, "sampler.budget": 9.0}
    for name in ("overrides", "environment", "code"):
        layer: Any = {key: Override(value, 1.0) for key, value in asked.items()} if name == "overrides" else asked
        now = resolve(Layers(file=caps, **{name: layer}), 0.0)
        assert [now[key] for key in asked] == [50.0, 0.002, 0.5, 0.25]
        assert [now.values[key].capped for key in asked] == list(asked.values())
        assert now.values["sampler.rate"].source.endswith(", bounded by [caps] rate")
    # Caps are the local file's: no other layer's word counts.
    remote = resolve(Layers(overrides={"caps.rate": Override(9000.0, 1.0)}, code={"sampler.rate": 5000.0, "caps.rate": 9000.0}), 0.0)
    assert (remote["sampler.rate"], remote.values["sampler.rate"].source) == (1000.0, "the program's code, bounded by the built-in cap")


@pytest.mark.parametrize(("stage", "rate"), [("fleet", 0.5), ("deep", 0.01), ("wide", 0.05)])
def test_the_stage_bounds_the_share_of_calls(stage: str, rate: float) -> None:
    assert resolve(Layers(code={"stage": stage, "deep.rate": 0.5}), 0.0)["deep.rate"] == rate


@pytest.mark.parametrize(("stage", "share"), [("fleet", 1.0), ("deep", 0.01), ("wide", 0.05)])
def test_the_stage_bounds_the_share_of_requests(stage: str, share: float) -> None:
    """Whatever layer asks for more: a request that is picked is traced with all that it runs."""
    asked: Any = {
        "overrides": {"rollout.requests": Override(1.0, 1.0)},
        "environment": {"rollout.requests": 1.0},
        "code": {"rollout.requests": 1.0},
    }
    for layer, value in asked.items():
        now = resolve(Layers(file=from_file(stage=stage), **{layer: value}), 0.0)
        assert now["rollout.requests"] == share
    capped = from_file(stage=stage, caps__requests=0.002)
    assert resolve(Layers(file=capped, code={"rollout.requests": 1.0}), 0.0)["rollout.requests"] == 0.002
    allowed = from_file(stage=stage, caps__requests=1.0, rollout__requests=1.0)
    assert resolve(Layers(file=allowed), 0.0)["rollout.requests"] == 1.0


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("member", [True, False])
def test_what_runs_in_each_stage(stage: str, member: bool) -> None:
    layers = Layers(file=from_file(stage=stage, deep__targets=("a:b",), rollout__hosts=1.0 if member else 0.0), host="h")
    now = resolve(layers, 0.0)
    runs = {"off": (0, 0), "dark": (0, 0), "canary": (member, 0), "fleet": (1, 0), "deep": (1, member), "wide": (1, member)}
    assert (now.samples, now.traces) == runs[stage]
    assert ("host 'h' is not among the share 0 of hosts" in now.why) == (not member and stage in ("canary", "deep", "wide"))


def test_processes_and_defaults_of_hosts() -> None:
    now = resolve(Layers(file=from_file(stage="canary", rollout__processes=0.0), host="", slot="7"), 0.0)
    assert now["rollout.hosts"] == 0.01
    assert resolve(Layers(file=from_file(stage="deep")), 0.0)["rollout.hosts"] == 1.0
    outside = resolve(Layers(file=from_file(stage="canary", rollout__hosts=1.0, rollout__processes=0.0), slot="7"), 0.0)
    assert (outside.samples, outside.why) == (False, "stage 'canary' (f:1): process slot '7' is not among the share 0 of processes")


def test_a_ceiling_only_lowers() -> None:
    def under(*ceilings: tuple[str, str], stage: str = "deep") -> InForce:
        layers = Layers(file=from_file(stage=stage), ceilings={who: (highest, "two crashes in 10 min") for who, highest in ceilings})
        return resolve(layers, 0.0)

    assert under(("crash loop", "wide")).stage == "deep"
    assert under(("crash loop", "fleet"), ("ledger", "dark")).stage == "dark"
    assert under(("crash loop", "fleet")).why == "stage 'fleet' (crash loop: two crashes in 10 min)"
    assert under(("crash loop", "fleet"), stage="off").stage == "off"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(max_size=20) | st.binary(max_size=20), max_size=10),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["host", "process", "request"]),
)
def test_raising_a_share_only_adds_members(identities: list[str | bytes], one: float, other: float, unit: str) -> None:
    less, more = sorted((one, other))
    for identity in identities:
        assert buckets.is_member(unit, identity, more) or not buckets.is_member(unit, identity, less)
        assert buckets.is_member(unit, identity, 1.0) and not buckets.is_member(unit, identity, 0.0)


def test_members_are_as_many_as_the_share_says_and_units_choose_apart() -> None:
    names = [f"host-{number}" for number in range(20_000)]
    hosts, requests = ({name for name in names if buckets.is_member(unit, name, 0.1)} for unit in ("host", "request"))
    assert abs(len(hosts) - 2000) < 5 * 43  # the standard deviation is 42.4
    assert abs(len(hosts & requests) - 200) < 5 * 15
    # The same everywhere and for ever: hosts must not change sides with a new version.
    assert [buckets.number("host", "web-1"), buckets.number("request", b"\x00" * 16)] == [NUMBERS["host"], NUMBERS["request"]]


NUMBERS = {"host": 12242297693169093881, "request": 14821835386138358688}  # by hashlib, from the formula in the module


def test_overrides_are_refused_with_a_sentence() -> None:
    overrides = Overrides(lambda: 5.0, lambda: 1000.0)

    def sentence(key: str, value: object, until: object = 1060.0) -> str:
        with pytest.raises(ValueError, match=r"^[a-z]") as caught:
            overrides.set(key, value, until, "uid 1", {"caps.rate": 200.0}, "deep")  # type: ignore[arg-type]
        return str(caught.value)

    assert sentence("sampler.rates", 5) == "sampler.rates is no key; did you mean sampler.rate?"
    assert sentence("sampler.rate", "5") == "sampler.rate must be a number of Hz from 0 (no sampling) to 10000, not '5'"
    assert sentence("sampler.rate", 201) == "sampler.rate is 201, and [caps] rate allows at most 200"
    assert sentence("deep.rate", 0.02) == "deep.rate is 0.02, and stage 'deep' allows at most 0.01"
    assert sentence("kill_file", "/x").startswith("kill_file is set by the local file alone; an override may set stage, sampler.rate")
    assert sentence("caps.rate", 9000).startswith("caps.rate is set by the local file alone")
    for until in (1000.0, 0, -1, float("nan"), float("inf"), 1000.0 + 8 * 86400):
        assert sentence("stage", "off", until).startswith("until must be after now (1000) and at most 7 days away, not")
    assert sentence("stage", "off", None) == "until is a moment in seconds since the epoch, not NoneType None"
    assert overrides.listed() == []
    overrides.set("sampler.rate", 150, 1060.0, "uid 1", {"caps.rate": 200.0}, "deep")
    assert overrides.listed() == [{"key": "sampler.rate", "value": 150.0, "by": "uid 1", "seconds_left": 60.0}]
    overrides.withdraw("sampler.rate")
    assert overrides.listed() == []


def test_what_has_not_changed_is_not_resolved_again() -> None:
    resolver = Resolver()
    layers, other = Layers(file=from_file(stage="fleet")), Layers(file=from_file(stage="deep"))
    first, second = resolver(layers, 0.0), resolver(other, 0.0)
    assert resolver(replace(layers), 5.0) is first and resolver(other, 6.0) is second  # two are known: with the ladder and without
    assert (first.stage, second.stage) == ("fleet", "deep")
    assert resolver(replace(layers, stopped="killed"), 7.0).stage == "off"
    ends = replace(layers, overrides={"sampler.rate": Override(50.0, 10.0)})
    assert (resolver(ends, 9.0)["sampler.rate"], resolver(ends, 11.0)["sampler.rate"]) == (50.0, 100.0)
