# SPDX-License-Identifier: MIT
"""Why was this traced, why not that: for each function what was chosen, and what tracing it costs or would have cost."""

from __future__ import annotations

from hybridprof.profile import Function, Profile

from . import table
from .terminal import Terminal

HEADER = ["chosen", "of a core", "calls", "self", "±", "function"]


def rendered(profile: Profile, key: str, limit: int | None, terminal: Terminal, only: table.Filter | None) -> list[tuple[str, str]]:
    """The lines, each with its style: first why, then a function a line."""
    rows = [row for row in table.ordered(table.shown_rows(profile.functions), key) if only is None or only.matches(row)]
    shown = rows[:limit]
    spared = profile.spared
    cells = [HEADER, *(_cells(profile, row, spared) for row in shown)]
    head, *lines = table.columns(cells, left={0, len(HEADER) - 1})
    found = [(line, "") for text in _reasons(profile) for line in terminal.wrapped(text)]
    found += [("", ""), (head, "head"), *((line, "") for line in lines)]
    if len(shown) < len(rows):
        found.append((f"({len(rows) - len(shown)} more functions; see --limit)", "faint"))
    found += [(line, "faint") for line in terminal.wrapped(_legend({each[0] for each in cells[1:]}))]
    return [(terminal.cut(line), style) for line, style in found]


def _reasons(profile: Profile) -> list[str]:
    tracing = profile.meta["tracing"]
    if not tracing["calls"]:
        return ["nothing was traced: every time is sampled, and no calls are counted"]
    whole = profile.meta["duration_ns"]
    cost = f", {100 * tracing['overhead_ns'] / whole:.2g} % of a core" if whole else ""
    first = f"{tracing['calls']:,} calls were traced, which cost {table.duration(tracing['overhead_ns'])}{cost}"
    return [first, *(str(warning) for warning in profile.meta["warnings"])]


def _chosen(row: Function, spared: float | None) -> str:
    if spared is not None:
        return "left out"
    return {"exact": "traced", "mixed": "in part", "sampled": "sampled"}[row.measured]


def _cells(profile: Profile, row: Function, spared: dict[str, float]) -> list[str]:
    would = spared.get(f"{row.module}.{row.name}" if row.module else row.name)
    return [
        _chosen(row, would),
        _share(would, "") if would is not None else _share(_cost(profile, row), "about "),
        table.calls(row),
        table.time_of(row, row.self_ns),
        table.error(row.self_error_ns),
        table.title(row),
    ]


def _cost(profile: Profile, row: Function) -> float | None:
    """Its calls at the cost of the average one, percent of a core."""
    tracing, whole = profile.meta["tracing"], profile.meta["duration_ns"]
    if not row.calls or not tracing["calls"] or not whole:
        return None
    return float(100 * row.calls / tracing["calls"] * tracing["overhead_ns"] / whole)


def _share(percent: float | None, about: str) -> str:
    return "" if percent is None else f"{about}{percent:.2g} %"


def _legend(chosen: set[str]) -> str:
    meanings = {
        "traced": "every call, it fits in the budget or is what was asked for",
        "in part": "some calls: it was met late, by chance, or elsewhere too",
        "left out": "its calls would have taken so much of a core that the budget left it to the sampler, at least for a while",
        "sampled": "no call of it was traced",
    }
    texts = [f"{name}: {meaning}" for name, meaning in meanings.items() if name in chosen]
    return "; ".join([*texts, "of a core: what tracing it costs, or would have"] if texts else [])
