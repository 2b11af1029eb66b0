# SPDX-License-Identifier: MIT
"""Counts equal the oracle's for programs that nobody thought of: random functions and generators that call, yield, raise, catch, recur and start
threads."""

from __future__ import annotations

import gc
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import oracle, traced

from hybridprof import _core

EXCLUDED = frozenset({__file__, oracle.__file__, traced.__file__})
EXAMPLES = int(os.environ.get("HYBRIDPROF_EXAMPLES", "60"))  # more than that are chosen anew each time

PRELUDE = """
import threading
LEFT = [0]

def safely(function, depth):
    try:
        function(depth)
    except (ValueError, KeyError):
        pass

class Holder:
    def __init__(self, function, depth):
        self.function, self.depth = function, depth
    @property
    def value(self):
        return self.function(self.depth)
    def __lt__(self, other):
        self.value
        return False
"""

CALLS = (
    "f{j}(d)",
    "list(map(f{j}, (d,)))",
    "sorted((d, d), key=lambda each: (f{j}(each), 0)[1])",
    "Holder(f{j}, d).value",
    "Holder(f{j}, d) < None",
    "[f{j}(each) for each in (d,)]",
    "safely(f{j}, d)",
)
IN_THREAD = "thread = threading.Thread(target=safely, args=(f{j}, d)); thread.start(); thread.join()"
CONSUMED = (
    "list(f{j}(d))",
    "next(f{j}(d), None)",
    "generator = f{j}(d); next(generator, None); generator.close()",
    "generator = f{j}(d); next(generator, None); safely(generator.throw, KeyError)",
    "kept = f{j}(d); next(kept, None); kept = None",
    "for _ in f{j}(d): break",
    "sum(1 for _ in f{j}(d))",
    "f{j}(d)",
)

Action = tuple[Any, ...]
leaves = st.one_of(
    st.tuples(st.just("call"), st.integers(0, 4), st.integers(0, 7)),
    st.tuples(st.just("thread"), st.integers(0, 4)),
    st.tuples(st.just("yield")),
    st.tuples(st.just("from"), st.integers(0, 4)),
    st.tuples(st.just("raise")),
    st.tuples(st.just("return")),
)
actions = st.recursive(
    leaves,
    lambda inner: st.tuples(st.just("try"), st.lists(inner, max_size=3), st.lists(inner, max_size=2), st.lists(inner, max_size=2)),
    max_leaves=6,
)
functions = st.lists(st.tuples(st.booleans(), st.lists(actions, max_size=5)), min_size=2, max_size=5)


class Writer:
    """A program's text. `functions`: for each, whether it is a generator, and its actions."""

    def __init__(self, functions: list[tuple[bool, list[Action]]]) -> None:
        self.functions = functions
        self.lines: list[str] = []

    def text(self) -> str:
        for number, (generator, body) in enumerate(self.functions):
            self.lines += [f"def f{number}(d):", "    if LEFT[0] <= 0: return", "    LEFT[0] -= 1"]
            for action in body:
                self.write(action, 1, generator)
            self.lines += ["    return", "    yield"] if generator else ["    return d"]
        return (
            PRELUDE + "\n".join(self.lines) + "\n\ndef run():\n    LEFT[0] = 60\n    for d in range(2):\n        " + self.outermost() + "\n"
        )

    def outermost(self) -> str:
        return "safely(lambda d: list(f0(d)), d)" if self.functions[0][0] else "safely(f0, d)"

    def write(self, action: Action, level: int, generator: bool) -> None:
        """generator: a yield is allowed here, which it is not where a generator that is closed would come by."""
        kind = action[0]
        if kind == "try":
            for word, inner, may_yield in (
                ("try", action[1], generator),
                ("except ValueError", action[2], False),
                ("finally", action[3], False),
            ):
                self.lines.append("    " * level + word + ":")
                for each in inner:
                    self.write(each, level + 1, may_yield)
                self.lines.append("    " * (level + 1) + "pass")
            return
        self.lines.append("    " * level + self.line(action, generator))

    def line(self, action: Action, generator: bool) -> str:
        kind, j = action[0], action[1] % len(self.functions) if len(action) > 1 else 0
        if kind == "yield":
            return "yield d" if generator else "pass"
        if kind == "from":
            return f"yield from f{j}(d)" if generator and self.functions[j][0] else "pass"
        if kind == "raise":
            return "raise ValueError"
        if kind == "return":
            return "return"
        if kind == "thread":
            return "pass" if self.functions[j][0] else IN_THREAD.format(j=j)
        forms = CONSUMED if self.functions[j][0] else CALLS
        return forms[action[2] % len(forms)].format(j=j)


@contextmanager
def the_same_in_every_run() -> Iterator[None]:
    """Threads change hands where they block and nowhere else, and garbage dies when it is asked to."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(interval)


def module_of(text: str) -> types.ModuleType:
    module = types.ModuleType("generated")
    exec(compile(text, "<generated>", "exec"), module.__dict__)
    module.run()  # what is imported and specialised once
    return module


def truth_of(run: Callable[[], None], codes: list[types.CodeType] | None) -> oracle.Oracle:
    truth = oracle.Oracle(codes, EXCLUDED)
    truth.run(run)
    return truth


def assert_same(truth: oracle.Oracle, counts: traced.Counts) -> None:
    assert counts.calls == truth.calls
    assert counts.edges == truth.edges
    assert counts.primitive_calls == truth.primitive_calls


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("hook", _core.HOOKS)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES <= 60, database=None, suppress_health_check=list(HealthCheck))
@given(functions=functions)
def test_a_random_program(hook: str, functions: list[tuple[bool, list[Action]]]) -> None:
    module = module_of(Writer(functions).text())
    with the_same_in_every_run():
        whole = truth_of(module.run, None)
        with traced.session(hook, None):
            module.run()
            counts = traced.counts_of(_core.snapshot(), EXCLUDED)
        assert_same(whole, counts)
        targets = [module.f1] if functions[1][0] is False else [module.safely]
        codes = [target.__code__ for target in targets]
        beneath = truth_of(module.run, codes)
        with traced.session(hook, codes), traced.wrapped(module, targets):
            module.run()
            first = traced.counts_of(_core.snapshot(), EXCLUDED)
            module.run()
            counts = traced.counts_of(_core.snapshot(), EXCLUDED).minus(first)
        assert_same(beneath, counts)
