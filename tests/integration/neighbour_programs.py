# SPDX-License-Identifier: MIT
"""Programs that use another tool and hybridprof at once: `python -P neighbour_programs.py NAME ORDER [ARGUMENT...]`.

ORDER is what happens, letter by letter: T starts the other tool, H starts hybridprof, t and h stop them, w is work. Without H and h the
program is the one that shows what the tool alone says. Each prints one line of JSON: what the work gave, what the tool found, what we found.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybridprof import _core

RATE = 2000
Tool = tuple[Callable[[], object], Callable[[], object], Callable[[], Any]]  # start, stop, result


def hot(seconds: float) -> int:
    turns, end = 0, time.thread_time() + seconds
    while time.thread_time() < end:
        turns += sum(range(40)) > 0
    return turns


def cold(seconds: float) -> int:
    turns, end = 0, time.thread_time() + seconds
    while time.thread_time() < end:
        turns += sum(range(40)) > 0
    return turns


def counted(number: int) -> int:
    if number % 2:
        return number * 3
    return number + 1


def deep(levels: int) -> int:
    return deep(levels - 1) + 1 if levels else 0


def churn() -> int:
    """Arenas and chunks of the data stack that come and go, in this thread and in short ones."""
    deep(600)
    threads = [threading.Thread(target=deep, args=(400,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len([object() for _ in range(20_000)])


def work() -> list[int]:
    """Some 0.08 s of CPU time, three quarters in `hot`, one in `cold`."""
    said = []
    for turn in range(2):
        assert hot(0.03) > 0
        assert cold(0.01) > 0
        said.append(sum(map(counted, range(40))) + turn)
        said.append(churn())
    return said


doing: Callable[[], list[int]] = work


def ours() -> dict[str, Any]:
    profile = _core.snapshot()
    rows = {row[0]: row for row in profile.functions()}
    meta = profile.meta()
    return {
        "hot_ns": rows["hot"][8] if "hot" in rows else 0,
        "hot_error_ns": rows["hot"][10] if "hot" in rows else 0,
        "cold_ns": rows["cold"][8] if "cold" in rows else 0,
        "counted": rows["counted"][5] if "counted" in rows else None,
        "samples": meta["samples"],
        "method": meta["sampler_method"],
        "warnings": meta["warnings"],
        "threads": sorted(thread["name"].split("-")[0] for thread in profile.threads()),
    }


# --- the tools -----------------------------------------------------------------------------------------------------------------------------


def coverage_tool() -> Tool:
    """COVERAGE_CORE says which of its cores."""
    import coverage

    cov = coverage.Coverage(data_file=None, include=[__file__])

    def result() -> Any:
        data = cov.get_data()
        lines = [line for line in data.lines(__file__) or [] if line < ours.__code__.co_firstlineno]  # those of the work
        return {"core": type(cov._collector.tracers[0]).__name__, "lines": sorted(lines)}  # type: ignore[union-attr]

    return cov.start, cov.stop, result


def _calls(stats: dict[Any, Any]) -> dict[str, int]:
    names = ("hot", "cold", "counted", "deep", "churn", "work")
    return {key[2]: value[1] for key, value in stats.items() if key[2] in names and key[0] == __file__}


def cprofile_tool() -> Tool:
    import cProfile

    profile = cProfile.Profile()

    def result() -> Any:
        profile.create_stats()
        return _calls(profile.stats)  # type: ignore[attr-defined]

    return profile.enable, profile.disable, result


def profile_tool() -> Tool:
    """It follows one call from its beginning to its end, and no second one: the work that is done while it is on."""
    import profile

    counts: dict[str, int] = {}

    def follow() -> list[int]:
        tool = profile.Profile()
        said: list[int] = tool.runcall(work)
        tool.create_stats()
        for name, count in _calls(tool.stats).items():  # type: ignore[attr-defined]
            counts[name] = counts.get(name, 0) + count
        return said

    def start() -> None:
        global doing
        doing = follow

    def stop() -> None:
        global doing
        doing = work

    return start, stop, lambda: counts


def settrace_tool() -> Tool:
    """What a debugger does: every line of every frame."""
    seen: dict[str, int] = {}

    def trace(frame: Any, event: str, _argument: object) -> Any:
        if frame.f_code is counted.__code__:
            seen[event] = seen.get(event, 0) + 1
        return trace

    def start() -> None:
        sys.settrace(trace)

    return start, lambda: sys.settrace(None), lambda: seen


def tracemalloc_tool() -> Tool:
    import tracemalloc

    found: dict[str, Any] = {}

    def start() -> None:
        tracemalloc.start(5)

    def stop() -> None:
        kept = [bytes(1000) for _ in range(500)]  # TRACED
        snapshot = tracemalloc.take_snapshot()
        here = snapshot.filter_traces([tracemalloc.Filter(True, __file__)])
        found["most"] = max(here.statistics("lineno"), key=lambda each: each.count).count
        found["of_ours"] = sum(
            stat.size for stat in snapshot.filter_traces([tracemalloc.Filter(True, "*hybridprof/*")]).statistics("filename")
        )
        del kept
        tracemalloc.stop()

    return start, stop, lambda: {"found": found["most"] // 10, "of_ours": found["of_ours"]}


def ddtrace_tool() -> Tool:
    os.environ |= {
        "DD_PROFILING_OUTPUT_PPROF": os.path.abspath("dd"),
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "0",
        "DD_REMOTE_CONFIGURATION_ENABLED": "0",
        "DD_CRASHTRACKING_ENABLED": "0",
        "DD_TRACE_ENABLED": "0",
    }
    from ddtrace.profiling import Profiler

    profiler = Profiler()

    def result() -> Any:
        known = [json.loads(path.read_text()) for path in Path().glob("dd.*internal_metadata.json")]
        return {
            "enough": sum(each["sampling_event_count"] for each in known) >= 3,
            "few_errors": sum(each["copy_memory_error_count"] for each in known) < 10,
        }

    return profiler.start, profiler.stop, result


def _arenas(name: str) -> Any:
    library = ctypes.PyDLL(os.environ["NEIGHBOUR_LIBRARY"])
    call = getattr(library, f"neighbour_{name}")
    call.restype = ctypes.c_long
    return call


def arena_tool(own_memory: str = "0", slot: int = 0) -> Tool:
    """An allocator of arenas that stands in front of whoever was there (own_memory 0), or gets its own memory (1)."""

    def start() -> None:
        _arenas("install")(slot, int(own_memory))

    def stop() -> None:
        _arenas("uninstall")(slot)

    def result() -> Any:
        return {"used": _arenas("calls")(slot) > 0, "in_force": _arenas("in_force")(slot)}

    return start, stop, result


# --- the order of things -------------------------------------------------------------------------------------------------------------------


def run(tool: Tool, order: str) -> None:
    start, stop, result = tool
    said: list[list[int]] = []
    if "H" in order and os.environ.get("NEIGHBOUR_TARGET"):
        _core.add_target(counted.__code__)
    counted_here = _core.deep_function(counted) if "H" in order and _core.targets() and _core.needs_wrapper(counted.__code__) else counted
    globals()["counted"] = counted_here
    steps: dict[str, Callable[[], object]] = {
        "T": start,
        "t": stop,
        "H": lambda: _core.start(rate=RATE, clock="cpu"),
        "h": _core.stop,
        "w": lambda: said.append(doing()),
    }
    for step in order:
        steps[step]()
    print(json.dumps({"said": said, "tool": result(), "ours": ours() if "H" in order else None}))


def arenas_in_disorder() -> None:
    """A before us, B after us; A leaves first and takes us and B with it, then B puts back what it had found: us, who missed a lot."""
    first, second = arena_tool(slot=0), arena_tool(slot=1)
    said = []
    first[0]()
    _core.start(rate=RATE, clock="cpu")
    said.append(work())
    second[0]()
    said.append(work())
    first[1]()  # now the interpreter's own is in force, and frees what we know of
    for _ in range(5):
        churn()
    said.append(work())
    second[1]()  # now ours is again
    for _ in range(5):
        churn()
    said.append(work())
    _core.stop()
    print(json.dumps({"said": said, "tool": {"calls": [_arenas("calls")(slot) for slot in (0, 1)]}, "ours": ours()}))


def dumped() -> None:
    """faulthandler's watchdog writes the stacks of threads that stand still (it takes no lock: CPython crashes by itself where they end)."""
    import faulthandler

    path = Path("stacks.txt")
    ended = threading.Event()
    waiting = threading.Thread(target=ended.wait)
    with path.open("w", encoding="utf-8") as file:
        waiting.start()
        if sys.argv[2] == "H":
            _core.start(rate=RATE)
        faulthandler.enable(file)
        faulthandler.dump_traceback_later(0.05, repeat=True, file=file)
        time.sleep(0.4)
        faulthandler.cancel_dump_traceback_later()
        ended.set()
        waiting.join()
        said = work()
        faulthandler.disable()
    _core.stop()
    dumps = path.read_text(encoding="utf-8").split("Timeout (")[1:]
    print(json.dumps({"said": [said], "tool": dumps, "ours": ours() if sys.argv[2] == "H" else None}))


def debugged() -> None:
    """A scripted session of pdb in the midst of the work."""
    import pdb  # noqa: T100

    out = io.StringIO()
    commands = io.StringIO("break counted\ncontinue\nargs\nwhere\nreturn\nclear 1\ncontinue\n")
    debugger = pdb.Pdb(stdin=commands, stdout=out, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    if sys.argv[2] == "H":
        _core.start(rate=RATE, clock="cpu")
    debugger.set_trace()
    said = work()
    sys.settrace(None)
    _core.stop()
    print(json.dumps({"said": [said], "tool": out.getvalue(), "ours": ours() if sys.argv[2] == "H" else None}))


def watched_from_outside() -> None:
    """Says when it works, and goes on until a line comes in."""
    if sys.argv[2] == "H":
        _core.start(rate=RATE, clock="cpu")
    print("working", flush=True)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
    while not ended.is_set():
        hot(0.03)
        cold(0.01)
    _core.stop()
    print(json.dumps({"ours": ours() if sys.argv[2] == "H" else None}))


TOOLS: dict[str, Callable[..., Tool]] = {
    "coverage": coverage_tool,
    "cprofile": cprofile_tool,
    "profile": profile_tool,
    "settrace": settrace_tool,
    "tracemalloc": tracemalloc_tool,
    "ddtrace": ddtrace_tool,
    "arena": arena_tool,
}


def main() -> None:
    name = sys.argv[1]
    others = {
        "arenas_in_disorder": arenas_in_disorder,
        "debugged": debugged,
        "dumped": dumped,
        "watched_from_outside": watched_from_outside,
    }
    if name in others:
        others[name]()
    else:
        run(TOOLS[name](*sys.argv[3:]), sys.argv[2])


if __name__ == "__main__":
    main()
