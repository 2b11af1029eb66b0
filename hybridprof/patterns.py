# SPDX-License-Identifier: MIT
"""Patterns: targets by name, `package.module:Class.method`. What one is, what it matches, and what to say when it matched nothing."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType

from . import _core
from .marking import codes_within, own_functions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Slot = tuple[object, str, object, str]  # what holds it, under which name, the object, its path in the module


class Pattern:
    """`module:qualname`, either part with `*`, `?`, `[...]`; a class stands for its functions; `*` alone is everything, `auto` what a budget allows of
    it."""

    __slots__ = ("_module", "_qualname", "everything", "matched", "text")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a pattern is a str such as 'package.module:Class.method', not {type(text).__name__} {text!r}")
        module, colon, qualname = text.partition(":")
        self.text = text
        self.everything = text in ("*", "*:*", "auto")
        if not self.everything and not (module and qualname):
            raise ValueError(f"pattern {text!r} {_advice(text, module, colon)}")
        self._module = _matcher(module)
        self._qualname = _matcher(qualname)
        self.matched = False

    def is_for(self, modules: tuple[str, ...]) -> bool:
        """Whether it wants functions of the module that has these names."""
        return not self.everything and any(self._module(name) for name in modules)

    def matches(self, qualname: str) -> bool:
        """Whether it wants this function. `Cart` matches `Cart.total`, as what stands before a plain dot is a class."""
        while not self._qualname(qualname):
            qualname = qualname.rpartition(".")[0]
            if not qualname or qualname.endswith("<locals>"):
                return False
        return True


def _advice(text: str, module: str, colon: str) -> str:
    if not text:
        return "is empty; use 'package.module:Class.method', 'module:*' or '*'"
    if not colon:
        return f"has no colon; use '{text}:*' for all of a module, '__main__:{text}' for a function of the program itself, or '*' for everything"
    if not module:
        return f"names no module; use '__main__{text}' for a function of the program itself"
    return f"names no function; use '{module}:*' for all of them"


def _matcher(glob: str) -> Callable[[str], object]:
    if not any(sign in glob for sign in "*?["):
        return lambda name: name == glob
    import fnmatch
    import re

    return re.compile(fnmatch.translate(glob)).match


def slots(module: ModuleType) -> Iterator[Slot]:
    """Every name in the module and in its own classes, with what it holds."""
    namespace = namespace_of(module)
    pending: list[tuple[object, dict[str, Any], str]] = [(module, namespace, "")]
    seen = {id(module)}
    while pending:
        holder, names, prefix = pending.pop()
        for name, value in list(names.items()):
            if not issubclass(type(value), type):
                yield holder, name, value, prefix + name
            elif id(value) not in seen and namespace_of(value).get("__module__") == namespace.get("__name__"):
                seen.add(id(value))
                pending.append((value, namespace_of(value), value.__qualname__ + "."))


def namespace_of(holder: object) -> Any:
    """A module's or class's dictionary, past any `__getattribute__`: a lazy module would otherwise load now."""
    reader = type if issubclass(type(holder), type) else object
    return reader.__getattribute__(holder, "__dict__")


def functions_of(value: object, namespace: dict[str, Any]) -> Iterator[FunctionType]:
    """The module's own functions in what a slot holds; a decorator's wrapper is opened, be it by `__wrapped__` or by its closure."""
    for function in own_functions(value):
        if function.__globals__ is namespace:
            yield function
        for cell in function.__closure__ or ():
            try:
                inner = cell.cell_contents
            except ValueError:  # not filled yet
                continue
            if type(inner) is FunctionType and inner.__globals__ is namespace:
                yield inner


def missed(pattern: Pattern) -> str:
    """Why a pattern may have matched nothing, with the nearest names there are."""
    import difflib

    module, _, qualname = pattern.text.partition(":")
    loaded = [name for name, each in list(sys.modules.items()) if issubclass(type(each), ModuleType) and pattern.is_for((name,))]
    if loaded:
        known = {each: (name, hidden) for name in loaded for each, hidden in _qualnames(sys.modules[name])}
        names = [each for each in known if not pattern.matches(each)]
        near = [f"{known[each][0]}:{each}" for each in difflib.get_close_matches(qualname, names, n=3)]
        hidden = [f"{name}:{each}" for each, (name, is_hidden) in known.items() if is_hidden and pattern.matches(each)]
        if hidden:
            return f"pattern {pattern.text!r} matched nothing: {_nested.format(hidden[0])}"
        reason = f"module {loaded[0]} has no such function" if len(loaded) == 1 else "no module has such a function"
    else:
        near = [f"{name}:{qualname}" for name in difflib.get_close_matches(module, list(sys.modules), n=3)]
        reason = "no such module was imported"
    return f"pattern {pattern.text!r} matched nothing: {reason}" + (f"; did you mean {' or '.join(map(repr, near))}?" if near else "")


_nested = "{} is a nested function, which patterns reach from Python 3.12 on; name the function around it, or mark the nested one with @hybridprof.deep"


def _qualnames(module: ModuleType) -> Iterator[tuple[str, bool]]:
    """With each: whether it is made anew by each call of another, and could be reached by a wrapper only."""
    for _, _, value, path in slots(module):
        for function in functions_of(value, namespace_of(module)):
            yield path, False
            for code in codes_within(function.__code__):
                yield code.co_qualname, code is not function.__code__ and _core.needs_wrapper(code)
