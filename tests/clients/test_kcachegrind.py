# SPDX-License-Identifier: MIT
"""The same for KCachegrind itself: its window on a virtual screen, every cell of its lists."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from clients import desktop, limits
from clients.expected import Function, Held, Numbers, Shown, Steps, by_event, differences, escaped, grouped, labels, lines_by_event
from clients.programs import PROGRAMS
from clients.running import Run, check_and_awaken, check_called_of, debian, missing, prepared, without_invented

from hybridprof import _core

pytest_plugins = ["clients.running"]


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    for program, package in (("kcachegrind", "kcachegrind"), ("Xvfb", "xvfb"), ("xdotool", "xdotool"), ("dbus-run-session", "dbus-daemon")):
        debian(program, package)
    if not Path("/usr/libexec/at-spi-bus-launcher").exists():
        missing("AT-SPI", "apt-get install at-spi2-core")
    if not desktop.runs_gi():
        missing("gi of Debian's python3", "apt-get install python3-gi")


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Measured once, however many tests ask."""
    runs: dict[str, Run] = {}

    def one(name: str) -> Run:
        if name not in runs:
            runs[name] = prepared(name, tmp_path_factory.mktemp(name))
        return runs[name]

    return one


def key_of(run: Run) -> Callable[[Function], tuple[str, str]]:
    """Its row: the function, and its location, which is the object and the file without its folder. Objects are modules."""
    named = labels(run.held)

    def key(function: Function) -> tuple[str, str]:
        module, file = escaped(function.module) or "~", os.path.basename(escaped(function.file)) or "~"
        return named[function], f"{module}: {file}"

    return key


def loop_erased(run: Run, held: Held | None = None, take_out: tuple[limits.Limit, ...] = ()) -> Shown:
    key = key_of(run)
    numbers = (held or run.held).by_key(key, loop_erased=True)
    for row in numbers.values():
        row.calls = row.primitive_calls = None  # apart: check_called
    for limit in take_out:
        limit.take_out(run.held, key, numbers)
    return grouped(numbers, lambda each: each)


def with_costs(shown: Shown) -> Shown:
    """It lists functions that have nothing of the event too."""
    found = {key: [row for row in rows if row.self_ns or row.total_ns] for key, rows in shown.items()}
    return {key: rows for key, rows in found.items() if rows}


@pytest.mark.timeout(900)  # four lists of 20,000 rows on a busy machine
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_kcachegrind(name: str, run_of: Callable[[str], Run], tmp_path: Path) -> None:
    """Of every function what it has of each event, itself and inclusive: the first as it comes, then the others as the primary one."""
    run = run_of(name)
    for number, (event, held) in enumerate(by_event(str(run.native)).items()):
        shown = desktop.lists(run.callgrind, tmp_path / event, event=event if number else "")
        rows = without_invented(shown.table())
        check_and_awaken(loop_erased(run, held), with_costs(rows), desktop.KCACHEGRIND_STEPS, unmeasured_may_lack=True)
        check_called_of(run, key_of(run), rows)  # the same whatever the event is, and of what has none of it too


@pytest.mark.parametrize("name", ["recursive", "mutual", "crossed"])
def test_kcachegrind_with_cycle_detection(name: str, run_of: Callable[[str], Run], tmp_path: Path) -> None:
    """Its default. Recursion is no cycle, since costs go along loop-erased stacks; crossed calls are one."""
    run = run_of(name)
    table = without_invented(desktop.lists(run.callgrind, tmp_path / "home", cycles=True).table())
    cycles = {key for key in table if key[0].startswith("<cycle ")}  # type: ignore[index]
    # A member's name ends with its cycle's.
    shown = {(key[0].partition(" <cycle ")[0], key[1]): rows for key, rows in table.items() if key not in cycles}  # type: ignore[index]
    held = loop_erased(run, take_out=(limits.KCACHEGRIND_CYCLES,))
    check_and_awaken(held, shown, desktop.KCACHEGRIND_STEPS, unmeasured_may_lack=True)
    check_called_of(run, key_of(run), shown)
    assert bool(cycles) == (name == "crossed")
    if cycles:
        assert differences(loop_erased(run), shown, desktop.KCACHEGRIND_STEPS, unmeasured_may_lack=True), "no limit any more"


def test_kcachegrind_as_it_comes(run_of: Callable[[str], Run], tmp_path: Path) -> None:
    """Percentages and a hundred functions, as by default: recursion shows none above 100."""
    run = run_of("recursive")
    shown = desktop.lists(run.callgrind, tmp_path / "home", percentages=True, cycles=True, at_most=100)
    found: Shown = {}
    for inclusive, own, _, function, location in shown.functions:
        assert 0 <= float(own) <= float(inclusive) <= 100, function
        found[function, location] = [Numbers(float(own) / 100 * run.held.sum_ns, float(inclusive) / 100 * run.held.sum_ns, None, None)]
    check_and_awaken(loop_erased(run), without_invented(found), Steps(time_ns=run.held.sum_ns / 1e4), unmeasured_may_lack=True)


def test_kcachegrind_has_threads_as_roots(run_of: Callable[[str], Run], tmp_path: Path) -> None:
    run = run_of("fifty-threads")
    shown = desktop.lists(run.callgrind, tmp_path / "home")
    assert shown.called("<all threads>") == "(0)", "nothing calls it"
    threads = {key: rows for key, rows in shown.table().items() if key[0].startswith("<thread ")}  # type: ignore[index]
    ns = [thread["sampled_ns"] + thread["exact_ns"] for thread in _core.load(str(run.native)).threads()]
    assert sorted(rows[0].total_ns or 0 for rows in threads.values()) == sorted(each for each in ns if each)
    assert len(threads) >= 50
    (whole,) = shown.table()["<all threads>", "~: ~"]
    assert (whole.self_ns, whole.total_ns) == (0, sum(ns))


@pytest.mark.parametrize("name", ["plain", "mixed"])
def test_kcachegrind_annotates_source(name: str, run_of: Callable[[str], Run], tmp_path: Path) -> None:
    """It is started in the root folder, whatever the working directory of the profiled program."""
    run = run_of(name)
    lines = next(iter(lines_by_event(str(run.native)).values()))
    function = max((each for each in lines if each.qualname == "burn"), key=lambda each: sum(lines[each].values()))
    shown = desktop.lists(run.callgrind, tmp_path / "home", source_of=labels(run.held)[function])
    assert any(f"--- From '{function.file}' ---" in row[4] for row in shown.source), shown.source
    found = {int(row[0]): desktop.number(row[1]) for row in shown.source if row[0].isdigit() and row[1].strip()}
    assert found == {line: ns for line, ns in lines[function].items() if ns}
    assert len(found) > 1
    text = Path(function.file).read_text(encoding="utf-8").split("\n")
    assert all(row[4] == text[int(row[0]) - 1] for row in shown.source if row[0].isdigit() and row[1].strip())
