# SPDX-License-Identifier: MIT
"""`merge` and `diff`: what they write, print and refuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli, clean_environment

import hybridprof

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from made_profiles import Made, Stack, encoded

GOLDEN = Path(__file__).with_name("golden_diff.txt")

CHANGE = {
    "name": str,
    "module": str,
    "file": str,
    "line": int,
    "base_self_ns": int,
    "new_self_ns": int,
    "base_total_ns": int,
    "new_total_ns": int,
    "change_self_ns": int,
    "change_error_ns": int,
    "deviation_self_ns": int,
    "deviation_error_ns": int,
    "significant": bool,
    "relative_change": (float, type(None)),
    "q": float,
    "change_total_ns": int,
    "change_total_error_ns": int,
    "deviation_total_ns": int,
    "deviation_total_error_ns": int,
    "relative_change_total": (float, type(None)),
    "significant_total": bool,
    "measured_base": (str, type(None)),
    "measured_new": (str, type(None)),
}


def base_and_new() -> tuple[Made, Made]:
    """f0 is main; f1 takes half as long again, f2 is gone, f3 new, f4 the same."""
    base = Made(1, (Stack(0, (0, 1), samples=4000), Stack(0, (0, 2), samples=500), Stack(0, (0, 4), samples=5000)), gap_ns=1_000_000)
    new = Made(2, (Stack(0, (0, 1), samples=6000), Stack(0, (0, 3), samples=400), Stack(0, (0, 4), samples=5000)), gap_ns=1_000_000)
    return base, new


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    for name, made in zip(("base.hyprof", "new.hyprof"), base_and_new(), strict=True):
        (tmp_path / name).write_bytes(encoded(made))
    return tmp_path


def test_merge(run_cli: RunCli, pair: Path) -> None:
    done = run_cli("merge", "base.hyprof", "new.hyprof", "base.hyprof", "-o", "out.hyprof")
    assert (done.stdout, done.stderr) == ("", "")
    run_cli("merge", "new.hyprof", "base.hyprof", "-o", "again.hyprof")
    assert (pair / "out.hyprof").read_bytes() == (pair / "again.hyprof").read_bytes()
    rows = {row["name"]: row for row in json.loads(run_cli("report", "out.hyprof", "--json").stdout)["functions"]}
    assert rows["f1"]["self_ns"] == 10_000_000_000
    run_cli("merge", ".", "-o", "folder.pstats")
    assert hybridprof.load(pair / "folder.pstats").functions


def test_merge_says_what_it_left_out(run_cli: RunCli, pair: Path) -> None:
    data = (pair / "new.hyprof").read_bytes()
    (pair / "bad.hyprof").write_bytes(data[:300] + b"?" + data[301:])
    (pair / "empty.hyprof").write_bytes(b"")
    (pair / "text.hyprof").write_text("no profile")
    (pair / "cut.hyprof").write_bytes(data[:-40])
    inputs = ["base.hyprof", "bad.hyprof", "empty.hyprof", "text.hyprof", "cut.hyprof"]
    lines = run_cli("merge", *inputs, "-o", "out.hyprof").stderr.splitlines()
    assert [line.split(" ")[1].rstrip(":") for line in lines[:4]] == ["empty.hyprof", "text.hyprof", "bad.hyprof", "cut.hyprof"] or [
        line.split(" ")[1].rstrip(":") for line in lines[:4]
    ] == ["bad.hyprof", "empty.hyprof", "text.hyprof", "cut.hyprof"]
    assert lines[4] == "hybridprof: 3 files were left out; out.hyprof holds 2 profiles"
    assert len(json.loads(run_cli("info", "out.hyprof", "--json").stdout)["warnings"]) == 4
    assert "3 files could not be read" in run_cli("info", "out.hyprof").stdout
    before = (pair / "out.hyprof").read_bytes()
    for bad in inputs[1:]:
        done = run_cli("merge", "base.hyprof", bad, "--strict", "-o", "out.hyprof", status=2)
        assert done.stderr.startswith(f"hybridprof: {bad}") and done.stderr.count("\n") == 1
    assert (pair / "out.hyprof").read_bytes() == before
    assert not list(pair.glob(".hybridprof-*"))


def test_table(run_cli: RunCli, pair: Path) -> None:
    text = run_cli("diff", "base.hyprof", "new.hyprof", env={"COLUMNS": "200"}).stdout
    if os.environ.get("HP_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_json(run_cli: RunCli, pair: Path) -> None:
    answer = json.loads(run_cli("diff", "base.hyprof", "new.hyprof", "--json").stdout)
    assert list(answer) == ["meta", "functions"]
    rows: dict[str, Any] = {row["name"]: row for row in answer["functions"]}
    for row in answer["functions"]:
        assert list(row) == list(CHANGE)
        for key, kind in CHANGE.items():
            assert isinstance(row[key], kind), (key, row[key])
        assert row["change_self_ns"] == row["new_self_ns"] - row["base_self_ns"]
        assert row["change_total_ns"] == row["new_total_ns"] - row["base_total_ns"]
    assert {name for name, row in rows.items() if row["significant"]} == {"f1", "f2", "f3"}
    assert rows["f1"]["change_self_ns"] == 2_000_000_000
    assert 0 < rows["f1"]["change_error_ns"] < 1_000_000_000
    assert (rows["f3"]["relative_change"], rows["f2"]["relative_change"]) == (None, -1.0)
    assert answer["meta"]["changed"] == 3 and answer["meta"]["unrelated"] is False
    assert len(json.loads(run_cli("diff", "base.hyprof", "new.hyprof", "--json", "-n", 2).stdout)["functions"]) == 2


@pytest.mark.parametrize(
    ("key", "first"), [("change", "f1"), ("slower", "f1"), ("faster", "f2"), ("base", "f4"), ("name", "f0"), ("total", "f1")]
)
def test_sort(run_cli: RunCli, pair: Path, key: str, first: str) -> None:
    answer = json.loads(run_cli("diff", "base.hyprof", "new.hyprof", "--json", "--sort", key).stdout)
    assert next(row["name"] for row in answer["functions"] if key != "total" or row["name"] != "f0") == first


def test_stacks(run_cli: RunCli, pair: Path) -> None:
    text = run_cli("diff", "base.hyprof", "new.hyprof", "-f", "collapsed").stdout
    assert sorted(line.rpartition(";")[2] for line in text.splitlines()) == [
        "m.f1 (m.py:11) 4000000000 6000000000",
        "m.f2 (m.py:21) 500000000 0",
        "m.f3 (m.py:31) 0 400000000",
        "m.f4 (m.py:41) 5000000000 5000000000",
    ]
    run_cli("diff", "base.hyprof", "new.hyprof", "-o", "x.collapsed")
    assert (pair / "x.collapsed").read_text(encoding="utf-8") == text


def test_fail_if_slower(run_cli: RunCli, pair: Path) -> None:
    done = run_cli("diff", "base.hyprof", "new.hyprof", "--fail-if-slower", 20, status=1)
    assert "m.f1 (m.py:11) is slower by " in done.stderr and "m.f3 (m.py:31) is slower by new" in done.stderr
    assert "the whole took" not in done.stderr
    assert run_cli("diff", "base.hyprof", "base.hyprof", "--fail-if-slower", 0).stderr == ""
    assert run_cli("diff", "new.hyprof", "base.hyprof", "--fail-if-slower", 5, "--json", status=1).stdout.startswith("{")  # f2 is new
    assert "the whole took 20.0 % more time" in run_cli("diff", "base.hyprof", "new.hyprof", "--fail-if-slower", 5, status=1).stderr


def test_other_programs_and_pstats(run_cli: RunCli, pair: Path, sample_profile: Path) -> None:
    shutil.copy(sample_profile, pair / "other.hyprof")
    done = run_cli("diff", "base.hyprof", "other.hyprof", "--json")
    assert "base.hyprof and other.hyprof look like profiles of different programs: 0 % and 0 % of their time" in done.stderr
    assert json.loads(done.stdout)["meta"]["unrelated"] is True
    run_cli("export", "base.hyprof", "-o", "base.pstats")
    answer = json.loads(run_cli("diff", "base.pstats", "new.hyprof", "--json").stdout)
    assert next(row["base_self_ns"] for row in answer["functions"] if row["name"].endswith("f1")) == 4_000_000_000
    assert "collapsed stacks need whole stacks" in run_cli("diff", "base.pstats", "new.hyprof", "-f", "collapsed", status=2).stderr


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """Of protocol buffers; numbers below 128."""
    return b"".join(
        bytes([number << 3, value]) if isinstance(value, int) else bytes([number << 3 | 2, len(value)]) + value for number, value in fields
    )


def delay_profile() -> bytes:
    """As Go writes it of a mutex: `contentions/count` and `delay/nanoseconds`, one stack of one function."""
    texts = (b"", b"contentions", b"count", b"delay", b"nanoseconds", b"f1", b"m.py")
    return message(
        *((1, message((1, kind), (2, unit))) for kind, unit in ((1, 2), (3, 4))),
        (2, message((1, 1), (2, 3), (2, 99))),
        (4, message((1, 1), (4, message((1, 1))))),
        (5, message((1, 1), (2, 5), (4, 6))),
        *((6, text) for text in texts),
    )


def test_waits_are_read_and_keep_their_kind_through_files(run_cli: RunCli, pair: Path) -> None:
    (pair / "delay.pb").write_bytes(delay_profile())
    assert json.loads(run_cli("info", "--json", "delay.pb").stdout)["clock"] == "waits"
    for name in ("delay.hyprof", "again.pb.gz"):
        run_cli("export", "delay.pb", "-o", name)
        assert hybridprof.load(pair / name).meta["clock"] == "waits"
    sentence = "was measured as waits"
    assert sentence in run_cli("merge", "base.hyprof", "delay.hyprof", "-o", "x.hyprof", status=2).stderr
    run_cli("merge", "delay.pb", "-o", "x.hyprof")
    assert hybridprof.load(pair / "x.hyprof").meta["clock"] == "waits"


def test_a_guessed_unit_is_said_where_it_is_added_or_compared(run_cli: RunCli, pair: Path) -> None:
    guess = "collapsed stacks do not say what they count: each was taken for a sample of 10 ms (100 Hz)"
    (pair / "theirs.collapsed").write_text("main;f1 7\nmain;f2 3\n")
    assert guess in run_cli("merge", "base.hyprof", "theirs.collapsed", "-o", "x.hyprof").stderr
    assert any(guess in warning for warning in hybridprof.load(pair / "x.hyprof").meta["warnings"])
    assert f"theirs.collapsed: {guess}" in run_cli("diff", "theirs.collapsed", "base.hyprof").stderr
    assert guess in run_cli("diff", "base.hyprof", "x.hyprof").stderr
    assert run_cli("merge", "base.hyprof", "new.hyprof", "-o", "y.hyprof").stderr == ""
    assert guess not in run_cli("diff", "base.hyprof", "new.hyprof").stderr


BAD = [
    (["merge"], "the following arguments are required: FILE, -o/--output (see: hybridprof merge --help)"),
    (["merge", "base.hyprof"], "the following arguments are required: -o/--output (see: hybridprof merge --help)"),
    (["merge", "none.hyprof", "-o", "old.hyprof"], "none.hyprof: No such file or directory"),
    (["merge", "base.hyprof", "-o", "x.txt"], "cannot tell a format from the name 'x.txt'; use .hyprof"),
    (["merge", "base.hyprof", "-o", "none/x.hyprof"], "cannot write 'none/x.hyprof': there is no folder '"),
    (
        ["merge", "base.hyprof", "cpu.hyprof", "-o", "old.hyprof"],
        "cpu.hyprof was measured by the cpu clock and base.hyprof by the wall clock, ",
    ),
    (["merge", "old.hyprof", "-o", "old.hyprof"], "there is nothing to merge: old.hyprof"),
    (["merge", "folder", "-o", "old.hyprof"], "folder is a folder without .hyprof files: name a folder that has some, or files"),
    (["diff", "base.hyprof"], "the following arguments are required: NEW (see: hybridprof diff --help)"),
    (["diff", "base.hyprof", "none.hyprof"], "none.hyprof: No such file or directory"),
    (["diff", "base.hyprof", "old.hyprof"], "old.hyprof"),
    (
        ["diff", "base.hyprof", "cpu.hyprof"],
        "base.hyprof and cpu.hyprof: one was measured by the wall clock and the other by the CPU clock, ",
    ),
    (
        ["merge", "base.hyprof", "delay.pb", "-o", "old.hyprof"],
        "delay.pb was measured as waits (how long others were blocked) and base.hyprof by the wall clock, ",
    ),
    (
        ["diff", "delay.pb", "base.hyprof"],
        "delay.pb and base.hyprof: one was measured as waits (how long others were blocked) and the other by the wall clock, ",
    ),
    (["diff", "base.hyprof", "new.hyprof", "--sort", "size"], "cannot sort by 'size'; use one of change, slower, faster, "),
    (["diff", "base.hyprof", "new.hyprof", "--limit", "-1"], "--limit must be 0 (all) or more, not -1"),
    (["diff", "base.hyprof", "new.hyprof", "--compare", "x"], "--compare must be one of auto, time, share, not 'x'"),
    (["diff", "base.hyprof", "new.hyprof", "--fail-if-slower", "nan"], "--fail-if-slower must be a number of percent, 0 or more, not nan"),
    (["diff", "base.hyprof", "new.hyprof", "--fail-if-slower", "-1"], "--fail-if-slower must be a number of percent, 0 or more, not -1.0"),
    (["diff", "base.hyprof", "new.hyprof", "-f", "pstats"], "a difference is not written as 'pstats'; use collapsed"),
    (["diff", "base.hyprof", "new.hyprof", "-o", "old.hyprof"], "a difference is written as collapsed stacks only; end 'old.hyprof' in "),
    (
        ["diff", "base.hyprof", "new.hyprof", "-o", "x.folded", "--json"],
        "--json prints a table and -f or -o writes stacks; ask for one of ",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD, ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "")
def test_bad_input(run_cli: RunCli, pair: Path, arguments: list[str], sentence: str) -> None:
    (pair / "old.hyprof").write_text("no profile, and to be left alone")
    (pair / "folder").mkdir()
    (pair / "cpu.hyprof").write_bytes(encoded(Made(3, (Stack(0, (0,), samples=9),), clock=1)))
    (pair / "delay.pb").write_bytes(delay_profile())
    before = {path.name: path.read_bytes() for path in pair.iterdir() if path.is_file()}
    done = run_cli(*arguments, status=2)
    assert done.stdout == ""
    assert done.stderr.startswith(f"hybridprof: {sentence}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in pair.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("options", [["--json"], [], ["-f", "collapsed"]])
def test_a_reader_that_leaves(pair: Path, options: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hybridprof", "diff", "base.hyprof", "new.hyprof", *options],
        cwd=pair,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(60)
