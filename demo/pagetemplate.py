# SPDX-License-Identifier: MIT
"""A small template language: {{ name.attribute | filter }}, {% for item in list %} … {% end %}, {% if name %} … {% end %}."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})", re.DOTALL)
Scope = Mapping[str, Any]
FILTERS: dict[str, Callable[[Any], str]] = {
    "count": lambda value: str(len(value)),
    "upper": lambda value: str(value).upper(),
    "raw": str,
}


def look_up(scope: Scope, path: str) -> Any:
    """'page.title' in the scope: dictionary entries first, then attributes."""
    first, *rest = path.split(".")
    value = scope[first]
    for name in rest:
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value


class Text:
    def __init__(self, text: str) -> None:
        self.text = text

    def render(self, scope: Scope) -> str:
        return self.text


class Variable:
    def __init__(self, expression: str) -> None:
        path, *filters = expression.split("|")
        self.path = path.strip()
        self.filters = [name.strip() for name in filters]

    def render(self, scope: Scope) -> str:
        value = look_up(scope, self.path)
        for name in self.filters:
            value = FILTERS[name](value)
        return value if "raw" in self.filters else html.escape(str(value))


class Loop:
    def __init__(self, header: str, body: list[Any]) -> None:
        _, self.name, _, self.path = header.split()
        self.body = body

    def render(self, scope: Scope) -> str:
        return "".join(render_all(self.body, {**scope, self.name: item}) for item in look_up(scope, self.path))


class Condition:
    def __init__(self, header: str, body: list[Any]) -> None:
        self.path = header.split()[1]
        self.body = body

    def render(self, scope: Scope) -> str:
        return render_all(self.body, scope) if look_up(scope, self.path) else ""


def render_all(nodes: list[Any], scope: Scope) -> str:
    return "".join(node.render(scope) for node in nodes)


class Template:
    def __init__(self, source: str) -> None:
        self.nodes = self._parse(iter(TOKEN.split(source)))

    def _parse(self, tokens: Any) -> list[Any]:
        nodes: list[Any] = []
        for token in tokens:
            if token.startswith("{{"):
                nodes.append(Variable(token[2:-2]))
            elif token.startswith("{%"):
                header = token[2:-2].strip()
                if header == "end":
                    break
                kind = Loop if header.startswith("for ") else Condition
                nodes.append(kind(header, self._parse(tokens)))
            elif token:
                nodes.append(Text(token))
        return nodes

    def render(self, **scope: Any) -> str:
        return render_all(self.nodes, scope)
