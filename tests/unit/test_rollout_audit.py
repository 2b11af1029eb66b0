# SPDX-License-Identifier: MIT
"""The audit log: any change of it is found and named, writes that did not end are no change, and a log that cannot be written harms nobody."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import RunCli, clean_environment
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridprof.rollout import audit, locks
from hybridprof.rollout.audit import Actor, Log
from hybridprof.rollout.audit_chain import GENESIS, Report, files_of, lines_of, record_of, verified

ACTOR = Actor(1000, 42, "control")
COUNT = 12


def filled(folder: Path, count: int = COUNT, **options: int) -> Path:
    log = Log(folder / "audit.jsonl", sync=False, **options)  # type: ignore[arg-type]
    for number in range(count):
        assert log.append(
            "stage", "fleet" if number else None, {"rate": 0.01 * number, "targets": ["a:b", 'ü"\\\n']}, ACTOR, until=1e9 + number
        )
    return log.path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("audit"))


def read_back(path: Path) -> list[dict[str, object]]:
    return [record_of(line) for file in files_of(path) for line in lines_of(file)]


def of_bytes(whole: Path, folder: Path, text: bytes) -> Report:
    """What verify says of the log with another text, beside its own head."""
    place = folder / whole.name
    place.write_bytes(text)
    head = whole.with_name(whole.name + ".head")
    place.with_name(head.name).write_bytes(head.read_bytes())
    return verified(place)


def test_a_log_says_who_changed_what_and_until_when(whole: Path) -> None:
    report = verified(whole)
    assert (report.broken, report.notes, report.records, report.first, report.last) == (None, [], COUNT, 1, COUNT)
    first, second = read_back(whole)[:2]
    assert (first["previous"], second["previous"]) == (GENESIS, first["hash"])
    assert (first["uid"], first["pid"], first["via"], first["what"], first["old"]) == (1000, 42, "control", "stage", None)
    assert second["new"] == {"rate": 0.01, "targets": ["a:b", 'ü"\\\n']} and second["until"] == "2001-09-09T01:46:41.000000Z"
    assert {path.stat().st_mode & 0o777 for path in whole.parent.iterdir()} == {0o600}


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_every_kind_of_tampering_is_found(whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = whole.read_bytes()
    lines = text.splitlines(keepends=True)
    at = data.draw(st.integers(0, COUNT - 1))
    kind = data.draw(st.sampled_from(["change", "delete", "insert", "swap", "cut", "resealed", "forged"]))
    broken = at + 1
    if kind == "change":
        spot = data.draw(st.integers(0, len(lines[at]) - 1))
        changed = bytearray(lines[at])
        changed[spot] ^= data.draw(st.integers(1, 255))
        lines[at] = bytes(changed)
    elif kind == "delete":
        del lines[at]
    elif kind == "insert":
        lines.insert(at, data.draw(st.sampled_from([lines[0], lines[-1], lines[at], b"\n", b"{}\n", b"null\n", b"[" * 5000 + b"\n"])))
        broken = at + 1 if lines[at] != lines[at + 1] else at + 2
    elif kind == "swap":
        other = data.draw(st.integers(0, COUNT - 1).filter(lambda index: index != at))
        lines[at], lines[other] = lines[other], lines[at]
        broken = min(at, other) + 1
    elif kind == "cut":
        lines = [text[: data.draw(st.integers(0, len(text) - 1))]]
        broken = 0
    else:  # with a right hash of its own; "forged": and all that follows made to follow it
        previous = record_of(lines[at])["previous"]
        for index in range(at, COUNT if kind == "forged" else at + 1):
            record = record_of(lines[index]) | {"previous": previous} | ({"uid": 0} if index == at else {})
            lines[index] = audit.line_of(record)
            previous = record_of(lines[index])["hash"]
        broken = (COUNT if kind == "forged" else at + 2) if at + 1 < COUNT else COUNT
    report = of_bytes(whole, tmp_path_factory.mktemp("tampered", numbered=True), b"".join(lines))
    assert report.broken is not None
    if kind == "delete" and at == COUNT - 1:
        assert "truncated: it ends with record 11, and the head file knows of 12" in report.broken
    elif broken:
        assert f"line {broken}:" in report.broken
    else:
        assert "truncated" in report.broken


def test_the_chain_goes_on_across_files_and_the_oldest_go(tmp_path: Path) -> None:
    path = filled(tmp_path, 60, largest=3000, kept=3)
    assert [file.name[12:] for file in files_of(path)][-1] == "" and len(files_of(path)) == 4
    report = verified(path)
    assert report.broken is None and report.last == 60 and 1 < report.first == 61 - report.records
    assert verified(files_of(path)[1]).broken is None  # one alone


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_a_file_that_is_gone_is_missed(tmp_path: Path, index: int) -> None:
    path = filled(tmp_path, 60, largest=3000, kept=3)
    files_of(path)[index].unlink()
    assert verified(path).broken is not None


@pytest.mark.parametrize("index", [0, 1, 3])
def test_first_and_last_lines_of_each_file_are_missed(tmp_path: Path, index: int) -> None:
    path = filled(tmp_path, 60, largest=3000, kept=3)
    file = files_of(path)[index]
    lines = file.read_bytes().splitlines(keepends=True)
    for rest in (lines[1:], lines[:-1]):
        file.write_bytes(b"".join(rest))
        assert verified(path).broken is not None
    file.write_bytes(b"".join(lines))
    assert verified(path).broken is None


def test_a_head_that_was_kept_elsewhere_finds_a_log_that_was_written_anew(tmp_path: Path, whole: Path) -> None:
    head = verified(whole).hash
    assert verified(whole, head).broken is None
    forged = filled(tmp_path)
    assert verified(forged).broken is None
    assert "written anew" in str(verified(forged, head).broken)


def test_without_a_head_there_is_a_note_and_a_damaged_one_is_broken(tmp_path: Path) -> None:
    path = filled(tmp_path)
    head = tmp_path / "audit.jsonl.head"
    head.write_bytes(b'{"number":"x"}')
    assert "head: it is damaged" in str(verified(path).broken)
    head.unlink()
    assert verified(path).broken is None and "would not be found" in verified(path).notes[0]


@pytest.mark.parametrize("piece", [b"x", b'{"hash":"00', b"\xff\x00\r\r", b"half\n", b"a\nb\nc"])
def test_a_write_that_did_not_end_is_no_break_once_a_record_says_so(tmp_path: Path, piece: bytes) -> None:
    path = filled(tmp_path)
    with path.open("ab") as file:
        file.write(piece)
    assert f"line {COUNT + 1}" in str(verified(path).broken)
    log = Log(path)
    assert log.append("stage", 1, 2, ACTOR) and log.append("stage", 2, 3, ACTOR)
    report = verified(path)
    assert (report.broken, report.records, len(report.notes)) == (None, COUNT + 3, 1)
    path.write_bytes(path.read_bytes().replace(piece, b"y" + piece, 1))
    assert verified(path).broken is not None


def test_what_was_cut_off_stays_missing_after_more_records(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    assert Log(path).append("stage", 1, 2, ACTOR)
    assert f"line {COUNT - 2}: it is record {COUNT + 1}, and {COUNT - 2} should be here" in str(verified(path).broken)


def test_a_head_that_is_behind_is_caught_up(tmp_path: Path) -> None:
    """Killed between the record and the head."""
    path = filled(tmp_path)
    head = (tmp_path / "audit.jsonl.head").read_bytes()
    log = Log(path, sync=False)
    assert log.append("stage", 1, 2, ACTOR)
    (tmp_path / "audit.jsonl.head").write_bytes(head)
    assert verified(path).broken is None
    assert log.append("stage", 2, 3, ACTOR)
    assert verified(path).broken is None and verified(path).last == COUNT + 2


def test_killed_between_two_files(tmp_path: Path) -> None:
    path = filled(tmp_path)
    os.rename(path, f"{path}.000001")
    assert Log(path).append("stage", 1, 2, ACTOR)
    assert verified(path).broken is None and verified(path).last == COUNT + 1


def test_a_full_disk_is_a_sentence_and_the_next_record_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(filled(tmp_path))
    with monkeypatch.context() as full:
        write = os.write
        full.setattr(audit.os, "write", lambda file, text: write(file, text[:40]))
        assert not log.append("stage", 1, 2, ACTOR) and not log.append("stage", 2, 3, ACTOR)
    assert log.lost == 2 and log.problem == f"{log.path}: the audit log cannot be written: No space left on device"
    assert log.append("stage", 3, 4, ACTOR)
    assert (log.lost, log.problem) == (0, None)
    assert verified(log.path).broken is None
    assert read_back_whole(log.path)[-1]["lost"] == 2


def read_back_whole(path: Path) -> list[dict[str, object]]:
    """Leaves out the pieces."""
    return [record_of(line) for line in lines_of(path) if line.startswith(b'{"hash"') and line.endswith(b"}\n")]


def hostile_places(folder: Path) -> dict[str, Path]:
    (folder / "file").write_text("x")
    (folder / "elsewhere").write_text("precious")
    (folder / "link").symlink_to(folder / "elsewhere")
    (folder / "head-link.head").symlink_to(folder / "elsewhere")
    os.mkfifo(folder / "pipe.head")
    (folder / "folder").mkdir()
    (folder / "damaged.head").write_text("{")
    return {name: folder / name for name in ("none/x", "file/x", "link", "head-link", "pipe", "folder", "damaged")}


def test_no_place_harms_the_program(tmp_path: Path) -> None:
    for name, path in hostile_places(tmp_path).items():
        log = Log(path)
        assert not log.append("stage", 1, 2, ACTOR), name
        assert log.problem is not None and log.problem.startswith(f"{path}: ") and log.lost == 1
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_a_lock_that_is_held_is_waited_for_and_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    path = filled(tmp_path, 1)
    log = Log(path)
    with open(tmp_path / "audit.jsonl.head") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not log.append("stage", 1, 2, ACTOR) and "lock was held" in str(log.problem)
    assert log.append("stage", 1, 2, ACTOR)


@pytest.mark.parametrize(
    "value",
    [float("nan"), "\ud800", b"bytes", {1, 2}, {"x": object}, "x" * 100_000, ["y"] * 30_000, 10**5000, {None: 1}, "\x1b[2J\r\n", json],
    ids=lambda value: type(value).__name__,
)
def test_every_value_can_be_written(tmp_path: Path, value: object) -> None:
    log = Log(tmp_path / "log", sync=False)
    assert log.append("x" * 5000, value, value, Actor(0, 1, "\x1b"), until=None), log.problem
    assert log.append("next", value, 1, ACTOR)
    assert verified(log.path).broken is None


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_raises_is_told_by_its_type(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", sync=False)
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert log.append("stage", Hostile(), nested, ACTOR), log.problem
    assert read_back(log.path)[0]["old"] == "<Hostile>"
    assert verified(log.path).broken is None


MANY = """
import sys, threading
from hybridprof.rollout.audit import Actor, Log
def write():
    log = Log(sys.argv[1], largest=4000, kept=1000, sync=False)
    for number in range(20):
        while not log.append("stage", number, number + 1, Actor.here("code")): pass
threads = [threading.Thread(target=write) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_processes_and_threads_write_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    command = [sys.executable, "-c", MANY, str(path)]
    running = [subprocess.Popen(command, env=clean_environment()) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    report = verified(path)
    assert (report.broken, report.records) == (None, 120) and report.files > 3


def test_the_command_line(whole: Path, tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli("audit", "verify", whole)
    assert done.stdout == f"records 1 to {COUNT} in 1 file are as they were written; the last hash is {verified(whole).hash}\n"
    path = filled(tmp_path)
    Log(path).append("stage", "\x1b[2J", 2, Actor(0, 1, "\x1b]0;"))
    shown = run_cli("audit", "show", path)
    assert "\x1b" not in shown.stdout and len(shown.stdout.splitlines()) == COUNT + 1
    assert 'uid 1000 pid 42 via control  stage: "fleet" -> {"rate": 0.01, ' in shown.stdout.splitlines()[1]
    path.write_bytes(path.read_bytes().replace(b'"uid":1000', b'"uid":1001', 1))
    broken = run_cli("audit", "verify", path, status=1)
    assert broken.stderr == f"hybridprof: {path}: line 1: it is no record as it was written\n"
    found = json.loads(run_cli("audit", "show", "--json", path, status=1).stdout)
    assert found["meta"]["whole"] is False and len(found["records"]) == COUNT


def test_bad_input_of_the_command_line(tmp_path: Path, run_cli: RunCli) -> None:
    assert run_cli("audit", "verify", "none", status=2).stderr == "hybridprof: none: No such file or directory\n"
    assert "64 hexadecimal digits" in run_cli("audit", "verify", "--head", "abc", "none", status=2).stderr
    assert "invalid choice" in run_cli("audit", "forge", "x", status=2).stderr
    (tmp_path / "folder").mkdir()
    assert "Is a directory" in run_cli("audit", "verify", "folder", status=2).stderr
