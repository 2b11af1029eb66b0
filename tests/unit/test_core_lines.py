# SPDX-License-Identifier: MIT
"""Line tables: our decoder against co_positions(), the interpreter's own, on all code that the standard library offers at hand."""

from __future__ import annotations

import argparse
import asyncio.base_events
import inspect
import typing
from collections.abc import Iterator
from types import CodeType, ModuleType

import pytest

from hybridprof import _core

NO_LINES = compile("", "<empty>", "exec")


def nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


def code_of(module: ModuleType) -> CodeType:
    return compile(inspect.getsource(module), module.__file__ or "", "exec")


def our_lines(code: CodeType) -> list[int]:
    return _core._unit_lines(code.co_linetable, code.co_firstlineno, len(code.co_code) // 2)


@pytest.mark.parametrize("module", [argparse, asyncio.base_events, inspect, typing], ids=lambda module: module.__name__)
def test_every_instruction_has_the_line_that_python_gives_it(module: ModuleType) -> None:
    seen = 0
    for code in nested(code_of(module)):
        assert our_lines(code) == [line or 0 for line, _, _, _ in code.co_positions()], code.co_qualname
        seen += 1
    assert seen > 50


def test_a_function_of_several_thousand_lines() -> None:
    code = compile("def long():\n" + "".join(f"    x{n} = {n}\n\n" for n in range(4000)), "long.py", "exec")
    function = next(each for each in nested(code) if each.co_name == "long")
    assert our_lines(function) == [line or 0 for line, _, _, _ in function.co_positions()]


def test_lines_that_go_back_and_a_first_line_far_down() -> None:
    source = (
        "\n" * 70000
        + "def f(a,\n      b=[x\n         for x in y]):\n    return (a +\n            b(\n                1)\n            - a)\n"
    )
    for code in nested(compile(source, "far.py", "exec")):
        assert our_lines(code) == [line or 0 for line, _, _, _ in code.co_positions()]


def test_a_table_that_is_damaged_or_too_short_gives_no_lines_and_no_crash() -> None:
    assert _core._unit_lines(b"", 7, 3) == [0, 0, 0]
    assert len(_core._unit_lines(b"\xff" * 40, 7, 500)) == 500
    assert len(_core._unit_lines(b"\x00\x7f\x7f" * 40, 7, 500)) == 500
    table = our_lines.__code__.co_linetable
    for cut in range(len(table)):
        assert len(_core._unit_lines(table[:cut], 1, 64)) == 64
