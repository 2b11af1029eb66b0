# SPDX-License-Identifier: MIT
"""The real uWSGI: its workers are profiled, follow the configuration and end cleanly, whether the application is loaded before the fork or after."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import clean_environment

import hybridprof

if sys.version_info >= (3, 15) or hasattr(sys, "gettotalrefcount"):
    pytest.skip("there is no wheel of uWSGI for this interpreter", allow_module_level=True)
if importlib.util.find_spec("pyuwsgi") is None:  # to import it here would make this process one
    assert not os.environ.get("CI"), "pyuwsgi is not installed, and there is a wheel of it"
    pytest.skip("pyuwsgi is not installed", allow_module_level=True)

PATIENCE = 40.0  # seconds for what should take two

APPLICATION = """
import os, uwsgi
uwsgi.atexit = lambda: open(f"end.{os.getpid()}", "w").close()
uwsgi.post_fork_hook = lambda: open(f"begun.{os.getpid()}", "w").close()
uwsgi.spooler = spooler = lambda message: uwsgi.SPOOL_OK
import hybridprof.integrations.uwsgi
kept = uwsgi.spooler is spooler
import json, os, time, uwsgi, hybridprof
from hybridprof import _core

forked = []
if uwsgi.worker_id() == 0:
    from uwsgidecorators import postfork

    @postfork
    def also():
        forked.append(os.getpid())

def checkout(n):
    return sum(i * 2 for i in range(n))

def long():
    open("long", "w").close()
    time.sleep(40)

def state():
    time.sleep(0.1)  # so that requests at once meet different workers
    return {"pid": os.getpid(), "slot": uwsgi.worker_id() - 1, "running": _core.running(), "status": hybridprof.status(), "forked": forked, "kept": kept}

def application(environ, start_response):
    answer = {"/state": state, "/long": long}.get(environ["PATH_INFO"], lambda: checkout(20))()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer, default=str).encode()]
"""
CONFIG = """
stage = "fleet"
service = "shop"
kill_file = "{folder}/kill"
state_dir = "{folder}/state"
output_dir = "{folder}/profiles"
output.interval = 1
"""


class Service:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "uwsgi.log"

    def states(self) -> dict[int, dict[str, Any]]:
        """Of the workers that answered, by pid."""
        found = [json.loads(answer) for answer in self._answers("/state")]
        return {each["pid"]: each for each in found}

    def _answers(self, path: str) -> Iterator[bytes]:
        """To three requests at once."""
        connections = []
        for _ in range(3):
            connection = http.client.HTTPConnection("localhost")
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(PATIENCE)
            connection.sock.connect(str(self.folder / "shop.sock"))
            connection.request("GET", path)
            connections.append(connection)
        for connection in connections:
            yield connection.getresponse().read()
            connection.close()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"never: {what}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.05)

    def everywhere(self, condition: Callable[[dict[str, Any]], bool]) -> bool:
        states = self.states()
        return len(states) == 2 and all(condition(state) for state in states.values())

    def is_idle(self) -> bool:
        """uWSGI's own word. A worker that is told to end in a request runs no exit handlers, and an answer that was read is not the request's end."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.folder / "statistics.sock"))
            found = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
        return all(worker["status"] == "idle" for worker in found["workers"])

    def files(self) -> list[Path]:
        return sorted((self.folder / "profiles").glob("shop@*.hyprof"))


@contextmanager
def uwsgi(folder: Path, *options: str, ends_idle: bool = True) -> Iterator[Service]:
    service = Service(folder)
    (folder / "shop.py").write_text(APPLICATION)
    (folder / "config.toml").write_text(CONFIG.format(folder=folder))
    (folder / "config.toml").chmod(0o600)
    (folder / "state").mkdir(mode=0o700)
    command = [sys.executable, "-c", "import pyuwsgi; pyuwsgi.run()", "--http-socket", "shop.sock", "--master", "--processes", "2"]
    command += ["--module", "shop", "--need-app", "--die-on-term", "--disable-logging", "--stats", "statistics.sock", *options]
    environment = clean_environment(HYBRIDPROF_CONFIG=str(folder / "config.toml"), PYTHONPATH=str(folder))
    with service.log.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        service.until(lambda: (folder / "shop.sock").exists() and len(service.states()) == 2, "both workers answer")
        yield service
        if ends_idle:
            service.until(service.is_idle, "all requests are over")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("lazy", [False, True], ids=["before the fork", "lazy-apps"])
def test_its_workers_are_profiled_followed_and_end_cleanly(tmp_path: Path, lazy: bool) -> None:
    with uwsgi(tmp_path, "--enable-threads", *(["--lazy-apps"] if lazy else [])) as service:
        service.until(lambda: service.everywhere(lambda state: state["running"]), "the sampler runs in both")
        states = service.states()
        assert {int(state["status"]["slot"]) for state in states.values()} == {0, 1}
        assert all(int(state["status"]["slot"]) == state["slot"] for state in states.values())
        assert lazy or all(pid in state["forked"] for pid, state in states.items())  # others' hooks are called too
        assert lazy or all((tmp_path / f"begun.{pid}").exists() for pid in states)
        assert all(state["kept"] for state in states.values())
        service.until(lambda: {hybridprof.load(path).meta["pid"] for path in service.files()} >= set(states), "each has written")
        (tmp_path / "kill").touch()
        service.until(lambda: service.everywhere(lambda state: not state["running"]), "the kill file ends it")
        (tmp_path / "kill").unlink()
        service.until(lambda: service.everywhere(lambda state: state["running"]), "it runs again")
        assert set(service.states()) == set(states)
    assert list((tmp_path / "state" / "crashes").glob("worker.*")) == []  # a clean end is no crash
    assert "Traceback" not in service.log.read_text()
    assert {int(path.suffix[1:]) for path in tmp_path.glob("end.*")} >= set(states)  # the program's own hook
    functions = {row.name for path in service.files() for row in hybridprof.load(path).functions}
    assert functions & {"checkout", "state", "application"}


def test_a_worker_that_is_told_to_end_in_a_request_did_not_crash(tmp_path: Path) -> None:
    with uwsgi(tmp_path, "--enable-threads", ends_idle=False) as service:
        service.until(lambda: service.everywhere(lambda state: state["running"]), "the sampler runs in both")
        workers = set(service.states())
        assert len(list((tmp_path / "state" / "crashes").glob("worker.*"))) == 2
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(tmp_path / "shop.sock"))
        connection.sendall(b"GET /long HTTP/1.0\r\n\r\n")
        service.until((tmp_path / "long").exists, "the request has begun")
    connection.close()
    ended = {int(path.suffix[1:]) for path in tmp_path.glob("end.*")}
    assert len(workers - ended) == 1  # uWSGI runs no exit handlers in that one
    assert list((tmp_path / "state" / "crashes").glob("worker.*")) == []


def test_a_worker_that_dies_is_replaced_in_its_slot_and_counted(tmp_path: Path) -> None:
    with uwsgi(tmp_path, "--enable-threads") as service:
        service.until(lambda: service.everywhere(lambda state: state["running"]), "the sampler runs in both")
        before = service.states()
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        service.until(lambda: victim not in (now := service.states()) and len(now) == 2, "another takes its place")
        successor = max(set(service.states()) - set(before))
        service.until(lambda: service.states()[successor]["status"]["crashes"].get("crashes") == 1, "its crash is known")
        assert service.states()[successor]["slot"] == before[victim]["slot"]


def test_without_threads_nothing_is_started_and_the_log_says_why(tmp_path: Path) -> None:
    with uwsgi(tmp_path) as service:
        assert service.everywhere(lambda state: not state["running"])
    assert service.log.read_text().count("hybridprof does not run: uWSGI's workers need enable-threads = true") == 1
