# SPDX-License-Identifier: MIT
"""Rows of functions in a terminal: aligned, in human units, as wide as the terminal where there is one. No colours.

Own lines rather than a package for tables: five right-aligned columns and one that is cut to fit are less than its options.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

from hybridprof.profile import Edge, Function

from .main import BadInput

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


def duration(ns: int) -> str:
    """`1.234 s`, `56.7 ms`: four digits at most."""
    for limit, unit, name in ((999_950_000, 1e9, "s"), (999_950, 1e6, "ms"), (1_000, 1e3, "µs")):
        if abs(ns) >= limit:
            value = ns / unit
            return f"{value:.{3 if abs(value) < 9.9995 else 2 if abs(value) < 99.995 else 1}f} {name}"
    return f"{ns} ns" if ns else "0"


def calls(row: Function | Edge) -> str:
    """`-` where none was counted; a trailing `+` where it is a lower bound; `calls/primitive` where recursion makes them differ."""
    if row.calls is None:
        return "-"
    text = f"{row.calls:,}"
    if row.primitive_calls not in (None, row.calls):
        text += f"/{row.primitive_calls:,}"
    return text + ("+" if row.measured == "mixed" else "")


def label(row: Function) -> str:
    return f"{row.module}.{row.name}" if row.module and row.kind not in ("thread", "synthetic") else row.name


def place(row: Function) -> str:
    if not row.file or row.file == "~":
        return ""
    return f"{os.path.basename(row.file)}:{row.line}" if row.line else os.path.basename(row.file)


def title(row: Function) -> str:
    """`package.module.Class.method (file.py:12)`."""
    where = place(row)
    return f"{label(row)} ({where})" if where else label(row)


HEADER = ["calls", "self", "±", "total", "±", "measured", "function"]


def cells(row: Function) -> list[str]:
    return [
        calls(row),
        duration(row.self_ns),
        duration(row.self_error_ns) if row.self_error_ns else "",
        duration(row.total_ns),
        duration(row.total_error_ns) if row.total_error_ns else "",
        row.measured,
        title(row),
    ]


def show(rows: Sequence[Function], key: str, limit: int | None, details: Callable[[Function], list[str]] | None = None) -> None:
    """Prints the table; `details` gives lines to print beneath a row."""
    wanted = ordered(shown_rows(rows), key)
    chosen = wanted if limit is None else wanted[:limit]
    texts = [cells(row) for row in chosen]
    lines = columns([HEADER, *texts], left={5, 6})
    say(lines[0])
    for row, line in zip(chosen, lines[1:], strict=True):
        say(line)
        for detail in details(row) if details is not None else ():
            say(detail)
    if len(chosen) < len(wanted):
        rest = sum(row.self_ns for row in wanted) - sum(row.self_ns for row in chosen)
        say(f"({len(wanted) - len(chosen)} more functions with {duration(rest)} of self time; see --limit)")
    if not wanted:
        say("(no functions were measured)")


def columns(table: list[list[str]], left: set[int]) -> list[str]:
    """Pads each column to its widest cell."""
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def say(line: str) -> None:
    """Prints a line: cut to the terminal where there is one, and in characters that the stream can show."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        if len(line) > width:
            line = line[: max(1, width - 1)] + "…"
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        line.encode(encoding)
    except UnicodeError:
        line = line.replace("±", "+/-").replace("µ", "u").replace("…", "~").encode(encoding, "backslashreplace").decode(encoding)
    print(line.translate(_VISIBLE))


# A function may be named anything: its control characters must not reach the terminal.
_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
