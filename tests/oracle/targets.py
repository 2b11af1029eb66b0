# SPDX-License-Identifier: MIT
"""What the tests of the tracer share: small targets, and what the core says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hybridprof import _core

HOOKS = pytest.mark.parametrize("hook", _core.HOOKS)


@pytest.fixture(autouse=True)
def no_session_left() -> Iterator[None]:
    yield
    _core.stop()
    _core.trace_everything(False)
    for code, _rate in _core.targets():
        _core.remove_target(code)


def target_of(function: Callable[..., Any], rate: float = 1.0) -> Callable[..., Any]:
    """Makes it a target, as the decorator does."""
    _core.add_target(function.__code__, rate)
    return _core.deep_function(function) if _core.needs_wrapper(function.__code__) else function


def calls() -> Counter[str]:
    return Counter({row[0]: row[5] for row in _core.snapshot().functions() if row[5]})


def edges() -> Counter[tuple[str, str]]:
    profile = _core.snapshot()
    names = [row[0] for row in profile.functions()]
    return Counter({(names[caller], names[callee]): count for caller, callee, count, *_ in profile.edges() if count})


def measured() -> dict[str, str]:
    return {row[0]: row[11] for row in _core.snapshot().functions()}


def leaf(value: object = None) -> object:
    return value


def branch() -> object:
    return leaf(leaf())
