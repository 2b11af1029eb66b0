# SPDX-License-Identifier: MIT
"""Whose files and folders are believed."""

from __future__ import annotations

import os
import stat

import pytest

from hybridprof.rollout.trust import distrust_file, distrust_folder

USER = 1000
FOREIGN = "belongs to user 7; it must belong to root or to the process' own user (1000)"


def of(kind: int, mode: int, owner: int) -> os.stat_result:
    return os.stat_result((kind | mode, 1, 1, 1, owner, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "owner", "complaint", "beneath_complaint"),
    [
        (0o700, 1000, "", ""),
        (0o755, 0, "", ""),
        (0o755, 7, FOREIGN, FOREIGN),
        (0o1777, 7, FOREIGN, FOREIGN),
        (0o770, 1000, "is writable by its group (mode 0770); chmod go-w it", "is writable by its group (mode 0770); chmod go-w it"),
        (0o1777, 0, "is writable by everybody (mode 1777); chmod go-w it", ""),
        (0o777, 0, "is writable by everybody (mode 0777); chmod go-w it", "is writable by everybody (mode 0777); chmod go-w it"),
    ],
)
def test_folders(mode: int, owner: int, complaint: str, beneath_complaint: str) -> None:
    """beneath: of a folder above the one that counts, the sticky bit is enough."""
    status = of(stat.S_IFDIR, mode, owner)
    assert distrust_folder(status, USER, by_group=False) == complaint
    assert distrust_folder(status, USER, by_group=False, sticky=True) == beneath_complaint
    assert distrust_folder(status, USER) == ("" if "group" in complaint else complaint)


def test_files() -> None:
    assert distrust_file(of(stat.S_IFREG, 0o600, USER), USER) == distrust_file(of(stat.S_IFREG, 0o444, 0), USER) == ""
    assert distrust_file(of(stat.S_IFREG, 0o644, 7), USER) == FOREIGN
    assert distrust_file(of(stat.S_IFREG, 0o664, USER), USER) == "is writable by its group (mode 0664); chmod go-w it"
    assert distrust_file(of(stat.S_IFREG, 0o646, USER), USER) == "is writable by everybody (mode 0646); chmod go-w it"


def test_kinds() -> None:
    assert distrust_folder(of(stat.S_IFREG, 0o600, USER), USER) == "is no folder"
    assert distrust_file(of(stat.S_IFIFO, 0o600, USER), USER) == "is no regular file"
