# SPDX-License-Identifier: MIT
"""Reads finished pages back and says which links lead nowhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href" and value:
                self.targets.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


def broken_links(folder: Path) -> list[tuple[str, str]]:
    """(page, link) for each link to a page or anchor that does not exist."""
    pages: dict[str, Links] = {}
    for path in sorted(folder.glob("*.html")):
        pages[path.name] = links = Links()
        links.feed(path.read_text(encoding="utf-8"))
    broken = []
    for name, links in pages.items():
        for target in links.targets:
            page, _, anchor = target.partition("#")
            there = pages.get(page or name)
            if there is None or (anchor and anchor not in there.anchors):
                broken.append((name, target))
    return broken
