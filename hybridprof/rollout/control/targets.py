# SPDX-License-Identifier: MIT
"""Targets that control added or took away, each until its own moment, on top of what the layers beneath say.

An override is one value with one end. So the one of deep.targets is set again whenever one of these ends, or the file beneath changes; and it
ends by itself with the last of them, should nobody be there to look.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Targets:
    """Moments are seconds on a clock that only grows. Immutable: a change that is refused changes nothing."""

    added: dict[str, float] = field(default_factory=dict)
    removed: dict[str, float] = field(default_factory=dict)

    def with_added(self, patterns: list[str], until: float) -> Targets:
        removed = {each: end for each, end in self.removed.items() if each not in patterns}
        return Targets({**self.added, **dict.fromkeys(patterns, until)}, removed)

    def with_removed(self, patterns: list[str], until: float, beneath: tuple[str, ...]) -> Targets:
        """What was added is forgotten; what the layers beneath say is hidden for a time."""
        added = {each: end for each, end in self.added.items() if each not in patterns}
        return Targets(added, {**self.removed, **{each: until for each in patterns if each in beneath}})

    def at(self, now: float) -> Targets:
        """Without those that have ended; the same object where none has."""
        if all(end > now for end in (*self.added.values(), *self.removed.values())):
            return self
        return Targets(*({each: end for each, end in kept.items() if end > now} for kept in (self.added, self.removed)))

    def over(self, beneath: tuple[str, ...]) -> tuple[str, ...]:
        """What is to be traced, in a stable order."""
        kept = [each for each in beneath if each not in self.removed]
        return tuple(dict.fromkeys([*kept, *self.added]))

    @property
    def end(self) -> float | None:
        """Of the last of them; None if there is none."""
        return max((*self.added.values(), *self.removed.values()), default=None)
