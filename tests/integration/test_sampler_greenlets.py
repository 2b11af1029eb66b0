# SPDX-License-Identifier: MIT
"""Greenlets have stacks of their own: a sample of one holds its frames, all of them and no other's."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from conftest import wheel
from integration.sampler_programs import Stack, sampled_stacks

from hybridprof import _core

# Three kinds of greenlet, each with functions of its own: switching beneath recursion that leaves its chunk of the data stack, within a generator, and
# from a callback of C code. The parent is who drives.
_SOURCE = """
def spin_{x}(rounds):
    n = 0
    for i in range(rounds):
        n += i & 7
    return n
def generate_{x}():
    for _ in range(3):
        greenlet.getcurrent().parent.switch()
        yield spin_{x}(60)
def recurse_{x}(levels):
    if levels:
        return recurse_{x}(levels - 1)
    for _ in generate_{x}():
        greenlet.getcurrent().parent.switch()
def key_{x}(item):
    greenlet.getcurrent().parent.switch()
    return spin_{x}(60)
def body_{x}(levels):
    while True:
        recurse_{x}(levels)
        sorted((3, 1, 2), key=key_{x})
        spin_{x}(100)
"""
functions: dict[str, Any] = {}
for _x in "abc":
    exec(compile(_SOURCE.format(x=_x), "<greenlets>", "exec"), functions)
LEVELS = {"a": 3, "b": 400, "c": 30}
CALLERS = {
    f"{callee}_{x}": {f"{caller}_{x}" for caller in callers.split()}
    for x in "abc"
    for callee, callers in {
        "body": "",
        "recurse": "body recurse",
        "generate": "recurse",
        "key": "body",
        "spin": "body generate key",
    }.items()
}


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    """What other tests leave for the collector, and hypothesis' callback of it, would run on top of any greenlet's stack, and be seen there."""
    functions["greenlet"] = wheel("greenlet")
    _core.stop()
    gc.collect()
    callbacks, gc.callbacks[:] = gc.callbacks[:], []
    yield
    gc.callbacks[:] = callbacks
    _core.stop()


def drive(greenlet: Any, seconds: float) -> None:
    others = [greenlet.greenlet(functions[f"body_{x}"]) for x in "abc"]
    for x, other in zip("abc", others, strict=True):
        other.switch(LEVELS[x])
    end = time.process_time() + seconds
    while time.process_time() < end:
        for other in others:
            other.switch()
    for other in others:
        other.throw(greenlet.GreenletExit)


def impossible(stacks: Counter[Stack]) -> dict[Stack, int]:
    """A greenlet's stack begins with its body, and what is beneath it is the same greenlet's to the end; the b greenlet's recursion is whole."""
    wrong = {}
    for stack, samples in stacks.items():
        ours = [name in CALLERS for name in stack]
        if not any(ours) or stack[-1] == "<unresolved>":
            continue
        whole = all(ours) and stack[0].startswith("body_")
        edges = all(caller in CALLERS[callee] for caller, callee in pairwise(stack)) if whole else False
        inner = next((name for name in stack if name.startswith("generate_")), None)
        depth = inner is None or stack.count(f"recurse_{inner[-1]}") == LEVELS[inner[-1]] + 1
        if not (whole and edges and depth):
            wrong[stack] = samples
    return wrong


def sampled(run: Callable[[], None], **options: Any) -> Counter[Stack]:
    _core.start(**{"rate": 8000, **options})
    run()
    _core.stop()
    return sampled_stacks(_core.snapshot())


@pytest.mark.parametrize("method", ["auto", "remote"])
@pytest.mark.parametrize("tasks", [False, True])
def test_a_greenlets_stack_is_its_own_and_whole(method: str, tasks: bool) -> None:
    greenlet = functions["greenlet"]
    stacks = sampled(lambda: drive(greenlet, 2.0), method=method, tasks=tasks)
    assert impossible(stacks) == {}
    for x in "abc":
        assert sum(samples for stack, samples in stacks.items() if stack[:1] == (f"body_{x}",)) > 50, x
    driving = [stack for stack in stacks if stack[-1:] == ("drive",)]
    assert all("test_a_greenlets_stack_is_its_own_and_whole" in stack for stack in driving)
    counts = _core.status()["samples"]
    if method == "auto":
        # A thread that other processes put aside in the middle of an exchange of C stacks has no stack to read.
        assert counts["unresolved"] <= 0.05 * counts["kept"] + 5


def test_the_judge_knows_a_lie() -> None:
    lies = [
        ("<module>", "drive", "body_a", "spin_a"),
        ("body_a", "recurse_a", "generate_a", "spin_a"),
        ("body_a", "spin_b"),
        ("spin_a",),
        ("body_b", *["recurse_b"] * 400, "generate_b"),
    ]
    for lie in lies:
        assert impossible(Counter({lie: 1})), lie
    truth = ("body_b", *["recurse_b"] * 401, "generate_b", "spin_b")
    assert not impossible(Counter({truth: 1, ("drive",): 1, ("body_c", "key_c"): 1}))


def test_in_several_threads() -> None:
    greenlet = functions["greenlet"]

    def run() -> None:
        threads = [threading.Thread(target=drive, args=(greenlet, 1.5)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    stacks = sampled(run, rate=3000)
    assert impossible(stacks) == {}
    assert sum(samples for stack, samples in stacks.items() if stack[:1] == ("body_a",)) > 20


def test_greenlets_that_come_and_go() -> None:
    greenlet = functions["greenlet"]

    def fails() -> None:
        functions["spin_c"](50)
        raise ValueError

    def run() -> None:
        end = time.process_time() + 1.5
        while time.process_time() < end:
            some = [greenlet.greenlet(functions["body_a"]) for _ in range(20)]
            for each in some:
                each.switch(LEVELS["a"])
            some[0].switch()
            del some[:10]
            try:
                greenlet.greenlet(fails).switch()
            except ValueError:
                pass

    stacks = sampled(run)
    callers = {stack[:-1] for stack in stacks if stack[-1:] == ("spin_c",) and "body_c" not in stack}
    assert all(len(path) == 1 and path[0].endswith("fails") for path in callers)
    own = Counter({stack: samples for stack, samples in stacks.items() if "spin_c" not in stack})
    assert impossible(own) == {}
    assert sum(samples for stack, samples in own.items() if stack[:1] == ("body_a",)) > 20


@pytest.mark.timing
def test_shares_between_greenlets_are_true() -> None:
    greenlet = functions["greenlet"]
    true = {"a": 0.0, "b": 0.0}

    def spend(x: str, rounds: int) -> None:
        while True:
            begin = time.thread_time()
            functions[f"spin_{x}"](rounds)
            true[x] += time.thread_time() - begin
            here.switch()

    here = greenlet.getcurrent()
    others = [greenlet.greenlet(spend) for _ in "ab"]

    def run() -> None:
        end = time.process_time() + 2.0
        others[0].switch("a", 3000)
        others[1].switch("b", 1000)
        while time.process_time() < end:
            for other in others:
                other.switch()

    stacks = sampled(run, rate=5000)
    spent = {x: sum(samples for stack, samples in stacks.items() if stack[-1:] == (f"spin_{x}",)) for x in true}
    assert sum(spent.values()) > 500
    assert abs(spent["a"] / sum(spent.values()) - true["a"] / sum(true.values())) < 0.05, (spent, true)


def test_a_greenlet_within_a_task_stands_by_itself() -> None:
    """As SQLAlchemy does it: a coroutine switches to a greenlet, which runs beneath no frame of the task's."""
    greenlet = functions["greenlet"]

    async def work(end: float) -> None:
        other = greenlet.greenlet(functions["body_a"])
        other.switch(LEVELS["a"])
        while time.process_time() < end:
            other.switch()
            functions["spin_b"](200)
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.create_task(work(time.process_time() + 1.5), name="with greenlets")

    stacks = sampled(lambda: asyncio.run(main()), tasks=True)
    task = [stack for stack in stacks if stack[-1:] == ("spin_b",)]
    assert task and all("<task with greenlets>" in stack for stack in task), task
    assert impossible(Counter({stack: samples for stack, samples in stacks.items() if "spin_b" not in stack})) == {}
    assert [stack for stack in stacks if stack[:1] == ("body_a",)]


def test_gevent() -> None:
    gevent = wheel("gevent")

    def outer_a(end: float) -> None:
        while time.process_time() < end:
            middle_a()

    def middle_a() -> None:
        gevent.sleep(0)
        functions["spin_a"](1000)

    def outer_b(end: float) -> None:
        while time.process_time() < end:
            functions["spin_b"](1000)
            gevent.sleep(0)

    def run() -> None:
        end = time.process_time() + 2.0
        gevent.joinall([gevent.spawn(outer_a, end), gevent.spawn(outer_b, end), gevent.spawn(outer_a, end)], raise_error=True)

    stacks = sampled(run, rate=4000)
    met: Counter[str] = Counter()
    for stack, samples in stacks.items():
        names = tuple(name.rpartition(".")[2] for name in stack)
        for x, callers in (("a", ("outer_a", "middle_a")), ("b", ("outer_b",))):
            if f"spin_{x}" in names:
                assert names == (*callers, f"spin_{x}"), stack
                met[x] += samples
        assert not ({"outer_a", "middle_a"} & set(names) and "outer_b" in names), stack
    assert met["a"] > 50 and met["b"] > 50
