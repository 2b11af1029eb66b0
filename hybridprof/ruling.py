# SPDX-License-Identifier: MIT
"""Whether something decides in the program's place what runs: a ruler (rollout/ruler.py), whom the environment or configure() appoints.

It stands below api.py, which asks it, so that a program without a configuration loads none of the rollout.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from .api import Profiler

    class Ruler(Protocol):
        """Called with api's lock held."""

        def joined(self, profiler: Profiler) -> None: ...  # the program has started this one: what it wants is heard, no more
        def left(self, profiler: Profiler) -> None: ...
        def halted(self) -> None: ...  # hybridprof.stop()
        def reported(self, status: dict[str, Any]) -> dict[str, Any]: ...  # for status()


current: Ruler | None = None  # guarded by api's lock. None: the program's word is all there is
_appoint: Callable[[], None] | None = None


def set_ruler(ruler: Ruler | None) -> None:
    """From now on it decides; None: the program does again. With api's lock held."""
    global current
    current = ruler


def appoint_by(appoint: Callable[[], None] | None) -> None:
    """Called once, before the first start, in case that the environment wants a ruler."""
    global _appoint
    _appoint = appoint


def ruler() -> Ruler | None:
    """Who decides about a start that is under way. With api's lock held."""
    global _appoint
    appoint, _appoint = _appoint, None
    if appoint is not None:
        appoint()
    return current
