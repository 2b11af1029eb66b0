# SPDX-License-Identifier: MIT
"""The session: what starts, stops and is remembered. Each test leaves nothing running."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess

import pytest

from hybridprof import _core

RunPython = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    _core.stop()
    yield
    _core.stop()
    _core.trace_everything(False)
    for code, _ in _core.targets():
        _core.remove_target(code)


def spin(seconds: float) -> int:
    rounds = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        rounds += 1
    return rounds


def callee() -> None:
    pass


def caller(times: int) -> None:
    for _ in range(times):
        callee()


def as_target(function: Callable[..., object], rate: float = 1.0) -> Callable[..., object]:
    code = function.__code__  # type: ignore[attr-defined]
    _core.add_target(code, rate)
    return _core.deep_function(function) if _core.needs_wrapper(code) else function


def rows() -> dict[str, tuple[object, ...]]:
    return {row[0]: row for row in _core.snapshot().functions()}


def test_start_and_stop_say_whether_they_did_anything() -> None:
    assert not _core.running()
    assert _core.start() is True
    assert _core.running()
    assert _core.start(rate=7) is False
    assert _core.status()["rate_hz"] == 100
    assert _core.stop() is True
    assert _core.stop() is False
    assert not _core.running()


def test_samples_show_where_time_went() -> None:
    _core.start(rate=1000)
    spin(0.3)
    _, module, _, file, line, calls, _, own, total, _, total_error, measured, samples, kind = rows()["spin"]
    assert (module, file, line, calls, measured, kind) == (__name__, __file__, spin.__code__.co_firstlineno, None, "sampled", "python")
    assert samples > 30 and own > 0
    assert total == pytest.approx(0.3e9, rel=0.2)
    assert total_error < total


def test_a_target_is_counted_exactly() -> None:
    function = as_target(caller)
    _core.start(rate=100)
    function(123)
    _core.stop()
    found = rows()
    assert found["caller"][5] == 1 and found["callee"][5] == 123
    assert (found["caller"][11], found["callee"][11]) == ("exact", "exact")
    assert found["callee"][1] == __name__
    assert (found["callee"][9], found["callee"][10]) == (0, 0)


def sorting() -> None:
    for _ in range(10):
        sorted(range(3000), key=slow_key)


def slow_key(value: int) -> int:
    return sum(range(value % 64))


def test_what_the_sampler_sees_beneath_a_target_makes_nothing_inexact() -> None:
    """A C function stands between them in the exact tree, and in no sampled stack."""
    function = as_target(sorting)
    _core.start(rate=5000, c_calls=True)
    function()
    _core.stop()
    found = rows()
    assert found["slow_key"][5] == 30_000
    assert found["slow_key"][11] == "exact"
    # Where targets need wrappers (3.11) a call may go round them, so that a sample at the very edge of the target's extent is its own.
    if not _core.needs_wrapper(sorting.__code__):
        assert found["sorting"][11] == "exact"


def test_a_target_given_while_a_session_runs_counts_from_then_on() -> None:
    _core.start()
    caller(5)
    as_target(caller)(6)
    assert rows()["callee"][5] == 6


def test_without_a_sampler_there_is_only_what_was_traced() -> None:
    function = as_target(caller)
    _core.start(rate=0)
    function(10)
    spin(0.05)
    _core.stop()
    profile = _core.snapshot()
    meta = profile.meta()
    assert meta["rate_hz"] == 0 and meta["sampler_method"] == "" and meta["samples"]["kept"] == 0
    assert {row[11] for row in profile.functions() if row[0] in {"caller", "callee"}} == {"exact"}
    assert meta["residual_ns"] == 0
    assert meta["duration_ns"] > 0.05e9


def test_a_snapshot_does_not_end_the_session_and_stop_keeps_the_data() -> None:
    function = as_target(caller)
    _core.start()
    function(1)
    first = _core.snapshot()
    function(2)
    _core.stop()
    function(4)
    assert {row[0]: row for row in first.functions()}["callee"][5] == 1
    assert rows()["callee"][5] == 3
    assert rows()["callee"][5] == 3
    assert first.meta()["profile_id"] == _core.snapshot().meta()["profile_id"]


def test_a_new_session_starts_from_nothing_and_keeps_targets() -> None:
    function = as_target(caller)
    _core.start()
    function(3)
    _core.stop()
    before = _core.snapshot().meta()["profile_id"]
    _core.start()
    assert "callee" not in rows()
    function(2)
    assert rows()["callee"][5] == 2
    assert _core.snapshot().meta()["profile_id"] != before


def test_targets_are_kept_by_identity() -> None:
    def make() -> Callable[[], None]:
        return eval(compile("lambda: None", "<same>", "eval"))  # type: ignore[no-any-return]

    one, two = make(), make()
    assert one.__code__ == two.__code__ and one.__code__ is not two.__code__
    _core.add_target(one.__code__)
    _core.add_target(two.__code__, 0.5)
    assert [(code is one.__code__, rate) for code, rate in _core.targets()] == [(True, 1.0), (False, 0.5)]
    _core.add_target(one.__code__, 0.25)
    assert _core.targets()[0][1] == 0.25
    _core.remove_target(one.__code__)
    assert [code is two.__code__ for code, _ in _core.targets()] == [True]
    _core.remove_target(one.__code__)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rate": -1}, "rate must be above 0 and at most 1000000 Hz, or 0 for no sampler, not -1.0"),
        ({"rate": float("nan")}, "not nan"),
        ({"rate": 1e7}, "at most 1000000 Hz"),
        ({"clock": "sun"}, "clock must be one of wall, cpu, not 'sun'"),
        ({"method": "magic"}, "method must be one of auto, same-cpu, signal, remote, not 'magic'"),
        ({"hook": "line"}, "hook must be one of auto, .*setprofile, not 'line'"),
        ({"seed": -1}, r"seed must be from 0 to 2\*\*64 - 1, not -1"),
    ],
)
def test_bad_options_are_explained(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        _core.start(**options)  # type: ignore[arg-type]
    assert not _core.running()


def test_bad_targets_are_explained() -> None:
    with pytest.raises(TypeError, match="code object"):
        _core.add_target(caller)  # type: ignore[arg-type]
    for rate in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="rate must be above 0 and at most 1"):
            _core.add_target(caller.__code__, rate)
    with pytest.raises(ValueError, match="prefix must be the beginning of a file name"):
        _core.hide_file("")


def test_there_is_no_snapshot_before_the_first_session(run_python: RunPython) -> None:
    done = run_python("from hybridprof import _core\ntry: _core.snapshot()\nexcept RuntimeError as error: print(error)")
    assert done.stdout == "nothing was measured yet: call start() first\n"


def test_blocks_trace_what_they_call() -> None:
    assert _core.enter_block("early") == 0
    _core.leave_block(0)
    _core.start()
    token = _core.enter_block("nightly report")
    caller(7)
    _core.leave_block(token)
    found = rows()
    assert found["nightly report"][5] == 1 and found["nightly report"][13] == "block"
    assert found["callee"][5] == 7


def test_a_block_that_outlives_its_session_is_forgotten() -> None:
    _core.start()
    token = _core.enter_block("old")
    _core.stop()
    _core.start()
    _core.leave_block(token)
    assert "old" not in rows()


def test_hidden_files_leave_their_time_to_their_callers(run_python: RunPython) -> None:
    done = run_python(
        """
import sys, time
from hybridprof import _core
hidden = {"__name__": "hidden"}
exec(compile("def run(f):\\n    f()\\n", "/opt/hidden/run.py", "exec"), hidden)
def visible():
    end = time.perf_counter() + 0.2
    while time.perf_counter() < end: pass
_core.hide_file("/opt/hidden/")
_core.start(rate=1000)
hidden["run"](visible)
_core.stop()
p = _core.snapshot()
names = [row[0] for row in p.functions()]
print("run" in names, "visible" in names)
callers = {names[callee]: names[caller] for caller, callee, *_ in p.edges() if caller >= 0}
print(callers["visible"])
"""
    )
    assert done.stdout == "False True\n<module>\n"


def test_modules_are_named(run_python: RunPython) -> None:
    done = run_python(
        """
import time, json.decoder, runpy, sys
from hybridprof import _core
_core.start(rate=2000)
end = time.perf_counter() + 0.3
text = json.dumps([{"a": n} for n in range(200)])
while time.perf_counter() < end: json.decoder.JSONDecoder(object_hook=dict).decode(text)
_core.stop()
found = {row[0]: row[1] for row in _core.snapshot().functions()}
print(found["JSONDecoder.raw_decode"], found["<module>"] in ("", "__main__"))
"""
    )
    assert done.stdout == "json.decoder True\n"


def test_threads_have_the_names_that_the_program_gave_them() -> None:
    ready, leave = threading.Event(), threading.Event()

    def work() -> None:
        ready.set()
        while not leave.is_set():
            spin(0.001)

    _core.start(rate=1000)
    named = threading.Thread(target=work, name="worker \N{GREEK SMALL LETTER ALPHA}")
    told = threading.Thread(target=work, name="other")
    named.start()
    told.start()
    ready.wait()
    assert told.ident is not None
    _core.set_thread_name(told.ident, "told")
    time.sleep(0.1)
    leave_names = {thread["name"] for thread in _core.snapshot().threads()}
    leave.set()
    named.join()
    told.join()
    _core.stop()
    assert {"MainThread", "worker \N{GREEK SMALL LETTER ALPHA}", "told"} <= leave_names
    assert leave_names <= {thread["name"] for thread in _core.snapshot().threads()}


def test_status_counts() -> None:
    function = as_target(caller)
    _core.start(rate=500)
    function(20)
    end = time.monotonic() + 30
    while _core.status()["samples"]["kept"] <= 5 and time.monotonic() < end:
        spin(0.1)
    status = _core.status()
    assert status["running"] and status["targets"] == 1 and status["rate_hz"] == 500
    assert status["samples"]["kept"] > 5 and status["sampler_cpu_ns"] > 0
    assert status["tracing"]["calls"] == 21
    assert status["tracer_hook"] in _core.HOOKS and status["stream_error"] is None


def test_starts_and_stops_from_many_threads() -> None:
    outcomes: list[bool] = []

    def work() -> None:
        for _ in range(10):
            outcomes.append(_core.start(rate=1000))
            _core.status()
            _core.snapshot()
            _core.stop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert True in outcomes and not _core.running()


def test_cpu_time_counts_calls_and_takes_times_from_samples() -> None:
    function = as_target(caller)
    _core.start(rate=1000, clock="cpu")
    function(50)
    began = time.thread_time_ns()
    while time.thread_time_ns() < began + 200_000_000:  # on a busy machine a time on the wall may be a quarter of it
        spin(0.01)
    time.sleep(0.2)
    used = time.thread_time_ns() - began
    _core.stop()
    profile = _core.snapshot()
    found = {row[0]: row for row in profile.functions()}
    assert found["callee"][5] == 50
    main = next(thread for thread in profile.threads() if thread["name"] == "MainThread")
    assert main["exact_ns"] == 0 and main["overhead_ns"] == 0
    assert main["measured_ns"] == pytest.approx(used, rel=0.25)
    assert any("CPU clock" in warning for warning in profile.meta()["warnings"])


def test_a_new_thread_has_its_own_cpu_time_and_not_that_of_the_thread_that_made_it() -> None:
    def burn() -> None:
        end = time.thread_time() + 0.005
        while time.thread_time() < end:
            pass

    end = time.thread_time() + 0.1  # what the new threads would begin with
    while time.thread_time() < end:
        pass
    _core.start(rate=10_000, clock="cpu")
    for _ in range(40):
        thread = threading.Thread(target=burn)
        thread.start()
        thread.join()
    _core.stop()
    measured = sorted(thread["measured_ns"] for thread in _core.snapshot().threads())
    assert measured[-1] < 5e9
    assert measured[len(measured) // 2] > 2e6


def test_a_session_goes_on_with_another_rate_and_budget() -> None:
    assert _core.adjust(rate=5, budget=1) is False  # none runs
    _core.start(rate=50)
    call = as_target(callee)
    call()
    assert _core.adjust(rate=200, budget=0) is True
    assert _core.adjust(rate=200, budget=5) is True  # a first budget
    call()
    assert (_core.status()["rate_hz"], rows()["callee"][5]) == (200, 2)
    assert _core.adjust(rate=300, budget=0) is False  # who would give back what it took?
    assert _core.adjust(rate=0, budget=5) is False  # that is another kind of session
    assert _core.status()["rate_hz"] == 200
    with pytest.raises(ValueError, match="rate must be above 0"):
        _core.adjust(rate=-1, budget=5)
    with pytest.raises(ValueError, match="budget must be above 0"):
        _core.adjust(rate=1, budget=101)


def test_an_adjusted_rate_is_the_sampler_s() -> None:
    _core.start(rate=0.001)  # the next tick is some twenty minutes away
    assert _core.adjust(rate=1000, budget=0)
    for _ in range(100):
        spin(0.1)
        if _core.status()["samples"]["kept"] > 20:
            break
    assert _core.status()["samples"]["kept"] > 20
    assert _core.snapshot().meta()["rate_hz"] == 1000


def test_a_first_budget_while_everything_is_traced_takes_a_new_session() -> None:
    _core.start(rate=50)
    _core.trace_everything(True)
    assert _core.adjust(rate=60, budget=5) is False
    assert _core.adjust(rate=60, budget=0) is True
