# SPDX-License-Identifier: MIT
"""`-o -`: the profile alone on standard output, whatever the program prints; pipes that break, fill and do not block."""

from __future__ import annotations

import os
import pstats
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import CLI_TIMEOUT, RunCli, clean_environment

import hybridprof

FORMATS = sorted(name for name, _, _, _, can_write in hybridprof._core.formats() if can_write)
TEXT = {"callgrind", "collapsed", "speedscope", "gecko"}
BROKEN = 141

PRINTS = """
import os, subprocess, sys
def work(): return sum(range(100))
print("printed")
os.write(1, b"straight\\n")
subprocess.run(["echo", "from a child"])
sys.stdout.write("not flushed")
work()
"""


def call(*arguments: object, cwd: Path, status: int = 0, stdout: Any = subprocess.PIPE, **options: Any) -> tuple[bytes, str]:
    """Standard output as bytes, standard error as text."""
    done = subprocess.run(
        [sys.executable, "-m", "hybridprof", *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=CLI_TIMEOUT,
        **options,
    )
    errors = done.stderr.decode()
    assert done.returncode == status, errors
    return done.stdout, errors


def broken_pipe() -> int:
    """The end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", [["-o", "-"], []], ids=["dash", "nothing"])
def test_export_gives_the_bytes_of_the_file(sample_profile: Path, tmp_path: Path, form: str, name: list[str]) -> None:
    call("export", sample_profile, "-f", form, "-o", tmp_path / "file", cwd=tmp_path)
    given, errors = call("export", sample_profile, "-f", form, *name, cwd=tmp_path)
    assert given == (tmp_path / "file").read_bytes()
    assert errors == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("form", FORMATS)
def test_run_keeps_the_programs_output_apart(tmp_path: Path, form: str) -> None:
    (tmp_path / "program.py").write_text(PRINTS)
    given, errors = call("run", "--deep", "__main__:work", "-f", form, "-o", "-", "program.py", cwd=tmp_path)
    for said in ("printed\n", "straight\n", "from a child\n", "not flushed"):
        assert said.encode() not in given
        assert errors.count(said) == 1
    assert "hybridprof" not in errors  # nothing was written that could be looked for
    (tmp_path / "out").write_bytes(given)
    if form in ("hyprof", "pstats", "pprof"):
        assert [row.calls for row in hybridprof.load(tmp_path / "out").functions if row.name == "work"] == [1]
    else:
        assert b"work" in given


def test_run_writes_files_too(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PRINTS)
    given, errors = call("run", "--deep", "__main__:work", "-o", "-", "-o", "x.hyprof", "-f", "callgrind", "program.py", cwd=tmp_path)
    assert given.startswith(b"# callgrind format\n")
    assert [row.calls for row in hybridprof.load(tmp_path / "x.hyprof").functions if row.name == "work"] == [1]
    assert "hybridprof: wrote x.hyprof; see it with: hybridprof report x.hyprof\n" in errors


def test_the_table_goes_with_the_programs_output(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PRINTS)
    given, errors = call("run", "-s", "calls", "--deep", "__main__:work", "-f", "callgrind", "-o", "-", "program.py", cwd=tmp_path)
    assert given.startswith(b"# callgrind format\n")
    assert b"measured" not in given
    assert "__main__.work" in errors


def test_the_drop_in_gives_pstats(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PRINTS)
    given, errors = call("-o", "-", "program.py", cwd=tmp_path)
    (tmp_path / "out").write_bytes(given)
    stats = pstats.Stats(str(tmp_path / "out")).stats  # type: ignore[attr-defined]
    assert [row[1] for key, row in stats.items() if key[2] == "work"] == [1]
    assert errors.count("printed\n") == 1


def test_merge(sample_profile: Path, tmp_path: Path) -> None:
    call("merge", sample_profile, "-o", "file.hyprof", cwd=tmp_path)
    assert call("merge", sample_profile, "-o", "-", cwd=tmp_path)[0] == (tmp_path / "file.hyprof").read_bytes()
    call("merge", sample_profile, "-o", "file.collapsed", cwd=tmp_path)
    assert call("merge", sample_profile, "-o", "-", "-f", "collapsed", cwd=tmp_path)[0] == (tmp_path / "file.collapsed").read_bytes()


def test_a_pipeline(sample_profile: Path, tmp_path: Path) -> None:
    """What merge writes another command reads from a pipe."""
    merge = [sys.executable, "-m", "hybridprof", "merge", str(sample_profile), "-o", "-"]
    with subprocess.Popen(merge, stdout=subprocess.PIPE, env=clean_environment(), cwd=tmp_path) as merging:
        report = [sys.executable, "-m", "hybridprof", "report", "/dev/stdin"]
        done = subprocess.run(report, stdin=merging.stdout, capture_output=True, text=True, env=clean_environment(), timeout=CLI_TIMEOUT)
    assert merging.returncode == 0
    assert "__main__.recursive" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "-o", "-", "program.py"], "no format given for standard output; use -f FORMAT, or -o OUT with a name that tells it"),
        (
            ["run", "-o", "-", "-o", "-", "-f", "pstats", "program.py"],
            "standard output holds one profile, and -o - is given more than once",
        ),
        (["run", "-f", "pstats", "program.py"], "-f is for an OUT whose name tells no format, such as -o -; here each name tells one"),
        (["run", "-f", "pstats", "-o", "x.collapsed", "program.py"], "-f is for an OUT whose name tells no format"),
        (["run", "-f", "png", "-o", "-", "program.py"], "there is no format 'png' to write; use one of "),
        (["merge", "x.hyprof", "-f", "png", "-o", "-"], "there is no format 'png' to write; use one of "),
        (["export", "x.hyprof", "-o", "-"], "no format given; use -f FORMAT, or -o OUT with a name that tells it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input(run_cli: RunCli, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "program.py").write_text("open('it-ran', 'w')\n")
    done = run_cli(*arguments, status=2)
    assert done.stdout == ""
    assert done.stderr.startswith("hybridprof: " + sentence)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "it-ran").exists()


COMMANDS = {
    "export": ["export", "{profile}", "-f", "{form}", "-o", "-"],
    "run": ["run", "-f", "{form}", "-o", "-", "program.py"],
    "merge": ["merge", "{profile}", "-f", "{form}", "-o", "-"],
}


def filled(command: str, profile: Path, form: str) -> list[str]:
    return [word.format(profile=profile, form=form) for word in COMMANDS[command]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_gets_text_and_nothing_binary(sample_profile: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "program.py").write_text("open('it-ran', 'w')\n")
    ours, theirs = pty.openpty()
    try:
        for form in sorted(set(FORMATS) - TEXT):
            _, errors = call(*filled(command, sample_profile, form), cwd=tmp_path, status=2, stdout=theirs)
            assert errors == f"hybridprof: {form} is binary and standard output is a terminal; use -o OUT\n"
        assert not (tmp_path / "it-ran").exists()
        if command == "export":
            call("export", sample_profile, "-f", "collapsed", "--state", "unknown", cwd=tmp_path, stdout=theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def close_stdout() -> None:
    os.close(1)


@pytest.mark.parametrize("command", COMMANDS)
def test_closed(sample_profile: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "program.py").write_text("open('it-ran', 'w')\n")
    _, errors = call(*filled(command, sample_profile, "callgrind"), cwd=tmp_path, status=2, preexec_fn=close_stdout)
    assert errors == "hybridprof: cannot write to standard output: it is closed; use -o OUT with the name of a file\n"
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("command", ["export", "merge"])
def test_a_broken_pipe_ends_it_without_a_word(sample_profile: Path, tmp_path: Path, command: str) -> None:
    end = broken_pipe()
    assert call(*filled(command, sample_profile, "hyprof"), cwd=tmp_path, status=BROKEN, stdout=end)[1] == ""
    os.close(end)


@pytest.mark.parametrize("command", ["report", "info"])
def test_a_reader_of_text_that_went_away(sample_profile: Path, tmp_path: Path, command: str) -> None:
    end = broken_pipe()
    assert call(command, sample_profile, cwd=tmp_path, status=BROKEN, stdout=end)[1] == ""
    os.close(end)


def test_as_cat_into_head(tmp_path: Path) -> None:
    """The status that a shell shows of either, of more than a pipe holds."""
    (tmp_path / "big.collapsed").write_text("".join(f"main;f{n};g{n} {n + 1}\n" for n in range(20000)))
    found = []
    for command in ("cat big.collapsed", f'"{sys.executable}" -m hybridprof export big.collapsed -f collapsed -o -'):
        done = subprocess.run(
            ["bash", "-c", f'{command} | head -c 1 >/dev/null; echo "${{PIPESTATUS[0]}}"'],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=CLI_TIMEOUT,
        )
        found.append((done.stdout, done.stderr))
    assert found == [(f"{BROKEN}\n", "")] * 2


def test_run_into_head(tmp_path: Path) -> None:
    """The reader has read enough before the end of it: the program's status stands, and one sentence says what is missing."""
    (tmp_path / "program.py").write_text("".join(f"def f{n}(): pass\nf{n}()\n" for n in range(2000)) + "raise SystemExit(3)\n")
    command = f'"{sys.executable}" -m hybridprof run --deep "*" -f callgrind -o - program.py | head -n 1; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=CLI_TIMEOUT
    )
    assert done.stdout == "# callgrind format\n3\n"
    assert done.stderr == "hybridprof: could not write standard output: Broken pipe\n"


@pytest.mark.parametrize("dies", [False, True], ids=["ignores SIGPIPE", "dies of SIGPIPE"])
def test_a_broken_pipe_does_not_change_the_programs_status(tmp_path: Path, dies: bool) -> None:
    ask = "import signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n" if dies else ""
    (tmp_path / "program.py").write_text(f"{ask}print('ran')\nraise SystemExit(7)\n")
    end = broken_pipe()
    _, errors = call("run", "-o", "x.hyprof", "-o", "-", "-f", "pstats", "program.py", cwd=tmp_path, status=7, stdout=end)
    os.close(end)
    assert "hybridprof: could not write standard output: Broken pipe\n" in errors
    assert errors.count("ran\n") == 1
    assert hybridprof.load(tmp_path / "x.hyprof").meta["pid"] > 0


@pytest.mark.parametrize("command", ["export", "merge"])
def test_a_full_disk(sample_profile: Path, tmp_path: Path, command: str) -> None:
    with open("/dev/full", "wb") as full:
        _, errors = call(*filled(command, sample_profile, "hyprof"), cwd=tmp_path, status=2, stdout=full)
    assert errors == "hybridprof: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("command", [["report"], ["report", "--json"], ["info"]], ids=" ".join)
def test_a_full_disk_for_text(sample_profile: Path, tmp_path: Path, command: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        _, errors = call(*command, sample_profile, cwd=tmp_path, status=2, stdout=full)
    assert errors == "hybridprof: cannot write to standard output: No space left on device\n"


def test_run_on_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("raise SystemExit(4)\n")
    with open("/dev/full", "wb") as full:
        _, errors = call("run", "-f", "pstats", "-o", "-", "program.py", cwd=tmp_path, status=4, stdout=full)
    assert errors == "hybridprof: could not write standard output: No space left on device\n"


def test_a_slow_reader_of_a_pipe_that_does_not_block(tmp_path: Path) -> None:
    """A pipe holds 64 KiB; what does not fit waits for the reader."""
    stacks = "".join(f"main;f{n};g{n} {n + 1}\n" for n in range(20000))
    (tmp_path / "big.collapsed").write_text(stacks)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = subprocess.Popen(
        [sys.executable, "-m", "hybridprof", "export", "big.collapsed", "-f", "collapsed"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    got = bytearray()
    while piece := os.read(reading, 4096):
        got += piece
    os.close(reading)
    _, errors = process.communicate(timeout=CLI_TIMEOUT)
    assert process.returncode == 0, errors
    hybridprof.load(tmp_path / "big.collapsed").write(tmp_path / "file.collapsed")
    assert bytes(got) == (tmp_path / "file.collapsed").read_bytes()
    assert len(got) > 4 << 16


MEASURED = """
import re, sys
from hybridprof.cli import export, merge, recording
def highest(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10
module = {"export": export, "merge": merge}[sys.argv[1]]
before = highest()
module.main(sys.argv[2:])
print(highest() - before, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few nodes, 40 MB as collapsed stacks: long names in deep stacks."""
    folder = tmp_path_factory.mktemp("large")
    stack = ";".join(f"{n:_>500}" for n in range(100))
    (folder / "large.collapsed").write_text("".join(f"{stack};f{n} {n + 1}\n" for n in range(800)))
    hybridprof.load(folder / "large.collapsed").write(folder / "large.hyprof")
    return folder / "large.hyprof"


@pytest.mark.parametrize("command", ["export", "merge"])
def test_a_pipe_takes_it_piece_by_piece(large: Path, command: str) -> None:
    """What it is never lies in memory as a whole."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, command, large, "-f", "collapsed", "-o", "-"],
        env=clean_environment(),
        capture_output=True,
        timeout=CLI_TIMEOUT,
        check=True,
    )
    assert len(done.stdout) > 40_000_000
    assert int(done.stderr) < len(done.stdout) / 4


def test_the_programs_files_get_their_usual_numbers(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import os, sys\nprint(os.open('/dev/null', 0), file=sys.stderr)\n")
    plain = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=CLI_TIMEOUT
    )
    assert call("run", "-f", "pstats", "-o", "-", "program.py", cwd=tmp_path)[1] == plain.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_help_lists_every_format_with_what_it_loses(run_cli: RunCli, name: str) -> None:
    words = " ".join(run_cli("export", "--help").stdout.split())
    _, found, rest = words.partition(f" {name} (")
    assert found
    assert "Lost: " in rest.partition(" (.")[0] + rest[:400]
    _, suffixes, prefix, _, _ = next(each for each in hybridprof._core.formats() if each[0] == name)
    assert all(suffix in rest[:200] for suffix in suffixes)
    assert prefix is None or f"{prefix}*" in rest[:200]
