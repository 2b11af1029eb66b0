# SPDX-License-Identifier: MIT
"""Counts of calls, primitive calls and callers equal those of a plain sys.setprofile tracer, for programs that try to break them."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from oracle import oracle, traced

from hybridprof import _core

PROGRAMS = Path(__file__).parent.parent / "oracle" / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("[a-z]*.py"))
EXCLUDED = frozenset({__file__, oracle.__file__, traced.__file__})


@pytest.fixture(autouse=True)
def same_in_every_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads change hands where they block and nowhere else, and garbage dies when it is asked to."""
    interval = sys.getswitchinterval()
    monkeypatch.syspath_prepend(str(PROGRAMS))
    sys.setswitchinterval(100)
    gc.disable()
    yield
    gc.enable()
    sys.setswitchinterval(interval)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.run()  # caches fill
    module.run()
    gc.collect()
    return module


def assert_same(truth: oracle.Oracle, counts: traced.Counts) -> None:
    assert counts.calls == truth.calls
    assert counts.edges == truth.edges
    assert counts.primitive_calls == truth.primitive_calls


def assert_no_tick_lost(profile: _core.Profile) -> None:
    """All time beneath targets is some node's: self times and overhead of the nodes add up to the threads'."""
    threads = profile.threads()
    self_times = sum(node[3] for node in profile.nodes())
    assert sum(thread["exact_ns"] for thread in threads) == pytest.approx(self_times, rel=1e-6, abs=len(profile.nodes()))


@pytest.mark.parametrize("hook", _core.HOOKS)
@pytest.mark.parametrize("name", NAMES)
def test_whole_program(name: str, hook: str) -> None:
    module = load(name)
    truth = oracle.Oracle(None, EXCLUDED)
    truth.run(module.run)
    gc.collect()
    with traced.session(hook, None):
        module.run()
        profile = _core.snapshot()
    assert sum(truth.calls.values()) > 30
    assert_same(truth, traced.counts_of(profile, EXCLUDED))
    assert_no_tick_lost(profile)


@pytest.mark.parametrize("hook", _core.HOOKS)
@pytest.mark.parametrize("name", NAMES)
def test_beneath_targets_from_the_second_call_on(name: str, hook: str) -> None:
    module = load(name)
    codes = [target.__code__ for target in module.TARGETS]
    truth = oracle.Oracle(codes, EXCLUDED)
    truth.run(module.run)
    gc.collect()
    with traced.session(hook, codes), traced.wrapped(module, module.TARGETS):
        module.run()
        gc.collect()
        first = traced.counts_of(_core.snapshot(), EXCLUDED)
        module.run()
        profile = _core.snapshot()
    assert sum(truth.calls.values()) > 10
    assert_same(truth, traced.counts_of(profile, EXCLUDED).minus(first))
    assert _core.status()["tracing"]["truncated"] == 0
    assert_no_tick_lost(profile)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_call_is_complete_too(name: str) -> None:
    """Nothing of these programs runs outside of targets while a target is being learned, so nothing may be missed."""
    module = load(name)
    codes = [target.__code__ for target in module.TARGETS]
    truth = oracle.Oracle(codes, EXCLUDED)
    truth.run(module.run)
    gc.collect()
    with traced.session("auto", codes), traced.wrapped(module, module.TARGETS):
        module.run()
        profile = _core.snapshot()
    assert_same(truth, traced.counts_of(profile, EXCLUDED))
