# SPDX-License-Identifier: MIT
"""Two Profilers in one process share the session: each has right numbers, or says what it lacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import hybridprof
from hybridprof import _core, api
from hybridprof.api import ENDED_BY_OTHERS
from hybridprof.watch import Watch


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:
    hybridprof.stop()
    yield
    hybridprof.stop()


def one(count: int) -> int:
    return sum(shared(number) for number in range(count))


def other(count: int) -> int:
    return sum(shared(number) for number in range(count))


def shared(number: int) -> int:
    return number


def counts(profiler: hybridprof.Profiler) -> dict[str, int]:
    return {row.name: row.calls for row in profiler.profile.functions if row.calls and row.name in ("one", "other", "shared")}


def wants(name: str, **options: object) -> hybridprof.Profiler:
    return hybridprof.Profiler(rate=100, deep=[f"{__name__}:{name}"], **options)  # type: ignore[arg-type]


def test_one_within_the_other() -> None:
    with wants("one") as outer:
        one(10)
        with wants("other") as inner:
            one(10)
            other(5)
        other(5)  # nobody's target any more
        one(10)
    assert counts(inner) == {"one": 2, "other": 1, "shared": 25}
    assert counts(outer) == {"one": 3, "other": 1, "shared": 35}
    assert inner.warnings == outer.warnings == []


def test_the_guest_leaves_first() -> None:
    """Both want the same function: it stays the owner's."""
    owner, guest = wants("one").start(), wants("one").start()
    one(10)
    guest.stop()
    one(10)
    owner.stop()
    assert counts(guest) == {"one": 1, "shared": 10}
    assert counts(owner) == {"one": 2, "shared": 20}
    assert guest.warnings == owner.warnings == []


def test_the_owner_leaves_first() -> None:
    """Its session goes with it, and the guest says so."""
    owner, guest = wants("one").start(), wants("other").start()
    one(10)
    other(5)
    owner.stop()
    assert not hybridprof.running()
    other(5)
    guest.stop()
    assert counts(owner) == counts(guest) == {"one": 1, "other": 1, "shared": 15}
    assert (owner.warnings, guest.warnings) == ([], [ENDED_BY_OTHERS])


def test_the_owner_leaves_and_another_comes() -> None:
    owner, guest = wants("one").start(), wants("other").start()
    owner.stop()
    with wants("one") as later:
        one(10)
        guest.stop()
        one(10)
    assert guest.warnings == [ENDED_BY_OTHERS]
    assert counts(later)["one"] == 2 and later.warnings == []


def test_two_threads_that_do_not_know_of_each_other() -> None:
    """Whoever comes first owns; no exception, and never more than the truth."""
    odd: list[str] = []
    first, second = wants("one"), wants("other")

    def use(profiler: hybridprof.Profiler, name: str) -> None:
        try:
            with profiler:
                for _ in range(200):
                    globals()[name](5)  # by its name: where the core needs wrappers, they are there
        except BaseException as error:
            odd.append(repr(error))

    threads = [threading.Thread(target=use, args=pair) for pair in ((first, "one"), (second, "other"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert odd == []
    assert not hybridprof.running()
    for profiler, name in ((first, "one"), (second, "other")):
        calls = counts(profiler).get(name, 0)
        assert calls <= 200 if profiler.warnings else calls == 200, profiler.warnings
    assert [] in (first.warnings, second.warnings)


def test_what_an_importing_thread_finds_when_the_session_has_ended_is_left_alone() -> None:
    """And stays a target where another Profiler wants it."""
    code = shared.__code__
    first, second = Watch([f"{__name__}:shared"]), Watch([f"{__name__}:shared"])
    with api._lock:
        first.begin()
        second.begin()
        first.end()
        first._add(code)
        assert code in [target for target, _rate in _core.targets()]
        second.end()
        second._add(code)
        assert code not in [target for target, _rate in _core.targets()]
