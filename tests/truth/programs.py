# SPDX-License-Identifier: MIT
"""Programs of every kind that makes sampling hard, each of which knows its own truth.

A program is `program(truth, ns, random)`: it runs for about so many ns by truth's clock, calls what it has through `truth`, and draws what is not fixed from
`random`. Stretches are long beside what timing them costs (a few µs) and short beside the run, or what the kind demands.
"""

from __future__ import annotations

import random as randoms
import threading
import time
from collections.abc import Callable

from truth.clock import Truth

Leaf = Callable[[Truth, int], None]
Program = Callable[[Truth, int, randoms.Random], None]

MS = 1_000_000  # ns


def leaf(name: str) -> Leaf:
    """A function of this name that works for some ns by the clock."""

    def work(truth: Truth, ns: int) -> None:
        now = truth.now
        end = now() + ns
        while now() < end:
            sum(range(60))

    work.__code__ = work.__code__.replace(co_name=name, co_qualname=name)
    work.__name__ = work.__qualname__ = name
    return work


# --- steady: everything many times between two samples, in the same proportions ----------------------------------------------------------

parse, index, store, log = (leaf(name) for name in ("parse", "index", "store", "log"))


def handle(truth: Truth, ns: int) -> None:
    """8 % of its own."""
    truth.call(parse, int(0.45 * ns))
    truth.call(index, int(0.27 * ns))
    end = truth.now() + int(0.08 * ns)
    while truth.now() < end:
        sum(range(60))
    truth.call(store, int(0.16 * ns))
    truth.call(log, int(0.04 * ns))


def steady(truth: Truth, ns: int, random: randoms.Random) -> None:
    end = truth.now() + ns
    while truth.now() < end:
        truth.call(handle, int(random.uniform(0.6, 1.8) * MS))


# --- phased: each function once, for long --------------------------------------------------------------------------------------------------

load, convert, check, save = (leaf(name) for name in ("load", "convert", "check", "save"))


def transform(truth: Truth, ns: int) -> None:
    """Half of it is its own time, in one piece."""
    end = truth.now() + ns // 2
    while truth.now() < end:
        sum(range(60))
    truth.call(convert, ns // 2)


def phased(truth: Truth, ns: int, random: randoms.Random) -> None:
    truth.call(load, int(random.uniform(0.2, 0.3) * ns))
    truth.call(transform, int(random.uniform(0.4, 0.5) * ns))
    truth.call(check, int(0.03 * ns))
    truth.call(save, int(random.uniform(0.15, 0.2) * ns))


# --- periodic: in step with the sampler's mean interval at 1 kHz, and ten times as slow ------------------------------------------------------

tick, rest, beat = (leaf(name) for name in ("tick", "rest", "beat"))


def periodic(truth: Truth, ns: int, random: randoms.Random) -> None:
    began = truth.now()
    for number in range(1, ns // MS + 1):
        truth.call(tick, int(0.3 * MS))
        if number % 10 == 0:
            truth.call(beat, int(0.5 * MS))
        truth.call(rest, max(0, began + number * MS - truth.now()))


# --- bursty: now and then, for random lengths ------------------------------------------------------------------------------------------------

idle, flush, encode = (leaf(name) for name in ("idle", "flush", "encode"))


def burst(truth: Truth, ns: int) -> None:
    end = truth.now() + ns
    while truth.now() < end:
        truth.call(flush, int(0.2 * MS))
        truth.call(encode, int(0.5 * MS))


def bursty(truth: Truth, ns: int, random: randoms.Random) -> None:
    """Lengths between the bursts have a heavy tail, so that some runs are nearly all burst and some have hardly one."""
    end = truth.now() + ns
    while truth.now() < end:
        truth.call(idle, int(min(6 * MS * random.paretovariate(1.5), 0.3 * ns)))
        truth.call(burst, int(random.expovariate(1 / (8 * MS))))


# --- threaded: three threads with functions of their own and one that they share ---------------------------------------------------------------

spread, gather, shared = (leaf(name) for name in ("spread", "gather", "shared"))
MIXES = ((spread, 0.7), (gather, 0.5), (spread, 0.3))  # what each thread has besides `shared`


def serve(truth: Truth, ns: int, own: Leaf, share: float) -> None:
    end = truth.now() + ns
    while truth.now() < end:
        truth.call(own, int(2 * MS * share))
        truth.call(shared, int(2 * MS * (1 - share)))


def threaded(truth: Truth, ns: int, random: randoms.Random) -> None:
    each = [Truth(truth.now) for _ in MIXES]
    threads = [threading.Thread(target=found.call, args=(serve, ns // len(MIXES), *mix)) for found, mix in zip(each, MIXES, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in each:
        truth.add(found)


# --- short: some dozen samples in all -----------------------------------------------------------------------------------------------------------

setup, compute, report = (leaf(name) for name in ("setup", "compute", "report"))
SHORT = 0.15  # of the length that is asked for


def short(truth: Truth, ns: int, random: randoms.Random) -> None:
    whole = int(SHORT * ns)
    truth.call(setup, int(0.25 * whole))
    for _ in range(8):
        truth.call(compute, int(0.08 * whole))
        truth.call(report, int(random.uniform(0.005, 0.02) * whole))


# --- recursive: the same function many times on one stack ----------------------------------------------------------------------------------------

visit = leaf("visit")


def walk(truth: Truth, depth: int) -> None:
    """A tree of two branches; a tenth of a millisecond in each node, half of it its own."""
    end = truth.now() + MS // 20
    while truth.now() < end:
        sum(range(60))
    truth.call(visit, MS // 20)
    if depth:
        truth.call(walk, depth - 1)
        truth.call(walk, depth - 1)


def recursive(truth: Truth, ns: int, random: randoms.Random) -> None:
    end = truth.now() + ns
    while truth.now() < end:
        truth.call(walk, random.randint(1, 4))
        truth.call(rest, int(0.4 * MS))


# --- waiting: by the wall clock it mostly sleeps ---------------------------------------------------------------------------------------------------

react = leaf("react")


def wait(truth: Truth, ns: int) -> None:
    time.sleep(ns / 1e9)


def waiting(truth: Truth, ns: int, random: randoms.Random) -> None:
    end = time.perf_counter_ns() + ns
    while time.perf_counter_ns() < end:
        truth.call(wait, int(random.expovariate(1 / (2 * MS))))
        truth.call(react, int(random.uniform(0.2, 1.5) * MS))


PROGRAMS: dict[str, Program] = {
    program.__name__: program for program in (steady, phased, periodic, bursty, threaded, short, recursive, waiting)
}
