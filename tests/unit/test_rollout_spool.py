# SPDX-License-Identifier: MIT
"""Names of profiles, and which of them go. Times of files are set, clocks are moved by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hybridprof.rollout.spool import HALF_WRITTEN_AGE, Limits, Spool, free_path, name_of, refusal

PLENTY = Limits(files=1000, bytes=10**9, age=1e9)


class Clocks:
    def __init__(self) -> None:
        self.steady, self.wall = 1000.0, 1_800_000_000.0

    def spool(self, folder: Path, service: str = "shop", host: str = "web-1") -> Spool:
        return Spool(str(folder), service, host, lambda: self.steady, lambda: self.wall)


def put(folder: Path, clocks: Clocks, age: float, size: int = 10, pid: int = 7, service: str = "shop", host: str = "web-1") -> str:
    moment = clocks.wall - age
    path = folder / name_of(service, host, "0", pid, moment)
    path.write_bytes(b"x" * size)
    os.utime(path, (moment, moment))
    return path.name


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_name_says_whose_it_is() -> None:
    assert name_of("shop", "web-1", "3", 42, 1764435912.0625) == "shop@web-1.s3.p42.20251129T170512.062Z.hyprof"
    assert name_of("../a b/ü", "h.example.org", "a/b", 1, 0.0) == "___a_b__@h_example_org.sa_b.p1.19700101T000000.000Z.hyprof"


def test_a_name_that_is_taken_is_not_taken_again(tmp_path: Path) -> None:
    name = name_of("shop", "h", "0", 1, 1.0)
    first = free_path(str(tmp_path), name)
    assert first == str(tmp_path / name)
    Path(first).touch()
    second = free_path(str(tmp_path), name)
    os.symlink("/nowhere", second)
    assert second.endswith(".000Z.2.hyprof") and free_path(str(tmp_path), name).endswith(".3.hyprof")


def test_the_oldest_go_first_by_number_by_bytes_and_by_age(tmp_path: Path) -> None:
    clocks = Clocks()
    spool = clocks.spool(tmp_path)
    old, middle, young = (put(tmp_path, clocks, age, size=100) for age in (300, 200, 100))
    assert spool.prune(PLENTY) == [] and [os.path.basename(entry.path) for entry in spool.entries()] == [old, middle, young]
    assert [os.path.basename(entry.path) for entry in spool.prune(Limits(2, 10**9, 1e9))] == [old]
    put(tmp_path, clocks, 300, size=100)
    spool.prune(Limits(1000, 250, 1e9))
    assert names(tmp_path) == sorted([middle, young])
    spool.prune(Limits(1000, 10**9, 150))
    assert names(tmp_path) == [young]
    spool.prune(Limits(1, 1, 1e-3))
    assert names(tmp_path) == [young]  # the newest stays


def test_what_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    clocks = Clocks()
    ours = [put(tmp_path, clocks, age) for age in (400, 300, 200)]
    others = [
        put(tmp_path, clocks, 900, service="pay"),
        put(tmp_path, clocks, 900, host="web-2"),
        ours[0] + ".bak",
        "x" + ours[0],
        ours[0].replace(".hyprof", ".2.3.hyprof"),
        "shop@web-1.s0.p7.hyprof",
        "shop@web-1.profile.hyprof",
        "notes.txt",
    ]
    for name in others:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    link, folder = ours[0].replace(".p7.", ".p8."), ours[0].replace(".p7.", ".p9.")
    (tmp_path / link).symlink_to(tmp_path / "notes.txt")
    (tmp_path / folder).mkdir()
    clocks.spool(tmp_path).prune(Limits(1, 1, 1e-3))
    assert names(tmp_path) == sorted([*others, link, folder, ours[2]])


def test_a_clock_that_jumps_forward_makes_nothing_old(tmp_path: Path) -> None:
    clocks = Clocks()
    spool = clocks.spool(tmp_path)
    kept = [put(tmp_path, clocks, age) for age in (30, 20, 10)]
    clocks.wall += 400 * 86400
    clocks.steady += 60
    assert spool.prune(Limits(1000, 10**9, 3600)) == [] and names(tmp_path) == sorted(kept)
    clocks.wall -= 800 * 86400
    assert spool.prune(Limits(1000, 10**9, 3600)) == []
    clocks.wall += 400 * 86400
    clocks.steady += 7200
    clocks.wall += 7260
    assert len(spool.prune(Limits(1000, 10**9, 3600))) == 2


def test_a_clock_that_is_set_back_loses_no_new_file(tmp_path: Path) -> None:
    """In a full folder what is new would be the oldest, and go at once, for an hour."""
    clocks = Clocks()
    spool = clocks.spool(tmp_path)
    before = [put(tmp_path, clocks, age) for age in (30, 20, 10)]
    clocks.wall -= 3600
    after = []
    for others in (spool, clocks.spool(tmp_path), spool):  # also of a worker that began since
        others.prune(Limits(3, 10**9, 1e9))
        clocks.steady += 10
        clocks.wall += 10
        after.append(put(tmp_path, clocks, 0))
        others.put_last(str(tmp_path / after[-1]))
        assert [os.path.basename(entry.path) for entry in others.prune(Limits(3, 10**9, 1e9))] == [before.pop(0)]
    assert [os.path.basename(entry.path) for entry in spool.entries()] == after
    assert spool.prune(Limits(1000, 10**9, 15)) and names(tmp_path) == after[1:]  # and they become old as ever


def test_a_full_disk_has_room_for_what_is_new_after_a_clock_was_set_back(tmp_path: Path) -> None:
    clocks = Clocks()
    before = [put(tmp_path, clocks, age) for age in (30, 20)]
    spool = clocks.spool(tmp_path)
    clocks.wall -= 3600
    coming = name_of("shop", "web-1", "1", 8, clocks.wall - 10)
    freed = [spool.remove_oldest(coming) for _ in range(3)]
    assert [entry and os.path.basename(entry.path) for entry in freed] == [*before, None]


def test_what_is_known_of_a_clock_that_jumped_outlives_a_change(tmp_path: Path) -> None:
    clocks = Clocks()
    first = clocks.spool(tmp_path)
    kept = [put(tmp_path, clocks, age) for age in (30, 20, 10)]
    clocks.wall += 86400
    second = Spool(str(tmp_path), "shop", "web-1", lambda: clocks.steady, lambda: clocks.wall, first)
    assert second.prune(Limits(1000, 10**9, 3600)) == [] and names(tmp_path) == sorted(kept)


def test_what_a_killed_writer_left_goes_after_a_while(tmp_path: Path) -> None:
    clocks = Clocks()
    left, fresh, foreign = ".hybridprof-123-00ff00ff.tmp", ".hybridprof-124-00ff00ff.tmp", ".hybridprof-x.tmp"
    for name, age in ((left, HALF_WRITTEN_AGE + 1), (fresh, 10), (foreign, 1e6)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (clocks.wall - age,) * 2)
    clocks.spool(tmp_path).prune(PLENTY)
    assert names(tmp_path) == sorted([fresh, foreign])


def test_a_missing_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "new")) == "" and (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileNotFoundError):
        refusal(str(tmp_path / "no" / "parent"))


def test_workers_that_end_together_make_it_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = os.mkdir

    def second(path: str, mode: int) -> None:
        make(path, mode)
        make(path, mode)

    monkeypatch.setattr(os, "mkdir", second)
    assert refusal(str(tmp_path / "new")) == ""


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert "is writable by everybody (mode 1777)" in refusal(str(tmp_path))
    tmp_path.chmod(0o755)
    assert refusal(str(tmp_path)) == ""
    (tmp_path / "file").touch()
    assert refusal(str(tmp_path / "file")) == "is no folder"


def test_room_is_made_of_what_is_older_than_what_needs_it(tmp_path: Path) -> None:
    clocks = Clocks()
    spool = clocks.spool(tmp_path)
    old, middle, young = (put(tmp_path, clocks, age) for age in (300, 200, 100))
    others = [put(tmp_path, clocks, 400, service="other"), put(tmp_path, clocks, 400, host="web-2")]
    (tmp_path / "notes").touch()
    coming = name_of("shop", "web-1", "1", 8, clocks.wall - 150)
    freed = [spool.remove_oldest(coming) for _ in range(3)]
    assert [entry and os.path.basename(entry.path) for entry in freed] == [old, middle, None]
    assert names(tmp_path) == sorted([young, *others, "notes"])
