# SPDX-License-Identifier: MIT
"""Starting, stopping, asking. One session per process; the Profiler that started it owns it, every other one shares it.

Where a configuration decides (ruling.py), a Profiler only says what the program wants.
"""

from __future__ import annotations

import _thread
import os
import time

from . import _core, options, ruling
from .deep import checked_rate
from .marking import follow_replaced
from .watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from typing import Any, Literal

    from .profile import Profile

ENDED_BY_OTHERS = (
    "the session that this Profiler shared was ended before it, by stop() or by who had started it: what came after was not measured"
)

_lock = _thread.RLock()  # not threading's: importing that is the program's own choice
_owner: Profiler | None = None  # guarded by _lock: whose session runs
_active: list[Profiler] = []  # guarded by _lock: the owner and those that share its session
_sessions = 0  # that have begun
_started_cpu = 0  # ns of process CPU when it began
_profile_class: type[Profile] | None = None  # once it was needed: see profile_class

_core.hide_file(os.path.dirname(__file__) + os.sep)  # what we do inside the program is none of its functions


def _after_fork_in_child() -> None:
    """The session is the parent's: here nothing runs until it is started again."""
    global _lock, _owner
    _lock = _thread.RLock()  # another thread may have held it; that thread is not here
    _owner = None
    for profiler in _active:
        profiler.forget()
    _active.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)


def hand_over() -> None:
    """With the lock held, to a ruler: a session that runs ends, as its data goes with it; who started it goes on as one that is ruled."""
    if _owner is not None:
        _owner.end()
    for profiler in _active:
        profiler.be_ruled()


def _differences(wanted: dict[str, Any], runs: dict[str, Any]) -> str:
    """One sentence, "" where there are none. What was left at its default was not asked for."""
    usual = {"rate": 100.0, "clock": "wall", "method": "auto", "hook": "auto"}
    lost = [f"{name}={value!r}" for name, value in wanted.items() if value not in (runs[name], usual.get(name, 0), 0)]
    return f"a session ran already, whose options stay in force: {', '.join(lost)} had no effect" if lost else ""


class Profiler:
    """One session: `with Profiler(rate=1000, deep=["shop.cart:*"]) as p: ...`, then `p.profile`.

    If a session runs already, it is shared: its rate and clock stay, the patterns of `deep` are added ("auto" only where it has a budget), and
    `stop` leaves it running.
    """

    def __init__(
        self,
        *,
        rate: float = 100.0,
        clock: Literal["wall", "cpu"] = "wall",
        deep: Iterable[str] = (),
        deep_rate: float = 1.0,
        hook: Literal["auto", "monitoring", "setprofile"] = "auto",
        c_calls: bool = False,
        method: Literal["auto", "same-cpu", "signal", "remote"] = "auto",
        seed: int = 0,
        budget: float = 0.0,
        tasks: bool = False,
        event_limit: int = 0,
        timeline: bool = False,
    ) -> None:
        """rate: samples per second and thread (Hz), 0 for tracing only, at most 10,000, and 200,000 with method "remote". clock: "wall" or "cpu" time.
        deep: patterns such as "package.module:Class.method", "module:*" or "*". deep_rate: the share of their calls to trace, 0 < deep_rate <= 1. hook: how calls are
        traced. c_calls: also calls of C functions. method: how stacks are read. seed: of the choice of calls where deep_rate is below 1 (0: random).
        budget: percent of one core that tracing may take (0: no limit); over it, the functions that are called most are left to the sampler, then a
        smaller share of the targets' calls is traced. With "*" it needs Python 3.12 or later. "auto" in deep: everything, within a budget of 2 percent
        where none is given; what is called too often for that is left to the sampler, and looked at again later. tasks: stacks of asyncio tasks go
        on through the tasks that await them, each beneath a node with its name. event_limit: how many events (a call has two: its start and its
        end) one outermost call of a target may have; the rest of that call is left to the sampler (0: no limit). timeline: samples are also kept in
        the order of time: what is written while the program runs has all of them, a snapshot the newest million.

        Raises TypeError or ValueError, one sentence, before anything is started.
        """
        rate, how = options.checked_sampling(rate, method)
        self._options: dict[str, Any] = {
            "rate": rate,
            "clock": options.checked_choice("clock", clock, options.CLOCKS),
            "method": how,
            "hook": options.checked_hook(hook),
            "c_calls": bool(c_calls),
            "seed": options.checked_natural("seed", seed),
            "budget": options.checked_budget(budget),
            "tasks": bool(tasks),
            "event_limit": options.checked_natural("event_limit", event_limit),
            "timeline": bool(timeline),
        }
        if not isinstance(deep, str) and not hasattr(deep, "__iter__"):
            raise TypeError(f"deep is a list of patterns such as 'package.module:Class.method', not {type(deep).__name__} {deep!r}")
        deep = [deep] if isinstance(deep, str) else list(deep)
        self._watch = Watch(deep, checked_rate(deep_rate, "deep_rate"))
        self._asked = dict(self._options)
        if "auto" in deep and not self._options["budget"]:
            self._options["budget"] = options.AUTO_BUDGET
        if self._options["budget"] and any(pattern.everything for pattern in self._watch.patterns):
            options.check_spares_functions(hook)
        self._active = False
        self._ruled = False  # the session is a ruler's, and so are the patterns at work
        self._first_session = 0  # of those that it may have seen
        self._session = 0  # that it started, or shared
        self._profile: Profile | None = None
        self._unheeded = ""  # what of its options a session that ran already does not do
        self.warnings: list[
            str
        ] = []  # after stop(): a sentence for each pattern that matched nothing, for options of no effect, and for a session that others ended

    def __repr__(self) -> str:
        return f"<Profiler {'running' if self._active else 'stopped'}, {self._options['rate']:g} Hz, {self._options['clock']} clock>"

    def start(self) -> Profiler:
        """Starts measuring; does nothing if it has been started. Raises RuntimeError where the system or interpreter refuses.

        Where a configuration is followed, that decides what runs; this one's options count where it says nothing."""
        with _lock:
            if self._active:
                return self
            ruler = ruling.ruler()
            if ruler is None:
                self.begin()
            else:
                self._ruled = True
                self._first_session = _sessions + (not _core.running())
                ruler.joined(self)
            self._active = True
            self._profile = None
            _active.append(self)
            return self

    def begin(self) -> None:
        """The session, without the bookkeeping of who started it; with the lock held. One that runs is shared."""
        global _owner, _sessions, _started_cpu
        cpu = time.process_time_ns()
        follow_replaced()
        begun = _core.start(**self._options)
        self._unheeded = "" if begun or _owner is None else _differences(self._asked, _owner._options)
        if begun:
            _owner, _started_cpu = self, cpu
            _sessions += 1
        self._session = _sessions
        self._watch.leave_out_auto(_owner is not None and not _owner._options["budget"])
        try:
            self._watch.begin()  # now that the core knows its hook, and so whether functions need wrappers
        except BaseException:
            self._watch.end()
            if _owner is self:
                _core.stop()
                _owner = None
            raise

    def stop(self) -> Profiler:
        """Stops measuring, if this Profiler started the session; what was measured stays in `profile`."""
        global _owner
        with _lock:
            if not self._active:
                return self
            # First: a signal handler or a finaliser that stops it too, in the middle of this, finds nothing left to do.
            self._active = False
            _active.remove(self)
            if self._ruled:
                self._profile = self._leave()
                return self
            try:
                self._watch.end_everything()  # before our own work here is traced
                self._watch.refresh()
                self.warnings = [*self._watch.unmatched(), *([self._unheeded] if self._unheeded else [])]
                if _owner is not self and (self._session != _sessions or not _core.running()):
                    self.warnings.append(ENDED_BY_OTHERS)
            finally:
                if _owner is self:
                    _core.stop()
                    _owner = None
            try:
                self._profile = _taken()
            finally:
                self._watch.end()
            return self

    def _leave(self) -> Profile:
        """The session is the ruler's, and goes on if the configuration says so."""
        self._ruled = False
        profile = _taken(self._first_session)
        if ruling.current is not None:
            ruling.current.left(self)
        return profile

    def end(self) -> None:
        """What `begin` began, with the lock held; the data stays in the core. For a ruler: nothing is searched, so that it is quick."""
        global _owner
        try:
            self._watch.end_everything()
        finally:
            if _owner is self:
                _core.stop()
                _owner = None
            self._watch.end()

    def be_ruled(self) -> None:
        """Its own patterns end; with the lock held."""
        self._watch.end()
        self._ruled = True

    def retarget(self, deep: Iterable[str], deep_rate: float) -> None:
        """Other patterns, or another share of their calls, with the lock held, while the session runs."""
        self._watch.end()
        self._watch = Watch(deep, deep_rate)
        self._watch.leave_out_auto(_owner is not None and not _owner._options["budget"])
        self._watch.begin()

    def set_deep_rate(self, deep_rate: float) -> None:
        """Another share of the patterns' calls, with the lock held: nothing is searched again, so that it may be done often."""
        self._watch.set_rate(deep_rate)

    @property
    def options(self) -> dict[str, Any]:
        """Of the session that it would start: rate, clock, budget ..."""
        return dict(self._options)

    def forget(self) -> None:
        """In a forked child."""
        self._active = self._ruled = False
        self._watch.end()

    @property
    def profile(self) -> Profile:
        """What was measured: so far, while it runs. Raises RuntimeError before the first start()."""
        with _lock:
            if self._profile is not None:
                return self._profile
            if not self._active:
                raise RuntimeError("this Profiler has measured nothing in this process: call start() or use it in a with statement")
            if not self._ruled:
                self._watch.refresh()
            return _taken(self._first_session if self._ruled else 0)

    @property
    def watch(self) -> Watch:
        """Its patterns at work."""
        return self._watch

    def __enter__(self) -> Profiler:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()


def start(
    rate: float = 100.0,
    clock: Literal["wall", "cpu"] = "wall",
    deep: Iterable[str] = (),
    *,
    deep_rate: float = 1.0,
    hook: Literal["auto", "monitoring", "setprofile"] = "auto",
    c_calls: bool = False,
    method: Literal["auto", "same-cpu", "signal", "remote"] = "auto",
    seed: int = 0,
    budget: float = 0.0,
    tasks: bool = False,
    event_limit: int = 0,
    timeline: bool = False,
) -> Profiler:
    """Starts profiling this process and returns its Profiler; if one runs, that one, unchanged. The options are those of Profiler."""
    wanted = Profiler(
        rate=rate,
        clock=clock,
        deep=deep,
        deep_rate=deep_rate,
        hook=hook,
        c_calls=c_calls,
        method=method,
        seed=seed,
        budget=budget,
        tasks=tasks,
        event_limit=event_limit,
        timeline=timeline,
    )
    with _lock:
        if ruling.ruler() is not None:
            return _active[0] if _active else wanted.start()
        if _owner is not None and _core.running():
            return _owner
        return wanted.start()


def stop() -> None:
    """Stops the session, whoever started it; does nothing if none runs. The data stays: `snapshot` still gives it. Where a configuration is followed,
    nothing runs in this process until start() or configure() is called."""
    with _lock:
        if ruling.current is not None:
            ruling.current.halted()
            while _active:
                _active[-1].stop()
        if _owner is not None:
            _owner.stop()
        _core.stop()


def running() -> bool:
    """Whether a session runs."""
    return _core.running()


def snapshot() -> Profile:
    """What the running session has measured so far, or the last one in all; profiling goes on. Raises RuntimeError if there was none."""
    return snapshot_for_others(None, None)


def snapshot_for_others(roots: Sequence[str] | None, program: str | None) -> Profile:
    """The same, to leave the process: roots are folders that are taken off the names of files, program stands in place of the command line; None: as they are."""
    with _lock:
        if _owner is not None:
            _owner.watch.refresh()
        return _taken(roots=roots, program=program)


def _taken(first_session: int = 0, *, roots: Sequence[str] | None = None, program: str | None = None) -> Profile:
    """Of the session that runs or ran last, unless that was before this one."""
    try:
        if _sessions >= first_session:
            return profile_class()(_core.snapshot(roots=roots, program=program))
    except RuntimeError:
        if ruling.current is None:
            raise
    # Nothing has run, which the program did not decide: it must not fail because of that.
    from .disabled import EmptyProfile

    return profile_class()(EmptyProfile(status()["why"]))


def profile_class() -> type[Profile]:
    """Profile, imported at the first call, so that starting costs less. The command line calls it before the program runs: a program may take us out
    of sys.modules, or watch what is imported."""
    global _profile_class
    if _profile_class is None:
        from .profile import Profile

        _profile_class = Profile
    return _profile_class


def status() -> dict[str, Any]:
    """What is in force and why: running, stage, rate_hz, clock, targets, patterns, sampler_cpu_share and tracer_share (of the process's CPU time since
    the start, 0 to 1), why, warnings, and what the core reports (samples, sampler_method, tracer_hook ...). Where a configuration is followed also
    config, config_errors, problem, in_force (each value, and where it came from), members, overrides, costs (of the last ten seconds, as shares of the process' CPU time, with their
    budgets), ladder (what the budgets have taken back, and why), crashes, audit and verdict."""
    with _lock:
        plain = _status()
        return plain if ruling.current is None else ruling.current.reported(plain)


def _status() -> dict[str, Any]:
    with _lock:
        core = _core.status()
        owner = _owner
        patterns = [pattern.text for pattern in owner.watch.patterns] if owner is not None else []
        cpu = max(1, time.process_time_ns() - _started_cpu)
        targets = [f"{code.co_filename}:{code.co_firstlineno} {code.co_qualname}" for code, _ in _core.targets()]
        is_running = bool(core["running"])
        overhead = core.get("tracing_overhead_ns", (core.get("tracing") or {}).get("overhead_ns", 0))
        return {
            **core,
            "running": is_running,
            "stage": ("deep" if targets or patterns else "fleet") if is_running else "off",
            "rate_hz": core.get("rate_hz", 0.0),
            "targets": targets,
            "patterns": patterns,
            "sampler_cpu_share": core.get("sampler_cpu_ns", 0) / cpu if is_running else 0.0,
            "tracer_share": overhead / cpu if is_running else 0.0,
            "why": "hybridprof.start() was called in this process" if is_running else "nothing has started it",
            "warnings": owner.watch.unmatched() if owner is not None else [],
        }
