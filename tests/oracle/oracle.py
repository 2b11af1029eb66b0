# SPDX-License-Identifier: MIT
"""What call counts are true: a slow, plain tracer written in Python only, which shares no code with the product.

A *call* is counted when a frame passes its first RESUME: resuming a generator, `throw()` and `close()` are no calls. The *caller* is
`f_back`; C functions are transparent. A call is *primitive* when its code object is not already on the same stack. With targets, a call
counts when a target's frame is in its `f_back` chain, its own frame included.
"""

import dis
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

Key = tuple[str, int, str]
Edge = tuple[Key, Key]

RESUME = dis.opmap["RESUME"]
STARTERS = ("_start_new_thread", "_start_joinable_thread")
OUTSIDE: Key = ("<outside>", 0, "<outside>")


def key_of(code: CodeType) -> Key:
    """File, first line and qualified name: what a row of a profile is."""
    return (code.co_filename, code.co_firstlineno, code.co_qualname)


def begins_a_call(frame: FrameType) -> bool:
    """Whether the "call" event of sys.setprofile is a new activation: its instruction is the RESUME of a function's start."""
    code = frame.f_code.co_code
    at = frame.f_lasti
    return at >= 0 and code[at] == RESUME and code[at + 1] & 3 == 0


class Oracle:
    """Counts every call of all threads between start() and stop().

    `targets`: code objects; None counts everything. `excluded_files`: the harness's own files; calls of their functions do not count, and
    as callers they appear as OUTSIDE."""

    def __init__(self, targets: Iterable[CodeType] | None = None, excluded_files: Iterable[str] = ()) -> None:
        self.targets = None if targets is None else set(targets)
        self.excluded_files = frozenset(excluded_files) | {__file__}
        self.calls: Counter[Key] = Counter()
        self.primitive_calls: Counter[Key] = Counter()
        self.edges: Counter[Edge] = Counter()

    def start(self) -> None:
        self.starters = {name: getattr(threading, name) for name in STARTERS if hasattr(threading, name)}
        for name, starter in self.starters.items():
            setattr(threading, name, self.profiled_from_the_start(starter))
        sys.setprofile(self.profile)

    def stop(self) -> None:
        sys.setprofile(None)
        for name, starter in self.starters.items():
            setattr(threading, name, starter)

    def profiled_from_the_start(self, starter: Callable[..., Any]) -> Callable[..., Any]:
        """threading.setprofile comes too late: `_bootstrap` has begun by then."""

        def start(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
            def begin(*inner: Any) -> None:
                sys.setprofile(self.profile)
                function(*inner)
                sys.setprofile(None)

            return starter(begin, *arguments, **options)

        return start

    def run(self, function: Callable[[], Any]) -> None:
        self.start()
        try:
            function()
        finally:
            self.stop()

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and begins_a_call(frame) and frame.f_code.co_filename not in self.excluded_files and self.is_beneath(frame):
            self.count(frame)

    def is_beneath(self, frame: FrameType | None) -> bool:
        if self.targets is None:
            return True
        while frame is not None:
            if frame.f_code in self.targets:
                return True
            frame = frame.f_back
        return False

    def count(self, frame: FrameType) -> None:
        code, caller = frame.f_code, frame.f_back
        key = key_of(code)
        self.calls[key] += 1
        outside = caller is None or caller.f_code.co_filename in self.excluded_files
        self.edges[OUTSIDE if outside or caller is None else key_of(caller.f_code), key] += 1
        while caller is not None and caller.f_code is not code:
            caller = caller.f_back
        if caller is None:
            self.primitive_calls[key] += 1
