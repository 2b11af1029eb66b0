# SPDX-License-Identifier: MIT
"""`report`, `export` and `info`: the numbers of the file, in shapes that programs may rely on."""

from __future__ import annotations

import fcntl
import json
import os
import pstats
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli, clean_environment

import hybridprof
from hybridprof import _core
from hybridprof.profile import RUNNING, WAITING

ROW = {
    "name": str,
    "module": str,
    "file": str,
    "line": int,
    "calls": (int, type(None)),
    "primitive_calls": (int, type(None)),
    "self_ns": int,
    "total_ns": int,
    "self_error_ns": int,
    "total_error_ns": int,
    "measured": str,
    "time_lower_bound": bool,
}
EDGE = {
    "name": str,
    "file": str,
    "line": int,
    "calls": (int, type(None)),
    "self_ns": int,
    "total_ns": int,
    "self_error_ns": int,
    "total_error_ns": int,
    "measured": str,
    "time_lower_bound": bool,
}
SAMPLES = {
    "kept": int,
    "retried": int,
    "unresolved": int,
    "missed": int,
    "remote": int,
    "ticks": int,
    "lowered": int,
    "unresolved_by": dict,
}
TRACING = {"targets": int, "calls": int, "events": int, "overhead_ns": int, "overhead_error_ns": int, "truncated": int}
INFO = {
    "python": str,
    "platform": str,
    "pid": int,
    "argv": object,
    "started": object,
    "duration_ns": int,
    "clock": str,
    "rate_hz": (int, float),
    "sampler_method": str,
    "samples": dict,
    "sampler_cpu_ns": int,
    "tracing": dict,
    "threads": list,
    "residual_ns": int,
    "warnings": list,
    "rate_had_hz": (int, float),
    "states": dict,
}


def check_shape(found: dict[str, Any], shape: dict[str, Any]) -> None:
    assert list(found) == list(shape)
    for key, kind in shape.items():
        assert isinstance(found[key], kind), (key, found[key])


def test_json(run_cli: RunCli, sample_profile: Path) -> None:
    answer = json.loads(run_cli("report", sample_profile, "--json").stdout)
    assert list(answer) == ["meta", "functions"]
    for found in answer["functions"]:
        check_shape(found, ROW)
        assert found["measured"] in ("exact", "sampled", "mixed")
        assert (found["calls"] is None) == (found["measured"] == "sampled")
    rows = {found["name"]: found for found in answer["functions"]}
    assert (rows["recursive"]["calls"], rows["recursive"]["primitive_calls"], rows["recursive"]["self_error_ns"]) == (28, 7, 0)
    assert rows["busy"]["self_ns"] > 0
    selfs = [found["self_ns"] for found in answer["functions"]]
    assert selfs == sorted(selfs, reverse=True)


def test_json_with_links(run_cli: RunCli, sample_profile: Path) -> None:
    answer = json.loads(run_cli("report", sample_profile, "--json", "--callers", "--callees").stdout)
    rows = {found["name"]: found for found in answer["functions"]}
    for found in answer["functions"]:
        for edge in (*found["callers"], *found["callees"]):
            check_shape(edge, EDGE)
    assert {edge["name"]: edge["calls"] for edge in rows["recursive"]["callers"]} == {"main": 7, "recursive": 21}
    assert {edge["name"]: edge["calls"] for edge in rows["recursive"]["callees"]} == {"recursive": 21, "counted": 7}


def test_json_of_the_tree(run_cli: RunCli, sample_profile: Path) -> None:
    answer = json.loads(run_cli("report", sample_profile, "--json", "--tree").stdout)
    nodes, tree = answer["nodes"], hybridprof.load(sample_profile).tree
    for node, number in zip(nodes, range(len(nodes)), strict=True):
        assert -1 <= node["parent"] < number
    assert sum(node["total_ns"] for node in nodes if node["parent"] < 0) == tree.total_ns
    for index, node in enumerate(nodes):
        beneath = sum(other["total_ns"] for other in nodes if other["parent"] == index)
        assert node["total_ns"] == node["self_ns"] + beneath
    # main calls recursive(n) for n of 0 to 6, each of which goes down to 0.
    depths = [node["calls"] for node in nodes if node["name"] == "recursive"]
    assert depths == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--tree", "--callers"], "--tree shows each calling context by itself, and --callers is for the table; ask for one of them"),
        (["--tree", "--threads"], "--tree shows each calling context by itself, and --threads is for the table; ask for one of them"),
        (["--threads", "--states"], "--threads shows no --states; ask for one of them"),
        (["--tree", "-s", "calls"], "--tree has the costliest first and is not sorted by 'calls'; leave out --sort"),
        (["--fold", "3"], "--fold 3 is for --tree; leave it out or add --tree"),
    ],
)
def test_options_that_would_do_nothing(run_cli: RunCli, sample_profile: Path, options: list[str], sentence: str) -> None:
    assert run_cli("report", sample_profile, *options, status=2).stderr == f"hybridprof: {sentence}\n"


def test_json_by_thread(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        "import threading, time\n"
        "def work(n):\n    return n and work(n - 1)\n"
        "def spin():\n    end = time.perf_counter() + 0.2\n    while time.perf_counter() < end: pass\n    work(3)\n"
        "done = threading.Barrier(3)\n"
        "def worker():\n    spin()\n    done.wait()\n    time.sleep(60)\n"
        "[threading.Thread(target=worker, name=f'worker-{i}', daemon=True).start() for i in range(2)]\n"
        "done.wait()\n"
    )
    run_cli("run", "-q", "-r", "500", "--deep", "__main__:work", "-o", "x.hyprof", "two.py")
    answer = json.loads(run_cli("report", "x.hyprof", "--json", "--threads").stdout)
    tables = {thread["name"]: {row["name"]: row for row in thread["functions"]} for thread in answer["threads"]}
    assert {"MainThread", "worker-0", "worker-1"} <= tables.keys()
    whole = {row["name"]: row for row in answer["functions"]}
    for name in ("worker-0", "worker-1"):
        check_shape(tables[name]["work"], ROW)
        assert (tables[name]["work"]["calls"], tables[name]["work"]["primitive_calls"]) == (4, 1)
        assert 0 < tables[name]["spin"]["self_error_ns"] <= whole["spin"]["self_error_ns"]
    assert sum(tables[name]["spin"]["self_ns"] for name in tables if "spin" in tables[name]) == whole["spin"]["self_ns"]
    text = run_cli("report", "x.hyprof", "--threads").stdout
    assert "worker-0  (thread " in text


def test_table(run_cli: RunCli, sample_profile: Path) -> None:
    lines = run_cli("report", sample_profile).stdout.splitlines()
    assert lines[0].split() == ["calls", "self", "±", "total", "±", "measured", "function"]
    (busy,) = (line for line in lines if "__main__.busy" in line)
    (recursive,) = (line for line in lines if "__main__.recursive" in line)
    assert busy.split()[0] == "-"
    assert " ms " in busy
    assert "sampled" in busy
    assert recursive.split()[0] == "28/7"
    assert "exact" in recursive
    assert "\x1b" not in "".join(lines)
    starts = {line.index(name) for line, name in ((busy, "__main__."), (recursive, "__main__."))}
    assert starts == {lines[0].index("function")}


@pytest.mark.parametrize(
    "key", ["calls", "ncalls", "total", "cumulative", "cumtime", "tottime", "name", "file", "line", "error", "pcalls", "nfl"]
)
def test_sort_and_limit(run_cli: RunCli, sample_profile: Path, key: str) -> None:
    lines = run_cli("report", sample_profile, "--sort", key, "--limit", 2).stdout.splitlines()
    assert len(lines) == 5
    assert "more functions with" in lines[-2]
    if key in ("calls", "ncalls"):
        assert "recursive" in lines[1]


def test_tree(run_cli: RunCli, sample_profile: Path) -> None:
    lines = run_cli("report", sample_profile, "--tree", "--limit", 0).stdout.splitlines()
    depth = {
        name: next(line.index(name) for line in lines if name in line) for name in ("__main__.main", "__main__.busy", "__main__.recursive")
    }
    assert depth["__main__.busy"] == depth["__main__.recursive"] == depth["__main__.main"] + 2


def on_terminal(columns: int, *arguments: object, **environment: str | None) -> str:
    """What `report` prints to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = [sys.executable, "-m", "hybridprof", "report", *map(str, arguments)]
    settings = clean_environment(**{"TERM": "xterm", "COLUMNS": None, "NO_COLOR": None} | environment)
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=settings) as process:
        os.close(theirs)
        text = b""
        try:
            while block := os.read(ours, 65536):
                text += block
        except OSError:  # how a terminal says that nobody is left
            pass
        os.close(ours)
        assert process.stderr is not None and process.stderr.read() == b""
    assert process.returncode == 0
    return text.decode().replace("\r\n", "\n")


COLOUR = re.compile(r"\x1b\[\d+m")


def test_colours_are_for_terminals(run_cli: RunCli, sample_profile: Path) -> None:
    coloured = on_terminal(200, sample_profile)
    plain = on_terminal(200, sample_profile, NO_COLOR="1")
    assert coloured.startswith("\x1b[1m") and set(COLOUR.findall(coloured)) >= {"\x1b[1m", "\x1b[2m", "\x1b[0m"}
    assert "\x1b" not in plain and COLOUR.sub("", coloured) == plain
    assert on_terminal(200, sample_profile, TERM="dumb") == plain
    assert "\x1b" not in run_cli("report", sample_profile, env={"TERM": "xterm", "NO_COLOR": None}).stdout
    assert on_terminal(200, sample_profile, "--json").startswith('{"meta"')


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("option", ["--callers", "--tree", "--threads"])
def test_it_is_as_wide_as_its_terminal(sample_profile: Path, columns: int, option: str) -> None:
    lines = on_terminal(columns, sample_profile, option, NO_COLOR="1").splitlines()
    assert len(lines) > 5 and max(map(len, lines)) <= columns


def test_filter(run_cli: RunCli, sample_profile: Path) -> None:
    answer = json.loads(run_cli("report", sample_profile, "--json", "--filter", "__main__.re*").stdout)
    assert [row["name"] for row in answer["functions"]] == ["recursive"]
    tree = run_cli("report", sample_profile, "--tree", "--filter", "recursive").stdout
    assert "__main__.main" in tree and "__main__.counted" in tree and "__main__.busy" not in tree


def test_callers_and_callees(run_cli: RunCli, sample_profile: Path) -> None:
    text = run_cli("report", sample_profile, "--callers", "--callees").stdout
    assert "<- __main__.main" in text
    assert "-> __main__.counted" in text


def test_a_reader_that_leaves(sample_profile: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hybridprof", "report", str(sample_profile), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.wait(60)


@pytest.mark.parametrize("command", ["report", "info"])
def test_no_stdout_at_all(sample_profile: Path, command: str) -> None:
    words = [sys.executable, "-m", "hybridprof", command, str(sample_profile)]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words], env=clean_environment(), stderr=subprocess.PIPE, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_ascii_terminal(run_cli: RunCli, sample_profile: Path) -> None:
    text = run_cli("report", sample_profile, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}).stdout
    assert "+/-" in text


def test_info(run_cli: RunCli, sample_profile: Path) -> None:
    answer = json.loads(run_cli("info", sample_profile, "--json").stdout)
    check_shape(answer, INFO)
    check_shape(answer["samples"], SAMPLES)
    check_shape(answer["tracing"], TRACING)
    assert (answer["clock"], answer["rate_hz"], answer["tracing"]["calls"]) == ("wall", 1000, 35)
    assert [thread["name"] for thread in answer["threads"]] == ["MainThread"]
    text = run_cli("info", sample_profile).stdout
    assert "1000 Hz, wall clock" in text or " Hz of 1,000 asked for" in text  # on a busy machine
    assert "MainThread" in text


def test_states(run_cli: RunCli, sample_profile: Path) -> None:
    whole = json.loads(run_cli("report", sample_profile, "--json", "--states").stdout)["functions"]
    states = {name for row in whole for name in row["states"]}
    assert states and states <= {*RUNNING, *WAITING}
    parts = [json.loads(run_cli("report", sample_profile, "--json", "--state", state).stdout) for state in ("running", "waiting")]
    sampled = sum(ns for row in whole for ns in row["states"].values())
    assert sum(row["self_ns"] for part in parts for row in part["functions"]) == sampled
    assert all(row["calls"] is None for part in parts for row in part["functions"])
    assert " in python" in run_cli("report", sample_profile, "--states").stdout
    assert " % python" in run_cli("info", sample_profile).stdout
    collapsed = run_cli("export", sample_profile, "-f", "collapsed", "--state", "running").stdout
    assert 0 < len(collapsed) < len(run_cli("export", sample_profile, "-f", "collapsed").stdout)


def test_export(run_cli: RunCli, sample_profile: Path, tmp_path: Path) -> None:
    for name, format in (
        ("x.pstats", "pstats"),
        ("callgrind.out.1", "callgrind"),
        ("x.folded", "collapsed"),
        ("x.pb.gz", "pprof"),
        ("x.speedscope.json", "speedscope"),
        ("x.gecko.json", "gecko"),
    ):
        run_cli("export", sample_profile, "-o", name)
        run_cli("export", sample_profile, "-f", format, "-o", "other")
        assert (tmp_path / name).read_bytes() == (tmp_path / "other").read_bytes()
    assert any(key[2] == "recursive" for key in pstats.Stats(str(tmp_path / "x.pstats")).stats)  # type: ignore[attr-defined]
    assert run_cli("export", sample_profile, "-f", "collapsed").stdout.encode() == (tmp_path / "x.folded").read_bytes()


def test_export_says_what_each_format_keeps(run_cli: RunCli) -> None:
    _, _, said = run_cli("export", "--help").stdout.partition("\nformats:\n  ")
    paragraphs = {words[0]: " ".join(words[1:]) for words in (each.split() for each in re.split(r"\n  (?=\S)", said))}
    for name, suffixes, prefix, _, can_write in _core.formats():
        if not can_write:
            continue
        assert re.search(r"\) \S.*\. Keeps: \S.*\. Lost: \S.*\.", paragraphs[name]), name
        assert all(ending in paragraphs[name] for ending in (*suffixes, prefix or ""))


@pytest.mark.parametrize("name", ["x.speedscope.json", "x.gecko.json"])
def test_what_is_only_written_is_known_by_its_content(name: str, run_cli: RunCli, sample_profile: Path, tmp_path: Path) -> None:
    run_cli("export", sample_profile, "-o", name)
    (tmp_path / name).rename(tmp_path / "other")
    done = run_cli("report", "other", status=2)
    assert f"other is a {name.split('.')[1]} file, which is only written, not read: " in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["x.pb.gz", "x.folded"])
def test_what_is_read_back_with_stacks(run_cli: RunCli, sample_profile: Path, tmp_path: Path, name: str) -> None:
    run_cli("export", sample_profile, "-o", name)
    whole = json.loads(run_cli("report", sample_profile, "--json").stdout)["functions"]
    read = json.loads(run_cli("report", name, "--json").stdout)["functions"]
    kept = ("name", "module", "file", "line", "self_ns", "total_ns") + (
        ("calls", "primitive_calls", "measured") if name == "x.pb.gz" else ()
    )
    timed = [row for row in whole if row["total_ns"] or name == "x.pb.gz"]  # what took no time has no line in collapsed stacks
    assert sorted([row[key] or "" for key in kept] for row in read) == sorted([row[key] or "" for key in kept] for row in timed)
    for option in ("--tree", "--threads", "--callers", "--callees"):
        assert "__main__.main" in run_cli("report", name, option).stdout
    facts, known = (json.loads(run_cli("info", each, "--json").stdout) for each in (name, sample_profile))
    assert [thread["name"] for thread in facts["threads"]] == [thread["name"] for thread in known["threads"]]
    if name == "x.pb.gz":
        assert facts == known
    run_cli("export", name, "-o", "again.pstats")
    assert any(key[2] == "recursive" for key in pstats.Stats(str(tmp_path / "again.pstats")).stats)  # type: ignore[attr-defined]


def test_what_is_read_back_from_pstats(run_cli: RunCli, sample_profile: Path, tmp_path: Path) -> None:
    run_cli("export", sample_profile, "-o", "x.pstats")
    rows = {row["name"]: row for row in json.loads(run_cli("report", "x.pstats", "--json").stdout)["functions"]}
    assert rows["recursive"]["calls"] == 28
    for option in ("--tree", "--threads"):
        done = run_cli("report", "x.pstats", option, status=2)
        assert done.stderr.startswith("hybridprof: 'x.pstats' holds no calling contexts")
    assert hybridprof.load(tmp_path / "x.pstats").functions
    for output in ([], ["-o", "x.collapsed"]):
        done = run_cli("export", "x.pstats", "-f", "collapsed", *output, status=2)
        assert done.stderr.startswith("hybridprof: ") and "collapsed stacks need whole stacks" in done.stderr
