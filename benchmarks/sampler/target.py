# SPDX-License-Identifier: MIT
"""The program that is profiled, in a process of its own: `python target.py JSON`. The benchmark talks to it by pipe.

A profiler that attaches is started when the program says "open" and ended when it says "close"; meanwhile the program waits for an answer.
So what comes before and after is bare, in the same process, with the same addresses and caches.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from accuracy.peers import ALL

from sampler import programs


class Window:
    """While it is open, the profiler is at work. It may be opened again and again."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.peer = ALL[settings["peer"]]
        self.rate = settings["rate"]
        self.output = Path(settings["output"])
        self.reports: list[dict[str, int]] = []

    def open(self) -> None:
        if self.peer.inside:
            self.peer.start(self.rate)
        else:
            self._say("open")

    def close(self) -> None:
        if self.peer.inside:
            self.reports.append(self.peer.stop(self.output))
        else:
            self._say("close")

    def _say(self, word: str) -> None:
        print(f"@{word}", flush=True)
        sys.stdin.readline()


def main() -> None:
    settings = json.loads(sys.argv[1])
    if settings["pinned"]:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    window = Window(settings)
    result = programs.PROGRAMS[settings["program"]](window, **settings["options"])
    print("@result " + json.dumps({**result, "reports": window.reports}), flush=True)


if __name__ == "__main__":
    main()
