# SPDX-License-Identifier: MIT
"""Fixtures of the tests here (`pytest_plugins = ["clients.running"]`): other people's programs, and really measured profiles in each format."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from clients.browsers import Speedscope
from clients.expected import Function, Held, Numbers, Shown, Steps, altered, differences, grouped
from clients.limits import CALLGRIND_CALLED
from clients.programs import PROGRAMS, Programs
from conftest import clean_environment

SOURCE = Path(__file__).resolve().parents[2]
FLAMEGRAPH_PLACES = (shutil.which("flamegraph.pl"), "/usr/share/perl5/Devel/NYTProf/flamegraph.pl")


def missing(what: str, install: str) -> None:
    """In CI a missing client is a failure; elsewhere the reader sees what was not tested."""
    sentence = f"{what} is not on this machine; install it with: {install}"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def debian(program: str, package: str) -> str:
    """The path of a program of Debian's."""
    place = shutil.which(program)
    if place is None:
        missing(program, f"apt-get install {package}")
        raise AssertionError
    return place


def set_up(variable: str, within: str, what: str, command: str) -> Path:
    """What scripts/setup made, and scripts/test names in the environment."""
    place = Path(os.environ.get(variable) or "/nonexistent")
    if not (place / within).exists():
        missing(what, f"scripts/setup {command}, and {variable} set to the path that it prints (make test does)")
    return place


@pytest.fixture(scope="session")
def tools() -> Path:
    return set_up("HYBRIDPROF_CLIENTS", "python", "the Python clients' venv", "tools clients")


@pytest.fixture(scope="session")
def modules() -> Path:
    return set_up("HYBRIDPROF_NPM", "speedscope", "the clients' node_modules", "npm clients-node")


@pytest.fixture(scope="session")
def pprof() -> Path:
    return set_up("HYBRIDPROF_PPROF", "", "pprof", "pprof (which needs go)")


@pytest.fixture(scope="session")
def inferno() -> Path:
    return set_up("HYBRIDPROF_INFERNO", "", "inferno-flamegraph", "inferno (which needs cargo)")


@pytest.fixture(scope="session")
def chromium() -> str:
    return debian("chromium", "chromium")


@pytest.fixture(scope="session")
def speedscope(modules: Path, chromium: str) -> Iterator[Speedscope]:
    with Speedscope(modules, chromium) as app:
        yield app


@pytest.fixture(scope="session")
def dot() -> str:
    return debian("dot", "graphviz")


@pytest.fixture(scope="session")
def flamegraph() -> Path:
    for place in FLAMEGRAPH_PLACES:
        if place and Path(place).exists():
            return Path(place)
    missing("flamegraph.pl", "apt-get install libdevel-nytprof-perl")
    raise AssertionError


@pytest.fixture(scope="session")
def callgrind_annotate() -> None:
    debian("callgrind_annotate", "valgrind")


def hybridprof(folder: Path, *arguments: object) -> None:
    command = [sys.executable, "-m", "hybridprof", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def measured(name: str, folder: Path, programs: Programs = PROGRAMS) -> Path:
    """The native profile of one of them."""
    files, options = programs[name]
    for file, text in files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    hybridprof(folder, "run", "-r", "1000", *options, "-o", folder / "out.hyprof", folder / "program.py")
    return folder / "out.hyprof"


@dataclass
class Run:
    name: str
    native: Path
    held: Held
    pstats: Path
    callgrind: Path
    collapsed: Path
    pprof: Path


def prepared(name: str, folder: Path) -> Run:
    """A program, really run under the profiler; its profile in each format."""
    native, made = measured(name, folder), folder / "made"
    made.mkdir()
    outs = [made / "out.pstats", made / "callgrind.out.test", made / "out.collapsed", made / "out.pb.gz"]
    for out in outs:
        hybridprof(folder, "export", native, "-o", out)
    held = Held.load(str(native))
    assert held.sum_ns > 50_000_000, "the program burns tenths of a second"
    return Run(name, native, held, *outs)


@pytest.fixture(scope="session", params=sorted(PROGRAMS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return prepared(request.param, tmp_path_factory.mktemp(request.param))


def check_and_awaken(held: Shown, shown: Shown, steps: Steps, **options: bool) -> None:
    """No difference; and each kind of number, altered in the greatest row that shows it, makes one."""
    assert differences(held, shown, steps, **options) == []
    for field_name in ("self_ns", "total_ns", "calls", "primitive_calls"):
        both = [
            key for key, rows in held.items() if key in shown and all(getattr(row, field_name) is not None for row in [*rows, *shown[key]])
        ]
        if both:
            greatest = max(both, key=lambda key: held[key][0].total_ns or 0)
            assert differences(altered(held, greatest, field_name, steps), shown, steps, **options), f"an altered {field_name} was not seen"


def check_called(held: Held, key_of: Callable[[Function], Hashable], shown: Shown, *, by_chance: bool = False) -> int:
    """All calls that a reader of callgrind shows are those of the call lines; and but for limits.CALLGRIND_CALLED they are those that are held, which
    they are not in a cell of that limit (by_chance: lost and added calls may make up for each other). How many cells that limit has."""
    # What has calls and no time is in the file too.
    rows = Held(held.functions, [(*node[:3], node[3] + node[2]) for node in held.nodes]).by_key(key_of, loop_erased=True)
    only_calls: Shown = {name: [Numbers(None, None, row.calls, None) for row in each] for name, each in shown.items()}
    assert all(row.calls is not None for each in only_calls.values() for row in each), "a cell without calls"
    lines, whole = held.called(key_of), {key: replace(row, self_ns=None) for key, row in rows.items()}
    read = {key: replace(row, calls=lines[key]) for key, row in whole.items()}
    check_and_awaken(grouped(read, lambda key: key), only_calls, Steps(), unmeasured_may_lack=True)
    concerned = CALLGRIND_CALLED.concerns(held, key_of) & {key for key in rows if key in shown}
    as_held = grouped(whole, lambda key: key)
    if concerned and not by_chance:
        assert differences(as_held, only_calls, Steps(), unmeasured_may_lack=True), "it shows such calls right: no limit any more"
    CALLGRIND_CALLED.take_out(held, key_of, whole)
    check_and_awaken(grouped(whole, lambda key: key), only_calls, Steps(), unmeasured_may_lack=True)
    return len(concerned)


def check_called_of(run: Run, key_of: Callable[[Function], Hashable], shown: Shown) -> None:
    """The same, and that the limit is met where it must be, and not where all calls of one thread were counted and none was within another."""
    concerned = check_called(run.held, key_of, shown)
    assert concerned or run.name not in ("plain", "recursive", "threads")
    assert not concerned or run.name != "exact"


def without_invented(shown: Shown) -> Shown:
    """Rows that the writer adds for the readers' sake: one above the threads, one that says what is estimated."""
    return {name: rows for name, rows in shown.items() if "all threads" not in str(name) and "~hybridprof" not in str(name)}


def as_shown(
    run: Run, key_of: Callable[[Function], Hashable], displayed: Callable[[Hashable], Hashable] = lambda key: key, **options: bool
) -> Shown:
    return grouped(run.held.by_key(key_of, **options), displayed)
