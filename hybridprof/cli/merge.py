# SPDX-License-Identifier: MIT
"""`hybridprof merge A B ... -o OUT`: many profiles to one."""

from __future__ import annotations

from hybridprof.merging import GUESSED, Outcome, merged

from . import standard_output
from .main import Parser, complain
from .recording import checked_format, checked_output


def main(argv: list[str]) -> int:
    parser = Parser(
        prog="hybridprof merge",
        description="Adds profiles up: times, calls and samples, each profile once. Threads are one where their names differ in digits only.",
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help=".hyprof file, or folder that holds some; of any host, Python version and rate"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        help="file to write; its name tells the format; - is standard output, as hyprof unless -f says otherwise",
    )
    parser.add_argument("-f", "--format", metavar="FORMAT", help="the format, whatever OUT's name tells (see: hybridprof export --help)")
    parser.add_argument(
        "--strict", action="store_true", help="refuse files that are damaged or were cut short, instead of leaving out what cannot be read"
    )
    options = parser.parse_args(argv)
    format = checked_format(options.format)
    output = checked_output(options.output, otherwise=format or "hyprof" if options.output == standard_output.NAME else format)
    outcome = Outcome()
    profile = merged(options.files, options.strict, outcome)
    if output.is_standard:
        standard_output.write(profile, output.format)
    else:
        profile.write(output.path, format or output.format)
    for sentence in (warning for warning in profile.meta["warnings"] if warning.startswith(GUESSED) and len(profile.sources) > 1):
        complain(sentence)
    for sentence in (*outcome.left_out, *outcome.cut_short, *outcome.known):
        complain(sentence)
    if outcome.left_out:
        count = len(outcome.left_out)
        complain(f"{count} {'file was' if count == 1 else 'files were'} left out; {output.shown} holds {len(profile.sources):,} profiles")
    return 0
