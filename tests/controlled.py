# SPDX-License-Identifier: MIT
"""A real process with a control socket, and a client of it that is not ours: raw bytes, http.client."""

from __future__ import annotations

import errno
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

PATIENCE = 60.0  # seconds, on a machine that is busy with other things

# It works all the time, and evaluates what comes in, so that a test can look at it from within.
PROGRAM = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("error")
import hybridprof
from hybridprof import _core

def work(): return sum(range(100_000))
def shop(): return work()

alone = ends = False
def until_it_ends():
    while not ends:
        shop()
        time.sleep(0.002)

def hooks():
    tools = [sys.monitoring.get_events(tool) for tool in range(6) if sys.monitoring.get_tool(tool)] if hasattr(sys, "monitoring") else []
    return [sys.getprofile() is None, any(tools), len(_core.targets()), _core.status()["running"], _core.status()["targets"]]

def say(value): print(repr(value), flush=True)
"""
LOOP = """
worker = None if alone else threading.Thread(target=until_it_ends, name="shopping")
if worker: worker.start()
say("ready")
for line in sys.stdin:
    if line.startswith("!"): exec(line[1:]); say(None)
    else: say(eval(line))
ends = True
if worker: worker.join()
"""


# So that no rate is lowered while a test looks at it, however busy the machine is.
UNBOUND = "[sampler]\nrate = 200\nbudget = '100%'\n[caps]\nrate = 500\ndeep_rate = 1.0\nsampler_budget = '100%'\ndeep_budget = '100%'\n"


class Service:
    """`with Service(folder, "hybridprof.configure(...)") as service`: its code runs first; `alone = True` there leaves it with one thread. env: more of its environment. Its snapshots are paid for at
    once, unless that says otherwise."""

    def __init__(self, folder: Path, code: str, env: dict[str, str | None] | None = None) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM + code + LOOP, str(folder)],
            cwd=folder,
            env=clean_environment(**{"HYBRIDPROF_OUTPUT_BUDGET": "100%", **(env or {})}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.socket = folder / f"{self.pid}.sock"

    def __enter__(self) -> Service:
        try:
            assert self._answer() == "ready"
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if self._process.poll() is None:
            try:
                if kind is None:
                    self.end()
            finally:
                self._process.kill()
                self._process.wait()

    def ask(self, expression: str) -> Any:
        """What the process makes of an expression; "!statement" is run."""
        assert self._process.stdin is not None
        self._process.stdin.write(expression.replace("\n", " ") + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None and self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the process has ended: {self._process.wait()}\n{self._process.stderr.read()[-4000:]}")
        return eval(line)

    def end(self) -> str:
        """Its stderr, after it ended as it should."""
        _, errors = self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode == 0, errors
        return errors

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    @property
    def token(self) -> str:
        return token_of(self.socket)

    def get(self, path: str, method: str = "GET", fields: object = None, token: str | None = None) -> tuple[int, Any]:
        return ask(self.socket, path, method, fields, token)


def serving(folder: Path, more: str = "") -> str:
    """Code of a service without a configuration file."""
    return f"hybridprof.configure(socket={str(folder / '%p.sock')!r})\nhybridprof.start(rate=200)\n" + more


def token_of(path: Path) -> str:
    return path.with_name(path.name + ".token").read_text().strip()


def connected(path: Path) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.settimeout(PATIENCE)
    until(lambda: channel.connect_ex(str(path)) != errno.EAGAIN)  # a queue that is full
    channel.getpeername()  # raises where it was refused
    return channel


def ask(path: Path, what: str, method: str = "GET", fields: object = None, token: str | None = None) -> tuple[int, Any]:
    """The status and, where it is JSON, the value."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = connected(path)
    headers = {"Authorization": f"Bearer {token_of(path) if token is None else token}"}
    connection.request(method, what, None if fields is None else json.dumps(fields).encode(), headers)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, json.loads(raw) if answer.getheader("Content-Type") == "application/json" else raw


def raw(path: Path, sent: bytes, *, end: bool = True) -> bytes:
    """All that comes back for these bytes until the other side closes. end: that nothing more is sent is told."""
    with connected(path) as channel:
        try:
            channel.sendall(sent)
            if end:
                channel.shutdown(socket.SHUT_WR)
        except OSError:  # it was closed while we spoke: what was said before that is still there to read
            pass
        return received(channel)


def received(channel: socket.socket) -> bytes:
    parts = []
    while True:
        try:
            part = channel.recv(1 << 16)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def until(condition: Callable[[], Any]) -> Any:
    """What it says once that is true."""
    end = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def status_line(answer: bytes) -> int:
    """0 where there was no answer."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


def is_alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")
