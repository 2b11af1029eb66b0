# SPDX-License-Identifier: MIT
"""One run of a program under a profiler. Everything has a limit, and every process that is started here is ended here, by its number."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sampler.peers import Peer, Sampled
from sampler.peers.base import ROOT

TARGET = Path(__file__).with_name("target.py")
ATTACH_SECONDS = 8.0  # at most, to start and read the program's symbols
TRIES = 3  # of a profiler, and of each of its runs, before it counts as failed
END_SECONDS = 15.0  # at most, from the interrupt to the written file


class Failed(Exception):
    """A sentence: why this profiler gave nothing in this run."""


@dataclass
class Run:
    """result: what the program measured. cpu_ns: of the profiler in each window, None where it works in the program's own thread."""

    result: dict[str, Any]
    sampled: Sampled
    cpu_ns: list[int] = field(default_factory=list)
    words: str = ""  # the last that the profiler said


def cpu_of(pid: int) -> int:
    """ns of CPU of a whole process: clock_getcpuclockid(3) in one line."""
    return time.clock_gettime_ns((~pid << 3) | 2)


class Attached:
    """A profiler in a process of its own, from when it samples to when it has written what it saw."""

    def __init__(self, peer: Peer, pid: int, rate: float, seconds: float, folder: Path, threads: bool) -> None:
        self.peer = peer
        self.output = folder / "output"
        self.output.unlink(missing_ok=True)
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            command = peer.attach(pid, rate, seconds, self.output, threads)
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        self._settle()
        self.cpu = cpu_of(self.process.pid) if self.process.poll() is None else 0

    def _settle(self) -> None:
        """Until it has started: it then takes less than a core, and says nothing else of its state that all of them would say."""
        end = time.monotonic() + ATTACH_SECONDS
        spent, quiet = 0, 0
        while time.monotonic() < end and quiet < 3 and self.process.poll() is None:
            time.sleep(0.15)
            now = cpu_of(self.process.pid) if self.process.poll() is None else spent
            quiet = quiet + 1 if now and now - spent < 0.5 * 0.15e9 else 0
            spent = now

    def end(self) -> int:
        """Ends it and returns the ns of CPU since it had started."""
        alive = self.process.poll() is None
        spent = cpu_of(self.process.pid) - self.cpu if alive else 0
        if alive:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.peer.name} did not end within {END_SECONDS:g} s of its interrupt") from None
        if not self.output.exists():
            raise Failed(f"{self.peer.name} ended with status {self.process.returncode} and wrote nothing: {complaint(self.log)}")
        return spent

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def complaint(log: Path) -> str:
    """The sentence in which it says what is wrong, or the last one."""
    text = re.sub(r"\x1b\[[\d;]*m", "", log.read_text(errors="replace")) if log.exists() else ""
    lines = [line.strip() for line in text.splitlines() if re.search(r"\w{3}", line)]
    complaints = [line for line in lines if re.search(r"error|cannot|can't|fail|denied|refused", line, re.IGNORECASE)]
    return re.sub(r"^\W+", "", (complaints or lines[-1:] or ["no message"])[0].partition(". ")[0])[:200]


class Program:
    """The program's process and what it says."""

    def __init__(self, command: list[str], folder: Path) -> None:
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / folder) for folder in ("benchmarks", "tests/integration", "tests"))
        environment["PYTHONSAFEPATH"] = "1"
        self.log = folder / "program.log"
        with open(self.log, "wb") as log:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, cwd=folder, env=environment)
        self.rest = b""

    def line(self, end: float) -> str:
        """The next line that is for us, until the clock says `end`."""
        assert self.process.stdout
        while True:
            while b"\n" not in self.rest:
                left = end - time.monotonic()
                if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                    raise Failed("the program did not end in time")
                new = os.read(self.process.stdout.fileno(), 65536)
                if not new:
                    raise Failed(f"the program ended early: {complaint(self.log)}")
                self.rest += new
            line, _, self.rest = self.rest.partition(b"\n")
            if line.startswith(b"@"):
                return line[1:].decode()

    def answer(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def finish(self) -> None:
        """Waits for its end: some write their profile then."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed("the program did not end after its result") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


def run(peer: Peer, program: str, options: dict[str, Any], rate: float, limit: float, pinned: bool = False, threads: bool = False) -> Run:
    """limit: seconds that the program may take, profiler included. Raises Failed."""
    with tempfile.TemporaryDirectory(prefix="hybridprof-bench-") as name:
        folder = Path(name)
        settings = {
            "peer": peer.name,
            "rate": rate,
            "output": str(folder / "inside"),
            "program": program,
            "options": options,
            "pinned": pinned,
        }
        command = [
            *peer.launch(rate, folder / "output"),
            str(TARGET),
            *peer.separator,
            json.dumps(settings),
        ]
        process = Program(command, folder)
        try:
            return _conversation(peer, process, rate, limit, folder, threads)
        finally:
            process.kill()


def _conversation(peer: Peer, process: Program, rate: float, limit: float, folder: Path, threads: bool) -> Run:
    end = time.monotonic() + limit
    attached: Attached | None = None
    spent: list[int] = []
    try:
        while True:
            word, _, rest = process.line(end).partition(" ")
            if word == "open":
                attached = Attached(peer, process.process.pid, rate, limit, folder, threads)
                process.answer()
            elif word == "close":
                assert attached
                spent.append(attached.end())
                process.answer()
            elif word == "result":
                result = json.loads(rest)
                process.finish()
                reports = result.pop("reports")
                if peer.inside:
                    spent = [report["cpu_ns"] for report in reports if "cpu_ns" in report]
                return Run(result, _read(peer, folder), spent, complaint(folder / "log"))
            else:
                raise Failed(f"the program said {word!r}")
    finally:
        if attached is not None:
            attached.kill()


def _read(peer: Peer, folder: Path) -> Sampled:
    output = next((path for path in (folder / "output", folder / "output.json", folder / "inside") if path.exists()), None)
    if output is None:
        raise Failed(f"{peer.name} wrote nothing: {complaint(folder / 'program.log')}")
    log = folder / "log"
    return peer.read(output, log.read_text(errors="replace") if log.exists() else "")


def probe(peer: Peer) -> str:
    """Why this profiler cannot be compared on this interpreter, or nothing: it is installed and once tried."""
    try:
        reason = peer.unsupported() or peer.install()
    except (OSError, subprocess.SubprocessError) as error:
        return f"not installed: {error}"
    if reason:
        return reason
    for _ in range(TRIES):
        reason = _try(peer)
        if not reason:
            break
    return reason


def _try(peer: Peer) -> str:
    try:
        found = run(peer, "chains", {"seconds": 0.5}, 100, 40)
    except Failed as failure:
        return str(failure)
    except Exception as error:  # what a profiler writes is none of ours
        return f"its output was not understood ({type(error).__name__}: {error})"
    seen = any("chains_program" in (name for name, _ in stack) for stack in found.sampled.weights)
    return "" if seen else f"it saw nothing of the program: {found.words}"


def interpreter() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}" + ("d" if hasattr(sys, "gettotalrefcount") else "")
