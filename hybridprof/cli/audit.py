# SPDX-License-Identifier: MIT
"""`hybridprof audit verify|show FILE`: who changed what, and whether the record of it is whole."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from hybridprof.rollout.audit import quiet
from hybridprof.rollout.audit_chain import Record, Report, lines_of, parts_of, record_of, verified

from . import table
from .main import BadInput, Parser, complain


def parser() -> Parser:
    made = Parser(prog="hybridprof audit", description="Reads the audit log of a staged rollout, with the older files beside it.")
    ways = made.add_subparsers(dest="way", metavar="verify|show", required=True)
    verify = ways.add_parser("verify", help="exit status 1, and the first line that is not as it was written, where the chain is broken")
    verify.add_argument("file", metavar="FILE")
    verify.add_argument("--head", metavar="HASH", help="a record's hash that was kept elsewhere: it must be in the chain")
    show = ways.add_parser("show", help="print the records")
    show.add_argument("file", metavar="FILE")
    show.add_argument("--json", action="store_true", help="for programs: the records, and what verify says of them")
    return made


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    path = Path(options.file)
    known = getattr(options, "head", None)
    if known is not None and not re.fullmatch("[0-9a-f]{64}", known):
        raise BadInput(f"--head is a record's hash, 64 hexadecimal digits, not {known!r}")
    with quiet(path):
        report = verified(path, known)
        records = _records(path) if options.way == "show" else []
    if options.way == "show":
        _show(records, report, options.json)
    else:
        _say(report)
    if report.broken:
        complain(report.broken)
    return 1 if report.broken else 0


def _say(report: Report) -> None:
    if not report.broken:
        which = f"records {report.first} to {report.last}" if report.records else "no records"
        table.say(
            f"{which} in {report.files} file{'s' if report.files != 1 else ''} are as they were written; the last hash is {report.hash}"
        )
    for note in report.notes:
        table.say(f"note: {note}")


def _records(path: Path) -> list[Record]:
    """All that can be read, in the order in which they stand there."""
    found = []
    for file in parts_of(path):
        for line in lines_of(file):
            try:
                found.append(record_of(line))
            except ValueError:
                continue
    return found


def _show(records: list[Record], report: Report, as_json: bool) -> None:
    if as_json:
        meta = {"whole": report.broken is None, "broken": report.broken, "notes": report.notes, "records": report.records}
        json.dump({"meta": meta, "records": records}, sys.stdout)
        sys.stdout.write("\n")
        return
    for record in records:
        table.say(line(record))


def line(record: Record) -> str:
    """One record in words; texts as JSON, so that none of them can move a terminal's cursor."""
    until = f" until {record['until']}" if record["until"] else ""
    lost = f" (before it {record['lost']} could not be written)" if "lost" in record else ""
    modified = f" (changed {_plain(record['modified'])})" if "modified" in record else ""
    who = f"uid {record['uid']} pid {record['pid']} via {_plain(record['via'])}{modified}"
    return f"{_plain(record['time'])}  {who}  {_plain(record['what'])}: {json.dumps(record['old'])} -> {json.dumps(record['new'])}{until}{lost}"


def _plain(value: Any) -> str:
    text = json.dumps(value)
    return text[1:-1] if isinstance(value, str) else text
