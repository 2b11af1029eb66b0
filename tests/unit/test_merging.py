# SPDX-License-Identifier: MIT
"""hybridprof.merge: the same bytes in any order and grouping, each profile once, nothing lost; and what is not added up."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hybridprof
from hybridprof.merging import Outcome, merged

sys.path.insert(0, str(Path(__file__).parent))
from made_profiles import Made, Stack, encoded, profiles

sets = st.integers(1, 5).flatmap(lambda count: st.tuples(*(profiles(n + 1) for n in range(count))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profiles")


def written(folder: Path, made: Made, name: str | None = None) -> str:
    path = folder / (name or f"{made.number}.hyprof")
    path.write_bytes(encoded(made))
    return str(path)


def sums(profile: hybridprof.Profile) -> dict[str, Any]:
    """What no merge may change."""
    rows = [row for row in profile.functions if row.kind != "thread"]
    named: dict[str, list[int]] = {}
    for row in rows:
        found = named.setdefault(row.name, [0, 0, 0, 0])
        for at, value in enumerate((row.self_ns, row.total_ns, row.samples, row.calls or 0)):
            found[at] += value
    threads = {key: sum(getattr(each, key) for each in profile.threads) for key in ("measured_ns", "sampled_ns", "exact_ns", "samples")}
    return {"functions": named, "threads": threads, "duration_ns": profile.meta["duration_ns"], "kept": profile.meta["samples"]["kept"]}


def added(parts: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"functions": {}, "threads": dict.fromkeys(parts[0]["threads"], 0), "duration_ns": 0, "kept": 0}
    for part in parts:
        for name, values in part["functions"].items():
            before = total["functions"].get(name, [0] * 4)
            total["functions"][name] = [a + b for a, b in zip(before, values, strict=True)]
        for name, value in part["threads"].items():
            total["threads"][name] += value
        total["duration_ns"] += part["duration_ns"]
        total["kept"] += part["kept"]
    return total


@settings(deadline=None, max_examples=60)
@given(sets, st.randoms(use_true_random=False))
def test_order_grouping_repetition(folder: Path, made: tuple[Made, ...], random: Any) -> None:
    paths = [written(folder, each) for each in made]
    whole = hybridprof.merge(paths)
    expected = whole.encode("hyprof")
    shuffled = random.sample(paths, len(paths)) + random.choices(paths, k=2)
    assert hybridprof.merge(shuffled).encode("hyprof") == expected
    cut = random.randint(1, len(paths))
    left, right = hybridprof.merge(shuffled[:cut]), [*shuffled[cut:], *paths]
    assert hybridprof.merge([*right, left]).encode("hyprof") == expected
    hybridprof.merge(paths[:cut]).write(folder / "left.hyprof")
    assert hybridprof.merge([*paths[cut:], folder / "left.hyprof"]).encode("hyprof") == expected
    assert hybridprof.load(paths[0]).merge(*paths).encode("hyprof") == expected
    assert hybridprof.merge([whole, whole]).encode("hyprof") == expected
    assert [source.pid for source in whole.sources] == sorted(each.number for each in made)


@settings(deadline=None, max_examples=60)
@given(sets)
def test_nothing_is_lost_or_invented(folder: Path, made: tuple[Made, ...]) -> None:
    parts = [hybridprof.load(written(folder, each)) for each in made]
    whole = hybridprof.merge(parts)
    assert sums(whole) == added([sums(part) for part in parts])
    assert {thread.name for thread in whole.threads} == {"MainThread", "Thread-* (work)"}
    assert set(whole.meta["warnings"]) == {warning for each in made for warning in each.warnings}
    assert whole.meta["python"] == ", ".join(sorted({each.python for each in made}))
    for each in whole.functions:
        assert each.total_ns >= each.self_ns
        assert (each.calls is None) == (each.measured == "sampled")


@settings(deadline=None, max_examples=30)
@given(sets)
def test_error_bars_are_no_narrower_than_the_parts_tell(folder: Path, made: tuple[Made, ...]) -> None:
    parts = [hybridprof.load(written(folder, each)) for each in made]
    whole = {row.name: row.self_error_ns for row in hybridprof.merge(parts).functions if row.measured == "sampled"}
    for name, error in whole.items():
        alone = [row.self_error_ns for part in parts for row in part.functions if row.name == name and row.self_ns]
        assert error > 0 or not alone


ONE, TWO, THREE = (Made(n, (Stack(0, (0, n), samples=10 * n),)) for n in (1, 2, 3))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [written(tmp_path, each) for each in (ONE, TWO, THREE)]


def test_what_is_inside_already(files: list[str], tmp_path: Path) -> None:
    pair, all_three = tmp_path / "pair.hyprof", tmp_path / "all.hyprof"
    hybridprof.merge(files[:2]).write(pair)
    hybridprof.merge(files).write(all_three)
    expected = all_three.read_bytes()
    for order in itertools.permutations([*files, str(pair), str(all_three)]):
        outcome = Outcome()
        assert merged(order, False, outcome).encode("hyprof") == expected
        assert sorted(line.split(":")[0] for line in outcome.known) == sorted([*files, str(pair)])


def test_what_would_count_twice(files: list[str], tmp_path: Path) -> None:
    pairs = [tmp_path / "12.hyprof", tmp_path / "23.hyprof"]
    for path, parts in zip(pairs, (files[:2], files[1:]), strict=True):
        hybridprof.merge(parts).write(path)
    with pytest.raises(ValueError, match=r"12\.hyprof.* have profiles in common that would count twice"):
        hybridprof.merge(pairs)
    # With the parts at hand there is a way: one pair and what it lacks.
    assert hybridprof.merge([*pairs, *files]).encode("hyprof") == hybridprof.merge(files).encode("hyprof")


def test_a_later_snapshot_replaces_an_earlier(tmp_path: Path) -> None:
    early = written(tmp_path, Made(1, (Stack(0, (0,), samples=5),), duration_ns=10**9), "early.hyprof")
    late = written(tmp_path, Made(1, (Stack(0, (0,), samples=50),), duration_ns=10**10), "late.hyprof")
    for order in ([early, late], [late, early]):
        assert hybridprof.merge(order).meta["samples"]["kept"] == 50


def test_clocks(files: list[str], tmp_path: Path) -> None:
    cpu = written(tmp_path, Made(9, (), clock=1), "cpu.hyprof")
    with pytest.raises(ValueError, match=r"cpu\.hyprof was measured by the cpu clock and .*1\.hyprof by the wall clock"):
        hybridprof.merge([*files, cpu])
    with pytest.raises(ValueError, match="clock"):
        hybridprof.load(files[0]).diff(hybridprof.load(cpu))


def test_damage(files: list[str], tmp_path: Path) -> None:
    good = hybridprof.merge(files[:2])
    data = bytearray(Path(files[2]).read_bytes())
    data[200] ^= 1
    Path(files[2]).write_bytes(data)
    whole = hybridprof.merge(files)
    assert (whole.left_out, sums(whole)) == (1, sums(good))
    assert any("3.hyprof" in warning and "damaged at byte" in warning for warning in whole.meta["warnings"])
    with pytest.raises(hybridprof._core.FormatError, match="damaged at byte"):
        hybridprof.merge(files, strict=True)
    again = whole.merge(files[0])
    assert (again.left_out, again.meta["warnings"]) == (1, whole.meta["warnings"])
    with pytest.raises(ValueError, match=r"nothing to merge: .*damaged"):
        hybridprof.merge([files[2]])


def test_what_a_damaged_file_was_needed_for(files: list[str], tmp_path: Path) -> None:
    """The large file has it all and cannot be read to its end: then the small ones are added in its place."""
    large = tmp_path / "large.hyprof"
    hybridprof.merge(files).write(large)
    expected = hybridprof.merge(files)
    data = bytearray(large.read_bytes())
    at = 16
    while int.from_bytes(data[at : at + 2], "little") != 7:  # the chunk of nodes: metadata and sources can still be read
        at += 20 + int.from_bytes(data[at + 4 : at + 8], "little")
    data[at] = 99  # a type that nobody knows, which must not be understood: its nodes are missing for those that follow
    data[at + 16 : at + 20] = __import__("zlib").crc32(bytes(data[at : at + 16])).to_bytes(4, "little")
    large.write_bytes(data)
    whole = hybridprof.merge([large, *files])
    assert whole.left_out == 1
    assert sums(whole) == sums(expected)


def test_killed_programs(files: list[str]) -> None:
    whole = Path(files[2]).read_bytes()
    Path(files[2]).write_bytes(whole[:-40])  # no end mark
    outcome = Outcome()
    profile = merged(files, False, outcome)
    assert (profile.left_out, len(profile.sources), profile.meta["samples"]["kept"]) == (0, 3, 60)
    (sentence,) = outcome.cut_short
    assert sentence.startswith(files[2]) and "cut short" in sentence
    with pytest.raises(hybridprof._core.FormatError, match="cut short"):
        hybridprof.merge(files, strict=True)


def test_folders(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a profile")
    assert hybridprof.merge([tmp_path]).encode("hyprof") == hybridprof.merge(files).encode("hyprof")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty is a folder without \.hyprof files"):
        hybridprof.merge([tmp_path / "empty"])


def test_other_arguments(files: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to merge: no profile was given"):
        hybridprof.merge([])
    with pytest.raises(FileNotFoundError):
        hybridprof.merge([*files, tmp_path / "none.hyprof"])
    with pytest.raises(TypeError, match="a path is a str"):
        hybridprof.merge([3])  # type: ignore[list-item]
    hybridprof.load(files[0]).write(tmp_path / "x.pstats")
    with pytest.raises(ValueError, match=r"x\.pstats: it holds no calling contexts"):
        hybridprof.merge([tmp_path / "x.pstats"])


def test_a_selection_is_another_profile(files: list[str]) -> None:
    whole = hybridprof.load(files[0])
    part = whole.select("python")
    assert part.meta["profile_id"] not in (whole.meta["profile_id"], whole.select("gil").meta["profile_id"])
    assert len(hybridprof.merge([whole, part]).sources) == 2


def test_many_at_a_time(tmp_path: Path) -> None:
    """Enough of them that several are read side by side."""
    for number in range(1, 41):
        written(tmp_path, Made(number, (Stack(0, (0, number % 5), samples=number),)))
    whole = hybridprof.merge([tmp_path])
    assert (whole.meta["samples"]["kept"], len(whole.sources)) == (820, 40)
    assert hybridprof.merge(sorted(tmp_path.iterdir(), reverse=True)).encode("hyprof") == whole.encode("hyprof")


@pytest.mark.parametrize("threads", [0, 1])
def test_files_are_merged_where_no_more_threads_can_be_started(folder: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    made = [Made(900 + i, (Stack(0, (i % 3,), samples=1 + i),)) for i in range(6)]
    paths = [written(folder, each) for each in made]
    expected = sums(hybridprof.merge(paths))
    left = [threads]
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if left[0] == 0:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert sums(hybridprof.merge(paths)) == expected


def test_an_exit_handler_merges(folder: Path, run_python: Callable[..., CompletedProcess[str]]) -> None:
    paths = [written(folder, Made(910 + i, (Stack(0, (1,), samples=1),))) for i in range(4)]
    done = run_python(f"""
import atexit, os, threading
import hybridprof
os.sched_getaffinity = lambda pid: {{0, 1}}
atexit.register(lambda: print(len(hybridprof.merge({paths!r}).sources)))
""")
    assert done.stdout == "4\n" and done.stderr == ""
