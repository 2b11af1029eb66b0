# SPDX-License-Identifier: MIT
"""What `hybridprof status` makes of a report, also of one that an earlier or later version has written."""

from __future__ import annotations

import random
from typing import Any

from hybridprof.cli.status import OLD, described

OUTPUT: dict[str, Any] = {
    "folder": "/var/log/shop",
    "written": 1204,
    "postponed": 3,
    "waits_for_budget": True,
    "last_file": "/var/log/shop/a.hyprof",
    "waiting": 2,
    "failures": 5,
    "lost": 1,
    "removed": 4,
    "problem": "profiles cannot be written to /var/log/shop: No space left on device; 2 wait in memory",
    "upload": {
        "to": "s3.upload:put",
        "handed_over": 1100,
        "pending": 7,
        "pending_bytes": 2_500_000,
        "failures": 6,
        "given_up": 2,
        "next_try_s": 40.2,
        "problem": "a.hyprof was not handed over: s3.upload:put raised OSError: no route",
    },
}
COSTS: dict[str, Any] = {
    "seconds": 10.0,
    "writer_share": 0.004,
    "writer_budget": 0.01,
    "ruler_share": 0.0002,
    "own_bytes": 1_000_000,
    "rss_bytes": 50_000_000,
    **{f"{who}_{what}": 0.01 for who in ("sampler", "tracer") for what in ("share", "budget", "of_budget")},
}


def lines(**report: Any) -> list[str]:
    return described({"pid": 7, "slot": "0", "stage": "fleet", "at": 100.0, **report}, 100.0)


def test_what_is_written_and_handed_over() -> None:
    found = lines(output=OUTPUT)
    assert (
        "  output    1,204 files written to /var/log/shop, 4 removed, 3 postponed; 2 wait in memory, 1 lost; the next waits for its budget"
        in found
    )
    assert "  upload    1,100 files handed over, 7 wait (2.5 MB), 6 tries failed, 2 given up; the next try in 40 s" in found


def test_what_goes_well_is_said_in_few_words() -> None:
    quiet = {
        **OUTPUT,
        "written": 1,
        "waits_for_budget": False,
        "problem": "",
        "upload": None,
        **dict.fromkeys(("postponed", "waiting", "lost", "removed"), 0),
    }
    found = lines(output=quiet)
    assert "  output    1 file written to /var/log/shop" in found and not [
        line for line in found if line.startswith(("  upload", "  problem"))
    ]
    quiet["upload"] = {**dict.fromkeys(("handed_over", "pending", "pending_bytes", "failures", "given_up", "next_try_s"), 0), "problem": ""}
    assert "  upload    0 files handed over" in lines(output=quiet)
    assert not [line for line in lines(output=None) + lines() if line.startswith(("  output", "  upload"))]


def test_every_sentence_about_a_problem_is_shown_once() -> None:
    report = {
        "problem": "the session: no",
        "output": OUTPUT,
        "control": {"problem": "the socket: no"},
        "status_problem": "the report: no",
        "audit": {"problem": "the log: no"},
        "crashes": {"problem": "the log: no"},
        "config_errors": ["c.toml:1: no", "c.toml:2: no"],
        "verdict": None,
    }
    told = [line.removeprefix("  problem   ") for line in lines(**report) if line.startswith("  problem")]
    assert told == [
        "the session: no",
        OUTPUT["problem"],
        OUTPUT["upload"]["problem"],
        "the socket: no",
        "the report: no",
        "the log: no",
        "c.toml:1: no",
        "c.toml:2: no",
    ]
    assert [line for line in lines(at=100.0 - OLD - 1) if line.startswith("  problem")]


def test_what_writing_costs_stands_beside_its_budget() -> None:
    assert "  others    0.400 % to write, hand over and answer (of 1 %), 0.020 % to follow the configuration" in lines(costs=COSTS)
    earlier = {name: value for name, value in COSTS.items() if name != "writer_budget"}
    assert "  others    0.400 % to write, hand over and answer, 0.020 % to follow the configuration" in lines(costs=earlier)


def test_a_report_that_lacks_something_is_shown() -> None:
    full = {"output": OUTPUT, "costs": COSTS, "control": {"problem": "no"}, "audit": {"problem": "no"}}
    choice = random.Random(4)
    for _ in range(200):
        output = {name: value for name, value in OUTPUT.items() if choice.random() < 0.7}
        if output.get("upload"):
            output["upload"] = {name: value for name, value in OUTPUT["upload"].items() if choice.random() < 0.7}
        assert lines(**{**full, "output": output})
