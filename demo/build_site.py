# SPDX-License-Identifier: MIT
"""The demo's program: makes a browsable web site of Python's standard library.

    build_site.py FOLDER [MODULES]

It tokenizes and parses the sources, fills templates and checks every link of the result; nothing in it knows that it is profiled.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from linkcheck import broken_links
from pagetemplate import Template
from sourcepage import SourcePage, read_page

SKIPPED = {"antigravity", "this"}  # they act when imported, and say little
LARGEST = 60_000  # bytes: some modules would take as long as all others together

PAGE = Template(
    """<!doctype html><meta charset="utf-8"><title>{{ page.module }}</title>
<h1>{{ page.module }}</h1><p><a href="index.html">all modules</a>: {{ page.definitions | count }} definitions</p>
{% if known %}<ul>{% for other in known %}<li><a href="{{ other.address }}">{{ other.module }}</a></li>{% end %}</ul>{% end %}
<table>{% for item in page.definitions %}<tr><td>{{ item.line }}</td><td id="{{ item.name }}">{{ item.name }}</td><td>{{ item.summary }}</td></tr>{% end %}</table>
<pre>{{ page.listing | raw }}</pre>"""
)
INDEX = Template(
    """<!doctype html><meta charset="utf-8"><title>The standard library</title><h1>{{ pages | count }} modules</h1>
{% for page in pages %}<h2><a href="{{ page.address }}">{{ page.module }}</a></h2>
<p>{% for item in page.definitions %}<a href="{{ page.address }}#{{ item.name }}">{{ item.name }}</a> {% end %}</p>{% end %}"""
)


def choose_sources(limit: int) -> list[tuple[str, Path]]:
    folder = Path(sysconfig.get_path("stdlib"))
    sources = sorted(
        path for path in folder.glob("[a-z]*.py") if path.stem not in SKIPPED and path.is_file() and path.stat().st_size < LARGEST
    )
    return [(path.stem, path) for path in sources[:limit]]


def write_pages(folder: Path, pages: list[SourcePage]) -> None:
    by_module = {page.module: page for page in pages}
    for page in pages:
        known = [by_module[name] for name in sorted(set(page.imports)) if name in by_module]
        (folder / page.address).write_text(PAGE.render(page=page, known=known), encoding="utf-8")
    (folder / "index.html").write_text(INDEX.render(pages=pages), encoding="utf-8")


def main(folder: Path, limit: int) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    pages = [read_page(module, path) for module, path in choose_sources(limit)]
    write_pages(folder, pages)
    broken = broken_links(folder)
    print(
        f"{len(pages)} modules, {sum(len(page.definitions) for page in pages)} definitions, {len(broken)} broken links: {folder / 'index.html'}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000))
