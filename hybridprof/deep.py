# SPDX-License-Identifier: MIT
"""`deep`: exact from here down.

A target is a function by name; from its entry to its exit, in that thread or task, every call is recorded. Marks are remembered while no
profiler runs and cost nothing until one does.
"""

from __future__ import annotations

import _contextvars  # `contextvars` without the file that only re-exports it
import sys

from . import _core
from .marking import adder, chosen, leave, mark, unmark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar
    from types import TracebackType
    from typing import Any, TypeVar, overload

    F = TypeVar("F")


def checked_rate(rate: object, what: str) -> float:
    """A share of calls, 0 < rate <= 1. `what` is the name under which the user gave it."""
    if type(rate) is bool or not isinstance(rate, (int, float)):
        raise TypeError(f"{what} is the share of calls to trace, a number above 0 and at most 1, not {type(rate).__name__} {rate!r}")
    if not 0 < rate <= 1:
        raise ValueError(f"{what} is the share of calls to trace, above 0 and at most 1, not {rate!r}")
    return float(rate)


class Block:
    """A named piece of code whose calls are traced. May be entered again, also from other threads and tasks at once."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"a block's name is a str that is not empty, not {name!r}")
        self.name = name

    def __repr__(self) -> str:
        return f"hybridprof.deep.block({self.name!r})"

    def __enter__(self) -> Block:
        _entered.set((_core.enter_block(self.name) if chosen() else 0, self, _entered.get()))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        token, rest = _without(_entered.get(), self)
        _entered.set(rest)
        if token:
            _core.leave_block(token)

    async def __aenter__(self) -> Block:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.__exit__(kind, error, traceback)


if TYPE_CHECKING:
    Entered = tuple[int, Block, "Entered"] | None

# The blocks entered in this context, innermost first. A context variable, so that the tasks and threads that share a Block keep their own tokens.
_entered: ContextVar[Entered] = _contextvars.ContextVar("hybridprof_blocks", default=None)


def _without(entered: Entered, block: Block) -> tuple[int, Entered]:
    """Takes the innermost entry of this block out, wherever it is: generators may leave theirs in any order."""
    if entered is None:
        return 0, None
    token, entry, rest = entered
    if entry is block:
        return token, rest
    found, remaining = _without(rest, block)
    return found, (token, entry, remaining)


class Deep:
    """The decorator `hybridprof.deep`, with and without arguments, and `hybridprof.deep.block`."""

    __slots__ = ()
    block = Block

    def __repr__(self) -> str:
        return "hybridprof.deep"

    def __call__(self, target: Any = None, *, rate: float = 1.0) -> Any:
        """Marks a function, method, property or class (all its own functions); every call of it and beneath it is traced while a profiler runs.

        rate: the share of its calls to trace, 0 < rate <= 1. Returns what it was given; on 3.11 a callable that behaves as the function does.
        Raises TypeError for what holds no Python function, ValueError for a rate out of range.
        """
        share = checked_rate(rate, "rate")
        if target is None:
            return lambda wanted: _marked(wanted, share)
        return _marked(target, share)

    def remove(self, target: Any) -> bool:
        """Takes back what `deep` did to a function, method, property or class; False: it was not marked. In any thread, while it runs or not.

        What a Profiler's pattern wants stays a target of that. A call that runs just now is traced no further, and its counts say that they are lower bounds.
        Raises TypeError for what holds no Python function.
        """
        codes = unmark(target)
        if codes is None:
            raise TypeError(
                f"hybridprof.deep.remove takes what deep marks, a function, method or class, not {type(target).__name__} {_short(target)}"
            )
        watch = sys.modules.get("hybridprof.watch")  # not loaded: there is no pattern
        for code in codes:
            (leave if watch is None else watch.give_up)(code)
        return bool(codes)


if TYPE_CHECKING:

    class TypedDeep(Deep):
        """What type checkers see: the decorated function keeps its type."""

        @overload
        def __call__(self, target: F, *, rate: float = 1.0) -> F: ...
        @overload
        def __call__(self, target: None = None, *, rate: float = 1.0) -> Callable[[F], F]: ...
        def __call__(self, target: Any = None, *, rate: float = 1.0) -> Any: ...


def _marked(target: Any, rate: float) -> Any:
    marked = mark(target, adder(rate))
    if marked is not None:
        return marked
    if getattr(target, "__wrapped__", None) is not None:
        raise TypeError(
            f"hybridprof.deep cannot reach into a {type(target).__name__}: put @deep beneath the decorator that made it, next to the function"
        )
    if isinstance(target, type):
        raise TypeError(f"hybridprof.deep found no Python function in class {target.__qualname__}")
    raise TypeError(f"hybridprof.deep marks Python functions, methods and classes, not {type(target).__name__} {_short(target)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


deep: TypedDeep = Deep()  # type: ignore[assignment]
