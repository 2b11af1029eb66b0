# SPDX-License-Identifier: MIT
"""A half that calls a tiny function against a half that loops without calls, and what each of them truly costs.

Timing a half alone tells its cost with its own caches and branch history, which is not what it costs next to the other half. So the truth is
a regression: rounds of h hot and c cold halves in turn, for each (h, c) of MIXES, cost loop + h hot + c cold. What one hot half more costs is
measured twice, with one and with two cold ones, and so is a cold one: two independent estimates of the share, and their distance is shown. A
call of an empty function, measured in the same way, bounds what of a half's call belongs to the caller: half of it is taken off, which can be
wrong by half of it.

How much of a call of `tiny` belongs to `tiny` no clock can tell. But a second program differs from the first in nothing except that `tiny`
does more; so what that costs, by the clock, is what a sampler must see more of `tiny`, or it overlooks short functions.

All blocks take turns of a millisecond, before, in and after the window. What they cost in the window itself, in sums and not in medians, is
the truth for a profiler in a thread or process of its own: a processor may change how fast it runs a loop by a third and stay there. One that
works in the program's thread changes what the halves cost: there the truth is the bare program before and after.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

MIXES = ((1, 1), (2, 1), (1, 2), (2, 2))
BLOCK_NS = 1_000_000


# Equal, and not the same: comparing them takes the longer the longer they are, within one instruction. The two functions differ in nothing else:
# where only one of them compared, every profiler seemed to lose 3 points, those that stop the process too: its caller ran slower behind it.
LENGTHS = (12, 16, 20, 24, 32, 40, 48, 64)
MORE_NS = 30.0


def equal_pair(length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    one = tuple(range(length))
    return one, (*one[:2], *one[2:])


SHORT, SAME_SHORT = equal_pair(4)
LONG, SAME_LONG = equal_pair(LENGTHS[0])


def tiny(value: int) -> int:
    SHORT == SAME_SHORT  # noqa: B015
    return value + 1


def tiny_more(value: int) -> int:
    LONG == SAME_LONG  # noqa: B015
    return value + 1


# Results stay below 256, where ints are not allocated: nothing of tiny's work is left for its caller to clear away.
def hot(count: int) -> None:
    for number in range(count):
        value = tiny(number)  # noqa: F841


def hot_more(count: int) -> None:
    for number in range(count):
        value = tiny_more(number)  # noqa: F841


def cold(count: int) -> None:
    value = 0
    for number in range(count):
        value += number


def empty(count: int) -> None:
    pass


# The shortest call there is, for the share of halves alone.
def tiny_bare(value: int) -> int:
    return value + 1


def hot_bare(count: int) -> None:
    for number in range(count):
        value = tiny_bare(number)  # noqa: F841


Block = Callable[[int, int], None]


def block(name: str, *halves: str) -> Block:
    """A function that calls these in turn, some rounds."""
    calls = "; ".join(f"{half}(count)" for half in halves)
    names: dict[str, Any] = globals().copy()
    exec(compile(f"def {name}(rounds, count):\n    for _ in range(rounds):\n        {calls}\n", __file__, "exec"), names)
    made: Block = names[name]
    return made


# Each function's name begins with its program's, by which a profile is taken apart.
BLOCKS: dict[str, Block] = {}


def make_blocks(more: bool) -> None:
    plain = "hot" if more else "hot_bare"
    BLOCKS.update({f"plain {h} {c}": block(f"plain_{h}_{c}", *[plain] * h, *["cold"] * c) for h, c in MIXES})
    if more:
        BLOCKS.update({f"more {h} {c}": block(f"more_{h}_{c}", *["hot_more"] * h, *["cold"] * c) for h, c in MIXES})
    BLOCKS["empty"] = block("plain_empty", plain, "cold", "empty")


def timed(function: Block, rounds: int, count: int) -> int:
    """ns of this thread's CPU."""
    started = time.thread_time_ns()
    function(rounds, count)
    return time.thread_time_ns() - started


def lengthen(count: int) -> None:
    """Makes a call of tiny_more some 30 ns longer than one of tiny."""
    global LONG, SAME_LONG

    def call_ns(name: str) -> float:
        return min(timed(BLOCKS[name], 200, count) for _ in range(9)) / 200 / count

    for length in LENGTHS:
        LONG, SAME_LONG = equal_pair(length)
        if call_ns("more 1 1") - call_ns("plain 1 1") >= MORE_NS:
            return


def rounds_for(count: int) -> int:
    """So many that a block takes about a millisecond: short against what disturbs a machine, long against the clock."""
    return max(10, int(BLOCK_NS / min(timed(BLOCKS["plain 1 1"], 200, count) / 200 for _ in range(5))))


def measured(count: int, rounds: int, seconds: float) -> dict[str, int]:
    """Every block in turn, for some CPU seconds: ns of each in all, and how many rounds each had."""
    found = dict.fromkeys([*BLOCKS, "rounds"], 0)
    end = time.thread_time() + seconds
    while time.thread_time() < end or not found["rounds"]:
        for name, function in BLOCKS.items():
            found[name] += timed(function, rounds, count)
        found["rounds"] += rounds
    return found


def on_threads(number: int, count: int, rounds: int, seconds: float) -> dict[str, int]:
    """`measured` by so many threads at once, each its part of the CPU seconds; or here."""
    if number == 1:
        return measured(count, rounds, seconds)
    results: list[dict[str, int]] = []
    threads = [threading.Thread(target=lambda: results.append(measured(count, rounds, seconds / number))) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: sum(result[name] for result in results) for name in results[0]}


def alternating(
    window: Any, seconds: float, count: int, bare_seconds: float, threads: int, neighbour: bool, more: bool = True
) -> dict[str, Any]:
    """seconds: of CPU, of all threads, profiled; bare_seconds: before and after each. count: calls in a hot half, turns in a cold one.
    neighbour: another process keeps the other core busy. more: with the second program."""
    make_blocks(more)
    burner = os.fork() if neighbour else 0
    if neighbour and not burner:
        burn(4 * (seconds + 2 * bare_seconds) + 60)
    try:
        measured(count, 100, 0.05)  # interpreters specialise what runs often
        if more:
            lengthen(count)
        rounds = rounds_for(count)
        before = on_threads(threads, count, rounds, bare_seconds)
        window.open()
        during = on_threads(threads, count, rounds, seconds)
        window.close()
        after = on_threads(threads, count, rounds, bare_seconds)
    finally:
        if neighbour:
            os.kill(burner, signal.SIGKILL)
            os.waitpid(burner, 0)
    return {"before": before, "during": during, "after": after}


def burn(seconds: float) -> None:
    """Keeps the last core busy, in a child; ends with its parent, or after some seconds."""
    parent = os.getppid()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if len(os.sched_getaffinity(0)) > 1 else (os.cpu_count() or 1) - 1})
    end = time.monotonic() + seconds
    while time.monotonic() < end and os.getppid() == parent:
        for _ in range(10_000):
            pass
    os._exit(0)
