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

LEAST = 20  # sessions, however slow the machine
DEEP = 6000  # calls in one another
FORMATS = [name for name, _, _, _, can_write in _core.formats() if can_write]


class Shim:
    """The library that is preloaded: see allocations.c."""

    def __init__(self) -> None:
        self.library = ctypes.PyDLL(None)

    def arm(self, first: int, count: int) -> None:
        assert self.library.shim_arm(ctypes.c_long(first), ctypes.c_long(count)) > 0

    def only_pages(self) -> None:
        self.library.shim_pages(1)

    def asked(self) -> int:
        asked: int = self.library.shim_asked()
        return asked


def traced(n: int) -> int:
    return n and traced(n - 1)


# Where calls are reported by setprofile (3.11), a target has to be wrapped.
calls_traced = _core.deep_function(traced) if _core.needs_wrapper(traced.__code__) else traced


def left(n: int) -> int:
    return n and left(n - 1) + right(n - 1)


def right(n: int) -> int:
    return n and left(n - 1) + right(n - 1)


def spread(n: int) -> int:
    return left(n)


calls_spread = _core.deep_function(spread) if _core.needs_wrapper(spread.__code__) else spread
SPREAD = 12  # levels: 2 ** 13 contexts


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


def wide_session(said: Said, folder: Path) -> _core.Profile | None:
    """More than 5,000 contexts, exact and sampled: tables that large are pages of their own."""
    said.attempt(lambda: _core.add_target(spread.__code__))
    started = said.attempt(lambda: _core.start(rate=10_000))
    said.attempt(lambda: calls_spread(SPREAD))
    said.attempt(lambda: [descend(DEEP) for _ in range(40)])
    profile: _core.Profile | None = said.attempt(_core.snapshot) if started else None
    stopped = said.attempt(_core.stop)
    if bool(started) != bool(stopped) or _core.running():
        said.odd.append(f"started {started}, stopped {stopped}, running {_core.running()}")
    if profile is not None:
        saved = str(folder / "wide.hyprof")
        for step in (profile.meta, lambda: profile.write(saved), lambda: _core.load(saved), lambda: profile.select(["python", "c"])):
            said.attempt(step)
    said.attempt(lambda: _core.remove_target(spread.__code__))
    return profile


def has_all(profile: _core.Profile) -> bool:
    counts = {row[0]: row[5] for row in profile.functions() if row[0] in ("left", "right")}
    sampled = sum(line[2] for line in profile.lines())
    samples = sum(node[5] for node in profile.nodes())
    return sum(counts.values()) == 2 ** (SPREAD + 1) - 1 and len(profile.nodes()) > 5000 + DEEP and sampled == samples


def lacks(profile: _core.Profile) -> str:
    rows = {row[0]: row[5] for row in profile.functions() if row[0] in ("left", "right", "descend", "<overflow>", "<unresolved>")}
    samples = profile.meta()["samples"]
    return f"{rows}, {len(profile.nodes())} nodes, {sum(line[2] for line in profile.lines())} of {sum(node[5] for node in profile.nodes())} samples with lines, {samples}"


def wide(folder: str, count: str) -> None:
    """Each time that pages are asked of the system fails once. What a profile lacks then, a sentence in it tells."""
    shim, said, place, told = Shim(), Said(), Path(folder), 0
    sys.setrecursionlimit(2 * DEEP)
    shim.only_pages()
    shim.arm(1 << 40, 0)
    whole = wide_session(said, place)
    most = shim.asked()
    broken = whole is None or not has_all(whole)
    for first in range(1, most + 1):
        shim.arm(first, int(count))
        profile = wide_session(said, place)
        shim.arm(0, 0)
        short = [text for text in profile.meta()["warnings"] if "bound" in text or "memory" in text] if profile is not None else []
        told += bool(short)
        if profile is not None and not has_all(profile) and not short:
            said.odd.append(f"without page {first} of {most} a profile lacks something and does not say so: {lacks(profile)}")
    whole = wide_session(said, place)
    broken |= whole is None or not has_all(whole)
    said.sentences = Counter({re.sub(r"\d+", "n", text): number for text, number in said.sentences.items()})
    print(json.dumps({"most": most, "broken": broken, "told": told, "said": said.sentences, "odd": said.odd[:20]}))


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
    while first <= most and (sessions < LEAST or time.perf_counter() < end):
        shim.arm(first, int(count))
        session(said, place, sessions + 1, "cpu" if sessions % 2 else "wall")
        shim.arm(0, 0)
        sessions += 1
        if sessions % 20 == 0 and not is_whole(place, -sessions):
            broken += 1
        left = max(1.0, (end - time.perf_counter()) * sessions / (time.perf_counter() - end + float(seconds)))
        first += max(1, min(int((most - first) / left), most // LEAST)) if phase == "stride" else 1
    said.sentences = Counter({re.sub(r"\d+ nodes", "n nodes", text): number for text, number in said.sentences.items()})
    print(json.dumps({"most": most, "sessions": sessions, "last": first, "broken": broken, "said": said.sentences, "odd": said.odd[:20]}))


if __name__ == "__main__":
    {"sweep": sweep, "wide": wide}[sys.argv[1]](*sys.argv[2:])
