# SPDX-License-Identifier: MIT
"""Many profiles to one: which of the inputs are added, so that each profile counts once whatever order they come in.

The core adds. Here is decided beforehand, from the ids of what each input was merged from, which inputs are needed: a profile may be given
twice, be inside a merged one as well, or be an earlier snapshot of one that is given too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from . import _core
from .profile import Profile, _text_path

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

MOST_WORKERS = 8  # files are read side by side and added one after another, which is a tenth of it or so: more readers would only wait, and each holds a file
SUFFIX = ".hyprof"
CLOCKS = {"wall": "by the wall clock", "cpu": "by the cpu clock", "waits": "as waits (how long others were blocked)"}
GUESSED = "collapsed stacks do not say what they count"  # how the sentence of a profile begins whose times are a guess
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class Input:
    """A file or profile, and what it was merged from: {id: duration in ns}."""

    label: str
    given: str | _core.Profile
    clock: str
    durations: dict[str, int]

    @property
    def rank(self) -> tuple[int, int, list[str]]:
        """The larger the sooner: more profiles, then a later snapshot; the ids, so that no order depends on that of the arguments."""
        return (-len(self.durations), -sum(self.durations.values()), sorted(self.durations))


@dataclass(slots=True)
class Outcome:
    """What happened besides: sentences about files that were left out, were cut short, or were there already."""

    left_out: list[str] = field(default_factory=list)
    cut_short: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)


def merge(profiles: Iterable[Profile | str | os.PathLike[str]], *, strict: bool = False) -> Profile:
    """One profile of many: times (ns), calls and samples added up, each profile once, known by its id, in whatever order and grouping.

    profiles: Profiles and .hyprof files, of any hosts, Python versions and rates; folders stand for the .hyprof files in them. Threads are
    folded by name, digits in it taken for `*`. Files that are damaged are left out and counted in `Profile.left_out` and `meta["warnings"]`;
    of files that were cut short (their program was killed) what is whole is taken. strict: both raise FormatError instead.

    Raises ValueError where profiles cannot be added up (different clocks, no calling contexts, parts of merged profiles that would count
    twice) or nothing is left to merge, FormatError (a ValueError) as said, OSError for what cannot be opened.
    """
    return merged(profiles, strict, Outcome())


def merged(profiles: Iterable[Profile | str | os.PathLike[str]], strict: bool, outcome: Outcome) -> Profile:
    """`merge`, telling the caller what was left out."""
    given = list(profiles)
    empty = [each for each in given if isinstance(each, Profile) and not isinstance(each._core, _core.Profile)]
    if empty and len(empty) == len(given):
        return empty[0]  # HYBRIDPROF_DISABLE is set
    sums = _core.Merge()
    inputs = _inputs(given, strict, sums, outcome)
    _check_clocks(inputs)
    added: dict[str, str] = {}  # id: the input that has it
    while wanted := _wanted(inputs, added):
        inputs = _add(wanted, inputs, added, strict, sums, outcome)
    if not added:
        raise ValueError("there is nothing to merge: " + (outcome.left_out[0] if outcome.left_out else "no profile was given"))
    outcome.known += [f"{each.label}: {_known(each, added)}" for each in inputs if each.label not in set(added.values())]
    return Profile(sums.finish())


def _inputs(given: Sequence[Profile | str | os.PathLike[str]], strict: bool, sums: _core.Merge, outcome: Outcome) -> list[Input]:
    found: list[Input] = []
    for (label, each), (sources, failure) in _side_by_side(lambda one: _sources(one[1]), list(_labelled(given))):
        if isinstance(failure, _core.FormatError):
            _leave_out(str(failure), strict, sums, outcome)
        elif failure is not None:
            raise failure
        elif sources is not None:
            found.append(_input(label, each, sources))
    return found


def _labelled(given: Sequence[Profile | str | os.PathLike[str]]) -> Iterator[tuple[str, str | _core.Profile]]:
    for number, each in enumerate(given, 1):
        if not isinstance(each, Profile):
            yield from ((path, path) for path in _files(_text_path(each)))
        elif isinstance(each._core, _core.Profile):
            yield f"profile {number}", each._core


def _sources(given: str | _core.Profile) -> list[dict[str, object]]:
    return _core.sources(given) if isinstance(given, str) else given.sources()


def _input(label: str, given: str | _core.Profile, sources: list[dict[str, object]]) -> Input:
    return Input(label, given, str(sources[0]["clock"]), {str(each["profile_id"]): int(str(each["duration_ns"])) for each in sources})


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    names = sorted(name for name in os.listdir(path) if name.endswith(SUFFIX) and not name.startswith("."))
    if not names:
        raise ValueError(f"{path} is a folder without {SUFFIX} files: name a folder that has some, or files")
    return [os.path.join(path, name) for name in names]


def _leave_out(sentence: str, strict: bool, sums: _core.Merge, outcome: Outcome) -> None:
    if strict:
        raise _core.FormatError(sentence)
    if sentence not in outcome.left_out:  # the same file twice counts once here too
        sums.leave_out(sentence)
        outcome.left_out.append(sentence)


def _check_clocks(inputs: list[Input]) -> None:
    for each in inputs:
        if each.clock != inputs[0].clock:
            raise ValueError(
                f"{each.label} was measured {CLOCKS[each.clock]} and {inputs[0].label} {CLOCKS[inputs[0].clock]}, and such times are "
                "not added: merge those of one clock"
            )


def _wanted(inputs: list[Input], added: dict[str, str]) -> list[Input]:
    """The inputs to add: the largest first, whatever is in them already left. Raises ValueError where one could only be added in part."""
    covered = dict(added)
    wanted: list[Input] = []
    partly: list[Input] = []
    for each in sorted(inputs, key=lambda each: each.rank):
        known = sum(one in covered for one in each.durations)
        if known == 0:
            wanted.append(each)
            covered.update(dict.fromkeys(each.durations, each.label))
        elif known < len(each.durations):
            partly.append(each)
    for each in partly:
        if any(one not in covered for one in each.durations):
            other = next(covered[one] for one in each.durations if one in covered)
            raise ValueError(
                f"{each.label} and {other} have profiles in common that would count twice, and others that are in one of them only: "
                "merge the files that they were merged from"
            )
    return wanted


def _add(wanted: list[Input], inputs: list[Input], added: dict[str, str], strict: bool, sums: _core.Merge, outcome: Outcome) -> list[Input]:
    """Adds them; returns the inputs without those that could not be read, in whose place others may be wanted."""
    failed: set[str] = set()
    for each, (note, failure) in _side_by_side(lambda each: _add_one(each, strict, sums), wanted):
        if isinstance(failure, _core.FormatError):
            _leave_out(str(failure), strict, sums, outcome)
            failed.add(each.label)
            continue
        if failure is not None:
            raise failure
        added.update(dict.fromkeys(each.durations, each.label))
        if note:
            outcome.cut_short.append(note)
    return [each for each in inputs if each.label not in failed]


def _add_one(each: Input, strict: bool, sums: _core.Merge) -> str:
    if isinstance(each.given, str):
        return sums.add_file(each.given, strict)
    sums.add(each.given)
    return ""


def _side_by_side(work: Callable[[Item], Result], items: list[Item]) -> Iterator[tuple[Item, tuple[Result | None, Exception | None]]]:
    """Each item with what work makes of it, or what went wrong; some at a time, told in their order. Whoever stops listening ends it."""

    def tried(each: Item) -> tuple[Result | None, Exception | None]:
        try:
            return work(each), None
        except Exception as error:
            return None, error

    workers = min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    started = None if len(items) < 4 or workers == 1 else _started(tried, items, workers)
    if started is None:
        yield from ((each, tried(each)) for each in items)
        return
    pool, results = started
    with pool:
        try:
            yield from zip(items, results, strict=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _started(work: Callable[[Item], Result], items: list[Item], workers: int) -> tuple[ThreadPoolExecutor, Iterator[Result]] | None:
    """None where no thread may be started: the interpreter is ending (an exit handler merges), or the system has no more. What had begun has ended then and
    is done again, which adds nothing twice."""
    try:
        from concurrent.futures import ThreadPoolExecutor
    except RuntimeError:
        return None
    pool = ThreadPoolExecutor(workers)
    try:
        return pool, pool.map(work, items)
    except RuntimeError:
        pool.shutdown(cancel_futures=True)
        return None


def _known(each: Input, added: dict[str, str]) -> str:
    holders = sorted({added[one] for one in each.durations})
    return f"counted once, with {', '.join(holders[:3])}" + (f" and {len(holders) - 3} more" if len(holders) > 3 else "")
