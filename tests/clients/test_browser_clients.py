# SPDX-License-Identifier: MIT
"""The same for the clients that live in a browser: speedscope's own app, and the Firefox Profiler's own reader of its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from clients import browsers, limits
from clients.expected import (
    Function,
    Held,
    Numbers,
    Shares,
    Steps,
    by_event,
    by_thread,
    differences,
    escaped,
    frame,
    gecko_name,
    grouped,
    labels,
    speedscope_profiles,
    without_calls,
)
from clients.programs import PROGRAMS
from clients.running import check_and_awaken, hybridprof, measured, without_invented

pytest_plugins = ["clients.running"]

GOLDEN = Path(__file__).resolve().parents[2] / "formats"


@dataclass
class Run:
    name: str
    native: Path
    held: Held
    threads: dict[Function, dict[str, Held]]
    speedscope: Path
    gecko: Path
    collapsed: Path
    callgrind: Path


@pytest.fixture(scope="session", params=sorted(PROGRAMS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(request.param)
    native = measured(request.param, folder)
    outs = [folder / name for name in ("out.speedscope.json", "out.gecko.json", "out.collapsed", "callgrind.out.test")]
    for out in outs:
        hybridprof(folder, "export", native, "-o", out)
    return Run(request.param, native, Held.load(str(native)), by_thread(str(native)), *outs)


def test_kinds_are_what_the_threads_say(run: Run) -> None:
    """The division into sampled and exact that all comparisons here use, against the threads' own sums."""
    from hybridprof import _core

    threads = [thread for thread in _core.load(str(run.native)).threads() if thread["root"] is not None]
    for thread, kinds in zip(sorted(threads, key=lambda thread: thread["root"]), run.threads.values(), strict=True):
        assert (kinds["sampled"].sum_ns, kinds["exact"].sum_ns) == (thread["sampled_ns"], thread["exact_ns"])


# --- speedscope ---------------------------------------------------------------------------------------------------------------------


def test_speedscope_schema(run: Run, modules: Path) -> None:
    golden = sorted(GOLDEN.glob("speedscope/golden/*.json"))
    assert len(golden) > 5
    browsers.validate(modules, [run.speedscope, *golden])


def test_speedscope_schema_is_awake(tmp_path: Path, modules: Path) -> None:
    path = tmp_path / "wrong.speedscope.json"
    for key, value in (("weights", ["1"]), ("unit", "fortnights"), ("endValue", None)):
        file = json.loads((GOLDEN / "speedscope/golden/plain.speedscope.json").read_text(encoding="utf-8"))
        file["profiles"][0][key] = value
        path.write_text(json.dumps(file), encoding="utf-8")
        with pytest.raises(AssertionError, match=r"wrong\.speedscope\.json"):
            browsers.validate(modules, [path])


@pytest.mark.timeout(600)  # a table of 20,000 rows on a busy machine
def test_speedscope_app(run: Run, speedscope: browsers.Speedscope) -> None:
    """Every cell of every profile's sandwich table. No cell is left out: unlike its reading of callgrind, this format has whole stacks."""
    shown = speedscope.tables(run.speedscope)
    named = labels(run.held)
    expected = speedscope_profiles(run.threads, named)
    # A file with one profile is shown by the file's name.
    assert list(shown) == list(expected) or (len(shown) == len(expected) == 1 and "wall time" in next(iter(shown)))
    for table, held in zip(shown.values(), expected.values(), strict=True):
        rows = without_calls(held, lambda function: (named[function], escaped(function.file)))
        check_and_awaken(rows, table, browsers.SPEEDSCOPE_STEPS, unmeasured_may_lack=True)


@pytest.mark.timeout(600)  # a table of 20,000 rows on a busy machine
def test_speedscope_app_on_collapsed(run: Run, speedscope: browsers.Speedscope) -> None:
    """All threads are one profile there, named by its file."""
    (table,) = speedscope.tables(run.collapsed).values()
    named = labels(run.held)
    rows = without_calls(run.held, lambda function: frame(named[function], function))
    check_and_awaken(rows, {key[0]: cells for key, cells in table.items()}, Steps(), unmeasured_may_lack=True)  # type: ignore[index]


@pytest.mark.timeout(600)  # a table of 20,000 rows on a busy machine
def test_speedscope_app_on_callgrind(run: Run, speedscope: browsers.Speedscope) -> None:
    """Each event, but for what it folds into callers (limits.SPEEDSCOPE_FOLDS)."""
    tables = speedscope.tables(run.callgrind)
    events = by_event(str(run.native))
    # A file with one profile is shown by the file's name.
    assert [name.rpartition(" -- ")[2] for name in tables] == list(events) or len(tables) == len(events) == 1
    named = labels(run.held)

    def key(function: Function) -> tuple[str, str]:
        return named[function], escaped(function.file) or "~"

    for held, table in zip(events.values(), tables.values(), strict=True):
        shown, whole = without_invented(table), grouped(held.by_key(key, loop_erased=True), lambda each: each)
        folded = Shares(held, key, browsers.SPEEDSCOPE_FOLDED)
        limits.SPEEDSCOPE_CROSSED.take_out(run.held, key, folded.rows)
        # It rounds the moment at which each piece of a function's time begins and ends: either by half a ns.
        check_and_awaken(grouped(folded.rows, lambda each: each), shown, Steps(time_ns=2 * max(folded.pieces.values())))
        if not held.in_cycles(key, loop_erased=True):
            apart = grouped(Shares(held, key, 0).rows, lambda each: each)
            assert differences(whole, apart, Steps(relative=1e-9), unmeasured_may_lack=True) == [], "without folding it would be right"
        if run.name in ("many-functions", "crossed") and held is next(iter(events.values())):
            assert differences(whole, shown, Steps(time_ns=held.sum_ns / 1e3), unmeasured_may_lack=True), "no limit any more"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("speedscope/golden/*.json")), ids=lambda path: path.name.partition(".")[0])
def test_speedscope_app_opens_golden_files(path: Path, speedscope: browsers.Speedscope) -> None:
    """Hostile names among them: each arrives as the file has it, and self times are the weights."""
    file = json.loads(path.read_text(encoding="utf-8"))
    tables = list(speedscope.tables(path).values())
    assert len(tables) == len(file["profiles"])
    for profile, table in zip(file["profiles"], tables, strict=True):
        expected: dict[tuple[str, str], Numbers] = {}
        for stack, weight in zip(profile["samples"], profile["weights"], strict=True):
            frames = [file["shared"]["frames"][frame] for frame in stack]
            keys = [(frame["name"], frame.get("file", "")) for frame in frames]
            for key in keys:
                expected.setdefault(key, Numbers(0, 0, None, None))
            expected[keys[-1]].self_ns += weight
            for key in set(keys):
                expected[key].total_ns += weight
        check_and_awaken({key: [row] for key, row in expected.items()}, table, browsers.SPEEDSCOPE_STEPS)


# --- Firefox Profiler ---------------------------------------------------------------------------------------------------------------


def test_firefox_reader(run: Run, modules: Path, tmp_path: Path) -> None:
    """Self and total of every function of every thread, and what share of the thread is exact and sampled."""
    named = labels(run.held)
    with browsers.FirefoxProfiler(modules, tmp_path, run.gecko) as profiler:
        tables, shares = profiler.threads(len(run.threads))
    for table, kinds in zip(tables, run.threads.values(), strict=True):
        rows = without_calls(kinds["both"], lambda function: gecko_name(named, function))
        check_and_awaken(rows, table, Steps(time_ns=1e-3), unmeasured_may_lack=True)
    for share, kinds in zip(shares, run.threads.values(), strict=False):  # of the first threads
        assert share == pytest.approx({kind: kinds[kind].sum_ns for kind in ("sampled", "exact") if kinds[kind].sum_ns})


@pytest.mark.parametrize(
    ("name", "function", "file_name"),
    [("hostile", "mod.na\u00efve\N{SNAKE}", "/srv/na\u00efve\N{SNAKE}/x;y.py"), ("mixed", "shop.cart.price", "/srv/shop/cart.py")],
)
def test_firefox_reader_opens_golden_files(name: str, function: str, file_name: str, modules: Path, tmp_path: Path) -> None:
    path = GOLDEN / f"gecko/golden/{name}.gecko.json"
    file = json.loads(path.read_text(encoding="utf-8"))
    with browsers.FirefoxProfiler(modules, tmp_path, path) as profiler:
        tables, _ = profiler.threads(len(file["threads"]))
        assert profiler.thread_names() == [thread["name"] for thread in file["threads"]]
        place = profiler.place(function)
    assert place == file_name
    for thread, table in zip(file["threads"], tables, strict=True):
        total = sum(row.self_ns or 0 for rows in table.values() for row in rows)
        assert total == pytest.approx(sum(thread["samples"]["weight"]) * 1e6)
