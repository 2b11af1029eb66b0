# SPDX-License-Identifier: MIT
"""Other people's programs must show what hybridprof holds: every function, every number, as exactly as the program displays it.

Each comparison is also shown to be awake: one number altered by more than the display hides must be found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest
from clients import limits, readers
from clients.expected import (
    Function,
    Held,
    Numbers,
    Shown,
    Steps,
    by_event,
    differences,
    escaped,
    frame,
    grouped,
    labels,
    lines_by_event,
    pstats_key,
)
from clients.running import SOURCE, Run, as_shown, check_and_awaken, check_called_of, without_invented

from hybridprof import _core

pytest_plugins = ["clients.running"]


def pstats_name(key: Hashable) -> str:
    """'file:line(name)' as pstats prints a key."""
    file, line, name = key  # type: ignore[misc]
    if (file, line) == ("~", 0):
        return f"{{{name[1:-1]}}}" if name.startswith("<") and name.endswith(">") else name
    return f"{file}:{line}({name})"


def test_rows_say_what_the_tree_says(run: Run) -> None:
    """The table that `report` prints against the sums over the tree, which all other comparisons here use."""
    profile = _core.load(str(run.native))
    rows: Shown = {}
    for qualname, module, name, file, line, calls, primitive, self_ns, total_ns, *_, kind in profile.functions():
        rows.setdefault(Function(qualname, module, name, file, line, kind), []).append(Numbers(self_ns, total_ns, calls, primitive))
    check_and_awaken(as_shown(run, lambda function: function), rows, Steps())


def test_pstats(run: Run) -> None:
    shown = readers.pstats_table(run.pstats)
    check_and_awaken(as_shown(run, pstats_key, pstats_name), without_invented(shown), readers.PSTATS_STEPS)


def test_gprof2dot_on_pstats(run: Run, tools: Path, dot: str) -> None:
    shown, steps = readers.gprof2dot_table(run.pstats, "pstats", run.held.sum_ns, tools, dot)

    numbers = run.held.by_key(pstats_key)
    limits.GPROF2DOT_PRIMITIVE.take_out(run.held, pstats_key, numbers)
    check_and_awaken(grouped(numbers, readers.gprof2dot_name), without_invented(shown), steps)


def test_callgrind_annotate(run: Run, callgrind_annotate: None) -> None:
    """Every function, in the column of every event."""
    named = labels(run.held)

    def key(function: Function) -> str:
        return f"{escaped(function.file) or '~'}:{named[function]} [{escaped(function.module) or '~'}]"

    tables, events = readers.annotate_tables(run.callgrind), by_event(str(run.native))
    assert list(tables) == list(events)
    for event, held in events.items():
        rows = grouped(held.by_key(key, loop_erased=True), lambda name: name)
        check_and_awaken(rows, without_invented(tables[event]), readers.CALLGRIND_STEPS, unmeasured_may_lack=True)


def test_callgrind_annotate_sources(run: Run, callgrind_annotate: None) -> None:
    """Each line of each file beside its events; the program is started in the root folder, whatever the working directory of the profiled one."""
    held: dict[str, dict[str, dict[int, int]]] = {}
    for event, functions in lines_by_event(str(run.native)).items():
        of_event = held.setdefault(event, {})
        for function, lines in functions.items():
            if function.file and Path(escaped(function.file)).exists():
                of_file = of_event.setdefault(function.file, {})
                for line, value in lines.items():
                    if line and value:
                        of_file[line] = of_file.get(line, 0) + value
    shown = readers.annotate_sources(run.callgrind)
    assert shown == {event: {file: lines for file, lines in files.items() if lines} for event, files in held.items()}
    first = next(iter(shown.values()))
    assert any(len(lines) > 1 for file, lines in first.items() if file.startswith(str(run.native.parent))), "lines of the program have time"


def test_callgrind_annotate_shows_no_percentage_above_a_hundred(run: Run, callgrind_annotate: None) -> None:
    """Recursion counts once."""
    assert max(readers.annotate_percentages(run.callgrind)) == 100


def test_gprof2dot_on_callgrind(run: Run, tools: Path, dot: str) -> None:
    shown, steps = readers.gprof2dot_table(run.callgrind, "callgrind", run.held.sum_ns, tools, dot)
    named = labels(run.held)

    def key(function: Function) -> str:
        return named[function]

    numbers = run.held.by_key(key, loop_erased=True)
    whole = grouped({name: dataclasses.replace(row, calls=None, primitive_calls=None) for name, row in numbers.items()}, lambda name: name)
    for row in numbers.values():
        row.calls = row.primitive_calls = None  # apart, below
    taken = limits.GPROF2DOT_CALLGRIND.take_out(run.held, key, numbers)
    check_and_awaken(grouped(numbers, lambda name: name), without_invented(shown), steps, unmeasured_may_lack=True)
    if run.name == "crossed":
        assert taken and differences(whole, without_invented(shown), steps, unmeasured_may_lack=True), (
            "it shows crossed calls right: no limit any more"
        )
    check_called_of(run, key, without_invented(shown))


def collapsed_frames(run: Run) -> Callable[[Function], str]:
    named = labels(run.held)
    return lambda function: frame(named[function], function)


def test_flamegraph(run: Run, flamegraph: Path) -> None:
    frame_of = collapsed_frames(run)
    held = as_shown(run, frame_of, lambda key: str(key).translate({ord("<"): "(", ord(">"): ")"}))
    shown = readers.flamegraph_table(run.collapsed, flamegraph)
    check_and_awaken(held, shown, readers.FLAMEGRAPH_STEPS, unmeasured_may_lack=True)


def test_inferno(run: Run, inferno: Path) -> None:
    held = as_shown(run, collapsed_frames(run))
    check_and_awaken(held, readers.inferno_table(run.collapsed, inferno), readers.FLAMEGRAPH_STEPS, unmeasured_may_lack=True)


def test_gprof2dot_on_collapsed(run: Run, tools: Path, dot: str) -> None:
    shown, steps = readers.gprof2dot_table(run.collapsed, "collapse", run.held.sum_ns, tools, dot)
    frame_of = collapsed_frames(run)

    numbers = run.held.by_key(frame_of)
    for row in numbers.values():
        row.calls = row.primitive_calls = None  # the format has none
    whole = grouped({key: dataclasses.replace(row) for key, row in numbers.items()}, readers.gprof2dot_frame)
    taken = limits.GPROF2DOT_COLLAPSED.take_out(run.held, frame_of, numbers)
    check_and_awaken(grouped(numbers, readers.gprof2dot_frame), shown, steps, unmeasured_may_lack=True)
    if run.name == "crossed":
        assert taken and differences(whole, shown, steps, unmeasured_may_lack=True), "it shows cycles right: no limit any more"


def test_limits_are_those_of_the_readme() -> None:
    """Users read there what the comparisons here leave out."""
    text = (SOURCE / "formats" / "README.md").read_text(encoding="utf-8")
    _, _, section = text.partition("## What no writer can make them show")
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in section.splitlines() if line.startswith("|")]
    assert rows[2:] == [(limit.client, limit.cells, limit.where) for limit in limits.LIMITS]


def clock_of(run: Run) -> str:
    return str(_core.load(str(run.native)).meta()["clock"])


def test_pprof_top(run: Run, pprof: Path) -> None:
    named = labels(run.held)
    held = as_shown(run, lambda function: named[function])
    check_and_awaken(held, readers.pprof_top(run.pprof, pprof, clock_of(run)), readers.PPROF_STEPS, unmeasured_may_lack=True)


def test_pprof_raw(run: Run, pprof: Path) -> None:
    """Every value of every sample: added up again it is the tree, by time and by calls; the lines are those that were sampled."""
    raw = readers.pprof_raw(run.pprof, pprof)
    clock = clock_of(run)
    assert raw.types == [
        *("samples/count", "calls/count", "sampled/nanoseconds", "exact/nanoseconds", "overhead/nanoseconds"),
        f"{clock}/nanoseconds[dflt]",
    ]
    named = labels(run.held)
    lines: dict[tuple[str, int], int] = {}
    for values, stack, line, tags in raw.samples:
        assert values[clock] == values["sampled"] + values["exact"]
        assert tags.get("measured") in {"exact", "mixed"} or values["exact"] == values["calls"] == 0
        if tags.get("measured") == "sampled":
            lines[stack[-1], line] = lines.get((stack[-1], line), 0) + values["sampled"]

    def key(function: Function) -> str:
        return f"{named[function]} {escaped(function.file)}"

    check_and_awaken(as_shown(run, key), raw.table(clock), readers.PPROF_STEPS)
    assert sum(lines.values()) == sum(thread["sampled_ns"] for thread in _core.load(str(run.native)).threads())
    # What no line is known of stands at the function's first.
    assert {at: ns for at, ns in lines.items() if at[1] != raw.start_lines[at[0]]} == sampled_lines(run, key)


@pytest.mark.parametrize("golden", sorted((SOURCE / "formats" / "pprof" / "golden").glob("*.pb")), ids=lambda path: path.stem)
def test_pprof_reads_golden_files(golden: Path, pprof: Path) -> None:
    """What pprof says of them stands beside them, so that a change of the bytes can be read."""
    assert readers.pprof_output(golden, pprof, "-raw") == golden.with_suffix(".txt").read_text(encoding="utf-8")


def sampled_lines(run: Run, key: Callable[[Function], str]) -> dict[tuple[str, int], int]:
    """Sampled self time by line, but for what stands at a function's first."""
    profile = _core.load(str(run.native))
    nodes = profile.nodes()
    held: dict[tuple[str, int], int] = {}
    for node, line, _, ns, _ in profile.lines():
        function = run.held.functions[nodes[node][1]]
        if line not in (0, function.line):
            held[key(function), line] = held.get((key(function), line), 0) + ns
    return held


def test_pprof_tags(run: Run, pprof: Path) -> None:
    tags = readers.pprof_tags(run.pprof, pprof, clock_of(run))
    threads = _core.load(str(run.native)).threads()
    measured = tags["measured"]
    assert measured.get("sampled", 0) == sum(thread["sampled_ns"] for thread in threads)
    assert measured.get("exact", 0) + measured.get("mixed", 0) == sum(thread["exact_ns"] for thread in threads)
    by_name: dict[str, int] = {}
    for thread in threads:
        name = escaped(thread["name"])
        by_name[name] = by_name.get(name, 0) + thread["sampled_ns"] + thread["exact_ns"]
    assert tags["thread"] == {name: ns for name, ns in by_name.items() if ns}


def test_read_back_from_pprof_and_collapsed(run: Run) -> None:
    """What is read of the other formats that hold whole stacks has the same numbers; pprof even the same functions and calls."""
    again = Held.load(str(run.pprof))
    key = dataclasses.astuple
    check_and_awaken(as_shown(run, key), grouped(again.by_key(key), lambda each: each), Steps())
    folded = Held.load(str(run.collapsed))
    named, read = labels(run.held), labels(folded)
    held = run.held.by_key(lambda function: named[function])
    for numbers in held.values():
        numbers.calls = numbers.primitive_calls = None
    shown = grouped(folded.by_key(lambda function: read[function]), lambda each: each)
    check_and_awaken(grouped(held, lambda each: each), shown, Steps(), unmeasured_may_lack=True)
