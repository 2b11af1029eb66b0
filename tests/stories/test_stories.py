# SPDX-License-Identifier: MIT
"""The stories of docs/stories, from the commands on the page to the numbers that other people's programs show in the end."""

from __future__ import annotations

import os
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from stories.page import PAGES, follow, read, told

import hybridprof

STORIES = ("slow-script", "flame-graph", "async-service", "long-running", "critical-function")
SVG = "{http://www.w3.org/2000/svg}"


def tool(command: str, places: list[str | None], install: str) -> dict[str, Path]:
    """In CI a missing tool is a failure; elsewhere the reader sees what was not tested."""
    for place in places:
        if place and Path(place).exists():
            return {command: Path(place)}
    sentence = f"{command} is not on this machine; install it with: {install}"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def flamegraph() -> dict[str, Path]:
    places = [shutil.which("flamegraph.pl"), "/usr/share/perl5/Devel/NYTProf/flamegraph.pl"]
    return tool("flamegraph.pl", places, "apt-get install libdevel-nytprof-perl")


def gprof2dot() -> dict[str, Path]:
    clients = os.environ.get("HYBRIDPROF_CLIENTS", "/nonexistent")
    install = "scripts/setup tools clients, and HYBRIDPROF_CLIENTS set to the folder that it prints (make test does)"
    return tool("gprof2dot", [f"{clients}/gprof2dot"], install)


def dot() -> dict[str, Path]:
    return tool("dot", [shutil.which("dot")], "apt-get install graphviz")


def test_every_page_is_a_story_that_is_tested() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == set(STORIES)
    listed = (PAGES / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.md)" in listed for name in STORIES)
    assert all(read(name).commands for name in STORIES)


# --- a slow script ------------------------------------------------------------------------------------------------------------------

ROW = re.compile(r"^ *(?P<calls>\d+)(?:/\d+)? +(?P<own>[\d.]+) +[\d.]+ +(?P<total>[\d.]+) +[\d.]+ (?P<place>.+)$")


def table(text: str) -> tuple[list[str], list[re.Match[str]]]:
    """What the program printed, and the rows of pstats."""
    printed, _, rows = text.partition("filename:lineno(function)\n")
    assert rows, text
    return [line for line in printed.splitlines() if re.fullmatch(r"\d \d+", line)], [
        row for row in map(ROW.match, rows.splitlines()) if row
    ]


def test_slow_script(tmp_path: Path) -> None:
    follow("slow-script", tmp_path, {})
    printed, rows = table((tmp_path / "before.txt").read_text())
    assert rows[0]["place"].startswith("digits.py:")
    assert rows[0]["place"].endswith("(digits_of)")
    assert rows[0]["calls"] == "40"
    assert float(rows[0]["own"]) > max(float(row["own"]) for row in rows[1:])
    assert sum(int(line.split()[1]) for line in printed) == sum(len(str(3**exponent)) for exponent in range(7000, 7040))
    printed_fast, rows_fast = table((tmp_path / "after.txt").read_text())
    assert printed_fast == printed
    assert len(printed) == 10
    (fast,) = (row for row in rows_fast if row["place"].endswith("(digits_of)"))
    assert fast["calls"] == "40"
    assert float(fast["own"]) < float(rows[0]["own"]) / 2


# --- a flame graph ------------------------------------------------------------------------------------------------------------------

BOX = re.compile(r"(?P<name>.*) \((?P<count>[\d,]+) ns, (?P<share>[\d.]+)%\)$", re.DOTALL)


def boxes(path: Path) -> dict[str, float]:
    """Function -> percent of the picture's width, the widest box of each."""
    found: dict[str, float] = {}
    for title in ElementTree.parse(path).iter(f"{SVG}title"):
        if match := BOX.match(title.text or ""):
            name = match["name"].partition(" (")[0]
            found[name] = max(found.get(name, 0), float(match["share"]))
    return found


def test_flame_graph(tmp_path: Path) -> None:
    follow("flame-graph", tmp_path, flamegraph())
    for name in ("words.svg", "words-again.svg"):
        widths = boxes(tmp_path / name)
        assert widths["__main__.edit_distance"] > 60
        assert widths["__main__.nearest"] >= widths["__main__.edit_distance"]
        assert all(share <= widths["__main__.main"] for function, share in widths.items() if function.startswith("__main__.nearest"))
    suggestions, again = (told((tmp_path / name).read_text()) for name in ("suggestions.txt", "suggestions-again.txt"))
    assert len(suggestions) == 120
    assert again == suggestions  # and not a line of the profiler's


# --- an asynchronous service --------------------------------------------------------------------------------------------------------


def picture(path: Path) -> dict[str, list[str]]:
    """The first line of each box of Graphviz' picture -> the lines beneath it."""
    found = {}
    for group in ElementTree.parse(path).iter(f"{SVG}g"):
        lines = [text.text or "" for text in group.iter(f"{SVG}text")]
        if group.get("class") == "node" and lines:
            found[lines[0]] = lines[1:]
    return found


def test_async_service(tmp_path: Path) -> None:
    follow("async-service", tmp_path, gprof2dot() | dot())
    shown = picture(tmp_path / "service.svg")
    (search,) = (lines for name, lines in shown.items() if name.startswith("service:") and name.endswith(":search"))
    (compiled,) = (lines for name, lines in shown.items() if name.endswith(":compile") and "__init__" in name)
    assert "200×" in search
    assert "8000×" in compiled
    share = float(search[0].rstrip("%"))
    assert share > 50
    assert float(compiled[0].rstrip("%")) <= share
    others = [float(lines[0].rstrip("%")) for name, lines in shown.items() if name.endswith((":health", ":item"))]
    assert sum(others) < share / 4


# --- a long-running process ---------------------------------------------------------------------------------------------------------


def test_long_running(tmp_path: Path) -> None:
    said = follow("long-running", tmp_path, {})
    assert "__main__.sieve" in said
    profile = hybridprof.load(tmp_path / "worker.hyprof")
    assert profile.meta["pid"] == int((tmp_path / "worker.pid").read_text())
    assert profile.meta["duration_ns"] > 1e9
    rows = {row.name: row for row in profile.functions}
    assert rows["sieve"].measured == "sampled"
    assert rows["sieve"].self_ns > sum(row.self_ns for row in profile.functions) / 2


# --- one critical function ----------------------------------------------------------------------------------------------------------


def test_critical_function(tmp_path: Path) -> None:
    said = follow("critical-function", tmp_path, {})
    rows = {row.name: row for row in hybridprof.load(tmp_path / "shop.hyprof").functions if row.module == "__main__"}
    assert {name: (rows[name].calls, rows[name].measured, rows[name].self_error_ns) for name in ("checkout", "price_of", "tax")} == {
        "checkout": (200, "exact", 0),
        "price_of": (600, "exact", 0),
        "tax": (600, "exact", 0),
    }
    assert (rows["render"].calls, rows["render"].measured) == (None, "sampled")
    assert rows["render"].self_ns > rows["checkout"].total_ns
    assert rows["render"].self_error_ns > 0
    assert "__main__.checkout" in said
    assert re.search(r"600\b.*__main__\.tax", said)
