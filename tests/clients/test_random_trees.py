# SPDX-License-Identifier: MIT
"""Trees that nobody measured, written by each writer and read by other people's programs: recursion of every kind, names that collide, threads of one
name, times of zero, counts beyond 32 bits. What is expected is computed from the tree as it was made up; hybridprof only writes it."""

from __future__ import annotations

import pstats
import sys
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path

from clients import limits, readers
from clients.expected import Function, Held, Numbers, Shown, Steps, escaped, frame, grouped, labels, pstats_key
from clients.running import check_and_awaken, check_called, without_invented
from clients.test_pstats_readers import edge_numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridprof import _core

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from made_profiles import Described, Made, Stack, encoded

pytest_plugins = ["clients.running"]

FUNCTIONS: tuple[Described, ...] = (
    ("app", "work", "work", "/srv/app/__init__.py", 3),
    ("lib", "work", "work", "/srv/lib/__init__.py", 3),
    ("app", "work", "work", "/srv/app/__init__.py", 30),  # defined again
    ("app", "work", "work", "/srv/other/app.py", 3),  # loaded from elsewhere: its label has a number
    ("app", "Shop.work", "work", "/srv/app/__init__.py", 9),
    ("app", "main.<locals>.<lambda>", "<lambda>", "/srv/app/__init__.py", 20),
    ("app", "main.<locals>.<lambda>", "<lambda>", "/srv/app/__init__.py", 21),
    ("app.na\u00efve", "semi;colon \N{SNAKE}\nl\udc80ne", "semi;colon \N{SNAKE}\nl\udc80ne", "/srv/a b;c.py", 1),
)
THREADS = ("MainThread", "worker", "worker")
CLOCK = "wall"
EXAMPLES = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def trees(exact_ns: st.SearchStrategy[int], calls: st.SearchStrategy[int]) -> st.SearchStrategy[Made]:
    """Sampled, exact or both. What has no time at all is no picture anywhere."""

    def stacks(
        samples: st.SearchStrategy[int], exact_ns: st.SearchStrategy[int], calls: st.SearchStrategy[int]
    ) -> st.SearchStrategy[list[Stack]]:
        functions = st.lists(st.integers(0, len(FUNCTIONS) - 1), min_size=1, max_size=6).map(tuple)
        return st.lists(st.builds(Stack, st.integers(0, len(THREADS) - 1), functions, samples, calls, exact_ns), min_size=1, max_size=10)

    none, samples = st.just(0), st.integers(0, 40)
    kinds = stacks(samples, exact_ns, calls) | stacks(samples, none, none) | stacks(none, exact_ns, calls)
    made = kinds.map(lambda stacks: Made(1, tuple(stacks), threads=THREADS, functions=FUNCTIONS))
    return made.filter(lambda made: any(stack.samples or stack.exact_ns for stack in made.stacks))


ANY = trees(st.just(0) | st.integers(1, 10**9) | st.integers(1, 10**14), st.just(0) | st.integers(1, 9) | st.integers(1, 10**13))
DRAWN = trees(st.just(0) | st.integers(10**6, 10**9), st.integers(0, 9))  # boxes that are wide enough to say which one lies beneath


def tree_of(made: Made) -> tuple[Held, dict[str, Held]]:
    """The whole, and what a callgrind file has of it as events."""
    functions = [Function(qualname, module, name, file, line, "python") for module, qualname, name, file, line in made.functions]
    roots = [f"<thread {name} #{number}>" for number, name in enumerate(made.threads, 1)]
    functions += [Function(root, "", root, "", 0, "synthetic") for root in roots]
    place: dict[tuple[int, ...], int] = {}
    values: list[tuple[int, int, Counter[str]]] = []
    for path in [(len(made.functions) + thread,) for thread in range(len(roots))]:
        place[path] = len(values)
        values.append((-1, path[-1], Counter()))
    for stack in made.stacks:
        path = (len(made.functions) + stack.thread,)
        for function in stack.functions:
            above, path = place[path], (*path, function)
            if path not in place:
                place[path] = len(values)
                values.append((above, function, Counter()))
        values[place[path]][2].update(sampled=stack.samples * made.gap_ns, exact=stack.exact_ns, calls=stack.calls)

    def of(own: Callable[[Counter[str]], int], counts: bool = False) -> Held:
        return Held(functions, [(parent, function, value["calls"] if counts else 0, own(value)) for parent, function, value in values])

    whole = of(lambda value: value["sampled"] + value["exact"], counts=True)
    kinds = {"Wall_est_ns": of(lambda value: value["sampled"]), "Wall_exact_ns": of(lambda value: value["exact"])}
    events = {**kinds, "Calls_exact": of(lambda value: value["calls"])}
    events = {name: held for name, held in events.items() if held.sum_ns}
    return whole, {"Wall_ns": whole, **events} if kinds.keys() <= events.keys() else events


def written(made: Made, folder: Path, name: str) -> Path:
    native, path = folder / "out.hyprof", folder / name
    native.write_bytes(encoded(made))
    _core.load(str(native)).write(str(path))
    return path


def with_time(shown: Shown, held: Shown) -> Shown:
    """Without rows of no time, but for those that are expected: where its total is a limit, it may well be zero."""
    found = {name: [row for row in rows if row.total_ns or name in held] for name, rows in shown.items()}
    return {name: rows for name, rows in found.items() if rows}


def timed(numbers: dict[Hashable, Numbers]) -> dict[Hashable, Numbers]:
    return {key: row for key, row in numbers.items() if row.total_ns}


def without_counts(numbers: dict[Hashable, Numbers]) -> dict[Hashable, Numbers]:
    return {key: replace(row, calls=None, primitive_calls=None) for key, row in numbers.items()}


def same_name(key: Hashable) -> Hashable:
    return key


def identity(function: Function) -> Hashable:
    return replace(function, kind="", name="")


def label_of(held: Held) -> Callable[[Function], str]:
    return labels(held).__getitem__


def frame_of(held: Held) -> Callable[[Function], str]:
    named = labels(held)
    return lambda function: frame(named[function], function)


DOUBLES = Steps(relative=1e-9)


@given(made=ANY)
@EXAMPLES
def test_read_back(made: Made, tmp_path: Path) -> None:
    """What was made up is what the file says: all below rests on it."""
    held = tree_of(made)[0]
    (tmp_path / "out.hyprof").write_bytes(encoded(made))
    read = Held.load(str(tmp_path / "out.hyprof"))
    check_and_awaken(grouped(held.by_key(identity), same_name), grouped(read.by_key(identity), same_name), Steps())


@given(made=ANY)
@EXAMPLES
def test_pstats(made: Made, tmp_path: Path) -> None:
    """Of each function and of each caller, as the program that loads the file has them."""
    held = tree_of(made)[0]
    stats = pstats.Stats(str(written(made, tmp_path, "out.pstats"))).stats  # type: ignore[attr-defined]
    rows = {key: [Numbers(own * 1e9, total * 1e9, calls, primitive)] for key, (primitive, calls, own, total, _) in stats.items()}
    check_and_awaken(grouped(held.by_key(pstats_key), same_name), without_invented(rows), DOUBLES)
    edges: Shown = {
        (callee, caller): [Numbers(own * 1e9, total * 1e9, calls, primitive)]
        for callee, (*_, callers) in stats.items()
        for caller, (calls, primitive, own, total) in callers.items()
    }
    expected: Shown = {(callee, caller): [numbers] for (caller, callee), numbers in edge_numbers(held).items()}
    check_and_awaken(expected, without_invented(edges), DOUBLES)


@given(made=ANY)
@EXAMPLES
def test_gprof2dot_on_pstats(made: Made, tools: Path, tmp_path: Path) -> None:
    held = tree_of(made)[0]
    numbers = held.by_key(pstats_key)
    limits.GPROF2DOT_PRIMITIVE.take_out(held, pstats_key, numbers)
    shown = readers.gprof2dot_parsed(written(made, tmp_path, "out.pstats"), "pstats", held.sum_ns, tools)
    check_and_awaken(grouped(numbers, readers.gprof2dot_name), without_invented(with_time(shown, {})), DOUBLES, unmeasured_may_lack=True)


@given(made=ANY)
@EXAMPLES
def test_gprof2dot_on_callgrind(made: Made, tools: Path, tmp_path: Path) -> None:
    held = tree_of(made)[0]
    key = label_of(held)
    numbers = timed(held.by_key(key, loop_erased=True))
    limits.GPROF2DOT_CALLGRIND.take_out(held, key, numbers)
    shown = readers.gprof2dot_parsed(written(made, tmp_path, "callgrind.out.test"), "callgrind", held.sum_ns, tools)
    expected = grouped(without_counts(numbers), same_name)
    check_and_awaken(expected, without_invented(with_time(shown, expected)), DOUBLES)
    check_called(held, key, without_invented(shown), by_chance=True)


@given(made=ANY)
@EXAMPLES
def test_gprof2dot_on_collapsed(made: Made, tools: Path, tmp_path: Path) -> None:
    held = tree_of(made)[0]
    key = frame_of(held)
    numbers = timed(held.by_key(key))
    limits.GPROF2DOT_COLLAPSED.take_out(held, key, numbers)
    shown = readers.gprof2dot_parsed(written(made, tmp_path, "out.collapsed"), "collapse", held.sum_ns, tools)
    check_and_awaken(grouped(without_counts(numbers), readers.gprof2dot_frame), without_invented(shown), DOUBLES)


@given(made=ANY)
@EXAMPLES
def test_callgrind_annotate(made: Made, callgrind_annotate: None, tmp_path: Path) -> None:
    """To the last digit, by each event."""
    held, events = tree_of(made)
    tables = readers.annotate_tables(written(made, tmp_path, "callgrind.out.test"))
    named = labels(held)

    def key(function: Function) -> str:
        return f"{escaped(function.file) or '~'}:{named[function]} [{escaped(function.module) or '~'}]"

    assert list(tables) == list(events)
    for event, each in events.items():
        check_and_awaken(
            grouped(each.by_key(key, loop_erased=True), same_name),
            without_invented(tables[event]),
            readers.CALLGRIND_STEPS,
            unmeasured_may_lack=True,
        )


@given(made=ANY)
@EXAMPLES
def test_pprof_raw(made: Made, pprof: Path, tmp_path: Path) -> None:
    """To the last digit, calls too."""
    held = tree_of(made)[0]
    named = labels(held)
    shown = readers.pprof_raw(written(made, tmp_path, "out.pb.gz"), pprof).table(CLOCK)
    numbers = held.by_key(lambda function: f"{named[function]} {escaped(function.file)}")
    check_and_awaken(grouped(numbers, same_name), shown, readers.PPROF_STEPS)


@given(made=DRAWN)
@EXAMPLES
def test_flamegraph(made: Made, flamegraph: Path, tmp_path: Path) -> None:
    held = tree_of(made)[0]
    shown = readers.flamegraph_table(written(made, tmp_path, "out.collapsed"), flamegraph)
    numbers = without_counts(held.by_key(frame_of(held)))
    check_and_awaken(
        grouped(numbers, lambda key: str(key).translate({ord("<"): "(", ord(">"): ")"})),
        without_invented(shown),
        readers.FLAMEGRAPH_STEPS,
        unmeasured_may_lack=True,
    )


@given(made=DRAWN)
@EXAMPLES
def test_inferno(made: Made, inferno: Path, tmp_path: Path) -> None:
    held = tree_of(made)[0]
    shown = readers.inferno_table(written(made, tmp_path, "out.collapsed"), inferno)
    check_and_awaken(
        grouped(without_counts(held.by_key(frame_of(held))), same_name),
        without_invented(shown),
        readers.FLAMEGRAPH_STEPS,
        unmeasured_may_lack=True,
    )
