# SPDX-License-Identifier: MIT
"""The public names with HYBRIDPROF_DISABLE=1: nothing is measured, started or changed, and the core is not even loaded.

The signatures accept what the real ones accept; nothing is checked, since a kill switch must not raise.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .profile import Profile

WHY = "HYBRIDPROF_DISABLE is set"


class EmptyProfile:
    """In place of `_core.Profile`: no functions, no threads; writing writes nothing. why: there is nothing, a sentence."""

    def __init__(self, why: str = WHY) -> None:
        self._why = why

    def meta(self) -> dict[str, Any]:
        return {
            "python": "",
            "platform": "",
            "pid": 0,
            "argv": "",
            "started": 0,
            "duration_ns": 0,
            "clock": "wall",
            "rate_hz": 0.0,
            "samples": {
                **dict.fromkeys(("kept", "retried", "unresolved", "missed", "ticks", "lowered", "remote"), 0),
                "unresolved_by": dict.fromkeys(("moved", "interrupted", "changed", "switched", "halfway", "code", "memory"), 0),
            },
            "sampler_cpu_ns": 0,
            "tracing": dict.fromkeys(("targets", "calls", "events", "overhead_ns", "truncated"), 0),
            "threads": [],
            "residual_ns": 0,
            "warnings": [self._why],
        }

    def _nothing(self) -> list[Any]:
        return []

    functions = edges = nodes = threads = lines = sources = _nothing

    def errors(self) -> dict[str, list[tuple[Any, ...]]]:
        return {"nodes": [], "edges": [], "threads": [], "states": []}

    def timeline(self) -> None:
        return None

    def left_out(self) -> int:
        return 0

    def select(self, states: Sequence[str], /) -> Any:
        return self

    def write(self, path: str, format: str | None = None) -> None:
        pass

    def encode(self, format: str) -> bytes:
        return b""

    def write_to(self, descriptor: int, format: str, /) -> None:
        pass


class Profiler:
    """A Profiler that does nothing."""

    def __init__(self, **options: Any) -> None:
        pass

    def start(self) -> Profiler:
        return self

    def stop(self) -> Profiler:
        return self

    @property
    def profile(self) -> Profile:
        return snapshot()

    def __enter__(self) -> Profiler:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def start(*arguments: Any, **options: Any) -> Profiler:
    return Profiler()


def configure(path: Any = None, *, socket: Any = None) -> None:
    pass


def stop() -> None:
    pass


def running() -> bool:
    return False


def snapshot() -> Profile:
    from .profile import Profile

    return Profile(EmptyProfile())


def status() -> dict[str, Any]:
    return {
        "running": False,
        "stage": "off",
        "rate_hz": 0.0,
        "clock": "wall",
        "targets": [],
        "patterns": [],
        "sampler_cpu_share": 0.0,
        "tracer_share": 0.0,
        "why": WHY,
        "warnings": [],
    }


class _Block:
    def __enter__(self) -> _Block:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    async def __aenter__(self) -> _Block:
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass


class _Deep:
    def __call__(self, target: Any = None, *, rate: float = 1.0) -> Any:
        return target if target is not None else _same

    def remove(self, target: Any) -> bool:
        return False

    def block(self, name: str) -> _Block:
        return _BLOCK


def _same(target: Any) -> Any:
    return target


_BLOCK = _Block()
deep = _Deep()
