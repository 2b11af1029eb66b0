# SPDX-License-Identifier: MIT
"""What a worker process does when it begins and when it ends, whoever has started it."""

from __future__ import annotations

from typing import Any

import hybridprof


def ruler() -> Any:
    """None where no configuration is followed."""
    if hybridprof.DISABLED:
        return None
    from ..rollout import current

    return current()


def begin(slot: str | None = None, guarded: bool = True) -> None:
    """Starts what the configuration says, or the sampler where there is none. slot: which of the service's workers this is; guarded: whether it is a crash when this worker ends without a
    word. Raises RuntimeError where the system or the interpreter refuses."""
    now = ruler()
    if now is not None and slot is not None:  # first: what starts is that worker's
        now.set_slot(slot, guarded)
    hybridprof.start()
    known, now = now is not None, ruler()
    if now is None:
        return
    if slot is not None and not known:
        now.set_slot(slot, guarded)
    now.look()  # at once: a forked child waits a second otherwise, because it may call exec


def end() -> None:
    """The last file is written, and offered to the uploader, in a bounded time. Nothing is followed any more."""
    now = ruler()
    if now is not None:
        now.leave()
