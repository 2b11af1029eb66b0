# SPDX-License-Identifier: MIT
"""The tracer among threads, forks and greenlets, and at the limits of recursion."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest
from conftest import wheel
from oracle.targets import HOOKS, branch, calls, edges, leaf, no_session_left, target_of

from hybridprof import _core

__all__ = ["no_session_left"]


# --- threads, processes, limits -----------------------------------------------------------------------------------------------------


@HOOKS
def test_threads_that_come_and_go(hook: str) -> None:
    _core.start(rate=0, hook=hook)
    target = target_of(branch)
    for _ in range(60):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert calls() == {"branch": 60, "leaf": 120}


@HOOKS
def test_the_limit_of_recursion(hook: str) -> None:
    depth = 0

    def endless() -> None:
        nonlocal depth
        depth += 1
        endless()

    def outer() -> None:
        with pytest.raises(RecursionError):
            endless()

    _core.start(rate=0, hook=hook)
    target_of(outer)()
    assert calls()["test_the_limit_of_recursion.<locals>.endless"] in (depth, depth + 1)
    assert _core.status()["tracing"]["truncated"] == 0


@HOOKS
def test_deep_recursion(hook: str) -> None:
    def down(depth: int) -> None:
        if depth:
            down(depth - 1)

    limit = sys.getrecursionlimit()
    depth = 20_000
    _core.start(rate=0, hook=hook)
    target = target_of(down)
    sys.setrecursionlimit(depth + 1000)
    try:
        target(depth)
    finally:
        sys.setrecursionlimit(limit)
    assert calls()["test_deep_recursion.<locals>.down"] == depth + 1


@HOOKS
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_starts_anew(hook: str) -> None:
    def forks() -> int:
        leaf()
        child = os.fork()
        if child == 0:
            leaf()
            counted = {row[0]: row[5] for row in _core.snapshot().functions() if row[5]} if _core.running() else {}
            os._exit(0 if counted.get("leaf", 0) <= 1 else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    _core.start(rate=0, hook=hook)
    assert target_of(forks)() == 0
    assert calls()["leaf"] == 1


@HOOKS
def test_greenlets_have_stacks_of_their_own(hook: str) -> None:
    greenlet = wheel("greenlet")

    def beneath() -> None:
        for _ in range(3):
            leaf()
            others.switch()
        leaf()

    def elsewhere() -> None:
        while True:
            branch()
            leaf()
            main.switch()

    def switching() -> None:
        beneath()

    _core.start(rate=0, hook=hook)
    target = target_of(switching)
    main, others = greenlet.getcurrent(), greenlet.greenlet(elsewhere)
    target()
    target()
    branch()
    counts = calls()
    prefix = "test_greenlets_have_stacks_of_their_own.<locals>."
    assert counts == {prefix + "switching": 2, prefix + "beneath": 2, "leaf": 8}
    assert edges()[prefix + "beneath", "leaf"] == 8


@HOOKS
def test_greenlets_in_a_whole_program(hook: str) -> None:
    greenlet = wheel("greenlet")

    def elsewhere() -> None:
        while True:
            branch()
            main.switch()

    def switching() -> None:
        leaf()
        others.switch()
        branch()

    main, others = greenlet.getcurrent(), greenlet.greenlet(elsewhere)
    _core.start(rate=0, hook=hook)
    _core.trace_everything(True)
    switching()
    switching()
    counts = calls()
    prefix = "test_greenlets_in_a_whole_program.<locals>."
    assert (counts[prefix + "switching"], counts[prefix + "elsewhere"], counts["branch"], counts["leaf"]) == (2, 1, 4, 10)
    assert edges()[prefix + "elsewhere", "branch"] == 2
    assert edges()[prefix + "switching", "branch"] == 2


def test_a_signal_handler_that_raises_while_tracing_begins_reaches_the_program() -> None:
    """Arming the first target runs bytecode of ours for some milliseconds: a handler may run in it."""
    raised: list[str] = []

    def interrupt(_number: int, _frame: object) -> None:
        raise InterruptedError("the program's own")

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for attempt in range(60):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0002 + attempt * 0.00005)
                _core.start(rate=0)
                target = target_of(branch)
                target()
                _core.snapshot()
                time.sleep(0.005)
            except InterruptedError as error:
                raised.append(str(error))
            signal.setitimer(signal.ITIMER_REAL, 0)
            _core.stop()
            _core.remove_target(branch.__code__)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert raised == ["the program's own"] * 60
