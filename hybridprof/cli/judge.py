# SPDX-License-Identifier: MIT
"""`hybridprof judge --canary A --control B`: is the canary worse? Exit status 0: no, 1: yes, 3: the figures do not tell.

3 has a number of its own: 0 must mean that it was shown to be harmless, so that `judge && promote` is safe, and 1 that it was shown to do harm, so that
`judge || roll back` by that number is no answer to having measured too little. 2 is bad input, as everywhere."""

from __future__ import annotations

import json
import math
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from hybridprof.rollout import verdict as verdicts
from hybridprof.rollout.audit import Actor, Log
from hybridprof.rollout.figures import read
from hybridprof.rollout.journal import FILE as AUDIT
from hybridprof.rollout.judge import FIGURES, Comparison, Judgement, judge
from hybridprof.rollout.prometheus import Names
from hybridprof.rollout.stages import NOTHING_RUNS, STAGES

from . import table
from .main import BadInput, Parser, complain

STATUS = {"pass": 0, "fail": 1, "not enough data": 3}
BY_A_JUDGE = STAGES[: STAGES.index("wide")]  # wide is an operator's decision
_SCALE = {"p50": 100, "p95": 100, "cpu": 100, "errors": 100, "restarts": 1}  # a tolerance as it is typed / as it is judged


def parser() -> Parser:
    made = Parser(
        prog="hybridprof judge",
        description="Compares figures of hosts with a change and without. Exit status 0: pass, 1: fail, 3: not enough data, 2: bad input.",
    )
    add = made.add_argument
    files = "numbers (latencies, one a line), JSON or Prometheus' text format; several files, or folders: one host each"
    add("--canary", metavar="FILE", nargs="+", help=files)
    add("--control", metavar="FILE", nargs="+", help="the same of hosts without the change")
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
    add(
        "--apply",
        metavar="STATE_DIR",
        help="let services with this state_dir follow the verdict: a failed canary is rolled back within five seconds",
    )
    add(
        "--roll-back-to",
        metavar="STAGE",
        choices=BY_A_JUDGE,
        default=NOTHING_RUNS,
        help=f"the highest stage after a fail (default {NOTHING_RUNS})",
    )
    add("--promote-to", metavar="STAGE", choices=BY_A_JUDGE, help="the highest stage after a pass (default: it stays as it is)")
    add("--withdraw", metavar="STATE_DIR", help="take the verdict away: from then on the configuration alone says what runs")
    add("--json", action="store_true", help="for programs: effects and tolerances as shares, not percent")
    return made


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    if options.withdraw is not None:
        return _withdraw(options)
    if not options.canary or not options.control:
        raise BadInput("a canary is compared with something: give --canary FILE and --control FILE")
    if options.promote_to and options.apply is None:
        raise BadInput("--promote-to says what --apply does: give the services' state_dir by --apply STATE_DIR")
    folder = None if options.apply is None else _folder(options.apply)
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
    if folder is not None:
        _apply(found, folder, options)
    return STATUS[found.verdict]


def _folder(name: str) -> Path:
    folder = Path(name)
    if not folder.is_dir():
        raise BadInput(f"{name} is no folder; give the state_dir of the services' configuration")
    return folder


def _apply(found: Judgement, folder: Path, options: Namespace) -> None:
    """Only what was shown moves anything: where the figures do not tell, the last verdict stays."""
    stage = {"fail": options.roll_back_to, "pass": options.promote_to}.get(found.verdict)
    if stage is None:
        if not options.json:
            table.say("the verdict in force stays as it is")
        return
    before = _before(folder)
    verdicts.write(folder, stage, found.verdict, found.reasons[0])
    _audit(folder, before, {"stage": stage, "verdict": found.verdict, "reason": found.reasons[0]})
    if not options.json:
        table.say(f"no stage above {stage} runs from now on where {folder} is the state_dir")


def _withdraw(options: Namespace) -> int:
    if options.canary or options.control or options.apply is not None:
        raise BadInput("--withdraw stands alone: it takes a verdict away and judges nothing")
    folder = _folder(options.withdraw)
    before = _before(folder)
    if before is None:
        raise BadInput(f"{folder} holds no verdict that could be withdrawn")
    verdicts.withdraw(folder)
    _audit(folder, before, None)
    table.say("the verdict is withdrawn")
    return 0


def _before(folder: Path) -> dict[str, Any] | None:
    try:
        found = verdicts.read(folder)
    except (OSError, ValueError) as error:
        return {"stage": NOTHING_RUNS, "verdict": "unreadable", "reason": str(error)}
    return None if found is None else {"stage": found.stage, "verdict": found.verdict, "reason": found.reason}


def _audit(folder: Path, old: object, new: object) -> None:
    log = Log(folder / AUDIT)
    if not log.append("verdict file", old, new, Actor.here("judge")):
        complain(f"the verdict counts, but {log.problem}")
    for path in (log.path, log.path.with_name(log.path.name + ".head")):
        if path.exists():
            verdicts.give_to_owner(path, folder)


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
