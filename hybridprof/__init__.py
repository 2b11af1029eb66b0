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

TYPE_CHECKING = False
DISABLED = os.environ.get("HYBRIDPROF_DISABLE", "") not in ("", "0")

if not DISABLED:
    try:
        from . import _core as _core
    except ImportError as error:
        raise ImportError(
            f"hybridprof's compiled core cannot be imported ({error}); if this is the source tree, run: pip install -e ."
        ) from None

if TYPE_CHECKING or not DISABLED:
    from .api import Profiler, running, snapshot, start, status, stop
    from .deep import deep
else:
    from .disabled import Profiler, deep, running, snapshot, start, status, stop

if TYPE_CHECKING:
    from .profile import Edge, Function, Node, Profile, Thread, load

__version__ = "0.1.0"
__all__ = ["Edge", "Function", "Node", "Profile", "Profiler", "Thread", "deep", "load", "running", "snapshot", "start", "status", "stop"]

_LAZY = ("Edge", "Function", "Node", "Profile", "Thread", "load")


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from . import profile

        value: object = getattr(profile, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'hybridprof' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
