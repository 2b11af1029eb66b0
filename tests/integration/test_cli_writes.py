# SPDX-License-Identifier: MIT
"""A file is there whole or not at all: a full disk, no permission, a folder in the way, a killed writer, two writers at once."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CLI_TIMEOUT, clean_environment

import hybridprof

OLD = "what was there\n"
NAMES = ("x.hyprof", "x.pstats", "callgrind.out.x", "x.collapsed", "x.pb.gz", "x.speedscope.json", "x.gecko.json")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than a megabyte in each format but the compressed ones."""
    path = tmp_path_factory.mktemp("large") / "large.collapsed"
    path.write_text("".join(f"main;f{n % 977};g{n};h{n * 7919 % 104729} {n + 1}\n" for n in range(30000)))
    return path


def call(*arguments: object, cwd: Path, status: int, before: Callable[[], None] | None = None) -> str:
    """Standard error; nothing may be on standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "hybridprof", *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=CLI_TIMEOUT,
        preexec_fn=before,
    )
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    return done.stderr


def disk_of_64_kib() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))


def disk_of_4_kib() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, 1 << 12))


def obey_permissions() -> None:
    """Root may write anywhere; without this capability it is as others are."""
    if os.geteuid() == 0:
        drop, override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
        if ctypes.CDLL(None, use_errno=True).prctl(drop, override, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "this root cannot give up CAP_DAC_OVERRIDE: run the tests as another user")


def contents(folder: Path) -> dict[str, bytes | None]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


COMMANDS = {
    "export": ["export", "{profile}", "-o", "{name}"],
    "merge": ["merge", "{profile}", "-o", "{name}"],
    "run": ["run", "--deep", "*", "-o", "{name}", "program.py"],
    "drop-in": ["-o", "{name}", "program.py"],
}


def filled(command: str, profile: Path, name: str) -> list[str]:
    return [word.format(profile=profile, name=name) for word in COMMANDS[command]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", ["export", "merge"])
def test_a_full_disk(large: Path, tmp_path: Path, command: str, name: str) -> None:
    (tmp_path / name).write_text(OLD)
    before = contents(tmp_path)
    errors = call(*filled(command, large, name), cwd=tmp_path, status=2, before=disk_of_64_kib)
    assert errors == f"hybridprof: cannot write {tmp_path / name}: File too large\n"
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_device_that_is_full(large: Path, tmp_path: Path, name: str) -> None:
    """Through a link of the right name: what stands behind it is neither replaced nor removed."""
    (tmp_path / name).symlink_to("/dev/full")
    errors = call("export", large, "-o", name, cwd=tmp_path, status=2)
    assert errors == f"hybridprof: cannot write {tmp_path / name}: No space left on device\n"
    assert os.readlink(tmp_path / name) == "/dev/full"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", ["run", "drop-in"])
def test_run_on_a_full_disk_keeps_the_status_and_the_old_file(tmp_path: Path, command: str, name: str) -> None:
    """2,000 functions make more than 4 KiB, however well they are compressed."""
    program = "".join(f"def f{n}(): pass\nf{n}()\n" for n in range(2000)) + "raise SystemExit(6)\n"
    (tmp_path / "program.py").write_text(program)
    (tmp_path / name).write_text(OLD)
    before = contents(tmp_path)
    errors = call(*filled(command, tmp_path, name), cwd=tmp_path, status=6, before=disk_of_4_kib)
    assert errors == f"hybridprof: could not write {name}: cannot write {tmp_path / name}: File too large\n"
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_permission(sample_profile: Path, tmp_path: Path, command: str, name: str) -> None:
    """Found before anything is read or run."""
    (tmp_path / "program.py").write_text("open('it-ran', 'w')\n")
    (tmp_path / "closed").mkdir(mode=0o555)
    (tmp_path / name).write_text(OLD)
    (tmp_path / name).chmod(0o444)
    before = contents(tmp_path)
    for path, reason in (
        (f"closed/{name}", f"folder '{tmp_path}/closed' is not writable"),
        (name, "the file that is there is read-only"),
    ):
        errors = call(*filled(command, sample_profile, path), cwd=tmp_path, status=2, before=obey_permissions)
        assert errors == f"hybridprof: cannot write '{path}': {reason}\n"
    assert contents(tmp_path) == before
    assert not list((tmp_path / "closed").iterdir())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_in_the_way(sample_profile: Path, tmp_path: Path, command: str, name: str) -> None:
    (tmp_path / "program.py").write_text("open('it-ran', 'w')\n")
    (tmp_path / name).mkdir()
    (tmp_path / name / "kept").write_text(OLD)
    assert call(*filled(command, sample_profile, name), cwd=tmp_path, status=2) == f"hybridprof: cannot write '{name}': it is a folder\n"
    assert contents(tmp_path / name) == {"kept": OLD.encode()}
    with pytest.raises(OSError, match="Is a directory"):
        hybridprof.load(sample_profile).write(tmp_path / name)
    assert sorted(contents(tmp_path)) == sorted([name, "program.py"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_that_breaks(large: Path, tmp_path: Path, command: str, name: str) -> None:
    """A named one, whose reader leaves before the end. Commands that only write end as `cat` does; a program's status stands."""
    (tmp_path / "program.py").write_text("".join(f"def f{n}(): pass\nf{n}()\n" for n in range(20000)) + "raise SystemExit(6)\n")
    os.mkfifo(tmp_path / name)
    process = subprocess.Popen(
        [sys.executable, "-m", "hybridprof", *filled(command, large, name)],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with open(tmp_path / name, "rb", buffering=0) as reader:
        assert reader.read(1)
    output, errors = process.communicate(timeout=CLI_TIMEOUT)
    if command in ("export", "merge"):
        assert (process.returncode, output, errors) == (141, "", "")
    else:
        said = f"hybridprof: could not write {name}: cannot write {tmp_path / name}: Broken pipe\n"
        assert (process.returncode, output, errors) == (6, "", said)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "program.py"])


WRITES = """
import sys, hybridprof
profile = hybridprof.load(sys.argv[1])
print("begins", flush=True)
while True:
    profile.write(sys.argv[2])
"""


def writer(source: Path, target: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", WRITES, source, target], env=clean_environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    return process


@pytest.mark.parametrize("name", NAMES)
def test_two_writers_at_once(tmp_path: Path, name: str) -> None:
    """Whenever one looks it is the whole file of one of the two."""
    whole = set()
    for letter in "ab":
        source, alone = tmp_path / f"{letter}.collapsed", tmp_path / "alone" / name
        source.write_text("".join(f"main;{letter}{n};g{n} {n + 1}\n" for n in range(3000)))
        alone.parent.mkdir(exist_ok=True)
        hybridprof.load(source).write(alone)
        whole.add(alone.read_bytes())
    target = tmp_path / name
    processes = [writer(tmp_path / f"{name}.collapsed", target) for name in "ab"]
    seen: set[bytes] = set()
    try:
        looks = 0
        while len(seen) < 2 or looks < 2000:  # however long the machine keeps one of them waiting
            looks += 1
            if target.exists():
                seen.add(target.read_bytes())
    finally:
        for process in processes:
            process.kill()
            process.communicate(timeout=CLI_TIMEOUT)
    assert seen == whole


@pytest.mark.parametrize("name", ["x.hyprof", "x.pstats", "x.speedscope.json"])
def test_a_killed_writer(large: Path, tmp_path: Path, name: str) -> None:
    """Killed again and again wherever it was: the file is always whole. A temporary file may stay; it has a name that no viewer takes for the profile's."""
    target = tmp_path / name
    hybridprof.load(large).write(target)
    whole = target.read_bytes()
    for turn in range(6):
        process = writer(large, target)
        time.sleep(turn * 0.007)  # somewhere in one of its writes
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=CLI_TIMEOUT)
        assert target.read_bytes() == whole
    left = [path.name for path in tmp_path.iterdir() if path.name != name]
    assert all(each.startswith(".hybridprof-") and each.endswith(".tmp") for each in left)
