# SPDX-License-Identifier: MIT
"""What the benchmarks of the rollout run: requests of about a millisecond, with traced calls in them, under a configuration that is followed."""

from __future__ import annotations

import os
from pathlib import Path


def price(item: int) -> int:
    return item * 2


def checkout(items: int) -> int:
    return sum(price(item) for item in range(items))


def render() -> int:
    total = 0
    for item in range(15000):
        total += item & 7
    return total


def request(calls: int) -> int:
    return render() + checkout(calls)


CONFIGURATION = """
stage = "wide"
kill_file = "{folder}/kill"
state_dir = "{folder}/state"
control.socket = "{folder}/%p.sock"
[sampler]
rate = 100
budget = "{sampler}%"
[deep]
targets = [{targets}]
rate = 1.0
budget = "{tracer}%"
[caps]
deep_rate = 1.0
sampler_budget = "100%"
deep_budget = "100%"
"""


def configuration(folder: Path, *targets: str, sampler: float = 1, tracer: float = 2) -> Path:
    """sampler, tracer: their budgets, in percent."""
    path = folder / "config.toml"
    path.write_text(CONFIGURATION.format(folder=folder, targets=", ".join(f'"{each}"' for each in targets), sampler=sampler, tracer=tracer))
    path.chmod(0o600)
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    return path


def alone(environment: dict[str, str] | None = None) -> dict[str, str]:
    """An environment that says nothing of ours, in which two runs hash alike."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HYBRIDPROF_")}
    return {**kept, "PYTHONHASHSEED": "0", **(environment or {})}
