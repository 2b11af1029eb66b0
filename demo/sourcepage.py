# SPDX-License-Identifier: MIT
"""One Python source file as data for a page: its tokens with a class each, its definitions, its imports."""

from __future__ import annotations

import ast
import html
import io
import keyword
import tokenize
from dataclasses import dataclass, field
from pathlib import Path

STYLES = {tokenize.COMMENT: "comment", tokenize.STRING: "string", tokenize.NUMBER: "number", tokenize.OP: "op"}


@dataclass
class Definition:
    name: str
    line: int
    summary: str


@dataclass
class SourcePage:
    module: str
    path: Path
    listing: str = ""
    definitions: list[Definition] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.module}.html"


def style_of(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME:
        return "keyword" if keyword.iskeyword(token.string) else "name"
    return STYLES.get(token.type, "")


def highlight(source: str) -> str:
    """The source as HTML, a span for each token that has a style."""
    lines = source.splitlines(keepends=True)
    parts: list[str] = []
    row, column = 1, 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (start_row, start_column), (end_row, end_column) = token.start, token.end
        if row < start_row:
            parts.extend(
                html.escape(lines[number][column if number == row - 1 else 0 :])
                for number in range(row - 1, min(start_row - 1, len(lines)))
            )
            column = 0
        if start_row <= len(lines):
            parts.append(html.escape(lines[start_row - 1][column if row <= start_row else 0 : start_column]))
        text = html.escape(token.string)
        style = style_of(token)
        parts.append(f'<span class="{style}">{text}</span>' if style and text else text)
        row, column = end_row, end_column
    return "".join(parts)


def read_definitions(page: SourcePage, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            summary = (ast.get_docstring(node) or "").partition("\n")[0]
            page.definitions.append(Definition(node.name, node.lineno, summary))
        elif isinstance(node, ast.Import):
            page.imports.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            page.imports.append(node.module)


def read_page(module: str, path: Path) -> SourcePage:
    source = path.read_text(encoding="utf-8")
    page = SourcePage(module, path, highlight(source))
    read_definitions(page, ast.parse(source))
    return page
