# SPDX-License-Identifier: MIT
"""How often `hybridprof diff` is wrong: python -m diff.study [--quick] [--set evaluation|tuning] [--programs N] [--json OUT]

Two figures. Of two runs of the same program, which share of the functions that were tested is called changed? And how often is a function found that was
made 10 % slower, in runs of ten seconds at 1 kHz? Both from programs that are made up from seeds (program.py): each runs twice as it is and twice slower,
which gives two pairs of equal runs and four of different ones.

**What is tuned is not what is evaluated.** Constants of csrc/tree/diff*.c are chosen on the seeds from 0 on and on workloads/ (--set tuning); the seeds from
1000 on are for the two figures alone, and nobody looks at them to change anything. Whoever has done so all the same takes others: --first-seed.

Functions of one pair have their noise in common, and the four pairs share runs: the intervals count as one observation what has runs of its own, two for
each program, however many functions they have.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import machine, table
from workloads import NAMES

import hybridprof

HERE = Path(__file__).resolve().parent
FIRST_SEEDS = {"evaluation": 1000, "tuning": 0}
SLOWER = 10.0
RUNS = 2  # as it is, and as many slower
COMPARES = ("auto", "time", "share")
Counts = dict[str, int]


def measured(path: Path, words: list[str], clock: str) -> hybridprof.Profile:
    command = [sys.executable, "-m", "hybridprof", "run", "-q", "-r", "1000", "--clock", clock, "-o", str(path), *words]
    if not path.exists():
        subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.DEVNULL)
    return hybridprof.load(path)


def calibrated(seed: int) -> tuple[float, str]:
    """Seconds of a round of the program on this machine, and the function that is made slower."""
    done = subprocess.run([sys.executable, str(HERE / "program.py"), str(seed), "0", "0"], check=True, capture_output=True, text=True)
    seconds, name = done.stdout.split()
    return float(seconds), name


def same(profiles: list[hybridprof.Profile], compare: str) -> Counts:
    """Over all pairs of runs of one program: functions tested, and called changed."""
    pairs = [old.diff(new, compare) for old, new in itertools.combinations(profiles, 2)]  # type: ignore[arg-type]
    return {"pairs": len(pairs), "tested": sum(pair.tested for pair in pairs), "changed": sum(len(pair.changed) for pair in pairs)}


def found(olds: list[hybridprof.Profile], news: list[hybridprof.Profile], name: str, compare: str) -> Counts:
    """Over all pairs: how often the slower function was called changed, and how many others were."""
    named = [[each.function.name for each in old.diff(new, compare).changed] for old in olds for new in news]  # type: ignore[arg-type]
    return {"pairs": len(named), "found": sum(name in names for names in named), "others": sum(len(set(names) - {name}) for names in named)}


def missed(profiles: list[hybridprof.Profile]) -> float:
    """The share of ticks for which the sampler was late: on a busy machine the true rate is lower."""
    samples = [profile.meta["samples"] for profile in profiles]
    late = sum(each["missed"] for each in samples)
    return float(late / max(late + sum(each["kept"] for each in samples), 1))


def share_of(profile: hybridprof.Profile, name: str) -> float:
    rows = [row for row in profile.functions if row.kind != "thread"]
    return sum(row.self_ns for row in rows if row.name == name) / sum(row.self_ns for row in rows)


def studied(folder: Path, seed: int, seconds: float, clock: str) -> dict[str, Any]:
    """One program of the seed."""
    round_seconds, name = calibrated(seed)
    rounds = max(1, round(seconds / round_seconds))
    runs: dict[float, list[hybridprof.Profile]] = {0.0: [], SLOWER: []}
    for turn in range(RUNS):  # in turn: a machine that drifts must not look like a change
        for slower, profiles in runs.items():
            words = [str(HERE / "program.py"), str(seed), str(rounds), str(slower)]
            profiles.append(measured(folder / f"{seed}-{slower:g}-{turn}.hyprof", words, clock))
    alike = [{compare: same(profiles, compare) for compare in COMPARES} for profiles in runs.values()]
    return {
        "seed": seed,
        "slower": name,
        "share": round(share_of(runs[0.0][0], name), 3),
        "same": {compare: {key: sum(one[compare][key] for one in alike) for key in alike[0][compare]} for compare in COMPARES},
        "found": {compare: found(runs[0.0], runs[SLOWER], name, compare) for compare in COMPARES},
        "missed_ticks": round(missed([*runs[0.0], *runs[SLOWER]]), 3),
    }


def workload(folder: Path, name: str, scale: int, clock: str) -> dict[str, Any]:
    """A program of workloads/, which has no slower function."""
    words = ["-m", "workloads", name, str(scale)]
    profiles = [measured(folder / f"{name}-{turn}.hyprof", words, clock) for turn in range(RUNS)]
    return {"seed": name, "same": {compare: same(profiles, compare) for compare in COMPARES}, "missed_ticks": round(missed(profiles), 3)}


def share(counts: list[tuple[int, int]], observations: int) -> str:
    """Of (how many, of how many) for each program: the share, with the 95 % interval (Wilson's) of so many observations."""
    of = sum(many for _, many in counts)
    if not of:
        return "—"
    whole = sum(some for some, _ in counts) / of
    z2 = 1.96**2
    middle = (whole + z2 / (2 * observations)) / (1 + z2 / observations)
    width = 1.96 / (1 + z2 / observations) * math.sqrt(whole * (1 - whole) / observations + z2 / (4 * observations**2))
    low, high = max(0.0, middle - width), min(1.0, middle + width)
    return f"{sum(some for some, _ in counts)} of {of}: **{100 * whole:.1f} %** ({100 * low:.1f}–{100 * high:.1f})"


def report(programs: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    slowed = [each for each in programs if "found" in each]
    rows = []
    for compare in COMPARES:
        alike = [each["same"][compare] for each in programs]
        others = sum(each["found"][compare]["others"] for each in slowed)
        rows.append(
            [
                compare,
                share([(each["changed"], each["tested"]) for each in alike], sum(each["pairs"] for each in alike)),
                share([(each["found"][compare]["found"], each["found"][compare]["pairs"]) for each in slowed], RUNS * len(slowed)),
                others,
            ]
        )
    late = sum(each["missed_ticks"] for each in programs) / len(programs)
    print(f"### `diff` on {len(programs)} programs ({facts['set']}), runs of {facts['seconds']:g} s at 1 kHz, {facts['clock']} clock\n")
    print(f"{facts['machine']}; load average {facts['load']}; the sampler was late for {100 * late:.0f} % of its ticks\n")
    table(["--compare", "called changed in two runs of the same", f"{SLOWER:g} % slower found", "others called changed there"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="diff.study", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two programs, runs of a second: to see that it works")
    parser.add_argument("--set", choices=list(FIRST_SEEDS), default="evaluation", help="tuning: other seeds, and workloads/ too")
    parser.add_argument("--first-seed", type=int, help="of the programs; from 1000 on nothing is tuned")
    parser.add_argument("--programs", type=int, default=12, help="each takes some 45 s")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a run")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that others use too")
    parser.add_argument("--json", metavar="OUT")
    parser.add_argument("--folder", metavar="FOLDER", help="where the profiles stay; those that are there are not measured again")
    options = parser.parse_args()
    count, seconds = (2, 1.0) if options.quick else (options.programs, options.seconds)
    first = FIRST_SEEDS[options.set] if options.first_seed is None else options.first_seed
    if options.set == "evaluation" and first < FIRST_SEEDS["evaluation"]:
        parser.error(f"seeds below {FIRST_SEEDS['evaluation']} are for tuning: --set tuning")
    programs = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(exist_ok=True)
        for seed in range(first, first + count):
            programs.append(studied(folder, seed, seconds, options.clock))
            print(json.dumps(programs[-1]), file=sys.stderr, flush=True)
        if options.set == "tuning" and not options.quick:
            programs += [workload(folder, name, max(1, round(3 * seconds)), options.clock) for name in NAMES]
    facts: dict[str, Any] = {
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "set": options.set,
        "seconds": seconds,
        "clock": options.clock,
        "programs": programs,
    }
    report(programs, facts)
    if options.json:
        Path(options.json).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
