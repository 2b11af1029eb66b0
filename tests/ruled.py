# SPDX-License-Identifier: MIT
"""A ruler whose time is moved by hand, whose looks are taken by hand, and whose costs are made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import hybridprof
from hybridprof.rollout import Ruler
from hybridprof.rollout.ledger import Reading
from hybridprof.rollout.process import appointed


class Hand:
    """sums: what the next reading says, but for its time and session."""

    def __init__(self, folder: Path) -> None:
        self.now, self.epoch = 1000.0, 5000.0
        self.path = folder / "config.toml"
        self.kill = folder / "kill"
        self.sums = Reading(0.0)
        self.ruler = appointed(
            lambda: Ruler(
                clock=lambda: self.now, wall=lambda: self.epoch + self.now, period=3600.0, costs=lambda: replace(self.sums, at=self.now)
            )
        )

    def write(self, text: str, mode: int = 0o600) -> None:
        """In force at the next look."""
        self.path.write_text(f"kill_file = '{self.kill}'\n" + text)
        self.path.chmod(mode)

    def says(self, text: str) -> dict[str, Any]:
        self.write(text)
        return self.look()

    def configured(self, text: str) -> dict[str, Any]:
        self.write(text)
        hybridprof.configure(self.path)
        return hybridprof.status()

    def until(self) -> float:
        """In a minute, as seconds since the epoch."""
        return self.epoch + self.now + 60

    def look(self, seconds: float = 1.0) -> dict[str, Any]:
        self.now += seconds
        self.ruler.tick()
        return hybridprof.status()

    def costs(self, seconds: float = 1.0, process: float = 1.0, sampler: float = 0.0, tracer: float = 0.0) -> dict[str, Any]:
        """A look after so much time, in which the process took that share of a core, and of it the sampler and the tracer these shares."""
        cpu, old = process * seconds, self.sums
        self.sums = replace(
            old, process=old.process + cpu, sampler=old.sampler + sampler * cpu, units=old.units + round(tracer * cpu * 1e9), unit=1e-9
        )
        return self.look(seconds)
