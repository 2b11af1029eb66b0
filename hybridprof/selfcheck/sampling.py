# SPDX-License-Identifier: MIT
"""What sampling costs: the sampler's own CPU time for each sample, and the program's slowdown, sampler included, at 100 Hz."""

from __future__ import annotations

import time
from typing import Any

import hybridprof

from . import intervals
from .programs import load
from .results import Found, Raw

RATE_HZ = 100.0
DEPTH = 20
BATCHES = 16
PIECE_NS = 25_000_000


def _until(program: Any, end: float) -> None:
    while time.perf_counter() < end:
        program.work(40)


def _batch(program: Any, seconds: float) -> tuple[int, int, int, int]:
    """ns of the sampler's CPU, samples, ns by the wall and of the process's CPU, of one stretch of a session that runs."""
    before, wall, own = hybridprof.status(), time.perf_counter_ns(), time.process_time_ns()
    end = time.perf_counter() + seconds
    program.deeper(DEPTH, lambda: _until(program, end))
    after, wall, own = hybridprof.status(), time.perf_counter_ns() - wall, time.process_time_ns() - own
    return after["sampler_cpu_ns"] - before["sampler_cpu_ns"], after["samples"]["kept"] - before["samples"]["kept"], wall, own


def left_alone(wall: int, own: int) -> bool:
    """Whether the process had a processor nearly all the time. Where others have it in between, caches are cold after each turn: what that costs is not
    the sampler's, and differs from turn to turn."""
    return wall <= 1.1 * own


def sample(seconds: float) -> Raw:
    """One busy thread, stretch by stretch."""
    program = load("work")
    batches: list[tuple[int, int, int, int]] = []
    end = time.perf_counter() + seconds
    with hybridprof.Profiler(rate=RATE_HZ):
        _batch(program, seconds / BATCHES)
        while time.perf_counter() < end:
            batches.append(_batch(program, seconds / BATCHES))
    return {"batches": batches}


def judge_sample(raws: list[Raw]) -> dict[str, Found]:
    """µs for each sample."""
    (raw,) = raws
    used = [(spent, samples) for spent, samples, wall, own in raw["batches"] if samples > 0 and left_alone(wall, own)]
    details = {
        "samples": sum(samples for _, samples in used),
        "batches": len(used),
        "batches_left_out": len(raw["batches"]) - len(used),
        "rate_hz": RATE_HZ,
        "depth": DEPTH,
    }
    return {"sample_cost": (intervals.median([spent / samples / 1000 for spent, samples in used]), details)}


def _piece(program: Any, rounds: int) -> tuple[int, int]:
    """ns of the process's CPU, and by the wall."""
    wall, own = time.perf_counter_ns(), time.process_time_ns()
    program.work(rounds)
    own = time.process_time_ns() - own
    return own, time.perf_counter_ns() - wall


def _sampled_piece(program: Any, rounds: int) -> tuple[int, int]:
    with hybridprof.Profiler(rate=RATE_HZ):
        program.work(rounds // 20)  # the thread is known, its first stack read
        return _piece(program, rounds)


def slowdown(seconds: float) -> Raw:
    """Sampled pieces, each with the bare ones before and after it."""
    program = load("work")
    rounds = max(100, int(PIECE_NS * 100 / max(1, min(_piece(program, 100)[0] for _ in range(20)))))
    pieces = []
    end = time.perf_counter() + seconds
    before = _piece(program, rounds)
    while time.perf_counter() < end:
        sampled = _sampled_piece(program, rounds)
        after = _piece(program, rounds)
        pieces.append((before, sampled, after))
        before = after
    return {"pieces": pieces}


def judge_slowdown(raws: list[Raw]) -> dict[str, Found]:
    """Percent of the process's CPU time."""
    (raw,) = raws
    used = [[own for own, _ in group] for group in raw["pieces"] if all(own > 0 and left_alone(wall, own) for own, wall in group)]
    found = [100 * (2 * sampled / (before + after) - 1) for before, sampled, after in used]
    return {
        "slowdown_100_hz": (
            intervals.median(found),
            {"pairs": len(used), "pairs_left_out": len(raw["pieces"]) - len(used), "rate_hz": RATE_HZ},
        )
    }
