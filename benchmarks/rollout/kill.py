# SPDX-License-Identifier: MIT
"""How long it takes until a kill is effective: by the file, by the control socket, and by HYBRIDPROF_DISABLE in the environment of the running process.

python -m rollout.kill [--quick]

A process that is sampled and traced looks at itself each few milliseconds: nothing runs, no function has events, no thread of the sampler is left. The moment of the kill is
a random one. Both processes read the same clock (CLOCK_MONOTONIC).
"""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from measure import machine, spread, table

from rollout.service import alone, configuration

LIMIT = 60.0  # seconds for what should take two

PROGRAM = """
import os, sys, threading, time
import hybridprof
from hybridprof import _core
from rollout.service import request, checkout, price

hybridprof.configure(sys.argv[1])

def listen():
    for line in sys.stdin:
        if line.strip():
            os.environ["HYBRIDPROF_DISABLE"] = "1"

threading.Thread(target=listen, daemon=True).start()

def armed():
    if not hasattr(sys, "monitoring"):
        return sys.getprofile() is not None
    tools = [tool for tool in range(6) if sys.monitoring.get_tool(tool) is not None]
    return any(sys.monitoring.get_events(tool) or any(sys.monitoring.get_local_events(tool, each.__code__) for each in (checkout, price)) for tool in tools)

def samplers():
    found = 0
    for task in os.listdir("/proc/self/task"):
        try:
            found += open(f"/proc/self/task/{task}/comm").read().strip() == "hybridprof"
        except OSError:
            pass
    return found

was = None
while True:
    request(60)
    time.sleep(0.002)
    runs = _core.running() or armed() or samplers() > 0
    if runs != was:
        was = runs
        print("runs" if runs else "bare", time.monotonic(), flush=True)
"""


class Service:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = configuration(folder, "rollout.service:checkout")
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)], env=alone(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Service:
        self.until("runs")
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()

    def until(self, word: str, after: float = 0.0) -> float:
        """When it said so."""
        assert self._process.stdout is not None
        watch = threading.Timer(LIMIT, self._process.kill)
        watch.start()
        try:
            for line in self._process.stdout:
                if line.split()[0] == word and float(line.split()[1]) >= after:
                    return float(line.split()[1])
        finally:
            watch.cancel()
        raise SystemExit(f"the process never said that it {word}")

    def kill_by_file(self) -> None:
        (self.folder / "kill").touch()

    def kill_by_control(self) -> None:
        path = f"{self.folder}/{self._process.pid}.sock"
        channel = socket.socket(socket.AF_UNIX)
        channel.connect(path)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = channel
        connection.request("POST", "/kill", headers={"Authorization": f"Bearer {Path(path + '.token').read_text().strip()}"})
        assert connection.getresponse().status == 200
        connection.close()

    def kill_by_environment(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("disable\n")
        self._process.stdin.flush()


WAYS: dict[str, Callable[[Service], None]] = {
    "kill file": Service.kill_by_file,
    "control socket, POST /kill": Service.kill_by_control,
    "HYBRIDPROF_DISABLE in os.environ": Service.kill_by_environment,
}


def trial(kill: Callable[[Service], None]) -> float:
    """Seconds; in a process of its own, as two of the three are for good."""
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as service:
        while kill is Service.kill_by_control and not os.path.exists(f"{folder}/{service._process.pid}.sock.token"):
            time.sleep(0.01)
        time.sleep(random.uniform(0.5, 2.5))
        at = time.monotonic()
        kill(service)
        return service.until("bare", at) - at


def main() -> None:
    trials = 2 if "--quick" in sys.argv else 50
    print(f"### Seconds until a kill is effective ({machine()}; load {os.getloadavg()[0]:.1f})\n")
    rows = []
    for name, kill in WAYS.items():
        took = [trial(kill) for _ in range(trials)]
        rows.append([name, trials, spread(took), f"{max(took):.2f}"])
    table(["by", "trials", "median [quartiles]", "longest"], rows)


if __name__ == "__main__":
    main()
