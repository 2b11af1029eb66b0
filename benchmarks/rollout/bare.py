# SPDX-License-Identifier: MIT
"""How much slower a process is after a kill than one that never had hybridprof.

python -m rollout.bare [--quick]

Two processes at a time, forked from one that has run the workload: the same memory, so that where things happen to lie is the same for both. One imports nothing of ours. The other is sampled at
100 Hz and has every function of the workload traced, until the kill file ends it. Then they take turns, a piece of work of some 200 ms each, and a ratio is of two neighbouring pieces: what the
machine's neighbours do meets both. The median of the ratios is a pair's figure, and the median of the pairs' figures, with its interval, what is shown: for the CPU time of the thread that works, for
that of the whole process (in which the thread that still looks for the kill file is counted), and for user instructions where the processor's counters can be had.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import machine, spread, table
from sampler.cost import interval

from rollout.service import alone, configuration

WORKLOADS = ("json_parser", "templates", "scheduler")

# The forked ones are told "go" on a pipe and answer with figures; the first pieces of work after the kill are not counted: what was instrumented is specialized again.
PROGRAM = """
import gc, importlib, json, os, sys, time
from rollout.instructions import Instructions

workload = importlib.import_module("workloads." + sys.argv[1])
config, pieces = sys.argv[2], int(sys.argv[3])
for _ in range(2):
    workload.run(1)

def profiled_and_killed():
    import hybridprof
    from hybridprof import _core
    hybridprof.configure(config)
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        workload.run(1)
    status = hybridprof.status()
    assert status["running"] and _core.targets() and hybridprof.snapshot().functions, status
    open(os.path.join(os.path.dirname(config), "kill"), "w").close()
    while hybridprof.status()["running"] or _core.targets():
        workload.run(1)

def worker(go, done, prepare):
    prepare()
    counter = Instructions()
    for _ in range(3):
        workload.run(1)
    gc.collect()
    os.write(done, b"\\n")
    while os.read(go, 1):
        before = counter.read(), time.thread_time_ns(), time.process_time_ns()
        workload.run(1)
        after = counter.read(), time.thread_time_ns(), time.process_time_ns()
        os.write(done, (json.dumps([None if b is None else a - b for a, b in zip(after, before)]) + "\\n").encode())
    os._exit(0)

def forked(prepare):
    go, done = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(go[1]); os.close(done[0])
        for each in inherited:
            os.close(each)
        worker(go[0], done[1], prepare)
    os.close(go[0]); os.close(done[1])
    inherited.append(go[1])
    return go[1], os.fdopen(done[0])

inherited = []
both = [forked(lambda: None), forked(profiled_and_killed)]
for _, answers in both:
    assert answers.readline() == "\\n"
for number in range(pieces):
    found = {}
    for which in ((0, 1) if number % 2 else (1, 0)):
        os.write(both[which][0], b"g")
        found[which] = json.loads(both[which][1].readline())
    print(json.dumps([found[0], found[1]]), flush=True)
for go, _ in both:
    os.close(go)
for _ in both:
    os.wait()
"""
FIGURES = ("user instructions", "CPU time of the thread", "CPU time of the process")


def pair(workload: str, pieces: int) -> list[float | None]:
    """In percent, by figure: how much slower the one after the kill is."""
    with tempfile.TemporaryDirectory() as folder:
        path = configuration(Path(folder), f"workloads.{workload}:*", sampler=100, tracer=100)
        command = [sys.executable, "-c", PROGRAM, workload, str(path), str(pieces)]
        done = subprocess.run(command, env=alone(), stdout=subprocess.PIPE, text=True, check=True)
    found: list[float | None] = []
    for figure in range(len(FIGURES)):
        both = [(bare[figure], killed[figure]) for bare, killed in map(json.loads, done.stdout.splitlines())]
        ratios = [100 * (killed / bare - 1) for bare, killed in both if bare]
        found.append(statistics.median(ratios) if ratios else None)
    return found


def main() -> None:
    quick = "--quick" in sys.argv
    pairs, pieces = (1, 4) if quick else (30, 40)
    print(f"### After a kill, against a process that never had hybridprof ({machine()}; load {os.getloadavg()[0]:.1f})\n")
    rows = []
    for workload in WORKLOADS[: 1 if quick else None]:
        found = [pair(workload, pieces) for _ in range(pairs)]
        for number, name in enumerate(FIGURES):
            values = [value for each in found if (value := each[number]) is not None]
            if not values:
                rows.append([workload, name, 0, "no counter here", ""])
                continue
            low, high = interval(values)
            rows.append([workload, name, len(values), f"{spread(values, '{:+.3f}')} %", f"{low:+.3f} to {high:+.3f} %"])
    table(["workload", "slower by", "pairs", "median [quartiles]", "95 % interval of the median"], rows)


if __name__ == "__main__":
    main()
