# SPDX-License-Identifier: MIT
"""A set of patterns at work, in modules that are loaded and in those that will be.

A module that is about to run is caught as code, before its first line: every function in it is among the code's constants, also those
that are nested, decorated or never named. A module that has run already is searched by name. Where the core needs wrappers (3.11)
functions are replaced in the namespaces that hold them once they are there; nested functions are out of reach.
"""

from __future__ import annotations

import sys
from types import CodeType, ModuleType

from . import _core, marking
from .patterns import Pattern, functions_of, missed, namespace_of, slots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from .patterns import Slot

_no_budget = "'auto' was left out: the session that runs already has no budget; start that one with budget= or with deep='auto'"
_everything = 0  # how many watches want `*`; guarded by api's lock
watches: list[Watch] = []  # those that work now. Changed under api's lock, read by importing threads: each reads a copy.


class Watch:
    """From `begin` to `end`. Keeps what it marked and replaced, so that `end` leaves nothing behind."""

    def __init__(self, patterns: Iterable[str], rate: float = 1.0) -> None:
        self.patterns = [Pattern(text) for text in ([patterns] if isinstance(patterns, str) else patterns)]
        self.rate = rate
        self._traces_everything = self._deferred = self._auto_left_out = False
        self._works = False
        self._codes: dict[int, CodeType] = {}
        self._replaced: list[tuple[object, str, object, object]] = []
        self._follow: Callable[[bool], None] = _follow_nothing  # `imports.follow`, kept: the program may take us out of sys.modules

    def begin(self) -> None:
        self._works = True
        if not self._deferred:
            self.begin_everything()
        if not all(pattern.everything for pattern in self.patterns):
            from .imports import follow

            self._follow = follow
            watches.append(self)
            follow(True)
            self.refresh()
            self._spread()

    def end(self) -> None:
        self._works = False
        if self in watches:
            watches.remove(self)
            self._follow(bool(watches))
        self.end_everything()
        for code in list(self._codes.values()):  # importing threads add to them
            give_up(code)
        for holder, name, original, replacement in reversed(self._replaced):
            if namespace_of(holder).get(name) is replacement:
                _put(holder, name, original)
        self._codes.clear()
        self._replaced.clear()

    def set_rate(self, rate: float) -> None:
        """Another share of the calls of what was found, and of what will be."""
        self.rate = rate
        for code in list(self._codes.values()):  # importing threads add to them
            _core.add_target(code, rate)

    def defer_everything(self) -> None:
        """`begin` is to leave `*` to `begin_everything`: the caller has more to do that is not to be traced."""
        self._deferred = True

    def leave_out_auto(self, yes: bool) -> None:
        """`auto` is what a budget allows: where the session that is shared has none, it would be everything."""
        self._auto_left_out = yes and any(pattern.text == "auto" for pattern in self.patterns)

    def _wants_everything(self) -> bool:
        return any(pattern.everything and not (self._auto_left_out and pattern.text == "auto") for pattern in self.patterns)

    def begin_everything(self) -> None:
        """The part of `begin` that is about `*`."""
        if self._wants_everything() and not self._traces_everything:
            self._traces_everything = True
            _trace_everything(+1)

    def end_everything(self) -> None:
        """The part of `end` that is about `*`."""
        if self._traces_everything:
            self._traces_everything = False
            _trace_everything(-1)

    def refresh(self) -> None:
        """Searches the loaded modules again, for functions that came past the import hook."""
        if all(pattern.everything for pattern in self.patterns):
            return
        for names, code in _running_modules():
            self.about_to_run(names, code)
        for name, module in list(sys.modules.items()):
            if issubclass(type(module), ModuleType):
                self.loaded((name,), module)

    def about_to_run(self, modules: tuple[str, ...], code: CodeType) -> None:
        """A module's code before it runs; `modules`: all names by which a pattern may call the module."""
        patterns = [pattern for pattern in self.patterns if pattern.is_for(modules)]
        for each in marking.codes_within(code) if patterns else ():
            if not _core.needs_wrapper(each):
                self._take(patterns, each.co_qualname, each)

    def loaded(self, modules: tuple[str, ...], module: ModuleType) -> None:
        """A module that has run."""
        if self.wants(modules):
            for slot in slots(module):
                self.place(modules, namespace_of(module), slot)

    def wants(self, modules: tuple[str, ...]) -> bool:
        return any(pattern.is_for(modules) for pattern in self.patterns)

    def place(self, modules: tuple[str, ...], namespace: dict[str, Any], slot: Slot) -> None:
        """Marks what a slot of the module holds, if a pattern wants it; replaces it where the core needs wrappers.

        Functions go by the name in their code: a decorator's wrapper may bear the name of what it wraps, but shares its code with all others.
        """
        holder, name, value, path = slot
        patterns = [pattern for pattern in self.patterns if pattern.is_for(modules)]
        functions = list(functions_of(value, namespace))
        wanted = False
        for function in functions:
            for code in marking.codes_within(function.__code__):
                outer = code is function.__code__
                if (outer or not _core.needs_wrapper(code)) and self._take(patterns, code.co_qualname, code):
                    wanted = wanted or outer
        if functions and not wanted:  # made by exec, or under another name
            wanted = self._take(patterns, path, functions[-1].__code__)
        if wanted:
            replacement = self._wrapped(value)
            if replacement is not value:
                _put(holder, name, replacement)
                self._replaced.append((holder, name, value, replacement))

    def unmatched(self) -> list[str]:
        """A sentence for each pattern that has met nothing so far."""
        sentences = [missed(pattern) for pattern in self.patterns if not pattern.matched and not pattern.everything]
        return [*sentences, _no_budget] if self._auto_left_out else sentences

    def _take(self, patterns: list[Pattern], qualname: str, code: CodeType) -> bool:
        """Whether a pattern fits the name; then the code becomes a target, unless its function is to be wrapped for that."""
        fitting = [pattern for pattern in patterns if pattern.matches(qualname)]
        for pattern in fitting:
            pattern.matched = True
        if fitting and not _core.needs_wrapper(code):
            self._add(code)
        return bool(fitting)

    def _add(self, code: CodeType) -> None:
        if id(code) not in self._codes:
            self._codes[id(code)] = code
            _core.add_target(code, self.rate)
        if not self._works:  # ended meanwhile, in another thread
            self._codes.pop(id(code), None)
            give_up(code)

    def _wrapped(self, value: object) -> object:
        if not any(_core.needs_wrapper(function.__code__) for function in marking.own_functions(value)):
            return value
        return marking.mark(value, self._add) or value

    def _spread(self) -> None:
        """Other modules that hold a replaced function under a name of theirs (`from shop import checkout`) get the wrapper too."""
        replacements = {id(original): (original, replacement) for _, _, original, replacement in self._replaced}
        if not replacements:
            return
        for module in list(sys.modules.values()):
            for name, value in list(namespace_of(module).items()) if issubclass(type(module), ModuleType) else ():
                original, replacement = replacements.get(id(value), (None, None))
                if original is value and original is not None:
                    _put(module, name, replacement)
                    self._replaced.append((module, name, original, replacement))


def give_up(code: CodeType) -> None:
    """Of somebody who wants it no longer: it stays what others made of it."""
    other = next((watch for watch in list(watches) if id(code) in watch._codes), None)
    if other is None:
        marking.leave(code)
    else:
        _core.add_target(code, other.rate)  # another Profiler of this session wants it, on that share of its calls


def _follow_nothing(on: bool) -> None:
    pass


def _trace_everything(change: int) -> None:
    global _everything
    _everything += change
    _core.trace_everything(_everything > 0)


def _running_modules() -> Iterator[tuple[tuple[str, ...], CodeType]]:
    """Modules whose code this thread runs at the moment: the functions that they are still to define are among its constants."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        name = frame.f_globals.get("__name__")
        if frame.f_code.co_name == "<module>" and isinstance(name, str):
            yield (name,), frame.f_code


def _put(holder: object, name: str, value: object) -> None:
    if issubclass(type(holder), type):
        type.__setattr__(holder, name, value)  # past a metaclass that forbids it, as Enum's does
    else:
        namespace_of(holder)[name] = value
