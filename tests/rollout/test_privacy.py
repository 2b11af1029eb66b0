# SPDX-License-Identifier: MIT
"""Profiles hold names, lines and times: no value that the program works on, in any format, file or status."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import hybridprof
from hybridprof import _core

RunPython = Callable[..., "CompletedProcess[str]"]

# Each secret is in another place; none is a name.
PROGRAM = """
import http.client, json, os, shutil, socket, sys, threading, time
import hybridprof

class Account:
    def __init__(self, password):
        self.password = password
        self.by_name = {'SECRET-KEY': password}

    def check(self, given, *more, **named):
        local = given + 'SECRET-LITERAL'
        try:
            raise ValueError('SECRET-MESSAGE')
        except ValueError:
            return len(local) + len(more) + len(named)

def query(sql, parameters):
    token = os.environ['TOKEN']
    return [row for row in (sql, parameters, token)]

def generator(value):
    received = yield value
    yield received

def work():
    account = Account('SECRET-ATTRIBUTE')
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        account.check('SECRET-ARGUMENT', 'SECRET-STAR', named='SECRET-NAMED')
        query("SELECT * FROM users WHERE name = 'SECRET-SQL'", ('SECRET-PARAMETER',))
        going = generator('SECRET-YIELDED')
        next(going), going.send('SECRET-SENT')
        (lambda value='SECRET-DEFAULT': value)()

def asked(what):
    connection = http.client.HTTPConnection('localhost', timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(os.path.abspath('control.sock'))
    connection.request('GET', what, headers={'Authorization': 'Bearer ' + open('control.sock.token').read().strip()})
    answer = connection.getresponse()
    return answer.status, answer.read()

def say(name, what):
    status, body = asked(what)
    while status == 429:  # within a budget
        time.sleep(0.1)
        status, body = asked(what)
    assert status == 200, body
    with open('said/' + name, 'wb') as file:
        file.write(body)

hybridprof.configure('config.toml')
work()
for name in [each[0] for each in hybridprof._core.formats() if each[4]]:
    say(name, '/snapshot?format=' + name)
say('status', '/status')
shutil.copy(f'state/status.{os.getpid()}.json', 'said/published')
print(json.dumps(hybridprof.status(), default=str))
"""

CONFIG = """
service = 'shop'
output_dir = '{folder}/profiles'
state_dir = '{folder}/state'
stage = 'deep'
[sampler]
rate = 1000
[deep]
targets = ['__main__:work', '__main__:Account.check', '__main__:query', '__main__:generator']
rate = 1.0
[caps]
deep_rate = 1.0
[control]
socket = '{folder}/control.sock'
[output]
interval = 1
budget = '100%'
paths = '{paths}'
"""


def run_it(run_python: RunPython, folder: Path, paths: str) -> str:
    (folder / "config.toml").write_text(CONFIG.format(folder=folder, paths=paths))
    (folder / "config.toml").chmod(0o600)
    (folder / "shop.py").write_text(PROGRAM)
    (folder / "state").mkdir(mode=0o700)
    (folder / "said").mkdir()
    starter = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    return run_python(starter, folder / "shop.py", "--password=SECRET-WORD", env={"TOKEN": "SECRET-VARIABLE"}).stdout


def inflated(raw: bytes) -> bytes:
    """A .hyprof file's bytes, its chunks inflated."""
    at, found = 16, [raw[:16]]
    while at + 20 <= len(raw):
        flags, size = int.from_bytes(raw[at + 2 : at + 4], "little"), int.from_bytes(raw[at + 4 : at + 8], "little")
        payload = raw[at + 20 : at + 20 + size]
        found.append(zlib.decompress(payload) if flags & 2 else payload)
        at += 20 + size
    return b"".join(found)


def plain(name: str, raw: bytes) -> bytes:
    if name == "hyprof":
        return inflated(raw)
    return zlib.decompress(raw, 31) if raw[:2] == b"\x1f\x8b" else raw


def everything_said(path: Path) -> dict[str, bytes]:
    """The profile in each format that can be written, by name."""
    profile = hybridprof.load(path)
    found = {"file": inflated(path.read_bytes()), "meta": repr(profile.meta).encode(), "rows": repr(profile.functions).encode()}
    for name, _, _, _, can_write in _core.formats():
        if can_write:
            found[name] = plain(name, profile.encode(name))
    return found


def said_at_the_socket(folder: Path) -> dict[str, bytes]:
    """Snapshots in each format, by name."""
    names = [each[0] for each in _core.formats() if each[4]]
    return {name: plain(name, (folder / "said" / name).read_bytes()) for name in names}


@pytest.mark.parametrize("paths", ["full", "short"])
def test_no_value_of_the_program_is_in_anything_that_is_written_or_said(run_python: RunPython, tmp_path: Path, paths: str) -> None:
    status = run_it(run_python, tmp_path, paths)
    files = sorted((tmp_path / "profiles").iterdir())
    assert len(files) >= 2 and "SECRET" not in status
    names = set()
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == os.geteuid()
        assert "SECRET" not in path.name
        for name, text in everything_said(path).items():
            assert b"SECRET" not in text, (path.name, name, text[max(0, text.index(b"SECRET") - 80) :][:200])
        names |= {row.name.rpartition(".")[2] for row in hybridprof.load(path).functions}
    assert {"work", "check", "query", "generator"} <= names  # they were looked at
    said = said_at_the_socket(tmp_path) | {name: (tmp_path / "said" / name).read_bytes() for name in ("status", "published")}
    said["audit log"] = (tmp_path / "state" / "audit.jsonl").read_bytes()
    for name, text in said.items():
        assert b"SECRET" not in text, (name, text[max(0, text.index(b"SECRET") - 80) :][:200])
    assert b"control snapshot" in said["audit log"] and b"query" in said["collapsed"]


def test_short_paths_hold_no_folder(run_python: RunPython, tmp_path: Path) -> None:
    run_it(run_python, tmp_path, "short")
    files = set()
    for path in (tmp_path / "profiles").iterdir():
        profile = hybridprof.load(path)
        files |= {row.file for row in profile.functions}
        for name, text in everything_said(path).items():
            assert str(tmp_path).encode() not in text, name
        assert profile.meta["argv"] == ["shop.py"]
    assert "shop.py" in files and not [file for file in files if file.startswith("/")], files
    for name, text in said_at_the_socket(tmp_path).items():
        assert str(tmp_path).encode() not in text and b"shop" in text, name
    assert hybridprof.load(tmp_path / "said" / "hyprof").meta["argv"] == ["shop.py"]
    for name in ("status", "published"):
        assert b"shop.py" not in (tmp_path / "said" / name).read_bytes().replace(b'"shop.py:', b""), name
