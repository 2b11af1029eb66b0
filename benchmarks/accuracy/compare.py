# SPDX-License-Identifier: MIT
"""How far each profiler is from the truth, on programs of every kind that time their own functions: samplers and tracers side by side, in one run, in turn.

python -m accuracy.compare [--quick] [--peer NAME ...] [--program NAME ...] [--runs N] [--seconds S] [--minutes M] [--tables]

Compared are shares of inclusive time, which every profiler has: of each function with 1 % or more, in the whole program. The error of a run is the mean
distance from the truth over its functions, in percent points, and the largest. A run of all peers and programs is stored under benchmarks/results/accuracy, and the table of README.md is written from
all that is stored there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from typing import Any

from measure import machine, write_between
from sampler import session
from sampler.peers import Peer
from sampler.peers.base import ROOT, Sampled, short_name

from accuracy.peers import COMPARED

FOLDER = ROOT / "benchmarks/results/accuracy"
README = ROOT / "benchmarks/README.md"
BEGIN, END = "<!-- accuracy.compare writes from here -->", "<!-- accuracy.compare writes to here -->"
HEAD = """## How far each profiler is from the truth

Programs that time every call of their own functions (`tests/truth`), under one profiler at a time, in turn. Points by which the shares of inclusive time
are off, mean over the functions with 1 % or more (in brackets the largest), median over the runs. What a program times costs all profilers the same.

"""
PROGRAMS = (
    "steady",
    "phased",
    "periodic",
    "bursty",
    "threaded",
    "short",
    "recursive",
)  # those that have the CPU all the time: not every peer has a clock for others
RATE = 1000.0
RUNS = 10
Errors = list[tuple[float, float]]  # of each run, in points: mean over the functions, largest


def total(sampled: Sampled, name: str) -> float:
    """In the profiler's own unit: every stack that has it, once."""
    return sum(weight for stack, weight in sampled.weights.items() if any(short_name(frame) == name for frame, _file in stack))


def errors_of(run: session.Run) -> tuple[float, float]:
    """Raises session.Failed where the profiler saw nothing of the program."""
    true, root = run.result["total_ns"], run.result["root"]
    whole = total(run.sampled, root)
    if not whole:
        raise session.Failed(f"it saw nothing of {root}: {run.words}")
    points = [100 * abs(total(run.sampled, name) / whole - ns / true[root]) for name, ns in true.items() if name != root]
    return round(statistics.mean(points), 3), round(max(points), 3)


def measured(
    peers: list[Peer], programs: list[str], runs: int, seconds: float, minutes: float
) -> tuple[dict[str, dict[str, Errors]], dict[str, str]]:
    """Errors by peer and program, and the last reason for each that failed. A further round is begun where it can be expected to end in time."""
    begun = time.monotonic()
    found: dict[str, dict[str, Errors]] = {peer.name: {name: [] for name in programs} for peer in peers}
    failures: dict[str, str] = {}
    for turn in range(runs):
        if turn and (time.monotonic() - begun) * (turn + 1) / turn > 60 * minutes:
            break
        for name in programs:
            for peer in peers:
                options = {"name": name, "seconds": seconds, "seed": turn}
                try:
                    run = session.run(peer, "kinds", options, RATE, 20 * seconds + 30, threads=name == "threaded")
                    found[peer.name][name].append(errors_of(run))
                except session.Failed as failure:
                    failures[f"{peer.name}, {name}"] = str(failure)
            print(f"{turn + 1}/{runs}: {name}", file=sys.stderr, flush=True)
    return found, failures


def table(found: dict[str, dict[str, Errors]]) -> str:
    """Markdown. Median over the runs of the mean error, and of the largest."""
    programs = list(next(iter(found.values())))
    lines = ["| profiler | " + " | ".join(programs) + " |", "|---|" + "---|" * len(programs)]
    for name, cells in found.items():
        lines.append(f"| {name} | " + " | ".join(_cell(cells[program]) for program in programs) + " |")
    return "\n".join(lines) + "\n"


def _cell(errors: Errors) -> str:
    if not errors:
        return "—"
    means, largest = zip(*errors, strict=True)
    return f"{statistics.median(means):.1f} ({statistics.median(largest):.1f})"


def tables(version: str, facts: dict[str, Any]) -> str:
    """The README's part for one interpreter."""
    runs = max(len(errors) for cells in facts["errors"].values() for errors in cells.values())
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return "\n".join(
        [
            f"CPython {version}\n",
            table(facts["errors"]),
            *(f"- no {name}: {reason.rstrip('.')}." for name, reason in facts["absent"].items()),
            *(f"- {name}: {reason.rstrip('.')}." for name, reason in facts["failures"].items()),
            f"- `{facts['command']}`, {runs} runs of {facts['seconds']:g} s at {facts['rate_hz']:g} Hz. {facts['machine']}; load average {facts['load']}. {versions}.",
            "",
        ]
    )


def write_readme() -> None:
    stored = {path.stem.partition("-")[2]: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("compare-3.*.json")}
    newest = sorted(stored, key=lambda version: int(version.partition(".")[2]), reverse=True)
    write_between(README, BEGIN, END, HEAD + "\n".join(tables(version, stored[version]) for version in newest))


def available(names: list[str], quick: bool) -> tuple[list[Peer], dict[str, str]]:
    """Those that run here, and why the others do not."""
    peers, absent = [], {}
    for name, peer in COMPARED.items():
        if names and name not in names:
            continue
        reason = "not installed, and a quick run installs nothing" if quick and not peer.installed() else session.probe(peer)
        if reason:
            absent[name] = reason
        else:
            peers.append(peer)
    return peers, absent


def main() -> None:
    parser = argparse.ArgumentParser(prog="accuracy.compare", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="two programs, one run each, those profilers that are installed: to see that it works"
    )
    parser.add_argument("--peer", action="append", choices=list(COMPARED), help="only this one; may be given again; nothing is stored")
    parser.add_argument("--program", action="append", choices=PROGRAMS, help="only this one; nothing is stored")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a run")
    parser.add_argument(
        "--minutes", type=float, default=13.0, help="after which no further round of runs is begun; installing is not in it"
    )
    parser.add_argument("--tables", action="store_true", help="only write the README's table anew")
    chosen = parser.parse_args()
    if chosen.tables:
        write_readme()
        return
    programs = chosen.program or list(PROGRAMS[:2] if chosen.quick else PROGRAMS)
    runs, seconds = (1, 0.5) if chosen.quick else (chosen.runs, chosen.seconds)
    peers, absent = available(chosen.peer or [], chosen.quick)
    if not peers:
        sys.exit(f"no profiler runs here: {absent}")
    found, failures = measured(peers, programs, runs, seconds, chosen.minutes)
    version = ".".join(map(str, sys.version_info[:2]))
    facts: dict[str, Any] = {
        "machine": machine(),
        "command": f"scripts/bench --python {version} accuracy.compare",
        "load": round(os.getloadavg()[0], 1),
        "rate_hz": RATE,
        "seconds": seconds,
        "versions": {peer.name: peer.version() for peer in peers},
        "absent": absent,
        "failures": failures,
        "errors": found,
    }
    print(tables(version, facts))
    if not (chosen.quick or chosen.peer or chosen.program):
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"compare-{version}.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write_readme()


if __name__ == "__main__":
    main()
