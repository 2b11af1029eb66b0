# SPDX-License-Identifier: MIT
"""`hybridprof judge --canary A --control B`: is the canary worse? Exit status 0: no, 1: yes, 3: the figures do not tell.

3 has a number of its own: 0 must mean that it was shown to be harmless, so that `judge && promote` is safe, and 1 that it was shown to do harm, so that
`judge || roll back` by that number is no answer to having measured too little. 2 is bad input, as everywhere."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from hybridprof.rollout.figures import read
from hybridprof.rollout.judge import FIGURES, Comparison, Judgement, judge
from hybridprof.rollout.prometheus import Names

from . import table
from .main import BadInput, Parser

STATUS = {"pass": 0, "fail": 1, "not enough data": 3}
_SCALE = {"p50": 100, "p95": 100, "cpu": 100, "errors": 100, "restarts": 1}  # a tolerance as it is typed / as it is judged


def parser() -> Parser:
    made = Parser(
        prog="hybridprof judge",
        description="Compares figures of hosts with a change and without. Exit status 0: pass, 1: fail, 3: not enough data, 2: bad input.",
    )
    add = made.add_argument
    files = "numbers (latencies, one a line), JSON or Prometheus' text format; several files, or folders: one host each"
    add("--canary", metavar="FILE", nargs="+", required=True, help=files)
    add("--control", metavar="FILE", nargs="+", required=True, help="the same of hosts without the change")
    add(
        "--tolerance",
        metavar="FIGURE=NUMBER",
        action="append",
        default=[],
        help="what is allowed: p50, p95, cpu in percent (2), errors in percent points (0.1), restarts by host (0.05); may be repeated",
    )
    add("--level", type=float, default=5.0, metavar="PERCENT", help="chance of a false alarm among all figures (default 5)")
    add("--looks", type=int, default=1, metavar="N", help="how often this rollout will be judged in all (default 1)")
    add("--seed", type=int, default=0, metavar="N", help="of the bootstrap (default 0)")
    for figure in ("latency", "requests", "errors", "restarts"):
        add(f"--{figure}", metavar="NAME", help=f"Prometheus' name of the {'histogram or summary' if figure == 'latency' else 'counter'}")
    add("--json", action="store_true", help="for programs: effects and tolerances as shares, not percent")
    return made


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    if not 0.01 <= options.level <= 50:
        raise BadInput(f"--level must be from 0.01 to 50 percent, not {options.level:g}")
    names = Names(options.latency, options.requests, options.errors, options.restarts)
    canary, control = read(options.canary, names), read(options.control, names)
    found = judge(canary, control, _tolerances(options.tolerance), level=options.level / 100, looks=options.looks, seed=options.seed)
    hosts = {"canary": len(canary), "control": len(control)}
    if options.json:
        json.dump(as_json(found, hosts), sys.stdout)
        sys.stdout.write("\n")
    else:
        _say(found, hosts)
    return STATUS[found.verdict]


def _tolerances(texts: list[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, equals, number = text.partition("=")
        if name not in _SCALE or not equals:
            raise BadInput(f"--tolerance {text!r} names no figure; write one of {', '.join(f'{figure}=NUMBER' for figure in _SCALE)}")
        try:
            found[name] = float(number) / _SCALE[name]
        except ValueError:
            raise BadInput(f"--tolerance {text!r} has no number; write for instance {name}=2") from None
    return found


def _say(found: Judgement, hosts: dict[str, int]) -> None:
    many = {name: f"{count:,} host{'s' if count != 1 else ''}" for name, count in hosts.items()}
    table.say(f"{found.verdict}: {many['canary']} with the change against {many['control']} without")
    for reason in found.reasons:
        table.say(f"  {reason}")
    unknown = [figure.name for figure in FIGURES if figure.name not in {each.figure.name for each in found.comparisons}]
    if unknown:
        table.say(f"not known of either side, and not judged: {', '.join(unknown)}")
    if set(hosts.values()) == {1}:
        table.say("one host on each side: its requests were taken to be independent, and differences between hosts look like the change's")
    looks = f"; {found.looks} looks" if found.looks > 1 else ""
    table.say(f"false alarms among all figures: at most {100 * found.level:g} %{looks}; seed {found.seed}")


def as_json(found: Judgement, hosts: dict[str, int]) -> dict[str, Any]:
    """The stable shape; null where a number is not known."""
    return {
        "verdict": found.verdict,
        "reasons": list(found.reasons),
        "hosts": hosts,
        "level": found.level,
        "looks": found.looks,
        "seed": found.seed,
        "figures": [_figure(each) for each in found.comparisons],
    }


def _figure(each: Comparison) -> dict[str, Any]:
    numbers = {name: getattr(each, name) for name in ("canary", "control", "effect", "low", "high")}
    finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    figure = each.figure
    return {
        "name": figure.name,
        "scale": "relative" if figure.relative else "difference",
        "tolerance": figure.tolerance,
        **finite,
        "verdict": each.verdict,
        "reason": each.reason,
    }
