# SPDX-License-Identifier: MIT
"""`hybridprof merge A B ... -o OUT`: many profiles to one."""

from __future__ import annotations

from hybridprof.merging import Outcome, merged

from .main import Parser, complain
from .recording import checked_output


def main(argv: list[str]) -> int:
    parser = Parser(
        prog="hybridprof merge",
        description="Adds profiles up: times, calls and samples, each profile once. Threads are one where their names differ in digits only.",
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help=".hyprof file, or folder that holds some; of any host, Python version and rate"
    )
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="file to write; its name tells the format")
    parser.add_argument(
        "--strict", action="store_true", help="refuse files that are damaged or were cut short, instead of leaving out what cannot be read"
    )
    options = parser.parse_args(argv)
    output = checked_output(options.output)
    outcome = Outcome()
    profile = merged(options.files, options.strict, outcome)
    profile.write(output.path, output.format)
    for sentence in (*outcome.left_out, *outcome.cut_short, *outcome.known):
        complain(sentence)
    if outcome.left_out:
        count = len(outcome.left_out)
        complain(f"{count} {'file was' if count == 1 else 'files were'} left out; {output.shown} holds {len(profile.sources):,} profiles")
    return 0
