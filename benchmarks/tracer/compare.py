# SPDX-License-Identifier: MIT
"""hybridprof's tracer and others side by side: what a call costs, whole programs, targets that wait, and shares that are known.

python -m tracer.compare [--quick] [--tracer NAME ...] [--seconds FACTOR] [--tables]

Every case is run with every tracer in turn, in processes of their own, some rounds over. Stores what it found under benchmarks/results/tracer
and writes the tables of all that is stored into benchmarks/README.md; a quick run, or one of chosen tracers, is only printed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from typing import Any

from measure import machine, write_between
from sampler.peers.base import ROOT
from workloads import NAMES

from tracer.peers import TRACERS, Tracer

FOLDER = ROOT / "benchmarks/results/tracer"
README = ROOT / "benchmarks/README.md"
BEGIN, END = "<!-- tracer.compare writes from here -->", "<!-- tracer.compare writes to here -->"
ROUNDS = 3
LIMIT = 120.0  # seconds for one process beyond what it was asked for

Found = dict[str, Any]  # of one interpreter; see `measured`


def cases(quick: bool) -> list[tuple[str, str]]:
    """(case, name): see target.py."""
    programs = NAMES[:1] if quick else NAMES
    return [("calls", "python"), ("calls", "c"), ("armed", ""), ("share", ""), *(("program", name) for name in programs)]


def belongs(tracer: Tracer, case: str, name: str) -> bool:
    if (case, name) == ("calls", "c"):
        return tracer.c_functions
    if case == "armed":
        return not tracer.whole
    if case == "program":
        return tracer.name != "line_profiler"  # lines of one function say nothing of a program
    return tracer.name != "line_profiler" or case == "calls"


def run(tracer: Tracer, case: str, name: str, seconds: float) -> dict[str, Any] | str:
    """What the target measured, or a sentence."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks"), "PYTHONHASHSEED": "0"}
    command = [tracer.python, "-m", "tracer.target", tracer.name, case, str(seconds), name]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT + 20 * seconds)
    except subprocess.TimeoutExpired:
        return f"it took longer than {LIMIT + 20 * seconds:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measured(tracers: list[Tracer], quick: bool, factor: float) -> dict[str, dict[str, Any]]:
    """By tracer, "case name": added (ns for each call), ratios (× bare) or errors (points), of all rounds; or why there is nothing."""
    found: dict[str, dict[str, Any]] = {tracer.name: {} for tracer in tracers}
    for turn in range(1 if quick else ROUNDS):
        for case, name in cases(quick):
            for tracer in tracers:
                if not belongs(tracer, case, name) or isinstance(found[tracer.name].get(f"{case} {name}"), str):
                    continue
                print(f"{turn + 1}: {case} {name}, {tracer.name}", file=sys.stderr, flush=True)
                result = run(tracer, case, name, 0.2 if quick else factor)
                if isinstance(result, str):
                    found[tracer.name][f"{case} {name}"] = result
                else:
                    found[tracer.name].setdefault(f"{case} {name}", []).extend(reduced(case, result))
    return found


def reduced(case: str, result: dict[str, Any]) -> list[float]:
    if case == "program":
        return [round(traced / bare, 4) for bare, traced in result["pairs"]]
    if case == "share":
        return [round(100 * (said - true), 3) for true, said in result["shares"]]
    return [round((traced - bare) / result["calls"], 3) for bare, traced in result["pairs"]]


# --- tables ------------------------------------------------------------------------------------------------------------------------


def spread(values: Any, form: str) -> str:
    if not isinstance(values, list) or not values:
        return "—"
    middle = form.format(statistics.median(values))
    if len(values) < 4:
        return middle
    low, _, high = statistics.quantiles(values, n=4)
    return f"{middle} [{form.format(low)} to {form.format(high)}]"


def mean_of(values: Any) -> str:
    if not isinstance(values, list) or len(values) < 2:
        return "—"
    return f"{statistics.mean(values):+.1f} ± {statistics.stdev(values) / math.sqrt(len(values)):.1f}"


def tables(version: str, found: Found) -> str:
    rows = []
    for name, results in found["results"].items():
        medians = [
            statistics.median(values) for case, values in results.items() if case.startswith("program ") and isinstance(values, list)
        ]
        programs = f"{statistics.median(medians):.2f} ({min(medians):.2f} to {max(medians):.2f})" if medians else "—"
        rows.append(
            [
                f"**{name}**" if name.startswith("hybridprof") else name,
                spread(results.get("calls python"), "{:.0f}"),
                spread(results.get("calls c"), "{:.0f}"),
                spread(results.get("armed "), "{:.1f}"),
                programs,
                mean_of(results.get("share ")),
            ]
        )
    head = ["tracer", "a Python call, ns", "a C call, ns", "targets that wait, ns a call", "programs, × bare", "share, points"]
    lines = [
        f"CPython {version}\n",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
    for name, reason in found["absent"].items():
        lines.append(f"- no {name}: {reason}.")
    for name, results in found["results"].items():
        lines += [f"- {name}, {case.strip()}: {words.rstrip('.')}." for case, words in results.items() if isinstance(words, str)]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return "\n".join([*lines, f"- `{found['command']}`. {found['machine']}. {versions}.", ""])


HEAD = f"""## hybridprof's tracer and others, side by side

What is added to one call, by the thread's CPU clock, median [quartiles]; what calls cost that no target makes; whole programs, median over {len(NAMES)} of the
median ratio to bare (least to most); and the estimated minus the true share of a half that calls a tiny function, next to one that loops. line_profiler
counts lines, so its calls are those of functions that it was told.

"""


def write_readme() -> None:
    stored = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("3.*.json")}
    newest = sorted(stored, key=lambda version: int(version.partition(".")[2]), reverse=True)
    write_between(README, BEGIN, END, HEAD + "\n".join(tables(version, stored[version]) for version in newest))


def available(names: list[str], quick: bool) -> tuple[list[Tracer], dict[str, str]]:
    chosen, absent = [], {}
    for name, tracer in TRACERS.items():
        if names and name not in names:
            continue
        reason = tracer.unsupported() or (
            "not installed, and a quick run installs nothing" if quick and not tracer.installed() else tracer.install()
        )
        if reason:
            absent[name] = reason
        else:
            chosen.append(tracer)
    return chosen, absent


def main() -> None:
    parser = argparse.ArgumentParser(prog="tracer.compare", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute, to see that it works")
    parser.add_argument("--tracer", action="append", choices=list(TRACERS), help="only this one; may be given again; nothing is stored")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case and round")
    parser.add_argument("--tables", action="store_true", help="only write the README's tables anew")
    chosen = parser.parse_args()
    if chosen.tables:
        write_readme()
        return
    tracers, absent = available(chosen.tracer or [], chosen.quick)
    version = ".".join(map(str, sys.version_info[:2]))
    found: Found = {
        "machine": machine(),
        "command": f"scripts/bench --python {version} tracer.compare",
        "versions": {tracer.name: tracer.version() for tracer in tracers},
        "absent": absent,
        "results": measured(tracers, chosen.quick, chosen.seconds),
    }
    if chosen.quick or chosen.tracer:
        print(tables(version, found))
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{version}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    write_readme()


if __name__ == "__main__":
    main()
