# SPDX-License-Identifier: MIT
"""What the benchmark asks of a profiler, and where each one is installed.

An adapter is imported on both sides: by the benchmark, and, if its profiler works inside the program (`inside`), by the program that is
profiled. So adapters import no profiler at their top.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
INSTALL_SECONDS = 300

Frame = tuple[str, str]  # name of the function, its file
Stack = tuple[Frame, ...]  # outermost first


@dataclass
class Sampled:
    """What a profiler says it saw. weights: by stack, in the profiler's own unit. counts: samples by stack, where that is another number.
    lost: samples that it took and threw away or could not read. uneven: what unequal weights make of the variance, sum(w²) n / sum(w)²; 1 if equal."""

    weights: Counter[Stack] = field(default_factory=Counter)
    samples: int = 0
    lost: int = 0
    counts: Counter[Stack] = field(default_factory=Counter)
    uneven: float = 1.0


def short_name(name: str) -> str:
    """Without its class and enclosing functions: not every profiler knows them."""
    return name.rpartition(".")[2]


class Peer:
    """A profiler in one of its modes; `inside` ones are started by the program itself, the others attach to it."""

    name: str
    requirements: tuple[str, ...] = ()
    from_source: tuple[str, ...] = ()  # packages that may be compiled where there is no wheel
    inside = False
    options: tuple[str, ...] = ()
    separator: tuple[str, ...] = ()  # between the program's file and its arguments
    own_thread = True  # measures from a thread or process of its own; otherwise in the program's

    def __init__(self, name: str = "", *options: str) -> None:
        self.name = name or self.name
        self.options = options

    # --- installation ---

    @property
    def venv(self) -> Path:
        key = hashlib.sha256(f"{sys.base_prefix} {sys.version} {self.requirements}".encode()).hexdigest()[:8]
        return ROOT / ".cache" / "peers" / f"{type(self).__name__.lower()}-{sys.version_info[0]}.{sys.version_info[1]}-{key}"

    @property
    def python(self) -> str:
        """The interpreter that runs the program that is profiled."""
        return str(self.venv / "bin/python") if self.inside else sys.executable

    def installed(self) -> bool:
        return not self.requirements or (self.venv / ".installed").exists()

    def install(self) -> str:
        """Installs it, unless that was done; returns why it could not be, or nothing."""
        refused = self.venv / ".refused"
        if self.installed():
            return ""
        if refused.exists():
            return refused.read_text()
        base = getattr(sys, "_base_executable", sys.executable)
        wheels = ["--only-binary", ":all:", *(word for name in self.from_source for word in ("--no-binary", name))]
        subprocess.run([base, "-m", "venv", self.venv], check=True, stdout=subprocess.DEVNULL, timeout=INSTALL_SECONDS)
        pip = [str(self.venv / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wheels, *self.requirements]
        try:
            done = subprocess.run(pip, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            done = None
        if done is None or done.returncode:
            lack = (
                f"no wheel of {self.requirements[0]} for this interpreter"
                if not self.from_source
                else f"{self.requirements[0]} does not build"
            )
            refused.write_text(lack)
            return lack
        (self.venv / ".installed").touch()
        return ""

    def unsupported(self) -> str:
        """Why it cannot run here, before anything is tried."""
        return ""

    def version(self) -> str:
        return self.requirements[0].partition("==")[2]

    # --- a run ---

    def launch(self, rate: float, output: Path) -> list[str]:
        """The command in front of the program's file and arguments."""
        return [self.python]

    def attach(self, pid: int, rate: float, seconds: float, output: Path, threads: bool) -> list[str]:
        """The command that samples a process, for at most some seconds. threads: all of them, where that is a choice."""
        raise NotImplementedError(self.name)

    def read(self, output: Path, log: str) -> Sampled:
        """What it wrote; log: its standard output and error."""
        raise NotImplementedError(self.name)

    # --- inside the program ---

    def start(self, rate: float) -> None:
        raise NotImplementedError(self.name)

    def stop(self, output: Path | None) -> dict[str, int]:
        """Writes what was sampled, if a path is given. Returns cpu_ns where the profiler knows its own CPU time."""
        raise NotImplementedError(self.name)
