# SPDX-License-Identifier: MIT
"""The heavy variants of tests/integration/test_sampler_truth.py: minutes, not seconds. `pytest tests/stress`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from integration.sampler_programs import chains_program, impossible, sampled_stacks

from hybridprof import _core

SAMPLES = 100_000
LONGEST = 120.0  # seconds


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    _core.stop()
    yield
    _core.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", ["same-cpu", "remote"])
def test_no_impossible_stack_in_100_000(method: str) -> None:
    _core.start(rate=20000, method=method)  # type: ignore[arg-type]
    end = time.perf_counter() + LONGEST
    while _core.status()["samples"]["kept"] < SAMPLES and time.perf_counter() < end:
        chains_program(2.0)
    _core.stop()
    samples = _core.status()["samples"]
    assert samples["kept"] >= SAMPLES
    assert impossible(sampled_stacks(_core.snapshot())) == {}
    assert samples["unresolved"] <= 0.001 * samples["kept"]


@pytest.mark.timeout(300)
def test_no_impossible_stack_with_eight_threads() -> None:
    _core.start(rate=5000)
    threads = [threading.Thread(target=chains_program, args=(15.0,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _core.stop()
    assert impossible(sampled_stacks(_core.snapshot())) == {}


@pytest.mark.timeout(300)
def test_sessions_come_and_go_under_load() -> None:
    stopped = threading.Event()

    def forever() -> None:
        while not stopped.is_set():
            chains_program(0.05)

    threads = [threading.Thread(target=forever) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            _core.start(rate=10000)
            time.sleep(0.01)
            _core.snapshot()
            _core.stop()
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert not _core.running()
