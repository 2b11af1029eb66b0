# SPDX-License-Identifier: MIT
"""Everything within a budget, where others share the session, where C functions are traced too, where functions lose their events, and
where greenlets switch."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from conftest import wheel

import hybridprof
from hybridprof import _core

pytestmark = pytest.mark.skipif("monitoring" not in _core.HOOKS, reason="3.11 cannot spare single functions")

ALL = 100.0  # percent: never spent
CANNOT_SPARE = "functions that it cannot spare"


def leaf(number: int) -> int:
    return number + 1


def below(number: int) -> int:
    return number


def repeat(function: Callable[[int], object], count: int) -> None:
    for number in range(count):
        function(number)


def rows(profiler: hybridprof.Profiler) -> dict[str, hybridprof.Function]:
    return {row.name.rpartition(".")[2]: row for row in profiler.profile.functions}


def counted(row: hybridprof.Function) -> tuple[int | None, str]:
    return row.calls, row.measured


def has_warning(profiler: hybridprof.Profiler, words: str) -> bool:
    return any(words in sentence for sentence in profiler.profile.meta["warnings"])


def test_a_target_that_ends_stays_a_part_of_everything() -> None:
    with hybridprof.Profiler(rate=0, deep="auto", budget=ALL) as profiler:
        repeat(leaf, 10)
        with hybridprof.Profiler(deep=[f"{__name__}:leaf"]):
            repeat(leaf, 10)
        repeat(leaf, 10)
    assert counted(rows(profiler)["leaf"]) == (30, "exact")


def test_it_meets_what_was_met_before_it_joined() -> None:
    with hybridprof.Profiler(rate=0, deep=[f"{__name__}:leaf"], budget=ALL) as profiler:
        for _ in range(5):
            leaf(1)
            below(1)  # not beneath a target, and so let go
        with hybridprof.Profiler(deep="auto"):
            repeat(below, 10)
    assert rows(profiler)["below"].calls == 10
    assert counted(rows(profiler)["leaf"]) == (5, "exact")


def test_a_session_without_a_budget_is_not_traced_whole() -> None:
    with hybridprof.Profiler(rate=0) as profiler:
        with hybridprof.Profiler(deep=["auto"]) as joined:
            repeat(leaf, 10)
        assert joined.warnings == [
            "'auto' was left out: the session that runs already has no budget; start that one with budget= or with deep='auto'"
        ]
    assert "leaf" not in rows(profiler)
    with hybridprof.Profiler(rate=0, deep="auto") as profiler:
        repeat(leaf, 10)
    assert counted(rows(profiler)["leaf"]) == (10, "exact") and profiler.warnings == []


def calls_c(seconds: float) -> None:
    data = [1]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(1000):
            len(data)
    spins(0.3)


def spins(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_calls_of_c_functions_are_their_callers_cost() -> None:
    with hybridprof.Profiler(rate=500, deep="auto", budget=0.1, c_calls=True) as profiler:
        calls_c(0.5)
    found = rows(profiler)
    assert has_warning(profiler, "calls_c (") and not has_warning(profiler, CANNOT_SPARE)
    # The call that was open as the events went away is over: what follows is neither its time nor beneath it.
    assert sum(row.total_ns for row in profiler.profile.functions if row.kind == "c") < 0.4e9
    assert found["calls_c"].total_ns > 0.6e9


def test_a_target_that_is_hot_is_spared_as_all_others_are() -> None:
    def run() -> int:
        calls, end = 0, time.monotonic() + 0.6
        while time.monotonic() < end:
            repeat(leaf, 1000)
            calls += 1000
        return calls

    with hybridprof.Profiler(rate=0, deep=["auto", f"{__name__}:leaf"], budget=0.1) as profiler:
        calls = run()
    row = rows(profiler)["leaf"]
    assert row.calls is not None and row.calls < calls / 2 and row.measured == "mixed"
    assert not has_warning(profiler, CANNOT_SPARE)


def middle(deeper: bool) -> None:
    if deeper:
        below(1)


def one(deeper: bool) -> None:
    middle(deeper)


def another(deeper: bool) -> None:
    middle(deeper)


def calls_beneath(profile: _core.Profile, callee: str) -> Counter[str]:
    """By what calls its caller."""
    nodes, names = profile.nodes(), [row[0] for row in profile.functions()]
    found: Counter[str] = Counter()
    for parent, function, calls, *_ in nodes:
        if calls and names[function] == callee:
            found[names[nodes[nodes[parent][0]][1]]] += calls
    return found


def test_callers_without_events_are_told_apart() -> None:
    """Their frames lie at the same addresses, and neither's end is seen."""
    lost = {"one", "another", "middle"}
    with hybridprof.Profiler(rate=0, deep="auto", budget=0.05):
        until = time.monotonic() + 60  # a budget that is spent pauses all of it, too, and then no function is named
        while time.monotonic() < until and not lost <= {name.rpartition(".")[2] for name in hybridprof.snapshot().spared}:
            rest = time.monotonic() + 0.5  # to look costs budget too, and is not to keep it spent
            while time.monotonic() < rest:
                one(False)
                another(False)
        found: Counter[str] = Counter()
        while time.monotonic() < until and sum(found.values()) < 40:
            for _ in range(20):
                one(True)
                another(True)
            found = calls_beneath(_core.snapshot(), "below")
        assert lost <= {name.rpartition(".")[2] for name in hybridprof.snapshot().spared}
    # A pause may begin or end between the two.
    assert set(found) == {"one", "another"} and abs(found["one"] - found["another"]) <= 2, found


def test_greenlets_have_their_own_time_as_soon_as_a_function_returns() -> None:
    greenlet = wheel("greenlet")
    hub = greenlet.getcurrent()

    def pause() -> None:
        hub.switch()

    def works(rounds: int) -> None:
        for _ in range(rounds):
            pause()
            end = time.monotonic() + 0.03
            while time.monotonic() < end:
                pass

    with hybridprof.Profiler(rate=0, deep="auto", budget=ALL) as profiler:
        tasks = [greenlet.greenlet(works) for _ in range(2)]
        for _ in range(5):
            for task in tasks:
                task.switch(4)
    found = rows(profiler)
    assert found["works"].self_ns > 0.24e9 * 0.9
    assert found["pause"].self_ns < 0.2 * found["works"].self_ns
    assert counted(found["pause"]) == (8, "exact")


def test_each_greenlets_call_has_its_own_limit() -> None:
    greenlet = wheel("greenlet")
    hub = greenlet.getcurrent()

    def target() -> None:
        hub.switch()
        repeat(leaf, 400)

    hybridprof.deep(target)
    try:
        with hybridprof.Profiler(rate=0, event_limit=1000) as profiler:
            tasks = [greenlet.greenlet(target) for _ in range(2)]
            for task in (*tasks, *reversed(tasks)):
                task.switch()
    finally:
        _core.remove_target(target.__code__)
    assert counted(rows(profiler)["leaf"]) == (800, "exact")


def test_a_thread_that_is_traced_from_its_start_lived_no_longer() -> None:
    def runs() -> None:
        threads = [threading.Thread(target=spins, args=(0.02,), name="short") for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with hybridprof.Profiler(rate=20, deep="auto", budget=ALL) as profiler:
        for _ in range(15):
            runs()
    threads = [thread for thread in profiler.profile.threads if thread.name == "short"]
    assert len(threads) == 30
    measured, residual = sum(thread.measured_ns for thread in threads), sum(thread.residual_ns for thread in threads)
    assert abs(residual) < 0.1 * measured


def test_counts_are_lower_bounds_once_another_tool_freed_the_id() -> None:
    with hybridprof.Profiler(rate=0, deep="auto", budget=ALL) as profiler:
        repeat(leaf, 10)
        for tool in (3, 4, 5):
            if sys.monitoring.get_tool(tool) == "hybridprof":  # type: ignore[attr-defined]
                sys.monitoring.free_tool_id(tool)  # type: ignore[attr-defined]
        repeat(leaf, 10)
        hybridprof.snapshot()
        repeat(leaf, 10)
    assert has_warning(profiler, "freed the monitoring tool id")
    assert rows(profiler)["leaf"].measured == "mixed"


def test_after_a_pause_it_meets_what_it_did_not_see() -> None:
    greenlet = wheel("greenlet")

    def outermost() -> None:
        pass

    with hybridprof.Profiler(rate=0, deep="auto", budget=0.05) as profiler:
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            leaf(1)
            for _ in range(100):
                greenlet.greenlet(outermost).switch()
        below(1)
        before, end = _core.status()["tracing"]["calls"], time.monotonic() + 15
        while _core.status()["tracing"]["calls"] < before + 3 and time.monotonic() < end:
            time.sleep(0.02)  # windows pass with hardly an event
            leaf(1)
            below(1)
    assert has_warning(profiler, CANNOT_SPARE)
    assert rows(profiler)["below"].measured == "mixed"
    assert rows(profiler)["below"].calls
