# SPDX-License-Identifier: MIT
"""A profile with a timeline in the clients that show one: sums, the order, and what is when."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import pytest
from clients import browsers
from clients.expected import Function, Held, Shown, Steps, by_thread, escaped, gecko_name, labels, speedscope_profiles, without_calls
from clients.moments import UNIT_NS, Span, boxes, held_in, in_time_order, merged
from clients.programs import PHASES_RUN, TIMELINES
from clients.running import check_and_awaken, hybridprof, measured

import hybridprof as public

pytest_plugins = ["clients.running"]

PHASES = ("first", "second", "third")
COLUMNS = 16
GECKO_STEPS = Steps(time_ns=1e-3)
TAIL_NS = 10_000_000  # ten intervals: what passed since a thread's last sample is its stack's in the tree, and has no moment


@dataclass
class Run:
    name: str
    native: Path
    held: Held
    threads: dict[Function, dict[str, Held]]
    spans: dict[Function, list[Span]]
    phases: dict[Function, list[str]]  # as each thread ran them, without the traced one
    traced: list[str]
    speedscope: Path
    gecko: Path

    def untraced(self, thread: Function) -> list[Span]:
        """A sample at the border of a thread's first traced call, before its hook, has a moment; the tree has that call's time exactly."""
        return [replace(span, stack=()) if phase_of(span) in self.traced else span for span in self.spans[thread]]

    def near(self, thread: Function, shown_ns: float) -> float:
        """What was sampled, as near to what is shown as rounding lets it: by one unit for each stretch without traced calls, less the tail."""
        sampled = self.threads[thread]["sampled"].sum_ns
        sampled += sum(span.end_ns - span.begin_ns for span in self.spans[thread] if phase_of(span) in self.traced)
        most = UNIT_NS * (1 + len(self.traced))
        return sampled + max(-most - TAIL_NS, min(most, shown_ns - sampled))

    def tail_ns(self, thread: Function) -> float:
        spans = self.untraced(thread)
        return (self.threads[thread]["sampled"].sum_ns or 0) - sum(span.end_ns - span.begin_ns for span in spans if span.stack)


def phase_of(span: Span) -> str | None:
    return next((function.name for function in span.stack if function.name in PHASES), None)


def are_in_order(run: Run, thread: Function, phases: Sequence[str | None]) -> bool:
    """Neighbours count once, what was traced not at all."""
    ran = run.phases[thread]
    return [phase for phase, _ in groupby(phase for phase in phases if phase in ran)] == ran


def is_plain(run: Run) -> bool:
    """Each phase was met, and each thread's moments are its sampled time."""
    for thread, spans in run.spans.items():
        sum_ns = held_in(spans, run.held.functions).sum_ns
        if sum_ns != run.near(thread, sum_ns) or not are_in_order(run, thread, [phase_of(span) for span in spans]):
            return False
    return run.spans.keys() == run.threads.keys()


def made(name: str, folder: Path) -> Run:
    native, outs = measured(name, folder, TIMELINES), [folder / out for out in ("out.speedscope.json", "out.gecko.json")]
    for out in outs:
        hybridprof(folder, "export", native, "-o", out)
    held, threads = Held.load(str(native)), by_thread(str(native))
    traced = ["second"] if name == "mixed" else []
    ran = {thread: PHASES_RUN["MainThread" if "MainThread" in thread.name else "worker"] for thread in threads}
    phases = {thread: [phase for phase in ran[thread] if phase not in traced] for thread in threads}
    return Run(name, native, held, threads, in_time_order(native, held.functions), phases, traced, *outs)


@pytest.fixture(scope="session", params=sorted(TIMELINES))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Neighbours of the machine may keep the sampler from a phase; what is wrong in each of three runs the tests find."""
    for _ in range(3):
        run = made(request.param, tmp_path_factory.mktemp(request.param))
        if is_plain(run):
            break
    return run


def test_timeline_is_the_sampled_time_in_its_order(run: Run) -> None:
    """What all comparisons here use, against the tree and the program."""
    profile = public.load(run.native)
    assert profile.timeline is not None and profile.timeline.lost == 0
    assert profile.timeline.samples == sum(thread.samples for thread in profile.threads) > 100
    assert is_plain(run)
    for thread in run.threads:
        spans = run.untraced(thread)
        last = next(span.stack for span in reversed(run.spans[thread]) if span.stack)
        tree = run.threads[thread]["sampled"].by_key(lambda function: function)
        timeline = held_in(spans, run.held.functions).by_key(lambda function: function)
        for function, row in tree.items():
            if function in timeline:
                ends = len(merged(spans, lambda span, function=function: function in span.stack))  # type: ignore[misc]
                tail_ns = run.tail_ns(thread) if function in last else 0
                assert abs((row.total_ns or 0) - (timeline[function].total_ns or 0) - tail_ns) <= UNIT_NS * (1 + ends), function
            else:
                assert (row.total_ns or 0) < 20 * UNIT_NS, function


# --- speedscope ---------------------------------------------------------------------------------------------------------------------


def test_speedscope_schema(run: Run, modules: Path) -> None:
    browsers.validate(modules, [run.speedscope])


@pytest.mark.timeout(600)  # a busy machine
def test_speedscope_tables(run: Run, speedscope: browsers.Speedscope) -> None:
    shown, named = speedscope.tables(run.speedscope), labels(run.held)
    expected = speedscope_profiles(run.threads, named)
    for thread in run.threads:
        expected[f"{named[thread]}, in the order of time"] = held_in(run.spans[thread], run.held.functions)
    assert list(shown) == list(expected)
    for table, held in zip(shown.values(), expected.values(), strict=True):
        rows = without_calls(held, lambda function: (named[function], escaped(function.file)))
        check_and_awaken(rows, table, browsers.SPEEDSCOPE_STEPS, unmeasured_may_lack=True)
    for thread in run.threads:
        (row,) = shown[f"{named[thread]}, in the order of time"][named[thread], ""]
        assert browsers.SPEEDSCOPE_STEPS.allows(run.near(thread, row.total_ns or 0), row.total_ns or 0)


def drawn_wrong(run: Run, thread: Function, drawn: list[list[browsers.Box]]) -> tuple[list[str], int, list[str | None]]:
    """Columns in which another stack is drawn than the file has then; how many were compared, and the phase of each."""
    spans, named = run.spans[thread], labels(run.held)
    near = spans[-1].end_ns / 600  # two pixels
    rows = [boxes(spans, depth) for depth in range(1 + max(len(span.stack) for span in spans))]
    wrong, compared, phases = [], 0, []
    for number, stack in enumerate(drawn):
        middle = (number + 0.5) / len(drawn) * spans[-1].end_ns
        cut = [box for row in rows for box in row if box[0] <= middle + near and box[1] >= middle - near]
        phases.append(next((name.rpartition(".")[2] for name, _ in stack if name.endswith(PHASES)), None))
        if len(cut) > len(rows):
            continue  # a border is near: the mouse is in the one box or the other
        compared += 1
        expected = [(named[function], end - begin) for begin, end, function in cut if function]
        same = [name for name, _ in stack] == [name for name, _ in expected] and all(
            browsers.SPEEDSCOPE_STEPS.allows(ours, theirs) for (_, ours), (_, theirs) in zip(expected, stack, strict=True)
        )
        wrong += [] if same else [f"column {number}: {expected} is expected, {stack} drawn"]
    return wrong, compared, phases


@pytest.mark.timeout(600)  # a busy machine
def test_speedscope_time_order(run: Run, speedscope: browsers.Speedscope, tmp_path: Path) -> None:
    """Each box of "Time Order": its place, its length and its name; and of a file with the samples the other way round none are right."""
    named = labels(run.held)
    first, drawn = speedscope.time_order(run.speedscope, COLUMNS)
    most = max(run.spans, key=lambda thread: sum(span.stack != () for span in run.spans[thread]))
    assert first == f"{named[most]}, in the order of time"
    assert list(drawn) == [f"{named[thread]}, in the order of time" for thread in run.threads]
    for thread, columns in zip(run.threads, drawn.values(), strict=True):
        wrong, compared, phases = drawn_wrong(run, thread, columns)
        assert wrong == []
        assert compared > COLUMNS / 2
        assert are_in_order(run, thread, phases)
        if run.traced:  # what was traced is between them, and is drawn as nothing
            begin, end = phases.index(run.phases[thread][0]), phases.index(run.phases[thread][-1])
            assert [] in columns[begin:end]

    file = json.loads(run.speedscope.read_text(encoding="utf-8"))
    for profile in file["profiles"][-len(run.threads) :]:
        profile["samples"].reverse()
        profile["weights"].reverse()
    broken = tmp_path / "broken.speedscope.json"
    broken.write_text(json.dumps(file), encoding="utf-8")
    _, drawn = speedscope.time_order(broken, 6)
    for thread, columns in zip(run.threads, drawn.values(), strict=True):
        wrong, _, phases = drawn_wrong(run, thread, columns)
        assert wrong and not are_in_order(run, thread, phases)


# --- Firefox Profiler ---------------------------------------------------------------------------------------------------------------


def windows_of(spans: Sequence[Span]) -> tuple[list[tuple[float, float]], list[list[Span]]]:
    """One for each phase and for what lies between, ms, and what begins in it."""
    groups = [group for group in merged(spans, phase_of) if group[-1].end_ns - group[0].begin_ns > 20 * UNIT_NS]
    return [(max(group[0].begin_ns - UNIT_NS / 2, 0) / 1e6, (group[-1].end_ns - UNIT_NS / 2) / 1e6) for group in groups], groups


def gecko_rows(held: Held, named: dict[Function, str]) -> Shown:
    return without_calls(held, lambda function: gecko_name(named, function))


def test_firefox_tables(run: Run, modules: Path, tmp_path: Path) -> None:
    named, names = labels(run.held), [thread.name.removeprefix("<thread ").rpartition(" #")[0] for thread in run.threads]
    with browsers.FirefoxProfiler(modules, tmp_path, run.gecko) as profiler:
        tables, _ = profiler.threads(2 * len(run.threads))
        assert profiler.thread_names() == [*names, *(f"{name}, in the order of time" for name in names)]
        assert profiler.thread_names(only_selected=True) == ["MainThread, in the order of time"]
    expected = [kinds["both"] for kinds in run.threads.values()]
    expected += [held_in(run.spans[thread], run.held.functions) for thread in run.threads]
    for table, held in zip(tables, expected, strict=True):
        check_and_awaken(gecko_rows(held, named), table, GECKO_STEPS, unmeasured_may_lack=True)
    for table, thread in zip(tables[len(run.threads) :], run.threads, strict=True):
        (row,) = table[gecko_name(named, thread)]
        assert GECKO_STEPS.allows(run.near(thread, row.total_ns or 0), row.total_ns or 0)


def phase_shown(table: Shown) -> str | None:
    """The one that has most time in a window."""

    def total(key: Hashable) -> float:
        return table[key][0].total_ns or 0

    found = [key for key in table if str(key).endswith(PHASES)]
    return str(max(found, key=total)).rpartition(".")[2] if found else None


def test_firefox_windows_of_time(run: Run, modules: Path, tmp_path: Path) -> None:
    """Zoomed to each phase and to what lies between: every function has what the file has then; with the samples the other way round it has not."""
    named = labels(run.held)
    with browsers.FirefoxProfiler(modules, tmp_path / "sessions", run.gecko) as profiler:
        for number, thread in enumerate(run.threads):
            windows, groups = windows_of(run.spans[thread])
            tables = profiler.windows(len(run.threads) + number, windows)
            for table, group in zip(tables, groups, strict=True):
                check_and_awaken(gecko_rows(held_in(group, run.held.functions), named), table, GECKO_STEPS, unmeasured_may_lack=True)
            assert are_in_order(run, thread, [phase_shown(table) for table in tables])

    file = json.loads(run.gecko.read_text(encoding="utf-8"))
    for thread in file["threads"][len(run.threads) :]:
        thread["samples"]["stack"].reverse()
        thread["samples"]["weight"].reverse()
    broken = tmp_path / "broken.gecko.json"
    broken.write_text(json.dumps(file), encoding="utf-8")
    with browsers.FirefoxProfiler(modules, tmp_path / "broken", broken) as profiler:
        for number, thread in enumerate(run.threads):
            windows, _ = windows_of(run.spans[thread])
            tables = profiler.windows(len(run.threads) + number, windows)
            assert not are_in_order(run, thread, [phase_shown(table) for table in tables])
