# SPDX-License-Identifier: MIT
"""Programs that are hard on the tracer. `PYTHONPATH=tests python -P tests/stress/traced.py NAME [ARGUMENT...]` runs one.

Each prints one line of JSON at its end."""

from __future__ import annotations

import asyncio
import gc
import itertools
import multiprocessing
import os
import random
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator
from types import CodeType
from typing import Any

from stress.lives import burn, resources, say

import hybridprof
from hybridprof import _core

# --- what is traced ------------------------------------------------------------------------------------------------------------------------


def leaf(number: int) -> int:
    return number + 1


def plain(number: int) -> int:
    return leaf(number) + leaf(number)


def recursive(number: int) -> int:
    return recursive(number - 1) + leaf(number) if number else 0


def steps(number: int) -> Generator[int, None, None]:
    try:
        for value in range(3):
            yield leaf(value + number)
    except KeyError:
        leaf(number)


def relayed(number: int) -> Generator[int, None, None]:
    yield from steps(number)


async def awaits(number: int) -> int:
    leaf(number)
    await asyncio.sleep(0)
    return leaf(number)


def raises(number: int) -> int:
    leaf(number)
    raise ValueError(number)


def blocks(number: int) -> int:
    with hybridprof.deep.block("block"):
        return leaf(number)


def _handed_on(number: int) -> None:
    """Suspended in one call of the target, and ended in another way each time."""
    generator = (steps, relayed)[number % 2](number)
    next(generator)
    if number % 3 == 0:
        generator.close()
    elif number % 3 == 1:
        list(generator)
    else:
        try:
            generator.throw(KeyError(number))
        except StopIteration:
            pass


async def _several(number: int) -> None:
    await asyncio.gather(*(awaits(value) for value in range(3)))


def _raise(number: int) -> None:
    try:
        CALLABLE["raises"](number)
    except ValueError:
        pass


FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (leaf, plain, recursive, steps, relayed, awaits, raises, blocks)
}
CALLABLE: dict[str, Callable[..., Any]] = dict(FUNCTIONS)  # where the hook needs wrappers, the wrappers


def use_wrappers() -> None:
    """Once a session runs, which knows its hook."""
    for name, function in FUNCTIONS.items():
        CALLABLE[name] = _core.deep_function(function) if _core.needs_wrapper(function.__code__) else function


def turn(number: int) -> None:
    CALLABLE["plain"](number)
    CALLABLE["recursive"](number % 9)
    CALLABLE["blocks"](number)
    _raise(number)
    _handed_on(number)


LEAVES_OF_PLAIN = 2

# --- targets that come and go --------------------------------------------------------------------------------------------------------------


def counted(name: str) -> int:
    return sum(row[5] or 0 for row in _core.snapshot().functions() if row[0] == name)


def come_and_go(seconds: str, hook: str) -> None:
    """Threads that run them, one that adds and removes them, and one that looks."""
    sys.setswitchinterval(0.0002)
    _core.start(rate=1000, hook=hook, seed=7)  # type: ignore[arg-type]
    use_wrappers()
    ended = threading.Event()
    odd: list[str] = []
    turns = Counter[str]()

    def guarded(body: Callable[[random.Random], object]) -> Callable[[], None]:
        def run() -> None:
            dice = random.Random(threading.get_ident())
            try:
                while not ended.is_set():
                    turns[body.__name__] += 1
                    body(dice)
            except BaseException as error:
                odd.append(repr(error))

        return run

    def works(dice: random.Random) -> None:
        turn(dice.randrange(1000))

    def works_in_tasks(dice: random.Random) -> None:
        asyncio.run(_several(1))

    suspended: list[Generator[int, None, None]] = []

    def suspends(dice: random.Random) -> None:
        """What was begun under one set of targets goes on under another."""
        suspended.append((steps, relayed)[dice.randrange(2)](1))
        next(suspended[-1])
        if len(suspended) > 40:
            going_on = suspended.pop(dice.randrange(len(suspended)))
            dice.choice((going_on.close, lambda: list(going_on), lambda: next(going_on)))()

    def changes(dice: random.Random) -> None:
        code = FUNCTIONS[dice.choice(list(FUNCTIONS))].__code__
        if dice.random() < 0.5:
            _core.add_target(code, dice.choice((1.0, 1.0, 0.5, 0.01)))
        else:
            _core.remove_target(code)
        if dice.random() < 0.02:
            time.sleep(0.001)

    def looks(dice: random.Random) -> None:
        dice.choice((_core.snapshot, _core.status, gc.collect))()
        time.sleep(0.002)

    bodies: tuple[Callable[[random.Random], object], ...] = (works, works, works_in_tasks, suspends, changes, looks)
    threads = [threading.Thread(target=guarded(body)) for body in bodies]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    time.sleep(float(seconds))
    ended.set()
    for thread in threads:
        thread.join()
    for function in FUNCTIONS.values():
        _core.remove_target(function.__code__)
    # The same session, quiet: what it counts now is exact again, and nothing is left open.
    plains, leaves = counted("plain"), counted("leaf")
    for number in range(50):
        turn(number)
    left_alone = counted("plain") == plains and counted("leaf") <= leaves + 50  # beneath blocks, as far as it is found there again
    _core.add_target(plain.__code__)
    before = counted("plain")
    for number in range(100):
        CALLABLE["plain"](number)
    after = counted("plain")
    lived = (time.monotonic() - began) * 1e9
    too_long = [thread["name"] for thread in _core.snapshot().threads() if thread["exact_ns"] + thread["overhead_ns"] > 1.02 * lived]
    _core.stop()
    _core.remove_target(plain.__code__)
    say(odd=odd[:5], turns=turns, left_alone=left_alone, added=after - before, too_long=too_long, sampled=_core.status()["samples"]["kept"])


# --- forks ---------------------------------------------------------------------------------------------------------------------------------


def child_counts(path: str) -> int:
    """In a child: a session of its own, whose profile is right. An exit status."""
    if _core.running() or not _core.start(rate=1000):
        return 3
    _core.add_target(plain.__code__)
    for number in range(25):
        CALLABLE["plain"](number)
    burn(0.01)
    _core.stop()
    _core.snapshot().write(path, "hyprof")
    rows = {row[0]: row[5] for row in _core.load(path).functions() if row[5]}
    return 0 if rows == {"plain": 25, "leaf": 25 * LEAVES_OF_PLAIN} else 4


def forks_within(path: str) -> int:
    """A target that forks: the child is beneath it, and so is its own end."""
    leaf(1)
    pid = os.fork()
    if pid == 0:
        status = 5
        try:
            status = child_counts(path)
        finally:
            os._exit(status)
    leaf(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _in_pool(path: str) -> int:
    return child_counts(f"{path}.{os.getpid()}")


def fork_storm(seconds: str, path: str, hook: str) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # the program's own threads
    _core.start(rate=1000, hook=hook)  # type: ignore[arg-type]
    use_wrappers()
    fork = _core.deep_function(forks_within) if _core.needs_wrapper(forks_within.__code__) else forks_within
    for function in (plain, forks_within):
        _core.add_target(function.__code__)
    ended = threading.Event()
    done = Counter[str]()
    bad: list[Any] = []

    def works() -> None:
        while not ended.is_set():
            CALLABLE["plain"](1)
            done["plain"] += 1
            time.sleep(0.0005)

    def forks_in_thread() -> None:
        status = fork(f"{path}.thread")
        if status:
            bad.append(("thread", status))

    worker = threading.Thread(target=works, daemon=True)
    worker.start()
    end = time.monotonic() + float(seconds)
    for number in itertools.count():
        if time.monotonic() > end and number > 5:
            break
        status = fork(f"{path}.main")
        if status:
            bad.append(("main", status))
        thread = threading.Thread(target=forks_in_thread)
        thread.start()
        thread.join()
        done["forks"] += 2
        if number % 20 == 0:
            with multiprocessing.get_context("fork").Pool(2) as pool:
                bad.extend(("pool", status) for status in pool.map(_in_pool, [path] * 4, chunksize=1) if status)
                pool.close()
                pool.join()
        if not _core.running():
            bad.append("the parent's session is gone")
    ended.set()
    worker.join()
    counts = {row[0]: row[5] for row in _core.snapshot().functions() if row[5]}
    _core.snapshot().write(f"{path}.parent", "hyprof")
    written = {row[0]: row[5] for row in _core.load(f"{path}.parent").functions() if row[5]}
    say(
        bad=bad[:5],
        forks=done["forks"],
        counted={name: counts.get(name, 0) for name in ("plain", "leaf", "forks_within")},
        true={
            "plain": done["plain"],
            "leaf": LEAVES_OF_PLAIN * done["plain"] + 2 * done["forks"],
            "forks_within": done["forks"],
        },
        same=written == counts,
    )
    _core.stop()


# --- leaks ---------------------------------------------------------------------------------------------------------------------------------


def held() -> dict[str, int]:
    gc.collect()
    found = {"objects": len(gc.get_objects()), "tracer": _core.status()["tracing"]["memory_bytes"]}
    return found | {"bytes": resources()["bytes"]}


def repeated(times: int, body: Callable[[int], object]) -> tuple[dict[str, int], dict[str, int]]:
    """What the process holds after the first tenth, and at the end."""
    before: dict[str, int] = {}
    for number in range(times):
        if number == times // 10:
            before = held()
        body(number)
    return before, held()


def many_calls(calls: str, hook: str) -> None:
    """All kinds of targets, in a few threads."""
    _core.start(rate=100, hook=hook)  # type: ignore[arg-type]
    use_wrappers()
    for function in FUNCTIONS.values():
        _core.add_target(function.__code__, 0.5 if function is awaits else 1.0)

    def some(number: int) -> None:
        for each in range(50):
            turn(each)
        if number % 20 == 0:
            asyncio.run(_several(number))
        if number % 300 == 0:  # each has its own part of the tree, for good
            thread = threading.Thread(target=turn, args=(number,))
            thread.start()
            thread.join()

    began = _core.status()["tracing"]["calls"]
    per_turn = 16  # at least
    before, after = repeated(int(calls) // 50 // per_turn, some)
    say(before=before, after=after, calls=_core.status()["tracing"]["calls"] - began, truncated=_core.status()["tracing"]["truncated"])
    _core.stop()


def many_targets(count: str, hook: str) -> None:
    """Thousands of them added and removed, called or not, ten times over."""
    scope: dict[str, Any] = {}
    exec("\n".join(f"def f{number}(): return {number}" for number in range(int(count))), scope)
    functions = [scope[f"f{number}"] for number in range(int(count))]
    _core.start(rate=100, hook=hook)  # type: ignore[arg-type]
    callables = [_core.deep_function(each) if _core.needs_wrapper(each.__code__) else each for each in functions]

    def all_of_them(number: int) -> None:
        for each in functions:
            _core.add_target(each.__code__, 1.0 if number % 2 else 0.5)
        for call in callables[::7]:
            call()
        for each in functions:
            _core.remove_target(each.__code__)

    before, after = repeated(10, all_of_them)
    called = [name for name in counts_by_name() if name[0] == "f"]
    say(before=before, after=after, targets=len(_core.targets()), called=len(called))
    _core.stop()


def counts_by_name() -> dict[str, int]:
    return {row[0]: row[5] for row in _core.snapshot().functions() if row[5]}


def anew(constant: object) -> object:
    return constant.replace() if isinstance(constant, CodeType) else constant


def short_lives(count: str, hook: str) -> None:
    """Code that is made, traced and freed: what stays of each is a line of the table of functions and its nodes."""
    _core.start(rate=100, hook=hook)  # type: ignore[arg-type]
    compiled = compile("def made(number):\n    return inner(number)\ndef inner(number):\n    return number\n", "<made>", "exec")

    def one(number: int) -> None:
        scope: dict[str, Any] = {}
        exec(compiled.replace(co_consts=tuple(anew(each) for each in compiled.co_consts)), scope)
        made = scope["made"]
        _core.add_target(made.__code__)
        call = _core.deep_function(made) if _core.needs_wrapper(made.__code__) else made
        assert call(number) == number
        _core.remove_target(made.__code__)

    before, after = repeated(int(count), one)
    counts = counts_by_name()
    say(before=before, after=after, lives=int(count) - int(count) // 10, counts={name: counts.get(name, 0) for name in ("made", "inner")})
    _core.stop()


def main() -> None:
    programs: dict[str, Callable[..., None]] = {
        function.__name__: function for function in (come_and_go, fork_storm, many_calls, many_targets, short_lives)
    }
    programs[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
