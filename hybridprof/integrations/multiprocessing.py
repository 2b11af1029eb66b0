# SPDX-License-Identifier: MIT
"""multiprocessing: `install()` where the program's main module is imported. Each worker process then profiles itself from its first moment on and writes
its last file, which without this it does not: such a process ends without its exit handlers.

Where workers are spawned and not forked the main module must say it outside of `if __name__ == "__main__"`, for that is all that they import.
Slots are the numbers that multiprocessing gives its processes: 1, 2, 3 ... in the order in which they are made, and 1-1 for the first that worker 1 makes; the main process has 0. One that
takes another's place in a pool has the next number, and one that is spawned with a name of the program's own has none, which is 0. A worker that is ended by a signal, as Pool.terminate() does, leaves the files that it has written until then.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import hybridprof

from . import workers

_installed = False


def install() -> None:
    """Again: nothing happens."""
    global _installed
    if _installed or hybridprof.DISABLED:
        return
    from multiprocessing import util

    _installed = True
    util.register_after_fork(_Worker, lambda _: _begin())
    if "--multiprocessing-fork" in sys.orig_argv:  # this process was spawned, and is a worker already
        _begin()


class _Worker:
    """What the hook is registered for: it must live as long as the process."""


def _begin() -> None:
    from multiprocessing import process, util

    try:
        workers.begin(_slot(process.current_process()), guarded=False)  # its parent ends it by SIGTERM as a matter of course
    except Exception:  # the worker's work must not fail because of it
        return
    util.Finalize(None, workers.end, exitpriority=-100)  # after those of the program


def _slot(process: Any) -> str | None:
    """A spawned process that still imports the main module has no number yet, but its name: SpawnProcess-1:2."""
    identity = getattr(process, "_identity", ())
    named = re.fullmatch(r"\w+-(\d+(?::\d+)*)", process.name)
    numbers = ":".join(map(str, identity)) or (named[1] if named else "")
    return numbers.replace(":", "-") or None
