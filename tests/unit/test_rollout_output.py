# SPDX-License-Identifier: MIT
"""Files, their limits and their uploader as a configuration asks for them, in programs of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import hybridprof
from hybridprof.rollout.config import ConfigError, parse
from hybridprof.rollout.schema import from_text

RunPython = Callable[..., "CompletedProcess[str]"]

PRELUDE = """
import json, os, sys, threading, time
import hybridprof
def work():
    return sum(range(50))
def until(condition, what):
    end = time.monotonic() + 40
    while time.monotonic() < end:
        if condition():
            return
        work()
    raise SystemExit('never: ' + what + ': ' + repr(output()))
def output():
    return hybridprof.status()['output']
def files():
    return sorted(name for name in os.listdir('out') if name.endswith('.hyprof')) if os.path.isdir('out') else []
def config(text, **tables):
    with open('new.toml', 'w') as file:
        file.write(f"output_dir = {os.path.abspath('out')!r}\\nkill_file = {os.path.abspath('kill')!r}\\nservice = 'shop'\\n" + text)
    os.replace('new.toml', 'config.toml')
"""
EACH_SECOND = "stage = 'fleet'\n[output]\ninterval = 1\n"  # and whatever it costs, but where a test is about that
UNBOUND = EACH_SECOND + "budget = '100%'\n"


def profiles(folder: Path) -> list[hybridprof.Profile]:
    return [hybridprof.load(path) for path in sorted((folder / "out").glob("*.hyprof"))]


def test_each_moment_is_in_one_file(run_python: RunPython, tmp_path: Path) -> None:
    run_python(
        PRELUDE
        + f"""
config({UNBOUND!r})
hybridprof.configure('config.toml')
until(lambda: output()['written'] >= 3, 'three files')
assert output()['problem'] == '' and output()['lost'] == 0 and output()['last_file'].startswith(os.path.abspath('out'))
"""
    )
    found = sorted(profiles(tmp_path), key=lambda profile: profile.meta["started"])
    assert len(found) >= 4  # the last one at the end
    for path in (tmp_path / "out").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600 and path.name.startswith(f"shop@{os.uname().nodename.replace('.', '_')[:64]}.s0.p")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    merged = hybridprof.merge(found)
    assert merged.meta["samples"]["kept"] == sum(profile.meta["samples"]["kept"] for profile in found)
    from datetime import datetime

    for earlier, later in zip(found, found[1:], strict=False):
        began = datetime.fromisoformat(later.meta["started"]).timestamp() - datetime.fromisoformat(earlier.meta["started"]).timestamp()
        assert began == pytest.approx(earlier.meta["duration_ns"] / 1e9, abs=0.02)  # no gap: one ends where the next begins


def test_a_stage_that_ends_leaves_its_last_part_and_another_goes_on(run_python: RunPython, tmp_path: Path) -> None:
    run_python(
        PRELUDE
        + """
config("stage = 'fleet'\\n")
hybridprof.configure('config.toml')
work()
config("stage = 'dark'\\n")
until(lambda: len(files()) == 1, 'the file of what ran')
assert not hybridprof.running()
config("stage = 'fleet'\\n")
until(hybridprof.running, 'a second session')
open('kill', 'w').close()
until(lambda: len(files()) == 2, 'the file of the second')
"""
    )
    assert len(profiles(tmp_path)) == 2


def test_where_nothing_runs_no_thread_waits_to_write(run_python: RunPython, tmp_path: Path) -> None:
    run_python(
        PRELUDE
        + f"""
from hybridprof.rollout import current
def names():
    current().look()
    found = set()
    for each in os.listdir('/proc/self/task'):
        try:
            found.add(open(f'/proc/self/task/{{each}}/comm').read().strip())
        except OSError:  # it has ended meanwhile
            pass
    return found
config({UNBOUND!r})
hybridprof.configure('config.toml')
until(lambda: output()['written'] >= 1 and 'hybridprof-outp' in names(), 'a file and its thread')
open('kill', 'w').close()
until(lambda: 'hybridprof-outp' not in names(), 'no thread')
written = output()['written']
assert not hybridprof.running() and written >= 2, written  # what was measured until then was written first
os.unlink('kill')
until(lambda: output()['written'] > written and 'hybridprof-outp' in names(), 'a file of what runs again')
"""
    )


def test_nothing_is_made_where_nothing_runs(run_python: RunPython, tmp_path: Path) -> None:
    done = run_python(
        PRELUDE
        + """
config("stage = 'dark'\\n")
hybridprof.configure('config.toml')
print(json.dumps(output()))
"""
    )
    assert json.loads(done.stdout) is None and not (tmp_path / "out").exists()


def test_a_forked_child_writes_its_own_file_and_not_its_parent_s(run_python: RunPython, tmp_path: Path) -> None:
    done = run_python(
        PRELUDE
        + """
config("stage = 'fleet'\\n[output]\\ncommand = ['false']\\n")
hybridprof.configure('config.toml')
until(lambda: hybridprof.snapshot().meta['samples']['kept'] > 5, 'samples')
child = os.fork()
if child == 0:
    try:
        until(hybridprof.running, 'the child runs')
        until(lambda: hybridprof.snapshot().meta['samples']['kept'] > 5, 'samples of the child')
        hybridprof.rollout.current().output.at_exit()
    finally:
        os._exit(0)
os.waitpid(child, 0)
print(os.getpid(), child)
"""
    )
    assert done.stderr == ""  # os.fork() warns where there is a second thread
    found = {profile.meta["pid"] for profile in profiles(tmp_path)}
    assert len(found) == 2 and len(profiles(tmp_path)) == 2


def test_a_folder_that_cannot_be_written_is_said_and_harms_nothing(run_python: RunPython) -> None:
    run_python(
        PRELUDE
        + """
os.symlink('/proc', 'out')  # nothing can be made there, by root either
config("stage = 'fleet'\\n[output]\\ninterval = 1\\n")
hybridprof.configure('config.toml')
until(lambda: output()['failures'] >= 2, 'failures')
assert output()['written'] == 0 and output()['waiting'] >= 1 and output()['problem'].startswith('profiles cannot be written to '), output()
assert hybridprof.running()
os.unlink('out')
until(lambda: output()['written'] >= 2 and output()['waiting'] == 0, 'what waited is written')
assert output()['problem'] == '' and output()['lost'] == 0
"""
    )


def test_a_session_that_is_begun_anew_loses_no_file(run_python: RunPython, tmp_path: Path) -> None:
    run_python(
        PRELUDE
        + f"""
from hybridprof.rollout import rotation
rotation.LARGE = 1
config({UNBOUND!r})
hybridprof.configure('config.toml')
until(lambda: output()['written'] >= 4, 'four files')
assert output()['lost'] == 0 and output()['problem'] == '' and hybridprof.running(), output()
assert hybridprof.status()['stage'] == 'fleet'
"""
    )
    assert sum(profile.meta["samples"]["kept"] > 20 for profile in profiles(tmp_path)) >= 3


def test_limits_hold_in_the_folder(run_python: RunPython, tmp_path: Path) -> None:
    run_python(
        PRELUDE
        + f"""
config({UNBOUND!r} + 'files = 2\\n')
hybridprof.configure('config.toml')
until(lambda: output()['removed'] >= 1, 'one is removed')
"""
    )
    assert 1 <= len(profiles(tmp_path)) <= 2


UPLOADER = "import shutil\ndef upload(path): shutil.copy(path, 'store')\n"


@pytest.mark.parametrize("key", ["upload = 'uploader:upload'", "command = ['cp', '-t', 'store']"])
def test_files_are_handed_over_and_then_gone(run_python: RunPython, tmp_path: Path, key: str) -> None:
    (tmp_path / "uploader.py").write_text(UPLOADER)
    (tmp_path / "store").mkdir()
    done = run_python(
        PRELUDE
        + f"""
sys.path.insert(0, os.getcwd())
config({UNBOUND!r} + {key!r})
hybridprof.configure('config.toml')
until(lambda: output()['upload'] and output()['upload']['handed_over'] >= 2, 'two are handed over')
print(json.dumps(output()))
"""
    )
    status: dict[str, Any] = json.loads(done.stdout)["upload"]
    stored = list((tmp_path / "store").iterdir())
    assert len(stored) >= 2 and status["failures"] == 0 and status["problem"] == ""
    assert all(hybridprof.load(path).meta["pid"] > 0 for path in stored)
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert len(left) <= 2 and not left & {path.name for path in stored}


def test_what_is_not_handed_over_stays(run_python: RunPython, tmp_path: Path) -> None:
    run_python(
        PRELUDE
        + f"""
config({UNBOUND!r} + "command = ['false']")
hybridprof.configure('config.toml')
until(lambda: output()['upload'] and output()['upload']['failures'] >= 1 and output()['written'] >= 2, 'a failure')
assert 'false ended with exit status 1' in output()['upload']['problem']
assert output()['upload']['handed_over'] == 0 and hybridprof.running()
"""
    )
    assert len(profiles(tmp_path)) >= 3


def test_the_keys_are_checked() -> None:
    text = "[output]\ninterval = 0.5\nfiles = 0\npaths = 'none'\nupload = 'os.system'\ncommand = []\ndays = 0\n"
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.toml")
    assert [error.split(", not ")[0] for error in caught.value.errors] == [
        "c.toml:2: output.interval must be a number of seconds from 1 to 86400",
        "c.toml:3: output.files must be a number from 1 to 1000000",
        "c.toml:4: output.paths must be one of full, short",
        'c.toml:5: output.upload must be a function such as "package.module:upload"',
        'c.toml:6: output.command must be a list of words such as ["/usr/bin/upload", "--to", "profiles"]',
        "c.toml:7: output.days must be a number of days above 0 and at most 3650",
    ]
    with pytest.raises(ConfigError, match="both there, and a profile is handed to one of them"):
        parse("output.upload = 'a:b'\noutput.command = ['c']\n", "c.toml")


def test_the_environment_says_the_same() -> None:
    assert from_text("output.interval", "30") == 30.0
    assert from_text("output.command", "cp -t '/a b'") == ("cp", "-t", "/a b")
    with pytest.raises(ValueError, match=r"output\.interval must be a number of seconds"):
        from_text("output.interval", "soon")


def test_writing_and_handing_over_are_accounted_and_held_to_their_budget(run_python: RunPython, tmp_path: Path) -> None:
    """The program works all the time; its uploader takes 0.1 s of CPU time for each file, which 1 % pays for in ten seconds."""
    (tmp_path / "dear.py").write_text(
        "import time\ndef upload(path):\n    end = time.thread_time() + 0.1\n    while time.thread_time() < end: pass\n"
    )
    run_python(
        PRELUDE
        + f"""
sys.path.insert(0, os.getcwd())
config({EACH_SECOND!r} + "upload = 'dear:upload'\\n")
hybridprof.configure('config.toml')
until(lambda: output()['upload']['handed_over'] >= 1, 'handed over')
until(lambda: output()['postponed'] >= 1 and output()['waits_for_budget'], 'a file that waits')
costs = lambda: hybridprof.status()['costs']
until(lambda: costs()['writer_share'] * costs()['process_cpu_s'] > 0.09, 'the ledger has it')
assert costs()['writer_budget'] == 0.01
config({EACH_SECOND!r} + "budget = '100%'\\nupload = 'dear:upload'\\n")
until(lambda: output()['written'] >= 3, 'files that are paid for')
"""
    )
