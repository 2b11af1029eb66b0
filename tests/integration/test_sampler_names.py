# SPDX-License-Identifier: MIT
"""Names and first lines of what was sampled: in the snapshot, in the table, in every format."""

from __future__ import annotations

import importlib
import linecache
import pstats
import re
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from integration.sampler_programs import sampled_stacks

import hybridprof
from hybridprof import _core
from hybridprof.profile import Profile

SPIN = "    end = monotonic() + seconds\n    while monotonic() < end: pass\n"
SECONDS = 0.12  # of each function: some 200 samples


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    _core.stop()
    yield
    _core.stop()


def profiled(*calls: Callable[[], Any]) -> Profile:
    with hybridprof.Profiler(rate=2000) as profiler:
        for call in calls:
            call()
    return profiler.profile


def made(source: str, file: str, name: str = "spin") -> Callable[[float], None]:
    """A function compiled from `source` as if it stood in `file`."""
    scope: dict[str, Any] = {"monotonic": time.monotonic}
    exec(compile(source, file, "exec"), scope)
    function: Callable[[float], None] = scope[name]
    return function


def self_ns(profile: Profile, name: str, file: str | None = None) -> dict[tuple[str, int], int]:
    """Self time by (file, first line) of the functions of this qualified name."""
    return {(row.file, row.line): row.self_ns for row in profile.functions if row.name == name and file in (None, row.file)}


def lines_of(profile: Profile, name: str) -> dict[tuple[str, int], int]:
    """Self time by (file, line)."""
    sums: dict[tuple[str, int], int] = {}
    for line in profile.lines:
        function = line.node.function
        if function is not None and function.name == name:
            sums[function.file, line.line] = sums.get((function.file, line.line), 0) + line.self_ns
    return sums


def has_most(times: dict[Any, int], key: Any, seconds: float = SECONDS) -> bool:
    """As much as the function ran, or a little less: its prologue is elsewhere."""
    return times.get(key, 0) > 0.8e9 * seconds


# --- one place, several sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "dead"])
def test_a_reloaded_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool) -> None:
    """The same path, other lines: each function has the lines of its own time, also once its code is gone and its address used again."""
    path = tmp_path / "reloaded_module.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    kept = []
    with hybridprof.Profiler(rate=2000) as profiler:
        for lead in (0, 7, 30):
            path.write_text("from time import monotonic\n" + "\n" * lead + "def spin(seconds):\n" + SPIN, encoding="utf-8")
            importlib.invalidate_caches()
            module = sys.modules.get("reloaded_module")
            module = importlib.import_module("reloaded_module") if module is None else importlib.reload(module)
            module.spin(SECONDS)
            if not killed:
                kept.append(module.spin)
    del sys.modules["reloaded_module"]
    profile = profiler.profile
    times, lines = self_ns(profile, "spin", str(path)), lines_of(profile, "spin")
    assert sorted(times) == [(str(path), lead + 2) for lead in (0, 7, 30)]
    for lead in (0, 7, 30):
        assert has_most(times, (str(path), lead + 2))
        assert has_most(lines, (str(path), lead + 4)), lines  # its loop
    assert {line for _, line in lines} <= {lead + line for lead in (0, 7, 30) for line in (2, 3, 4)}
    assert {row.module for row in profile.functions if row.name == "spin"} == {"reloaded_module"}


@pytest.mark.parametrize("file", ["<stdin>", "<string>", "<ipython-input-3-0123abcd>", "/tmp/ipykernel_42/1234567890.py"])
def test_cells_with_one_file_name(file: str) -> None:
    """Different sources under one name, each with a linecache entry, of which the last one stays."""
    calls = []
    for lead in (0, 5):
        source = "\n" * lead + "def spin(seconds):\n" + SPIN
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        calls.append(made(source, file))
    profile = profiled(*[partial(call, SECONDS) for call in calls])
    del linecache.cache[file]
    times, lines = self_ns(profile, "spin", file), lines_of(profile, "spin")
    assert sorted(times) == [(file, 1), (file, 6)]
    assert all(has_most(times, (file, first)) and has_most(lines, (file, first + 2)) for first in (1, 6)), (times, lines)


def test_equal_places_with_other_bodies_keep_their_own_lines() -> None:
    """Two cells whose functions begin on one line are one function to a reader, and each sample has the line of the code that it met."""
    first = made("def spin(seconds):\n" + SPIN, "<cell>")
    second = made("def spin(seconds):\n\n\n\n" + SPIN, "<cell>")
    lines = lines_of(profiled(lambda: first(SECONDS), lambda: second(SECONDS)), "spin")
    assert has_most(lines, ("<cell>", 3)) and has_most(lines, ("<cell>", 6)), lines


def test_exec_and_eval() -> None:
    scope: dict[str, Any] = {"spin": made("def spin(seconds):\n" + SPIN, "<kernel>")}
    text = "\n\n[spin(0.12) for _ in range(1)]"
    profile = profiled(lambda: exec(text, scope), lambda: eval(text.strip(), scope))
    stacks = [stack for stack in sampled_stacks(profile._core) if stack[-1] == "spin"]
    above = {stack[stack.index("spin") - (1 if sys.version_info >= (3, 12) else 2)] for stack in stacks}
    assert above == {"<module>"}, stacks
    rows = {(row.name, row.file, row.line) for row in profile.functions if row.name == "<module>" and row.file[0] == "<"}
    assert rows == {("<module>", "<string>", 1)}
    assert has_most(self_ns(profile, "spin"), ("<kernel>", 1), 2 * SECONDS)


# --- kinds of code ----------------------------------------------------------------------------------------------------------------------


def work(seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return True


def body(seconds: float) -> None:
    class Inside:
        done = work(seconds)

        class Nested:
            done = work(seconds)


class Outer:
    def method(self) -> Any:
        def nested() -> Any:
            return (lambda: work(SECONDS))()

        return nested()

    @classmethod
    def made(cls) -> bool:
        return work(SECONDS)

    @staticmethod
    def plain() -> bool:
        return work(SECONDS)

    @property
    def value(self) -> bool:
        return work(SECONDS)

    class Inner:
        def __call__(self) -> bool:
            return work(SECONDS)


def comprehensions() -> Any:
    listed = [work(s) for s in (SECONDS,)]
    keyed = {s: work(s) for s in (SECONDS,)}
    return listed, keyed, list(work(s) for s in (SECONDS,))  # noqa: C400


LOCALS = "comprehensions" if sys.version_info >= (3, 12) else "comprehensions.<locals>.<listcomp>"
PLACES: dict[str, Callable[[], Any]] = {
    "Outer.method.<locals>.nested.<locals>.<lambda>": lambda: Outer().method(),
    "Outer.made": Outer.made,
    "Outer.plain": Outer.plain,
    "Outer.value": lambda: Outer().value,
    "Outer.Inner.__call__": Outer.Inner(),
    "body.<locals>.Inside": lambda: body(SECONDS),
    "body.<locals>.Inside.Nested": lambda: body(SECONDS),
    "comprehensions.<locals>.<genexpr>": comprehensions,
    LOCALS: comprehensions,
}


def test_qualified_names() -> None:
    profile = profiled(*dict.fromkeys(PLACES.values()))
    callers: dict[str, int] = {}
    for stack, samples in sampled_stacks(profile._core).items():
        if "work" in stack:
            above = stack[stack.index("work") - 1]
            callers[above] = callers.get(above, 0) + samples
    inlined = set() if sys.version_info >= (3, 12) else {"comprehensions.<locals>.<dictcomp>"}
    assert set(callers) == set(PLACES) | inlined
    assert min(callers.values()) > 20
    by_name = {row.name: row for row in profile.functions}
    for name in callers:
        row = by_name[name]
        assert row.module == __name__ and row.file == __file__, row
    assert by_name["Outer.made"].line == Outer.__dict__["made"].__func__.__code__.co_firstlineno


STRANGE = {
    "naïve_größe_变量": "<zéro>",
    "plain": "/tmp/ünïcode/файл.py",
    "surrogate": "/tmp/bad\udcff\udc80name.py",
    "newline": "/tmp/two\nlines;and space 12.py",
    "long_" + "x" * 5000: "/tmp/" + "y" * 3000 + ".py",
    "nul": "/tmp/n\0l.py",
}


@pytest.fixture(scope="module")
def strange() -> Profile:
    """Names and files that are hard on writers; also a code object whose names were replaced, and one whose first line is below 1."""
    _core.stop()
    functions = []
    for name, file in STRANGE.items():
        source = f"def {name}(seconds):\n" + SPIN
        functions.append(types.FunctionType(made(source, "<x>", name).__code__.replace(co_filename=file), {"monotonic": time.monotonic}))
    code = functions[1].__code__
    for changes in (
        {"co_name": "re\nplaced", "co_qualname": "Strange.re\nplaced", "co_filename": "<replaced>", "co_firstlineno": 77},
        {"co_name": "sur\udc80rogate", "co_qualname": "Strange.sur\udc80rogate", "co_filename": "<replaced>"},
        {"co_name": "", "co_qualname": "", "co_filename": ""},
        {"co_name": "first", "co_qualname": "first", "co_filename": "<first>", "co_firstlineno": 0},
    ):
        functions.append(types.FunctionType(code.replace(**changes), {"monotonic": time.monotonic}))
    return profiled(*[partial(function, SECONDS) for function in functions])


def shown(text: str) -> str:
    """NUL cannot be in a C string: its symbol stands for it."""
    return text.replace("\0", "\u2400")


EXPECTED = [(name, shown(file), 1) for name, file in STRANGE.items()] + [
    ("Strange.re\nplaced", "<replaced>", 77),
    ("Strange.sur\udc80rogate", "<replaced>", 1),
    ("", "", 1),
    ("first", "<first>", 0),
]


def test_strange_names_in_the_snapshot(strange: Profile) -> None:
    rows = {(row.name, row.file, row.line): row for row in strange.functions}
    for key in EXPECTED:
        assert key in rows, (key[0][:40], key[1][:40], [k for k in rows if k[0] == key[0]])
        assert rows[key].self_ns > 0.8e9 * SECONDS, key


def test_strange_names_come_back_from_a_file(strange: Profile, tmp_path: Path) -> None:
    path = tmp_path / "strange.hyprof"
    strange.write(path)
    loaded = hybridprof.load(path)
    assert [(row.name, row.file, row.line, row.self_ns) for row in loaded.functions] == [
        (row.name, row.file, row.line, row.self_ns) for row in strange.functions
    ]
    assert [(line.line, line.self_ns) for line in loaded.lines] == [(line.line, line.self_ns) for line in strange.lines]


def test_strange_names_in_pstats(strange: Profile, tmp_path: Path) -> None:
    path = tmp_path / "strange.pstats"
    strange.write(path)
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    spun = {(file, line, name) for (file, line, name), (_, _, own, _, _) in stats.items() if own > 0.8 * SECONDS}
    wanted = {(escaped(file), line, escaped(name.rpartition(".")[2]) or "<unknown>") for name, file, line in EXPECTED}
    assert wanted <= spun, (wanted - spun, spun)


def escaped(text: str) -> str:
    """What viewers could not show, as formats write it: see hp_labels_new."""
    text = re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)
    return text.replace("\n", "\\n")


@pytest.mark.parametrize("format", ["collapsed", "callgrind"])
def test_strange_names_in_text_formats(strange: Profile, format: str) -> None:
    text = strange.encode(format).decode("utf-8")  # strictly: what was no UTF-8 is escaped
    assert "\r" not in text and "\0" not in text
    for name, _, _ in EXPECTED:
        assert escaped(name).lower() in text.lower(), name[:40]


def test_strange_names_in_the_table(strange: Profile, tmp_path: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    path = tmp_path / "strange.hyprof"
    strange.write(path)
    table = run_cli("report", path, "--limit", 40, env={"PYTHONIOENCODING": "utf-8:strict", "COLUMNS": "8000"}).stdout
    for name, _, _ in EXPECTED:
        assert name.partition("\n")[0].partition("\udc80")[0][:60] in table, name[:40]
    assert run_cli("report", path, "--json", env={"PYTHONIOENCODING": "ascii:strict"}).stdout.isascii()


def test_names_of_what_died_before_the_snapshot() -> None:
    """Thousands of functions that live for one call, of three shapes: each keeps its file, name and lines, whoever has its address later."""
    shapes = {
        1: "def one_%d(): return sum(range(4000))\n",
        5: "\n\n\n\ndef five_%d(): return sum(range(4000))\n",
        9: "\n" * 8 + "def nine_%d():\n    return sum(range(4000))\n",
    }
    with hybridprof.Profiler(rate=5000) as profiler:
        end = time.monotonic() + 1.0
        number = 0
        while time.monotonic() < end:
            first = (1, 5, 9)[number % 3]
            scope: dict[str, Any] = {}
            exec(compile(shapes[first] % number, f"<{first} of {number}>", "exec"), scope)
            scope.popitem()[1]()
            number += 1
    met = [row for row in profiler.profile.functions if row.name.startswith(("one_", "five_", "nine_"))]
    assert len(met) > 100
    for row in met:
        kind, _, own_number = row.name.partition("_")
        first = {"one": 1, "five": 5, "nine": 9}[kind]
        assert (row.file, row.line) == (f"<{first} of {own_number}>", first)
    for (file, line), _ in {key: ns for row in met[:200] for key, ns in lines_of(profiler.profile, row.name).items()}.items():
        first = int(file[1])
        assert line in (first, first + (first == 9)), (file, line)
