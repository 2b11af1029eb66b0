# SPDX-License-Identifier: MIT
"""What crashes lead to: a pure function of them and the time.

    one crash          down a stage
    two in 10 minutes  the sampler alone
    three in an hour   disabled, for 24 hours

60 s of health clear the blame of the crashes before: the first two steps are taken back. They are still counted: a program that crashes every two minutes is healthy for a minute
each time, and must end up disabled all the same. Only crashes of one key, version and configuration, are held together: what is changed begins anew, and a configuration that flaps
comes back to its own crashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from .stages import SAMPLER_ONLY, below, lower

HEALTHY = 60.0  # seconds, as all that follow
TWO_WITHIN = 600.0
THREE_WITHIN = 3600.0
DISABLED_FOR = 86400.0
KEPT = 64  # crashes


class Standing(IntEnum):
    CLEAR = 0
    DOWN = 1
    SAMPLER_ONLY = 2
    DISABLED = 3


@dataclass(frozen=True, slots=True)
class Crash:
    """at: on the clock of whoever asks. key: what was running. memory: the kernel had killed for want of memory meanwhile."""

    at: float
    key: str
    cleared: bool = False
    memory: bool = False


Crashes = tuple[Crash, ...]


def _within(crashes: Sequence[Crash], last: Crash, seconds: float) -> int:
    return sum(1 for each in crashes if each.key == last.key and 0 <= last.at - each.at <= seconds)


def disabled_until(crashes: Crashes, key: str, now: float) -> float | None:
    """None: not disabled."""
    ends = [each.at + DISABLED_FOR for each in crashes if each.key == key and _within(crashes, each, THREE_WITHIN) >= 3]
    return max((end for end in ends if end > now), default=None)


def standing(crashes: Crashes, key: str, now: float) -> Standing:
    if disabled_until(crashes, key, now) is not None:
        return Standing.DISABLED
    blamed = [each for each in crashes if each.key == key and not each.cleared and now - each.at < DISABLED_FOR]
    if any(_within(crashes, each, TWO_WITHIN) >= 2 for each in blamed):
        return Standing.SAMPLER_ONLY
    return Standing.DOWN if blamed else Standing.CLEAR


def recorded(crashes: Crashes, key: str, now: float, memory: bool = False) -> Crashes:
    """With one more; those that cannot matter any longer are left out."""
    kept = [each for each in crashes if now - each.at < DISABLED_FOR + THREE_WITHIN]
    return (*kept, Crash(now, key, memory=memory))[-KEPT:]


def cleared(crashes: Crashes, key: str, born: float, now: float) -> Crashes:
    """After a look at a life that began at `born` and is well: it speaks for the crashes before it, once it is old enough."""
    if now - born < HEALTHY:
        return crashes
    return tuple(replace(each, cleared=True) if each.key == key and each.at <= born else each for each in crashes)


def allowed(stage: str, found: Standing) -> str:
    """The stage that may be in force where `stage` is asked for."""
    if found is Standing.CLEAR:
        return stage
    return {Standing.DOWN: below(stage), Standing.SAMPLER_ONLY: lower(stage, SAMPLER_ONLY), Standing.DISABLED: "off"}[found]
