# SPDX-License-Identifier: MIT
"""`hybridprof ctl`: against a real process, and against everything that is none."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RunCli
from controlled import UNBOUND, Service, until

import hybridprof

SHOP = "__main__:shop"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    config = tmp_path / "c.toml"
    config.write_text(f"stage = 'fleet'\n[control]\nsocket = '{tmp_path}/%p.sock'\n{UNBOUND}")
    config.chmod(0o600)
    with Service(tmp_path, "hybridprof.start()\n", env={"HYBRIDPROF_CONFIG": str(config)}) as made:
        yield made


def said(run_cli: RunCli, service: Service, *arguments: object, status: int = 0) -> str:
    """One line: on stdout where it was done, on stderr where it was not."""
    done = run_cli("ctl", service.pid, *arguments, status=status)
    line = done.stderr if status else done.stdout
    assert line.count("\n") == 1 and (done.stdout if status else done.stderr) == ""
    return line.strip().replace(f"process {service.pid}: ", "")


def test_steering(run_cli: RunCli, service: Service, tmp_path: Path) -> None:
    by = f"override by control (uid {os.geteuid()}, pid "
    assert said(run_cli, service, "rate", "50", "--for", "10m").startswith("50 Hz, for 10 min: stage 'fleet'")
    assert said(run_cli, service, "stop", "--for", "90s").startswith(f"nothing runs, for 1 min 30 s: stage 'off' ({by}")
    assert said(run_cli, service, "start") == f"50 Hz: stage 'fleet' ({tmp_path}/c.toml:1)"
    assert said(run_cli, service, "start", "--stage", "deep").startswith(f"50 Hz, for 1 h: stage 'deep' ({by}")
    assert said(run_cli, service, "targets", "add", SHOP, "__main__:work", "--rate", "1", "--for", "10m").startswith(
        f"50 Hz, traced: {SHOP}, __main__:work, for 10 min: stage 'deep'"
    )
    found = json.loads(run_cli("ctl", service.pid, "targets", "remove", "__main__:work", "--json").stdout)
    assert (found["patterns"], found["rate_hz"]) == ([SHOP], 50)
    shown = run_cli("ctl", service.socket, "status").stdout
    for line in (
        f"process {service.pid}: 50 Hz, traced: {SHOP}: stage 'deep'",
        f"deep.targets = {SHOP}, for ",
        "sampler.rate = 50.0, for ",
        "0 refused",
    ):
        assert line in shown
    found = json.loads(run_cli("ctl", service.pid, "status", "--json").stdout)
    assert found["pid"] == service.pid and found["in_force"]["sampler.rate"]["value"] == 50
    assert said(run_cli, service, "kill").startswith("nothing runs: stage 'off' (control socket: killed by control (uid ")
    assert "stays so until it ends" in said(run_cli, service, "start", status=2)
    assert service.ask("hooks()") == [True, False, 0, False, 0]


def test_snapshot(run_cli: RunCli, service: Service, tmp_path: Path) -> None:
    until(lambda: service.ask("hybridprof.status()['samples']['kept']") > 20)
    done = run_cli("ctl", service.pid, "snapshot", "-o", "x.hyprof")
    assert done.stderr == "hybridprof: wrote x.hyprof; see it with: hybridprof report x.hyprof\n"
    assert "work" in {row.name for row in hybridprof.load(tmp_path / "x.hyprof").functions}
    assert (tmp_path / "x.hyprof").stat().st_mode & 0o777 == 0o600
    run_cli("ctl", service.pid, "snapshot", "-o", "x.pstats")
    assert "work" in {row.name for row in hybridprof.load(tmp_path / "x.pstats").functions}
    run_cli("ctl", service.pid, "snapshot", "-o", "odd", "-f", "pstats")
    assert hybridprof.load(tmp_path / "odd").functions
    assert "work" in run_cli("ctl", service.pid, "snapshot", "-o", "-", "-f", "collapsed").stdout
    for name, sentence in [("x.txt", "cannot tell a format"), ("none/x.hyprof", "there is no folder"), (".", "cannot")]:
        assert sentence in said(run_cli, service, "snapshot", "-o", name, status=2)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_snapshot_that_fails_leaves_what_was_there(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "old.hyprof").write_text("old")
    with Service(tmp_path, f"hybridprof.configure(socket={str(tmp_path / '%p.sock')!r})\n") as service:
        sentence = said(run_cli, service, "snapshot", "-o", "old.hyprof", status=2)
        assert sentence == "hybridprof: nothing has been measured: stage 'off' (default)"
    assert (tmp_path / "old.hyprof").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rate", "600"], "sampler.rate is 600, and [caps] rate allows at most 500"),
        (["rate", "fast"], "argument HZ: invalid float value: 'fast' (see: hybridprof ctl PID|SOCKET rate --help)"),
        (["rate", "5", "--for", "soon"], "for must be a time such as 90s, 10m, 2h or 1d, above 0 and at most 7 days, not 'soon'"),
        (["start", "--stage", "dark"], "stage 'dark' runs nothing; start takes canary, fleet, deep or wide"),
        (["targets", "add", SHOP], 'targets takes "for", a time such as "10m", after which they are as the configuration says'),
        (["targets", "add", "shop", "--for", "1m"], "add holds what is no target: pattern 'shop' has no colon; "),
        (["targets", "remove", SHOP], f"'{SHOP}' is no target here; targets are none"),
        (["targets", "add", SHOP, "--for", "1m"], "no targets are traced now (stage 'fleet' ("),
        (["rewind"], "argument COMMAND: invalid choice: 'rewind'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_what_is_refused(run_cli: RunCli, service: Service, arguments: list[str], sentence: str) -> None:
    assert said(run_cli, service, *arguments, status=2).startswith(f"hybridprof: {sentence}")
    assert service.ask("[hybridprof.status()['rate_hz'], hybridprof.status()['overrides']]") == [200.0, []]


def test_who_is_not_there(run_cli: RunCli, tmp_path: Path) -> None:
    dead, empty, mute = tmp_path / "dead.sock", tmp_path / "empty.sock", tmp_path / "mute.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(dead))
        listener.listen()
    empty.touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(mute))
        listener.listen()
        for target, sentence in [
            (2**22 + 5, "there is no process 4194309"),
            (os.getpid(), f"process {os.getpid()} has no control socket; a socket is named by [control] socket"),
            (tmp_path / "none.sock", f"there is no socket {tmp_path}/none.sock; a socket is named by"),
            (dead, f"nobody answers at {dead}: the process that made it has ended"),
            (empty, f"nobody answers at {empty}: the process that made it has ended"),
            (mute, f"there is no token {mute}.token: what listens at {mute} is no control socket"),
            (tmp_path / ("x" * 200), f"{tmp_path / ('x' * 200)}: AF_UNIX path too long"),
        ]:
            done = run_cli("ctl", target, "status", status=2)
            assert done.stderr.startswith(f"hybridprof: {sentence}") and done.stderr.count("\n") == 1 and done.stdout == ""


def test_the_token_is_told_to_nobody_else(run_cli: RunCli, tmp_path: Path) -> None:
    """A token file that others may read, and a link, are none."""
    path, token = tmp_path / "x.sock", tmp_path / "x.sock.token"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(60)
        token.write_text("secret")
        for spoil in (lambda: token.chmod(0o644), lambda: (token.rename(tmp_path / "t"), token.symlink_to("t"))):
            spoil()
            done = run_cli("ctl", path, "status", status=2)
            assert done.stderr.count("\n") == 1 and "token" in done.stderr
            channel, _ = listener.accept()
            with channel:
                assert channel.recv(1000) == b""
