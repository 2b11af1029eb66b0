# SPDX-License-Identifier: MIT
"""Stacks of asyncio tasks with the tasks that await them: every chain is one that was, and the shares between tasks are true."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from conftest import wheel
from integration.sampler_programs import sampled_stacks
from integration.task_programs import LATER_PROGRAM, WAYS, Stack, chain, everything, functions, of_tasks, run_on

from hybridprof import _core

RunPython = Callable[..., "CompletedProcess[str]"]
RunCli = RunPython
SANITIZED = bool(os.environ.get("HYBRIDPROF_SANITIZED"))
LOST = 0.02  # share of a task's samples that may lack the chain: on a machine where reading is interrupted again and again


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    _core.stop()
    yield
    _core.stop()


def stacks_of(run: Callable[[], None], **options: Any) -> Counter[Stack]:
    _core.start(**{"rate": 2000, "tasks": True, **options})
    run()
    _core.stop()
    return sampled_stacks(_core.snapshot())


def judge(stacks: Counter[Stack]) -> tuple[Counter[Stack], int, int]:
    """What cannot have been, and for stacks that end in a function of one way only: how many there are, and how many lack their chain."""
    wrong: Counter[Stack] = Counter()
    right = lost = 0
    for stack, samples in stacks.items():
        way = next((name.removeprefix("spin_") for name in stack if name.startswith("spin_")), None)
        if way is None:
            continue
        shown = of_tasks(stack)
        if shown == chain(way):
            right += samples
        elif shown == chain(way)[-3:]:
            lost += samples
        else:
            wrong[stack] += samples
    return wrong, right, lost


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_every_way_of_awaiting_is_followed(loop: str) -> None:
    uvloop = wheel("uvloop") if loop == "uvloop" else None
    stacks = stacks_of(lambda: run_on(loop, lambda: everything(2.0, 3000), uvloop))
    wrong, right, lost = judge(stacks)
    assert not wrong
    assert lost <= LOST * (right + lost) + 1
    assert right > 50
    assert {way for way in WAYS if any(of_tasks(stack) == chain(way) for stack in stacks)} == set(WAYS)
    assert _core.status()["tasks"]["state"] == "on"
    assert _core.status()["tasks"]["samples"] >= right


def test_from_another_cpu_no_chain_is_wrong_either() -> None:
    wrong, right, _lost = judge(stacks_of(lambda: run_on("asyncio", lambda: everything(1.5, 3000)), method="remote"))
    assert not wrong
    assert right > 20


def test_the_frames_of_the_loop_stay_outside_and_the_callee_inside() -> None:
    stacks = stacks_of(lambda: run_on("asyncio", lambda: everything(0.5, 3000)))
    spinning = [stack for stack in stacks if of_tasks(stack) == chain("plain")]
    assert spinning
    for stack in spinning:
        assert stack.index("Handle._run") < stack.index("<task Task-*>")
        assert stack[-1] == "spin_plain"


def test_a_chain_is_only_there_when_asked_for() -> None:
    stacks = stacks_of(lambda: run_on("asyncio", lambda: everything(0.3, 3000)), tasks=False)
    assert stacks
    assert not [stack for stack in stacks if any(name.startswith("<task ") for name in stack)]
    assert _core.status()["tasks"] == {"state": "off", "samples": 0, "names_refused": 0}


@pytest.mark.timing
def test_shares_between_tasks_are_true() -> None:
    true = {"heavy": 0.0, "light": 0.0}

    async def spend(name: str, rounds: int, end: float) -> None:
        while time.process_time() < end:
            begin = time.thread_time()
            functions["spin_plain"](rounds)
            true[name] += time.thread_time() - begin
            await asyncio.sleep(0)

    async def both() -> None:
        end = time.process_time() + 2.0
        await asyncio.gather(
            *(asyncio.create_task(spend(name, rounds, end), name=name) for name, rounds in (("heavy", 3000), ("light", 1000)))
        )

    stacks = stacks_of(lambda: run_on("asyncio", both), rate=5000)
    spent = {
        name: sum(samples for stack, samples in stacks.items() if f"<task {name}>" in stack and stack[-1] == "spin_plain") for name in true
    }
    assert sum(spent.values()) > 500
    assert abs(spent["heavy"] / sum(spent.values()) - true["heavy"] / sum(true.values())) < 0.05, (spent, true)


def test_a_task_that_many_await_is_shown_beneath_one_of_them() -> None:
    async def waiting(task: asyncio.Task[None]) -> None:
        await task

    async def main() -> None:
        end = time.process_time() + 0.5
        task = asyncio.create_task(functions["branch_plain"](lambda: time.process_time() > end, 3000), name="wanted")
        await asyncio.gather(*(asyncio.create_task(waiting(task), name=f"waiter {i}") for i in range(3)))

    stacks = stacks_of(lambda: run_on("asyncio", main))
    beneath = Counter(
        name for stack, samples in stacks.items() if "<task wanted>" in stack for name in stack if name.startswith("<task waiter")
    )
    spinning = sum(samples for stack, samples in stacks.items() if "spin_plain" in stack)
    assert spinning > 20
    assert len(beneath) == 1
    for stack in stacks:
        assert sum(name.startswith("<task waiter") for name in stack) <= 1


@pytest.mark.parametrize(("tasks", "awaits"), [(25, 10), (3, 100)])
def test_no_part_of_a_task_stands_in_a_chain_that_is_too_long(tasks: int, awaits: int) -> None:
    """Of each task that is shown all frames are, and the name that it has."""

    async def nest(task: int, left: int, end: float) -> None:
        if left > 1:
            await nest(task, left - 1, end)
        elif task > 1:
            await asyncio.create_task(nest(task - 1, awaits, end), name=f"t{task - 1}")
        else:
            while time.process_time() < end:
                functions["spin_plain"](1000)

    async def main() -> None:
        await asyncio.create_task(nest(tasks, awaits, time.process_time() + 0.5), name=f"t{tasks}")

    stacks = [stack for stack in stacks_of(lambda: run_on("asyncio", main)) if "spin_plain" in stack and "<task t1>" in stack]
    assert stacks
    for stack in stacks:
        names = [name for name in stack if name.startswith("<task ")]
        shown = [name for name in names if name != "<task Task-*>"]
        assert shown == [f"<task t{task}>" for task in range(len(shown), 0, -1)]
        assert len(shown) > 2
        assert len(names) == len(shown) or len(shown) == tasks
        assert sum(name.endswith("nest") for name in stack) == awaits * len(shown)


def test_names() -> None:
    names = ["ä\u20ac\U0001f600", "x" * 400, "line\nbreak", "Task-12x", "Task-007"]

    async def main() -> None:
        end = time.process_time() + 1.0
        while time.process_time() < end:
            for name in names:
                await asyncio.create_task(functions["work_plain"](2000), name=name)

    found = {name for stack in stacks_of(lambda: run_on("asyncio", main)) for name in stack if name.startswith("<task ")}
    long = next(name for name in found if name.startswith("<task xxx"))
    assert found == {"<task Task-*>", "<task ä\u20ac\U0001f600>", long, "<task line\nbreak>", "<task Task-12x>"}
    assert long.endswith("x...>") and 100 < len(long) < 136
    assert all(len(name.encode()) < 136 for name in found)


def test_a_thousand_names_are_bounded_and_counted() -> None:
    async def main() -> None:
        end = time.process_time() + 2.0
        for number in range(1_000_000):
            await asyncio.create_task(functions["work_plain"](200), name=f"request {number:x}")
            if time.process_time() > end:
                return

    stacks = stacks_of(lambda: run_on("asyncio", main), rate=8000)
    found = {name for stack in stacks for name in stack if name.startswith("<task ")}
    assert len(found) <= 512
    if len(found) == 512:
        assert "<task ...>" in found
        assert _core.status()["tasks"]["names_refused"] > 0
        assert any("different names" in warning for warning in _core.snapshot().meta()["warnings"])


def test_a_name_that_changes_counts_from_then_on() -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        for name in ("before", "after"):
            task.set_name(name)
            end = time.process_time() + 0.3
            while time.process_time() < end:
                functions[f"spin_{'plain' if name == 'before' else 'wait'}"](1000)

    stacks = stacks_of(lambda: run_on("asyncio", main))
    assert not [stack for stack in stacks if "<task before>" in stack and "spin_wait" in stack]
    assert not [stack for stack in stacks if "<task after>" in stack and "spin_plain" in stack]
    assert [stack for stack in stacks if "<task after>" in stack and "spin_wait" in stack]


def test_each_threads_tasks_stay_in_it() -> None:
    def run(way: str) -> None:
        async def main() -> None:
            end = time.process_time() + 1.0
            await asyncio.create_task(functions[f"branch_{way}"](lambda: time.process_time() > end, 2000), name=f"only {way}")

        asyncio.run(main())

    def both() -> None:
        other = threading.Thread(target=run, args=("wait",))
        other.start()
        run("plain")
        other.join()

    stacks = stacks_of(both)
    for mine, others in (("plain", "wait"), ("wait", "plain")):
        spinning = {stack: samples for stack, samples in stacks.items() if f"spin_{mine}" in stack}
        assert sum(samples for stack, samples in spinning.items() if f"<task only {mine}>" in stack) > 20
        assert not [stack for stack in spinning if f"<task only {others}>" in stack or f"<task {others}>" in stack]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_an_eager_task_stands_beneath_who_made_it() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        end = time.process_time() + 0.5
        while time.process_time() < end:
            await asyncio.create_task(functions["eager"](), name="eager")

    async def eager() -> None:
        functions["spin_plain"](2000)

    functions["eager"] = eager
    stacks = stacks_of(lambda: run_on("asyncio", main))
    del functions["eager"]
    spinning = [stack for stack in stacks if stack[-1] == "spin_plain"]
    assert spinning
    for stack in spinning:
        marker = max(at for at, name in enumerate(stack) if name in ("<task eager>", "<task Task-*>"))  # 3.12 names it when it has run
        assert stack[marker + 1].endswith("eager")
        assert any(name.endswith("main") for name in stack[:marker])


# --- targets -----------------------------------------------------------------------------------------------------------------------------


def test_where_targets_are_traced_stacks_are_the_threads_own() -> None:
    """The tracer knows a target's caller by the thread's stack: both trees have to say the same."""
    target = functions["inner_plain"].__code__
    _core.start(rate=2000, tasks=True)
    _core.add_target(target)
    try:
        run_on("asyncio", lambda: everything(1.0, 2000))
        _core.stop()
        profile = _core.snapshot()
    finally:
        _core.remove_target(target)
    rows = profile.functions()
    names = [row[0] for row in rows]
    parents: dict[int, set[str]] = {}
    for index, (parent, function, *_rest) in enumerate(profile.nodes()):
        parents.setdefault(function, set())
        if parent > 0:
            parents[function].add(names[profile.nodes()[parent][1]])
        assert not names[function].startswith("<task "), index
    inner = names.index("inner_plain")
    assert parents[inner] == {"work_plain"}
    assert rows[inner][5] is not None and rows[inner][5] > 10  # exact calls
    assert (
        "Handle._run" in parents[names.index("work_wait")] <= {"Handle._run", "await_wait"}
    )  # who makes a coroutine calls it, for a moment
    meta = profile.meta()
    assert any("awaiting tasks" in warning for warning in meta["warnings"])
    measured = sum(thread["measured_ns"] for thread in profile.threads())
    assert abs(meta["residual_ns"]) < 0.05 * measured
    total = {row[0]: (row[7], row[8]) for row in rows}
    assert all(own <= inclusive for own, inclusive in total.values())


def test_a_profile_with_chains_is_sound(tmp_path: Path) -> None:
    _core.start(rate=2000, tasks=True)
    run_on("asyncio", lambda: everything(1.0, 3000))
    _core.stop()
    profile = _core.snapshot()
    path = str(tmp_path / "tasks.hyprof")
    profile.write(path)
    read = _core.load(path)  # which checks every invariant
    assert read.nodes() == profile.nodes() and read.functions() == profile.functions()
    spinning = {row[0]: row[8] for row in profile.functions()}
    assert spinning["<task plain>"] >= spinning["spin_plain"] > 0
    assert spinning["everything"] >= sum(spinning.get(f"spin_{way}", 0) for way in WAYS) * (1 - LOST)


def test_the_command_line_shows_them(run_cli: RunCli, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(LATER_PROGRAM, encoding="utf-8")
    run_cli("run", "--tasks", "-q", "-r", 2000, "-o", tmp_path / "out.hyprof", program)
    shown = run_cli("report", tmp_path / "out.hyprof", "--tree").stdout
    assert "<task busy>" in shown
    assert shown.index("main") < shown.index("<task busy>")
