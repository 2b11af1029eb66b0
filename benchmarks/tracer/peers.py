# SPDX-License-Identifier: MIT
"""The tracers that are compared, one adapter each. They are imported by the benchmark and by the program that is traced, and import no profiler at
their top."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from sampler.peers.base import Peer

Totals = dict[str, float]  # inclusive time by a function's name, in a unit of the tracer's own


class Tracer(Peer):
    """start() and stop() around what is traced. `functions`: what is called there, for those that must be told."""

    inside = True
    c_functions = False  # traces them too
    whole = True  # everything that runs, not only what it was told

    @property
    def python(self) -> str:
        return str(self.venv / "bin/python") if self.requirements else sys.executable

    def prepare(self, functions: list[Callable[..., Any]]) -> None:
        """Before anything is timed."""

    def start(self, rate: float = 0) -> None:
        raise NotImplementedError(self.name)

    def call(self, function: Callable[[int], object], count: int) -> None:
        """Between the two."""
        function(count)

    def finish(self) -> Totals:
        """Stops; what it says of the time, empty where it has no such numbers."""
        raise NotImplementedError(self.name)


class Hybridprof(Tracer):
    name = "hybridprof"

    def __init__(self, name: str, deep: bool, **options: Any) -> None:
        super().__init__(name)
        self.deep = deep
        self.settings = {"rate": 0, **options}
        self.whole = deep
        self.c_functions = bool(options.get("c_calls"))

    def version(self) -> str:
        from importlib.metadata import version

        return version("hybridprof")

    def prepare(self, functions: list[Callable[..., Any]]) -> None:
        import hybridprof

        for function in functions if not self.deep else ():
            hybridprof.deep(function)

    def start(self, rate: float = 0) -> None:
        import hybridprof

        self.profiler = hybridprof.Profiler(deep=["*"] if self.deep else [], **self.settings)
        self.profiler.start()

    def finish(self) -> Totals:
        self.profiler.stop()
        return {row.name: row.total_ns for row in self.profiler.profile.functions}


class CProfile(Tracer):
    def __init__(self, name: str, module: str, builtins: bool) -> None:
        super().__init__(name)
        self.module = module
        self.c_functions = builtins

    def unsupported(self) -> str:
        return "" if self.module == "cProfile" or sys.version_info >= (3, 15) else "part of CPython since 3.15"

    def version(self) -> str:
        return ".".join(map(str, sys.version_info[:3]))

    def start(self, rate: float = 0) -> None:
        import importlib

        self.profiler: Any = importlib.import_module(self.module).Profile(builtins=self.c_functions)
        self.profiler.enable()

    def finish(self) -> Totals:
        import pstats

        self.profiler.disable()
        stats: dict[Any, Any] = pstats.Stats(self.profiler).stats  # type: ignore[attr-defined]
        return {name: row[3] for (_file, _line, name), row in stats.items()}


class PurePython(Tracer):
    name = "profile"
    c_functions = True

    def version(self) -> str:
        return ".".join(map(str, sys.version_info[:3]))

    def start(self, rate: float = 0) -> None:
        import profile
        import warnings

        warnings.simplefilter("ignore", DeprecationWarning)
        self.module: Any = profile

    def call(self, function: Callable[[int], object], count: int) -> None:
        """A profiler for each: it must see the whole of what it is in, and only once."""
        self.profiler: Any = self.module.Profile()
        self.profiler.runcall(function, count)

    def finish(self) -> Totals:
        self.profiler.create_stats()
        return {name: row[3] for (_file, _line, name), row in self.profiler.stats.items()}


class Yappi(Tracer):
    name = "yappi"
    requirements = ("yappi==1.7.6",)
    from_source = ("yappi",)

    def start(self, rate: float = 0) -> None:
        import yappi  # type: ignore[import-not-found]

        yappi.clear_stats()
        yappi.set_clock_type("wall")
        yappi.start(builtins=False, profile_threads=False)

    def finish(self) -> Totals:
        import yappi

        yappi.stop()
        return {row.name: row.ttot for row in yappi.get_func_stats()}


class VizTracer(Tracer):
    name = "viztracer"
    requirements = ("viztracer==1.1.1",)
    from_source = ("viztracer",)

    def start(self, rate: float = 0) -> None:
        from viztracer import VizTracer as Profiler  # type: ignore[import-not-found]

        self.profiler: Any = Profiler(tracer_entries=1_000_000, ignore_c_function=True, verbose=0)
        self.profiler.start()

    def finish(self) -> Totals:
        self.profiler.stop()
        self.profiler.clear()
        return {}


class LineProfiler(Tracer):
    """Lines of the functions it was told, not calls."""

    name = "line_profiler"
    requirements = ("line_profiler==5.1.0",)
    whole = False

    def prepare(self, functions: list[Callable[..., Any]]) -> None:
        from line_profiler import LineProfiler as Profiler  # type: ignore[import-not-found]

        self.profiler: Any = Profiler()
        for function in functions:
            self.profiler.add_function(function)

    def start(self, rate: float = 0) -> None:
        self.profiler.enable_by_count()

    def finish(self) -> Totals:
        self.profiler.disable_by_count()
        return {}


OWN = Hybridprof("hybridprof", deep=True)
TRACERS: dict[str, Tracer] = {
    tracer.name: tracer
    for tracer in (
        OWN,
        Hybridprof("hybridprof, beneath a target", deep=False),
        Hybridprof("hybridprof --c-calls", deep=True, c_calls=True),
        CProfile("cProfile, Python calls", "cProfile", builtins=False),
        CProfile("cProfile", "cProfile", builtins=True),
        CProfile("profiling.tracing", "profiling.tracing", builtins=True),
        PurePython(),
        Yappi(),
        VizTracer(),
        LineProfiler(),
    )
}
