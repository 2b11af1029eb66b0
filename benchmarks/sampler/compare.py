# SPDX-License-Identifier: MIT
"""hybridprof and its peers side by side: in one run, in turn, on the same programs, against truths that are known.

python -m sampler.compare [--quick] [--section NAME ...] [--peer NAME ... | --alone] [--case WORDS] [--runs N] [--seconds FACTOR] [--tables]

Stores what it found under benchmarks/results and writes the tables of all that is stored into benchmarks/README.md. A run of chosen peers
or cases, or a quick one, is only printed. Peers are installed into .cache/peers when they are first needed; a quick run takes those that are there.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from typing import Any

from measure import machine

from sampler import results, session
from sampler.peers import OWN, PEERS, Peer
from sampler.sections import SECTIONS, Section
from sampler.sections.base import Case, Size

FAILURES = 3  # of a profiler that never succeeds in a case; then it is left alone there
QUICK_SECONDS = 35.0  # after which a quick run leaves the peers out


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def available(names: list[str], quick: bool) -> tuple[list[Peer], dict[str, str]]:
    """Those that run here, and why the others do not."""
    peers, absent = [], {}
    for name, peer in PEERS.items():
        if names and name not in names and peer is not OWN:
            continue
        reason = "not installed, and a quick run installs nothing" if quick and not peer.installed() else session.probe(peer)
        if reason:
            absent[name] = reason
        else:
            peers.append(peer)
        say(f"{name}: {reason or 'runs'}")
    if OWN not in peers:
        sys.exit(f"hybridprof itself does not run: {absent[OWN.name]}")
    return peers, absent


class Comparison:
    """One section on this interpreter."""

    def __init__(self, section: Section, peers: list[Peer], size: Size, deadline: float, words: str) -> None:
        self.section = section
        self.peers = peers
        self.size = size
        self.deadline = deadline
        self.words = words
        self.load = 0.0  # average, the highest that was seen: what else the machine did
        self.cells: dict[str, dict[str, list[dict[str, Any]]]] = {peer.name: {} for peer in peers}
        self.failures: dict[str, dict[str, list[str]]] = {}

    def measure(self) -> None:
        cases = [case for case in self.section.cases(self.size) if self.words in case.name]
        for turn in range(self.size.runs):
            for case in cases:
                began = time.monotonic()
                for peer in self.peers:
                    if peer is OWN or (turn < self.section.peer_runs and not case.own):
                        self._once(peer, case)
                self.load = max(self.load, os.getloadavg()[0])
                say(f"{self.section.name} {turn + 1}/{self.size.runs}, {case.name}: {time.monotonic() - began:.0f} s")

    def _once(self, peer: Peer, case: Case) -> None:
        """One run; a second and a third try where the profiler failed, until it has failed too often to go on."""
        failures = self.failures.setdefault(peer.name, {}).setdefault(case.name, [])
        found = self.cells[peer.name].setdefault(case.name, [])
        if time.monotonic() > self.deadline and peer is not OWN:
            failures[:] = ["left out of a quick run, which is short"]
            return
        for _ in range(1 if self.size.quick else session.TRIES):
            if len(failures) >= FAILURES and not found:
                return
            try:
                run = session.run(peer, case.program, case.options, case.rate, case.limit, case.pinned, case.threads)
                found.append(self.section.reduce(peer, case, run))
                return
            except Exception as error:  # a peer's failure is a result; the others go on
                failures.append(str(error) if isinstance(error, session.Failed) else f"{type(error).__name__}: {error}")
                say(f"  {peer.name}: {failures[-1]}")

    def stored(self, absent: dict[str, str], command: str) -> dict[str, Any]:
        return {
            "machine": f"{machine()}; load average up to {self.load:.1f}",
            "command": command,
            "runs": self.size.runs,
            "versions": {peer.name: peer.version() for peer in self.peers},
            "absent": absent,
            "failures": {peer: {case: each for case, each in cases.items() if each} for peer, cases in self.failures.items()},
            "cells": self.cells,
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="sampler.compare", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute, to see that it works")
    parser.add_argument("--section", action="append", choices=list(SECTIONS), help="only this one; may be given again")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--peer", action="append", choices=list(PEERS), help="only this one and hybridprof; nothing is stored")
    which.add_argument("--alone", action="store_true", help="only hybridprof: what one interpreter shows of its truth, in less time")
    parser.add_argument(
        "--case", default="", metavar="WORDS", help="only those with this in their name, such as 'free | 20'; nothing is stored"
    )
    parser.add_argument("--runs", type=int, help="of each case and profiler")
    parser.add_argument("--seconds", type=float, default=1.0, help="a factor to every duration")
    parser.add_argument("--tables", action="store_true", help="only write the README's tables anew")
    chosen = parser.parse_args()
    # A shell that runs us in the background ignores interrupts, and so would the peers, which are ended by one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # not without ending what we started
    if chosen.tables:
        results.write_readme()
        return
    deadline = time.monotonic() + QUICK_SECONDS if chosen.quick else math.inf
    peers, absent = available([OWN.name] if chosen.alone else chosen.peer or [], chosen.quick)
    options = [word for name in chosen.section or [] for word in ("--section", name)]
    options += ["--alone"] * chosen.alone
    options += ["--runs", str(chosen.runs)] if chosen.runs else []
    options += ["--seconds", f"{chosen.seconds:g}"] if chosen.seconds != 1 else []
    command = " ".join([f"scripts/bench --python {session.interpreter()} sampler.compare", *(["--", *options] if options else [])])
    for name in chosen.section or SECTIONS:
        section = SECTIONS[name]
        runs = chosen.runs or (1 if chosen.quick else section.runs)
        comparison = Comparison(section, peers, Size(runs, 0.1 if chosen.quick else chosen.seconds, chosen.quick), deadline, chosen.case)
        comparison.measure()
        found = comparison.stored(absent, command)
        if chosen.quick or chosen.peer or chosen.case:
            print(results.section_text(name, {session.interpreter(): found}))
        else:
            results.store(name, session.interpreter(), found)
            results.write_readme()
        for words in section.shortfalls(comparison.cells):
            say(f"!! hybridprof, {name}, {session.interpreter()}: {words}")


if __name__ == "__main__":
    main()
