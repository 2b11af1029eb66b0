# SPDX-License-Identifier: MIT
"""`report --why`: what was traced, what was left to the sampler, and what each costs or would have cost; it stays with the profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.made_profiles import Made, Stack, encoded
from unit.report_profiles import FixedCore, shop

import hybridprof
from hybridprof.cli import report
from hybridprof.cli.main import main
from hybridprof.cli.terminal import Terminal, width
from hybridprof.profile import Profile

SPARED = (
    "shop.prices.price (12.5 %), application.packages.warehouse.storage.inventory_backend.parse_item (0.731 %), gone.<lambda> (1e-05 %)"
)


class Chosen(FixedCore):
    """The shop, as `deep="auto"` would have it."""

    def meta(self) -> dict[str, Any]:
        tracing = {"calls": 130_000, "overhead_ns": 130_000_000}
        return super().meta() | {
            "tracing": tracing,
            "warnings": ["left to the sampler for what their calls cost"],
            "tracing_spared": SPARED,
        }


def chosen() -> Profile:
    core: Any = shop()._core
    return Profile(Chosen(*core.parts))


def lines(profile: Profile, columns: int | None = None, *arguments: str) -> list[str]:
    options = report.parser().parse_args(["x", "--why", *arguments])
    return [line for line, _ in report.rendered(profile, "self", options, Terminal(columns))]


def test_names_and_numbers() -> None:
    spared = chosen().spared
    assert spared["shop.prices.price"] == 12.5 and spared["gone.<lambda>"] == 1e-05 and len(spared) == 3
    assert shop().spared == {}


def test_each_function_says_what_was_chosen() -> None:
    found = lines(chosen())
    assert found[0] == "130,000 calls were traced, which cost 130.0 ms, 1.3 % of a core"
    assert found[1] == "left to the sampler for what their calls cost"
    by_name = {line.partition("  shop.")[2].partition(" ")[0]: line.split() for line in found if "  shop." in line}
    assert by_name["prices.price"][:3] == ["left", "out", "12"] or by_name["prices.price"][:4] == ["left", "out", "12", "%"]
    assert by_name["cart.checkout"][:4] == ["traced", "about", "3e-05", "%"]
    assert by_name["queue.wait\x1b[31m\n名前"][0] == "sampled" if "queue.wait\x1b[31m\n名前" in by_name else True
    assert any(line.startswith("left out") and "parse_item" in line and "0.73 %" in line for line in found)
    assert found[-1].startswith("traced: every call") and "left out: " in found[-1] and "sampled: no call" in found[-1]


def test_where_nothing_was_traced() -> None:
    core: Any = shop()._core
    plain = Profile(FixedCore(*core.parts))
    plain.meta.update({"tracing": {"calls": 0, "overhead_ns": 0}, "warnings": []})
    assert lines(plain)[0] == "nothing was traced: every time is sampled, and no calls are counted"


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_it_fits(columns: int) -> None:
    assert all(width(line) <= columns for line in lines(chosen(), columns))


def test_a_limit_and_a_filter() -> None:
    assert "(7 more functions; see --limit)" in lines(chosen(), None, "--limit", "1")
    assert sum("cart.py" in line for line in lines(chosen(), None, "--filter", "shop.cart.*")) == 2


def test_it_goes_with_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A reader of another key than it knows passes over it: SPEC.md. Merged profiles have those of all."""
    made = [
        Made(number, (Stack(0, (0, 1), samples=10, calls=3, exact_ns=1000),), spared=spared)
        for number, spared in ((1, "m.f0 (3 %)"), (2, "m.f1 (2.5 %), m.f0 (4 %)"))
    ]
    for each in made:
        (tmp_path / f"{each.number}.hyprof").write_bytes(encoded(each))
    first, second = (hybridprof.load(tmp_path / f"{number}.hyprof") for number in (1, 2))
    assert first.spared == {"m.f0": 3.0} and second.spared == {"m.f1": 2.5, "m.f0": 4.0}
    merged = first.merge(second)
    assert merged.spared == {"m.f0": 4.0, "m.f1": 2.5}
    for suffix in ("hyprof", "pb.gz"):
        merged.write(tmp_path / f"merged.{suffix}")
        assert hybridprof.load(tmp_path / f"merged.{suffix}").spared == merged.spared
    assert main(["report", str(tmp_path / "merged.hyprof"), "--why"]) == 0
    out = capsys.readouterr().out
    assert any(line.startswith("left out") and "4 %" in line and "m.f0" in line for line in out.splitlines()), out


def test_it_is_a_table_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.hyprof").write_bytes(encoded(Made(1, (Stack(0, (0,), samples=3),))))
    assert main(["report", str(tmp_path / "x.hyprof"), "--why", "--tree"]) == 2
    assert "--why is a table of its own" in capsys.readouterr().err
