# SPDX-License-Identifier: MIT
"""`hybridprof selfcheck`: what the installed profiler promises, measured on this machine."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import hybridprof

from . import table
from .main import BadInput, Parser

if TYPE_CHECKING:
    from hybridprof.selfcheck.results import Result

INTERRUPTED = 128 + 2  # as a shell says it


def _parser(checks: Sequence[str]) -> Parser:
    made = Parser(
        prog="hybridprof selfcheck",
        description="Runs programs whose truth is known on this machine, in less than a minute, and says with 95 % intervals what the installed profiler "
        'makes of them. Exit status 1 where a promise is broken or a program fails; "not shown" is no failure.',
    )
    made.add_argument("--quick", action="store_true", help="some ten seconds; more of the intervals are then too wide to show anything")
    made.add_argument(
        "--only", action="append", choices=checks, metavar="CHECK", help=f"one of {', '.join(checks)}; repeatable (default all)"
    )
    made.add_argument("--json", action="store_true", help="for programs: one object, units in the names of its keys")
    return made


def main(argv: list[str]) -> int:
    if hybridprof.DISABLED:
        raise BadInput("HYBRIDPROF_DISABLE is set, so there is no profiler to check; unset it")
    if not sys.executable:
        raise BadInput("this interpreter does not know where it is (sys.executable is empty), and every check has to start it")
    from hybridprof.selfcheck import run

    options = _parser(list(run.CHECKS)).parse_args(argv)
    names = [name for name in run.CHECKS if options.only is None or name in options.only]
    started = time.time()
    results = run.results(names, options.quick)
    try:
        found = list(results) if options.json else _shown(results)
    except KeyboardInterrupt:
        return INTERRUPTED
    if options.json:
        json.dump(_machine(options.quick, time.time() - started) | {"checks": [result.as_json() for result in found]}, sys.stdout)
        sys.stdout.write("\n")
    return 1 if any(result.bad for result in found) else 0


def _machine(quick: bool, duration: float) -> dict[str, Any]:
    return {
        "hybridprof": hybridprof.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.release()}-{platform.machine()}",
        "cpus": os.cpu_count(),
        "load_average_1_min": round(os.getloadavg()[0], 2),
        "quick": quick,
        "duration_s": round(duration, 1),
    }


def _shown(results: Iterator[Result]) -> list[Result]:
    """Prints each line as soon as it is known."""
    from hybridprof.selfcheck.promises import PROMISES

    wide = max(len(promise.what) for promise in PROMISES.values())
    machine = _machine(False, 0)
    table.say(f"hybridprof {machine['hybridprof']} on Python {machine['python']}, {machine['platform']}, {machine['cpus']} CPUs")
    table.say("")
    table.say(_line("verdict", "what", "measured (95 % interval)", "promise", wide))
    found = []
    for result in results:
        found.append(result)
        table.say(_line(result.verdict, result.promise.what, measured(result), result.promise.words(), wide))
        if result.why is not None:
            table.say(f"{'':16}{result.why}")
        sys.stdout.flush()
    table.say("")
    table.say(summary(found))
    return found


def _line(verdict: str, what: str, found: str, promise: str, wide: int) -> str:
    return f"{verdict:<14}  {what:<{wide}}  {found:<30}  {promise}".rstrip()


def measured(result: Result) -> str:
    """`+0.31 (-0.58 to +1.20) points`, without the brackets where it was counted or too little is known; `-` where nothing could be measured."""
    found, promise = result.found, result.promise
    if math.isnan(found.value):
        return "-"
    sign = f" {promise.sign}" if promise.sign else ""
    if found.low == found.high or not math.isfinite(found.low) or not math.isfinite(found.high):
        return f"{_number(found.value)}{sign}"
    plus = "+" if found.low < 0 else ""
    return f"{_number(found.value, plus)} ({_number(found.low, plus)} to {_number(found.high, plus)}){sign}"


def _number(value: float, plus: str = "") -> str:
    """Two digits behind the point; of what is smaller, two that say something."""
    if value == int(value):
        return f"{value:{plus}.0f}"
    return f"{value:{plus}.2f}" if abs(value) >= 0.01 else f"{value:{plus}.2g}"


def summary(found: Sequence[Result]) -> str:
    """One line: `8 promises: 6 hold, 1 not shown (sample_cost), 1 OUT OF PROMISE (slowdown_100_hz)`."""
    parts = []
    for verdict, words in (("ok", "hold"), ("not shown", "not shown"), ("out of promise", "OUT OF PROMISE"), ("failed", "FAILED")):
        names = [result.promise.name for result in found if result.verdict == verdict]
        if names:
            parts.append(f"{len(names)} {words}" + (f" ({', '.join(names)})" if verdict != "ok" else ""))
    return f"{len(found)} promises: {', '.join(parts)}"
