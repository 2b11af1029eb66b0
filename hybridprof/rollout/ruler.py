# SPDX-License-Identifier: MIT
"""What is in force, made true in this process: files are looked at, layers resolved, the session begun, changed and ended.

Lock: api's, the one that guards who owns the session. Files are read without it. The follower's thread calls `look` each second, so that a
change is in force within two, whatever the file system's clock says.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from .. import _core, api, marking
from . import buckets, environment
from .config import ConfigError, Settings, read
from .control import Control
from .follower import Follower
from .overrides import Overrides
from .resolve import InForce, Layers, Override, resolve
from .watched import WatchedFile, presence

PERIOD = 1.0  # seconds between two looks


class Plan(NamedTuple):
    """What of all that is in force a session is made of."""

    samples: bool
    rate: float
    clock: str
    targets: tuple[str, ...]
    deep_rate: float  # 0: nothing is traced
    budget: float


class Ruler:
    """One per process, from configure() or the environment on. clock: seconds that only grow; wall: seconds since the epoch."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time, period: float = PERIOD
    ) -> None:
        self._clock = clock
        self._environment, self._environment_errors = environment.values(os.environ)
        self._config: WatchedFile | None = None
        self._settings: Settings | None = None  # the last good ones
        self._file_errors: list[str] = []  # of the file as it is now
        self._stopped = ""
        self._halted = False
        self._code: dict[int, dict[str, Any]] = {}  # by id of the Profiler that the program started
        self._ceilings: dict[str, tuple[str, str]] = {}
        self._host, self._slot = os.uname().nodename, "0"
        self._session: api.Profiler | None = None
        self._plan: Plan | None = None  # what the session was made of
        self._followed = False  # before the fork that is under way
        self.problem = ""  # why what is in force could not be made true
        self.overrides = Overrides(clock, wall)
        self.control = Control(self, clock=clock, wall=wall)
        self.follower = Follower(self.look, period)
        self._latest = self.in_force()  # at the last look

    # --- what the program and operators say ------------------------------------------------------------------------------------------------

    def follow(self, path: str) -> None:
        """Reads the file now, and follows it. Raises ConfigError, and nothing has changed."""
        config = WatchedFile(path, self._clock)
        config.changed()
        settings = read(path)
        with api._lock:
            self._config, self._settings, self._file_errors, self._halted = config, settings, [], False
        self.begin()

    def follow_whatever_it_holds(self, path: str) -> None:
        """The same without an exception: while the file cannot be used nothing runs."""
        try:
            self.follow(path)
        except Exception as error:  # whatever it is, the program goes on
            self._file_errors = _sentences(error, path)
            self._settings = Settings(path, {"stage": "off"}, {"stage": self._file_errors[0]})
            self._config = WatchedFile(path, self._clock)
            self.begin()

    def begin(self) -> None:
        """Looks now, and again each period."""
        self.look()
        self._keep_looking()

    def _keep_looking(self) -> None:
        """Starts the thread if there is none: a fork past Python's hooks (uWSGI's) leaves a child without it."""
        try:
            self.follower.start()
        except RuntimeError as error:
            self.problem = f"the configuration cannot be followed: {error}"

    def override(self, key: str, value: object, until: float, by: str = "control") -> None:
        """Outranks the file until a moment, in seconds since the epoch. Raises ValueError, one sentence: an unknown key or one that no override may set, a bad
        value, one above a cap of the local file, or a moment that is past or more than a week away."""
        with api._lock:
            settings = self._settings
            self.overrides.set(key, value, until, by, settings.values if settings is not None else {}, self.in_force().stage)
            self._apply()

    def withdraw(self, key: str) -> None:
        """Ends an override; does nothing if there is none."""
        with api._lock:
            self.overrides.withdraw(key)
            self._apply()

    def ceiling(self, who: str, stage: str | None, why: str = "") -> None:
        """No stage above this one, until `who` says None: how crashes and budgets step down."""
        with api._lock:
            self._ceilings.pop(who, None)
            if stage is not None:
                self._ceilings[who] = (stage, why)
            self._apply()

    def set_slot(self, slot: str) -> None:
        """Which of the service's worker processes this is: "0", "1" ... The same after a restart, unlike a pid."""
        with api._lock:
            self._slot = slot
            self._apply()

    def picks_request(self, identity: str | bytes) -> bool:
        """Whether the request with this id (its trace id) is among the share that is traced. Takes no lock."""
        now = self._latest
        return now.traces and buckets.is_member("request", identity, now["rollout.requests"])

    # --- api.Ruler: with api's lock held ----------------------------------------------------------------------------------------------------

    def joined(self, profiler: api.Profiler) -> None:
        self._halted = False
        self._hear(profiler)
        self._apply()
        self._keep_looking()

    def left(self, profiler: api.Profiler) -> None:
        self._code.pop(id(profiler), None)
        self._apply()

    def halted(self) -> None:
        self._halted = True
        self._code.clear()
        self._apply()

    def reported(self, status: dict[str, Any]) -> dict[str, Any]:
        self._keep_looking()
        now = self.in_force()
        return {
            **status,
            "stage": now.stage,
            "why": now.why,
            "config": self._config.path if self._config is not None else None,
            "config_errors": self.config_errors,
            "problem": self.problem,
            "in_force": {key: {"value": each.value, "from": each.source, "asked": each.capped} for key, each in now.values.items()},
            "members": dict(now.members),
            "overrides": self.overrides.listed(),
            "control": self.control.reported(),
        }

    @property
    def config_errors(self) -> list[str]:
        """Of the file as it is now, and of the environment: one sentence each."""
        return [*self._file_errors, *self._environment_errors]

    def _hear(self, profiler: api.Profiler) -> None:
        """What the program wants: the lowest layer."""
        options, watch = profiler.options, profiler.watch
        wish: dict[str, Any] = {"sampler.rate": options["rate"], "sampler.clock": options["clock"], "stage": "fleet"}
        if watch.patterns:
            wish |= {"stage": "deep", "deep.targets": tuple(each.text for each in watch.patterns), "deep.rate": watch.rate}
        if options["budget"]:
            wish["deep.budget"] = options["budget"]
        self._code[id(profiler)] = wish

    # --- what is in force --------------------------------------------------------------------------------------------------------------------

    def in_force(self) -> InForce:
        return resolve(self._layers(), self._clock())

    def supposing(self, overrides: Mapping[str, Override | None]) -> InForce:
        """What would be in force with these overrides, and without those that are None here."""
        layers = self._layers()
        changed = {**layers.overrides, **overrides}
        kept = {key: each for key, each in changed.items() if each is not None}
        return resolve(replace(layers, overrides=kept), self._clock())

    def _layers(self) -> Layers:
        stopped = self._stopped or ("hybridprof.stop() was called in this process" if self._halted else "")
        return Layers(
            stopped, self.overrides.copy(), self._settings, self._environment, self._wishes(), dict(self._ceilings), self._host, self._slot
        )

    def _wishes(self) -> dict[str, Any]:
        """Of all Profilers that the program has started: the first one's, and everybody's targets."""
        wishes = list(self._code.values())
        together: dict[str, Any] = {}
        for wish in reversed(wishes):
            together |= wish
        targets = dict.fromkeys(target for wish in wishes for target in wish.get("deep.targets", ()))
        if targets:
            together |= {"stage": "deep", "deep.targets": tuple(targets)}
        return together

    def look(self) -> None:
        """Reads what has changed, and makes it true. Never raises."""
        try:
            now = self.in_force() if self._reread() else self._latest
            stopped = _why_stopped(now["kill_file"])
            with api._lock:
                self._stopped = stopped
                self._apply()
            self.control.follow(self._latest["control.socket"])
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"

    def _reread(self) -> bool:
        """Whether the file may have changed."""
        config = self._config
        if config is None or not config.changed():
            return False
        settings, errors = self._settings, []
        try:
            settings = read(config.path)
        except Exception as error:  # the last good ones stay
            errors = _sentences(error, config.path)
        with api._lock:
            if config is self._config:  # nobody has called configure() meanwhile
                self._settings, self._file_errors = settings, errors
        return True

    # --- made true -----------------------------------------------------------------------------------------------------------------------------

    def _apply(self) -> None:
        """Nothing where nothing has changed; with api's lock held. What the interpreter or the system refuses is a problem, no exception: without
        its targets the plan is tried again, and all of it at the next look."""
        self._latest = self.in_force()
        plan = _plan(self._latest)
        if plan == self._plan and _core.running() == plan.samples:
            return
        try:
            self._make_true(plan)
            self._plan, self.problem = plan, ""
        except Exception as error:  # the program asked for none of this and must not meet it
            self.problem = str(error)
            self._plan = self._made_true_without_targets(plan)

    def _made_true_without_targets(self, plan: Plan) -> Plan | None:
        try:
            self._make_true(plan._replace(targets=(), deep_rate=0.0))
        except Exception as error:
            self.problem = str(error)
            return None
        return plan

    def _make_true(self, plan: Plan) -> None:
        if self._session is not None and not (plan.samples and self._can_go_on(plan)):
            session, self._session = self._session, None
            session.end()
        if not plan.samples:
            marking.limit(0.0)
        elif self._session is None:
            self._begin_session(plan)
        elif self._plan is None or (plan.targets, plan.deep_rate) != (self._plan.targets, self._plan.deep_rate):
            self._session.retarget((), 1.0)  # before marks change: it takes away what it has added
            marking.limit(plan.deep_rate)
            self._session.retarget(plan.targets, plan.deep_rate or 1.0)

    def _can_go_on(self, plan: Plan) -> bool:
        same_clock = self._plan is not None and plan.clock == self._plan.clock
        return same_clock and _core.running() and _core.adjust(rate=plan.rate, budget=plan.budget)

    def _begin_session(self, plan: Plan) -> None:
        marking.limit(plan.deep_rate)
        session = api.Profiler(
            rate=plan.rate,
            clock="cpu" if plan.clock == "cpu" else "wall",
            deep=plan.targets,
            deep_rate=plan.deep_rate or 1.0,
            budget=plan.budget,
        )
        self._session = session
        session.begin()

    # --- the process -----------------------------------------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Heard and ruled from now on: what the program has started before there was a ruler. With api's lock held."""
        for profiler in list(api._active):
            self._hear(profiler)
        api.hand_over()

    def retire(self) -> None:
        """What runs ends, and the program decides again. With api's lock held."""
        api.stop()
        marking.limit(1.0)
        api.set_ruler(None)

    def before_fork(self) -> None:
        self._followed = self.follower.runs
        self.follower.stop()
        self.control.before_fork()

    def after_fork_in_parent(self) -> None:
        self.control.after_fork_in_parent()
        if self._followed:
            self._keep_looking()

    def after_fork_in_child(self) -> None:
        """The session is the parent's. Ours begins with the first look."""
        self._session = self._plan = None
        self.follower.forget()
        self.control.after_fork_in_child()
        if self._followed:
            self._keep_looking()


def _why_stopped(kill_file: str | None) -> str:
    found = presence(kill_file) if kill_file is not None else ""
    return found or (f"{environment.DISABLE} is set" if environment.is_disabled(os.environ) else "")


def _sentences(error: Exception, path: str) -> list[str]:
    return error.errors if isinstance(error, ConfigError) else [f"{path}: {type(error).__name__}: {error}"]


def _plan(now: InForce) -> Plan:
    if not now.samples:
        return Plan(False, 0.0, "wall", (), 0.0, 0.0)
    targets = now["deep.targets"] if now.traces else ()
    return Plan(True, now["sampler.rate"], now["sampler.clock"], targets, now["deep.rate"] if now.traces else 0.0, now["deep.budget"])
