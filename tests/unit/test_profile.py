# SPDX-License-Identifier: MIT
"""A Profile: rows, edges, tree and threads agree with one another and with the files it writes."""

from __future__ import annotations

import dataclasses
import pstats
from pathlib import Path

import pytest

import hybridprof


@pytest.fixture(scope="module")
def profile(sample_profile: Path) -> hybridprof.Profile:
    return hybridprof.load(sample_profile)


def row(profile: hybridprof.Profile, name: str) -> hybridprof.Function:
    (found,) = (each for each in profile.functions if each.name == name)
    return found


def test_rows(profile: hybridprof.Profile) -> None:
    recursive, busy = row(profile, "recursive"), row(profile, "busy")
    assert (recursive.calls, recursive.primitive_calls, recursive.measured, recursive.kind) == (28, 7, "exact", "python")
    assert row(profile, "counted").calls == 7
    assert (busy.calls, busy.primitive_calls, busy.measured) == (None, None, "sampled")
    assert 0.1e9 < busy.self_ns <= busy.total_ns < 3e9
    assert busy.self_error_ns > 0
    assert recursive.self_error_ns == 0
    assert Path(busy.file).name == "program.py"
    with pytest.raises(dataclasses.FrozenInstanceError):
        busy.calls = 3  # type: ignore[misc]


def test_edges(profile: hybridprof.Profile) -> None:
    counts = {(edge.caller.name if edge.caller else None, edge.callee.name): edge.calls for edge in profile.edges}
    assert counts["main", "recursive"] == 7
    assert counts["recursive", "recursive"] == 21
    assert counts["recursive", "counted"] == 7
    assert any(edge.callee is row(profile, "counted") for edge in profile.edges)


def test_tree(profile: hybridprof.Profile) -> None:
    assert profile.tree is profile.tree
    assert profile.tree.function is None
    nodes, pending = [], [profile.tree]
    while pending:
        node = pending.pop()
        nodes.append(node)
        pending.extend(node.children)
        assert all(child.parent is node for child in node.children)
        assert node.total_ns >= node.self_ns >= 0
    assert sum(node.calls or 0 for node in nodes if node.function is row(profile, "recursive")) == 28
    assert sum(node.self_ns for node in nodes if node.function is row(profile, "busy")) == row(profile, "busy").self_ns


def test_threads(profile: hybridprof.Profile) -> None:
    (thread,) = profile.threads
    assert thread.name == "MainThread"
    assert thread.root in profile.tree.children
    assert thread.residual_ns == thread.measured_ns - thread.sampled_ns - thread.exact_ns - thread.overhead_ns
    assert profile.residual_ns == profile.meta["residual_ns"]


def test_stats_is_pstats(profile: hybridprof.Profile, capsys: pytest.CaptureFixture[str]) -> None:
    stats = profile.stats()
    assert type(stats) is pstats.Stats
    (key,) = (key for key in stats.stats if key[2] == "recursive")  # type: ignore[attr-defined]
    primitive, calls, own, _, callers = stats.stats[key]  # type: ignore[attr-defined]
    assert (primitive, calls) == (7, 28)
    assert own == pytest.approx(row(profile, "recursive").self_ns / 1e9)
    assert {caller[2] for caller in callers} == {"main", "recursive"}
    stats.sort_stats("tottime").print_stats(5)
    assert "program.py" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["x.pstats", "x.prof", "callgrind.out.x", "x.collapsed", "x.speedscope.json", "x.gecko.json", "x.hyprof", "x.pb.gz"]
)
def test_write(profile: hybridprof.Profile, tmp_path: Path, name: str) -> None:
    profile.write(tmp_path / name)
    assert (tmp_path / name).stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_write_in_a_format_that_the_name_does_not_tell(profile: hybridprof.Profile, tmp_path: Path) -> None:
    profile.write(str(tmp_path / "out"), "pstats")
    pstats.Stats(str(tmp_path / "out"))
    assert profile.encode("pstats") == (tmp_path / "out").read_bytes()
    for arguments in ((tmp_path / "out.unknown",), (tmp_path / "out", "unknown")):
        with pytest.raises(ValueError, match="unknown"):
            profile.write(*arguments)
    with pytest.raises(OSError, match="none"):
        profile.write(tmp_path / "none" / "x.pstats")
    with pytest.raises(TypeError, match=r"^a path is a str or os.PathLike, not int"):
        profile.write(3)  # type: ignore[arg-type]


def test_round_trip(profile: hybridprof.Profile, tmp_path: Path) -> None:
    profile.write(tmp_path / "again.hyprof")
    again = hybridprof.load(tmp_path / "again.hyprof")
    assert again.functions == profile.functions
    assert again.meta == profile.meta


def test_load_refuses(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no profile")
    with pytest.raises(ValueError, match="text"):
        hybridprof.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        hybridprof.load(tmp_path / "none")


def test_loaded_pstats_has_rows_and_no_tree(profile: hybridprof.Profile, tmp_path: Path) -> None:
    profile.write(tmp_path / "x.pstats")
    again = hybridprof.load(tmp_path / "x.pstats")
    assert row(again, "recursive").calls == 28
    assert again.tree.children == []
    assert repr(again).startswith("<Profile of ")
