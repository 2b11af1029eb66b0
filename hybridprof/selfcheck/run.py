# SPDX-License-Identifier: MIT
"""Starts each check in processes of its own and turns what they measured into verdicts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import hybridprof
from hybridprof import ruling

from . import calls, counts, sampling, shares, stacks
from .promises import PROMISES
from .results import NOTHING, Found, Raw, Result, failed, result_of

PATIENCE_S = 30.0  # beyond twice what a process should take: a machine may be slow (see results.MORE_S), a hang has no end
QUICK = 0.2  # of the seconds
FEWEST_PROCESSES = 5  # what an interval over processes needs

# The package that runs here, whatever else the path holds; but for its import the path is the interpreter's own.
START = "import sys; sys.path.insert(0, sys.argv[1]); import hybridprof; del sys.path[0]; from hybridprof.selfcheck.run import child; child(*sys.argv[2:])"


@dataclass(frozen=True, slots=True)
class Check:
    """seconds: of each of its processes. promises: the lines that `judge` gives."""

    name: str
    promises: tuple[str, ...]
    measure: Callable[[float], Raw]
    judge: Callable[[list[Raw]], dict[str, Found]]
    seconds: float
    processes: int = 1


CHECKS = {
    check.name: check
    for check in (
        Check("stacks", ("impossible_stacks",), stacks.impossible, stacks.judge, 4.0),
        Check("counts", ("count_differences",), counts.compared, counts.judge, 0.0),
        Check("bias", ("sampling_bias",), shares.sampled, shares.judge_sampled, 0.8, 10),
        Check("shares", ("traced_share_error",), shares.traced, shares.judge_traced, 0.8, 8),
        Check("calls", ("traced_call", "gated_call"), calls.costs, calls.judge, 0.8, 6),
        Check("cost", ("sample_cost",), sampling.sample, sampling.judge_sample, 4.0),
        Check("slowdown", ("slowdown_100_hz",), sampling.slowdown, sampling.judge_slowdown, 9.0),
    )
}


class Failed(Exception):
    """A check's process did not come to its end: a sentence."""


class Starved(Exception):
    """It did not either, but most of the time it stood in line for a processor."""


def results(names: Iterable[str], quick: bool) -> Iterator[Result]:
    """The lines of these checks, each as soon as it is known."""
    for name in names:
        check = CHECKS[name]
        processes = min(check.processes, FEWEST_PROCESSES) if quick else check.processes
        seconds = check.seconds * (QUICK if quick else 1)
        try:
            found = check.judge([measured(check, seconds) for _ in range(processes)])
        except Starved:
            yield from (result_of(PROMISES[promise], (NOTHING, {})) for promise in check.promises)
        except Failed as error:
            yield from (failed(PROMISES[promise], str(error)) for promise in check.promises)
        else:
            yield from (result_of(PROMISES[promise], found[promise]) for promise in check.promises)


def measured(check: Check, seconds: float) -> Raw:
    """What one process measured. Raises Failed or Starved."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(hybridprof.__file__)))
    command = [sys.executable, "-P", "-c", START, package, check.name, str(seconds)]
    status, output, complaints = _ended(command, 2 * seconds + PATIENCE_S)
    if status < 0:
        raise Failed(f"its program was ended by {_signal_name(-status)}")
    if status:
        words = complaints.decode("utf-8", "replace").strip().splitlines()
        raise Failed(f"its program failed with status {status}: {words[-1] if words else 'it said nothing'}")
    try:
        raw: Raw = json.loads(output.splitlines()[-1])  # what comes before is of a sitecustomize
    except (ValueError, IndexError):
        raise Failed(f"its program printed no result but {output[:80]!r}") from None
    return raw


def _ended(command: list[str], limit: float) -> tuple[int, bytes, bytes]:
    """Status, output and complaints. Raises Failed or Starved after `limit` seconds."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise Failed(f"its program could not be started: {error}") from None
    with process:
        try:
            output, complaints = process.communicate(timeout=limit)
        except BaseException as error:
            in_line = _in_line(process.pid)
            process.kill()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            if in_line > limit / 3:
                raise Starved from None
            raise Failed(f"its program had not ended after {limit:.0f} s") from None
    return process.returncode, output, complaints


def _in_line(pid: int) -> float:
    """Seconds for which a process was ready to run and another had the processor; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def child(name: str, seconds: str) -> None:
    """The other side: measures and prints."""
    ruling.appoint_by(None)  # what a configuration lets run here is no part of what is measured
    print(json.dumps(CHECKS[name].measure(float(seconds))))
