# SPDX-License-Identifier: MIT
"""A prefork service as operators run it: gunicorn with a small application, hybridprof's hooks and a configuration file."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import clean_environment

import hybridprof

PATIENCE = 40.0  # seconds for what should take two

APPLICATION = """
import json, os, resource, sys, time
import hybridprof
from hybridprof import _core
from hybridprof.integrations.wsgi import WSGIMiddleware

if os.environ.get("FILE_LIMIT"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["FILE_LIMIT"]),) * 2)

def checkout(n):
    return sum(price(i) for i in range(n))

def price(i):
    return i * 2

def armed():
    if not hasattr(sys, "monitoring"):
        return sys.getprofile() is not None
    tools = [tool for tool in range(6) if sys.monitoring.get_tool(tool) is not None]
    codes = (checkout.__code__, price.__code__)
    return any(sys.monitoring.get_events(tool) or any(sys.monitoring.get_local_events(tool, code) for code in codes) for tool in tools)

def state():
    time.sleep(0.1)  # so that requests at once meet different workers
    return {"pid": os.getpid(), "armed": bool(armed()), "targets": len(_core.targets()), "calls": calls(), "status": hybridprof.status()}

def calls():
    try:
        return sum(row.calls or 0 for row in hybridprof.snapshot().functions if row.name == "checkout")
    except RuntimeError:
        return 0

def app(environ, start_response):
    answer = state() if environ["PATH_INFO"] == "/state" else checkout(20)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer, default=str).encode()]

application = WSGIMiddleware(app)
"""

SETTINGS = """
from hybridprof.integrations.gunicorn import pre_fork, post_fork, worker_exit
control_socket_disable = True  # its place is in the home folder
"""


class Service:
    """It listens on a socket that the test has bound, so that no port is guessed. One process group, which the test ends."""

    def __init__(self, folder: Path, workers: int = 2, settings: str = "", **environment: str) -> None:
        """settings: what gunicorn's configuration file begins with."""
        self.folder, self.output, self.kill_file = folder, folder / "profiles", folder / "kill"
        self.workers, self._environment = workers, environment
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.log = folder / "gunicorn.log"
        (folder / "shop.py").write_text(APPLICATION)
        (folder / "gunicorn.conf.py").write_text(settings + SETTINGS)
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, text: str) -> None:
        """As an operator should: whole, or not at all."""
        head = f"service = 'shop'\noutput_dir = '{self.output}'\nkill_file = '{self.kill_file}'\n"
        new = self.folder / "config.new"
        new.write_text(head + text)
        new.chmod(0o600)
        new.replace(self.folder / "config.toml")

    def __enter__(self) -> Service:
        descriptor = self._listener.fileno()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gunicorn", "-w", str(self.workers), "-b", f"fd://{descriptor}", "shop:application"],
                cwd=self.folder,
                env=clean_environment(HYBRIDPROF_CONFIG=str(self.folder / "config.toml"), PYTHONPATH=str(self.folder), **self._environment),
                stdout=log,
                stderr=log,
                pass_fds=[descriptor],
                start_new_session=True,
            )
        self.until(lambda: len(self.states()) == self.workers, "all workers answer")
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise
        finally:
            self._listener.close()

    def get(self, path: str = "/") -> Any:
        """Raises OSError or HTTPException where the request is not answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, (response.status, body[-500:])
            return json.loads(body)
        finally:
            connection.close()

    def states(self) -> dict[int, dict[str, Any]]:
        """Of the workers that answered, by pid: as many requests at once as there are workers, some times."""
        found: dict[int, dict[str, Any]] = {}
        with concurrent.futures.ThreadPoolExecutor(self.workers + 1) as pool:
            for _ in range(4):
                for future in [pool.submit(self._state) for _ in range(self.workers + 1)]:
                    state = future.result()
                    if state is not None:
                        found[state["pid"]] = state
                if len(found) >= self.workers:
                    break
        return found

    def _state(self) -> dict[str, Any] | None:
        try:
            state: dict[str, Any] = self.get("/state")
        except (OSError, http.client.HTTPException):  # a worker that is being killed
            return None
        return state

    def everywhere(self, condition: Callable[[dict[str, Any]], bool]) -> bool:
        states = self.states()
        return len(states) == self.workers and all(condition(state) for state in states.values())

    def until(self, condition: Callable[[], bool], what: str) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        while not condition():
            assert self._process is not None and self._process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < began + PATIENCE, f"never: {what}\n{self.states()}\n{self.log.read_text()[-2000:]}"
            time.sleep(0.05)
        return time.monotonic() - began

    def files(self, pid: int | None = None) -> list[Path]:
        return sorted(self.output.glob(f"shop@*.p{pid if pid is not None else '*'}.*.hyprof"))

    def profiles(self, pid: int | None = None) -> list[hybridprof.Profile]:
        return [hybridprof.load(path) for path in self.files(pid)]
