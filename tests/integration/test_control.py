# SPDX-License-Identifier: MIT
"""The control socket of a real process, asked by curl and by raw bytes: who may, what it changes, and that nothing of it harms the program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli, clean_environment, wheel
from controlled import PATIENCE, UNBOUND, Service, ask, connected, raw, received, serving, status_line, token_of, until

import hybridprof
from hybridprof import _core

SHOP = "__main__:shop"
QUIET = [True, False, 0, False, 0]  # hooks() of a process in which nothing is armed


def configured(folder: Path, text: str) -> dict[str, str | None]:
    """The environment of a service that this file rules."""
    config = folder / "config.toml"
    config.write_text(f"state_dir = '{folder}'\n{text}\n[control]\nsocket = '{folder}/%p.sock'\n{UNBOUND}")
    config.chmod(0o600)
    return {"HYBRIDPROF_CONFIG": str(config)}


def curl(service: Service, what: str, *options: str, token: str | None = None) -> tuple[int, bytes]:
    """What curl makes of it. Without curl the standard library's client is asked the same."""
    token = service.token if token is None else token
    program = shutil.which("curl")
    if program is None:
        fields = json.loads(options[1]) if options else None
        status, answer = service.get(what, "POST" if options else "GET", fields, token)
        return status, answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    command = [
        program,
        "-sS",
        "--max-time",
        "60",
        "--unix-socket",
        str(service.socket),
        "-w",
        "\n%{http_code}",
        "-H",
        f"Authorization: Bearer {token}",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # a sanitizer's, which curl is not built for
    done = subprocess.run([*command, *options, f"http://localhost{what}"], capture_output=True, timeout=PATIENCE + 10, env=environment)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


def test_curl(tmp_path: Path) -> None:
    with Service(tmp_path, "hybridprof.start()\n", env=configured(tmp_path, "stage = 'fleet'")) as service:
        status, body = curl(service, "/status")
        found = json.loads(body)
        assert (status, found["pid"], found["running"], found["rate_hz"], found["control"]["socket"]) == (
            200,
            service.pid,
            True,
            200,
            str(service.socket),
        )
        status, body = curl(service, "/rate", "-d", '{"hz": 50, "for": "10m"}')
        assert (status, json.loads(body)["rate_hz"], service.ask("_core.status()['rate_hz']")) == (200, 50, 50)
        for token in ("", "x", service.token[:-1]):
            status, body = curl(service, "/kill", "-d", "{}", token=token)
            assert status == 401 and json.loads(body)["error"].startswith("the request has no right token")
        assert curl(service, "/rate", "-d", '{"hz": 1e9}')[0] == 400
        large = json.dumps({"x": "x" * 2_000_000})
        (tmp_path / "large").write_text(large)
        assert curl(service, "/rate", "-d", f"@{tmp_path}/large" if shutil.which("curl") else large)[0] == 413
        assert service.ask("_core.status()['rate_hz']") == 50 and service.ask("hybridprof.running()")
        assert service.ask("hybridprof.status()['control']['refused']") == 5


def test_every_format_comes_as_it_is_written(tmp_path: Path) -> None:
    with Service(tmp_path, serving(tmp_path)) as service:
        # What sleeps is sampled as well, so that no number of samples says that "work" is among them.
        until(lambda: service.ask("any(row[0] == 'work' for row in _core.snapshot().functions())"))
        for name, _, _, can_read, can_write in _core.formats():
            if not can_write:
                continue
            status, body = curl(service, f"/snapshot?format={name}")
            assert status == 200 and body
            path = tmp_path / f"x.{name}"
            path.write_bytes(body)
            if can_read:
                assert any("work" in row.name for row in hybridprof.load(path).functions)
        assert curl(service, "/snapshot?format=txt")[0] == 400
        assert service.ask("hybridprof.running()")


def test_what_it_costs_is_accounted_and_bounded(tmp_path: Path) -> None:
    """Nothing else writes here: what the ledger has is the socket's."""
    with Service(tmp_path, serving(tmp_path), env={"HYBRIDPROF_OUTPUT_BUDGET": "0.001%"}) as service:

        def cost() -> float:
            costs = service.get("/status")[1]["costs"]
            return float(costs["writer_share"] * costs["process_cpu_s"]) if costs else 0.0

        until(lambda: cost() > 0.01)
        assert service.get("/snapshot")[0] == 200
        status, answer = service.get("/snapshot")
        assert status == 429 and answer["error"].startswith("the last snapshot is not paid for yet")
        found = service.get("/status")[1]["control"]
        assert (found["refused"], found["postponed"]) == (0, 1)
        assert service.get("/kill", "POST", {})[0] == 200


def test_its_thread_stands_in_the_profile(tmp_path: Path) -> None:
    with Service(tmp_path, serving(tmp_path)) as service:
        path = tmp_path / "x.hyprof"

        def threads() -> set[str]:
            path.write_bytes(curl(service, "/snapshot")[1])
            return {thread.name for thread in hybridprof.load(path).threads}

        until(lambda: "hybridprof-control" in threads())
        ours = os.path.dirname(hybridprof.__file__) + os.sep
        assert not [row.name for row in hybridprof.load(path).functions if row.file.startswith(ours)]
        assert service.ask("[thread.name for thread in threading.enumerate()]") == ["MainThread", "shopping"]


def test_kill_leaves_nothing_armed(tmp_path: Path) -> None:
    with Service(
        tmp_path, "hybridprof.start()\n", env=configured(tmp_path, f"stage = 'deep'\n[deep]\ntargets = ['{SHOP}']\nrate = 1.0")
    ) as service:
        assert service.ask("hybridprof.status()['patterns']") == [SHOP] and service.ask("hooks()") != QUIET
        status, answer = service.get("/kill", "POST", {})
        assert (status, answer["running"], answer["overrides"]) == (200, False, [])
        assert service.ask("hooks()") == QUIET
        assert service.get("/start", "POST", {})[0] == 409
        service.ask("!hybridprof.start()")
        assert service.ask("hybridprof.running()") is False


def test_targets_with_an_end(tmp_path: Path) -> None:
    with Service(tmp_path, "hybridprof.start()\n", env=configured(tmp_path, "stage = 'deep'\ndeep.rate = 1.0")) as service:
        assert service.get("/targets", "POST", {"add": [SHOP]})[0] == 400
        status, answer = service.get("/targets", "POST", {"add": [SHOP], "for": 2})
        assert (status, answer["patterns"]) == (200, [SHOP])
        until(lambda: service.ask("hybridprof.status()['patterns']") == [])
        calls = service.ask("next(row.calls for row in hybridprof.snapshot().functions if row.name == 'shop')")
        assert calls is None or calls >= 0
        log = until(lambda: (tmp_path / "audit.jsonl").read_text() if (tmp_path / "audit.jsonl").exists() else "")
        assert '"control targets"' in log


def test_the_audit(run_cli: RunCli, tmp_path: Path) -> None:
    with Service(tmp_path, "hybridprof.start()\n", env=configured(tmp_path, "stage = 'fleet'")) as service:
        service.get("/rate", "POST", {"hz": 20, "for": "10m"})
        service.get("/rate", "POST", {"hz": 20, "for": "10m"}, token="wrong")
        raw(service.socket, b"\x00\xff rubbish\r\n\r\n")
        service.get("/snapshot")
        service.get("/snapshot")
        service.get("/stop", "POST", {})
    run_cli("audit", "verify", tmp_path / "audit.jsonl")
    records = json.loads(run_cli("audit", "show", tmp_path / "audit.jsonl", "--json").stdout)["records"]
    assert not [each["what"] for each in records if each["what"].startswith("override ")]  # one change is one record of who asked for it
    records = [each for each in records if each["what"].startswith("control ")]
    assert [each["what"] for each in records] == ["control rate", "control refused", "control refused", "control snapshot", "control stop"]
    assert {(each["uid"], each["pid"], each["via"]) for each in records} == {(os.geteuid(), os.getpid(), "control")}
    assert (records[0]["old"], records[0]["new"]) == (200.0, 20.0) and records[0]["until"]
    assert records[1]["new"] == {**records[1]["new"], "status": 401, "request": "POST /rate HTTP/1.1"}
    assert "wrong" not in (tmp_path / "audit.jsonl").read_text()


def test_a_log_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    with Service(tmp_path, "hybridprof.start()\n", env=configured(tmp_path, "stage = 'fleet'")) as service:
        for name in ("audit.jsonl", "audit.jsonl.head"):
            if not (tmp_path / name).exists():
                (tmp_path / name).mkdir()
        assert service.get("/rate", "POST", {"hz": 20})[0] == 200
        assert "cannot be written" in service.get("/status")[1]["audit"]["problem"]


def test_a_slow_client_holds_up_nobody(tmp_path: Path) -> None:
    with Service(tmp_path, serving(tmp_path)) as service:
        slow = [connected(service.socket) for _ in range(4)]
        for channel in slow:
            channel.sendall(b"POST /kill HTTP/1.1\r\nAuth")
        assert service.get("/status")[0] == 200
        assert [status_line(received(channel)) for channel in slow] == [408] * 4
        assert service.ask("hybridprof.running()")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_sent_away(tmp_path: Path) -> None:
    """Though the files would let him in, and he has the token: the kernel's word counts."""
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder) not in ("/", "/tmp"):
            folder.chmod(0o711)
    with Service(tmp_path, serving(tmp_path)) as service:
        os.chmod(service.socket, 0o666)
        code = """
import os, socket, sys
os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534)
channel = socket.socket(socket.AF_UNIX); channel.connect(sys.argv[2])
try: channel.sendall(f"POST /kill HTTP/1.1\\r\\nAuthorization: Bearer {sys.argv[3]}\\r\\n\\r\\n".encode())
except OSError: pass
print(channel.recv(10000).decode())
"""
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path, service.socket.name, service.token], capture_output=True, text=True, timeout=PATIENCE
        )
        assert "403" in done.stdout.splitlines()[0] and "not user 65534" in done.stdout, done.stderr
        assert service.ask("hybridprof.running()") and service.ask("hybridprof.status()['control']['refused']") == 1


def test_a_client_that_goes_away_and_a_deadly_sigpipe(tmp_path: Path) -> None:
    with Service(tmp_path, serving(tmp_path, "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n")) as service:
        head = f"GET /snapshot HTTP/1.1\r\nAuthorization: Bearer {service.token}\r\n\r\n".encode()
        for _ in range(20):
            with connected(service.socket) as channel:
                channel.sendall(head)
        assert until(lambda: service.get("/status")[0] == 200)


def test_no_descriptors_left(tmp_path: Path) -> None:
    """The system refuses new connections for a while; the thread outlives that, and answers again."""
    code = serving(tmp_path) + "import resource\nopened = []\n"
    with Service(tmp_path, code) as service:
        service.ask(
            "!resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))"
        )
        with connected(service.socket) as channel:
            channel.settimeout(0.5)
            with pytest.raises(TimeoutError):
                channel.recv(1)
            service.ask("!resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))")
            assert service.get("/status")[0] == 200


def answers(path: Path) -> bool:
    """Its name is there a moment before it listens."""
    try:
        return ask(path, "/status")[0] == 200
    except OSError:
        return False


def test_the_file_moves_and_closes_the_socket(tmp_path: Path) -> None:
    env = configured(tmp_path, "stage = 'fleet'")
    with Service(tmp_path, "hybridprof.start()\n", env=env) as service:
        config, other = tmp_path / "config.toml", tmp_path / "other.sock"
        text = config.read_text()
        assert service.get("/status")[0] == 200
        config.write_text(text.replace("%p.sock", "other.sock"))
        until(lambda: answers(other))
        assert ask(other, "/status")[1]["control"]["socket"] == str(other)
        assert not service.socket.exists() and not Path(f"{service.socket}.token").exists()
        os.unlink(other)  # as a cleaner of /run does
        until(lambda: answers(other))
        config.write_text(text.partition("[control]")[0])
        until(lambda: not other.exists())
        assert service.ask("hybridprof.status()['control']['socket']") is None
        config.write_text(text.replace(str(tmp_path / "%p.sock"), "/nowhere/at/all.sock"))
        assert "cannot be made" in until(lambda: service.ask("hybridprof.status()['control']['problem']"))
        assert service.ask("hybridprof.running()")


def test_forks(tmp_path: Path) -> None:
    """Nobody warns of threads; the parent goes on answering, also whom it had let in before; each child answers on its own socket alone."""
    code = """
alone = True
from hybridprof.rollout.control import connection
connection.REQUEST_TIME = 60.0
def child(seconds):
    pid = os.fork()
    if pid == 0:
        end = time.monotonic() + seconds
        while time.monotonic() < end: time.sleep(0.01)
        os._exit(7)
    return pid
"""
    with Service(tmp_path, serving(tmp_path, code)) as service:
        with connected(service.socket) as half:
            half.sendall(b"GET /status HTTP/1.1\r\n")
            pid = service.ask("child(60)")
            try:
                half.sendall(f"Authorization: Bearer {service.token}\r\n\r\n".encode())
                answer = received(half)
                assert status_line(answer) == 200 and json.loads(answer.partition(b"\r\n\r\n")[2])["pid"] == service.pid
                for _ in range(20):
                    assert service.get("/status")[1]["pid"] == service.pid
                own = tmp_path / f"{pid}.sock"
                until(lambda: own.exists() and Path(f"{own}.token").exists())
                status, found = ask(own, "/status")
                assert (status, found["pid"], found["control"]["requests"]) == (200, pid, 1)
                assert token_of(own) != service.token
                assert ask(own, "/status", token=service.token)[0] == 401
                ask(own, "/kill", "POST", {})
                assert service.ask("hybridprof.running()")
            finally:
                os.kill(pid, signal.SIGKILL)
        assert service.ask(f"os.waitpid({pid}, 0)[1]") == signal.SIGKILL
        for _ in range(10):
            assert service.ask("os.waitstatus_to_exitcode(os.waitpid(child(0), 0)[1])") == 7
        assert until(lambda: service.get("/status")[0]) == 200


def test_one_name_for_all_processes(tmp_path: Path) -> None:
    path = tmp_path / "one.sock"
    code = f"hybridprof.configure(socket={str(path)!r})\n"
    with Service(tmp_path, code) as first:
        with Service(tmp_path, code) as second:
            assert "is another process'; write %p" in second.ask("hybridprof.status()['control']['problem']")
            assert ask(path, "/status")[1]["pid"] == first.pid
        assert ask(path, "/status")[1]["pid"] == first.pid
        first.kill()
    assert path.exists()
    with Service(tmp_path, code) as third:
        assert ask(path, "/status")[1]["pid"] == third.pid
    assert not path.exists() and not Path(f"{path}.token").exists()


def test_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    with Service(tmp_path, serving(tmp_path)) as dead:
        dead.kill()
    assert dead.socket.exists()
    with Service(tmp_path, serving(tmp_path)) as service:
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"{service.pid}.sock", f"{service.pid}.sock.token"]


@pytest.mark.parametrize(
    "ending", ["", "sys.exit(3)", "raise KeyError", "hybridprof.stop()", "threading.Thread(target=time.sleep, args=(0.3,)).start()"]
)
def test_the_end_removes_the_socket(run_python: RunCli, tmp_path: Path, ending: str) -> None:
    done = run_python(
        "import os, sys, threading, time, hybridprof\n" + serving(tmp_path) + "print(len(os.listdir(sys.argv[1])))\n" + ending,
        tmp_path,
        status=None,
    )
    assert done.stdout == "2\n" and list(tmp_path.iterdir()) == []
    assert done.stderr == "" or ending == "raise KeyError"


def test_exec_leaves_a_name_that_the_next_program_takes(run_python: RunCli, tmp_path: Path) -> None:
    """The same pid: the socket of before is a dead one, though its process lives."""
    then = "import hybridprof\n" + serving(tmp_path) + "print(hybridprof.status()['control']['problem'] or 'served')"
    code = f"import os, sys, hybridprof\n{serving(tmp_path)}sys.stdout.flush()\nos.execv(sys.executable, [sys.executable, '-c', {then!r}])"
    assert run_python(code).stdout == "served\n"
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_loaded_or_made_where_no_socket_is_asked_for(run_python: RunCli, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("stage = 'fleet'\n")
    config.chmod(0o600)
    code = "import sys, hybridprof\nhybridprof.start()\nprint(sorted({'http.server', 'socket', 'hybridprof.rollout.control.server'} & {*sys.modules}))"
    assert run_python(code, env={"HYBRIDPROF_CONFIG": str(config)}).stdout == "[]\n"


def test_the_environment_alone(tmp_path: Path) -> None:
    with Service(tmp_path, "hybridprof.start()\n", env={"HYBRIDPROF_CONTROL_SOCKET": str(tmp_path / "%p.sock")}) as service:
        found: Any = service.get("/status")[1]
        assert (found["pid"], found["running"], found["config"]) == (service.pid, True, None)


def test_gevent(tmp_path: Path) -> None:
    """Greenlets pass for threads: the hub runs on, and the socket answers."""
    wheel("gevent")
    code = "from gevent import monkey; monkey.patch_all()\n" + serving(tmp_path)
    program = (
        "import os, sys, time\n"
        + code.replace("hybridprof.configure", "import hybridprof; hybridprof.configure")
        + "import gevent\nprint('ready', flush=True)\nend = time.monotonic() + 60\nticks = 0\n"
    )
    program += (
        "while time.monotonic() < end and not os.path.exists(sys.argv[1]): gevent.sleep(0.01); ticks += 1\nprint(ticks > 0, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "end")], env=clean_environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        path = tmp_path / f"{process.pid}.sock"
        until(path.exists)
        assert ask(path, "/status")[1]["pid"] == process.pid
        (tmp_path / "end").touch()
        assert process.communicate(timeout=PATIENCE)[0] == "True\n" and process.returncode == 0
    finally:
        process.kill()
        process.wait()
    assert not path.exists()
