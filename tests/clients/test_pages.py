# SPDX-License-Identifier: MIT
"""The same for the viewers of pstats that draw in a browser: snakeviz and tuna, their own pages in Chromium."""

from __future__ import annotations

import marshal
import os
from collections import Counter
from collections.abc import Hashable, Iterator
from pathlib import Path

import pytest
from clients import pages
from clients.expected import Held, Numbers, Shown, pstats_key
from clients.running import Run, as_shown, check_and_awaken, without_invented

pytest_plugins = ["clients.running"]


@pytest.fixture(scope="module")
def browser(modules: Path, chromium: str) -> Iterator[pages.Pages]:
    with pages.Pages(modules, chromium) as shown:
        yield shown


@pytest.fixture(scope="module")
def snakeviz(tools: Path) -> Iterator[pages.SnakevizServer]:
    golden = Path(__file__).resolve().parents[2] / "formats/pstats/golden/plain.pstats"
    with pages.SnakevizServer(tools, golden) as server:
        yield server


# --- snakeviz -----------------------------------------------------------------------------------------------------------------------


def test_snakeviz(run: Run, browser: pages.Pages, snakeviz: pages.SnakevizServer) -> None:
    """Every row of its table, and what its picture begins with."""
    page, errors = browser.page("snakeviz", snakeviz.address(run.pstats))
    assert errors == [] and page is not None

    def displayed(key: Hashable) -> str:
        file, line, name = key  # type: ignore[misc]
        return f"{os.path.basename(file)}:{line}({name})"

    shown = without_invented(pages.snakeviz_table(page))
    check_and_awaken(as_shown(run, pstats_key, displayed), shown, pages.SNAKEVIZ_STEPS)
    roots = [pstats_key(run.held.functions[function]) for parent, function, _, _ in run.held.nodes if parent < 0]
    root = "{}:{}({})".format(*roots[0]) if len(roots) == 1 else "~:0(<all threads>)"
    assert (page["root"], page["failed"]) == (root, False) and page["shapes"] > 2
    assert page["whole"] == pytest.approx(run.held.sum_ns / 1e9, rel=1e-12)


def test_snakeviz_and_the_end_of_a_script_in_a_path(browser: pages.Pages, snakeviz: pages.SnakevizServer, tmp_path: Path) -> None:
    """limits.SNAKEVIZ_PATH is still one."""

    def row(callers: dict[object, object]) -> tuple[object, ...]:
        return 1, 1, 0.25, 0.25, callers

    caller, callee = ("/srv/a</script>/b.py", 1, "f"), ("/srv/b.py", 2, "g")
    path = tmp_path / "script.pstats"
    path.write_bytes(marshal.dumps({caller: row({}), callee: row({caller: (1, 1, 0.25, 0.25)})}))
    page, errors = browser.page("snakeviz", snakeviz.address(path))
    assert page is None and errors, "it shows such a path: no limit any more"


# --- tuna ---------------------------------------------------------------------------------------------------------------------------


def tuna_expected(held: Held, ns_a_pixel: float) -> Shown:
    """A box for each function of one caller within that caller's, with its self time beside its callees'; what has several callers has a
    box within each, and nothing within. So no cycle is ever entered, and a box's time is that of the tree's nodes with this caller."""
    keys = [pstats_key(function) for function in held.functions]
    below = [own for _, _, _, own in held.nodes]
    for index in range(len(held.nodes) - 1, -1, -1):
        if held.nodes[index][0] >= 0:
            below[held.nodes[index][0]] += below[index]
    callers: dict[Hashable, set[Hashable]] = {}
    whole, own = Counter[tuple[Hashable, Hashable]](), Counter[tuple[Hashable, Hashable]]()
    for (parent, function, _, self_ns), ns in zip(held.nodes, below, strict=True):
        edge = keys[held.nodes[parent][1]] if parent >= 0 else None, keys[function]
        callers.setdefault(edge[1], set()).add(edge[0])
        whole[edge] += ns
        own[edge] += self_ns
    callees: dict[Hashable, list[Hashable]] = {}
    for caller, callee in whole:
        callees.setdefault(caller, []).append(callee)
    boxes: Shown = {}

    def add(name: str, ns: int) -> None:
        if ns >= pages.TUNA_NARROW * ns_a_pixel:
            boxes.setdefault(name, []).append(Numbers(None, ns, None, None))

    todo = [(None, key) for key in callees[None]]
    while todo:
        edge = todo.pop()
        file, line, name = edge[1]  # type: ignore[misc]
        shown = f"{file}::{line}::{name}"
        add(shown, whole[edge])
        if len(callers[edge[1]]) == 1:
            add(f"{shown}::self", own[edge])
            todo.extend((edge[1], callee) for callee in callees.get(edge[1], ()))  # type: ignore[misc]
    return boxes


def test_tuna(run: Run, browser: pages.Pages, tools: Path, tmp_path: Path) -> None:
    page, errors = browser.page("tuna", pages.tuna_page(run.pstats, tools, tmp_path / "page"))
    assert errors == [] and page is not None
    shown, width = pages.tuna_boxes(page)
    check_and_awaken(tuna_expected(run.held, run.held.sum_ns / width), without_invented(shown), pages.TUNA_STEPS)
