# SPDX-License-Identifier: MIT
"""Subinterpreters, with the GIL of the main one and with their own: their stacks, names, threads and times, and their ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest

RunPython = Callable[..., "CompletedProcess[str]"]

MINOR = sys.version_info[1]
KINDS = ["shared", "own"] if MINOR >= 12 else ["shared"]

# What makes and runs interpreters has another name in each version, and other arguments. `rows` are the sampled stacks by thread.
PRELUDE = """
import json, pathlib, sys, threading, time
from hybridprof import _core
minor = sys.version_info[1]
if minor < 13:
    import _xxsubinterpreters as interpreters
else:
    import _interpreters as interpreters

def create(kind):
    if minor < 13:
        return interpreters.create(isolated=kind == "own")
    return interpreters.create("isolated" if kind == "own" else "legacy")

def run(interpreter, source):
    failed = interpreters.run_string(interpreter, source)
    assert failed is None, failed

def rows():
    profile = _core.snapshot()
    functions, names, found = profile.functions(), [], {}
    for parent, function, _calls, ns, _total, samples, _measured in profile.nodes():
        names.append(() if parent < 0 else (*names[parent], functions[function][0]))
        if samples:
            thread = found.setdefault(names[-1][0], [])
            thread.append([list(names[-1][1:]), samples, ns])
    return found

def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(100):
            pass
"""


def found(run_python: RunPython, program: str, *arguments: object) -> Any:
    done = run_python(PRELUDE + program, *arguments)
    assert done.stderr == ""
    return json.loads(done.stdout.splitlines()[-1])


def ns_in(rows: dict[str, Any], thread: str, function: str) -> int:
    return sum(ns for name, stacks in rows.items() if thread in name for stack, _, ns in stacks if function in stack)


BEFORE_AND_AFTER = """
kind, clock = sys.argv[1:]
def before(): burn(0.2)
def after(): burn(0.4)
def enters(): run(interpreter, "import time\\nend = time.monotonic() + 0.3\\ndef inner():\\n    while time.monotonic() < end: pass\\ninner()\\n")
interpreter = create(kind)
_core.start(rate=1000, clock=clock)
took = []
now = time.thread_time_ns if clock == "cpu" else time.perf_counter_ns
for part in (before, enters, after):
    begin = now()
    part()
    took.append(now() - begin)
_core.stop()
interpreters.destroy(interpreter)
threads = _core.snapshot().threads()
print(json.dumps({"took": took, "rows": rows(), "measured": [t["measured_ns"] for t in threads], "residual": [t["residual_ns"] for t in threads]}))
"""


@pytest.mark.timing
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_a_thread_that_enters_an_interpreter_and_comes_back(run_python: RunPython, kind: str, clock: str) -> None:
    """On 3.11 it changes interpreters with the GIL in its hands; what it does afterwards must not go to where it was before."""
    said = found(run_python, BEFORE_AND_AFTER, kind, clock)
    before, inner, after = said["took"]
    rows = said["rows"]
    slack = 0.05e9  # some ticks that came late, and what a neighbour took
    assert abs(ns_in(rows, "<thread MainThread #", "before") - before) < slack, rows
    assert abs(ns_in(rows, "<thread MainThread #", "after") - after) < slack, rows
    assert abs(ns_in(rows, "<thread MainThread (interpreter 1)", "inner") - inner) < slack, rows
    if clock == "cpu":  # one thread's CPU time is one stack's
        assert ns_in(rows, "<thread MainThread #", "enters") < slack, rows
        assert sum(said["measured"]) < sum(said["took"]) + slack
    assert all(abs(ns) < slack for ns in said["residual"]), said


BUSY = """
kind, clock = sys.argv[1], "cpu"  # the wall's time is also the GIL's and the neighbours'

SOURCE = '''
import json, threading, time
def {tag}_calls(rounds):
    for _ in range(rounds): {tag}_leaf()
def {tag}_leaf(): pass
def {tag}_loops(rounds):
    x = 0
    for i in range(rounds): x += i & 7
def {tag}_work(seconds):
    # Seldom: whoever asks for its CPU time lets the system see that the sampler waits for this CPU, and would be met asking.
    times, end = [0, 0], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.thread_time_ns()
        {tag}_calls(100000)
        middle = time.thread_time_ns()
        {tag}_loops(70000)
        times[0] += middle - begin
        times[1] += time.thread_time_ns() - middle
    return times
with open({path!r}, "w") as out:
    json.dump({tag}_work(1.2), out)
'''
def enters(tag):
    interpreter = create(kind)
    run(interpreter, SOURCE.format(tag=tag, path=tag + ".json"))
    interpreters.destroy(interpreter)
threads = [threading.Thread(target=enters, args=(tag,)) for tag in ("red", "blue")]
_core.start(rate=5000, clock=clock)
for thread in threads: thread.start()
for thread in threads: thread.join()
_core.stop()
truth = {tag: json.loads(pathlib.Path(tag + ".json").read_text()) for tag in ("red", "blue")}
print(json.dumps({"truth": truth, "rows": rows(), "samples": _core.status()["samples"]}))
"""


@pytest.mark.timing
@pytest.mark.parametrize("kind", KINDS)
def test_two_busy_interpreters_have_their_true_shares(run_python: RunPython, kind: str) -> None:
    said = found(run_python, BUSY, kind)
    for tag, (calls, loops) in said["truth"].items():
        estimates = {name: ns_in(said["rows"], "(interpreter ", name) for name in (f"{tag}_calls", f"{tag}_loops")}
        assert all(estimates.values()), (tag, list(said["rows"]))
        share = estimates[f"{tag}_calls"] / sum(estimates.values())
        # As in test_sampler_truth, and four standard errors of so many samples: neighbours may have left few.
        samples = sum(
            n for name, stacks in said["rows"].items() if "(interpreter " in name for stack, n, _ in stacks if f"{tag}_work" in stack
        )
        bound = 0.03 + 4 * (0.5 / samples) ** 0.5
        assert abs(share - calls / (calls + loops)) < bound, (tag, estimates, calls, loops, bound)
        whole = ns_in(said["rows"], "(interpreter ", f"{tag}_work")
        assert abs(whole - calls - loops) < 0.05 * (calls + loops), (tag, whole, calls, loops)
    for thread, stacks in said["rows"].items():
        tags = {name.split("_")[0] for stack, _, _ in stacks for name in stack if name.startswith(("red_", "blue_"))}
        assert len(tags) <= (1 if "interpreter" in thread else 0), thread
    assert said["samples"]["unresolved"] <= 0.02 * said["samples"]["kept"]


PARALLEL = """
kind, clock = sys.argv[1], "wall"
SOURCE = '''
import json, time
def {tag}_loops(rounds):
    x = 0
    for i in range(rounds): x += i & 7
def {tag}_c(rounds):
    for _ in range(rounds): sum(NUMBERS)
def {tag}_sleeps(seconds): time.sleep(seconds)
NUMBERS = list(range(100000))
def {tag}_work(seconds):
    parts = (({tag}_loops, {loops}), ({tag}_c, {c}), ({tag}_sleeps, 0.01))
    times, end = dict.fromkeys((part.__name__ for part, _ in parts), 0), time.monotonic() + seconds
    while time.monotonic() < end:
        for part, amount in parts:
            begin = time.perf_counter_ns()
            part(amount)
            times[part.__name__] += time.perf_counter_ns() - begin
    return times
with open({path!r}, "w") as out:
    json.dump({tag}_work(1.2), out)
'''
def enters(tag, loops, c):
    interpreter = create(kind)
    run(interpreter, SOURCE.format(tag=tag, loops=loops, c=c, path=tag + ".json"))
    interpreters.destroy(interpreter)
threads = [threading.Thread(target=enters, args=arguments) for arguments in (("red", 600000, 8), ("blue", 200000, 24))]
_core.start(rate=3000, clock=clock)
for thread in threads: thread.start()
for thread in threads: thread.join()
_core.stop()
profile = _core.snapshot()
functions, names, states = profile.functions(), [], {}
for parent, function, *_ in profile.nodes():
    names.append(() if parent < 0 else (*names[parent], functions[function][0]))
for node, _line, _samples, ns, state in profile.lines():
    part = next((name for name in names[node] if name.endswith(("_loops", "_c", "_sleeps"))), None)
    if part is not None:
        of = states.setdefault(part, {})
        of[state] = of.get(state, 0) + ns
truth = {tag: json.loads(pathlib.Path(tag + ".json").read_text()) for tag in ("red", "blue")}
print(json.dumps({"truth": truth, "states": states, "threads": [thread["name"] for thread in profile.threads()]}))
"""


@pytest.mark.timing
@pytest.mark.parametrize("kind", KINDS)
def test_interpreters_side_by_side_have_their_times_and_states(run_python: RunPython, kind: str) -> None:
    """With a GIL of its own each runs while the other does: nobody waits for a GIL, and of two running threads on two CPUs each is read
    where it runs. With one GIL they wait for each other, as soon as
    they have slept: before 3.13 who runs in another interpreter is not asked to give it up."""
    said = found(run_python, PARALLEL, kind)
    expected = {"loops": "python", "c": "c", "sleeps": "sleep"}
    waited = worked = 0
    for tag, times in said["truth"].items():
        whole = sum(times.values())
        for name, took in times.items():
            states = said["states"][name]
            assert abs(sum(states.values()) - took) < 0.05 * whole + 0.05e9, (name, took, states)
            waits = states.get("gil", 0)
            right = states.get(expected[name.removeprefix(f"{tag}_")], 0)
            if kind == "shared" or name.endswith("_sleeps"):
                right += states.get("native", 0)  # it is awake, and waits for a CPU
            assert right + waits > 0.93 * sum(states.values()), (name, states)
            waited += waits
            worked += right
    if kind == "own":
        assert waited < 0.02 * worked, said
        assert {"Thread-1 (enters) (interpreter 1)", "Thread-2 (enters) (interpreter 2)"} <= set(said["threads"]), said["threads"]
    else:
        assert waited > 0.1 * worked, said


BY_ANOTHER = """
kind, clock = sys.argv[1:]
SOURCE = '''
import time
now = time.{now}
def calls(rounds):
    for _ in range(rounds): leaf()
def leaf(): pass
def loops(rounds):
    x = 0
    for i in range(rounds): x += i & 7
times = [0, 0, 0]
def inner():
    began, end = time.perf_counter_ns(), time.monotonic() + 0.8
    while time.monotonic() < end:
        begin = now()
        calls(150000)
        middle = now()
        loops(150000)
        times[0] += middle - begin
        times[1] += now() - middle
    times[2] = time.perf_counter_ns() - began
inner()
open("times.json", "w").write(repr(times))
'''
interpreter = create(kind)
end = threading.Event()
def runs():
    burn(0.1)
    run(interpreter, SOURCE.format(now="thread_time_ns" if clock == "cpu" else "perf_counter_ns"))
    end.wait()
def sleeps(): time.sleep(0.3)
runner = threading.Thread(target=runs, name="runner")
_core.start(rate=4000, clock=clock)
runner.start()
sleeps()
burn(0.3)
while not pathlib.Path("times.json").exists(): time.sleep(0.05)
time.sleep(0.2)
_core.stop()
end.set()
runner.join()
interpreters.destroy(interpreter)
print(json.dumps({"truth": json.loads(pathlib.Path("times.json").read_text()), "rows": rows()}))
"""


@pytest.mark.timing
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_an_interpreter_that_another_thread_made(run_python: RunPython, kind: str, clock: str) -> None:
    """On 3.11 and 3.12 its only state is the maker's, with the maker's ids; yet the runner is followed, by its own clock and under its own name."""
    said = found(run_python, BY_ANOTHER, kind, clock)
    calls, loops, took = said["truth"]
    inside = {name: ns_in(said["rows"], "<thread runner (interpreter 1)", name) for name in ("calls", "loops", "inner")}
    assert inside["calls"], said["rows"]
    samples = sum(n for stacks in said["rows"].values() for stack, n, _ in stacks if "inner" in stack)
    bound = 0.03 + 4 * (0.5 / samples) ** 0.5  # as above
    assert abs(inside["calls"] / (inside["calls"] + inside["loops"]) - calls / (calls + loops)) < bound, (said["truth"], inside)
    if clock == "cpu":
        assert abs(inside["inner"] - calls - loops) < 0.05 * (calls + loops) + 0.02e9, (said["truth"], inside)
        assert ns_in(said["rows"], "<thread runner #", "run") < 0.05e9, said["rows"]
    else:
        assert abs(inside["inner"] - took) < 0.05 * took + 0.02e9, (took, inside)
    of_interpreter = [row for name, stacks in said["rows"].items() if "(interpreter 1)" in name for row in stacks]
    empty = sum(ns for stack, _, ns in of_interpreter if not stack)
    assert empty < 0.05e9, said["rows"]  # nobody ran in it: no time


DIES = """
kind, snapshots = sys.argv[1], sys.argv[2] == "snapshots"
SOURCE = '''
import time
end = time.monotonic() + 0.25
n = 0
while time.monotonic() < end:
    n += 1
    which = ("even", "odd")[n % 2]
    scope = {{}}
    exec(compile("def %s_{tag}_outer(): return %s_{tag}_inner()\\\\ndef %s_{tag}_inner(): return sum(i for i in range(2000))\\\\n" % (which,) * 3, "<%s {tag}>" % which, "exec"), scope)
    scope[which + "_{tag}_outer"]()
'''.replace("% (which,) * 3", "% (which, which, which)")
def enters(tag):
    for turn in range(4):
        interpreter = create(kind)
        run(interpreter, SOURCE.format(tag=tag + str(turn)))
        interpreters.destroy(interpreter)
threads = [threading.Thread(target=enters, args=(tag,)) for tag in ("red", "blue")]
_core.start(rate=10000)
for thread in threads: thread.start()
while snapshots and any(thread.is_alive() for thread in threads):
    _core.snapshot()
    time.sleep(0.002)
for thread in threads: thread.join()
_core.stop()
files = sorted({(row[0], row[3]) for row in _core.snapshot().functions() if row[3].startswith(("<even", "<odd")) or row[0].startswith(("even_", "odd_", "<unknown"))})
print(json.dumps({"files": files, "rows": rows()}))
"""


def names_met(said: dict[str, Any]) -> int:
    """Samples whose names were judged, and are right."""
    met = 0
    for name, file in said["files"]:
        if name == "<module>":
            continue
        assert name.startswith(("even_", "odd_")), name
        which, tag, _ = name.split("_", 2)
        assert file == f"<{which} {tag}>"
    for thread, stacks in said["rows"].items():
        for stack, samples, _ in stacks:
            ours = [name for name in stack if name.startswith(("even_", "odd_"))]
            assert len({tuple(name.split("_")[:2]) for name in ours}) <= 1, (thread, stack)
            met += samples if ours else 0
        turns = {name.split("_")[1] for stack, _, _ in stacks for name in stack if name.startswith(("even_", "odd_"))}
        assert len(turns) <= 1, (thread, turns)  # each interpreter ran one
    return met


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snapshots", ["", "snapshots"])
def test_code_that_dies_in_an_interpreter_keeps_its_names(run_python: RunPython, kind: str, snapshots: str) -> None:
    """Its addresses are used again at once, by the same interpreter and by those made after it."""
    enough = 5 if snapshots else 100  # who takes snapshots all the time leaves the interpreters little of one GIL
    # A busy machine may leave a run too few samples; a wrong name fails in whichever run it is.
    assert any(names_met(found(run_python, DIES, kind, snapshots)) > enough for _ in range(3))


COMES_AND_GOES = """
kind = sys.argv[1]
_core.start(rate=10000)
made = [0, 0]
end = time.monotonic() + 2.0
def enters(which):
    while time.monotonic() < end:
        interpreter = create(kind)
        run(interpreter, "def inside():\\n    for _ in range(20000): pass\\ninside()\\n")
        interpreters.destroy(interpreter)
        made[which] += 1
other = threading.Thread(target=enters, args=(1,))
other.start()
enters(0)
other.join()
kept = _core.status()["samples"]["kept"]
_core.stop()
inside = sum(samples for stacks in rows().values() for stack, samples, _ in stacks if "inside" in stack)
print(json.dumps({"made": made, "kept": kept, "inside": inside}))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_interpreters_come_and_go_under_a_fast_sampler(run_python: RunPython, kind: str) -> None:
    said = found(run_python, COMES_AND_GOES, kind)
    assert min(said["made"]) >= 3 and said["kept"] > 500 and said["inside"] > 0, said


PUBLIC = """
from concurrent import interpreters as public
def inside_public():
    import time
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
interpreter = public.create()
_core.start(rate=1000)
interpreter.call(inside_public)
thread = interpreter.call_in_thread(inside_public)
time.sleep(0.1)
_core.snapshot()
thread.join()
_core.stop()
interpreter.close()
print(json.dumps({"id": interpreter.id, "rows": rows()}))
"""


@pytest.mark.skipif(MINOR < 14, reason="concurrent.interpreters came with 3.14")
def test_the_standard_librarys_interpreters(run_python: RunPython) -> None:
    said = found(run_python, PUBLIC)
    for thread in ("MainThread", "Thread-"):
        own = {
            name: stacks
            for name, stacks in said["rows"].items()
            if name.startswith(f"<thread {thread}") and f"(interpreter {said['id']})" in name
        }
        assert abs(ns_in(own, "", "inside_public") - 0.3e9) < 0.06e9, said["rows"]
