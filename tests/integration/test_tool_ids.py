# SPDX-License-Identifier: MIT
"""Tool ids of sys.monitoring that other tools free and take while a session runs: nothing raises, and one true sentence says what is traced."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from oracle.targets import branch, calls, leaf, measured, no_session_left, target_of

from hybridprof import _core

__all__ = ["no_session_left"]


def elsewhere() -> None:
    pass


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def warnings() -> list[str]:
    found: list[str] = _core.snapshot().meta()["warnings"]
    return found


def about_ids() -> list[str]:
    return [sentence for sentence in warnings() if "tool id" in sentence]


@pytest.mark.skipif("monitoring" not in _core.HOOKS, reason="sys.monitoring came with 3.12")
class TestToolIds:
    FREED = "another tool freed the monitoring tool id that tracing used: calls in between were missed"

    @pytest.fixture(autouse=True)
    def _free_again(self) -> Iterator[None]:
        yield
        for tool in (3, 4, 5):
            if sys.monitoring.get_tool(tool) == "somebody":
                sys.monitoring.free_tool_id(tool)

    @staticmethod
    def take(*tools: int) -> None:
        for tool in tools:
            if sys.monitoring.get_tool(tool) is not None:
                sys.monitoring.free_tool_id(tool)
            sys.monitoring.use_tool_id(tool, "somebody")

    def test_both_are_freed(self) -> None:
        """One sentence, and it is true."""
        _core.start(rate=0)
        target = target_of(branch)
        target()
        for tool in (3, 5):
            sys.monitoring.free_tool_id(tool)
        assert about_ids() == [self.FREED]
        target()
        assert calls() == {"branch": 2, "leaf": 4}
        assert measured()["leaf"] == "mixed"

    def test_all_are_taken(self) -> None:
        """Nothing is traced, nothing fails, and tracing goes on once they are free again."""
        _core.start(rate=1000)
        target = target_of(branch)
        target()
        self.take(3, 4, 5)
        _core.snapshot()  # looks after the ids
        target()
        other = target_of(elsewhere)
        token = _core.enter_block("block")
        other()
        _core.leave_block(token)
        _core.remove_target(elsewhere.__code__)
        (sentence,) = about_ids()
        assert "none of 3, 4 and 5 is free: from then on nothing is traced; sampling goes on" in sentence
        assert calls()["leaf"] == 2
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass
        assert _core.status()["samples"]["kept"] > 0
        for tool in (3, 4, 5):
            sys.monitoring.free_tool_id(tool)
        _core.snapshot()
        target()
        assert (calls()["branch"], calls()["leaf"]) == (2, 4)

    def test_the_one_that_finds_functions_is_taken(self) -> None:
        def other() -> None:
            pass

        def through(function: Any) -> None:
            function()

        _core.start(rate=0)
        target = target_of(through)
        target(leaf)
        self.take(4, 5)
        (sentence,) = about_ids()
        assert "from then on only those are traced that were met before; sampling goes on" in sentence
        target(leaf)
        target(other)
        name = "TestToolIds.test_the_one_that_finds_functions_is_taken.<locals>.through"
        assert calls() == {name: 3, "leaf": 2}

    def test_the_recorders_is_taken_and_no_other_is_free(self) -> None:
        """What is known goes on, under the id that found functions."""
        _core.start(rate=0)
        target = target_of(branch)
        target()
        self.take(3, 4)
        _core.snapshot()
        target()
        target()
        assert calls() == {"branch": 3, "leaf": 6}
        (sentence,) = about_ids()
        assert "only those are traced that were met before" in sentence

    def test_everything_within_a_budget_without_ids(self) -> None:
        self.take(3, 4)
        _core.start(rate=0, budget=50.0)
        _core.trace_everything(True)
        branch()
        assert calls() == {}
        assert any("takes two of the monitoring tool ids 3, 4 and 5, and other tools hold them" in sentence for sentence in warnings())
        assert not any("hook=" in sentence for sentence in warnings())

    def test_others_events_stay_when_we_stop(self) -> None:
        """Whoever took our id has events of their own on the same functions."""
        seen: list[str] = []
        monitoring = sys.monitoring
        _core.start(rate=0)
        target = target_of(branch)
        target()
        self.take(3)
        monitoring.register_callback(3, monitoring.events.PY_START, lambda code, _offset: seen.append(code.co_name))
        monitoring.set_local_events(3, leaf.__code__, monitoring.events.PY_START)
        _core.stop()
        leaf()
        assert seen[-1:] == ["leaf"]
        assert monitoring.get_local_events(3, leaf.__code__) == monitoring.events.PY_START
        monitoring.set_local_events(3, leaf.__code__, 0)
        monitoring.register_callback(3, monitoring.events.PY_START, None)

    def test_an_id_that_was_freed_before_the_first_target(self) -> None:
        _core.start(rate=0)
        for tool in (3, 5):
            sys.monitoring.free_tool_id(tool)
        target_of(branch)()
        assert calls() == {"branch": 1, "leaf": 2}

    @pytest.mark.parametrize("noticed", [False, True])
    def test_a_target_that_is_removed_while_the_id_is_lost(self, noticed: bool) -> None:
        """Before 3.14 its events outlive the id, and come back with it."""

        def through(function: Any) -> None:
            function()

        def removed() -> None:
            pass

        _core.start(rate=0)
        target = target_of(through)
        removed()  # met, and found to carry no events: this is not asked again
        _core.add_target(removed.__code__)
        if noticed:
            self.take(3, 4, 5)
            _core.snapshot()
        else:
            for tool in (3, 5):
                sys.monitoring.free_tool_id(tool)
        _core.remove_target(removed.__code__)
        for tool in (3, 4, 5) if noticed else ():
            sys.monitoring.free_tool_id(tool)
        _core.snapshot()
        for _ in range(3):
            target(removed)
        assert {name.rpartition(".")[2]: count for name, count in calls().items()} == {"through": 3, "removed": 3}

    def test_the_clock_of_what_is_open_stops_when_the_ids_go(self) -> None:
        """What runs afterwards is the sampler's."""
        _core.start(rate=1000)

        def losing() -> None:
            leaf(1)
            self.take(3, 4, 5)

        _core.add_target(losing.__code__)
        try:
            losing()
            _core.status()
            for _ in range(20):
                busy(0.02)
            _core.stop()
        finally:
            _core.remove_target(losing.__code__)
        rows = {row[0].rpartition(".")[2]: row for row in _core.snapshot().functions()}
        (main,) = (thread for thread in _core.snapshot().threads() if thread["name"] == "MainThread")
        assert main["exact_ns"] < 0.2e9 and main["sampled_ns"] > 0.1e9, main
        assert rows["busy"][7] > 0.1e9, rows["busy"]

    def test_what_others_have_silenced_stays_silent_while_ids_stay_lost(self) -> None:
        monitoring, met = sys.monitoring, []
        self.take(4)
        _core.start(rate=0)
        target_of(branch)()
        self.take(5)
        _core.status()  # the loss is noticed
        monitoring.register_callback(5, monitoring.events.PY_START, lambda code, _offset: met.append(code.co_name) or monitoring.DISABLE)
        monitoring.set_local_events(5, elsewhere.__code__, monitoring.events.PY_START)
        for _ in range(5):
            elsewhere()
            _core.status()
        monitoring.set_local_events(5, elsewhere.__code__, 0)
        monitoring.register_callback(5, monitoring.events.PY_START, None)
        assert met == ["elsewhere"]
