# SPDX-License-Identifier: MIT
"""Starting, stopping, asking. One session per process; the Profiler that started it owns it, every other one shares it.

Options are checked here, before anything is touched, so that each error is one sentence and leaves all as it was.
"""

from __future__ import annotations

import _thread
import os
import time

from . import _core
from .deep import checked_rate
from .watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any, Literal

    from .profile import Profile

CLOCKS = ("wall", "cpu")
METHODS = ("auto", "same-cpu", "remote")
HOOKS = ("auto", "monitoring", "setprofile")
MAX_RATE = 10_000.0

_lock = _thread.RLock()  # not threading's: importing that is the program's own choice
_owner: Profiler | None = None  # guarded by _lock: whose session runs
_active: list[Profiler] = []  # guarded by _lock: the owner and those that share its session
_started_cpu = 0  # ns of process CPU when it began
_profile_class: type[Profile] | None = None  # once it was needed: see profile_class

_core.hide_file(os.path.dirname(__file__) + os.sep)  # what we do inside the program is none of its functions


def _after_fork_in_child() -> None:
    """The session is the parent's: here nothing runs until it is started again."""
    global _lock, _owner
    _lock = _thread.RLock()  # another thread may have held it; that thread is not here
    _owner = None
    for profiler in _active:
        profiler._forget()
    _active.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)


class Profiler:
    """One session: `with Profiler(rate=1000, deep=["shop.cart:*"]) as p: ...`, then `p.profile`.

    If a session runs already, it is shared: its rate and clock stay, the patterns of `deep` are added, and `stop` leaves it running.
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
        method: Literal["auto", "same-cpu", "remote"] = "auto",
        seed: int = 0,
        budget: float = 0.0,
    ) -> None:
        """rate: samples per second and thread (Hz), 0 for tracing only. clock: "wall" or "cpu" time. deep: patterns such as
        "package.module:Class.method", "module:*" or "*". deep_rate: the share of their calls to trace, 0 < deep_rate <= 1. hook: how calls are
        traced. c_calls: also calls of C functions. method: how stacks are read. seed: of the choice of calls where deep_rate is below 1 (0: random).
        budget: percent of one core that tracing may take (0: no limit); over it, a smaller share of the targets' calls is traced. It cannot hold
        "*", where the whole program is one call.

        Raises TypeError or ValueError, one sentence, before anything is started.
        """
        self._options: dict[str, Any] = {
            "rate": _checked_number("rate", rate, MAX_RATE),
            "clock": _checked_choice("clock", clock, CLOCKS),
            "method": _checked_choice("method", method, METHODS),
            "hook": _checked_hook(hook),
            "c_calls": bool(c_calls),
            "seed": _checked_seed(seed),
            "budget": _checked_budget(budget),
        }
        if not isinstance(deep, str) and not hasattr(deep, "__iter__"):
            raise TypeError(f"deep is a list of patterns such as 'package.module:Class.method', not {type(deep).__name__} {deep!r}")
        deep = [deep] if isinstance(deep, str) else list(deep)
        if budget and "*" in deep:
            raise ValueError("a budget cannot hold the pattern '*': the whole program is one call; name the functions that matter")
        self._watch = Watch(deep, checked_rate(deep_rate, "deep_rate"))
        self._active = False
        self._profile: Profile | None = None
        self.warnings: list[str] = []  # after stop(): a sentence for each pattern that matched nothing

    def __repr__(self) -> str:
        return f"<Profiler {'running' if self._active else 'stopped'}, {self._options['rate']:g} Hz, {self._options['clock']} clock>"

    def start(self) -> Profiler:
        """Starts measuring; does nothing if it has been started. Raises RuntimeError where the system or interpreter refuses."""
        global _owner, _started_cpu
        with _lock:
            if self._active:
                return self
            cpu = time.process_time_ns()
            if _core.start(**self._options):
                _owner, _started_cpu = self, cpu
            try:
                self._watch.begin()  # now that the core knows its hook, and so whether functions need wrappers
            except BaseException:
                self._watch.end()
                if _owner is self:
                    _core.stop()
                    _owner = None
                raise
            self._active = True
            self._profile = None
            _active.append(self)
            return self

    def stop(self) -> Profiler:
        """Stops measuring, if this Profiler started the session; what was measured stays in `profile`."""
        global _owner
        with _lock:
            if not self._active:
                return self
            # First: a signal handler or a finaliser that stops it too, in the middle of this, finds nothing left to do.
            self._active = False
            _active.remove(self)
            try:
                self._watch.end_everything()  # before our own work here is traced
                self._watch.refresh()
                self.warnings = self._watch.unmatched()
            finally:
                if _owner is self:
                    _core.stop()
                    _owner = None
            try:
                self._profile = _taken()
            finally:
                self._watch.end()
            return self

    def _forget(self) -> None:
        self._active = False
        self._watch.end()

    @property
    def profile(self) -> Profile:
        """What was measured: so far, while it runs. Raises RuntimeError before the first start()."""
        with _lock:
            if self._profile is not None:
                return self._profile
            if not self._active:
                raise RuntimeError("this Profiler has measured nothing in this process: call start() or use it in a with statement")
            self._watch.refresh()
            return _taken()

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
    method: Literal["auto", "same-cpu", "remote"] = "auto",
    seed: int = 0,
    budget: float = 0.0,
) -> Profiler:
    """Starts profiling this process and returns its Profiler; if one runs, that one, unchanged. The options are those of Profiler."""
    wanted = Profiler(
        rate=rate, clock=clock, deep=deep, deep_rate=deep_rate, hook=hook, c_calls=c_calls, method=method, seed=seed, budget=budget
    )
    with _lock:
        if _owner is not None and _core.running():
            return _owner
        return wanted.start()


def stop() -> None:
    """Stops the session, whoever started it; does nothing if none runs. The data stays: `snapshot` still gives it."""
    with _lock:
        if _owner is not None:
            _owner.stop()
        _core.stop()


def running() -> bool:
    """Whether a session runs."""
    return _core.running()


def snapshot() -> Profile:
    """What the running session has measured so far, or the last one in all; profiling goes on. Raises RuntimeError if there was none."""
    with _lock:
        if _owner is not None:
            _owner.watch.refresh()
        return _taken()


def _taken() -> Profile:
    return profile_class()(_core.snapshot())


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
    the start, 0 to 1), why, warnings, and what the core reports (samples, sampler_method, tracer_hook ...)."""
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


def _checked_number(name: str, value: object, limit: float) -> float:
    if type(value) is bool or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of Hz, not {type(value).__name__} {value!r}")
    if not 0 <= value <= limit:
        raise ValueError(f"{name} must be from 0 (no sampling) to {limit:g} Hz, not {value!r}")
    return float(value)


def _checked_budget(value: object) -> float:
    if type(value) is bool or not isinstance(value, (int, float)):
        raise TypeError(f"budget is a number of percent, not {type(value).__name__} {value!r}")
    if not 0 <= value <= 100:
        raise ValueError(f"budget must be from 0 (no limit) to 100 percent of one core, not {value!r}")
    return float(value)


def _checked_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be {' or '.join(repr(each) for each in choices)}, not {value!r}")
    return value


def _checked_hook(value: object) -> str:
    hook = _checked_choice("hook", value, HOOKS)
    if hook != "auto" and hook not in _core.HOOKS:
        raise ValueError(f"this interpreter has no hook {hook!r}; it offers {' and '.join(_core.HOOKS)}")
    return hook


def _checked_seed(value: object) -> int:
    if type(value) is bool or not isinstance(value, int):
        raise TypeError(f"seed is an int, not {type(value).__name__} {value!r}")
    if not 0 <= value < 2**64:
        raise ValueError(f"seed must be from 0 to 2**64 - 1, not {value!r}")
    return value
