# SPDX-License-Identifier: MIT
"""What tracing costs is measured again while the program runs: a wrong first calibration is corrected, and what they differ by is told.

`_core._distort_calibration` makes calibrations find so many times what they measured. Thirty times is far beyond what a neighbour on the machine does,
who may make one of two calibrations three times too dear."""

from __future__ import annotations

import gc
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oracle.targets import HOOKS, calls, measured, no_session_left, target_of

from hybridprof import _core
from hybridprof.cli.main import main

__all__ = ["no_session_left"]

WRONG = 30.0
FAR = 3  # times what was removed
CALLS = 2000
SENTENCE = "what tracing a call costs was measured several times"


@pytest.fixture(autouse=True)
def _undistorted() -> Iterator[None]:
    """Without what others (hypothesis) have the collector call: each would count, beneath a target that it interrupts."""
    called, gc.callbacks[:] = gc.callbacks[:], []
    yield
    gc.callbacks[:] = called
    _core._distort_calibration(1.0)


def slow_leaf() -> int:
    return sum(range(100))  # so long that what is taken out never meets the bound of what there is


def caller(count: int = CALLS) -> None:
    for _ in range(count):
        slow_leaf()


def removed_by_two(
    first: float, last: float, hook: str, leaves: Callable[[], object] | None = None, **options: Any
) -> tuple[float, float, list[str]]:
    """ns a call, the error of it, and the sentences about it, where the first calibration and the last one are that far off."""
    _core._distort_calibration(first)
    _core.start(rate=0, hook=hook, **options)  # type: ignore[arg-type]
    target_of(caller)()
    if leaves is not None:  # a target that goes, with what is beneath it
        target_of(leaves)()
        _core.remove_target(leaves.__code__)
    _core._distort_calibration(last)
    _core.stop()
    meta = _core.snapshot().meta()
    told = [sentence for sentence in meta["warnings"] if SENTENCE in sentence]
    tracing = meta["tracing"]
    assert (
        tracing["calls"] == (traced := CALLS + 1 + (leaves is not None)) and tracing["events"] == 2 * traced
    )  # none of them is calibration's
    _core.remove_target(caller.__code__)
    return tracing["overhead_ns"] / CALLS, tracing["overhead_error_ns"] / CALLS, told


@HOOKS
def test_a_wrong_first_calibration_is_corrected(hook: str) -> None:
    removed, error, told = removed_by_two(WRONG, 1.0, hook)
    assert error > FAR * removed > 0
    assert len(told) == 1


@HOOKS
def test_a_wrong_last_calibration_takes_nothing_away(hook: str) -> None:
    removed, error, told = removed_by_two(1.0, WRONG, hook)
    assert error > FAR * removed > 0
    assert len(told) == 1


@HOOKS
def test_the_spread_of_two_that_agree_is_small(hook: str) -> None:
    """Of several pairs the one that no neighbour disturbed."""
    assert any(error < removed / 2 and removed > 0 for removed, error, _told in (removed_by_two(1.0, 1.0, hook) for _ in range(5)))


@HOOKS
def test_a_target_that_goes_does_not_take_calibrations_events_away(hook: str) -> None:
    """A look without them finds that tracing costs nothing."""
    pairs = ((removed_by_two(WRONG, 1.0, hook)[0], removed_by_two(WRONG, 1.0, hook, lambda: None)[0]) for _ in range(5))
    assert any(alone / 2 < beside < alone * 2 for alone, beside in pairs)  # one that no neighbour disturbed


def test_what_is_traced_by_global_events_is_looked_at_too() -> None:
    _core._distort_calibration(WRONG)
    _core.start(rate=0)
    _core.trace_everything(True)
    caller()
    _core._distort_calibration(1.0)
    _core.stop()
    tracing = _core.snapshot().meta()["tracing"]
    assert tracing["overhead_error_ns"] > FAR * tracing["overhead_ns"] > 0
    assert calls()["caller"] == 1 and calls()["slow_leaf"] == CALLS


def wrong_until(asked: Any) -> dict[str, Any]:
    """Numbers are asked for while the program runs, until one of the looks that this allows was right."""
    _core._distort_calibration(WRONG)
    _core.start(rate=0)
    target_of(caller)()
    _core._distort_calibration(1.0)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        tracing: dict[str, Any] = asked()
        if tracing.get("overhead_error_ns"):
            return tracing
        time.sleep(0.02)
    raise AssertionError("none was looked at again")


def test_snapshots_look_again() -> None:
    wrong_until(lambda: _core.snapshot().meta()["tracing"])


def test_a_stream_looks_again(tmp_path: Path) -> None:
    """In the thread that writes it, which has no place in the profile."""
    _core.stream(str(tmp_path / "s.hyprof"), 0.05)

    def written() -> dict[str, Any]:
        if not (tmp_path / "s.hyprof").exists():
            return {}
        found: dict[str, Any] = _core.load(str(tmp_path / "s.hyprof")).meta()["tracing"]
        return found

    assert wrong_until(written)["calls"] == CALLS + 1
    profile = _core.load(str(tmp_path / "s.hyprof"))
    rows = {row[0]: row[5] for row in profile.functions()}
    assert (rows["caller"], rows["slow_leaf"]) == (1, CALLS)
    assert [thread["name"] for thread in profile.threads()] == ["MainThread"]


def test_windows_add_up_to_no_more_than_the_session() -> None:
    """The overhead of a session shrinks when a lower calibration comes: windows that were cut before keep what they had."""
    _core._distort_calibration(WRONG)
    _core.start(rate=0)
    target = target_of(caller)
    target()
    first = _core.window()
    _core._distort_calibration(1.0)
    target()
    _core.stop()
    last, whole = _core.window(), _core.snapshot().meta()["tracing"]
    assert first is not None and last is not None
    parts = [profile.meta()["tracing"] for profile in (first, last)]
    assert sum(part["calls"] for part in parts) == whole["calls"] == 2 * (CALLS + 1)
    assert parts[1]["overhead_ns"] < parts[0]["overhead_ns"]
    assert whole["overhead_ns"] < parts[0]["overhead_ns"] + parts[1]["overhead_ns"]


def test_the_stack_of_who_asks_leaves_no_trace() -> None:
    def asks() -> None:
        _core.stop()

    _core.start(rate=0)
    target_of(caller)(10)
    asks()
    names = {row[0].rpartition(".")[2]: row for row in _core.snapshot().functions()}
    assert "asks" not in names and not [row for row in names.values() if str(row[2]).startswith("<hybridprof")]
    assert sum(row[5] or 0 for row in names.values()) == 11


def test_the_garbage_collector_stays_as_it_is() -> None:
    """Other threads run within looks: what they turn off stays off, and what they fork collects."""
    found: set[bool] = set()
    done, interval = threading.Event(), sys.getswitchinterval()

    def looks_on() -> None:
        while not done.is_set():
            found.add(gc.isenabled())

    other = threading.Thread(target=looks_on)
    sys.setswitchinterval(1e-6)
    other.start()
    try:
        for _ in range(40):
            _core.start(rate=0)
            target_of(caller)(1)
            _core.stop()
            _core.remove_target(caller.__code__)
    finally:
        done.set()
        other.join()
        sys.setswitchinterval(interval)
    assert found == {True}


@HOOKS
def test_what_a_look_takes_leaves_out_nothing_of_the_programs(hook: str) -> None:
    """Of a budget that is far more than the program needs, and less than a look. A profile function costs while it is on, which is counted too."""
    _core.start(rate=0, hook=hook, budget=0.02 if hook == "monitoring" else 0.05)  # type: ignore[arg-type]
    target = target_of(caller)
    for _ in range(5):
        time.sleep(0.05)
        target(1)
    _core.stop()
    assert calls()["caller"] == calls()["slow_leaf"] == 5
    assert measured()["caller"] == measured()["slow_leaf"] == "exact"
    assert not [sentence for sentence in _core.snapshot().meta()["warnings"] if "budget" in sentence]


def test_no_look_under_a_trace_function() -> None:
    """A debugger's, coverage's: it would be called with our own code."""
    seen: list[str] = []
    _core._distort_calibration(WRONG)
    _core.start(rate=0)
    target_of(caller)()
    _core._distort_calibration(1.0)
    before = sys.gettrace()
    sys.settrace(lambda frame, _event, _argument: seen.append(frame.f_code.co_filename))
    try:
        _core.stop()
    finally:
        sys.settrace(before)
    assert not [file for file in seen if file.startswith("<hybridprof")]
    assert _core.snapshot().meta()["tracing"]["overhead_error_ns"] == 0


@pytest.mark.skipif("monitoring" not in _core.HOOKS, reason="sys.monitoring came with 3.12")
@HOOKS
def test_no_look_beside_a_tool_with_global_events(hook: str) -> None:
    monitoring, seen = sys.monitoring, []
    _core._distort_calibration(WRONG)
    _core.start(rate=0, hook=hook)  # type: ignore[arg-type]
    target_of(caller)()
    _core._distort_calibration(1.0)
    monitoring.use_tool_id(1, "somebody")
    try:
        monitoring.register_callback(1, monitoring.events.PY_START, lambda code, _offset: seen.append(code.co_filename))
        monitoring.set_events(1, monitoring.events.PY_START)
        _core.stop()
    finally:
        monitoring.set_events(1, 0)
        monitoring.register_callback(1, monitoring.events.PY_START, None)
        monitoring.free_tool_id(1)
    assert not [file for file in seen if file.startswith("<hybridprof")]
    assert _core.snapshot().meta()["tracing"]["overhead_error_ns"] == 0


def start_trace_stop() -> None:
    try:
        _core.start(rate=0)
        target_of(caller)(3)
        _core.stop()
    except RuntimeError as error:
        if "session ended" not in str(error):
            raise


def test_signals_while_looks_are_taken() -> None:
    """Their handlers may run in a look: what they raise reaches the program, and what they stop stays stopped."""
    handled = [0]
    dice = random.Random(1)

    def handler(_number: int, _frame: object) -> None:
        handled[0] += 1
        if handled[0] % 3 == 0:
            _core.stop()
        if handled[0] % 2 == 0:
            raise KeyError("handler")

    def one_round() -> None:
        before = handled[0]
        if dice.random() < 0.5:  # found by add_target() and not by start()
            _core.remove_target(caller.__code__)
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-5, 3e-3))
        start_trace_stop()
        while handled[0] == before:
            pass
        for _ in range(1000):  # what was raised in a look is raised again a little later
            pass

    before = signal.signal(signal.SIGALRM, handler)
    raised = rounds = 0
    end = time.monotonic() + 0.5
    while time.monotonic() < end or rounds < 10:
        rounds += 1
        try:
            one_round()
        except KeyError:
            raised += 1
    signal.signal(signal.SIGALRM, before)
    assert handled[0] == rounds and raised == rounds // 2
    _core.stop()
    _core.start(rate=0)
    target_of(caller)(3)
    assert calls()["slow_leaf"] == 3


def test_threads_that_stop_and_look_at_once() -> None:
    """A look may let another thread run, which ends the session."""
    sys_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    ended = threading.Event()
    odd: list[BaseException] = []

    def asks() -> None:
        while not ended.is_set():
            try:
                _core.stop()
            except BaseException as error:
                odd.append(error)

    threads = [threading.Thread(target=asks) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            _core.start(rate=0)
            try:
                target_of(caller)(5)
            except RuntimeError as error:
                if "session ended" not in str(error):
                    raise
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(sys_interval)
    assert odd == []


def test_info_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    removed_by_two(WRONG, 1.0, "auto")
    path = tmp_path / "wrong.hyprof"
    _core.snapshot().write(str(path), "hyprof")
    assert main(["info", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "by other calibrations up to" in shown and SENTENCE in shown
