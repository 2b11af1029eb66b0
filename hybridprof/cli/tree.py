# SPDX-License-Identifier: MIT
"""The calling-context tree: the costliest branch first, and what is too small to matter folded into one line beneath its caller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hybridprof.profile import Node

from . import table
from .terminal import ELLIPSIS, Terminal, width

FOLD = 0.5  # percent of the thread's time: smaller branches are folded
HEADER = ["share", "total", "±", "self", "±", "calls", "function"]
ERRORS = (2, 4)  # columns
LEGEND = "share: of its thread; total: with callees; self: alone"
NAME = 20  # columns that stay for a name, however deep it stands
DEEPEST = 200  # levels that are shown by indenting; a hundred thousand of them would be gigabytes of spaces


@dataclass(frozen=True, slots=True)
class Line:
    """A context; or, where `folded` is not 0, so many siblings that were too small, together."""

    node: Node
    depth: int
    folded: int = 0
    total_ns: int = 0
    error_ns: int = 0


def rendered(
    root: Node, limit: int | None, terminal: Terminal, fold: float = FOLD, only: table.Filter | None = None
) -> list[tuple[str, str]]:
    """The lines of each thread's tree, `limit` of each (None: all), and of a legend, each line with its style. fold: percent."""
    kept = None if only is None else _kept(root, only)
    threads = [thread for thread in root.children if kept is None or id(thread) in kept]
    if only is not None and not threads:
        return [(f"(no function matches {only.text!r})", "faint")]
    found: list[tuple[str, str]] = []
    shown: list[Line] = []
    shown_errors = False
    for thread in threads:
        every = list(_lines(thread, thread.total_ns * fold / 100, kept))
        lines = every if limit is None else every[:limit]
        shown += lines
        without = _without(thread, lines, terminal)
        shown_errors = shown_errors or not without >= set(ERRORS)
        found += _thread(thread, lines, terminal, without)
        found += [(f"({len(every) - len(lines)} more lines; see --limit)", "faint")] if len(lines) < len(every) else []
        found.append(("", ""))
    found += [(line, "faint") for line in terminal.wrapped(_legend(shown, shown_errors))]
    return [(terminal.cut(line), style) for line, style in found]


def _legend(shown: list[Line], shown_errors: bool) -> str:
    nodes = [line.node for line in shown if not line.folded]
    signs = {
        "- not counted": any(node.calls is None for node in nodes),
        "+ at least": any(node.calls is not None and node.measured == "mixed" for node in nodes),
    }
    said = ", ".join(sign for sign, met in signs.items() if met)
    texts = [f"calls: {said}"] if said else []
    texts.append(LEGEND)
    if any(node.time_lower_bound for node in nodes):
        texts.append("time+: not all was seen")
    if shown_errors and any(node.self_error_ns or node.total_error_ns for node in nodes):
        texts.append("±: 95 % interval, a share's is total's")
    return "; ".join(texts)


def _without(thread: Node, lines: list[Line], terminal: Terminal) -> set[int]:
    """The columns that go where there is little room: those without a value, then the errors of what stands beside them."""
    cells = [HEADER[:-1], *(_cells(line, thread.total_ns) for line in lines)]
    if terminal.width is None:
        return set()
    wide = [max(width(row[at]) for row in cells) + 2 for at in range(len(cells[0]))]
    without = {at for at in ERRORS if not any(row[at] for row in cells[1:])}
    for at in reversed(ERRORS):
        if terminal.width - sum(each for place, each in enumerate(wide) if place not in without) < table.LEGIBLE:
            without.add(at)
    return without


def _thread(thread: Node, lines: list[Line], terminal: Terminal, without: set[int]) -> list[tuple[str, str]]:
    cells = [HEADER[:-1], *(_cells(line, thread.total_ns) for line in lines)]
    texts = table.columns([[each for at, each in enumerate(row) if at not in without] for row in cells], left=set())
    wide = max(map(len, texts))
    room = None if terminal.width is None else terminal.width - wide - 2
    found = [(f"{texts[0]}  {HEADER[-1]}", "head")]
    for line, text in zip(lines, texts[1:], strict=True):
        style = "faint" if line.folded else "mixed" if line.node.measured == "mixed" else ""
        found.append((f"{text:<{wide}}  {_name(line, room)}".rstrip(), style))
    return found


def _lines(thread: Node, smallest: float, kept: set[int] | None) -> Iterator[Line]:
    """Down the costliest child first. No recursion: a tree may be deeper than the interpreter's stack."""
    pending = [Line(thread, 0)]
    while pending:
        line = pending.pop()
        yield line
        if line.folded:
            continue
        children = [child for child in line.node.children if kept is None or id(child) in kept]
        small = [child for child in children if child.total_ns < smallest]
        if small:
            error = table.together(child.total_error_ns for child in small)
            pending.append(Line(small[0], line.depth + 1, len(small), sum(child.total_ns for child in small), error))
        large = [child for child in children if child.total_ns >= smallest]
        pending += [Line(child, line.depth + 1) for child in sorted(large, key=lambda child: child.total_ns)]


def _kept(root: Node, only: table.Filter) -> set[int]:
    """By identity: what matches, what lies above it and what it calls."""
    kept: set[int] = set()
    pending = [(child, False) for child in root.children]
    while pending:
        node, beneath = pending.pop()
        beneath = beneath or (node.function is not None and only.matches(node.function))
        above: Node | None = node if beneath else None
        while above is not None and id(above) not in kept:
            kept.add(id(above))
            above = above.parent
        pending.extend((child, beneath) for child in node.children)
    return kept


def _cells(line: Line, whole: int) -> list[str]:
    node = line.node
    if line.folded:
        return [_share(line.total_ns, whole), table.duration(line.total_ns), table.error(line.error_ns), "", "", ""]
    return [
        _share(node.total_ns, whole),
        table.time_of(node, node.total_ns),
        table.error(node.total_error_ns),
        table.time_of(node, node.self_ns),
        table.error(node.self_error_ns),
        table.calls(node),
    ]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole > 0 else ""


def _name(line: Line, room: int | None) -> str:
    """Indented by its depth; where there is little room by less, and where there is none, or no sense in it, the depth is a number."""
    indent = ("  " if room is None or room >= 2 * NAME else " ") * min(line.depth, DEEPEST)
    if line.depth > DEEPEST or (room is not None and len(indent) > max(0, room - NAME)):
        indent = f"{line.depth}{ELLIPSIS} "
    if line.folded or line.node.function is None:
        return f"{indent}({line.folded} smaller)" if line.folded else indent
    return indent + table.title(line.node.function, None if room is None else max(8, room - len(indent)))
