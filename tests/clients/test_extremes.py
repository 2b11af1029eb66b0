# SPDX-License-Identifier: MIT
"""Stacks so deep, and numbers so large, that clients give up or round: limits that are theirs, since other clients read the same numbers of the same
files exactly, and they themselves those of smaller ones. limits.LIMITS names them."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Callable, Hashable
from decimal import Decimal
from pathlib import Path

import pytest
from clients import browsers, pages, readers
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
    gecko_name,
    grouped,
    labels,
    pstats_key,
    without_calls,
)
from clients.running import check_and_awaken, without_invented
from clients.test_clients import pstats_name
from clients.test_pages import tuna_expected
from clients.test_random_trees import DOUBLES, identity, tree_of

from hybridprof import _core

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from made_profiles import Described, Made, Stack, encoded

pytest_plugins = ["clients.running"]

NAMES = ("out.pstats", "callgrind.out.test", "out.collapsed", "out.pb.gz", "out.speedscope.json", "out.gecko.json")
SHALLOW = 300
DEEP = 600
DEEPER = 5_000
LARGE = 2**53


def functions(count: int) -> tuple[Described, ...]:
    return tuple(("deep", f"f{number}", f"f{number}", "/srv/deep.py", number + 1) for number in range(count))


def chain(depth: int) -> Made:
    """Each function called by the one before; some have a time and calls of their own."""
    stacks = tuple(Stack(0, tuple(range(number)), 0, number, 10**7 + number) for number in range(25, depth + 1, 25))
    return Made(1, stacks, functions=functions(depth))


def large() -> Made:
    """Odd numbers, which no double holds."""
    outer, inner = Stack(0, (0,), 0, LARGE + 1, LARGE + 1), Stack(0, (0, 1), 0, LARGE + 5, 2 * LARGE + 3)
    return Made(1, (outer, inner, Stack(0, (0, 1, 2), 0, 5, 4 * LARGE + 5)), functions=functions(3))


def write(made: Made, folder: Path) -> str:
    """In each format. Returns the native file's path."""
    native = folder / "out.hyprof"
    native.write_bytes(encoded(made))
    profile = _core.load(str(native))
    for name in NAMES:
        profile.write(str(folder / name))
    return str(native)


def written(made: Made, folder: Path) -> Held:
    """The same; what the native file holds is what was made up."""
    held = Held.load(write(made, folder))
    assert held.by_key(identity) == {key: row for key, row in tree_of(made)[0].by_key(identity).items() if row.total_ns}
    return held


def label_of(held: Held) -> Callable[[Function], str]:
    return labels(held).__getitem__


def frame_of(held: Held) -> Callable[[Function], str]:
    named = labels(held)
    return lambda function: frame(named[function], function)


def placed(held: Held) -> Callable[[Function], str]:
    """As callgrind_annotate names it."""
    named = labels(held)
    return lambda function: f"{escaped(function.file) or '~'}:{named[function]} [{escaped(function.module) or '~'}]"


def shown_by(key_of: Callable[[Function], Hashable], held: Held) -> Shown:
    return grouped(held.by_key(key_of), lambda key: key)


def gprof2dot_dies(path: Path, form: str, tools: Path) -> str:
    command = [tools / "python", "-m", "gprof2dot", "-f", form, "-n0", "-e0", path]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120)
    return done.stderr if done.returncode else ""


def check_exact(folder: Path, held: Held, pprof: Path) -> None:
    """By clients that calculate with integers: every number of the callgrind file, of the pprof file, and of the collapsed stacks."""
    for event, each in by_event(str(folder / "out.hyprof")).items():
        rows = grouped(each.by_key(placed(held), loop_erased=True), lambda key: key)
        check_and_awaken(rows, readers.annotate_tables(folder / "callgrind.out.test")[event], Steps(), unmeasured_may_lack=True)
    named = labels(held)
    raw = readers.pprof_raw(folder / "out.pb.gz", pprof).table("wall")
    check_and_awaken(shown_by(lambda function: f"{named[function]} {escaped(function.file)}", held), raw, Steps())
    stacks = [line.rpartition(" ") for line in (folder / "out.collapsed").read_text(encoding="utf-8").splitlines()]
    frames = [frame_of(held)(held.functions[node[1]]) for node in held.nodes]
    assert {(stack.rpartition(";")[2], int(ns)) for stack, _, ns in stacks} == {
        (name, node[3]) for name, node in zip(frames, held.nodes, strict=True) if node[3]
    }


@pytest.mark.parametrize(("form", "name"), [("callgrind", "callgrind.out.test"), ("collapse", "out.collapsed"), ("pstats", "out.pstats")])
def test_gprof2dot_of_a_deep_stack(form: str, name: str, tools: Path, pprof: Path, callgrind_annotate: None, tmp_path: Path) -> None:
    """limits.DEEP_PYTHON: of callgrind and collapsed."""
    for depth in (SHALLOW, DEEP):
        held = written(chain(depth), tmp_path)
        if form != "pstats" and depth == DEEP:
            assert "RecursionError" in gprof2dot_dies(tmp_path / name, form, tools), "it shows deep stacks: no limit any more"
            check_exact(tmp_path, held, pprof)
            continue
        shown, steps = readers.gprof2dot_table(tmp_path / name, form, held.sum_ns, tools, "")
        if form == "pstats":
            rows = grouped(held.by_key(pstats_key), readers.gprof2dot_name)
        elif form == "collapse":
            rows = grouped(held.by_key(frame_of(held)), readers.gprof2dot_frame)
        else:
            rows = without_calls(held, label_of(held))  # not all were counted
        check_and_awaken(rows, without_invented(shown), steps)


def test_tuna_of_a_deep_stack(tools: Path, modules: Path, chromium: str, tmp_path: Path) -> None:
    """limits.DEEP_PYTHON."""
    held = written(chain(SHALLOW), tmp_path)
    with pages.Pages(modules, chromium) as browser:
        page, errors = browser.page("tuna", pages.tuna_page(tmp_path / "out.pstats", tools, tmp_path / "page"))
    assert errors == [] and page is not None
    shown, width = pages.tuna_boxes(page)
    check_and_awaken(tuna_expected(held, held.sum_ns / width), without_invented(shown), pages.TUNA_STEPS)
    held = written(chain(DEEP), tmp_path)
    with pytest.raises(AssertionError, match="RecursionError"):
        pages.tuna_page(tmp_path / "out.pstats", tools, tmp_path / "page")
    shown = without_invented(readers.pstats_table(tmp_path / "out.pstats"))
    check_and_awaken(grouped(held.by_key(pstats_key), pstats_name), shown, readers.PSTATS_STEPS)


BROWSERS = ("callgrind.out.test", "out.pb.gz", "out.speedscope.json", "out.collapsed")


def at_the_bottom(depth: int) -> Made:
    """Short: of a minute or more speedscope shows whole seconds."""
    return Made(1, (Stack(0, tuple(range(depth)), 0, 3, 10**9),), functions=functions(depth))


def test_speedscope_of_a_stack(speedscope: browsers.Speedscope, tmp_path: Path) -> None:
    held = written(at_the_bottom(SHALLOW), tmp_path)
    for name in BROWSERS:
        table = next(iter(speedscope.tables(tmp_path / name).values()))
        rows = without_calls(held, frame_of(held) if name == "out.collapsed" else label_of(held))
        check_and_awaken(rows, {key[0]: cells for key, cells in table.items()}, browsers.SPEEDSCOPE_STEPS)  # type: ignore[index]


def test_speedscope_of_a_deep_stack(speedscope: browsers.Speedscope, pprof: Path, callgrind_annotate: None, tmp_path: Path) -> None:
    """limits.DEEP_SPEEDSCOPE. The files are right: each function has all time within it, and the last one itself."""
    write(at_the_bottom(DEEPER), tmp_path)
    for name in BROWSERS:
        with pytest.raises(AssertionError, match="Maximum call stack size exceeded"):
            speedscope.tables(tmp_path / name)
    table = without_invented(readers.annotate_tables(tmp_path / "callgrind.out.test")["Wall_exact_ns"])
    names = [f"deep.f{number}" for number in range(DEEPER)]
    own = [0] * (DEEPER - 1) + [10**9]
    rows: Shown = {f"/srv/deep.py:{name} [deep]": [Numbers(ns, 10**9, None, None)] for name, ns in zip(names, own, strict=True)}
    rows["~:<thread MainThread #1> [~]"] = [Numbers(0, 10**9, None, None)]
    assert table == rows
    ((values, stack, _, _),) = readers.pprof_raw(tmp_path / "out.pb.gz", pprof).samples
    assert (values["wall"], values["calls"]) == (10**9, 3)
    assert stack[1:] == [f"{name} /srv/deep.py" for name in names]
    (line,) = (tmp_path / "out.collapsed").read_text(encoding="utf-8").splitlines()
    assert line.split(";")[1:] == [f"{name} (/srv/deep.py:{at})" for at, name in enumerate(names[:-1], 1)] + [
        f"{names[-1]} (/srv/deep.py:{DEEPER}) {10**9}"
    ]
    file = json.loads((tmp_path / "out.speedscope.json").read_text(encoding="utf-8"))
    frames = [frame["name"] for frame in file["shared"]["frames"]]
    ((stack_of_frames,), weights) = file["profiles"][0]["samples"], file["profiles"][0]["weights"]
    assert ([frames[at] for at in stack_of_frames][1:], weights) == (names, [10**9])


def titles(path: Path, program: Path) -> Shown:
    """What boxes of a flame graph say; the one writes <> as (), the other not."""
    found: Shown = {}
    for title in re.findall("<title>(.*?)</title>", readers.output(program, "--countname", "ns", path)):
        match = readers.TITLE.match(html.unescape(title))
        if match and match["name"] != "all":
            name = match["name"].strip("<>") if match["name"].startswith("<") else re.sub(r"^\((.*)\)$", r"\1", match["name"])
            readers.show(found, name, Numbers(None, int(match["count"].replace(",", "")), None, None))
    return found


def check_rounded(held: Shown, shown: Shown) -> None:
    """limits.LARGE: wrong by no more than a double loses."""
    assert differences(held, shown, DOUBLES, unmeasured_may_lack=True) == []
    assert differences(held, shown, Steps(), unmeasured_may_lack=True), "it shows large numbers right: no limit any more"


def test_large_numbers(pprof: Path, flamegraph: Path, inferno: Path, callgrind_annotate: None, tmp_path: Path) -> None:
    held = written(large(), tmp_path)
    check_exact(tmp_path, held, pprof)
    check_rounded(without_calls(held, label_of(held)), readers.pprof_top(tmp_path / "out.pb.gz", pprof, "wall"))
    rows = held.by_key(frame_of(held))
    totals = grouped({key: Numbers(None, row.total_ns, None, None) for key, row in rows.items()}, lambda key: str(key).strip("<>"))
    for program in (flamegraph, inferno):
        check_rounded(totals, titles(tmp_path / "out.collapsed", program))


def test_large_numbers_in_speedscope(speedscope: browsers.Speedscope, tmp_path: Path) -> None:
    held = written(large(), tmp_path)
    for name, key_of in (("out.collapsed", frame_of(held)), ("callgrind.out.test", label_of(held))):
        table = next(iter(speedscope.tables(tmp_path / name).values()))
        check_rounded(without_calls(held, key_of), {key[0]: cells for key, cells in table.items()})  # type: ignore[index]


def test_large_numbers_in_the_firefox_profiler(modules: Path, tmp_path: Path) -> None:
    held = written(large(), tmp_path)
    named = labels(held)
    with browsers.FirefoxProfiler(modules, tmp_path, tmp_path / "out.gecko.json") as profiler:
        shown = profiler.totals(0)
    totals = {key: row.total_ns for key, row in held.by_key(lambda function: gecko_name(named, function)).items()}
    assert shown.keys() == totals.keys()
    assert all(abs(int(shown[key]) - ns) <= 1e-15 * ns for key, ns in totals.items()) and shown != totals, "no limit any more"
    (thread,) = json.loads((tmp_path / "out.gecko.json").read_text(encoding="utf-8"), parse_float=Decimal)["threads"]
    assert [ms * 10**6 for ms in thread["samples"]["weight"]] == [node[3] for node in held.nodes if node[3]]
