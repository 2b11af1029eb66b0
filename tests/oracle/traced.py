# SPDX-License-Identifier: MIT
"""What the product says of the same run, in the oracle's terms."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from oracle.oracle import OUTSIDE, Edge, Key

from hybridprof import _core


@dataclass
class Counts:
    calls: Counter[Key] = field(default_factory=Counter)
    primitive_calls: Counter[Key] = field(default_factory=Counter)
    edges: Counter[Edge] = field(default_factory=Counter)

    def minus(self, earlier: Counts) -> Counts:
        return Counts(
            Counter({key: count - earlier.calls[key] for key, count in self.calls.items() if count != earlier.calls[key]}),
            Counter(
                {key: n - earlier.primitive_calls[key] for key, n in self.primitive_calls.items() if n != earlier.primitive_calls[key]}
            ),
            Counter({edge: count - earlier.edges[edge] for edge, count in self.edges.items() if count != earlier.edges[edge]}),
        )


def counts_of(profile: _core.Profile, excluded_files: Collection[str]) -> Counts:
    """Rows and edges by (file, first line, qualified name); those of the harness's own files left out."""
    keys: list[Key] = []
    counts = Counts()
    for qualname, _module, _name, file, line, calls, primitive_calls, *_times, kind in profile.functions():
        keys.append((file, line, qualname) if kind == "python" and file not in excluded_files else OUTSIDE)
        if calls and keys[-1] != OUTSIDE:
            counts.calls[keys[-1]] += calls
            counts.primitive_calls[keys[-1]] += primitive_calls or 0
    for caller, callee, calls, *_rest in profile.edges():
        if calls and keys[callee] != OUTSIDE:
            counts.edges[keys[caller] if caller >= 0 else OUTSIDE, keys[callee]] += calls
    counts.primitive_calls = Counter({key: count for key, count in counts.primitive_calls.items() if count})
    return counts


@contextlib.contextmanager
def session(hook: str, targets: Collection[CodeType] | None, **options: Any) -> Iterator[None]:
    """A session that only traces. `targets` None: everything."""
    assert _core.start(rate=0, hook=hook, **options)  # type: ignore[arg-type]
    try:
        if targets is None:
            _core.trace_everything(True)
        for code in targets or ():
            _core.add_target(code)
        yield
    finally:
        _core.stop()
        _core.trace_everything(False)
        for code in targets or ():
            _core.remove_target(code)


def _wrapped(value: Any, functions: Collection[FunctionType]) -> Any:
    if isinstance(value, (staticmethod, classmethod)) and value.__func__ in functions:
        return type(value)(_core.deep_function(value.__func__))
    return _core.deep_function(value) if isinstance(value, FunctionType) and value in functions else None


@contextlib.contextmanager
def wrapped(module: ModuleType, functions: Collection[Callable[..., Any]]) -> Iterator[None]:
    """Puts deep_function in place of functions that need it, in the module and in its classes, as the decorator does."""
    needed = [f for f in (getattr(f, "__func__", f) for f in functions) if isinstance(f, FunctionType) and _core.needs_wrapper(f.__code__)]
    places = [module, *(value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__)]
    changed = [(place, name, value) for place in places for name, value in vars(place).items() if _wrapped(value, needed) is not None]
    for place, name, value in changed:
        setattr(place, name, _wrapped(value, needed))
    try:
        yield
    finally:
        for place, name, value in changed:
            setattr(place, name, value)
