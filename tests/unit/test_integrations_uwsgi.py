# SPDX-License-Identifier: MIT
"""What needs no uWSGI; tests/rollout runs the real one."""

from __future__ import annotations

import pytest

from hybridprof.integrations import uwsgi


def test_the_programs_hook_is_called_whatever_becomes_of_ours() -> None:
    called = []

    def ours() -> None:
        called.append("ours")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        uwsgi._before(ours, lambda: called.append("theirs"))()
    assert called == ["ours", "theirs"]
