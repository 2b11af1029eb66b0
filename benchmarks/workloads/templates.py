# SPDX-License-Identifier: MIT
"""A template of nested blocks rendered for many rows, with escaping and filters: dynamic calls, string building."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

Part = Callable[[dict[str, Any]], str]


def text(value: str) -> Part:
    return lambda scope: value


def variable(name: str, *filters: Callable[[Any], str]) -> Part:
    def render(scope: dict[str, Any]) -> str:
        value = scope[name]
        for function in filters:
            value = function(value)
        return html.escape(str(value))

    return render


def block(parts: list[Part]) -> Part:
    return lambda scope: "".join(part(scope) for part in parts)


def repeat(name: str, each: str, body: Part) -> Part:
    return lambda scope: "".join(body({**scope, each: item, **item}) for item in scope[name])


def when(name: str, yes: Part, no: Part) -> Part:
    return lambda scope: yes(scope) if scope.get(name) else no(scope)


def money(value: float) -> str:
    return f"{value:,.2f}"


def title(value: str) -> str:
    return value.title()


ROW = block(
    [
        text("<tr><td>"),
        variable("name", title),
        text("</td><td>"),
        variable("price", money),
        text("</td><td>"),
        when("stock", text("yes"), text("<b>no</b>")),
        text("</td></tr>\n"),
    ]
)
PAGE = block([text("<h1>"), variable("heading", title), text("</h1><table>"), repeat("rows", "row", ROW), text("</table>")])


def run(scale: int) -> int:
    rows = [{"name": f"thing number {number} & co", "price": number * 1.75, "stock": number % 3} for number in range(200)]
    size = 0
    for page in range(600 * scale):
        size += len(PAGE({"heading": f"page {page % 10} of the catalogue", "rows": rows}))
    return size
