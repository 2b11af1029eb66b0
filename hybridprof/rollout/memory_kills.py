# SPDX-License-Identifier: MIT
"""What the kernel has killed for want of memory, as far as this process' memory cgroup counts it: a crash that it counts is no fault of profiling alone, but of all that was held.

Linux counts in `memory.events` (cgroup v2) or `memory.oom_control` (v1), `oom_kill`, per cgroup. Whoever was killed is not named, so a crash is told by the count having grown since the
life began. A container that is made anew has a count of its own: then nothing is known.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def counter(processes: Path = Path("/proc/self/cgroup"), root: Path = ROOT) -> str:
    """The file that counts for this process; empty where there is none."""
    try:
        lines = [line.split(":", 2) for line in processes.read_text("utf-8", "surrogateescape").splitlines()]
    except OSError:
        return ""
    for _number, controllers, group in (line for line in lines if len(line) == 3):
        inside = group.lstrip("/")
        if "memory" in controllers.split(","):
            found = root / "memory" / inside / "memory.oom_control"
        elif not controllers:
            found = root / inside / "memory.events"
        else:
            continue
        if found.is_file():
            return str(found)
    return ""


def killed(path: str, root: Path = ROOT) -> int:
    """So many processes. 0 where it cannot be known, so that nothing seems to have grown."""
    if not Path(path).is_relative_to(root) or ".." in Path(path).parts:  # from a file
        return 0
    try:
        rows = (line.split() for line in Path(path).read_text("ascii").splitlines())
        return next((int(row[1]) for row in rows if len(row) == 2 and row[0] == "oom_kill"), 0)
    except (OSError, ValueError):
        return 0
