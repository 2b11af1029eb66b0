# SPDX-License-Identifier: MIT
"""A whole session in which the Nth allocation of the extension fails, for each N. `PYTHONPATH=tests python -P tests/stress/allocations.py NAME ...`.

Prints one line of JSON: how many allocations a session makes, and every sentence that was raised."""

from __future__ import annotations

import ctypes
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybridprof import _core

FORMATS = [name for name, _, _, _, can_write in _core.formats() if can_write]


class Shim:
    """The library that is preloaded: see allocations.c."""

    def __init__(self) -> None:
        self.library = ctypes.PyDLL(None)

    def arm(self, first: int, count: int) -> None:
        assert self.library.shim_arm(ctypes.c_long(first), ctypes.c_long(count)) > 0

    def asked(self) -> int:
        asked: int = self.library.shim_asked()
        return asked


def traced(n: int) -> int:
    return n and traced(n - 1)


# Where calls are reported by setprofile (3.11), a target has to be wrapped.
calls_traced = _core.deep_function(traced) if _core.needs_wrapper(traced.__code__) else traced


def descend(levels: int) -> int:
    return descend(levels - 1) if levels else sum(range(20000))


def work(turn: int) -> None:
    """New code, new threads, a deep stack, calls of a target."""
    scope: dict[str, Any] = {}
    exec(compile(f"def fresh_{turn % 1000003}(): return sum(range(20000))", f"<fresh {turn}>", "exec"), scope)
    threads = [threading.Thread(target=scope[f"fresh_{turn % 1000003}"]) for _ in range(2)]
    for thread in threads:
        thread.start()
    descend(150)
    calls_traced(5)
    token = _core.enter_block("block")
    try:
        descend(80)
    finally:
        _core.leave_block(token)
    for thread in threads:
        thread.join()


def use(profile: _core.Profile, folder: Path, turn: int) -> list[Callable[[], object]]:
    """What can be done with a profile, each on its own: one that fails leaves the others."""
    saved = folder / "saved.hyprof"
    steps: list[Callable[[], object]] = [profile.functions, profile.edges, profile.nodes, profile.threads, profile.lines, profile.meta]
    steps += [lambda name=name: profile.encode(name) for name in FORMATS]  # type: ignore[misc]
    steps += [lambda name=name: profile.write(str(folder / f"out.{name}"), name) for name in FORMATS]  # type: ignore[misc]
    steps += [lambda: profile.select(["python", "c"]), lambda: profile.write(str(saved)), lambda: _core.load(str(saved))]
    steps += [lambda: _core.load(str(folder / "out.pstats"))]
    return steps


class Said:
    """What was raised, by kind and text; anything but a shortage told in a sentence is odd."""

    def __init__(self) -> None:
        self.sentences: Counter[str] = Counter()
        self.odd: list[str] = []

    def attempt(self, step: Callable[[], object]) -> Any:
        try:
            return step()
        except (MemoryError, OSError, RuntimeError) as error:
            self.sentences[f"{type(error).__name__}: {error}"] += 1
            if len(str(error).split()) < 4 or not ("memory" in str(error).lower() or isinstance(error, FileNotFoundError)):
                self.odd.append(f"{type(error).__name__}: {error}")
        except BaseException as error:
            self.odd.append(f"{type(error).__name__}: {error}")
        return None


def session(said: Said, folder: Path, turn: int, clock: Any) -> None:
    said.attempt(lambda: _core.add_target(traced.__code__))
    said.attempt(lambda: _core.stream(str(folder / "stream.hyprof"), 0.01))
    started = said.attempt(lambda: _core.start(rate=10_000, clock=clock))
    said.attempt(lambda: work(turn))
    said.attempt(_core.status)
    profile = said.attempt(_core.snapshot) if started else None
    stopped = said.attempt(_core.stop)
    if bool(started) != bool(stopped) or _core.running():
        said.odd.append(f"started {started}, stopped {stopped}, running {_core.running()}")
    said.attempt(lambda: _core.stream(None))
    for step in use(profile, folder, turn) if profile is not None else []:
        said.attempt(step)
    said.attempt(lambda: _core.remove_target(traced.__code__))


def is_whole(folder: Path, turn: int) -> bool:
    """With memory again, all is as ever."""
    said = Said()
    session(said, folder, turn, "wall")
    profile = _core.snapshot()
    samples = _core.status()["samples"]
    causes = sum(samples["unresolved_by"].values()) == samples["unresolved"]
    traced_row = [row[5] for row in profile.functions() if row[0] == "traced"]
    if said.sentences or said.odd or not causes or traced_row != [6]:
        print(said.sentences, said.odd, causes, traced_row, profile.meta()["warnings"], file=sys.stderr)
        return False
    return True


def sweep(folder: str, count: str, seconds: str, phase: str) -> None:
    """N from 1 on, in steps that grow to fit the time; `phase` shifts them, so that other runs meet other N."""
    shim, said, place = Shim(), Said(), Path(folder)
    end = time.perf_counter() + float(seconds)
    shim.arm(1 << 40, 0)
    session(Said(), place, 0, "wall")
    most = shim.asked()
    first, sessions, broken = 1, 0, 0
    while time.perf_counter() < end and first <= most:
        shim.arm(first, int(count))
        session(said, place, sessions + 1, "cpu" if sessions % 2 else "wall")
        shim.arm(0, 0)
        sessions += 1
        if sessions % 20 == 0 and not is_whole(place, -sessions):
            broken += 1
        left = max(1.0, (end - time.perf_counter()) * sessions / (time.perf_counter() - end + float(seconds)))
        first += max(1, int((most - first) / left)) if phase == "stride" else 1
    said.sentences = Counter({re.sub(r"\d+ nodes", "n nodes", text): number for text, number in said.sentences.items()})
    print(json.dumps({"most": most, "sessions": sessions, "last": first, "broken": broken, "said": said.sentences, "odd": said.odd[:20]}))


if __name__ == "__main__":
    {"sweep": sweep}[sys.argv[1]](*sys.argv[2:])
