# SPDX-License-Identifier: MIT
"""hybridprof: an always-on sampler and exact tracing of the functions you name, in one call graph.

    import hybridprof

    hybridprof.start(rate=100)            # Hz; sampling costs little and may stay on
    @hybridprof.deep                      # every call of it, and of what it calls, is counted exactly
    def checkout(cart): ...
    hybridprof.snapshot().write("out.pstats")

Times are ns, rates Hz. With HYBRIDPROF_DISABLE=1 in the environment every call does nothing and costs nothing.
Importing this package loads the core and few lines of Python; what only reads profiles is loaded when first used.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
DISABLED = os.environ.get("HYBRIDPROF_DISABLE", "") not in ("", "0")

if not DISABLED:
    try:
        from . import _core as _core
    except ImportError as error:
        if sys.implementation.name != "cpython" or not (3, 11) <= sys.version_info[:2] <= (3, 15):
            reason = f"hybridprof works with CPython 3.11 to 3.15, and this is {sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
        else:
            reason = f"hybridprof's compiled core cannot be imported ({error}); if this is the source tree, run: pip install -e ."
        if "-m hybridprof" in " ".join(getattr(sys, "orig_argv", [])[:6]) and sys.argv[:1] == [
            "-m"
        ]:  # the command line, before its first line
            sys.stderr.write(f"hybridprof: {reason}\n")
            raise SystemExit(2) from None
        raise ImportError(reason) from None

if TYPE_CHECKING or not DISABLED:
    from .api import Profiler, running, snapshot, start, status, stop
    from .deep import deep
    from .ruling import appoint_by

    def _appoint() -> None:
        """Where the environment says so, a configuration decides what start() starts; looked at when something is started first."""
        if any(name.startswith("HYBRIDPROF_") for name in os.environ):
            from .rollout.environment import appoint

            appoint()

    appoint_by(_appoint)
else:
    from .disabled import Profiler, configure, deep, running, snapshot, start, status, stop

if TYPE_CHECKING:
    from .difference import Change, Diff, FunctionChange
    from .merging import merge
    from .profile import Edge, Function, Node, Profile, Source, Thread, load
    from .rollout import configure

__version__ = "0.1.0"
__all__ = [
    "Change",
    "Diff",
    "Edge",
    "Function",
    "FunctionChange",
    "Node",
    "Profile",
    "Profiler",
    "Source",
    "Thread",
    "configure",
    "deep",
    "load",
    "merge",
    "running",
    "snapshot",
    "start",
    "status",
    "stop",
]

_LAZY = {
    **dict.fromkeys(("Edge", "Function", "Node", "Profile", "Source", "Thread", "load"), "profile"),
    **dict.fromkeys(("Change", "Diff", "FunctionChange"), "difference"),
    "merge": "merging",
    "configure": "rollout",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module

        value: object = getattr(import_module("hybridprof." + _LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'hybridprof' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
