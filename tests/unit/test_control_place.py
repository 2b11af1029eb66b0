# SPDX-License-Identifier: MIT
"""The socket's name and its token in the file system: modes, folders, what was there before, and what dead processes left."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from hybridprof.rollout.control.place import LONGEST_PATH, Place, PlaceError, open_place, sweep

NOBODY_PID = 2**31 - 5  # above every kernel's limit of pids


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def left_behind(path: Path) -> None:
    """As by a process that was killed."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    path.with_name(path.name + ".token").write_text("old")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_modes_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        place = open_place(str(tmp_path / "x.sock"))
    finally:
        os.umask(before)
    assert (mode(tmp_path / "x.sock"), mode(tmp_path / "x.sock.token")) == (0o600, 0o600)
    assert len(place.token) == 64 and (tmp_path / "x.sock.token").read_text() == place.token + "\n"
    assert place.is_there() and not os.get_inheritable(place.listener.fileno())
    place.remove()
    assert list(tmp_path.iterdir()) == [] and not place.is_there()


def test_each_socket_has_its_own_token(tmp_path: Path) -> None:
    first, second = (open_place(str(tmp_path / name)) for name in ("a", "b"))
    assert first.token != second.token
    first.remove()
    second.remove()


def test_the_folder_is_made_but_not_those_above(tmp_path: Path) -> None:
    place = open_place(str(tmp_path / "run" / "x.sock"))
    assert mode(tmp_path / "run") == 0o700
    place.remove()
    with pytest.raises(PlaceError, match="No such file or directory"):
        open_place(str(tmp_path / "a" / "b" / "x.sock"))


@pytest.mark.parametrize("bad", [0o777, 0o770, 0o1777])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, bad: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(bad)
    others = rf"and .*/open is writable by (everybody|its group) \(mode {bad:04o}\)"
    with pytest.raises(PlaceError, match=others):
        open_place(str(folder / "x.sock"))
    (folder / "inner").mkdir(0o700)
    if bad != 0o1777:
        with pytest.raises(PlaceError, match=others):
            open_place(str(folder / "inner/x.sock"))
    else:
        open_place(str(folder / "inner/x.sock")).remove()
    assert not (folder / "x.sock").exists() and not list((folder / "inner").iterdir())


def test_a_link_leads_to_the_folder_that_is_checked(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to("open")
    with pytest.raises(PlaceError, match="/open is writable by everybody"):
        open_place(str(tmp_path / "link/x.sock"))


def test_what_is_there_and_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    for make in (lambda: path.write_text("mine"), lambda: path.symlink_to("elsewhere"), path.mkdir):
        make()
        with pytest.raises(PlaceError, match="exists and is no socket of this user"):
            open_place(str(path))
        assert os.path.lexists(path) and not (tmp_path / "x.sock.token").exists()
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_living_socket_stays(tmp_path: Path) -> None:
    place = open_place(str(tmp_path / "x.sock"))
    with pytest.raises(PlaceError, match="is another process'; write %p"):
        open_place(place.path)
    assert place.is_there() and (tmp_path / "x.sock.token").read_text().strip() == place.token
    for _ in range(40):  # its queue is full
        knock = socket.socket(socket.AF_UNIX)
        knock.setblocking(False)
        if knock.connect_ex(place.path):
            break
    with pytest.raises(PlaceError, match="is another process'"):
        open_place(place.path)
    place.remove()


def test_a_dead_socket_is_replaced(tmp_path: Path) -> None:
    left_behind(tmp_path / "x.sock")
    place = open_place(str(tmp_path / "x.sock"))
    assert (tmp_path / "x.sock.token").read_text().strip() == place.token != "old"
    place.remove()


def test_a_token_is_written_over_no_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "x.sock.token").symlink_to("precious")
    place = open_place(str(tmp_path / "x.sock"))
    assert (tmp_path / "precious").read_text() == "precious" and not (tmp_path / "x.sock.token").is_symlink()
    place.remove()


def test_a_name_that_others_took_over_is_not_removed(tmp_path: Path) -> None:
    place = open_place(str(tmp_path / "x.sock"))
    os.unlink(place.path)
    assert not place.is_there()
    next_one = open_place(place.path)
    place.remove()
    assert next_one.is_there()
    next_one.remove()


def test_names_that_are_too_long(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=f"has {LONGEST_PATH + 1} bytes, and a socket's name at most {LONGEST_PATH}"):
        open_place("/tmp/" + "x" * (LONGEST_PATH - 4))


def test_the_dead_are_swept_and_nobody_else(tmp_path: Path) -> None:
    left_behind(tmp_path / f"{NOBODY_PID}.sock")
    (tmp_path / f"{NOBODY_PID - 1}.sock.token").write_text("alone")
    left_behind(tmp_path / f"{os.getpid()}.sock")  # its process lives
    left_behind(tmp_path / f"other-{NOBODY_PID}.sock")
    (tmp_path / f"{NOBODY_PID - 2}.sock").write_text("no socket")
    answers = open_place(str(tmp_path / f"{NOBODY_PID - 3}.sock"))  # of another pid namespace
    before = {path.name for path in tmp_path.iterdir()}
    sweep(str(tmp_path / "%p.sock"))
    gone = before - {path.name for path in tmp_path.iterdir()}
    assert gone == {f"{NOBODY_PID}.sock", f"{NOBODY_PID}.sock.token", f"{NOBODY_PID - 1}.sock.token"}
    answers.remove()
    sweep(str(tmp_path / "x.sock"))
    sweep("/nowhere/at/all/%p.sock")


def test_what_an_exec_left_is_swept_though_its_process_lives(tmp_path: Path) -> None:
    old, young, listening = (tmp_path / f"{pid}.sock" for pid in (os.getpid(), os.getppid(), 1))
    for path in (old, young):
        left_behind(path)
    place = open_place(str(listening))
    for path in (old, listening):
        os.utime(path, (1e9, 1e9))
    sweep(str(tmp_path / "%p.sock"))
    assert {path.name for path in tmp_path.iterdir()} == {each.name + end for each in (young, listening) for end in ("", ".token")}
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(listening))  # it was asked for nothing: this is its first
        place.listener.setblocking(True)
        place.listener.accept()[0].close()
        place.listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            place.listener.accept()
    place.remove()


def test_a_place_is_known_by_more_than_its_name(tmp_path: Path) -> None:
    place = open_place(str(tmp_path / "x.sock"))
    assert not Place(place.path, place.token, place.listener, (0, 0)).is_there()
    os.unlink(tmp_path / "x.sock.token")
    assert not place.is_there()
    place.remove()
