# SPDX-License-Identifier: MIT
"""How often the judge is wrong: `python -m judge.study [--fleets N] [--json OUT]`, from this folder's parent.

Fleets of 10,000 hosts whose truth is known (fleet.py) are judged. A false alarm is a `fail` where canary and control are the same; a miss is a `pass` where the canary
is worse by more than the tolerance. `not enough data` is neither: the rollout stays where it is.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from pathlib import Path

from measure import machine

from hybridprof.rollout.judge import judge
from hybridprof.selfcheck.intervals import proportion

from .fleet import Fleet, sides

SCENARIOS = {
    "the same": {},
    "the same, 2 % of hosts three times as slow": {"slow": 0.02},
    "the same, hosts that differ by 30 %": {"spread": 0.3},
    "latency +1 % (2 % is allowed)": {"latency": 1.01},
    "latency +3 %": {"latency": 1.03},
    "latency +5 %": {"latency": 1.05},
    "latency +10 %": {"latency": 1.10},
    "CPU per request +5 %": {"cpu": 1.05},
    "errors +0.3 points (0.1 are allowed)": {"errors": 0.003},
    "restarts +0.2 a host (0.05 are allowed)": {"restarts": 0.2},
}
SHORT = ("the same", "latency +1 % (2 % is allowed)", "latency +3 %", "latency +5 %")
VERDICTS = ("fail", "pass", "not enough data")


def studied(fleet: Fleet, fleets: int) -> dict[str, float]:
    """How many of the fleets were given each verdict, and the CPU time of one judgement."""
    found: Counter[str] = Counter()
    seconds = 0.0
    for number in range(fleets):
        canary, control = sides(fleet, random.Random(number))
        started = time.process_time()
        found[judge(canary, control, seed=number).verdict] += 1
        seconds += time.process_time() - started
    return {**{verdict: found[verdict] for verdict in VERDICTS}, "fleets": fleets, "cpu_seconds_each": round(seconds / fleets, 2)}


def cell(count: float, fleets: float) -> str:
    share = proportion(int(count), int(fleets))
    return f"{100 * share.value:.1f} % ({100 * share.low:.1f}–{100 * share.high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fleets", type=int, default=200)
    parser.add_argument("--json", metavar="OUT")
    options = parser.parse_args()
    answer: dict[str, object] = {"machine": machine(), "fleets": options.fleets}
    print(f"| canary hosts | truth | {' | '.join(VERDICTS)} |\n|---|---|---|---|---|")
    for canaries, name in [*((100, name) for name in SCENARIOS), *((500, name) for name in SHORT)]:
        found = studied(Fleet(canaries=canaries, **SCENARIOS[name]), options.fleets)  # type: ignore[arg-type]
        answer[f"{canaries}: {name}"] = found
        print(f"| {canaries} | {name} | {' | '.join(cell(found[verdict], options.fleets) for verdict in VERDICTS)} |", flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
