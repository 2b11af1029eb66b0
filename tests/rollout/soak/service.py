# SPDX-License-Identifier: MIT
"""The service of the soak, and what can be learnt of its workers from outside: /proc, the control sockets, the folder of profiles."""

from __future__ import annotations

import http.client
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlled import ask
from rollout.service import Service

CALLS = 60  # traced calls in a request: about half of the tracer's budget
HOT = 10  # times as many in a request for /hot
INTERVAL = 5  # seconds that a file covers
FILES, MEGABYTES = 24, 4  # limits of the folder of profiles
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

# About a millisecond of work that no target meets, and then the target.
APPLICATION = f"""
import json, os, resource, sys, time
import hybridprof
from hybridprof import _core
from hybridprof.integrations.wsgi import WSGIMiddleware

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

def price(i):
    return i * 2

def checkout(n):
    return sum(price(i) for i in range(n))

def render():
    total = 0
    for i in range(15000):
        total += i & 7
    return total

def armed():
    if not hasattr(sys, "monitoring"):
        return sys.getprofile() is not None
    tools = [tool for tool in range(6) if sys.monitoring.get_tool(tool) is not None]
    codes = (checkout.__code__, price.__code__)
    return any(sys.monitoring.get_events(tool) or any(sys.monitoring.get_local_events(tool, code) for code in codes) for tool in tools)

def state():
    time.sleep(0.1)  # so that requests at once meet different workers
    return {{"pid": os.getpid(), "armed": bool(armed()), "targets": len(_core.targets()), "running": _core.running()}}

def app(environ, start_response):
    path = environ["PATH_INFO"]
    answer = state() if path == "/state" else render() + checkout({CALLS * HOT} if path == "/hot" else {CALLS})
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]

application = WSGIMiddleware(app)
"""

BASE = f"""
[output]
interval = {INTERVAL}
files = {FILES}
megabytes = {MEGABYTES}
paths = "short"
[rollout]
hosts = 1.0
requests = 0.01
[sampler]
rate = 100
budget = "1%"
[caps]
deep_rate = 1.0
"""
DEEP = '[deep]\ntargets = ["shop:checkout"]\nbudget = "2%"\nrate = {rate}\n'
DEEP_RATES = {"deep": 0.01, "wide": 1.0}


def configuration(stage: str) -> str:
    deep = DEEP.format(rate=DEEP_RATES[stage]) if stage in DEEP_RATES else ""
    return f'stage = "{stage}"\n{BASE}{deep}'


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums of one worker, as the kernel has them. threads: CPU seconds by thread id, of those that are hybridprof's, with their names."""

    cpu: float
    rss: int
    threads: dict[int, tuple[str, float]]


class SoakService(Service):
    def __init__(self, folder: Path, workers: int) -> None:
        super().__init__(folder, workers)
        self.state_dir = folder / "state"
        self.state_dir.mkdir(mode=0o700)
        (folder / "shop.py").write_text(APPLICATION)

    def configure(self, text: str) -> None:
        places = f"control.socket = '{self.folder}/%p.sock'\nstate_dir = '{self.state_dir}'\n"
        super().configure(places + text)

    def pids(self) -> set[int]:
        """gunicorn's children. A process that ended between two looks has none."""
        assert self._process is not None
        main = self._process.pid
        with open(f"/proc/{main}/task/{main}/children", encoding="ascii") as file:
            return {int(each) for each in file.read().split()}

    def status(self, pid: int) -> dict[str, Any] | None:
        """What a worker says of itself; None where it is not there, or has no socket yet."""
        try:
            code, found = ask(self.folder / f"{pid}.sock", "/status")
        except (OSError, http.client.HTTPException):
            return None
        return found if code == 200 else None

    def command(self, pid: int, what: str, fields: object = None) -> Any:
        code, answer = ask(self.folder / f"{pid}.sock", what, "POST", fields)
        assert code == 200, answer
        return answer

    def crash(self) -> int:
        """One worker, as a bug in C code would; which."""
        victim = min(self.pids())
        os.kill(victim, signal.SIGSEGV)
        return victim

    def stored(self) -> tuple[int, int]:
        """Profiles, and their bytes."""
        sizes = []
        for path in self.files():
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:  # over the limit just now
                pass
        return len(sizes), sum(sizes)


def usage(pid: int) -> Usage | None:
    """None where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        threads = {}
        for task in os.listdir(f"/proc/{pid}/task"):
            name = Path(f"/proc/{pid}/task/{task}/comm").read_text().strip()
            if name.startswith("hybridprof"):
                # Nanoseconds: the ticks of `stat` are larger than what a sampler takes in a second.
                threads[int(task)] = name, int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):
        return None
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE, threads)


def is_sampler(name: str) -> bool:
    return re.fullmatch("hybridprof", name) is not None
