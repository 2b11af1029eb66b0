# SPDX-License-Identifier: MIT
"""What runs in each stage, and how much of it at most.

| stage  | sampler                           | targets                                              |
| off    | no                                | no                                                   |
| dark   | no                                | no: the configuration alone is read and followed     |
| canary | on the share `rollout.hosts`      | no                                                   |
| fleet  | everywhere                        | no                                                   |
| deep   | everywhere                        | on at most 1 % of their calls, on the hosts' share   |
| wide   | everywhere                        | on at most 5 % of their calls, on the hosts' share   |

Of requests the same shares are traced at most, whole.

Shares bound what a stage adds to the one before: promotion to fleet ends the canaries' privilege, and the share of hosts then waits for the targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STAGES = ("off", "dark", "canary", "fleet", "deep", "wide")  # each does what those before it do, and more
SAMPLER_ONLY = "fleet"  # the highest one without targets
NOTHING_RUNS = "dark"  # the highest one in which nothing runs

# What no layer may exceed where [caps] of the file does not say otherwise.
BUILT_IN_CAPS: Mapping[str, float] = {
    "caps.rate": 1000.0,
    "caps.sampler_budget": 5.0,
    "caps.deep_budget": 10.0,
    "caps.memory_budget": 1024.0,
}
# The same by stage: the most calls of a target, and the most requests, that are traced.
STAGE_CAPS: Mapping[str, Mapping[str, float]] = {
    "caps.deep_rate": {"deep": 0.01, "wide": 0.05},
    "caps.requests": {"deep": 0.01, "wide": 0.05},
}

DEFAULTS: Mapping[str, Any] = {
    "stage": "off",
    "sampler.rate": 100.0,
    "sampler.clock": "wall",
    "sampler.budget": 1.0,
    "deep.targets": (),
    "deep.rate": 0.01,
    "deep.budget": 2.0,
    "deep.event_limit": 0,
    "memory.budget": 256.0,
    "rollout.processes": 1.0,
    "rollout.requests": 0.0,
    "output.interval": 60.0,
    "output.budget": 1.0,
    "output.files": 2880.0,
    "output.megabytes": 500.0,
    "output.days": 7.0,
    "output.paths": "full",
    "output.timeout": 30.0,
}
CANARY_HOSTS = 0.01


def reaches(stage: str, least: str) -> bool:
    return STAGES.index(stage) >= STAGES.index(least)


def lower(one: str, other: str) -> str:
    return min(one, other, key=STAGES.index)


def below(stage: str) -> str:
    """One stage down."""
    return STAGES[max(0, STAGES.index(stage) - 1)]


def default(key: str, stage: str) -> Any:
    """None for a key that has none, such as kill_file."""
    if key == "rollout.hosts":
        return CANARY_HOSTS if stage == "canary" else 1.0
    return DEFAULTS.get(key)
