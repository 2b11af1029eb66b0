# SPDX-License-Identifier: MIT
"""The rate that a profile was asked for, and the one it really had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TELLING = 0.01  # share of missed ticks from which on both are named
ALARMING = 0.1  # from which on it is worth a line of its own,
ENOUGH = 1000  # where so many were asked for: of a few ticks as many are late on any busy machine


def missed(meta: Mapping[str, Any]) -> float:
    """Share of the ticks; 0 where a file does not know how many there were."""
    samples = meta["samples"]
    return samples["missed"] / (samples["ticks"] + samples["missed"]) if samples["ticks"] else 0.0


def had(meta: Mapping[str, Any]) -> float | None:
    """Hz, the mean. None where nothing was sampled, or the file does not know."""
    ticks, ns = meta["samples"]["ticks"], meta["duration_ns"]
    return float(ticks * 1e9 / ns) if ticks and ns else None


def in_words(meta: Mapping[str, Any]) -> str:
    if missed(meta) <= TELLING:
        return f"{meta['rate_hz']:g} Hz"
    lowered = meta["samples"]["lowered"]
    why = (
        f" (lowered by itself for {100 * lowered / (meta['samples']['ticks'] + meta['samples']['missed']):.0f} % of the ticks)"
        if lowered
        else ""
    )
    return f"{had(meta):,.0f} Hz of {meta['rate_hz']:,.0f} asked for{why}"


def complaint(meta: Mapping[str, Any]) -> str | None:
    """What whoever asked for the rate should know at once."""
    samples = meta["samples"]
    if not samples["lowered"] and (missed(meta) <= ALARMING or samples["ticks"] + samples["missed"] < ENOUGH):
        return None
    return f"sampled at {in_words(meta)}: {100 * missed(meta):.0f} % of the ticks were missed"
