# SPDX-License-Identifier: MIT
"""How far each profiler is from the truth, on programs of every kind that time their own functions: samplers and tracers side by side, in one run, in turn.

python -m accuracy.compare [--quick] [--peer NAME ...] [--program NAME ...] [--runs N] [--seconds S]

Compared are shares of inclusive time, which every profiler has: of each function with 1 % or more, in the whole program. The error of a run is the mean
distance from the truth over its functions, in percent points, and the largest. A run of all peers and programs is stored under benchmarks/results/accuracy.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from typing import Any

from measure import machine
from sampler import session
from sampler.peers import Peer
from sampler.peers.base import ROOT, Sampled, short_name

from accuracy.peers import COMPARED

FOLDER = ROOT / "benchmarks/results/accuracy"
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


def measured(peers: list[Peer], programs: list[str], runs: int, seconds: float) -> tuple[dict[str, dict[str, Errors]], dict[str, str]]:
    """Errors by peer and program, and the last reason for each that failed."""
    found: dict[str, dict[str, Errors]] = {peer.name: {name: [] for name in programs} for peer in peers}
    failures: dict[str, str] = {}
    for turn in range(runs):
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
    parser.add_argument("--seconds", type=float, default=2.0, help="of a run")
    chosen = parser.parse_args()
    programs = chosen.program or list(PROGRAMS[:2] if chosen.quick else PROGRAMS)
    runs, seconds = (1, 0.5) if chosen.quick else (chosen.runs, chosen.seconds)
    peers, absent = available(chosen.peer or [], chosen.quick)
    if not peers:
        sys.exit(f"no profiler runs here: {absent}")
    found, failures = measured(peers, programs, runs, seconds)
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
    print(
        f"### Shares: distance from the truth in points, mean over the functions (largest), median of {runs} runs of {seconds:g} s at {RATE:g} Hz\n"
    )
    print(table(found))
    for what in ("absent", "failures"):
        for name, reason in facts[what].items():
            print(f"- {name}: {reason}")
    if not (chosen.quick or chosen.peer or chosen.program):
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"compare-{version}.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
