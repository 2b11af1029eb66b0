# SPDX-License-Identifier: MIT
"""The phases, and what is done in each. What has to be true at a moment is noted as a fact here, and judged in verdict.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .load import Load
from .record import Recorder, until
from .service import SoakService, configuration

PACE = 20.0  # requests in a second
JUMP = 10  # times
PATIENCE = 30.0  # seconds for what should take two
# Shares of the whole time. The crash has its own, because what is held against it takes a minute of health to go.
SHARES = {
    "off": 0.08,
    "dark": 0.05,
    "canary": 0.07,
    "fleet": 0.10,
    "deep": 0.12,
    "crash": 0.13,
    "wide": 0.10,
    "jump": 0.08,
    "back": 0.13,
    "killed": 0.08,
    "again": 0.04,
    "end": 0.02,
}
RELOADS = 3  # in each phase that runs something


@dataclass(slots=True)
class Walk:
    """facts: name and value, as verdict.py judges them."""

    service: SoakService
    load: Load
    recorder: Recorder
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)
    times: dict[str, tuple[float, float]] = field(default_factory=dict)  # of each phase, in seconds since the beginning

    def run(self) -> None:
        steps: dict[str, Callable[[], None]] = {
            "crash": self._crash,
            "jump": self._jump,
            "back": self._back,
            "killed": self._kill,
            "again": self._revive,
        }
        for name in SHARES:
            began = time.monotonic()
            self.recorder.phase = name
            steps.get(name, lambda name=name: self._stage(name))()  # type: ignore[misc]
            self._stay(name, began)
            self.times[name] = (began - self.recorder.began, time.monotonic() - self.recorder.began)

    def _stage(self, name: str) -> None:
        stage = "off" if name == "end" else name
        self.service.configure(configuration(stage))
        took = until(lambda: all(status is not None and status["stage"] == stage for status in self._statuses()), PATIENCE)
        self.facts[f"{name}: in force after"] = took

    def _stay(self, name: str, began: float) -> None:
        """Until the phase's time is over, with reloads, one of them of a file that is wrong."""
        end = began + SHARES[name] * self.seconds
        stage = {"jump": "wide", "back": "wide"}.get(name, name)
        reloads = RELOADS if stage in ("canary", "fleet", "deep", "wide") else 0
        for number in range(reloads):
            self._sleep(began + (number + 1) * (end - began) / (reloads + 1))
            if number == 1:
                self.service.configure("stage = \n")
                self._sleep(min(end, time.monotonic() + 3.0))
            self.service.configure(configuration(stage).replace("rate = 100\n", f"rate = {100 - number % 2}\n"))
        self._sleep(end)

    def _sleep(self, moment: float) -> None:
        time.sleep(max(0.0, moment - time.monotonic()))

    def _statuses(self) -> list[dict[str, Any] | None]:
        return [self.service.status(pid) for pid in sorted(self.service.pids())]

    # --- what goes wrong -------------------------------------------------------------------------------------------------------------------------

    def _crash(self) -> None:
        """In stage deep. The next life of the worker knows of it, and so do the others."""
        began = time.monotonic()
        victim = self.service.crash()
        self.facts["crash: at"], self.facts["crash: worker"] = began - self.recorder.began, victim
        self.facts["crash: replaced after"] = until(lambda: len(self.service.pids() - {victim}) == self.service.workers, PATIENCE)
        self.facts["crash: stage down after"] = until(
            lambda: all(status is not None and status["stage"] == "fleet" for status in self._statuses()), PATIENCE
        )

    def _jump(self) -> None:
        """Ten times the requests, and in each of them ten times the traced calls: else the CPU time that budgets are shares of would grow as much as the cost."""
        self.facts["wide: steps before the jump"] = self._steps()
        self.load.pace, self.load.path = PACE * JUMP, "/hot"
        self.facts["jump: a step after"] = until(lambda: self._steps() > 0, PATIENCE)

    def _back(self) -> None:
        self.load.pace, self.load.path = PACE, "/"

    def _steps(self) -> int:
        return max((status["ladder"]["step"] for status in self._statuses() if status is not None), default=0)

    def _kill(self) -> None:
        self.facts["back: steps in force at the end"] = self._steps()
        self.service.kill_file.touch()
        self.facts["killed: nothing runs and nothing is armed after"] = until(self._is_bare, PATIENCE)

    def _is_bare(self) -> bool:
        return self.service.everywhere(lambda state: not state["running"] and not state["armed"] and not state["targets"])

    def _revive(self) -> None:
        self.facts["killed: bare to the end"] = self._is_bare()
        self.service.kill_file.unlink()
        self.facts["again: runs after"] = until(lambda: self.service.everywhere(lambda state: state["running"]), PATIENCE)
