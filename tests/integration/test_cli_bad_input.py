# SPDX-License-Identifier: MIT
"""Bad input: one line that says what was wrong and what would be right, exit status 2, the program not run, nothing overwritten."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import RunCli, clean_environment

import hybridprof

CASES = [
    (["run"], "no program given; give a script, -m MODULE or -c CODE after the options"),
    (["run", "-m"], "-m needs the name of a module; give a script, -m MODULE or -c CODE after the options"),
    (["run", "-c"], "-c needs code to run; give a script, -m MODULE or -c CODE after the options"),
    (["run", "none.py"], "cannot open script 'none.py': No such file or directory"),
    (["run", "-m", "no_such_module"], "no module named 'no_such_module'"),
    (["run", "empty"], "'empty' holds no __main__.py to run"),
    (["run", "-o", "x.txt", "ran.py"], "cannot tell a format from the name 'x.txt'; use .hyprof"),
    (["run", "-o", "none/x.hyprof", "ran.py"], "cannot write 'none/x.hyprof': there is no folder '"),
    (["run", "-o", "folder.hyprof", "ran.py"], "cannot write 'folder.hyprof': it is a folder"),
    (["run", "-o", "old.hyprof", "-o", "none/x.prof", "ran.py"], "cannot write 'none/x.prof': there is no folder '"),
    (["run", "-r", "fast", "ran.py"], "argument -r/--rate: invalid float value: 'fast' (see: hybridprof run --help)"),
    (["run", "-r", "-5", "ran.py"], "rate must be from 0 (no sampling) to 10000 Hz, not -5.0"),
    (["run", "-r", "nan", "ran.py"], "rate must be from 0 (no sampling) to 10000 Hz, not nan"),
    (["run", "-r", "inf", "ran.py"], "rate must be from 0 (no sampling) to 10000 Hz, not inf"),
    (["run", "-r", "1e400", "ran.py"], "rate must be from 0 (no sampling) to 10000 Hz, not inf"),
    (["run", "-r", "20000", "ran.py"], "rate must be from 0 (no sampling) to 10000 Hz, not 20000.0"),
    (["run", "-r", "", "ran.py"], "argument -r/--rate: invalid float value: '' (see: hybridprof run --help)"),
    (["run", "--clock", "sun", "ran.py"], "argument --clock: invalid choice: 'sun'"),
    (["run", "--hook", "x", "ran.py"], "argument --hook: invalid choice: 'x'"),
    (["run", "--method", "x", "ran.py"], "argument --method: invalid choice: 'x'"),
    (["run", "--deep", "main", "ran.py"], "pattern 'main' has no colon; use 'main:*' for all of a module, '__main__:main' for a function"),
    (["run", "--deep", "", "ran.py"], "pattern '' is empty; use "),
    (["run", "--deep-rate", "2", "ran.py"], "deep_rate is the share of calls to trace, above 0 and at most 1, not 2.0"),
    (["run", "-s", "size", "ran.py"], "cannot sort by 'size'; use one of self, total, calls, "),
    (["run", "--wat", "ran.py"], "unrecognized arguments: --wat (see: hybridprof run --help)"),
    (["run", "-o"], "no program given; "),
    ([], "no program and no command given; for instance: hybridprof run script.py"),
    (["reprot", "x"], "cannot open script 'reprot': No such file or directory; did you mean the command 'report'?"),
    (["-s", "size", "ran.py"], "cannot sort by 'size'; use one of calls, cumtime, cumulative, "),
    (["-o", "none/x", "ran.py"], "cannot write 'none/x': there is no folder '"),
    (["-m"], "-m needs the name of a module; "),
    (["--wat", "ran.py"], "unrecognized arguments: --wat (see: hybridprof --help)"),
    (["report"], "the following arguments are required: FILE (see: hybridprof report --help)"),
    (["report", "none"], "none: No such file or directory"),
    (["report", "text"], ""),
    (["report", "folder.hyprof"], ""),
    (["report", "old.hyprof"], ""),
    (["report", "--sort", "size", "text"], "cannot sort by 'size'; use one of self, total, calls, "),
    (["report", "--limit", "-1", "text"], "--limit must be 0 (all) or more, not -1"),
    (["report", "--tree", "--fold", "101", "text"], "--fold must be from 0 (nothing is folded) to 100 percent, not 101"),
    (["report", "--fold", "nan", "text"], "--fold must be from 0 (nothing is folded) to 100 percent, not nan"),
    (["report", "--filter", "", "text"], "--filter is empty; give a part of a name or a file"),
    (["report", "--state", "asleep", "text"], "--state: there is no state 'asleep'; use one of running, waiting, python, "),
    (["export", "--state", "gil,,c", "text", "-f", "pstats"], "--state: there is no state ''; use one of "),
    (["export", "text", "-f", "png"], "there is no format 'png' to write; use one of "),
    (["export", "text"], "no format given; use -f FORMAT, or -o OUT with a name that tells it"),
    (["export", "text", "-o", "x.txt"], "cannot tell a format from the name 'x.txt'; use .hyprof"),
    (["export", "text", "-o", "old.hyprof"], ""),
    (["info", "none"], "none: No such file or directory"),
    (["info", "text", "--wat"], "unrecognized arguments: --wat (see: hybridprof info --help)"),
]


@pytest.mark.parametrize(("arguments", "sentence"), CASES, ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "")
def test_bad_input(run_cli: RunCli, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "ran.py").write_text("open('it-ran', 'w')\n")
    (tmp_path / "text").write_text("no profile\n")
    (tmp_path / "old.hyprof").write_text("what was there\n")
    (tmp_path / "folder.hyprof").mkdir()
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.iterdir())
    done = run_cli(*arguments, status=2, env={"PYTHONSAFEPATH": None})
    assert done.stdout == ""
    assert done.stderr.startswith("hybridprof: " + sentence)
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "old.hyprof").read_text() == "what was there\n"


def test_what_a_terminal_would_obey_is_written_out(run_cli: RunCli, tmp_path: Path) -> None:
    """In the file's name, and in what the file holds: a unit of a pprof file, with which its sentence says what it counts instead of time."""
    file = "red\x1b[31m.pb"
    texts = [b"", b"space", b"by\x1b]0;title\x07\ntes", b"f", b"f.py"]
    strings = b"".join(b"\x32" + bytes([len(text)]) + text for text in texts)
    (tmp_path / file).write_bytes(b"\x0a\x04\x08\x01\x10\x02\x12\x05\x0a\x01\x01\x12\x00" + strings)
    done = run_cli("report", file, status=2)
    assert done.stderr[:-1].isprintable() and done.stderr.endswith("\n")
    assert done.stderr.startswith("hybridprof: red\\x1b[31m.pb: ")


@pytest.mark.parametrize(
    ("pretend", "sentence"),
    [
        ("sys.implementation.name = 'pypy'", "works with CPython 3.11 to 3.15, and this is pypy 3."),
        ("sys.version_info = (3, 10, 4)", "works with CPython 3.11 to 3.15, and this is cpython 3.10"),
        ("", "'s compiled core cannot be imported ("),
    ],
)
def test_an_interpreter_that_it_does_not_know(tmp_path: Path, pretend: str, sentence: str) -> None:
    """The package's Python files, without a core, under an interpreter that says it is another one."""
    shutil.copytree(Path(hybridprof.__file__).parent, tmp_path / "hybridprof", ignore=shutil.ignore_patterns("_core*.so", "__pycache__"))
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n{pretend}\n")
    environment = clean_environment(PYTHONPATH=str(tmp_path))
    for line, status in ((["-m", "hybridprof", "run", "x.py"], 2), (["-c", "import hybridprof"], 1), (["-m", "hybridprof"], 2)):
        done = subprocess.run([sys.executable, *line], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == status and done.stdout == "" and f"hybridprof {sentence}".replace(" 's", "'s") in done.stderr
        if status == 2:
            assert done.stderr.startswith("hybridprof: hybridprof") and done.stderr.count("\n") == 1


def test_help_and_version(run_cli: RunCli) -> None:
    assert "hybridprof [-o FILE] [-s KEY] [-m] script.py|module [args]" in run_cli("--help").stdout
    assert run_cli("--version").stdout.startswith("hybridprof 0.")
    for command in ("run", "report", "export", "info", "selfcheck"):
        assert f"usage: hybridprof {command}" in run_cli(command, "--help").stdout
