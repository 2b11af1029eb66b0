# SPDX-License-Identifier: MIT
"""Programs that are traced while another tool is at work: `python -P traced_neighbours.py TOOL ORDER`.

ORDER is what happens, letter by letter: T starts the other tool, H starts hybridprof, t and h stop them, w is work: one call of `target`. Without
H and h the program is the one that shows what the tool alone says. The last line of the output is JSON: what the work gave, what the tool found,
what we found."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hybridprof
from hybridprof import _core

COUNT = 30  # calls of `leaf` from `steps`, and so one less than in one call of `target`
RATE = 2000
Tool = tuple[Callable[[], object], Callable[[], object], Callable[[], Any]]  # start, stop, result
NAMES = ("target", "steps", "leaf")


def leaf(number: int) -> int:
    return number + 1


def steps(count: int) -> Any:
    for number in range(count):
        yield leaf(number)


def target(count: int) -> int:
    return sum(steps(count)) + leaf(count)


def burn(seconds: float) -> int:
    turns, end = 0, time.thread_time() + seconds
    while time.thread_time() < end:
        turns += sum(range(40)) > 0
    return turns


def ours() -> dict[str, Any]:
    profile = hybridprof.snapshot()
    rows = {row.name: row for row in profile.functions}
    found = {name: rows[name] for name in NAMES if name in rows}
    return {
        "calls": {name: row.calls for name, row in found.items() if row.calls},
        "measured": {name: row.measured for name, row in found.items()},
        "burn_ns": rows["burn"].self_ns if "burn" in rows else 0,
        "samples": profile.meta["samples"],
        "hook": _core.status()["tracer_hook"],
        "warnings": profile.meta["warnings"],
    }


# --- the tools -----------------------------------------------------------------------------------------------------------------------------


def coverage_tool() -> Tool:
    """COVERAGE_CORE says which of its cores."""
    import coverage

    cov = coverage.Coverage(data_file=None, include=[__file__])

    def result() -> Any:
        lines = [line for line in cov.get_data().lines(__file__) or [] if line < burn.__code__.co_firstlineno]
        return {"core": type(cov._collector.tracers[0]).__name__, "lines": sorted(lines)}  # type: ignore[union-attr]

    return cov.start, cov.stop, result


def cprofile_tool() -> Tool:
    import cProfile

    profile = cProfile.Profile()

    def result() -> Any:
        profile.create_stats()
        stats: dict[Any, Any] = profile.stats  # type: ignore[attr-defined]
        return {key[2]: value[1] for key, value in stats.items() if key[2] in NAMES and key[0] == __file__}

    return profile.enable, profile.disable, result


def setprofile_tool() -> Tool:
    """What a profiler written in Python does."""
    seen: Counter[str] = Counter()

    def watch(frame: Any, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_name in NAMES:
            seen[frame.f_code.co_name] += 1

    return lambda: sys.setprofile(watch), lambda: sys.setprofile(None), lambda: seen


def bdb_tool(backend: str = "settrace") -> Tool:
    """What pdb rests on, with a breakpoint in `leaf`."""
    import bdb

    class Debugger(bdb.Bdb):
        hits = 0

        def user_line(self, frame: Any) -> None:
            self.hits += frame.f_code is leaf.__code__
            self.set_continue()

    debugger = Debugger(backend=backend) if sys.version_info >= (3, 14) else Debugger()  # type: ignore[call-arg]
    problem = debugger.set_break(__file__, leaf.__code__.co_firstlineno + 1)
    assert problem is None, problem

    return debugger.set_trace, lambda: _end_debugging(debugger), lambda: {"hits": debugger.hits}


def _end_debugging(debugger: Any) -> None:
    debugger.clear_all_breaks()
    debugger.set_continue()
    if hasattr(debugger, "stop_trace"):
        debugger.stop_trace()
    sys.settrace(None)


def pdb_tool() -> Tool:
    """A scripted session: a breakpoint in `leaf`, and on from there each time."""
    import pdb  # noqa: T100

    out = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("break leaf\n" + "continue\n" * 1000), stdout=out, nosigint=True, readrc=False)
    debugger.use_rawinput = False

    def result() -> Any:
        return {"hits": sum("> " in line and line.endswith("leaf()") for line in out.getvalue().splitlines())}

    return debugger.set_trace, lambda: _end_debugging(debugger), result


def viztracer_tool() -> Tool:
    from viztracer import VizTracer  # type: ignore[import-not-found]

    made: list[Any] = []

    def start() -> None:
        """On 3.11 it has the thread's profile function from the moment that it is made."""
        made.append(VizTracer(verbose=0, output_file="viz.json"))
        made[0].start()

    def result() -> Any:
        made[0].save()
        events = json.loads(Path("viz.json").read_text(encoding="utf-8"))["traceEvents"]
        names = Counter(event["name"].partition(" ")[0] for event in events if event.get("ph") == "X" and __file__ in event["name"])
        return {name: names[name] for name in NAMES}

    def stop() -> None:
        made[0].stop()

    return start, stop, result


def line_profiler_tool(*names: str) -> Tool:
    """It gives the functions that it profiles other code objects."""
    import line_profiler  # type: ignore[import-not-found]

    profiler = line_profiler.LineProfiler()

    def start() -> None:
        for name in names:
            profiler.add_function(globals()[name])
        profiler.enable_by_count()

    def result() -> Any:
        timings = profiler.get_stats().timings
        return {key[2]: [line[1] for line in lines] for key, lines in timings.items()}

    return start, profiler.disable_by_count, result


def debugpy_tool() -> Tool:
    """The client, which sets a breakpoint in `leaf`, is the test: it reads the port, and the word that we are done."""
    import debugpy  # type: ignore[import-not-found] # noqa: T100

    def start() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        print(port, leaf.__code__.co_firstlineno + 1, flush=True)
        debugpy.listen(("127.0.0.1", port), in_process_debug_adapter=True)  # noqa: T100
        debugpy.wait_for_client()  # noqa: T100

    def stop() -> None:
        print("done", flush=True)
        end = time.monotonic() + 30
        while debugpy.is_client_connected() and time.monotonic() < end:
            time.sleep(0.01)

    return start, stop, lambda: None


TOOLS: dict[str, Callable[..., Tool]] = {
    "coverage": coverage_tool,
    "cprofile": cprofile_tool,
    "setprofile": setprofile_tool,
    "bdb": bdb_tool,
    "pdb": pdb_tool,
    "viztracer": viztracer_tool,
    "line_profiler": line_profiler_tool,
    "debugpy": debugpy_tool,
}


# --- the order of things -------------------------------------------------------------------------------------------------------------------


def main() -> None:
    name, order = sys.argv[1:3]
    start, stop, result = TOOLS[name](*sys.argv[3:])
    said: list[int] = []
    profiler = hybridprof.Profiler(rate=RATE, clock="cpu")
    function = hybridprof.deep(target) if "H" in order else target

    def work() -> None:
        said.append(function(COUNT))
        burn(0.03)
        end = time.monotonic() + 20  # on a busy machine the sampler may come late
        while _core.running() and _core.status()["samples"]["kept"] < 20 and time.monotonic() < end:
            burn(0.01)

    steps_of = {"T": start, "t": stop, "H": profiler.start, "h": profiler.stop, "w": work}
    for letter in order:
        steps_of[letter]()
    print(json.dumps({"said": said, "tool": result(), "ours": ours() if "H" in order else None}), flush=True)
    if name == "debugpy":
        os._exit(0)  # its threads are not ours to end


if __name__ == "__main__":
    main()
