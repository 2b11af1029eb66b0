# SPDX-License-Identifier: MIT
"""What the program's own code asks for: the lowest layer. Guarded by api's lock."""

from __future__ import annotations

from typing import Any

from .. import api


class Wishes:
    def __init__(self) -> None:
        self._of: dict[int, dict[str, Any]] = {}  # by id of the Profiler that the program started

    def hear(self, profiler: api.Profiler) -> None:
        options, watch = profiler.options, profiler.watch
        wish: dict[str, Any] = {"sampler.rate": options["rate"], "sampler.clock": options["clock"], "stage": "fleet"}
        if watch.patterns:
            wish |= {"stage": "deep", "deep.targets": tuple(each.text for each in watch.patterns), "deep.rate": watch.rate}
        wish |= {key: options[name] for key, name in (("deep.budget", "budget"), ("deep.event_limit", "event_limit")) if options[name]}
        self._of[id(profiler)] = wish

    def drop(self, profiler: api.Profiler) -> None:
        self._of.pop(id(profiler), None)

    def clear(self) -> None:
        self._of.clear()

    def together(self) -> dict[str, Any]:
        """Of all Profilers that the program has started: the first one's, and everybody's targets."""
        wishes = list(self._of.values())
        all_: dict[str, Any] = {}
        for wish in reversed(wishes):
            all_ |= wish
        targets = dict.fromkeys(target for wish in wishes for target in wish.get("deep.targets", ()))
        if targets:
            all_ |= {"stage": "deep", "deep.targets": tuple(targets)}
        return all_
