# SPDX-License-Identifier: MIT
"""Rows of functions: aligned, in human units, and where there is a terminal no wider than it.

Own lines rather than a package for tables: the package has no dependencies, and what is special here, which column goes first and where a name
may be cut, would be ours anyway.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import ceil, sqrt
from typing import Any

from hybridprof.profile import Edge, Function, Node

from .main import BadInput
from .terminal import Terminal, of_stdout, padded, shortened, visible, width

LIMIT = 30

_ORDERS: dict[str, Callable[[Function], Any]] = {
    "self": lambda row: -row.self_ns,
    "total": lambda row: -row.total_ns,
    "calls": lambda row: -(row.calls or 0),
    "primitive": lambda row: -(row.primitive_calls or 0),
    "samples": lambda row: -row.samples,
    "error": lambda row: -row.self_error_ns,
    "name": lambda row: (row.module, row.name),
    "file": lambda row: (row.file, row.line),
    "line": lambda row: (row.line, row.file),
}
_ALIASES = {  # pstats' names for the same
    "tottime": "self",
    "time": "self",
    "cumtime": "total",
    "cumulative": "total",
    "ncalls": "calls",
    "pcalls": "primitive",
    "filename": "file",
    "module": "file",
    "nfl": "name",
    "stdname": "file",
}


def checked_key(key: str) -> str:
    """Our name of a sort key. Raises BadInput."""
    name = _ALIASES.get(key, key)
    if name not in _ORDERS:
        raise BadInput(f"cannot sort by {key!r}; use one of {', '.join((*_ORDERS, *_ALIASES))}")
    return name


def ordered(rows: Sequence[Function], key: str) -> list[Function]:
    return sorted(rows, key=lambda row: (_ORDERS[key](row), -row.self_ns, row.file, row.line, row.name))


def shown_rows(rows: Sequence[Function]) -> list[Function]:
    """Without the threads' own rows, which stand for no function, unless time is in them."""
    return [row for row in rows if row.kind != "thread" or row.self_ns]


@dataclass(frozen=True, slots=True)
class Filter:
    """text: with `*`, `?` or `[` a glob for a whole name or file, else a part of either, capitals or not."""

    text: str

    def matches(self, row: Function) -> bool:
        names = (label(row), row.name, row.file, title(row))
        if any(sign in self.text for sign in "*?["):
            return any(fnmatchcase(name, self.text) for name in names)
        return any(self.text.casefold() in name.casefold() for name in names)


def duration(ns: int) -> str:
    """`1.234 s`, `56.7 ms`: four digits at most."""
    for limit, unit, name in ((999_950_000, 1e9, "s"), (999_950, 1e6, "ms"), (1_000, 1e3, "µs")):
        if abs(ns) >= limit:
            value = ns / unit
            return f"{value:.{3 if abs(value) < 9.9995 else 2 if abs(value) < 99.995 else 1}f} {name}"
    return f"{ns} ns" if ns else "0"


def error(ns: int) -> str:
    """`260 ms`, `9.2 µs`: two digits, which is more than an error is known to; nothing where there is none."""
    for limit, unit, name in ((999_500_000, 1e9, "s"), (999_500, 1e6, "ms"), (1_000, 1e3, "µs")):
        if ns >= limit:
            value = ns / unit
            return f"{value:.{1 if value < 9.95 else 0}f} {name}"
    return f"{ns} ns" if ns else ""


def together(errors: Iterable[float]) -> int:
    """The error of a sum of times of which only one passes at a time: what one has too much another has too little of, so that adding up
    squares is cautious."""
    return ceil(sqrt(sum(float(each) ** 2 for each in errors)))


def with_error(ns: int, error_ns: int) -> str:
    return duration(ns) + (f" ± {error(error_ns)}" if error_ns else "")


def time_of(row: Function | Edge | Node, ns: int) -> str:
    """A trailing `+` where it is a lower bound."""
    return duration(ns) + ("+" if row.time_lower_bound else "")


def calls(row: Function | Edge | Node) -> str:
    """`-` where none was counted; a trailing `+` where it is a lower bound; `calls/primitive` where recursion makes them differ."""
    if row.calls is None:
        return "-"
    text = f"{row.calls:,}"
    primitive = None if isinstance(row, Node) else row.primitive_calls
    if primitive not in (None, row.calls):
        text += f"/{primitive:,}"
    return text + ("+" if row.measured == "mixed" else "")


def label(row: Function) -> str:
    return visible(f"{row.module}.{row.name}" if row.module and row.kind not in ("thread", "synthetic") else row.name)


def place(row: Function) -> str:
    if not row.file or row.file == "~":
        return ""
    return visible(f"{os.path.basename(row.file)}:{row.line}" if row.line else os.path.basename(row.file))


def title(row: Function, columns: int | None = None) -> str:
    """`package.module.Class.method (file.py:12)`; shortened to so many columns, the place first to go."""
    name, where = label(row), place(row)
    if columns is None:
        return f"{name} ({where})" if where else name
    room = columns - width(where) - 3
    if where and room >= min(width(name), LEGIBLE):
        return f"{shortened(name, room)} ({where})"
    return shortened(name, columns)


LEGIBLE = 24  # columns of a name, below which other things go first
HEADER = ("calls", "self", "±", "total", "±", "measured")
LEFT = 5  # the column that stands to the left of its room
MARKS = {"exact": "e", "sampled": "s", "mixed": "m"}


def cells(row: Function | Edge) -> list[str]:
    return [
        calls(row),
        time_of(row, row.self_ns),
        error(row.self_error_ns),
        time_of(row, row.total_ns),
        error(row.total_error_ns),
        row.measured,
    ]


@dataclass(frozen=True, slots=True)
class Detail:
    """A line beneath a row: what it says in the row's columns, a sign, and of whom or of what."""

    cells: Sequence[str]
    sign: str
    of: Function | str


Details = Callable[[Function], list[Detail]]


def show(rows: Sequence[Function], key: str, limit: int | None) -> None:
    """Prints a table to standard output, as wide as that is."""
    terminal = of_stdout()
    for text, style in rendered([Table("", rows)], key, limit, terminal):
        terminal.say(text, style)


@dataclass(frozen=True, slots=True)
class Table:
    """heading: a line above it, if it is not empty. details: what stands beneath a row."""

    heading: str
    rows: Sequence[Function]
    details: Details | None = None


def rendered(tables: Sequence[Table], key: str, limit: int | None, terminal: Terminal, only: Filter | None = None) -> list[tuple[str, str]]:
    """The lines of tables with the same columns and of one legend, each line with its style. limit: rows of each table, None for all."""
    every = [shown_rows(each.rows) for each in tables]
    wanted = [ordered([row for row in rows if only is None or only.matches(row)], key) for rows in every]
    chosen = [rows if limit is None else rows[:limit] for rows in wanted]
    groups = [[(row, each.details(row) if each.details else []) for row in rows] for each, rows in zip(tables, chosen, strict=True)]
    layout = _layout(groups, terminal)
    lines: list[tuple[str, str]] = []
    for at, each in enumerate(tables):
        lines += [(each.heading, "head")] if each.heading else []
        lines += _body(groups[at], layout)
        lines += [(line, "faint") for said in _left_out(every[at], wanted[at], chosen[at], only) for line in terminal.wrapped(said)]
        lines += [("", "")] if each.heading else []
    lines += [(line, "faint") for line in terminal.wrapped(legend([row for rows in chosen for row in rows], layout))]
    return [(terminal.cut(line), style) for line, style in lines]


Groups = list[tuple[Function, list[Detail]]]


def _layout(tables: Sequence[Groups], terminal: Terminal) -> Layout:
    rows = [row for groups in tables for row, _ in groups]
    beneath = [detail for groups in tables for _, details in groups for detail in details]
    return Layout.of([HEADER, *(cells(row) for row in rows), *(detail.cells for detail in beneath)], terminal)


def _body(groups: Groups, layout: Layout) -> list[tuple[str, str]]:
    lines = [(layout.line(HEADER, "function"), "head")]
    for row, details in groups:
        lines.append((layout.line(cells(row), title(row, layout.room)), "mixed" if row.measured == "mixed" else ""))
        lines += [(layout.line(each.cells, _of(each, layout.room)), "faint") for each in details]
    return lines


def _of(detail: Detail, room: int | None) -> str:
    sign = f"  {detail.sign} "
    return sign + (detail.of if isinstance(detail.of, str) else title(detail.of, None if room is None else max(8, room - len(sign))))


def _left_out(every: Sequence[Function], wanted: Sequence[Function], chosen: Sequence[Function], only: Filter | None) -> list[str]:
    found = []
    if len(chosen) < len(wanted):
        found.append(f"({len(wanted) - len(chosen)} more functions with {_self_of(wanted[len(chosen) :])} of self time; see --limit)")
    if only is not None and len(wanted) < len(every):
        others = [row for row in every if not only.matches(row)]
        found.append(f"({len(others)} functions with {_self_of(others)} of self time do not match {only.text!r})")
    if not every:
        found.append("(no functions were measured)")
    return found


def _self_of(rows: Sequence[Function]) -> str:
    return with_error(sum(row.self_ns for row in rows), together(row.self_error_ns for row in rows))


def legend(rows: Sequence[Function], layout: Layout) -> str:
    """What the columns mean, as far as there is something in them."""
    if not rows:
        return ""
    signs = {
        "- not counted": any(row.calls is None for row in rows),
        "+ at least": any(row.calls is not None and row.measured == "mixed" for row in rows),
        "a/b: b not from itself": any(row.primitive_calls not in (None, row.calls) for row in rows),
    }
    said = ", ".join(sign for sign, met in signs.items() if met)
    texts = [f"calls: {said}"] if said else []
    texts += ["self: alone", "total: with callees"]
    if any(row.time_lower_bound for row in rows):
        texts.append("time+: not all was seen")
    if any(row.self_error_ns or row.total_error_ns for row in rows):
        texts += ["±: 95 % interval"] if not layout.without >= {2, 4} else []
    elif any(row.self_ns and not row.self_error_ns for row in rows if row.measured == "sampled"):
        texts.append("no ±: the file keeps no errors")
    if layout.marks:
        texts.append("e exact, s sampled, m mixed")
    elif any(row.measured == "mixed" for row in rows):
        texts.append("mixed: partly exact")
    return "; ".join(texts)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns there is room for, how wide they are, and what is left for names (None: as much as they want)."""

    widths: tuple[int, ...]
    without: frozenset[int] = frozenset()
    marks: bool = False
    room: int | None = None

    @staticmethod
    def of(table: Sequence[Sequence[str]], terminal: Terminal) -> Layout:
        """The widest that leaves names legible; a column without a value goes without saying."""
        widths = tuple(max(width(row[at]) for row in table) for at in range(len(table[0])))
        if terminal.width is None:
            return Layout(widths)
        empty = frozenset(at for at in (2, 4) if not any(row[at] for row in table[1:]))
        narrow = (*widths[:LEFT], 1)
        for without, marks in ((empty, False), (empty, True), (empty | {4}, True), (empty | {2, 4}, True)):
            chosen = narrow if marks else widths
            room = terminal.width - sum(each + 2 for at, each in enumerate(chosen) if at not in without)
            if room >= LEGIBLE:
                break
        return Layout(chosen, without, marks, max(8, room))

    def line(self, cells: Sequence[str], name: str) -> str:
        texts = [*cells[:LEFT], *(("" if each == HEADER[LEFT] else MARKS.get(each, each)) if self.marks else each for each in cells[LEFT:])]
        parts = [padded(text, self.widths[at], at == LEFT) for at, text in enumerate(texts) if at not in self.without]
        return "  ".join([*parts, name]).rstrip()


def columns(table: list[list[str]], left: set[int]) -> list[str]:
    """Pads each column to its widest cell."""
    widths = [max(width(row[at]) for row in table) for at in range(len(table[0]))]
    return ["  ".join(padded(cell, widths[at], at in left) for at, cell in enumerate(row)).rstrip() for row in table]


def say(line: str) -> None:
    """Prints a line, cut to the terminal where there is one."""
    terminal = of_stdout()
    terminal.say(terminal.cut(line))
