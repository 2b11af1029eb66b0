# SPDX-License-Identifier: MIT
"""Profiles with fixed numbers, made of the tuples that the core would give. Times in ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hybridprof.profile import CoreProfile, Profile

MS = 1_000_000


class FixedCore:
    """In place of `_core.Profile`."""

    def __init__(self, functions: list[Any], edges: list[Any], nodes: list[Any], threads: list[Any], lines: list[Any]) -> None:
        self.parts = functions, edges, nodes, threads, lines

    def meta(self) -> dict[str, Any]:
        return {"duration_ns": 10_000 * MS}

    def functions(self) -> list[Any]:
        return self.parts[0]

    def edges(self) -> list[Any]:
        return self.parts[1]

    def nodes(self) -> list[Any]:
        return self.parts[2]

    def errors(self) -> dict[str, list[tuple[Any, ...]]]:
        """What the core would say is tested elsewhere: here a tenth of what is sampled, ten ms at least, and of a thread nothing."""
        functions, edges, nodes, _, lines = self.parts

        def errors(function: int, own: int, total: int, measured: str) -> tuple[int, int]:
            if measured == "exact" or function < 0 or functions[function][-1] == "thread":
                return 0, 0
            return max(own // 10, 10 * MS), max(total // 10, 10 * MS)

        by_node = [errors(function, own, total, measured) for _, function, _, own, total, _, measured in nodes]
        roots: dict[int, int] = {}
        by_thread: dict[tuple[int, int], tuple[int, int]] = {}
        for place, (parent, function, *_) in enumerate(nodes[1:], 1):
            roots[place] = roots.get(parent, place)
            by_thread.setdefault((roots[place], function), by_node[place])
        return {
            "nodes": by_node,
            "edges": [errors(callee, own, total, measured) for _, callee, _, _, own, total, measured in edges],
            "threads": [(root, function, *both) for (root, function), both in by_thread.items()],
            "states": [(node, state, ns // 10) for node, _, _, ns, state in lines],
        }

    def threads(self) -> list[Any]:
        return self.parts[3]

    def lines(self) -> list[Any]:
        return self.parts[4]

    def select(self, states: Sequence[str], /) -> CoreProfile:
        return self

    def write(self, path: str, format: str | None = None) -> None:
        raise NotImplementedError

    def encode(self, format: str) -> bytes:
        raise NotImplementedError


def function(
    qualname: str,
    module: str,
    file: str,
    line: int,
    calls: str,
    own: float,
    own_error: float,
    total: float,
    total_error: float,
    kind: str = "python",
) -> tuple[Any, ...]:
    """calls: `-`, `12`, `12/3` or `12+`."""
    measured = "sampled" if calls == "-" else "mixed" if calls.endswith("+") else "exact"
    counts = [int(each) for each in calls.rstrip("+").split("/")] if calls != "-" else [None]
    numbers = [round(ms * MS) for ms in (own, total, own_error, total_error)]
    samples = 0 if measured == "exact" else max(1, round(own / 10))
    return (qualname, module, qualname.rpartition(".")[2], file, line, counts[0], counts[-1], *numbers, measured, samples, kind)


def thread(name: str, native_id: int, root: int, ms: float) -> dict[str, Any]:
    zeros = dict.fromkeys(("samples", "traced_samples", "exact_ns", "overhead_ns", "unresolved_ns", "residual_ns"), 0)
    return {"name": name, "native_id": native_id, "root": root, "measured_ns": round(ms * MS), "sampled_ns": round(ms * MS), **zeros}


def node(parent: int, function: int, calls: int | None, own: float, total: float, measured: str) -> tuple[Any, ...]:
    return (parent, function, calls, round(own * MS), round(total * MS), 0 if measured == "exact" else max(1, round(own / 10)), measured)


def shop() -> Profile:
    """Two threads; sampled, exact and mixed rows, recursion, a long name, and one that is not to be trusted."""
    store = "/srv/application/packages/warehouse/storage/inventory_backend.py"
    functions = [
        function("<thread MainThread #1>", "", "", 0, "-", 0, 0, 9000, 0, "thread"),
        function("main", "__main__", "/srv/app.py", 10, "-", 120, 40, 9000, 150),
        function(
            "InventoryBackend.load_all_items",
            "application.packages.warehouse.storage.inventory_backend",
            store,
            21,
            "-",
            4510.5,
            260,
            6110.5,
            280,
        ),
        function(
            "parse_item", "application.packages.warehouse.storage.inventory_backend", store, 140, "1204+", 1600.25, 95.5, 1600.25, 95.5
        ),
        function("checkout", "shop.cart", "/srv/shop/cart.py", 7, "3", 0.125, 0, 2769.5, 0),
        function("Cart.total", "shop.cart", "/srv/shop/cart.py", 30, "5040/720", 2500.0625, 0, 2769.25, 0),
        function("price", "shop.prices", "/srv/shop/prices.py", 3, "123456", 269.1875, 0, 269.1875, 0),
        function("<thread worker #2>", "", "", 0, "-", 0, 0, 2000, 0, "thread"),
        function("wait\x1b[31m\n名前", "shop.queue", "/srv/shop/queue.py", 55, "-", 2000, 170, 2000, 170),
        function("tiny", "shop.prices", "/srv/shop/prices.py", 90, "-", 0.0009, 0.0009, 0.0009, 0.0009),
    ]
    nodes = [
        (-1, -1, None, 0, 11_000 * MS, 0, "sampled"),
        node(0, 0, None, 0, 9000, "sampled"),
        node(1, 1, None, 120, 9000, "sampled"),
        node(2, 2, None, 4510.5, 6110.5, "sampled"),
        node(3, 3, None, 1600, 1600, "sampled"),
        node(2, 4, 3, 0.125, 2769.5, "exact"),
        node(5, 5, 720, 400.0625, 2769.25, "exact"),
        node(6, 5, 4320, 2100, 2369.1875, "exact"),
        node(7, 6, 123456, 269.1875, 269.1875, "exact"),
        node(5, 3, 1204, 0.25, 0.25, "exact"),
        node(2, 9, None, 0.0009, 0.0009, "sampled"),
        node(0, 7, None, 0, 2000, "sampled"),
        node(11, 8, None, 2000, 2000, "sampled"),
    ]
    edges = [
        (0, 1, None, None, 120 * MS, 9000 * MS, "sampled"),
        (1, 2, None, None, round(4510.5 * MS), round(6110.5 * MS), "sampled"),
        (1, 4, 3, 3, MS // 8, round(2769.5 * MS), "exact"),
        (2, 3, None, None, 1600 * MS, 1600 * MS, "sampled"),
        (4, 3, 1204, 1204, MS // 4, MS // 4, "exact"),
        (4, 5, 720, 720, round(400.0625 * MS), round(2769.25 * MS), "exact"),
        (5, 5, 4320, 0, 2100 * MS, round(2369.1875 * MS), "exact"),
        (5, 6, 123456, 123456, round(269.1875 * MS), round(269.1875 * MS), "exact"),
        (7, 8, None, None, 2000 * MS, 2000 * MS, "sampled"),
    ]
    lines = [(3, 23, 400, 4000 * MS, "python"), (3, 24, 51, round(510.5 * MS), "gil"), (12, 60, 200, 2000 * MS, "lock")]
    return Profile(FixedCore(functions, edges, nodes, [thread("MainThread", 4711, 1, 9000), thread("worker", 4712, 11, 2000)], lines))


def deep(levels: int) -> Profile:
    """One function that calls itself."""
    functions = [
        function("<thread MainThread #1>", "", "", 0, "-", 0, 0, 1000, 0, "thread"),
        function("down", "deep", "/srv/deep.py", 1, f"{levels}/1", 1000, 0, 1000, 0),
    ]
    nodes = [(-1, -1, None, 0, 1000 * MS, 0, "sampled"), node(0, 0, None, 0, 1000, "sampled")]
    nodes += [node(level + 1, 1, 1, 0 if level < levels - 1 else 1000, 1000, "exact") for level in range(levels)]
    return Profile(FixedCore(functions, [], nodes, [thread("MainThread", 1, 1, 1000)], []))
