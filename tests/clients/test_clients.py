# SPDX-License-Identifier: MIT
"""Other people's programs must show what hybridprof holds: every function, every number, as exactly as the program displays it.

Each comparison is also shown to be awake: one number altered by more than the display hides must be found.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

import pytest
from clients import readers
from clients.expected import Function, Held, Numbers, Shown, Steps, altered, differences, escaped, frame, grouped, labels, pstats_key
from clients.programs import PROGRAMS
from conftest import clean_environment

from hybridprof import _core

SOURCE = Path(__file__).resolve().parents[2]
FLAMEGRAPH_PLACES = (shutil.which("flamegraph.pl"), "/usr/share/perl5/Devel/NYTProf/flamegraph.pl")


def missing(what: str, install: str) -> None:
    """In CI a missing client is a failure; elsewhere the reader sees what was not tested."""
    sentence = f"{what} is not on this machine; install it with: {install}"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def tools() -> Path:
    folder = Path(os.environ.get("HYBRIDPROF_CLIENTS", "/nonexistent"))
    if not (folder / "python").exists():
        missing(
            "the Python clients' venv",
            "scripts/setup tools clients, and HYBRIDPROF_CLIENTS set to the folder that it prints (make test does)",
        )
    return folder


@pytest.fixture(scope="session")
def flamegraph() -> Path:
    for place in FLAMEGRAPH_PLACES:
        if place and Path(place).exists():
            return Path(place)
    missing("flamegraph.pl", "apt-get install libdevel-nytprof-perl")
    raise AssertionError


@pytest.fixture(scope="session")
def callgrind_annotate() -> None:
    if shutil.which("callgrind_annotate") is None:
        missing("callgrind_annotate", "apt-get install valgrind")


@pytest.fixture(scope="session")
def pprof() -> Path:
    place = os.environ.get("HYBRIDPROF_PPROF", "")
    if not place or not Path(place).exists():
        missing("pprof", "scripts/setup pprof (which needs go), and HYBRIDPROF_PPROF set to the path that it prints (make test does)")
    return Path(place)


def hybridprof(folder: Path, *arguments: object) -> None:
    command = [sys.executable, "-m", "hybridprof", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def measured(name: str, folder: Path) -> Path:
    """The native profile of one of PROGRAMS."""
    files, options = PROGRAMS[name]
    for file, text in files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    hybridprof(folder, "run", "-r", "1000", *options, "-o", folder / "out.hyprof", folder / "program.py")
    return folder / "out.hyprof"


@dataclass
class Run:
    name: str
    native: Path
    held: Held
    pstats: Path
    callgrind: Path
    collapsed: Path
    pprof: Path


@pytest.fixture(scope="session", params=sorted(PROGRAMS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A program, really run under the profiler; its profile in each format."""
    folder = tmp_path_factory.mktemp(request.param)
    native, made = measured(request.param, folder), folder / "made"
    made.mkdir()
    outs = [made / "out.pstats", made / "callgrind.out.test", made / "out.collapsed", made / "out.pb.gz"]
    for out in outs:
        hybridprof(folder, "export", native, "-o", out)
    held = Held.load(str(native))
    assert held.sum_ns > 50_000_000, "the program burns tenths of a second"
    return Run(request.param, native, held, *outs)


def check_and_awaken(held: Shown, shown: Shown, steps: Steps, **options: bool) -> None:
    """No difference; and each kind of number, altered in the greatest row that shows it, makes one."""
    assert differences(held, shown, steps, **options) == []
    for field_name in ("self_ns", "total_ns", "calls", "primitive_calls"):
        both = [
            key for key, rows in held.items() if key in shown and all(getattr(row, field_name) is not None for row in [*rows, *shown[key]])
        ]
        if both:
            greatest = max(both, key=lambda key: held[key][0].total_ns or 0)
            assert differences(altered(held, greatest, field_name, steps), shown, steps, **options), f"an altered {field_name} was not seen"


def without_invented(shown: Shown) -> Shown:
    """Rows that the writer adds for the readers' sake: one above the threads, one that says what is estimated."""
    return {name: rows for name, rows in shown.items() if "all threads" not in str(name) and "~hybridprof" not in str(name)}


def as_shown(
    run: Run, key_of: Callable[[Function], Hashable], displayed: Callable[[Hashable], Hashable] = lambda key: key, **options: bool
) -> Shown:
    return grouped(run.held.by_key(key_of, **options), displayed)


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


def test_snakeviz(run: Run, tools: Path) -> None:
    shown = readers.snakeviz_table(run.pstats, tools)
    check_and_awaken(as_shown(run, pstats_key, lambda key: "{}:{}({})".format(*key)), without_invented(shown), readers.SNAKEVIZ_STEPS)  # type: ignore[misc]


def test_gprof2dot_on_pstats(run: Run, tools: Path) -> None:
    shown, steps = readers.gprof2dot_table(run.pstats, "pstats", run.held.sum_ns, tools)

    def displayed(key: Hashable) -> str:
        file, line, name = key  # type: ignore[misc]
        return f"{os.path.basename(os.path.splitext(file)[0])}:{line}:{name}"

    held = as_shown(run, pstats_key, displayed)
    for rows in held.values():
        for row in rows:
            row.primitive_calls = None
    check_and_awaken(held, without_invented(shown), steps)


def test_callgrind_annotate(run: Run, callgrind_annotate: None) -> None:
    named = labels(run.held)

    def key(function: Function) -> str:
        return f"{function.file or '~'}:{named[function]} [{function.module or '~'}]"

    held = as_shown(run, key, loop_erased=True)
    check_and_awaken(held, without_invented(readers.annotate_table(run.callgrind)), readers.CALLGRIND_STEPS, unmeasured_may_lack=True)


def test_gprof2dot_on_callgrind(run: Run, tools: Path) -> None:
    shown, steps = readers.gprof2dot_table(run.callgrind, "callgrind", run.held.sum_ns, tools)
    named = labels(run.held)
    held = as_shown(run, lambda function: named[function], loop_erased=True)
    for rows in held.values():
        for row in rows:
            row.calls = row.primitive_calls = None  # it counts call lines, of which sampled edges have one each
    check_and_awaken(held, without_invented(shown), steps, unmeasured_may_lack=True)


def collapsed_frames(run: Run) -> Callable[[Function], str]:
    named = labels(run.held)
    return lambda function: frame(named[function], function)


def test_flamegraph(run: Run, flamegraph: Path) -> None:
    frame_of = collapsed_frames(run)
    held = as_shown(run, frame_of, lambda key: str(key).translate({ord("<"): "(", ord(">"): ")"}))
    shown = readers.flamegraph_table(run.collapsed, flamegraph)
    check_and_awaken(held, shown, readers.FLAMEGRAPH_STEPS, unmeasured_may_lack=True)


def test_gprof2dot_on_collapsed(run: Run, tools: Path) -> None:
    shown, steps = readers.gprof2dot_table(run.collapsed, "collapse", run.held.sum_ns, tools)
    frame_of = collapsed_frames(run)
    # Its totals are wrong in and beneath cycles, whatever a file says (it pushes shares down the graph): only self times count there.
    doubtful = run.held.beneath_cycles(frame_of)

    def displayed(key: Hashable) -> str:
        text = str(key)
        place = text.rpartition(" (")
        return place[0] if place[0] and " " not in place[0] and ":" in place[2] else text

    numbers = run.held.by_key(frame_of)
    for key, row in numbers.items():
        row.calls = row.primitive_calls = None
        if key in doubtful:
            row.total_ns = None
    check_and_awaken(grouped(numbers, displayed), shown, steps, unmeasured_may_lack=True)


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
    added: dict[Hashable, Numbers] = {}
    lines: dict[tuple[str, int], int] = {}
    for values, stack, line, tags in raw.samples:
        assert values[clock] == values["sampled"] + values["exact"]
        assert tags.get("measured") in {"exact", "mixed"} or values["exact"] == values["calls"] == 0
        own = added.setdefault(stack[-1], Numbers())
        own.self_ns += values[clock]
        own.calls += values["calls"]
        own.primitive_calls = None
        for place in set(stack):
            added.setdefault(place, Numbers(primitive_calls=None)).total_ns += values[clock]
        if tags.get("measured") == "sampled":
            lines[stack[-1], line] = lines.get((stack[-1], line), 0) + values["sampled"]

    def key(function: Function) -> str:
        return f"{named[function]} {escaped(function.file)}"

    check_and_awaken(as_shown(run, key), grouped(added, lambda place: place), readers.PPROF_STEPS)
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
        by_name[thread["name"]] = by_name.get(thread["name"], 0) + thread["sampled_ns"] + thread["exact_ns"]
    assert tags["thread"] == by_name


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
