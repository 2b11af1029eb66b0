# SPDX-License-Identifier: MIT
"""The record as an SVG: panels one below another over the same time, phases as bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .record import Row

WIDTH, LEFT, HEIGHT, GAP, TOP = 1000, 70, 90, 34, 46
COLOURS = ("#1f5fa8", "#c0392b", "#27803b", "#8e5ea2")


@dataclass(frozen=True, slots=True)
class Panel:
    """lines: a name, a row's key, and what it is multiplied with; limit: where a budget lies, on the panel's scale."""

    title: str
    lines: tuple[tuple[str, str, float], ...]
    limit: float | None = None


PANELS = (
    Panel("requests in a second", (("answered", "requests_per_s", 1),)),
    Panel("latency, ms", (("p50", "p50_ms", 1), ("p99", "p99_ms", 1))),
    Panel("service's CPU, cores", (("all workers", "cores", 1),)),
    Panel("ten seconds' cost, of its budget", (("sampler", "sampler_of_budget", 1), ("tracer", "tracer_of_budget", 1)), 1.0),
    Panel(
        "cost, % of the CPU time",
        (
            ("sampler, ledger", "ledger_sampler_share", 100),
            ("sampler, kernel", "kernel_sampler_share", 100),
            ("writing, ledger", "ledger_writer_share", 100),
            ("all other threads, kernel", "kernel_others_share", 100),
        ),
    ),
    Panel("steps of the ladder", (("the worker with the most", "step", 1),)),
    Panel("memory, MB", (("workers' RSS", "rss_bytes", 1e-6),)),
    Panel("hybridprof's tables, MB", (("tables", "own_bytes", 1e-6),)),
)


def drawn(rows: Sequence[Row], times: dict[str, tuple[float, float]], title: str) -> str:
    end = max((row["at"] for row in rows), default=1.0)
    height = TOP + len(PANELS) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="100%" height="100%" fill="white"/><text x="10" y="16" font-size="13">{_escaped(title)}</text>',
    ]
    for number, (name, (first, last)) in enumerate(times.items()):
        x, width = LEFT + WIDTH * first / end, WIDTH * (last - first) / end
        parts.append(
            f'<rect x="{x:.1f}" y="{TOP - 14}" width="{width:.1f}" height="{height}" fill="{("#f4f4f4", "#e6ebf2")[number % 2]}"/>'
        )
        parts.append(f'<text x="{x + 2:.1f}" y="{TOP - 4}">{name}</text>')
    for number, panel in enumerate(PANELS):
        parts += _panel(panel, rows, end, TOP + 14 + number * (HEIGHT + GAP))
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, rows: Sequence[Row], end: float, top: float) -> list[str]:
    values = [row[key] * factor for _, key, factor in panel.lines for row in rows if row.get(key) is not None]
    most = max([*values, panel.limit or 0.0, 1e-9])
    bottom = top + HEIGHT
    parts = [
        f'<text x="{LEFT}" y="{top - 3}" font-weight="bold">{_escaped(panel.title)}</text>',
        f'<path d="M{LEFT} {top}V{bottom}H{LEFT + WIDTH}" fill="none" stroke="#888"/>',
        f'<text x="{LEFT - 4}" y="{top + 9}" text-anchor="end">{most:.3g}</text><text x="{LEFT - 4}" y="{bottom}" text-anchor="end">0</text>',
    ]
    if panel.limit is not None:
        y = bottom - HEIGHT * panel.limit / most
        parts.append(f'<path d="M{LEFT} {y:.1f}h{WIDTH}" stroke="#c0392b" stroke-dasharray="4 3"/>')
    for number, (name, key, factor) in enumerate(panel.lines):
        colour = COLOURS[number]
        for run in _runs(rows, key):
            points = " ".join(f"{LEFT + WIDTH * at / end:.1f},{bottom - HEIGHT * value * factor / most:.1f}" for at, value in run)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
        parts.append(f'<text x="{LEFT + 250 + 180 * number}" y="{top - 3}" fill="{colour}">{_escaped(name)}</text>')
    return parts


def _runs(rows: Sequence[Row], key: str) -> list[list[tuple[float, float]]]:
    """Where nothing is known the line is broken."""
    runs: list[list[tuple[float, float]]] = [[]]
    for row in rows:
        if row.get(key) is None:
            runs.append([])
        else:
            runs[-1].append((row["at"], row[key]))
    return [run for run in runs if run]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
