# SPDX-License-Identifier: MIT
"""What is in force, made true in this process: files are looked at, layers resolved, the session begun, changed and ended.

Lock: api's, the one that guards who owns the session. Files are read and written without it, but for the crash guard's marker (guarding.py says why). The follower's thread calls `tick` each
second or so: as much of a look as can find something (looking.py says how often, and what it may cost), so that a change is in force within five.

`override`, `withdraw`, `ceiling`, `note`, `charge`, `report` and what follows them are for any thread: control sockets, integrations, writers of profiles.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from .. import api, marking, ruling
from . import buckets, environment
from .accounts import Accounts
from .audit import Actor
from .config import Settings, key_of, read, sentences
from .control import Control
from .crash_rules import Standing
from .follower import Follower
from .guarding import Guarding, is_helper
from .journal import Journal
from .ledger import Reading
from .looking import PERIOD, Attention
from .output import Output
from .overrides import Overrides
from .published import Published
from .resolve import InForce, Layers, Override, Resolver
from .session import NOTHING, Plan, Session, planned
from .verdict import Followed
from .watched import WatchedFile
from .wishes import Wishes


class Ruler:
    """One per process, from configure() or the environment on. clock: seconds that only grow; wall: seconds since the epoch; costs: for the ledger, made up in tests."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        period: float = PERIOD,
        costs: Callable[[], Reading] | None = None,
    ) -> None:
        self._clock, self._wall = clock, wall
        self._environment, self._environment_errors = environment.values(os.environ)
        self._config: WatchedFile | None = None
        self._settings: Settings | None = None  # the last good ones
        self._file_errors: list[str] = []  # of the file as it is now
        self._stopped, self._halted = "", False
        self._code = Wishes()
        self._ceilings: dict[str, tuple[str, str]] = {}
        self._host, self._slot, self._slot_is_named = os.uname().nodename, "0", False
        self._session = Session(clock)
        self._accounts = Accounts(clock, costs)
        self.charge = self._accounts.charge  # CPU seconds of a thread of ours that writes or ships profiles
        self._guarding = Guarding(clock, wall)
        self._journal = Journal()
        self._published = Published(clock)
        self._verdict = Followed(clock)
        self._followed = False  # somebody wants the thread; it does not run while the process forks
        self._forked = False  # a child that nobody has started anything in: it may end by os._exit, as such children do
        self._left = False
        self._wanted: Plan = NOTHING  # without the ladder
        self._attention, self._problem = Attention(clock, period), ""
        self.overrides = Overrides(clock, wall)
        self.control = Control(self, clock=clock, wall=wall)
        self.follower = Follower(self.tick, period, charge=self._charge_look)
        self.output = Output(self.renew, self.charge)
        self._accounts.held = lambda: self.output.held + self.control.held
        self._resolve = Resolver()
        self._latest = self._unrestricted = self.in_force()  # at the last change; without the ladder
        self._made: tuple[InForce, int] | None = None  # by the last look, and in which process

    # --- what the program and operators say ------------------------------------------------------------------------------------------------

    def follow(self, path: str) -> None:
        """Reads the file now, and follows it. Raises ConfigError, and nothing has changed."""
        config = WatchedFile(path, self._clock)
        config.changed()
        settings = read(path)
        with api._lock:
            self._config, self._settings, self._file_errors, self._halted, self._forked = config, settings, [], False, False
        self.begin()

    def follow_whatever_it_holds(self, path: str) -> None:
        """The same without an exception: while the file cannot be used nothing runs."""
        try:
            self.follow(path)
        except Exception as error:  # whatever it is, the program goes on
            self._file_errors = sentences(error, path)
            self._settings = Settings(path, {"stage": "off"}, {"stage": self._file_errors[0]})
            self._config = WatchedFile(path, self._clock)
            self.begin()

    def begin(self) -> None:
        """Looks now, and again each period. What is to be written waits for the thread: api's lock may be held."""
        self._look()
        self._keep_looking()

    def _keep_looking(self) -> None:
        """Starts the thread if there is none: a fork past Python's hooks (uWSGI's) leaves a child without it."""
        self._followed = True
        try:
            self.follower.start()
        except RuntimeError as error:
            self._problem = f"the configuration cannot be followed: {error}"

    def override(self, key: str, value: object, until: float, by: str = "control", actor: Actor | None = None, noted: bool = True) -> None:
        """Outranks the file until a moment, in seconds since the epoch. actor: who, for the audit log; by: the same in a word, for status. noted: False where the caller tells the log itself;
        nothing is written then, so that api's lock may be held. Raises ValueError, one sentence: an unknown key or one that no override may set, a bad value, one above a cap of the local
        file, or a moment that is past or more than a week away."""
        with api._lock:
            settings = self._settings
            old = self.overrides.copy().get(key)
            self.overrides.set(key, value, until, by, settings.values if settings is not None else {}, self.in_force().stage)
            self._journal.overridden(key, actor or Actor.here(by), until)
            if noted:
                self._journal.note(f"override {key}", old.value if old else None, value, actor or Actor.here(by), until)
            self._apply()
        if noted:
            self.flush()

    def withdraw(self, key: str, actor: Actor | None = None, noted: bool = True) -> None:
        """Ends an override; does nothing if there is none. noted: as above."""
        with api._lock:
            old = self.overrides.withdraw(key)
            if old is not None and noted:
                self._journal.note(f"override {key}", old.value, None, actor or Actor.here("control"))
            self._apply()
        if noted:
            self.flush()

    def flush(self) -> None:
        """Writes what waits for the audit log. Not with api's lock held: a slow disk is not to hold the program up."""
        self._journal.flush()

    def ceiling(self, who: str, stage: str | None, why: str = "") -> None:
        """No stage above this one, until `who` says None."""
        with api._lock:
            self._ceilings.pop(who, None)
            if stage is not None:
                self._ceilings[who] = (stage, why)
            self._apply()

    def set_slot(self, slot: str, guarded: bool = True) -> None:
        """Which of the service's worker processes this is: "0", "1" ... The same after a restart, unlike a pid. guarded: whether it is a crash if it ends without a word."""
        with api._lock:
            self._slot, self._slot_is_named = slot, guarded
            self._apply()

    def leave(self) -> None:
        """This process ends as it should: no crash, the last file is written and offered to the uploader, all in a bounded time. For exit handlers, and for
        ends that run none (os._exit)."""
        self._left = True
        for step in (self.follower.close, self.control.close, self.output.at_exit, self.close):
            with suppress(Exception):  # each of them, and then the program's own end
                step()

    def picks_request(self, identity: str | bytes) -> bool:
        """Whether the request with this id (its trace id) is among the share that is traced. Takes no lock."""
        now = self._latest
        return now.traces and buckets.is_member("request", identity, now["rollout.requests"])

    def note(self, what: str, old: object = None, new: object = None, actor: Actor | None = None, until: float | None = None) -> None:
        """For the audit log. Never raises, never waits: the follower's thread writes it."""
        self._journal.note(what, old, new, actor or Actor.here("code"), until)

    # --- api's ruler: with api's lock held ----------------------------------------------------------------------------------------------------

    def joined(self, profiler: api.Profiler) -> None:
        self._halted = self._forked = False
        self._code.hear(profiler)
        self._apply()
        self._keep_looking()

    def left(self, profiler: api.Profiler) -> None:
        self._code.drop(profiler)
        self._apply()

    def halted(self) -> None:
        self._halted = True
        self._code.clear()
        self._apply()

    def reported(self, status: dict[str, Any]) -> dict[str, Any]:
        self._keep_looking()
        now = self.in_force()
        return {**status, **self._report(now), "in_force": now.listed()}

    def report(self) -> dict[str, Any]:
        """What `hybridprof status` shows: stage and why, members, costs against budgets, the ladder, crashes, and what is wrong."""
        with api._lock:
            return self._report(self.in_force())

    def _report(self, now: InForce) -> dict[str, Any]:
        verdict = self._verdict.verdict
        return {
            **now.described(),
            "host": self._host,
            "slot": self._slot,
            "at": self._wall(),
            "config": self._config.path if self._config is not None else None,
            "config_errors": self.config_errors,
            "problem": self.problem,
            **self._accounts.report(now),
            "crashes": self._guarding.report(),
            "audit": self._journal.report(),
            "verdict": None if verdict is None else {"stage": verdict.stage, "verdict": verdict.verdict, "reason": verdict.reason},
            "status_problem": self._published.problem,
            "overrides": self.overrides.listed(),
            "output": self.output.status(),
            "control": self.control.reported(),
        }

    @property
    def problem(self) -> str:
        """Why what is in force could not be made true; "" if it is."""
        return self._session.problem or self._problem

    @property
    def config_errors(self) -> list[str]:
        """Of the file as it is now, and of the environment: one sentence each."""
        return [*self._file_errors, *self._environment_errors]

    # --- what is in force --------------------------------------------------------------------------------------------------------------------

    def in_force(self) -> InForce:
        return self._resolve(self._layers(), self._clock())

    def supposing(self, overrides: Mapping[str, Override | None]) -> InForce:
        """What would be in force with these overrides, and without those that are None here."""
        layers = self._layers()
        kept = {key: each for key, each in {**layers.overrides, **overrides}.items() if each is not None}
        return self._resolve(replace(layers, overrides=kept), self._clock())

    def _layers(self) -> Layers:
        return Layers(
            self._why_stopped(),
            self.overrides.copy(),
            self._settings,
            self._environment,
            self._code.together(),
            self._ceilings | self._verdict.ceilings,
            self._guarding.standing,
            self._accounts.easing,
            self._host,
            self._slot,
        )

    def _why_stopped(self) -> str:
        return self._stopped or ("hybridprof.stop() was called in this process" if self._halted else "")

    def tick(self) -> None:
        """As much of a look as can find something. Never raises."""
        with suppress(Exception):  # whatever it is, a whole look tells
            if not self._has_news():
                self._journal.flush()
                if self._attention.wants_report():
                    self.output.update(self._latest, self._slot, self._host)
                    self.control.follow(self._latest["control.socket"])
                    self._publish()
                return
        self.look()

    def look(self) -> None:
        """Reads what has changed, makes it true, and writes down what was done. Never raises."""
        self._look()
        self._made = (self._latest, os.getpid())
        self._attention.looked()
        self._journal.flush()
        self._publish()

    def _publish(self) -> None:
        told = (self._accounts.steps, self.problem, self.config_errors, self.output.gist)
        gist = (planned(now := self._latest), now.stage, now.why.partition(", for ")[0], *told)
        self._published.say(now["state_dir"], gist, self.report, still=not (self._wanted.samples or self.overrides.are_set()))

    def _has_news(self) -> bool:
        """Found out in the order of what it costs."""
        made, now = self._made, self._latest
        if made is None or made[0] is not now or made[1] != os.getpid() or self._attention.wants_all():
            return True
        if self._attention.wants_glance() and self._sees_change(now):
            return True
        if not self._wanted.samples:
            return False
        with api._lock:
            return self._weigh()

    def _sees_change(self, now: InForce) -> bool:
        """Also where something is to be tried again, or ends by itself."""
        return (
            environment.why_stopped(now["kill_file"]) != self._stopped
            or (self._config is not None and self._config.may_differ())
            or (not self._stopped and (self._verdict.may_differ(now["state_dir"]) or self._guarding.is_due()))
            or self.overrides.are_set()
            or bool(self._problem)
            or not self._session.is_as(planned(now))
        )

    def _charge_look(self, seconds: float) -> None:
        self._accounts.charge_ruler(seconds)
        self.follower.period = self._attention.charge(seconds)

    def _look(self) -> None:
        try:
            now = self.in_force() if self._reread() else self._latest
            stopped = environment.why_stopped(now["kill_file"])
            self._journal.keep_in(now["state_dir"])
            if not stopped:  # a kill waits for no file that other processes hold
                self._verdict.look(now["state_dir"])
                self._guarding.look()
                stopped = environment.why_stopped(now["kill_file"])  # it may have come while those were waited for
            with api._lock:
                self._stopped = stopped
                self._weigh()  # first: what has run until now is held against what was wanted until now
                self._apply()
            self.output.update(self._latest, self._slot, self._host)
            self._problem = ""
            self.control.follow(self._latest["control.socket"])
        except Exception as error:
            self._problem = f"{type(error).__name__}: {error}"

    def _reread(self) -> bool:
        """Whether the file may have changed."""
        config = self._config
        if config is None or not config.changed():
            return False
        settings, errors = self._settings, []
        try:
            settings = read(config.path)
        except Exception as error:  # the last good ones stay
            errors = sentences(error, config.path)
            config.not_read(error)
        with api._lock:
            if config is self._config:  # nobody has called configure() meanwhile
                self._settings, self._file_errors = settings, errors
        return True

    # --- made true -----------------------------------------------------------------------------------------------------------------------------

    def _reconsider(self) -> None:
        """What would run without the ladder; with api's lock held. Where that changes the beginning follows at once, in the window that is open now: it alone is forgiven."""
        layers = self._layers()
        self._unrestricted = self._resolve(layers if layers.easing is None else replace(layers, easing=None), self._clock())
        wanted = planned(self._unrestricted)
        if wanted != self._wanted:
            self._wanted = wanted
            self._accounts.forgive()

    def _weigh(self) -> bool:
        """What profiling has cost since it was last weighed, and whether something follows from that; with api's lock held."""
        changed = self._accounts.look(self._unrestricted, self._wanted.samples)
        if self._accounts.sheds:
            self._session.end()  # `_apply` begins it anew
            self.output.hurry()  # what it had is memory too, until it is written
        return changed

    def _apply(self) -> None:
        """Nothing where nothing has changed; with api's lock held. Nothing begins any more in a process that ends."""
        if self._left:
            return
        now, standing = self.in_force(), self._guarding.standing
        guarded = now["state_dir"] if self._slot_is_named or not (self._forked or is_helper()) else None
        self._guarding.announce(guarded, self._slot, self._config_key(), now.asked)
        if self._guarding.standing != standing:
            now = self.in_force()
        self._reconsider()
        self._latest = now
        self._record(now)
        plan = planned(now)
        if not self._session.is_as(plan):
            self._session.make(plan)
        self.follower.period = self._attention.suit(self._wanted.samples or now.samples, now.traces)

    def _config_key(self) -> str:
        return key_of(self._settings.values if self._settings is not None else self._environment)

    def _record(self, now: InForce) -> None:
        """For the audit log; with api's lock held."""
        for key, each in self.overrides.ended().items():
            self._journal.note(f"override {key}", each.value, None, Actor.here("clock"))
        standing, why = self._guarding.standing
        verdict = self._verdict.verdict
        self._journal.record_said("stopped", self._why_stopped() or None, "stop")
        self._journal.record_said("crashes", None if standing is Standing.CLEAR else why, "crash guard")
        self._journal.record_said("verdict", None if verdict is None else [verdict.stage, verdict.reason], "judge")
        self._journal.record_said("budget step", self._accounts.described() or None, "budget")
        self._journal.record(now, self._settings)

    # --- the process -----------------------------------------------------------------------------------------------------------------------------

    def renew(self) -> None:
        """The session begins anew, as it is in force: its call graph has become so large that each look at it costs. What it has is not lost (_core.keep_windows), but
        the milliseconds between are nobody's, and calls that are open go on untraced."""
        with api._lock:
            self._session.end()
            self._apply()

    def adopt(self) -> None:
        """Heard and ruled from now on: what the program has started before there was a ruler. With api's lock held."""
        for profiler in list(api._active):
            self._code.hear(profiler)
        api.hand_over()

    def retire(self) -> None:
        """What runs ends, and the program decides again. With api's lock held."""
        api.stop()
        marking.limit(1.0)
        ruling.set_ruler(None)

    def close(self) -> None:
        """The process ends as it should, or nobody rules it any more: the last records are written, marker and report go."""
        self._journal.flush()
        self._guarding.close()
        self._published.end()

    def before_fork(self) -> None:
        self.follower.stop()
        self.output.before_fork()
        self.control.before_fork()

    def after_fork_in_parent(self) -> None:
        self.control.after_fork_in_parent()
        if self._followed:
            self._keep_looking()
            self.output.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Session, marker, costs and what waits to be written are the parent's. Ours begin with the first look."""
        self._session.forget()
        self._guarding.forget()
        self._journal.forget()
        self._published.forget()
        self._accounts.forget()
        self._wanted, self._slot_is_named, self._forked, self._left, self._made = NOTHING, False, True, False, None
        self.follower.period = self._attention.forget()
        self.follower.forget()
        self.output.after_fork_in_child()
        self.control.after_fork_in_child()
        if self._followed:
            self._keep_looking()
