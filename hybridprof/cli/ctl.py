# SPDX-License-Identifier: MIT
"""`hybridprof ctl PID|SOCKET COMMAND`: asks or steers a running process by its control socket."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import suppress
from typing import IO, Any

from hybridprof.rollout.control.durations import shown

from . import table
from .client import Client
from .main import BadInput, Parser, complain
from .recording import NATIVE, checked_output


def parser() -> Parser:
    made = Parser(prog="hybridprof ctl", description="Asks or steers a running process by its control socket. Every change ends by itself.")
    made.add_argument("target", metavar="PID|SOCKET")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)

    def command(name: str, purpose: str, *, lasts: str = "") -> Parser:
        added: Parser = commands.add_parser(name, help=purpose, description=purpose)
        if lasts:
            added.add_argument("--for", dest="lasting", metavar="TIME", help=f"90s, 10m, 2h, 1d; {lasts}")
        if name != "snapshot":
            added.add_argument("--json", action="store_true", help="for programs: the answer as it came")
        return added

    command("status", "what runs, and why")
    start = command("start", "let it run as its configuration says; where that runs nothing, the sampler", lasts="default 1h")
    start.add_argument("--stage", metavar="STAGE", help="canary, fleet, deep or wide, instead of the configuration's")
    command("stop", "nothing runs for a time", lasts="default 1h")
    rate = command("rate", "another sampling rate for a time", lasts="default 1h")
    rate.add_argument("hz", metavar="HZ", type=float, help="samples in a second, 0 for none")
    targets = command("targets", "trace other functions for a time", lasts="needed, but to take back what was added")
    targets.add_argument("change", metavar="add|remove", choices=("add", "remove"))
    targets.add_argument("patterns", metavar="PATTERN", nargs="+", help="package.module:Class.method, module:*")
    targets.add_argument("--rate", dest="share", metavar="SHARE", type=float, help="the share of their calls to trace")
    snapshot = command("snapshot", "write what has been measured so far; profiling goes on")
    snapshot.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the name tells the format, as with export; - is standard output"
    )
    snapshot.add_argument("-f", "--format", metavar="FORMAT", help="where the name tells none")
    command("kill", "end everything now; nothing runs in the process any more until it ends")
    return made


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    if options.command == "snapshot":
        return _snapshot(options)
    client = Client(options.target)
    answer: dict[str, Any]
    answer = json.loads(client.ask("/status")) if options.command == "status" else client.change(f"/{options.command}", _fields(options))
    if options.json:
        json.dump(answer, sys.stdout)
        sys.stdout.write("\n")
    elif options.command == "status":
        _show(answer)
    else:
        _say(answer)
    return 0


def _fields(options: argparse.Namespace) -> dict[str, object]:
    given: dict[str, object] = {"for": getattr(options, "lasting", None)}
    if options.command == "start":
        given["stage"] = options.stage
    elif options.command == "rate":
        given["hz"] = options.hz
    elif options.command == "targets":
        given |= {options.change: options.patterns, "rate": options.share}
    return {name: value for name, value in given.items() if value is not None}


def _say(answer: dict[str, Any]) -> None:
    """After a change."""
    lasting = f", for {answer['for']}" if "for" in answer else ""
    table.say(f"process {answer['pid']}: {_what_runs(answer)}{lasting}: {answer['why']}")
    if answer["problem"]:
        complain(answer["problem"])


def _what_runs(answer: dict[str, Any]) -> str:
    if not answer["running"]:
        return "nothing runs"
    traced = f", traced: {', '.join(answer['patterns'])}" if answer["patterns"] else ""
    return f"{answer['rate_hz']:g} Hz{traced}"


def _show(answer: dict[str, Any]) -> None:
    _say({**answer, "problem": ""})
    control = answer.get("control") or {}
    shares = f"sampler {100 * answer['sampler_cpu_share']:.2f} %, tracer {100 * answer['tracer_share']:.2f} % of the process' CPU time"
    rows = [
        ["stage", str(answer["stage"])],
        ["samples", f"{(answer.get('samples') or {}).get('kept', 0):,}"],
        ["cost", shares if answer["running"] else "none"],
        ["configuration", str(answer.get("config") or "none")],
        ["control", f"{control.get('socket')}: {control.get('requests', 0)} requests, {control.get('refused', 0)} refused"],
        *(["override", _override(each)] for each in answer.get("overrides", [])),
        *(["problem", str(each)] for each in _problems(answer, control)),
    ]
    for line in table.columns(rows, left={0, 1}):
        table.say("  " + line)


def _problems(answer: dict[str, Any], control: dict[str, Any]) -> list[str]:
    output = answer.get("output") or {}
    found = [
        answer.get("problem"),
        output.get("problem"),
        (output.get("upload") or {}).get("problem"),
        control.get("problem"),
        (answer.get("audit") or {}).get("problem"),
        *answer.get("config_errors", []),
        *answer.get("warnings", []),
    ]
    return [each for each in found if each]


def _override(each: dict[str, Any]) -> str:
    value = ", ".join(each["value"]) if isinstance(each["value"], list) else f"{each['value']}"
    return f"{each['key']} = {value or 'none'}, for {shown(each['seconds_left'])} more, by {each['by']}"


def _snapshot(options: argparse.Namespace) -> int:
    """To a file beside the one that is asked for, and then in its place: a connection that breaks leaves what was there."""
    if options.output == "-":
        for piece in Client(options.target).snapshot(options.format or NATIVE):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return 0
    output = checked_output(options.output, otherwise=options.format)
    client = Client(options.target)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(output.path), prefix=".hybridprof-", delete=False) as file:  # 0600
        try:
            _fill(file, client, options.format or output.format)
            os.replace(file.name, output.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(file.name)
            raise
    complain(f"wrote {output.shown}; see it with: hybridprof report {output.shown}" if output.format == NATIVE else f"wrote {output.shown}")
    return 0


def _fill(file: IO[bytes], client: Client, name: str) -> None:
    for piece in client.snapshot(name):
        file.write(piece)
    if not file.tell():
        raise BadInput("the process answered with an empty profile")
    file.flush()
