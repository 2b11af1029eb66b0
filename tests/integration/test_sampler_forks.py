# SPDX-License-Identifier: MIT
"""Forks by C code, past Python's hooks, while a session is sampled and written."""

from __future__ import annotations

import os
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

RunPython = Callable[..., "CompletedProcess[str]"]

FORKS_OF_C = """
import ctypes, faulthandler, os, sys, time
from hybridprof import _core
faulthandler.dump_traceback_later(30, exit=True)
if sys.argv[1] == "tracing":  # the session before had no sampler
    _core.start(rate=0)
    _core.stream("before.hyprof", 0.01)
    time.sleep(0.05)
    _core.stop()
_core.start(rate=1000)
_core.stream("now.hyprof", 0.01)
for _ in range(int(sys.argv[2])):
    pid = ctypes.PyDLL(None).fork()  # keeps the GIL
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    end = time.perf_counter() + 0.003
    while time.perf_counter() < end:
        pass
_core.stop()
print(_core.status()["samples"]["kept"] > int(sys.argv[2]) // 5)
"""


@pytest.mark.parametrize("before", ["nothing", "tracing"])
def test_forks_of_c_code_while_the_session_is_written(run_python: RunPython, before: str) -> None:
    # A fork past Python's hooks may leave the child with a lock of ASan's own that another thread held: then it waits for ever, so there are few.
    forks = 5 if os.environ.get("HYBRIDPROF_SANITIZED") else 100
    done = run_python(FORKS_OF_C, before, forks)
    assert done.stdout == "True\n" and done.stderr == ""
