# SPDX-License-Identifier: MIT
"""`hybridprof [-o FILE] [-s KEY] [-m] script.py|module [args]`: what the same words after `python -m cProfile` do.

Every call is traced, C functions too; the sampler runs beside it. Without -o the table of pstats is printed at exit; with -o a pstats file is
written whatever its name, unless the name asks for another of our formats. One difference is meant: a generator that is resumed is not called again.
"""

from __future__ import annotations

import pstats
from typing import Any

import hybridprof

from . import arguments, run
from .main import USAGE, BadInput, Parser

VALUED = {"-o", "--outfile", "-s", "--sort"}
SORT_KEYS: dict[str, Any] = vars(pstats.Stats)["sort_arg_dict_default"]


def parser() -> Parser:
    made = Parser(prog="hybridprof", usage=USAGE.removeprefix("usage: "))
    made.add_argument(
        "-o",
        "--outfile",
        metavar="FILE",
        help="save the profile to FILE, as pstats unless its name says otherwise; - is standard output, and the program's then goes to standard error",
    )
    made.add_argument("-s", "--sort", metavar="KEY", help="how the table is sorted: " + ", ".join(sorted(SORT_KEYS)))
    return made


def main(argv: list[str]) -> int:
    ours, target = arguments.split(argv, VALUED, "give a script or -m MODULE after the options (see: hybridprof --help)")
    options = parser().parse_args(ours)
    if options.sort is not None and options.sort not in SORT_KEYS:
        raise BadInput(f"cannot sort by {options.sort!r}; use one of {', '.join(sorted(SORT_KEYS))}")
    if hybridprof.DISABLED:
        return run.bare(target)

    from .recording import Recording, checked_output

    def show(profile: hybridprof.Profile) -> None:
        profile.stats().strip_dirs().sort_stats(options.sort or 2).print_stats()

    outputs = [] if options.outfile is None else [checked_output(options.outfile, otherwise="pstats")]
    profiler = hybridprof.Profiler(deep=["*"], c_calls=True)
    return run.recorded(Recording(profiler, outputs, None if outputs else show, quiet=True), target)
