# SPDX-License-Identifier: MIT
"""Runs other people's programs on our files and reads back what they show: for each a table of displayed name -> numbers, and its display's steps."""

from __future__ import annotations

import ast
import html
import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clients.expected import Numbers, Shown, Steps


def output(*command: str | Path, cwd: str | Path = "/", stdin: str = "") -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8", "TZ": "UTC"}
    environment.pop("PYTHONSAFEPATH", None)
    done = subprocess.run(command, cwd=cwd, env=environment, input=stdin, capture_output=True, text=True, timeout=120, encoding="utf-8")
    assert done.returncode == 0, f"{command} failed: {done.stderr[-3000:]}"
    return done.stdout


def show(found: Shown, name: object, numbers: Numbers) -> None:
    found.setdefault(name, []).append(numbers)


# --- pstats.Stats of an interpreter: what print_stats prints ------------------------------------------------------------------------

PRINT_STATS = "import pstats, sys; sys.stdout.reconfigure(errors='surrogateescape'); pstats.Stats(sys.argv[1]).print_stats()"
PSTATS_STEPS = Steps(time_ns=1e6)


def pstats_table(path: Path, python: str = sys.executable) -> Shown:
    """Columns stand at fixed places: calls, tottime, percall, cumtime, percall, file:line(name)."""
    text = output(python, "-c", PRINT_STATS, path)
    _, _, body = text.partition("filename:lineno(function)\n")
    assert body, text
    found: Shown = {}
    for line in body.splitlines():
        if line.strip():
            calls, _, primitive = line[:9].strip().partition("/")
            numbers = Numbers(float(line[10:18]) * 1e9, float(line[28:36]) * 1e9, int(calls), int(primitive or calls))
            show(found, line[46:], numbers)
    return found


PRINT_EDGES = (
    "import pstats, sys; sys.stdout.reconfigure(errors='surrogateescape'); getattr(pstats.Stats(sys.argv[1]), 'print_' + sys.argv[2])()"
)
EDGE = re.compile(r" *(\d+)(?:/(\d+))? +(\d+\.\d{3}) +(\d+\.\d{3})  (.*)")


def pstats_edges(path: Path, what: str, python: str = sys.executable) -> Shown:
    """print_callers() or print_callees(), as (callee, caller). A function stands in front of the arrow, in the column of the heading, once for all that follow."""
    text = output(python, "-c", PRINT_EDGES, path, what)
    heading = "was called by..." if what == "callers" else "called..."
    _, _, body = text.partition("Function ")
    first, _, body = body.partition("\n")
    column = len("Function ") + first.index(heading)
    found: Shown = {}
    ahead = ""
    for line in body.splitlines():
        ahead = line[:column].rstrip() or ahead
        match = EDGE.fullmatch(line[column + 2 :])
        if match:
            numbers = Numbers(float(match[3]) * 1e9, float(match[4]) * 1e9, int(match[1]), int(match[2] or match[1]))
            show(found, (ahead, match[5]) if what == "callers" else (match[5], ahead), numbers)
    return found


Key = tuple[str, int, str]
Row = tuple[float, ...]
SHOW_STATS = """
import pstats, sys
stats = pstats.Stats(sys.argv[1])
for _ in range(int(sys.argv[2]) - 1):
    stats.add(sys.argv[1])
print(ascii({key: (row[:4], row[4]) for key, row in stats.stats.items()}))
"""
PSTATS_EXACT = Steps(time_ns=1)


def pstats_stats(path: Path, python: str = sys.executable, times: int = 1) -> dict[Key, tuple[Row, dict[Key, Row]]]:
    """What pstats.Stats holds once the file was loaded, and added, so many times."""
    return ast.literal_eval(output(python, "-c", SHOW_STATS, path, str(times)))  # type: ignore[no-any-return]


# --- gprof2dot: the labels of its nodes, as dot draws them --------------------------------------------------------------------------

NODE = re.compile(r'^\t"?(?P<id>(?:[^"\\]|\\.)*?)"? \[.*\blabel="(?P<label>(?:[^"\\]|\\.)*)"')
SVG = "{http://www.w3.org/2000/svg}"
DRAWN_AT_MOST = 300  # nodes: dot takes minutes for more (limits.DOT_LARGE), and gprof2dot's own text is read


def written_labels(text: str) -> list[list[str]]:
    """The lines of each node's label in gprof2dot's own text."""
    found = []
    for line in text.splitlines():
        match = NODE.match(line)
        if match is None or match["id"] in ("graph", "node", "edge") or " -> " in line.partition("[")[0]:
            continue
        found.append(re.sub(r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[1], match["label"]).split("\n"))
    return found


def drawn_labels(text: str, dot: str) -> list[list[str]]:
    """The same, read from the picture; dot keeps spaces apart by making them unbreakable."""
    picture = ElementTree.fromstring(output(dot, "-Tsvg", stdin=text))
    nodes = [group for group in picture.iter(f"{SVG}g") if group.get("class") == "node"]
    return [["".join(line.itertext()).replace("\xa0", " ") for line in node.iter(f"{SVG}text")] for node in nodes]


def gprof2dot_table(path: Path, form: str, sum_ns: int, tools: Path, dot: str) -> tuple[Shown, Steps]:
    """Percent of the whole with two places: a step is a ten-thousandth of the sum."""
    text = output(tools / "python", "-m", "gprof2dot", "-f", form, "-n0", "-e0", path)
    labels = written_labels(text)
    if len(labels) <= DRAWN_AT_MOST:
        labels, written = drawn_labels(text, dot), labels
        assert len(labels) == len(written), "dot draws every node"
    found: Shown = {}
    for label in labels:
        *names, total, own = [part for part in label if not part.endswith("\u00d7")]
        calls = next((int(part[:-1]) for part in label if re.fullmatch(r"\d+\u00d7", part)), None)
        own_share, total_share = float(own.strip("()%")), float(total.strip("%"))
        assert own_share <= total_share <= 100, f"recursion counts once, and {label} says otherwise"
        show(found, names[-1], Numbers(own_share / 100 * sum_ns, total_share / 100 * sum_ns, calls, None))
    return found, Steps(time_ns=sum_ns / 1e4)


def gprof2dot_name(key: Hashable) -> str:
    """What it calls a row of pstats."""
    file, line, name = key  # type: ignore[misc]
    return f"{os.path.basename(os.path.splitext(file)[0])}:{line}:{name}"


def gprof2dot_frame(key: Hashable) -> str:
    """What it calls a frame of a collapsed stack: it takes the place off where the name holds no space."""
    text = str(key)
    name, _, place = text.rpartition(" (")
    return name if name and " " not in name and ":" in place else text


@cache
def gprof2dot_module(tools: Path) -> Any:
    """Its one file, wherever the venv's interpreter has it: its readers can be asked without a process for each file."""
    (place,) = tools.parent.glob("lib/python3.*/site-packages/gprof2dot.py")
    specification = importlib.util.spec_from_file_location("gprof2dot", place)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def gprof2dot_parsed(path: Path, form: str, sum_ns: int, tools: Path) -> Shown:
    """The same functions as in its picture, before their numbers are rounded."""
    module = gprof2dot_module(tools)
    if form == "pstats":
        profile = module.PstatsParser(str(path)).parse()
    else:
        with path.open(encoding="utf-8") as file:
            profile = {"callgrind": module.CallgrindParser, "collapse": module.CollapseParser}[form](file).parse()
    found: Shown = {}
    for function in profile.functions.values():
        own, total = (function[event] * sum_ns for event in (module.TIME_RATIO, module.TOTAL_TIME_RATIO))
        show(found, function.name, Numbers(own, total, function.called, None))
    return found


# --- callgrind_annotate: exact integers ---------------------------------------------------------------------------------------------

CELL = re.compile(r"\s*(?:([\d,]+)(?: \([ \d.]+%\))?|\.)(?= )")
CALLGRIND_STEPS = Steps()


def annotate_rows(path: Path, *options: str) -> tuple[list[str], dict[str, list[int]]]:
    """(event names, `file:function [object]` -> a value for each event)."""
    text = output("callgrind_annotate", "--threshold=100", "--auto=no", "--show-percs=yes", *options, path)
    shown = re.search(r"^Events shown:\s+(.*)$", text, re.MULTILINE)
    assert shown, text
    events = shown[1].split()
    _, _, body = text.partition("file:function\n")
    rows: dict[str, list[int]] = {}
    for line in body.splitlines()[1:]:
        values, at = [], 0
        for _ in events:
            match = CELL.match(line, at)
            if match is None:
                break
            values.append(int((match[1] or "0").replace(",", "")))
            at = match.end()
        if len(values) == len(events):
            rows[line[at:].strip()] = values
    return events, rows


def annotate_tables(path: Path) -> dict[str, Shown]:
    """By event, in its order; what has nothing of an event has no row there."""
    events, own = annotate_rows(path)
    _, inclusive = annotate_rows(path, "--inclusive=yes")
    nothing = [0] * len(events)
    found: dict[str, Shown] = {event: {} for event in events}
    for name in own.keys() | inclusive.keys():
        for event, mine, whole in zip(events, own.get(name, nothing), inclusive.get(name, nothing), strict=True):
            if mine or whole:
                show(found[event], name, Numbers(mine, whole, None, None))
    return found


def annotate_percentages(path: Path) -> list[float]:
    text = output("callgrind_annotate", "--threshold=100", "--auto=no", "--show-percs=yes", "--inclusive=yes", path)
    return [float(number) for number in re.findall(r"\( *([\d.]+)%\)", text)]


def annotate_sources(path: Path) -> dict[str, dict[str, dict[int, int]]]:
    """By event, file that it found, and line. A line of the listing is one of the file, or a call from it."""
    text = output("callgrind_annotate", "--threshold=100", "--auto=yes", "--context=1000000", "--show-percs=yes", path)
    events = re.search(r"^Events shown:\s+(.*)$", text, re.MULTILINE)[1].split()  # type: ignore[index]
    found: dict[str, dict[str, dict[int, int]]] = {event: {} for event in events}
    for section in text.split("-- Auto-annotated source: ")[1:]:
        name, _, listing = section.partition("\n")
        source = Path(name).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        number = 0
        for line in listing.partition("\n\n")[2].split("\n"):
            if number == len(source) or (number == 0 and not line):  # it lists all of a file, or nothing where no line has time
                break
            cells, at = list[str](), 0
            for _ in events:
                cell = CELL.match(line, at)
                assert cell, f"{name}:{number + 1} is shown as {line!r}"
                cells.append(cell[1] or "0")
                at = cell.end()
            beside = line[at:].lstrip()  # cells are padded: the source's indentation cannot be told from that
            if beside.startswith("=> "):
                continue
            assert beside == source[number].lstrip()
            number += 1
            for event, value in zip(events, cells, strict=True):
                if value != "0":
                    found[event].setdefault(name, {})[number] = int(value.replace(",", ""))
        assert number in (0, len(source)), f"{name} is shown to line {number}"
    return found


# --- pprof: its tables of text --------------------------------------------------------------------------------------------------------

TOP_ROW = re.compile(r"^ *(?P<flat>\S+) +\S+% +\S+% +(?P<cum>\S+) +\S+%  (?P<name>.*)$")
RAW_LOCATION = re.compile(r"^ *(?P<id>\d+): 0x0 M=1 (?P<place>.*):(?P<line>\d+):0 s=(?P<start>\d+)\(\)$")
RAW_SAMPLE = re.compile(r"^ *(?P<values>\d+(?: +\d+)*): (?P<stack>[\d ]+)$")
TAG_ROW = re.compile(r"^ *(?P<ns>\d+)(?:ns)? \( *[\d.]+%\): (?P<tag>.*)$")
PPROF_STEPS = Steps()


def pprof_output(path: Path, pprof: Path, *options: str) -> str:
    return output(pprof, *options, "-nodecount=1000000", "-nodefraction=0", "-edgefraction=0", path)


def pprof_top(path: Path, pprof: Path, clock: str) -> Shown:
    """`-top`: self and total time of each name; calls from the other sample type. A function without time (without calls) has no row."""
    tables: list[dict[str, tuple[int, int]]] = []
    for options in (["-unit=ns", f"-sample_index={clock}"], ["-sample_index=calls"]):
        _, _, body = pprof_output(path, pprof, "-top", *options).partition("cum%\n")
        assert body or options == ["-sample_index=calls"]
        rows = [match for match in map(TOP_ROW.match, body.split("\n")) if match]
        tables.append({row["name"]: (int(row["flat"].removesuffix("ns")), int(row["cum"].removesuffix("ns"))) for row in rows})
        assert len(tables[-1]) == len(rows), "a name stands twice"
    times, calls = tables
    return {name: [Numbers(own, total, calls.get(name, (0, 0))[0], None)] for name, (own, total) in times.items()}


@dataclass
class Raw:
    """`-raw`: places are `name file`; stacks from the root."""

    types: list[str]
    samples: list[tuple[dict[str, int], list[str], int, dict[str, str]]]  # values by type, stack, line of the leaf, labels
    start_lines: dict[str, int]

    def table(self, clock: str) -> Shown:
        """Added up again by place: time and calls."""
        added: dict[str, Numbers] = {}
        for values, stack, _, _ in self.samples:
            for place in stack:
                added.setdefault(place, Numbers(0, 0, 0, None))
            added[stack[-1]].self_ns += values[clock]
            added[stack[-1]].calls += values["calls"]
            for place in set(stack):
                added[place].total_ns += values[clock]
        return {place: [numbers] for place, numbers in added.items()}


def pprof_raw(path: Path, pprof: Path) -> Raw:
    text = pprof_output(path, pprof, "-raw")
    head, _, locations = text.partition("\nLocations\n")
    _, _, samples = head.partition("\nSamples:\n")
    places = {match["id"]: match for match in map(RAW_LOCATION.match, locations.partition("\nMappings\n")[0].split("\n")) if match}
    types, *lines = samples.split("\n")
    names = [each.partition("/")[0] for each in types.split()]
    found: list[tuple[dict[str, int], list[str], int, dict[str, str]]] = []
    for line in lines:
        if match := RAW_SAMPLE.match(line):
            stack = match["stack"].split()
            values = dict(zip(names, map(int, match["values"].split()), strict=True))
            found.append((values, [places[each]["place"] for each in reversed(stack)], int(places[stack[0]]["line"]), {}))
        elif line.strip():
            found[-1][3].update(re.findall(r"(measured|state|thread):\[(.*?)\](?= |$)", line))
    return Raw(types.split(), found, {match["place"]: int(match["start"]) for match in places.values()})


def pprof_tags(path: Path, pprof: Path, clock: str) -> dict[str, dict[str, int]]:
    """`-tags`: for each key its values, and the time of each."""
    found: dict[str, dict[str, int]] = {}
    for block in pprof_output(path, pprof, "-tags", "-unit=ns", f"-sample_index={clock}").split("\n\n"):
        title, *rows = block.split("\n")
        if match := re.match(r"^ *(\w+): Total ", title):
            found[match[1]] = {row["tag"]: int(row["ns"]) for row in map(TAG_ROW.match, rows) if row}
    return found


# --- flamegraph.pl and inferno: their boxes -----------------------------------------------------------------------------------------

TITLE = re.compile(r"(?P<name>.*) \((?P<count>[\d,]+) ns, [\d.]+%\)$", re.DOTALL)
FLAMEGRAPH_STEPS = Steps()
INFERNO = "{http://github.com/jonhoo/inferno}"


MARGIN = 10  # pixels on each side


def flamegraph_table(path: Path, program: Path) -> Shown:
    """A box is as wide as its inclusive count; its callers lie beneath it. Self is the box minus the boxes upon it."""
    return boxes_table(boxes_of(path, program, "x", "width"))


def inferno_table(path: Path, program: Path) -> Shown:
    """The same, with places as numbers of ns, which its page draws itself."""
    return boxes_table(boxes_of(path, program, f"{INFERNO}x", f"{INFERNO}w"))


def boxes_of(path: Path, program: Path, x: str, width: str) -> list[tuple[float, float, float, str, int]]:
    """(y, x, width, name, count) of each, from the bottom, from the left."""
    whole_ns = sum(int(line.rpartition(b" ")[2]) for line in path.read_bytes().split(b"\n") if line)
    # A pixel for each ns: drawn narrower, boxes at the border of two others could be upon either.
    text = output(program, "--countname", "ns", "--minwidth", "0", "--width", str(whole_ns + 2 * MARGIN), path)
    found = []
    for group in ElementTree.fromstring(text).iter(f"{SVG}g"):
        title, box = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        match = TITLE.match(title.text or "") if title is not None else None
        if match is None or box is None:
            continue
        count = int(match["count"].replace(",", ""))
        found.append((float(box.get("y", 0)), float(box.get(x, 0)), float(box.get(width, 0)), match["name"], count))
    found.sort(key=lambda each: (-each[0], each[1]))
    assert found and found[0][3] == "all", text[:2000]
    return found


def boxes_table(boxes: list[tuple[float, float, float, str, int]]) -> Shown:
    numbers: dict[str, Numbers] = {}
    below: list[tuple[float, float, int, tuple[str, ...]]] = []  # of the row beneath: x, end, index, names from the root
    row: list[tuple[float, float, int, tuple[str, ...]]] = []
    own = [box[4] for box in boxes]
    level = None
    for index, (y, x, width, name, count) in enumerate(boxes):
        if y != level:
            below, row, level = row, [], y
        # Widths have one decimal and empty boxes none: the parent is the last that begins at or before the middle of this box.
        parents = [parent for parent in below if parent[0] - 0.2 <= x + width / 2 <= parent[1] + 0.2]
        names = ()
        if parents:
            parent = max(parents, key=lambda each: min(each[1], x + width) - max(each[0], x))
            own[parent[2]] -= count
            names = parent[3]
        if name not in names:
            numbers.setdefault(name, Numbers(0, 0, None, None)).total_ns += count
        row.append((x, x + width, index, (*names, name)))
    for box, left in zip(boxes, own, strict=True):
        numbers[box[3]].self_ns += left
    del numbers["all"]
    return {html.unescape(name): [each] for name, each in numbers.items()}
