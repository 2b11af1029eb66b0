# SPDX-License-Identifier: MIT
"""`hybridprof top PID|SOCKET`: the hottest functions of a running process, again and again, each time of the interval that has passed.

The process is asked for snapshots, and what is shown is the difference of two: all the reckoning is done here, none of it there.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hybridprof.profile import Function, Profile, load

from . import table
from .client import Client, Gone
from .main import BadInput, Parser, complain
from .terminal import Terminal, of_stdout

INTERVAL = 2.0  # seconds
LEAST_INTERVAL = 0.1
CLEAR, HOME, ERASE_LINE, ERASE_BELOW = "\x1b[2J", "\x1b[H", "\x1b[2K", "\x1b[J"

Key = tuple[str, str, str, int, str]


def parser() -> Parser:
    made = Parser(
        prog="hybridprof top",
        description="A live table of the hottest functions of a process that has a control socket. Ctrl-C ends it; the process goes on.",
    )
    add = made.add_argument
    add("target", metavar="PID|SOCKET")
    add(
        "-i",
        "--interval",
        type=float,
        default=INTERVAL,
        metavar="SECONDS",
        help=f"between two tables, which show what was in between (default {INTERVAL:g})",
    )
    add("-s", "--sort", default="self", metavar="KEY", help="self, total, calls, name, file, ... or pstats' names for them (default self)")
    add("-n", "--limit", type=int, metavar="N", help="N functions, 0 for all (default: as many as the terminal is high)")
    add("--filter", metavar="TEXT", help="only functions with TEXT in their name or file; with *, ? or [ a glob for the whole name or file")
    add("--total", action="store_true", help="everything since the session began, instead of the last interval")
    add("--once", action="store_true", help="one table, and done")
    return made


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    if not LEAST_INTERVAL <= options.interval <= 3600:
        raise BadInput(f"--interval must be from {LEAST_INTERVAL:g} to 3600 seconds, not {options.interval:g}")
    if options.limit is not None and options.limit < 0:
        raise BadInput(f"--limit must be 0 (all) or more, not {options.limit}")
    if options.filter == "":
        raise BadInput("--filter is empty; give a part of a name or a file")
    options.sort = table.checked_key(options.sort)
    try:
        _watch(Client(options.target), options)
    except KeyboardInterrupt:
        pass
    return 0


def _watch(client: Client, options: Any) -> None:
    """Until the process ends, which is no error, or somebody presses Ctrl-C."""
    live = Live(_taken(client))  # here nobody there is one
    screen = Screen()
    if options.total and options.once:
        screen.show(live.lines(options, screen))
        return
    while True:
        time.sleep(options.interval)
        try:
            live.add(_taken(client))
        except Gone as gone:
            complain(f"{options.target} is watched no longer: {gone}")
            return
        screen.show(live.lines(options, screen))
        if options.once:
            return


def _taken(client: Client) -> Profile:
    """A file that has no name: nothing of it is left behind, whatever happens."""
    descriptor = os.memfd_create("hybridprof-top", os.MFD_CLOEXEC)
    try:
        for piece in client.snapshot("hyprof"):
            os.write(descriptor, piece)
        return load(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


class Live:
    """The last two snapshots of a session."""

    def __init__(self, first: Profile) -> None:
        self._before: Profile | None = None
        self._now = first

    def add(self, profile: Profile) -> None:
        """Another session's begins anew."""
        same = profile.meta.get("profile_id") == self._now.meta.get("profile_id")
        self._before, self._now = (self._now if same else None), profile

    def rows(self, total: bool) -> Sequence[Function]:
        if total or self._before is None:
            return self._now.functions
        return between(self._before.functions, self._now.functions)

    def lines(self, options: Any, screen: Screen) -> list[tuple[str, str]]:
        only = None if options.filter is None else table.Filter(options.filter)
        tables = [table.Table("", [row for row in self.rows(options.total) if not is_ours(row)])]
        height = screen.height
        limit = height or table.LIMIT if options.limit is None else options.limit or None

        def lines(most: int | None) -> list[tuple[str, str]]:
            return [(self._heading(options.total), "head"), *table.rendered(tables, options.sort, most, screen.terminal, only)]

        found = lines(limit)
        if height and options.limit is None and len(found) > height:  # what stands around the rows is known only now
            found = lines(max(1, height - (len(found) - min(height, len(tables[0].rows)))))
        return found[:height] if height else found

    def _heading(self, total: bool) -> str:
        meta, before = self._now.meta, {} if total or self._before is None else self._before.meta

        def since(*keys: str) -> int:
            return int(_at(meta, keys)) - int(_at(before, keys))

        passed = since("duration_ns")
        cost = since("sampler_cpu_ns") + since("tracing", "overhead_ns")
        share = f"{100 * cost / passed:.2f} % of a core" if passed > 0 else "-"
        kept = since("samples", "kept")
        return f"process {meta['pid']}: {kept:,} samples in {table.duration(passed)}, {meta['rate_hz']:g} Hz {meta['clock']}, profiling took {share}"


def _at(meta: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        meta = meta.get(key, {})
    return meta or 0


def is_ours(row: Function) -> bool:
    """A thread of the profiler, which waits most of the time."""
    return row.kind == "thread" and row.name.startswith("<thread hybridprof-")


def key_of(row: Function) -> Key:
    return row.module, row.name, row.file, row.line, row.kind


def between(before: Sequence[Function], now: Sequence[Function]) -> list[Function]:
    """What came between two snapshots of one session. The variance of a sum is the sum of the parts' variances, so that the part's is a difference."""
    known = {key_of(row): row for row in before}
    rows = [_less(row, known.get(key_of(row))) for row in now]
    return [row for row in rows if row.self_ns > 0 or row.total_ns > 0 or row.calls or row.samples]


def _less(row: Function, old: Function | None) -> Function:
    if old is None:
        return row
    return replace(
        row,
        calls=None if row.calls is None else row.calls - (old.calls or 0),
        primitive_calls=None if row.primitive_calls is None else row.primitive_calls - (old.primitive_calls or 0),
        self_ns=max(0, row.self_ns - old.self_ns),
        total_ns=max(0, row.total_ns - old.total_ns),
        self_error_ns=_rest(row.self_error_ns, old.self_error_ns),
        total_error_ns=_rest(row.total_error_ns, old.total_error_ns),
        samples=row.samples - old.samples,
    )


def _rest(whole: int, part: int) -> int:
    return math.isqrt(max(0, whole * whole - part * part))


@dataclass(slots=True)
class Screen:
    """A terminal is written over, as wide and high as it is each time; a pipe gets one table after the other."""

    terminal: Terminal = field(default_factory=of_stdout)
    _shown: int = 0

    @property
    def moves(self) -> bool:
        return self.terminal.width is not None and os.environ.get("TERM", "dumb") != "dumb"

    @property
    def height(self) -> int:
        """Lines, but for the cursor's; 0 where it has no end."""
        return max(2, shutil.get_terminal_size().lines - 1) if self.moves else 0

    def show(self, lines: Sequence[tuple[str, str]]) -> None:
        self.terminal = of_stdout()
        if self.moves:
            sys.stdout.write(CLEAR + HOME if not self._shown else HOME)
        elif self._shown:
            print()
        for text, style in lines:
            if self.moves:
                sys.stdout.write(ERASE_LINE)
            self.terminal.say(self.terminal.cut(text), style)
        if self.moves:
            sys.stdout.write(ERASE_BELOW)
        sys.stdout.flush()
        self._shown += 1
