# SPDX-License-Identifier: MIT
"""start, stop, snapshot, status and Profiler in one process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

import hybridprof
import hybridprof.cli.run
from hybridprof import _core


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:
    hybridprof.stop()
    yield
    hybridprof.stop()


def spin(seconds: float) -> int:
    end = time.perf_counter() + seconds
    rounds = 0
    while time.perf_counter() < end:
        rounds += 1
    return rounds


def test_start_is_idempotent() -> None:
    first = hybridprof.start(rate=50)
    assert hybridprof.start(rate=999, clock="cpu") is first
    assert hybridprof.running()
    assert hybridprof.status()["rate_hz"] == 50
    hybridprof.stop()
    hybridprof.stop()
    assert not hybridprof.running()
    assert hybridprof.start() is not first


def test_snapshot_goes_on() -> None:
    hybridprof.start(rate=1000)
    for _ in range(50):  # a busy machine may let the sampler wait
        spin(0.1)
        first = hybridprof.snapshot()
        if any(row.name == "spin" for row in first.functions):
            break
    assert hybridprof.running()
    spin(0.1)
    hybridprof.stop()
    second = hybridprof.snapshot()
    before, after = ([row.self_ns for row in profile.functions if row.name == "spin"] for profile in (first, second))
    assert 0 < before[0] < after[0]


def test_profiler_as_context_manager() -> None:
    with hybridprof.Profiler(rate=1000, deep=[f"{__name__}:spin"]) as profiler:
        for _ in range(3):
            spin(0.01)
        assert "running" in repr(profiler)
    assert not hybridprof.running()
    (row,) = (row for row in profiler.profile.functions if row.name == "spin")
    assert (row.calls, row.primitive_calls, row.measured) == (3, 3, "exact")
    assert 25e6 < row.total_ns < 250e6
    assert profiler.profile is profiler.profile


def test_profiler_before_its_start() -> None:
    with pytest.raises(RuntimeError, match="this Profiler has measured nothing in this process"):
        _ = hybridprof.Profiler().profile


def test_a_second_profiler_shares_the_session() -> None:
    owner = hybridprof.start(rate=100)
    with hybridprof.Profiler(deep=[f"{__name__}:spin"]) as guest:
        spin(0.001)
    assert hybridprof.running()
    assert [row.calls for row in guest.profile.functions if row.name == "spin"] == [1]
    owner.stop()
    assert not hybridprof.running()


def test_what_a_shared_session_does_not_do_is_said() -> None:
    """A budget that does not hold must not be believed in."""
    with hybridprof.Profiler(rate=1000, c_calls=True):
        with hybridprof.Profiler(rate=50, c_calls=True, budget=2.0, event_limit=9, clock="cpu") as guest:
            spin(0.001)
        with hybridprof.Profiler(deep=[f"{__name__}:spin"]) as modest:
            spin(0.001)
        if "monitoring" in _core.HOOKS:
            with hybridprof.Profiler(rate=1000, deep=["auto"]) as automatic:
                spin(0.001)
            assert not any("had no effect" in each for each in automatic.warnings)
    (sentence,) = guest.warnings
    assert sentence == (
        "a session ran already, whose options stay in force: rate=50.0, clock='cpu', budget=2.0, event_limit=9 had no effect"
    )
    assert modest.warnings == []
    with hybridprof.Profiler(budget=2.0) as alone:
        spin(0.001)
    assert alone.warnings == []


def test_stopping_in_the_middle_of_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a signal handler or a finaliser does."""
    profiler = hybridprof.Profiler(rate=0).start()
    monkeypatch.setattr(type(profiler.watch), "refresh", lambda self: (hybridprof.stop(), profiler.stop()))
    profiler.stop()
    assert not hybridprof.running()
    assert profiler.profile.meta["rate_hz"] == 0
    assert profiler.start().stop() is profiler


def test_exceptions_end_it() -> None:
    with pytest.raises(KeyError), hybridprof.Profiler():
        raise KeyError
    assert not hybridprof.running()


def test_status() -> None:
    status = hybridprof.status()
    assert {"running", "stage", "rate_hz", "targets", "sampler_cpu_share", "tracer_share", "why"} <= status.keys()
    assert (status["running"], status["stage"]) == (False, "off")
    with hybridprof.Profiler(rate=250, deep=[f"{__name__}:spin", f"{__name__}:spinn"]):
        spin(0.05)
        status = hybridprof.status()
    assert (status["running"], status["stage"], status["rate_hz"]) == (True, "deep", 250)
    assert 0 <= status["sampler_cpu_share"] < 1
    assert 0 <= status["tracer_share"] < 1
    assert any(target.endswith(" spin") for target in status["targets"])
    assert status["patterns"] == [f"{__name__}:spin", f"{__name__}:spinn"]
    assert [warning for warning in status["warnings"] if "did you mean" in warning]


def test_remote_reading_has_higher_rates() -> None:
    with hybridprof.Profiler(rate=200_000, method="remote") as profiler:
        while not hybridprof.status()["samples"]["kept"]:
            spin(0.001)
    assert profiler.profile is not None
    assert (profiler.profile.meta["rate_hz"], profiler.profile.meta["sampler_method"]) == (200_000, "remote")


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"rate": -1}, ValueError, "rate must be from 0 (no sampling) to 10000 Hz, not -1"),
        ({"rate": 1e9}, ValueError, "rate must be from 0 (no sampling) to 10000 Hz, not 1000000000.0"),
        ({"rate": float("nan")}, ValueError, "rate must be from 0 (no sampling) to 10000 Hz, not nan"),
        ({"rate": 10_001}, ValueError, "rate must be from 0 (no sampling) to 10000 Hz, not 10001"),
        ({"rate": 200_001, "method": "remote"}, ValueError, "rate must be from 0 (no sampling) to 200000 Hz, not 200001"),
        ({"rate": -1, "method": "remote"}, ValueError, "rate must be from 0 (no sampling) to 200000 Hz, not -1"),
        ({"rate": 10_001, "method": "signal"}, ValueError, "rate must be from 0 (no sampling) to 10000 Hz, not 10001"),
        ({"rate": "100"}, TypeError, "rate is a number of Hz, not str '100'"),
        ({"rate": True}, TypeError, "rate is a number of Hz, not bool True"),
        ({"clock": "sun"}, ValueError, "clock must be 'wall' or 'cpu', not 'sun'"),
        ({"clock": None}, ValueError, "clock must be 'wall' or 'cpu', not None"),
        ({"hook": "ptrace"}, ValueError, "hook must be 'auto' or 'monitoring' or 'setprofile', not 'ptrace'"),
        ({"method": "x"}, ValueError, "method must be 'auto' or 'same-cpu' or 'signal' or 'remote', not 'x'"),
        ({"deep": 3}, TypeError, "deep is a list of patterns such as 'package.module:Class.method', not int 3"),
        ({"deep": ["a:b", 3]}, TypeError, "a pattern is a str such as 'package.module:Class.method', not int 3"),
        ({"deep_rate": 0}, ValueError, "deep_rate is the share of calls to trace, above 0 and at most 1, not 0"),
        ({"seed": -1}, ValueError, "seed must be from 0 to 2**64 - 1, not -1"),
        ({"seed": 0.5}, TypeError, "seed is an int, not float 0.5"),
    ],
)
def test_bad_options(options: dict[str, object], error: type[Exception], sentence: str) -> None:
    for call in (hybridprof.start, hybridprof.Profiler):
        with pytest.raises(error) as caught:
            call(**options)  # type: ignore[arg-type]
        assert str(caught.value) == sentence
        assert not hybridprof.running()


def test_threads_may_start_and_stop_at_once() -> None:
    errors: list[BaseException] = []

    def churn() -> None:
        try:
            for _ in range(10):
                hybridprof.start(rate=100)
                hybridprof.snapshot()
                hybridprof.status()
                hybridprof.stop()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert not any(thread.is_alive() for thread in threads)


def test_a_forked_child_may_use_it() -> None:
    parents = hybridprof.start(rate=100, deep=[f"{__name__}:spin"])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert not hybridprof.running()
            assert not [target for target in hybridprof.status()["targets"] if target.endswith(" spin")]
            hybridprof.stop()
            parents.stop()
            assert hybridprof.start(rate=0, deep=[f"{__name__}:spin"]) is not parents
            spin(0.001)
            hybridprof.stop()
            assert [row.calls for row in hybridprof.snapshot().functions if row.name == "spin"] == [1]
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert hybridprof.running()


def test_calibration_is_no_part_of_the_program() -> None:
    names = set()
    for _ in range(5):
        with hybridprof.Profiler(rate=10_000, deep=["*"]) as profiler:
            pass
        names |= {(row.name, row.file) for row in profiler.profile.functions}
    assert not [name for name, file in names if file.startswith("<hybridprof")]


def test_switching_everything_off_is_no_part_of_the_program() -> None:
    with hybridprof.Profiler(rate=0, deep=["*"], hook="setprofile") as profiler:
        sum(value for value in (1, 2))
    assert not [row.name for row in profiler.profile.functions if row.module == "threading"]


def test_the_command_line_knows_every_method() -> None:
    assert hybridprof.cli.run.METHODS == hybridprof.options.METHODS
