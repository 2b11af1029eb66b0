# SPDX-License-Identifier: MIT
"""Which functions a pattern means, in modules that are loaded, imported later, reloaded or running."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hybridprof import _core
from hybridprof.patterns import Pattern, namespace_of
from hybridprof.watch import Watch, watches

WRAPS = _core.needs_wrapper(compile("", "", "exec"))

# A naive decorator hides the function in its closure: where code is marked it is found there, else the wrapper that it made is replaced.
CHARGE = "naive.<locals>.wrapper" if WRAPS else "charge"

SHOP = """
import functools


def naive(function):
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper


def checkout(cart):
    def helper():
        return [each for each in cart]
    return helper()


@naive
def charge(amount):
    return amount


class Cart:
    def total(self):
        return 1

    @staticmethod
    def tax():
        return 2

    @classmethod
    def make(cls):
        return cls()

    @property
    def size(self):
        return 3

    class Line:
        def price(self):
            return 4

ran_at_import = checkout([1])
"""


@pytest.fixture(autouse=True)
def nothing_is_marked() -> None:
    """Another file's tests may mark functions as they are imported."""
    for code, _ in _core.targets():
        _core.remove_target(code)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a module `webshop` that is not imported yet."""
    (tmp_path / "webshop.py").write_text(SHOP)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("webshop")]:
        del sys.modules[name]
    assert watches == []


def marked() -> set[str]:
    return {code.co_qualname for code, _ in _core.targets() if "<module>" not in code.co_qualname}


@pytest.mark.parametrize(
    ("pattern", "module", "qualname", "expected"),
    [
        ("shop.cart:Cart.total", "shop.cart", "Cart.total", True),
        ("shop.cart:Cart.total", "shop.cart", "Cart.totals", False),
        ("shop.cart:Cart.total", "shop", "Cart.total", False),
        ("shop.cart:*", "shop.cart", "f.<locals>.g", True),
        ("shop.*:f", "shop.cart", "f", True),
        ("shop.*:f", "shop", "f", False),
        ("*:f", "anything", "f", True),
        ("shop:f?[ab]", "shop", "fxa", True),
        ("shop:f?[ab]", "shop", "fxc", False),
        ("shop:Cart", "shop", "Cart.total", True),
        ("shop:Cart", "shop", "Cart.Line.price", True),
        ("shop:f", "shop", "f.<locals>.g", False),
        ("shop:f.<locals>.g", "shop", "f.<locals>.g", True),
        ("shop:<lambda>", "shop", "<lambda>", True),
    ],
)
def test_matching(pattern: str, module: str, qualname: str, expected: bool) -> None:
    made = Pattern(pattern)
    assert (made.is_for((module,)) and made.matches(qualname)) == expected


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("", "pattern '' is empty; use 'package.module:Class.method', 'module:*' or '*'"),
        (
            "main",
            "pattern 'main' has no colon; use 'main:*' for all of a module, '__main__:main' for a function of the program itself, or '*' for everything",
        ),
        (":f", "pattern ':f' names no module; use '__main__:f' for a function of the program itself"),
        ("shop:", "pattern 'shop:' names no function; use 'shop:*' for all of them"),
    ],
)
def test_bad_patterns(pattern: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^pattern ") as caught:
        Pattern(pattern)
    assert str(caught.value) == sentence


def test_a_pattern_is_a_str() -> None:
    with pytest.raises(TypeError, match=r"^a pattern is a str such as"):
        Pattern(3)  # type: ignore[arg-type]


def test_a_loaded_module(shop: Path) -> None:
    module = importlib.import_module("webshop")
    held_elsewhere = sys.modules["webshop_user"] = type(sys)("webshop_user")
    held_elsewhere.taken = module.checkout  # as `from webshop import checkout as taken` does
    original = module.checkout
    watch = Watch(["webshop:checkout", "webshop:Cart", "webshop:charge"], 0.5)
    watch.begin()
    try:
        assert {"checkout", "Cart.total", "Cart.tax", "Cart.make", "Cart.size", "Cart.Line.price", CHARGE} <= marked()
        assert "naive" not in marked()
        assert {rate for _, rate in _core.targets()} == {0.5}
        assert held_elsewhere.taken is module.checkout
        assert (module.checkout is original) == (not WRAPS)
        assert (module.checkout([7]), module.charge(5), module.Cart.make().total(), module.Cart.tax(), module.Cart().size) == (
            [7],
            5,
            1,
            2,
            3,
        )
        assert watch.unmatched() == []
    finally:
        watch.end()
    assert module.checkout is held_elsewhere.taken is original
    assert _core.targets() == []


def test_a_module_imported_later(shop: Path) -> None:
    finders = list(sys.meta_path)
    watch = Watch(["webshop:*"])
    watch.begin()
    try:
        module = importlib.import_module("webshop")
        assert {"checkout", CHARGE, "Cart.total", "Cart.Line.price", "naive"} <= marked()
        if not WRAPS:
            assert {"checkout.<locals>.helper", "naive.<locals>.wrapper"} <= marked()
        assert type(module.__loader__) is importlib.machinery.SourceFileLoader
        assert module.__loader__ is module.__spec__.loader
        assert {"get_code", "exec_module"}.isdisjoint(vars(module.__loader__))
        assert module.ran_at_import == [1]
    finally:
        watch.end()
    assert sys.meta_path == finders
    assert _core.targets() == []


def test_a_module_that_no_pattern_wants(shop: Path) -> None:
    watch = Watch(["other:*"])
    watch.begin()
    try:
        importlib.import_module("webshop")
        assert marked() == set()
    finally:
        watch.end()


def test_reload(shop: Path) -> None:
    watch = Watch(["webshop:checkout"])
    watch.begin()
    try:
        module = importlib.import_module("webshop")
        before = module.checkout.__code__
        (shop / "webshop.py").write_text("\n\n" + SHOP)
        importlib.invalidate_caches()
        importlib.reload(module)
        assert module.checkout.__code__ is not before
        assert module.checkout.__code__ in [code for code, _ in _core.targets()]
    finally:
        watch.end()


def test_zip_and_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("webshop_zip/__init__.py", "from . import a\ndef top(): pass\n")
        archive.writestr("webshop_zip/a.py", "def f(): pass\n")
    monkeypatch.syspath_prepend(tmp_path / "z.zip")
    watch = Watch(["webshop_zip*:*"])
    watch.begin()
    try:
        importlib.import_module("webshop_zip.a")
        assert {"top", "f"} <= marked()
    finally:
        watch.end()


def test_a_loader_that_serves_many_modules(monkeypatch: pytest.MonkeyPatch, shop: Path) -> None:
    class Loader(importlib.abc.Loader):
        def find_spec(self, name: str, path: object, target: object = None) -> object:
            return importlib.machinery.ModuleSpec(name, self) if name.startswith("webshop_made") else None

        def exec_module(self, module: ModuleType) -> None:
            other = "import webshop_made_two\n" if module.__name__ == "webshop_made_one" else ""
            exec(other + "def f(): return __name__\n", module.__dict__)

    loader = Loader()
    monkeypatch.setattr(sys, "meta_path", [loader, *sys.meta_path])
    watch = Watch(["webshop_made_*:f"])
    watch.begin()
    try:
        module = importlib.import_module("webshop_made_one")
        assert (module.f(), module.webshop_made_two.f()) == ("webshop_made_one", "webshop_made_two")
        assert len([code for code, _ in _core.targets() if code.co_name == "f"]) == 2
        assert vars(loader) == {}
    finally:
        watch.end()


def test_imports_that_fail_look_as_they_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Path) -> None:
    (tmp_path / "webshop_bad.py").write_text("1 / 0\n")
    watch = Watch(["webshop_bad:*"])
    watch.begin()
    try:
        with pytest.raises(ZeroDivisionError) as caught:
            importlib.import_module("webshop_bad")
        if not WRAPS:
            assert not [entry for entry in caught.traceback if Path(entry.path).name in ("imports.py", "watch.py")]
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("webshop.none")
    finally:
        watch.end()


def test_a_nested_function_is_met_or_said_to_be_out_of_reach(shop: Path) -> None:
    importlib.import_module("webshop")
    for pattern in ("webshop:checkout.<locals>.helper", "webshop:checkout.*", "web*:*.helper"):
        watch = Watch([pattern])
        watch.begin()
        try:
            sentences = watch.unmatched()
        finally:
            watch.end()
        if WRAPS:
            assert len(sentences) == 1
            assert "webshop:checkout.<locals>.helper is a nested function" in sentences[0]
            assert "3.12" in sentences[0]
            assert "did you mean" not in sentences[0]
        else:
            assert sentences == []


def test_a_name_is_no_suggestion_for_itself(shop: Path) -> None:
    module = importlib.import_module("webshop")
    watch = Watch(["webshop:checkouts"])
    watch.begin()
    try:
        assert "did you mean 'webshop:checkout'" in watch.unmatched()[0]
        module.checkouts = namespace_of(module)["checkout"]  # type: ignore[attr-defined]
        assert "did you mean 'webshop:checkouts'" not in watch.unmatched()[0]
    finally:
        watch.end()


def test_a_module_that_runs_now() -> None:
    names: dict[str, object] = {"__name__": "shop_running", "Watch": Watch}
    code = compile("watch = Watch(['shop_running:later'])\nwatch.begin()\ndef later(): return 1\n", "shop_running.py", "exec")
    exec(code, names)
    watch: Watch = names["watch"]  # type: ignore[assignment]
    try:
        if not WRAPS:
            assert "later" in marked()
            assert watch.unmatched() == []
    finally:
        watch.end()


def test_what_matched_nothing_says_what_is_near(shop: Path) -> None:
    module = importlib.import_module("webshop")
    assert module is not None
    watch = Watch(["webshop:chekout", "webshpo:checkout", "webshop:Basket.total", "nowhere:nothing"])
    watch.begin()
    watch.end()
    assert watch.unmatched() == [
        "pattern 'webshop:chekout' matched nothing: module webshop has no such function; did you mean 'webshop:checkout'?",
        "pattern 'webshpo:checkout' matched nothing: no such module was imported; did you mean 'webshop:checkout'?",
        "pattern 'webshop:Basket.total' matched nothing: module webshop has no such function; did you mean 'webshop:Cart.total'?",
        "pattern 'nowhere:nothing' matched nothing: no such module was imported",
    ]


def test_what_deep_marked_stays(shop: Path) -> None:
    import hybridprof

    module = importlib.import_module("webshop")
    marked_by_hand = hybridprof.deep(module.checkout)
    try:
        watch = Watch(["webshop:checkout"])
        watch.begin()
        watch.end()
        assert marked() == {"checkout"}
    finally:
        _core.remove_target(marked_by_hand.__code__)


def test_a_lazy_object_in_a_module_is_left_alone(shop: Path) -> None:
    class Lazy:
        touched = False

        def __getattribute__(self, name: str) -> object:
            Lazy.touched = True
            raise RuntimeError("too early")

    module = importlib.import_module("webshop")
    module.lazy = Lazy()
    watch = Watch(["webshop:*"])
    watch.begin()
    watch.end()
    assert not Lazy.touched
