# SPDX-License-Identifier: MIT
"""hybridprof's writers beside other people's, on one profile: python -m formats.peers [--quick] [--nodes N] [--no-install]

The profile is made of stacks that are known (made.py). Each writer gets it in the form in which it works, in memory, and writes a file: what is
timed is that alone, CPU time of the process, the median of some rounds. pyprof2calltree and flameprof begin with pstats' table, which has no
stacks; CPython's own sampler has what its collectors gathered from the same stacks, and what gathering took is in a column of its own.

Where nobody writes what we write, the nearest is compared: flameprof draws a picture, and our flame graphs are drawn by others from collapsed
stacks. Peers are installed into .cache/peers when they are first needed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from measure import machine, table
from sampler.peers.base import ROOT, Peer

from formats.made import Stack, stacks, write_collapsed

ROUNDS = 5
LIMIT = 600  # seconds for a peer's process
INTERVAL_US = 10_000
SUFFIXES = {
    "pstats": "x.pstats",
    "callgrind": "callgrind.out.x",
    "collapsed": "x.collapsed",
    "gecko": "x.gecko.json",
    "speedscope": "x.speedscope.json",
}
SUFFIXES |= {"pprof": "x.pb.gz", "hyprof": "x.hyprof"}


class Found(NamedTuple):
    """seconds: CPU time of writing. gathered: of taking the samples in, None where that is not its business."""

    seconds: float
    size: int
    gathered: float | None = None


def median_of(write: Callable[[], object], rounds: int) -> float:
    found = []
    for _ in range(rounds):
        begun = time.process_time()
        write()
        found.append(time.process_time() - begun)
    return statistics.median(found)


# --- hybridprof ---------------------------------------------------------------------------------------------------------------------


def ours(folder: Path, rounds: int) -> dict[str, Found]:
    import hybridprof

    profile = hybridprof.load(folder / "made.collapsed")
    found = {}
    for name, file in SUFFIXES.items():
        found[name] = Found(median_of(lambda file=file: profile.write(folder / file), rounds), (folder / file).stat().st_size)  # type: ignore[misc]
    return found


# --- pstats, pyprof2calltree, flameprof: from our pstats file ------------------------------------------------------------------------

WRITES = {
    "pstats": "stats.dump_stats(out)",
    "pyprof2calltree": "pyprof2calltree.convert(stats, out)",
    "flameprof": "with open(out, 'w') as stream: flameprof.render(stats.stats, stream)",
}
PROGRAM = """
import json, os, pstats, sys, time
{imports}
source, out, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.setrecursionlimit(100000)
stats = pstats.Stats(source)
def write():
    {write}
found = []
for _ in range(rounds):
    begun = time.process_time()
    write()
    found.append(time.process_time() - begun)
print(json.dumps([sorted(found)[len(found) // 2], os.path.getsize(out)]))
"""


class FromPstats(Peer):
    inside = True

    def __init__(self, name: str, *requirements: str) -> None:
        super().__init__(name)
        self.requirements = requirements
        self.from_source = (name,) if requirements else ()

    @property
    def python(self) -> str:
        return str(self.venv / "bin/python") if self.requirements else sys.executable

    @property
    def venv(self) -> Path:
        return super().venv.with_name(super().venv.name.replace("frompstats", self.name))

    def version(self) -> str:
        return super().version() if self.requirements else sys.version.split()[0]

    def measured(self, folder: Path, rounds: int) -> Found | str:
        program = PROGRAM.format(imports=f"import {self.name}" if self.requirements else "", write=WRITES[self.name])
        command = [self.python, "-c", program, str(folder / "x.pstats"), str(folder / f"out.{self.name}"), str(rounds)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment, cwd=folder)
        except subprocess.TimeoutExpired:
            return f"it took longer than {LIMIT} s"
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]
        seconds, size = json.loads(done.stdout.splitlines()[-1])
        return Found(seconds, size)


PEERS = {
    "pstats": FromPstats("pstats"),
    "callgrind": FromPstats("pyprof2calltree", "pyprof2calltree==1.4.5"),
    "flame graph": FromPstats("flameprof", "flameprof==0.4"),
}


# --- CPython's sampler, 3.15 on ------------------------------------------------------------------------------------------------------


class Frame(NamedTuple):
    """As _remote_debugging.FrameInfo: read by position and by name."""

    filename: str
    location: tuple[int, int, int, int]
    funcname: str
    opcode: int | None = None


class Thread(NamedTuple):
    thread_id: int
    status: int
    frame_info: list[Frame]


class Interpreter(NamedTuple):
    interpreter_id: int
    threads: list[Thread]


COLLECTORS = {
    "pstats": ("pstats_collector", "PstatsCollector"),
    "collapsed": ("stack_collector", "CollapsedStackCollector"),
    "flame graph": ("stack_collector", "FlamegraphCollector"),
    "gecko": ("gecko_collector", "GeckoCollector"),
}


def sampled(made: list[tuple[Stack, int]]) -> Iterator[tuple[list[Interpreter], list[int]]]:
    """Each stack, and when it was met; innermost first, with the GIL."""
    now = 0
    for stack, count in made:
        frames = [Frame("/srv/app.py", (10, 10, 0, 0), name) for name in reversed(stack)]
        times = [now + INTERVAL_US * number for number in range(count)]
        now = times[-1] + INTERVAL_US
        yield [Interpreter(0, [Thread(1, 3, frames)])], times


def tachyon(folder: Path, made: list[tuple[Stack, int]], rounds: int) -> dict[str, Found | str]:
    import importlib

    found: dict[str, Found | str] = {}
    for form, (module, name) in COLLECTORS.items():
        times, gathered, target = [], [], folder / f"tachyon.{name}"
        try:
            for _ in range(rounds):  # some of them export once only
                kind: Any = getattr(importlib.import_module(f"profiling.sampling.{module}"), name)
                collector = kind(INTERVAL_US)
                gathered.append(median_of(lambda collector=collector: [collector.collect(*each) for each in sampled(made)], 1))  # type: ignore[misc]
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    times.append(median_of(lambda collector=collector, target=target: collector.export(str(target)), 1))  # type: ignore[misc]
        except Exception as error:  # the peer's own
            found[form] = f"{type(error).__name__}: {error}"
            continue
        found[form] = Found(statistics.median(times), target.stat().st_size, statistics.median(gathered))
    return found


# --- the table ----------------------------------------------------------------------------------------------------------------------


def row(form: str, writer: str, found: Found | str, own: Found | None) -> tuple[object, ...]:
    if isinstance(found, str):
        return (form, writer, found, "", "", "")
    ratio = f"{found.seconds / own.seconds:.1f}" if own else ""
    gathered = "" if found.gathered is None else f"{1e3 * found.gathered:,.1f}"
    return (form, writer, f"{1e3 * found.seconds:,.1f}", ratio, f"{found.size / 1e6:.2f}", gathered)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--no-install", action="store_true", help="leave out the peers that are not installed")
    options = parser.parse_args()
    nodes = 3000 if options.quick else options.nodes
    rounds = 1 if options.quick else ROUNDS
    made = stacks(nodes)
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as name:
        folder = Path(name)
        write_collapsed(folder / "made.collapsed", made)
        own = ours(folder, rounds)
        samples = sum(count for _, count in made)
        print(f"### Writing a profile of {nodes:,} nodes, {len(made):,} stacks, {samples:,} samples\n\n{machine()}\n")
        rows = [row(form, "hybridprof", found, None) for form, found in own.items()]
        for form, peer in PEERS.items():
            lack = ("not installed here" if options.no_install or options.quick else peer.install()) if not peer.installed() else ""
            rows.append(row(form, f"{peer.name} {peer.version()}", lack or peer.measured(folder, rounds), own.get(form, own["collapsed"])))
        if sys.version_info >= (3, 15):
            for form, result in tachyon(folder, made, rounds).items():
                rows.append(row(form, f"profiling.sampling {sys.version.split()[0]}", result, own.get(form, own["collapsed"])))
    table(
        ("format", "writer", "ms of CPU time", "× hybridprof", "MB", "ms to take the samples in"),
        sorted(rows, key=lambda each: str(each[0])),
    )


if __name__ == "__main__":
    main()
