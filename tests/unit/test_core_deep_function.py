# SPDX-License-Identifier: MIT
"""deep_function passes for the function it wraps, on every version (3.11 needs it)."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import pickle
import sys
import typing
import weakref
from types import FunctionType

import pytest
from conftest import RunCli

from hybridprof import _core


def plain(a: int, b: str = "x", *rest: int, key: bool = False) -> tuple[object, ...]:
    """Says what it got."""
    return a, b, rest, key


async def coroutine(n: int) -> int:
    return n + 1


def generator(n: int) -> typing.Iterator[int]:
    yield from range(n)


def pickled(n: int) -> int:
    return n * 2


original = pickled
pickled = _core.deep_function(pickled)  # type: ignore[assignment]


class Shop:
    def method(self, n: int) -> tuple[Shop, int]:
        return self, n

    method = _core.deep_function(method)  # type: ignore[assignment]

    @staticmethod
    @_core.deep_function
    def static(n: int) -> int:
        return n

    @classmethod
    @_core.deep_function
    def of_class(cls, n: int) -> tuple[type[Shop], int]:
        return cls, n

    @property
    @_core.deep_function
    def value(self) -> int:
        return 7


def test_calls_arrive_as_they_were_made() -> None:
    deep = _core.deep_function(plain)
    assert deep(1) == (1, "x", (), False)
    assert deep(1, "y", 2, 3, key=True) == (1, "y", (2, 3), True)
    assert deep(*(1,), b="z") == (1, "z", (), False)
    with pytest.raises(TypeError, match=r"plain\(\) missing 1 required positional argument: 'a'"):
        deep()
    assert list(map(deep, [1])) == [(1, "x", (), False)]


def test_it_looks_like_the_function() -> None:
    deep = _core.deep_function(plain)
    assert isinstance(deep, FunctionType) and inspect.isfunction(deep) and inspect.isroutine(deep) and callable(deep)
    assert inspect.signature(deep) == inspect.signature(plain)
    assert repr(deep) == repr(plain)
    for name in (
        "__name__",
        "__qualname__",
        "__module__",
        "__doc__",
        "__code__",
        "__defaults__",
        "__kwdefaults__",
        "__globals__",
        "__annotations__",
        "__dict__",
    ):
        assert getattr(deep, name) is getattr(plain, name), name
    assert deep.__wrapped__ is plain
    assert inspect.getsource(deep) == inspect.getsource(plain)
    assert inspect.getdoc(deep) == "Says what it got."
    assert typing.get_type_hints(deep) == typing.get_type_hints(plain)
    assert inspect.unwrap(deep) is plain
    assert not inspect.isgeneratorfunction(deep) and not inspect.iscoroutinefunction(deep)
    assert hash(deep) == hash(deep) and deep == deep and deep != plain


def test_attributes_are_the_functions() -> None:
    def function() -> None: ...

    deep = _core.deep_function(function)
    deep.colour = "red"
    assert function.colour == "red"  # type: ignore[attr-defined]
    del deep.colour
    assert not hasattr(deep, "colour") and not hasattr(function, "colour")
    with pytest.raises(AttributeError):
        _ = deep.missing


def test_wraps_and_partials() -> None:
    deep = _core.deep_function(plain)

    @functools.wraps(deep)
    def outer(*arguments: object, **keywords: object) -> object:
        return deep(*arguments, **keywords)

    assert outer.__name__ == "plain" and inspect.signature(outer) == inspect.signature(plain)
    assert outer(4) == (4, "x", (), False)
    assert functools.partial(deep, 5)(b="q") == (5, "q", (), False)
    assert functools.lru_cache(deep)(6) == (6, "x", (), False)


def test_coroutines_and_generators() -> None:
    deep = _core.deep_function(coroutine)
    assert inspect.iscoroutinefunction(deep) and asyncio.run(deep(4)) == 5
    deep = _core.deep_function(generator)
    assert inspect.isgeneratorfunction(deep) and list(deep(3)) == [0, 1, 2]


def test_methods_of_all_kinds() -> None:
    shop = Shop()
    assert shop.method(1) == (shop, 1) and Shop.method(shop, 2) == (shop, 2)  # type: ignore[call-arg]
    assert inspect.ismethod(shop.method) and shop.method.__self__ is shop
    bound = shop.method
    assert bound(3) == (shop, 3)
    assert shop.static(4) == 4 and Shop.static(5) == 5
    assert shop.of_class(6) == (Shop, 6) and Shop.of_class(7) == (Shop, 7)
    assert shop.value == 7
    assert str(inspect.signature(shop.method)) == "(n: 'int') -> 'tuple[Shop, int]'"


def test_it_pickles_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or inspect.getmodule(original))  # type: ignore[arg-type]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(pickled, protocol)) is pickled


def test_weak_references_and_cycles() -> None:
    def make() -> weakref.ref[object]:
        def function() -> object:
            return deep

        deep = _core.deep_function(function)
        assert deep() is deep
        return weakref.ref(deep)

    reference = make()
    gc.collect()
    assert reference() is None


def test_only_functions_can_be_deep() -> None:
    for wrong in (len, 3, Shop, Shop().method, functools.partial(plain)):
        with pytest.raises(TypeError, match="deep_function takes a Python function, not"):
            _core.deep_function(wrong)  # type: ignore[arg-type]


def test_calls_are_counted_where_it_is_needed() -> None:
    def target(n: int) -> int:
        return target_inner(n)

    def target_inner(n: int) -> int:
        return n

    deep = _core.deep_function(target)
    _core.add_target(target.__code__)
    try:
        _core.start(rate=0)
        assert [deep(n) for n in range(9)] == list(range(9))
    finally:
        _core.stop()
        _core.remove_target(target.__code__)
    calls = {row[2]: row[5] for row in _core.snapshot().functions()}
    assert calls["target"] == 9 and calls["target_inner"] == 9


def test_a_session_that_ends_inside_a_call() -> None:
    def target() -> None:
        _core.stop()
        inner()

    def inner() -> None:
        pass

    deep = _core.deep_function(target)
    _core.add_target(target.__code__)
    try:
        for _ in range(20):
            _core.start(rate=0)
            deep()
            assert not _core.running()
            assert {row[2]: row[5] for row in _core.snapshot().functions()}["target"] == 1
    finally:
        _core.remove_target(target.__code__)
    assert sys.getprofile() is None


def test_needs_wrapper_is_about_the_hook() -> None:
    assert _core.needs_wrapper(plain.__code__) is ("monitoring" not in _core.HOOKS)
    with pytest.raises(TypeError, match="code object"):
        _core.needs_wrapper(plain)  # type: ignore[arg-type]


@pytest.mark.skipif(_core.HOOKS != ("setprofile",), reason="wrappers are needed where there is no sys.monitoring")
@pytest.mark.parametrize("start", ["", "_core.start(rate=0)"], ids=["idle", "running"])
def test_recursion_beyond_the_c_stack(run_python: RunCli, start: str) -> None:
    """Without the wrapper the interpreter carries it; with it an exception must come before the stack's end."""
    done = run_python(f"""
import sys, threading
from hybridprof import _core
sys.setrecursionlimit(10**6)
def down(n): return down(n - 1) + 1 if n else 0
_core.add_target(down.__code__)
down = _core.deep_function(down)
{start}
def dive():
    try:
        print(down(10**5))
    except RecursionError as error:
        print(error)
dive()
threading.stack_size(256 * 1024)
thread = threading.Thread(target=dive); thread.start(); thread.join()
print(down(1000))
""")
    lines = done.stdout.splitlines()
    assert [line.startswith("maximum recursion depth exceeded: no C stack is left") for line in lines] == [True, True, False]
    assert lines[2] == "1000"
