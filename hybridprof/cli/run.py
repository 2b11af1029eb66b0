# SPDX-License-Identifier: MIT
"""`hybridprof run [options] script.py [args]`, `-m module`, `-c code`: the program behaves as without us."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import hybridprof

from . import arguments, program
from .arguments import Target
from .main import BadInput, Parser

if TYPE_CHECKING:
    from .recording import Output, Recording

USAGE = "give a script, -m MODULE or -c CODE after the options"
METHODS = ("auto", "same-cpu", "signal", "remote")  # those of hybridprof.api, which is not there under HYBRIDPROF_DISABLE
VALUED = {
    "-o",
    "--output",
    "-f",
    "--format",
    "-r",
    "--rate",
    "--clock",
    "--deep",
    "--deep-rate",
    "--budget",
    "--event-limit",
    "--hook",
    "--method",
    "-s",
    "--sort",
}


def parser() -> Parser:
    made = Parser(
        prog="hybridprof run",
        usage="hybridprof run [options] script.py|-m MODULE|-c CODE [args]",
        description="Runs a program under the profiler. Its arguments, exit status, output and signals stay as they are.",
    )
    add = made.add_argument
    add(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="OUT",
        help="file to write; its suffix picks the format; repeatable (default hybridprof.PID.hyprof). - is standard output, which then gets "
        "the profile alone: what the program writes there goes to standard error",
    )
    add("-f", "--format", metavar="FORMAT", help="the format of an OUT whose name tells none, such as - (see: hybridprof export --help)")
    add(
        "-r",
        "--rate",
        type=float,
        default=100.0,
        metavar="HZ",
        help="samples per second, 0 for tracing only (default 100; at most 10000, 200000 with --method remote)",
    )
    add("--clock", choices=("wall", "cpu"), default="wall", help="which time is sampled (default wall)")
    add(
        "--deep",
        action="append",
        default=[],
        metavar="PATTERN",
        help="trace calls exactly: package.module:Class.method, module:*, * for everything, auto for what 2 %% of a core allow; repeatable",
    )
    add("--deep-rate", type=float, default=1.0, metavar="P", help="the share of their calls to trace, above 0 and at most 1 (default 1)")
    add(
        "--budget",
        type=float,
        default=0.0,
        metavar="PERCENT",
        help="of one core, what tracing may take: over it fewer calls of the functions named by --deep are traced (default: no limit)",
    )
    add(
        "--event-limit",
        type=int,
        default=0,
        metavar="N",
        help="how many events (a call has two) one outermost call of a function named by --deep may have before the rest of it is left to the sampler",
    )
    add("--c-calls", action="store_true", help="trace calls of C functions too")
    add("--tasks", action="store_true", help="asyncio: stacks go on through the tasks that await the running one")
    add(
        "--timeline", action="store_true", help="keep samples in the order of time too, which speedscope and the Firefox Profiler then show"
    )
    add("--hook", choices=("auto", "monitoring", "setprofile"), default="auto", help="how calls are traced (default auto)")
    add("--method", choices=METHODS, default="auto", help="how the stack of a running thread is read (default auto)")
    add("-s", "--sort", metavar="KEY", help="print a table at exit, sorted by self, total, calls, name, file, ...")
    add("-q", "--quiet", action="store_true", help="do not say on stderr where the profile is")
    return made


def main(argv: list[str]) -> int:
    ours, target = arguments.split(argv, VALUED, USAGE)
    options = parser().parse_args(ours)
    if hybridprof.DISABLED:
        return bare(target)

    from . import table
    from .recording import Recording

    show = None
    if options.sort is not None:
        key = table.checked_key(options.sort)

        def show(profile: hybridprof.Profile) -> None:
            table.show(profile.functions, key, table.LIMIT)

    try:
        profiler = hybridprof.Profiler(
            rate=options.rate,
            clock=options.clock,
            deep=options.deep,
            deep_rate=options.deep_rate,
            hook=options.hook,
            c_calls=options.c_calls,
            method=options.method,
            budget=options.budget,
            tasks=options.tasks,
            event_limit=options.event_limit,
            timeline=options.timeline,
        )
    except (TypeError, ValueError) as error:
        raise BadInput(str(error)) from None
    outputs = _outputs(options.output or [f"hybridprof.{os.getpid()}.hyprof"], options.format)
    return recorded(Recording(profiler, outputs, show, options.quiet), target)


def _outputs(paths: list[str], format: str | None) -> list[Output]:
    """Raises BadInput for one that cannot be written, and for a format that none of them needs: it would be left out without a word."""
    from hybridprof import _core

    from .recording import checked_format, checked_output

    checked_format(format)
    if format is not None and all(_core.format_for_path(path) for path in paths):
        raise BadInput("-f is for an OUT whose name tells no format, such as -o -; here each name tells one")
    if paths.count("-") > 1:
        raise BadInput("standard output holds one profile, and -o - is given more than once")
    return [checked_output(path, otherwise=format) for path in paths]


def recorded(recording: Recording, target: Target) -> int:
    """Runs the program under a recording that was checked but has not begun."""
    program.check(target)
    return program.passing_on(lambda: _run(recording, program.prepared(target)))


def _run(recording: Recording, run: Callable[[Callable[[], None]], None]) -> int:
    recording.begin()
    try:
        run(recording.program_begins)
    finally:
        recording.program_ended()
    return 0


def bare(target: Target) -> int:
    """HYBRIDPROF_DISABLE: the program and nothing else."""
    program.check(target)
    run = program.prepared(target)
    program.passing_on(lambda: run(lambda: None))
    return 0
