# SPDX-License-Identifier: MIT
"""Programs whose every legal stack is known, one for each hazard of reading stacks from outside.

`PYTHONPATH=tests python -P tests/stress/programs.py NAME SECONDS [same-cpu|remote] [RATE]` runs one under the sampler and prints what was found as one
line of JSON."""

from __future__ import annotations

import _thread
import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from typing import Any

from integration.sampler_programs import chains, chains_program, impossible
from stress.callbacks import callbacks, callbacks_callers
from stress.oracle import Program, Stack, chain_callers, found, measure


def _define(source: str) -> dict[str, Any]:
    scope: dict[str, Any] = {"chains": chains}
    exec(compile(source, "<stress>", "exec"), scope)
    return scope


# --- generators resumed from different callers ---------------------------------------------------------------------------------------------

_GENERATORS = "".join(
    f"""
def source_{x}():
    step = chains["{x}0"]
    while True:
        step()
        yield
def relay_{x}():
    yield from source_{x}()
def resume_{x}1(generator): next(generator)
def resume_{x}2(generator): generator.send(None)
def count_{x}():
    for _ in range(3):
        yield
def consume_{x}():
    for _ in count_{x}(): pass
def drive_{x}(generator):
    resume_{x}1(generator)
    consume_{x}()
    resume_{x}2(generator)
def finish_{x}():
    passing = source_{x}()
    next(passing)
    passing.close()
"""
    for x in "abc"
)
_generators = _define(_GENERATORS)
_ENDLESS = {x: _generators[f"relay_{x}"]() for x in "abc"}


def generators(seconds: float) -> None:
    end = time.perf_counter() + seconds
    drive = [(_generators[f"drive_{x}"], _ENDLESS[x], _generators[f"finish_{x}"]) for x in "abc"]
    while time.perf_counter() < end:
        for step, generator, finish in drive:
            step(generator)
            finish()


def _generators_callers() -> dict[str, set[str]]:
    callers = chain_callers(**{x: {f"source_{x}"} for x in "abc"})
    for x in "abc":
        callers |= {
            f"source_{x}": {f"relay_{x}", f"finish_{x}"},
            f"relay_{x}": {f"resume_{x}1", f"resume_{x}2"},
            f"resume_{x}1": {f"drive_{x}"},
            f"resume_{x}2": {f"drive_{x}"},
            f"consume_{x}": {f"drive_{x}"},
            f"count_{x}": {f"consume_{x}"},
            f"drive_{x}": {"generators"},
            f"finish_{x}": {"generators"},
        }
    return callers | {"generators": {"measure"}}


# --- recursion over the chunks of the data stack -------------------------------------------------------------------------------------------

# Seven functions in a ring, each with a frame of its own size: a stack that lost or mixed frames does not count r0, r1, … r6, r0.
_RING = 7
_ring = _define(
    "".join(
        f"def r{i}(levels):\n    {' = '.join(f'v{n}' for n in range(1 + 3 * i))} = levels\n    if levels: r{(i + 1) % _RING}(levels - 1)\n"
        for i in range(_RING)
    )
)


def recursion(seconds: float) -> None:
    end = time.perf_counter() + seconds
    turn = 0
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(4000)
    while time.perf_counter() < end:
        turn = (turn * 1103515245 + 12345) % (1 << 31)
        _ring["r0"]((1 << turn % 12) + turn % 97)
    sys.setrecursionlimit(limit)


# --- exceptions that unwind many frames ----------------------------------------------------------------------------------------------------

_LEVELS = 12
_unwinding = _define(
    "".join(
        f"def u{i}(raiser, catcher):\n"
        "    try:\n"
        f"        if raiser == {i}: raise ValueError\n"
        f"        {f'u{i + 1}(raiser, catcher)' if i + 1 < _LEVELS else 'pass'}\n"
        "    except ValueError as error:\n"
        f"        h{i}()\n"
        f"        if catcher != {i}: raise\n"
        f"        return error\n"
        "    finally:\n"
        f"        f{i}()\n"
        f"def h{i}(): pass\n"
        f"def f{i}(): pass\n"
        for i in range(_LEVELS)
    )
)


def exceptions(seconds: float) -> None:
    end = time.perf_counter() + seconds
    kept: list[object] = [None] * 5  # tracebacks keep frames alive after their functions
    turn = 0
    u0 = _unwinding["u0"]
    while time.perf_counter() < end:
        turn += 1
        raiser = turn % _LEVELS
        kept[turn % 5] = u0(raiser, turn // _LEVELS % (raiser + 1))


def _exceptions_callers() -> dict[str, set[str]]:
    callers = {f"u{i}": {f"u{i - 1}"} for i in range(1, _LEVELS)} | {"u0": {"exceptions"}, "exceptions": {"measure"}}
    return callers | {f"{kind}{i}": {f"u{i}"} for kind in "hf" for i in range(_LEVELS)}


# --- coroutines ----------------------------------------------------------------------------------------------------------------------------

_COROUTINES = "".join(
    f"""
class Ready_{x}:
    def __await__(self):
        chains["{x}2"]()
        yield
async def c_{x}0(): await c_{x}1()
async def c_{x}1():
    await c_{x}2()
    async for _ in items_{x}(): pass
async def c_{x}2():
    chains["{x}0"]()
    await Ready_{x}()
async def items_{x}():
    for _ in range(2):
        chains["{x}4"]()
        yield
"""
    for x in "ab"
)
_coroutines = _define(_COROUTINES)


def by_hand_a() -> None:
    _by_hand(_coroutines["c_a0"]())


def by_hand_b() -> None:
    _by_hand(_coroutines["c_b0"]())


def _by_hand(coroutine: Generator[None, None, None]) -> None:
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


async def task_a() -> None:
    await _coroutines["c_a0"]()
    await asyncio.sleep(0)


async def task_b() -> None:
    await asyncio.sleep(0)
    await _coroutines["c_b0"]()


async def several(end: float) -> None:
    while time.perf_counter() < end:
        await asyncio.gather(task_a(), task_b(), task_a(), task_b())
        by_hand_a()
        by_hand_b()


def coroutines(seconds: float) -> None:
    asyncio.run(several(time.perf_counter() + seconds))


def _coroutines_callers() -> dict[str, set[str]]:
    callers: dict[str, set[str]] = {"coroutines": {"measure"}, "several": {"~Handle._run"}, "_by_hand": set()}
    for x in "ab":
        callers |= {f"{x}{depth}": {f"{x}{depth - 1}"} for depth in range(1, 6)}
        callers |= {f"{x}0": {f"c_{x}2"}, f"c_{x}1": {f"c_{x}0"}, f"c_{x}2": {f"c_{x}1"}, f"items_{x}": {f"c_{x}1"}}
        callers[f"{x}2"] = {f"{x}1", f"Ready_{x}.__await__"}
        callers[f"{x}4"] = {f"{x}3", f"items_{x}"}
        callers |= {f"Ready_{x}.__await__": {f"c_{x}2"}, f"task_{x}": {"~Handle._run"}, f"by_hand_{x}": {"several"}}
        callers[f"c_{x}0"] = {f"task_{x}", "_by_hand"}
        callers["_by_hand"].add(f"by_hand_{x}")
    return callers


def _hand_is_right(stack: Stack) -> bool:
    """_by_hand drives whichever coroutine its caller made."""
    return all(
        callee[:2] != "c_" or caller[-1] == callee[2]
        for caller, hand, callee in zip(stack, stack[1:], stack[2:], strict=False)
        if hand == "_by_hand"
    )


# --- code objects that come and go ---------------------------------------------------------------------------------------------------------


def codes(seconds: float) -> None:
    end = time.perf_counter() + seconds
    turn = 0
    while time.perf_counter() < end:
        turn += 1
        kind = ("even", "odd")[turn % 2]
        scope: dict[str, Any] = {}
        source = f"def {kind}_outer():\n    {kind}_inner(); {kind}_inner()\ndef {kind}_inner(): return {kind}_leaf()\n{kind}_leaf = lambda: 1\n{kind}_outer()"
        exec(compile(source, f"<{kind}>", "exec"), scope)
        for _ in range(200):
            scope[f"{kind}_outer"]()


def _codes_callers() -> dict[str, set[str]]:
    callers: dict[str, set[str]] = {"codes": {"measure"}}
    for kind in ("even", "odd"):
        callers |= {f"<{kind}>:<module>": {"codes"}, f"<{kind}>:{kind}_outer": {"codes", f"<{kind}>:<module>"}}
        callers |= {f"<{kind}>:{kind}_inner": {f"<{kind}>:{kind}_outer"}, f"<{kind}>:<lambda>": {f"<{kind}>:{kind}_inner"}}
    return callers


# --- threads -------------------------------------------------------------------------------------------------------------------------------


def body_a() -> None:
    chains["a0"]()
    recurse_a(40)


def body_b() -> None:
    chains["b0"]()


def recurse_a(levels: int) -> None:
    if levels:
        recurse_a(levels - 1)


def bare_c() -> None:
    chains["c0"]()


def births(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        threads = [threading.Thread(target=body_a), threading.Thread(target=body_b), threading.Thread(target=body_a)]
        for thread in threads:
            thread.start()
        _thread.start_new_thread(bare_c, ())
        for thread in threads:
            thread.join()
        chains["d0"]()


def eight_threads(seconds: float) -> None:
    """A short switch interval: the GIL changes hands all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    threads = [threading.Thread(target=chains_program, args=(seconds,)) for _ in range(7)]
    for thread in threads:
        thread.start()
    chains_program(seconds)
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)


# --- all of them ---------------------------------------------------------------------------------------------------------------------------


def _legal_in_chains_program(stack: Stack) -> bool:
    return not impossible(Counter({tuple(name.lstrip("~") for name in stack): 1}))


_ring_callers = {f"r{i}": {f"r{(i - 1) % _RING}"} for i in range(_RING)}
_ring_callers["r0"].add("recursion")

PROGRAMS = {
    "chains": Program(chains_program, judge=_legal_in_chains_program, seen=frozenset({"a5", "b5", "c5", "d5", "~descend"})),
    "eight_threads": Program(eight_threads, judge=_legal_in_chains_program, seen=frozenset({"a5", "b5", "~Thread.run"}), rate=3000),
    "generators": Program(generators, _generators_callers(), seen=frozenset({"a5", "c5", "relay_b", "count_a", "finish_c"})),
    "recursion": Program(recursion, _ring_callers | {"recursion": {"measure"}}, seen=frozenset({"r0", "r6"}), rate=4000),
    "exceptions": Program(exceptions, _exceptions_callers(), seen=frozenset({"u5", "h0", "f0"})),
    "coroutines": Program(
        coroutines,
        _coroutines_callers(),
        makers={"several": {"coroutines"}, "task_a": {"several"}, "task_b": {"several"}, "c_a0": {"by_hand_a"}, "c_b0": {"by_hand_b"}},
        judge=_hand_is_right,
        users=frozenset({"coroutines", "several", "task_a", "task_b", "c_a1", "c_b1"}),
        seen=frozenset({"a5", "b5", "items_a", "Ready_b.__await__", "_by_hand", "~Handle._run"}),
    ),
    "callbacks": Program(
        callbacks, callbacks_callers(), seen=frozenset({"key_a", "step_b", "replace_c", "compare_d", "nest_key", "Odd.__eq__"})
    ),
    "codes": Program(codes, _codes_callers(), seen=frozenset({"<even>:even_inner", "<odd>:<lambda>"})),
    "births": Program(
        births,
        chain_callers(a={"body_a"}, b={"body_b"}, c={"bare_c"}, d={"births"})
        | {"births": {"measure"}, "body_a": {"~Thread.run"}, "body_b": {"~Thread.run"}, "recurse_a": {"body_a", "recurse_a"}},
        users=frozenset({"births"}),
        roots=frozenset({"bare_c"}),
        seen=frozenset({"~Thread.run", "~Thread._bootstrap"}),
        rate=5000,
    ),
}


def main() -> None:
    name, seconds = sys.argv[1], float(sys.argv[2])
    method = sys.argv[3] if len(sys.argv) > 3 else "auto"
    program = PROGRAMS[name]
    measure(program, seconds, method, float(sys.argv[4]) if len(sys.argv) > 4 else program.rate)
    print(json.dumps(found(program)))


if __name__ == "__main__":
    main()
