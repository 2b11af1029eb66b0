# SPDX-License-Identifier: MIT
"""How often `hybridprof diff` is wrong: `python -m diff.study [--runs N] [--seconds S] [--json OUT]`, from this folder's parent.

Two questions. Of two runs of the same program, how many functions are called changed? Each workload of this folder is run N times, and each
run compared with each other. And is a function found that was made 10 % slower, in runs of 10 s at 1 kHz? diff/program.py is run N times as it
is and N times slower, and each of the one compared with each of the other.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import machine
from workloads import NAMES

import hybridprof

HERE = Path(__file__).resolve().parent
Profiles = list[hybridprof.Profile]


def measured(folder: Path, words: list[str], runs: int, clock: str) -> Profiles:
    profiles = []
    for number in range(runs):
        path = folder / f"{'-'.join(words[-2:]).replace('/', '_')}-{number}.hyprof"
        command = [sys.executable, "-m", "hybridprof", "run", "-q", "-r", "1000", "--clock", clock, "-o", str(path), *words]
        if not path.exists():
            subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.DEVNULL)
        profiles.append(hybridprof.load(path))
    return profiles


def missed(profiles: Profiles) -> float:
    """The share of ticks for which the sampler was late: on a busy machine the true rate is lower."""
    samples = [profile.meta["samples"] for profile in profiles]
    late = sum(each["missed"] for each in samples)
    return round(late / (late + sum(each["kept"] for each in samples)), 3)


def false_alarms(profiles: Profiles, compare: str) -> dict[str, float]:
    """Over all pairs: functions tested, and called changed."""
    pairs = [old.diff(new, compare) for old, new in itertools.combinations(profiles, 2)]  # type: ignore[arg-type]
    return {
        "pairs": len(pairs),
        "functions": sum(len(pair.functions) for pair in pairs),
        "tested": sum(pair.tested for pair in pairs),
        "changed": sum(len(pair.changed) for pair in pairs),
        "pairs_with_changes": sum(bool(pair.changed) for pair in pairs),
        "mean_run_to_run": round(sum(pair.run_to_run for pair in pairs) / len(pairs), 4),
        "missed_ticks": missed(profiles),
    }


def found(olds: Profiles, news: Profiles, name: str, compare: str) -> dict[str, float]:
    """Over all pairs: how often the slower function was called changed, and how many others were."""
    pairs = [old.diff(new, compare) for old in olds for new in news]  # type: ignore[arg-type]
    named = [[each.function.name for each in pair.changed] for pair in pairs]
    changes = [each.self.relative for pair in pairs for each in pair.functions if each.function.name == name]
    return {
        "pairs": len(pairs),
        "found": sum(name in names for names in named),
        "others": sum(len(set(names) - {name}) for names in named),
        "tested": sum(pair.tested for pair in pairs),
        "mean_relative_change": round(sum(changes) / len(changes), 4),
        "missed_ticks": missed([*olds, *news]),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=int, default=1, help="of the workloads")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the program with the slower function")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--json", metavar="OUT")
    parser.add_argument("--folder", metavar="FOLDER", help="where the profiles stay; those that are there are not measured again")
    options = parser.parse_args()
    answer: dict[str, object] = {
        "machine": machine(),
        "runs": options.runs,
        "scale": options.scale,
        "seconds": options.seconds,
        "clock": options.clock,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(exist_ok=True)
        same: dict[str, object] = {}
        for workload in NAMES:
            profiles = measured(folder, ["-m", "workloads", workload, str(options.scale)], options.runs, options.clock)
            same[workload] = {compare: false_alarms(profiles, compare) for compare in ("auto", "time", "share")}
            print(workload, json.dumps(same[workload]), flush=True)
        program = [str(HERE / "program.py"), str(options.seconds)]
        olds = measured(folder, [*program, "0"], options.runs, options.clock)
        news = measured(folder, [*program, "10"], options.runs, options.clock)
        slower = {compare: found(olds, news, "price", compare) for compare in ("auto", "time", "share")}
        print("slower", json.dumps(slower), flush=True)
    answer |= {"same": same, "slower": slower}
    if options.json:
        Path(options.json).write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
