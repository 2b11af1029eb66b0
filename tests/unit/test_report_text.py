# SPDX-License-Identifier: MIT
"""What `report` prints of fixed profiles, letter by letter, at several widths and into a pipe.

`python tests/unit/test_report_text.py` writes the golden files anew; look at what git says of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from unit.report_profiles import deep, shop

from hybridprof.cli import report, table, terminal
from hybridprof.cli.terminal import Terminal

GOLDEN = Path(__file__).with_name("golden")
WIDTHS: dict[str, int | None] = {"60": 60, "80": 80, "120": 120, "piped": None}
REPORTS = {
    "table": [],
    "links": ["--callers", "--callees", "--sort", "total", "--limit", "6"],
    "states": ["--states", "--limit", "3"],
    "tree": ["--tree"],
    "threads": ["--threads", "--sort", "name"],
    "filter": ["--filter", "SHOP.CART"],
    "filtered-tree": ["--tree", "--filter", "*.Cart.*"],
}


def lines(name: str, width: int | None) -> list[tuple[str, str]]:
    options = report.parser().parse_args(["x.hyprof", *REPORTS[name]])
    return report.rendered(shop(), table.checked_key(options.sort or "self"), options, Terminal(width))


def text(name: str, width: int | None) -> str:
    return "".join(terminal.visible(line) + "\n" for line, _ in lines(name, width))


def golden(name: str) -> Path:
    return GOLDEN / f"report-{name}.txt"


def whole(name: str) -> str:
    return "".join(f"--- {label} ---\n{text(name, width)}" for label, width in WIDTHS.items())


@pytest.mark.parametrize("name", REPORTS)
def test_the_text(name: str) -> None:
    assert whole(name) == golden(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [*range(20, 140, 7), 200])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    for line, _ in lines(name, width):
        assert terminal.width(terminal.visible(line)) <= width, line


def test_a_pipe_gets_whole_names() -> None:
    for name in REPORTS:
        assert "…" not in text(name, None)
    assert "application.packages.warehouse.storage.inventory_backend.InventoryBackend.load_all_items (inventory_backend.py:21)" in text(
        "table", None
    )


def test_styles() -> None:
    found = {line.split("(")[0].split()[-1]: style for line, style in lines("table", 200)}
    assert found["function"] == "head" and found["shop.cart.checkout"] == ""
    (mixed,) = (name for name, style in found.items() if style == "mixed")
    assert mixed.endswith(".parse_item")


def test_nobody_matches() -> None:
    options = report.parser().parse_args(["x", "--filter", "nobody"])
    found = [line for line, _ in report.rendered(shop(), "self", options, Terminal())]
    assert found[-1] == "(8 functions with 11.00 s ± 327 ms of self time do not match 'nobody')" and found[0].split()[-1] == "function"
    options.tree = True
    assert report.rendered(shop(), "self", options, Terminal()) == [("(no function matches 'nobody')", "faint")]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("price", {"price", "tiny"}),  # shop.prices is a module's name
        ("prices.py", {"price", "tiny"}),
        ("shop.cart.*", {"checkout", "Cart.total"}),
        ("/srv/shop/[cp]*.py", {"checkout", "Cart.total", "price", "tiny"}),
        ("Cart.total", {"Cart.total"}),
        ("*otal", {"Cart.total"}),
        ("CHECK", {"checkout"}),
        ("check?", set()),
        ("\\n名", {"wait\x1b[31m\n名前"}),
    ],
)
def test_filters(wanted: str, names: set[str]) -> None:
    only = table.Filter(wanted)
    assert {row.name for row in shop().functions if only.matches(row)} == names


def test_folding() -> None:
    root = shop().tree

    def shown(fold: float, limit: int | None = None) -> list[str]:
        return [line.split("  ")[-1].strip() for line, _ in report.tree.rendered(root, limit, Terminal(), fold)]

    assert "(1 smaller)" in shown(0.5) and not any("tiny" in line for line in shown(0.5))
    assert any("tiny" in line for line in shown(0)) and not any("smaller" in line for line in shown(0))
    assert any(line == "(2 smaller)" for line in shown(40))
    assert "(7 more lines; see --limit)" in shown(0, 3)


@pytest.mark.parametrize("width", [40, 80, None])
def test_ten_thousand_levels(width: int | None) -> None:
    found = report.tree.rendered(deep(10_000).tree, 200, Terminal(width), 0)
    assert "(9801 more lines; see --limit)" in [line for line, _ in found]
    assert width is None or max(terminal.width(line) for line, _ in found) <= width
    every = report.tree.rendered(deep(2_000).tree, None, Terminal(width), 0)
    assert len(every) >= 2_000 + 4 and sum(len(line) for line, _ in every) < 2_000 * 450
    assert width == 40 or any("  2000… deep.down" in line for line, _ in every)


@pytest.mark.parametrize(
    ("name", "columns", "short"),
    [
        ("package.module.Class.method", 27, "package.module.Class.method"),
        ("package.module.Class.method", 26, "package.….Class.method"),
        ("package.module.Class.method", 21, "….module.Class.method"),
        ("package.module.Class.method", 20, "package.….method"),
        ("package.module.Class.method", 14, "….Class.method"),
        ("package.module.Class.method", 13, "….method"),
        ("package.module.Class.method", 7, "pa…thod"),
        ("a_function_with_a_long_name", 13, "a_fu…ong_name"),
        ("名前名前名前名前", 9, "名…名前"),
        ("éééé", 4, "éééé"),
    ],
)
def test_shortened(name: str, columns: int, short: str) -> None:
    assert terminal.shortened(name, columns) == short
    assert terminal.width(short) <= columns


@pytest.mark.parametrize(
    ("text", "columns"), [("plain", 5), ("名前", 4), ("e\u0301", 1), ("\u2764\ufe0f", 1), ("ก\u0e34", 1), ("ｗ", 2), ("±µ…", 3)]
)
def test_width(text: str, columns: int) -> None:
    assert terminal.width(text) == columns
    assert terminal.width(terminal.padded(text, 7, left=True)) == 7


def test_hostile_characters() -> None:
    assert terminal.visible("a\x1b[2J\u202eb\u2028\udc80\x9b") == "a\\x1b[2J\\u202eb\\u2028\\udc80\\x9b"
    assert terminal.visible("plain ± µ 名前") == "plain ± µ 名前"


class Stream:
    def __init__(self, is_terminal: bool) -> None:
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Stream(True), {}, Terminal(100, True)),
        (Stream(True), {"NO_COLOR": "1"}, Terminal(100, False)),
        (Stream(True), {"NO_COLOR": ""}, Terminal(100, True)),
        (Stream(True), {"TERM": "dumb"}, Terminal(100, False)),
        (Stream(True), {"COLUMNS": "5"}, Terminal(20, True)),
        (Stream(False), {}, Terminal(None, False)),
        (None, {}, Terminal(None, False)),
    ],
)
def test_what_standard_output_is(
    monkeypatch: pytest.MonkeyPatch, stream: Stream | None, environment: dict[str, str], expected: Terminal
) -> None:
    for name, value in ({"TERM": "xterm", "COLUMNS": "100"} | environment).items():
        monkeypatch.setenv(name, value)
    if "NO_COLOR" not in environment:
        monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", stream)
    found = terminal.of_stdout()
    monkeypatch.undo()
    assert found == expected


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in REPORTS:
        golden(each).write_text(whole(each), encoding="utf-8")
