# SPDX-License-Identifier: MIT
"""`hybridprof diff BASE NEW`: what changed from one profile to another, as a table, JSON or stacks."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any

from hybridprof.difference import COMPARES, LEAST_DRIFT, Change, Diff, FunctionChange
from hybridprof.merging import GUESSED
from hybridprof.profile import load

from . import table
from .main import BadInput, Parser, complain
from .recording import checked_output
from .terminal import of_stdout
from .terminal import width as text_width

_ORDERS: dict[str, Callable[[FunctionChange], Any]] = {
    "change": lambda row: (not row.self.significant, -abs(row.self.deviation_ns)),
    "slower": lambda row: -row.self.deviation_ns,
    "faster": lambda row: row.self.deviation_ns,
    "relative": lambda row: -abs(row.self.relative),
    "significance": lambda row: row.self.p,
    "total": lambda row: -abs(row.total.deviation_ns),
    "base": lambda row: -row.self.base_ns,
    "new": lambda row: -row.self.new_ns,
    "name": lambda row: (row.function.module, row.function.name),
    "file": lambda row: (row.function.file, row.function.line),
}
HEADER = ["", "base", "new", "change", "±", "change %", "total base", "total new", "change", "±", "function"]
TOTALS = range(6, 10)  # columns


def parser() -> Parser:
    made = Parser(
        prog="hybridprof diff",
        description="Compares two profiles (.hyprof or pstats) of one program. A change is marked with * where it is more than sampling, machine "
        "and runs account for; of all that are marked one in twenty is expected to be noise.",
    )
    add = made.add_argument
    add("base", metavar="BASE")
    add("new", metavar="NEW")
    add("-s", "--sort", default="change", metavar="KEY", help=f"one of {', '.join(_ORDERS)} (default change: marked ones first)")
    add("-n", "--limit", type=int, default=None, metavar="N", help=f"print N functions, 0 for all (default {table.LIMIT}; with --json all)")
    add(
        "--compare",
        default="auto",
        metavar="WHAT",
        help="auto: functions against the ratio that most of them have, which takes up a slower machine and a longer run; time: as measured; "
        "share: shares of all time (default auto)",
    )
    add(
        "--fail-if-slower",
        type=float,
        metavar="PERCENT",
        help="exit status 1 where a function is marked and slower by more than this, or the whole program is",
    )
    add("-f", "--format", metavar="FORMAT", help="collapsed: differential stacks, `stack BASE NEW` in ns, for flamegraph.pl")
    add("-o", "--output", metavar="OUT", help="write those to a file whose name ends in .collapsed or .folded")
    add("--json", action="store_true", help="for programs: times in ns")
    return made


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    _check(options)
    base, new = load(options.base), load(options.new)
    try:
        found = Diff(base, new, options.compare)
    except ValueError as error:
        raise BadInput(f"{options.base} and {options.new}: {error}") from None
    for file, profile in ((options.base, base), (options.new, new)):
        for warning in profile.meta["warnings"]:
            if warning.startswith(GUESSED):
                complain(f"{file}: {warning}")
    if found.unrelated:
        complain(_unrelated(found, options))
    if options.output not in (None, "-"):
        found.write(checked_output(options.output).path)
    elif options.format or options.output == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(found.collapsed())
        sys.stdout.buffer.flush()
    elif options.json:
        _print_json(found, options)
    else:
        _print_table(found, options)
    return _verdict(found, options.fail_if_slower)


def _check(options: Any) -> None:
    if options.sort not in _ORDERS:
        raise BadInput(f"cannot sort by {options.sort!r}; use one of {', '.join(_ORDERS)}")
    if options.compare not in COMPARES:
        raise BadInput(f"--compare must be one of {', '.join(COMPARES)}, not {options.compare!r}")
    if options.limit is not None and options.limit < 0:
        raise BadInput(f"--limit must be 0 (all) or more, not {options.limit}")
    if options.fail_if_slower is not None and not 0 <= options.fail_if_slower < math.inf:
        raise BadInput(f"--fail-if-slower must be a number of percent, 0 or more, not {options.fail_if_slower}")
    if options.format not in (None, "collapsed"):
        raise BadInput(f"a difference is not written as {options.format!r}; use collapsed")
    if options.output not in (None, "-") and checked_output(options.output, otherwise=options.format).format != "collapsed":
        raise BadInput(f"a difference is written as collapsed stacks only; end {options.output!r} in .collapsed or .folded")
    if options.json and (options.format or options.output):
        raise BadInput("--json prints a table and -f or -o writes stacks; ask for one of them at a time")


def _unrelated(found: Diff, options: Any) -> str:
    old, new = found.common
    return (
        f"{options.base} and {options.new} look like profiles of different programs: {100 * old:.0f} % and {100 * new:.0f} % of their time "
        "is in functions that both have"
    )


def _shown(found: Diff, options: Any) -> list[FunctionChange]:
    rows = [row for row in found.functions if row.function.kind != "thread" or row.self.base_ns or row.self.new_ns]
    key = _ORDERS[options.sort]
    return sorted(rows, key=lambda row: (key(row), -abs(row.self.deviation_ns), row.function.file, row.function.line, row.function.name))


def _print_table(found: Diff, options: Any) -> None:
    rows = _shown(found, options)
    limit = (options.limit if options.limit is not None else table.LIMIT) or None
    terminal = of_stdout()
    for text in _legend(found):
        for line in terminal.wrapped(text):
            table.say(line)
    for line in _columns([HEADER, *(_cells(row) for row in rows[:limit])], terminal.width):
        table.say(line)
    if limit is not None and len(rows) > limit:
        table.say(f"({len(rows) - limit} more functions; see --limit)")
    if not rows:
        table.say("(no functions were measured)")


def _columns(cells: list[list[str]], width: int | None) -> list[str]:
    """Totals go where they would leave no room for names."""
    numbers = sum(max(text_width(row[at]) for row in cells) + 2 for at in range(len(HEADER) - 1))
    without = TOTALS if width is not None and width - numbers < table.LEGIBLE else range(0)
    shown = [[cell for at, cell in enumerate(row) if at not in without] for row in cells]
    return table.columns(shown, left={0, len(shown[0]) - 1})


def _legend(found: Diff) -> list[str]:
    old, new = found.whole_ns
    change, error = found.whole_change
    whole = f"all time: {table.duration(old)} before, {table.duration(new)} after, change {_signed(round(change))} ± {table.duration(round(error))}"
    against = {
        "auto": f"functions are judged against new / base = {found.scale:.3f}, as it is for most of them",
        "time": "functions are judged by their times as measured",
        "share": f"functions are judged by their shares of all time: new / base = {found.scale:.3f}",
    }[found.compare]
    count = len(found.changed)
    return [
        f"{whole}; {against}, give or take {100 * found.run_to_run:.1f} % from run to run",
        f"* {count} of {found.tested} functions with enough time to tell changed; change: from {_expected(found)}; "
        "±: 95 % or more, all functions taken into account, and less than the change where it is marked",
    ]


def _expected(found: Diff) -> str:
    """What a function is held against. In `auto` the ratio of the others: it is not its own yardstick."""
    return f"about {found.scale:.3f} times base, by the other functions" if found.compare == "auto" else f"{found.scale:.3f} times base"


def _cells(row: FunctionChange) -> list[str]:
    change = row.self
    return [
        "*" if change.significant else "",
        table.duration(change.base_ns),
        table.duration(change.new_ns),
        _signed(change.deviation_ns),
        table.duration(round(change.deviation_error_ns)),
        _percent(change),
        table.duration(row.total.base_ns),
        table.duration(row.total.new_ns),
        _signed(row.total.deviation_ns),
        table.duration(round(row.total.deviation_error_ns)),
        table.title(row.function),
    ]


def _signed(ns: int) -> str:
    return ("+" if ns > 0 else "") + table.duration(ns)


def _percent(change: Change) -> str:
    if math.isinf(change.relative):
        return "new"
    if not change.new_ns and change.base_ns:
        return "gone"
    return f"{100 * change.relative:+.1f} %" if change.base_ns else ""


def _print_json(found: Diff, options: Any) -> None:
    rows = _shown(found, options)[: options.limit or None]
    old, new = found.whole_ns
    answer = {
        "meta": {
            "compare": found.compare,
            "scale": found.scale,
            "run_to_run": found.run_to_run,
            "base_ns": old,
            "new_ns": new,
            "change_ns": round(found.whole_change[0]),
            "change_error_ns": round(found.whole_change[1]),
            "common_base": found.common[0],
            "common_new": found.common[1],
            "unrelated": found.unrelated,
            "tested": found.tested,
            "changed": len(found.changed),
            "base": found.base.meta,
            "new": found.new.meta,
        },
        "functions": [as_json(row) for row in rows],
    }
    json.dump(answer, sys.stdout, default=str)
    sys.stdout.write("\n")


def as_json(row: FunctionChange) -> dict[str, Any]:
    """The stable shape of a function; relative changes are null where base is 0."""
    return {
        "name": row.function.name,
        "module": row.function.module,
        "file": row.function.file,
        "line": row.function.line,
        "base_self_ns": row.self.base_ns,
        "new_self_ns": row.self.new_ns,
        "base_total_ns": row.total.base_ns,
        "new_total_ns": row.total.new_ns,
        "change_self_ns": row.self.change_ns,
        "change_error_ns": round(row.self.error_ns),
        "deviation_self_ns": row.self.deviation_ns,
        "deviation_error_ns": round(row.self.deviation_error_ns),
        "significant": row.self.significant,
        "relative_change": None if math.isinf(row.self.relative) else row.self.relative,
        "q": row.self.q,
        "change_total_ns": row.total.change_ns,
        "change_total_error_ns": round(row.total.error_ns),
        "deviation_total_ns": row.total.deviation_ns,
        "deviation_total_error_ns": round(row.total.deviation_error_ns),
        "relative_change_total": None if math.isinf(row.total.relative) else row.total.relative,
        "significant_total": row.total.significant,
        "measured_base": None if row.base is None else row.base.measured,
        "measured_new": None if row.new is None else row.new.measured,
    }


def _verdict(found: Diff, percent: float | None) -> int:
    """1, and a line that says why, where something is slower by more than asked for."""
    if percent is None:
        return 0
    slower = [row for row in found.changed if row.self.relative > percent / 100]
    for row in slower[:3]:
        complain(f"{table.title(row.function)} is slower by {_percent(row.self)}, and {percent:g} % is allowed")
    if len(slower) > 3:
        complain(f"{len(slower) - 3} more functions are slower by more than {percent:g} %")
    old, _ = found.whole_ns
    change, error = found.whole_change
    expected = error / LEAST_DRIFT
    grew = bool(old) and change > max(expected * percent / 100, error)
    if grew:
        complain(f"the whole took {100 * change / expected:.1f} % more time, and {percent:g} % is allowed")
    return 1 if slower or grew else 0
