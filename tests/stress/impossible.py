# SPDX-License-Identifier: MIT
"""Many samples of every program whose legal stacks are known, in as many runs as it takes: none may be impossible. `scripts/impossible --help`.

Each run is a process of its own of some seconds: its tree is judged and forgotten, and a run that crashes costs no other. What was found is added to
the results file after each, so that whoever ends this early loses nothing, and the next time it goes on from there. The file is one of a state of
csrc/: where the measuring core has changed, it begins anew."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PATIENCE = 120.0  # seconds that a run may take beyond its own: judging, and a busy machine
SUMS = ("samples", "running", "impossible", "unresolved", "missed", "ticks", "retried")
MEASURED = ("csrc", "hybridprof", "meson.build", "tests/stress", "tests/integration/sampler_programs.py")
Found = dict[str, Any]

# Hz: the highest at which hardly a tick is missed on two CPUs. A sample of eight threads, of a deep stack or of threads that are met for the
# first time takes longer.
RATES = {"eight_threads": 4000.0, "recursion": 4000.0, "births": 5000.0}
RATE = 10_000.0


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def source() -> dict[str, str]:
    """What is measured. core: of csrc/, by its contents; changed: where the working tree is not what the commit says."""
    return {
        "commit": git("rev-parse", "--short=12", "HEAD"),
        "core": git("rev-parse", "--short=12", "HEAD:csrc"),
        "changed": git("status", "--porcelain", "--", *MEASURED),
    }


def one_run(name: str, seconds: float, method: str, rate: float) -> tuple[Found | None, str]:
    """What the program printed, or what is to be said of its end."""
    line = [sys.executable, "-P", "-X", "faulthandler", str(HERE / "programs.py"), name, f"{seconds:g}", method, f"{rate:g}"]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    try:
        done = subprocess.run(
            line, env=environment, capture_output=True, text=True, timeout=seconds + PATIENCE, errors="replace", check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"{name} did not end within {seconds + PATIENCE:g} s"
    if done.returncode != 0 or done.stderr:
        return None, f"{name}: exit status {done.returncode}: {done.stderr[-600:]}"
    return json.loads(done.stdout.splitlines()[-1]), ""


def empty(rate: float) -> Found:
    return {**dict.fromkeys(SUMS, 0), "seconds": 0.0, "rate_hz": rate, "runs": 0, "unresolved_by": {}, "examples": {}, "failures": []}


def add(total: Found, found: Found, seconds: float, rate: float) -> None:
    """ticks: those that were asked for, by the rate; each was kept or counted as missed."""
    values = {**found, "samples": found["in_stacks"], "impossible": found["impossible_samples"], "ticks": round(seconds * rate)}
    for key in SUMS:
        total[key] += values[key]
    total["seconds"] = round(total["seconds"] + seconds, 3)
    total["runs"] += 1
    total["rate_hz"] = rate
    for cause, samples in found["unresolved_by"].items():
        total["unresolved_by"][cause] = total["unresolved_by"].get(cause, 0) + samples
    for stack, samples in found["impossible"].items():
        total["examples"][stack] = total["examples"].get(stack, 0) + samples


def line_of(name: str, total: Found) -> str:
    """One workload, as JSON. kept: of the ticks that were asked for, those that were not too late."""
    kept = 1 - total["missed"] / total["ticks"] if total["ticks"] else 0.0
    each = total["samples"] / total["seconds"] if total["seconds"] else 0.0
    shown = {key: total[key] for key in ("samples", "running", "impossible", "unresolved", "unresolved_by", "rate_hz", "seconds", "runs")}
    return json.dumps({"workload": name, **shown, "kept": round(kept, 4), "per_second": round(each), "failures": total["failures"]})


class Results:
    """The totals by workload, in a file if there is one. Owner: this process; two at a time would lose counts."""

    def __init__(self, path: Path | None, method: str) -> None:
        self.path = path
        self.head = {
            "python": sys.version.split()[0],
            "method": method,
            **{key: value for key, value in source().items() if key != "changed"},
        }
        self.totals: dict[str, Found] = {}
        if path is not None and path.exists():
            stored = json.loads(path.read_text())
            if all(stored.get(key) == self.head[key] for key in ("python", "method", "core")):
                self.totals = stored["workloads"]
            else:
                say(f"{path.name} is of another state of csrc/, another interpreter or method: it begins anew")

    def store(self) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        sums = {key: sum(total[key] for total in self.totals.values()) for key in ("samples", "running", "impossible", "unresolved")}
        part.write_text(json.dumps({**self.head, **sums, "workloads": self.totals}, indent=1) + "\n")
        part.replace(self.path)


def measure(results: Results, names: list[str], wanted: int, seconds: float, rate: float | None) -> None:
    """In turn, until each has its share of the samples. One that failed three times is left alone."""
    share = -(-wanted // len(names))
    for name in names:
        results.totals.setdefault(name, empty(rate or RATES.get(name, RATE)))
    left = [name for name in names if results.totals[name]["samples"] < share]
    failed: dict[str, int] = {}
    while left:
        for name in list(left):
            total = results.totals[name]
            hz = rate or RATES.get(name, RATE)
            began = time.monotonic()
            found, words = one_run(name, seconds, results.head["method"], hz)
            if found is None:
                failed[name] = failed.get(name, 0) + 1
                total["failures"] = [*total["failures"], words][-10:]
                say(words)
            else:
                add(total, found, seconds, hz)
                say(f"{name}: {total['samples']:,} of {share:,}, impossible {total['impossible']}, run of {time.monotonic() - began:.0f} s")
            if total["samples"] >= share or failed.get(name, 0) >= 3:
                left.remove(name)
            results.store()


def main() -> None:
    sys.path.insert(0, str(HERE.parent))
    from stress.programs import PROGRAMS

    parser = argparse.ArgumentParser(prog="scripts/impossible", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--samples", type=int, default=10_000_000, help="in all, those that are stored already included; default %(default)s"
    )
    parser.add_argument("--program", action="append", choices=list(PROGRAMS), help="only this one; may be given again")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run; default %(default)s")
    parser.add_argument("--rate", type=float, help="Hz; default: of each program, the highest that it sustains")
    parser.add_argument("--method", default="same-cpu", choices=("same-cpu", "signal", "remote"))
    parser.add_argument("--results", type=Path, metavar="FILE", help="where counts are added up; nowhere where it is not given")
    chosen = parser.parse_args()
    names = chosen.program or list(PROGRAMS)
    if chosen.results is not None and source()["changed"]:
        sys.exit("what is measured was changed since the commit, so that the counts would be nobody's: commit first, or give no --results")
    results = Results(chosen.results, chosen.method)
    measure(results, names, chosen.samples, chosen.seconds, chosen.rate)
    for name in names:
        print(line_of(name, results.totals[name]), flush=True)
    bad = [name for name in names if results.totals[name]["impossible"] or results.totals[name]["failures"]]
    sys.exit(f"not clean: {', '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
