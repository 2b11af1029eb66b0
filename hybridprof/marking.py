# SPDX-License-Identifier: MIT
"""Which Python functions stand behind an object, and how they become targets.

Where the interpreter lets the core mark code (3.12 and later) the object is returned as it came: identity, signature, pickling and
async-ness cannot change. Elsewhere the function is put behind `_core.deep_function`, and what held it (staticmethod, property,
class ...) is made to hold that.

Types are asked of `type(value)`, never with isinstance: a lazy proxy answers isinstance by running the program's code.
"""

from __future__ import annotations

from _random import Random  # `random` without its imports
from _weakref import ref
from types import CodeType, FunctionType, MethodType

from . import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Add = Callable[[CodeType], None]

CO_OPTIMIZED = 0x1  # set for functions, clear for module and class bodies
_WRAPPER = getattr(_core, "deep_function", None)
_marked: dict[int, tuple[CodeType, float]] = {}  # with their own rates; by id: equal code objects of two functions are two targets
_functions: dict[int, ref[FunctionType]] = {}  # by the same id: the function that was marked last with that code
_random = Random().random
_most = 1.0  # the share of calls that is traced at most, 0: none


def own_functions(value: object, depth: int = 50) -> Iterator[FunctionType]:
    """The Python functions that this object calls, its decorators' first: through static, class and bound methods, properties, partials and
    `__wrapped__`, as far as `depth` (a chain may be a ring)."""
    kind = type(value)
    if depth == 0:
        return
    if issubclass(kind, FunctionType):
        yield value  # type: ignore[misc]
    if issubclass(kind, (staticmethod, classmethod, MethodType)):
        inner = [value.__func__]  # type: ignore[attr-defined]
    elif issubclass(kind, property):
        inner = [value.fget, value.fset, value.fdel]  # type: ignore[attr-defined]
    elif issubclass(kind, FunctionType) or kind is _WRAPPER:
        inner = [_attribute(value, "__wrapped__")]
    elif kind.__module__ == "functools":
        inner = [_attribute(value, "func") or _attribute(value, "__wrapped__")]
    else:
        return
    for each in inner:
        if each is not None:
            yield from own_functions(each, depth - 1)


def _attribute(value: object, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception:  # a descriptor of the program's; it is not ours to report
        return None


def innermost(function: FunctionType) -> FunctionType:
    """The user's function beneath its decorators. All functions that one decorator made share their code, so that marking
    the outer one would mark every decorated function of the program. What is no closure shares its code with nobody."""
    for inner in own_functions(function):
        function = inner
        if inner.__closure__ is None:
            break
    return function


def mark(value: object, add: Add) -> object:
    """Makes targets of what stands behind `value` (`add` is called with each code); returns what to use in its place, mostly itself.
    None if there is no Python function in it."""
    kind = type(value)
    if issubclass(kind, FunctionType):
        return _mark_function(value, add)  # type: ignore[arg-type]
    if kind is _WRAPPER:
        add(value.__code__)  # type: ignore[attr-defined]
        return value
    if issubclass(kind, type):
        return value if _mark_class(value, add) else None  # type: ignore[arg-type]
    if issubclass(kind, (staticmethod, classmethod)):
        return _remade(value, value.__func__, add, kind)  # type: ignore[attr-defined]
    if issubclass(kind, MethodType):
        return _remade(value, value.__func__, add, lambda inner: MethodType(inner, value.__self__))  # type: ignore[attr-defined]
    if issubclass(kind, property):
        return _mark_property(value, add)  # type: ignore[arg-type]
    if kind.__module__ == "functools":
        return _mark_functools(value, add)
    return None


def _mark_function(function: FunctionType, add: Add) -> object:
    if _core.needs_wrapper(function.__code__):
        assert _WRAPPER is not None
        add(function.__code__)
        return _WRAPPER(function)
    inner = innermost(function)
    add(inner.__code__)
    _functions[id(inner.__code__)] = ref(inner)
    return function


def _mark_class(cls: type, add: Add) -> bool:
    found = False
    for name, value in list(type.__getattribute__(cls, "__dict__").items()):
        if issubclass(type(value), type) or not any(_belongs(function, cls) for function in own_functions(value)):
            continue
        replacement = mark(value, add)
        found = found or replacement is not None
        if replacement is not None and replacement is not value:
            type.__setattr__(cls, name, replacement)
    return found


def _belongs(function: FunctionType, cls: type) -> bool:
    """Whether it was defined in this class: a function that a class merely borrows is another module's."""
    return function.__module__ == cls.__module__ and function.__qualname__.startswith(cls.__qualname__ + ".")


def _mark_property(value: property, add: Add) -> object:
    accessors = (value.fget, value.fset, value.fdel)
    marked = [accessor and mark(accessor, add) for accessor in accessors]
    if not any(marked):
        return None
    chosen: list[Any] = [new or old for new, old in zip(marked, accessors, strict=True)]
    if all(new is old for new, old in zip(chosen, accessors, strict=True)):
        return value
    return type(value)(chosen[0], chosen[1], chosen[2], value.__doc__)


def _mark_functools(value: Any, add: Add) -> object:
    """partial, partialmethod, cached_property hold their function in `func`; lru_cache holds it out of reach."""
    inner = _attribute(value, "func")
    if inner is None:
        wrapped = _attribute(value, "__wrapped__")
        if wrapped is None or any(_core.needs_wrapper(function.__code__) for function in own_functions(wrapped)):
            return None
        return value if mark(wrapped, add) is not None else None
    marked = mark(inner, add)
    if marked is not None and marked is not inner:
        if hasattr(value, "__setstate__"):
            value.__setstate__((marked, value.args, value.keywords, vars(value)))
        else:
            value.func = marked
    return value if marked is not None else None


def _remade(value: object, inner: object, add: Add, make: Callable[[Any], object]) -> object:
    marked = mark(inner, add)
    return make(marked) if marked is not None and marked is not inner else marked and value


def adder(rate: float) -> Add:
    """What `deep` gives `mark`: targets for as long as the process lives."""

    def add(code: CodeType) -> None:
        _marked[id(code)] = (code, rate)
        _arm(code, rate)

    return add


def unmark(value: object) -> list[CodeType] | None:
    """What `deep` has marked of what stands behind `value`, which is remembered no longer: the codes, for whoever gives them up. None if there is no Python function in it."""
    functions = list(_all_functions(value))
    codes = {id(function.__code__): function.__code__ for function in functions}
    for key, reference in list(_functions.items()):  # under code that another tool has taken from it, or given to it
        if reference() in functions and key in _marked:
            codes[key] = _marked[key][0]
    taken = [_marked.pop(key)[0] for key, code in codes.items() if key in _marked and _marked[key][0] is code]
    for code in taken:
        _functions.pop(id(code), None)
    return taken if functions else None


def _all_functions(value: object) -> Iterator[FunctionType]:
    """On 3.11 what stands in a function's place has its code."""
    kind = type(value)
    inside = type.__getattribute__(value, "__dict__").values() if issubclass(kind, type) else [value]
    for each in list(inside):
        if type(each) is _WRAPPER:
            yield each
        yield from own_functions(each)


def _arm(code: CodeType, rate: float) -> None:
    if _most > 0:
        _core.add_target(code, min(rate, _most))
    else:
        _core.remove_target(code)


def follow_replaced() -> None:
    """Where another tool gave a marked function code of its own (line_profiler does), that is marked too. Before a session: while one runs the
    core sees to it."""
    for key, reference in list(_functions.items()):
        function, (code, rate) = reference(), _marked.get(key, (None, 0.0))
        if function is None or code is None or function.__code__ is code:
            continue
        _functions[id(function.__code__)] = reference
        adder(rate)(function.__code__)


def limit(most: float) -> None:
    """From now on marked functions and blocks are traced on this share of their calls at most, or on their own; 0: not at all."""
    global _most, _random
    if most == _most:
        return
    _most = most
    _random = Random().random
    for code, rate in list(_marked.values()):
        _arm(code, rate)


def chosen() -> bool:
    """Whether a block that is entered now is to be traced."""
    return _most >= 1 or _random() < _most


def leave(code: CodeType) -> None:
    """A pattern has no use for this target any more: what `deep` marked stays one, on its own share of calls."""
    marked, rate = _marked.get(id(code), (None, 0.0))
    if marked is code:
        _arm(code, rate)
    else:
        _core.remove_target(code)


def codes_within(code: CodeType) -> Iterator[CodeType]:
    """The functions among a code object and its constants, at any depth; module and class bodies are none."""
    pending = [code]
    while pending:
        each = pending.pop()
        if each.co_flags & CO_OPTIMIZED:
            yield each
        pending.extend(constant for constant in each.co_consts if type(constant) is CodeType)
