# SPDX-License-Identifier: MIT
"""What counts are true: a slow tracer in plain Python, which shares nothing with the product.

A call is counted when a frame passes the RESUME of its function's start: resuming a generator or coroutine is none. The caller is `f_back`. A call is
primitive when its code is not already on the stack. With a target, only what has the target on its stack counts.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FrameType

Name = tuple[str, int]  # qualified name and first line
_RESUME = dis.opmap["RESUME"]


@dataclass
class Counts:
    """Of the functions of one file. The caller of an edge is None where it is of another file."""

    calls: Counter[Name] = field(default_factory=Counter)
    primitive_calls: Counter[Name] = field(default_factory=Counter)
    edges: Counter[tuple[Name | None, Name]] = field(default_factory=Counter)


def counted(run: Callable[[], object], file: str, target: CodeType | None = None) -> Counts:
    """Runs a program and counts."""
    counts = Counts()

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename == file and _begins(frame) and _is_beneath(frame, target):
            _count(counts, frame)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return counts


def _begins(frame: FrameType) -> bool:
    code, at = frame.f_code.co_code, frame.f_lasti
    return at >= 0 and code[at] == _RESUME and code[at + 1] & 3 == 0


def _is_beneath(frame: FrameType | None, target: CodeType | None) -> bool:
    while target is not None and frame is not None and frame.f_code is not target:
        frame = frame.f_back
    return frame is not None


def _count(counts: Counts, frame: FrameType) -> None:
    code, caller = frame.f_code, frame.f_back
    name = (code.co_qualname, code.co_firstlineno)
    inside = caller is not None and caller.f_code.co_filename == code.co_filename
    counts.calls[name] += 1
    counts.edges[(caller.f_code.co_qualname, caller.f_code.co_firstlineno) if inside and caller else None, name] += 1
    while caller is not None and caller.f_code is not code:
        caller = caller.f_back
    counts.primitive_calls[name] += caller is None
