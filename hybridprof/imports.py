# SPDX-License-Identifier: MIT
"""Follows imports for patterns: sees a module's code before it runs, and the module when it has run.

A finder stands first in sys.meta_path. For a name that no pattern wants it says "not mine" after a few string comparisons. For a wanted one
it asks the other finders and returns what they found, with `get_code` and `exec_module` of that one loader object shadowed until they are
called: loader, spec and module keep their types, so that whatever asks them for resources or source gets what it always got.
`exec_module` only where nothing less will do: while the module runs, our frame stands in the tracebacks of its errors.
"""

from __future__ import annotations

import sys
from types import CodeType, ModuleType

from . import _core
from .patterns import slots
from .watch import watches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from typing import Any

MAIN = "__main__"
_main: dict[str, str] = {}  # the name by which the program was started (`-m NAME`, `NAME.py`) -> "__main__"


def follow(on: bool) -> None:
    if on and _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    elif not on and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def set_main(name: str) -> None:
    """Patterns may call the program by this name as well as by `__main__`."""
    _main[name] = MAIN


def names_of(module: str) -> tuple[str, ...]:
    """All names by which patterns may call a module."""
    if module == MAIN:
        return (MAIN, *_main)
    return (module, MAIN) if module in _main else (module,)


def about_to_run(module: str, code: CodeType) -> None:
    for watch in list(watches):
        watch.about_to_run(names_of(module), code)


def has_run(name: str, module: ModuleType) -> None:
    for watch in list(watches):
        watch.loaded(names_of(name), module)


def namespace_for(module: ModuleType) -> Namespace | None:
    """Where the core needs wrappers: what the program's top level is to run in, so that its functions are replaced as they are defined.
    None where code can be marked, or no pattern wants the program."""
    if not _core.needs_wrapper(follow.__code__) or not any(watch.wants(names_of(MAIN)) for watch in watches):
        return None
    return Namespace(module)


class Namespace:
    """A module's dictionary that shows each new function to the patterns. A mapping, not a dict: the interpreter would write past a dict's methods."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._names = module.__dict__

    def __setitem__(self, name: str, value: object) -> None:
        self._names[name] = value
        if issubclass(type(value), type):
            found = [slot for slot in slots(self._module) if slot[0] is not self._module]
        else:
            found = [(self._module, name, value, name)]
        for watch in list(watches):
            for slot in found:
                watch.place(names_of(MAIN), self._names, slot)

    def __getitem__(self, name: str) -> object:
        return self._names[name]

    def __delitem__(self, name: str) -> None:
        del self._names[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._names, name)  # keys, items, get, update ...: `locals()` at the top level is this object


class _Finder:
    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if sys.meta_path[:1] != [self]:
            _come_first()  # a finder that was put before us, as pytest's is, would hide from us what it finds itself
        if not any(watch.wants(names_of(name)) for watch in watches):
            return None
        for finder in list(sys.meta_path):
            if finder is self:
                continue
            find = getattr(finder, "find_spec", None)
            if find is None:  # a finder of the old kind: the import system knows how to ask it
                return None
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                _shadow(name, spec.loader)
                return spec
        return None


_finder: Any = _Finder()


def _come_first() -> None:
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
        sys.meta_path.insert(0, _finder)


def _shadow(name: str, loader: Any) -> None:
    attributes = getattr(loader, "__dict__", None)
    if isinstance(loader, type) or type(attributes) is not dict:
        return  # built into the interpreter; `refresh` meets its modules later
    if hasattr(loader, "exec_module") and (not hasattr(loader, "get_code") or _core.needs_wrapper(follow.__code__)):
        _once(
            attributes, "exec_module", lambda module: module.__name__ == name, loader.exec_module, lambda module, _: has_run(name, module)
        )
    if hasattr(loader, "get_code"):
        _once(
            attributes,
            "get_code",
            lambda asked=name: asked == name,
            loader.get_code,
            lambda _, code: None if code is None else about_to_run(name, code),
        )


def _once(
    attributes: dict[str, Any], method: str, is_ours: Callable[..., bool], call: Callable[..., Any], then: Callable[[Any, Any], object]
) -> None:
    """Shadows a method of one object until it is called for our module; `then` gets its argument and its result."""

    def shadow(*arguments: Any) -> Any:
        ours = is_ours(*arguments)
        if ours and attributes.get(method) is shadow:
            del attributes[method]
        result = call(*arguments)
        if ours:
            then(arguments[0] if arguments else None, result)
        return result

    attributes[method] = shadow
