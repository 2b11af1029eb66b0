# SPDX-License-Identifier: MIT
"""No stack that cannot be, and hardly one that could not be read, in programs that change theirs as fast as they can."""

from __future__ import annotations

import pytest
from stress.programs import PROGRAMS
from stress.running import SECONDS, result

UNRESOLVED = 0.001  # share of the samples, where the sampler goes to the thread's CPU
LEAST = 50  # samples for each second: a machine may be busy, but with fewer nothing was tested


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", PROGRAMS)
def test_no_impossible_stack(name: str) -> None:
    found = result("programs.py", name, SECONDS)
    print(found)
    assert found["impossible"] == {}
    assert found["method"] == "same-cpu"
    assert found["unresolved"] <= UNRESOLVED * found["kept"]
    assert found["in_stacks"] > LEAST * SECONDS
    assert found["not_seen"] == []


# Remote copies never prove that a thread stood still, so a share of them may stay unresolved; what they do say must be right.
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", PROGRAMS)
def test_no_impossible_stack_from_another_cpu(name: str) -> None:
    found = result("programs.py", name, SECONDS / 4, "remote")
    print(found)
    assert found["impossible"] == {}
    assert found["method"] == "remote"
    assert found["in_stacks"] > LEAST * SECONDS / 4


LIES: dict[str, list[tuple[str, ...]]] = {
    "chains": [("<module>", "drive_a", "b0"), ("chains_program", "drive_a", "a0", "a2"), ("a0",)],
    "generators": [("<module>", "main", "measure", "generators", "drive_a", "resume_b1"), ("<module>", "main", "source_a")],
    "recursion": [("<module>", "main", "measure", "recursion", "r0", "r2"), ("<module>", "main", "measure", "recursion", "r1")],
    "exceptions": [("<module>", "main", "measure", "exceptions", "u0", "h1")],
    "coroutines": [("<module>", "main", "measure", "coroutines", "~run", "~Handle._run", "task_a", "c_b0")],
    "callbacks": [
        ("<module>", "main", "measure", "callbacks", "sort_a", "step_b"),
        ("<module>", "main", "measure", "callbacks", "nest_key"),
    ],
    "codes": [("<module>", "main", "measure", "codes", "<odd>:odd_outer", "<even>:even_inner")],
    "births": [("~Thread._bootstrap", "~Thread.run", "body_a", "b0"), ("body_a", "a0"), ("~Thread._bootstrap", "~Thread.run", "births")],
    "eight_threads": [("~Thread.run", "chains_program", "drive_d", "Compares.__lt__")],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_judge_knows_a_lie(name: str) -> None:
    for stack in LIES[name]:
        assert not PROGRAMS[name].legal(stack), stack
