# SPDX-License-Identifier: MIT
"""What `deep` returns, marks and refuses."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
from collections.abc import Iterator
from types import CodeType

import pytest

import hybridprof
from hybridprof import _core, marking


def targets() -> dict[CodeType, float]:
    """What the test at hand has marked."""
    return {code: rate for code, rate in _core.targets() if "<locals>" in code.co_qualname or code is _borrower.__code__}


@hybridprof.deep
def decorated(a: int, b: int = 2, *, c: int = 3) -> int:
    """Adds."""
    return a + b + c


def plain(a: int, b: int = 2, *, c: int = 3) -> int:
    """Adds."""
    return a + b + c


def wrapping(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


def test_function_keeps_what_programs_ask_of_it() -> None:
    assert decorated(1) == 6
    assert decorated(1, 1, c=1) == 3
    assert inspect.signature(decorated) == inspect.signature(plain)
    assert (decorated.__name__, decorated.__qualname__, decorated.__doc__, decorated.__module__) == (
        "decorated",
        "decorated",
        "Adds.",
        __name__,
    )
    assert decorated.__defaults__ == (2,)
    assert inspect.isfunction(decorated)
    assert pickle.loads(pickle.dumps(decorated)) is decorated


def test_identity_where_code_can_be_marked() -> None:
    def function() -> None: ...

    marked = hybridprof.deep(function)
    assert (marked is function) == (not _core.needs_wrapper(function.__code__))
    assert function.__code__ in targets()


def test_rates() -> None:
    @hybridprof.deep(rate=0.01)
    def rare() -> None: ...

    @hybridprof.deep
    def always() -> None: ...

    assert targets()[rare.__code__] == 0.01
    assert targets()[always.__code__] == 1.0
    hybridprof.deep(rare, rate=0.5)
    assert targets()[rare.__code__] == 0.5


@pytest.mark.parametrize("rate", [0, -1, 1.5, float("nan"), float("inf")])
def test_rates_out_of_range(rate: float) -> None:
    with pytest.raises(ValueError, match=r"^rate is the share of calls to trace, above 0 and at most 1, not "):
        hybridprof.deep(rate=rate)


@pytest.mark.parametrize("rate", ["0.1", None, True])
def test_rates_of_another_type(rate: object) -> None:
    with pytest.raises(TypeError, match=r"^rate is the share of calls to trace, a number above 0 and at most 1, not "):
        hybridprof.deep(rate=rate)  # type: ignore[call-overload]


@pytest.mark.parametrize("target", [len, 3, "f", object(), functools.partial(len), [].append])
def test_what_cannot_be_marked(target: object) -> None:
    with pytest.raises(TypeError, match=r"^hybridprof.deep marks Python functions, methods and classes, not "):
        hybridprof.deep(target)


def test_a_class_without_functions() -> None:
    class Empty:
        x = 1

    with pytest.raises(TypeError, match="found no Python function in class"):
        hybridprof.deep(Empty)


@pytest.mark.parametrize("outer_first", [True, False])
def test_methods_of_every_kind(outer_first: bool) -> None:
    def mark(method):
        return hybridprof.deep(method)

    class Cart:
        @mark
        def plain(self) -> object:
            return self

        if outer_first:
            static = mark(staticmethod(lambda x: x))
            clsm = mark(classmethod(lambda cls: cls))
        else:
            static = staticmethod(mark(lambda x: x))
            clsm = classmethod(mark(lambda cls: cls))

        @mark
        @property
        def price(self) -> int:
            "The price."
            return 3

        @price.setter
        def price(self, value: int) -> None:
            self.set = value

        @functools.cached_property
        @mark
        def cached(self) -> int:
            return 4

    cart = Cart()
    assert cart.plain() is cart
    assert Cart.plain(cart) is cart
    assert inspect.ismethod(cart.plain)
    assert cart.static(1) == Cart.static(2) - 1 == 1
    assert cart.clsm() is Cart.clsm() is Cart
    assert (cart.price, cart.cached, Cart.price.__doc__) == (3, 4, "The price.")
    cart.price = 9
    assert cart.set == 9
    assert isinstance(vars(Cart)["static"], staticmethod)
    assert isinstance(vars(Cart)["clsm"], classmethod)
    assert len(targets()) == 5


def test_a_class_marks_its_own_functions_only() -> None:
    class Base:
        def inherited(self) -> int:
            return 1

    @hybridprof.deep
    class Derived(Base):
        borrowed = plain

        def own(self) -> int:
            return 2

        @property
        def prop(self) -> int:
            return 3

        class Inner:
            def deeper(self) -> int:
                return 4

    assert inspect.isclass(Derived)
    assert (Derived().own(), Derived().prop, Derived().inherited(), Derived.Inner().deeper()) == (2, 3, 1, 4)
    assert {code.co_name for code in targets()} == {"own", "prop"}


def test_coroutines_and_generators_stay_what_they_are() -> None:
    @hybridprof.deep
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return 1

    @hybridprof.deep
    def generator() -> Iterator[int]:
        yield 2

    @hybridprof.deep
    async def stream():
        yield 3

    async def collect() -> list[int]:
        return [each async for each in stream()]

    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(stream)
    assert asyncio.run(coroutine()) == 1
    assert list(generator()) == [2]
    assert asyncio.run(collect()) == [3]


def test_partials_and_bound_methods() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    class Counter:
        def up(self) -> int:
            return 1

    partial = functools.partial(add, 1)
    partial.note = "kept"  # type: ignore[attr-defined]
    assert hybridprof.deep(partial) is partial
    assert (partial(2), partial.note) == (3, "kept")  # type: ignore[attr-defined]
    assert hybridprof.deep(Counter().up)() == 1
    assert {code.co_name for code in targets()} == {"add", "up"}


def test_decorated_functions_share_no_mark() -> None:
    @wrapping
    def one() -> int:
        return 1

    @wrapping
    def two() -> int:
        return 2

    marked = hybridprof.deep(one)
    assert (marked(), two()) == (1, 2)
    if not _core.needs_wrapper(plain.__code__):
        assert set(targets()) == {one.__wrapped__.__code__}  # type: ignore[attr-defined]


def test_a_function_that_only_borrows_a_name_is_marked_itself() -> None:
    marked = hybridprof.deep(functools.update_wrapper(_borrower, plain))
    assert marked() == "borrower"
    assert set(targets()) == {_borrower.__code__}


def _borrower() -> str:
    return "borrower"


def test_beneath_lru_cache() -> None:
    @functools.lru_cache
    def cached(n: int) -> int:
        return n

    if _core.needs_wrapper(plain.__code__):
        with pytest.raises(TypeError, match="put @deep beneath the decorator"):
            hybridprof.deep(cached)
    else:
        assert hybridprof.deep(cached) is cached
        assert set(targets()) == {cached.__wrapped__.__code__}
    assert cached(3) == 3


def test_a_ring_of_wrapped_ends() -> None:
    def first() -> None: ...

    def second() -> None: ...

    first.__wrapped__, second.__wrapped__ = second, first  # type: ignore[attr-defined]
    assert hybridprof.deep(first) is not None
    assert len(list(marking.own_functions(first))) <= 100


def test_a_proxy_is_not_asked_for_its_class() -> None:
    class Proxy:
        @property
        def __class__(self) -> type:  # type: ignore[override]
            raise RuntimeError("outside of a request")

    assert list(marking.own_functions(Proxy())) == []
    assert marking.mark(Proxy(), lambda code: None) is None


def test_blocks_nest_repeat_and_cross_tasks() -> None:
    block = hybridprof.deep.block("report")

    async def work(seconds: float) -> None:
        async with block:
            await asyncio.sleep(seconds)
            with block:
                await asyncio.sleep(seconds)

    async def both() -> None:
        await asyncio.gather(work(0.002), work(0.001))

    for running in (False, True):
        profiler = hybridprof.Profiler(rate=0)
        if running:
            profiler.start()
        with block, block:
            asyncio.run(both())
        with pytest.raises(KeyError), block:
            raise KeyError
        profiler.stop()
    rows = {row.name: row for row in profiler.profile.functions if row.kind == "block"}
    assert rows["report"].calls == 7
    assert repr(block) == "hybridprof.deep.block('report')"


def test_a_block_that_ends_in_another_order() -> None:
    block = hybridprof.deep.block("step")

    def steps() -> Iterator[int]:
        with block:
            yield 1

    with hybridprof.Profiler(rate=0) as profiler:
        first, second = steps(), steps()
        next(first), next(second)
        first.close(), second.close()
    assert [row.calls for row in profiler.profile.functions if row.kind == "block"] == [2]


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_block_needs_a_name(name: object) -> None:
    with pytest.raises(TypeError, match=r"^a block's name is a str that is not empty, not "):
        hybridprof.deep.block(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("hook", _core.HOOKS)
def test_a_block_beneath_a_target_is_all_that_shows_of_us(hook: str) -> None:
    block = hybridprof.deep.block("inner")

    def within() -> None:
        pass

    def outer() -> None:
        with block:
            within()

    async def waiting() -> None:
        async with block:
            await asyncio.sleep(0)

    for function in (outer, waiting):
        _core.add_target(function.__code__)
    with hybridprof.Profiler(rate=0, hook=hook) as profiler:  # type: ignore[arg-type]
        for _ in range(3):
            outer()
        asyncio.run(waiting())
    rows = profiler.profile.functions
    assert [row.calls for row in rows if row.name == "inner"] == [4]
    assert not [row.name for row in rows if row.module.startswith("hybridprof")]
    assert profiler.profile.meta["tracing"]["truncated"] == 0


def test_what_was_marked_can_be_taken_back() -> None:
    class Shop:
        def method(self) -> int:
            return 1

        @property
        def price(self) -> int:
            return 2

        @staticmethod
        def static() -> int:
            return 3

    def function() -> int:
        return 4

    def another() -> int:
        return 5

    marked, nothing = hybridprof.deep(function), targets()
    Shop = hybridprof.deep(Shop)
    assert hybridprof.deep.remove(another) is False
    assert hybridprof.deep.remove(Shop.method) is True
    assert {code.co_name for code in targets()} == {"price", "static", "function"}
    assert hybridprof.deep.remove(Shop) is True and hybridprof.deep.remove(Shop) is False
    assert targets() == nothing
    assert hybridprof.deep.remove(marked) is True and targets() == {}
    assert (marked(), Shop().method(), Shop().price, Shop.static()) == (4, 1, 2, 3)
    hybridprof.deep(marked, rate=0.5)  # and given again
    assert list(targets().values()) == [0.5]
    assert hybridprof.deep.remove(marked) is True


@pytest.mark.parametrize("target", [len, 3, None, functools.lru_cache(len)])
def test_what_never_could_be_marked_cannot_be_taken_back(target: object) -> None:
    with pytest.raises(TypeError, match=r"hybridprof\.deep\.remove takes what deep marks, a function, method or class, not "):
        hybridprof.deep.remove(target)


def test_a_class_without_functions_had_no_mark() -> None:
    class Empty:
        pass

    with pytest.raises(TypeError, match="takes what deep marks"):
        hybridprof.deep.remove(Empty)


def test_what_a_pattern_wants_stays_its_target() -> None:
    def function() -> None: ...

    marked = hybridprof.deep(function, rate=0.5)
    with hybridprof.Profiler(rate=0, deep=[f"{__name__}:*function"]):
        hybridprof.deep.remove(marked)
    assert targets() == {}
    with hybridprof.Profiler(rate=0, deep=[f"{__name__}:plain"]) as profiler:
        hybridprof.deep(plain)
        assert hybridprof.deep.remove(plain) is True
        assert (plain(1), hybridprof.status()["running"]) == (6, True)
    assert {row.name: row.calls for row in profiler.profile.functions if row.name == "plain"} == {"plain": 1}
