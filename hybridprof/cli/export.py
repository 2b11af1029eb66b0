# SPDX-License-Identifier: MIT
"""`hybridprof export FILE -f FORMAT [-o OUT]`: one profile for another program."""

from __future__ import annotations

import argparse
import textwrap

from hybridprof import _core
from hybridprof.profile import Profile

from . import standard_output
from .main import BadInput, Parser, complain
from .recording import checked_format, checked_output
from .report import loaded


def _named(format: _core.Format) -> str:
    """What there is to say of it: formats/*/SPEC.md has it all."""
    names = " ".join([*format.suffixes, *([f"{format.prefix}*"] if format.prefix else [])])
    lost = ", ".join(format.loses) or "nothing"
    remark = f" {format.remark}." if format.remark else ""
    return f"({names}) {format.readers}. Keeps: {', '.join(format.keeps)}. Lost: {lost}.{remark}"


def _described(formats: list[_core.Format]) -> str:
    """A paragraph for each format that can be written: its name, the file names that tell it, what it is for, what it has no place for."""
    paragraphs = ["formats:"]
    for format in formats:
        if format.can_write:
            head = f"  {format.name:<12}"
            paragraphs.append(textwrap.fill(_named(format), 100, initial_indent=head, subsequent_indent=" " * 14, break_on_hyphens=False))
    return "\n".join(paragraphs)


def main(argv: list[str]) -> int:
    writable = [name for name, _, _, _, can_write in _core.formats() if can_write]
    parser = Parser(
        prog="hybridprof export",
        description="Converts a profile.",
        epilog=_described(_core.formats()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("-f", "--format", metavar="FORMAT", help=f"one of {', '.join(writable)}; may be left out where OUT's name tells it")
    parser.add_argument("-o", "--output", metavar="OUT", help="file to write; - or nothing: standard output")
    parser.add_argument("--state", metavar="STATES", help="only samples in these states (see: hybridprof report --help)")
    options = parser.parse_args(argv)
    checked_format(options.format)
    if options.output in (None, standard_output.NAME):
        _to_stdout(options.file, options.format, options.state)
        return 0
    output = checked_output(options.output, otherwise=options.format)
    profile, format = loaded(options.file, options.state), options.format or output.format
    profile.write(output.path, format)
    _say_if_empty(profile, format)
    return 0


def _to_stdout(file: str, format: str | None, states: str | None) -> None:
    if format is None:
        raise BadInput("no format given; use -f FORMAT, or -o OUT with a name that tells it")
    profile = loaded(file, states)
    standard_output.write(profile, standard_output.check(format))
    _say_if_empty(profile, format)


def _say_if_empty(profile: Profile, format: str) -> None:
    """Some formats have a place for time alone, and collapsed stacks none for a word about it."""
    keeps = next(each.keeps for each in _core.formats() if each.name == format)
    if "calls" in keeps or any(function.self_ns for function in profile.functions):
        return
    called = any(function.calls for function in profile.functions)
    held, advice = ("calls and no time", "; export it as pstats, callgrind or pprof") if called else ("no time", "")
    complain(f"the profile holds {held}, and {format} shows time alone: what was written shows nothing{advice}")
