# SPDX-License-Identifier: MIT
"""Names with lone surrogates (what the file system holds that is no UTF-8) come from anywhere: no entry that takes one breaks the program."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hybridprof
from hybridprof import _core
from hybridprof.integrations.requests import Requests, traced, traced_async
from hybridprof.rollout import buckets

ODD = "odd\udc80\ud800"


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    hybridprof.stop()


def names(profile: hybridprof.Profile, kind: str) -> set[str]:
    return {function.name for function in profile.functions if function.kind == kind}


def test_blocks() -> None:
    async def held() -> None:
        async with hybridprof.deep.block(ODD + "async"):
            await asyncio.sleep(0)

    hybridprof.start(rate=0)
    with hybridprof.deep.block(ODD):
        len(ODD)
    asyncio.run(held())
    assert traced(ODD + "request", len, ODD) == len(ODD)
    asyncio.run(traced_async(ODD + "awaited", asyncio.sleep, 0))
    assert names(hybridprof.snapshot(), "block") == {f"{ODD}{what}" for what in ("", "async", "request", "awaited")}


def test_a_name_is_kept_behind_its_nul() -> None:
    hybridprof.start(rate=0)
    with hybridprof.deep.block("a\0b"):
        len(ODD)
    assert names(hybridprof.snapshot(), "block") == {"a\N{SYMBOL FOR NULL}b"}


def test_threads() -> None:
    done = threading.Event()
    worker = threading.Thread(target=done.wait, name=ODD)
    hybridprof.start(rate=1000)
    worker.start()
    _core.set_thread_name(threading.get_ident(), ODD + "main")
    found: set[str] = set()
    try:
        while not {ODD, ODD + "main"} <= found:
            found = {thread.name for thread in hybridprof.snapshot().threads}
    finally:
        _core.set_thread_name(threading.get_ident(), "MainThread")  # it would stay what later tests see
        done.set()
        worker.join()


def test_tasks() -> None:
    async def inner() -> None:
        while not any(ODD in name for name in names(hybridprof.snapshot(), "synthetic")):
            time.sleep(0.001)

    async def outer() -> None:
        await asyncio.create_task(inner(), name=ODD)

    hybridprof.start(rate=1000, tasks=True)
    asyncio.run(outer())


def test_modules_functions_and_files() -> None:
    space: dict[str, Any] = {"__name__": ODD}
    exec(compile("def called(): pass", f"/{ODD}.py", "exec"), space)
    space["called"].__code__ = space["called"].__code__.replace(co_name=ODD, co_qualname=ODD)
    target = hybridprof.deep(space["called"])
    hybridprof.start(rate=0)
    target()
    found = [function for function in hybridprof.snapshot().functions if function.name == ODD]
    assert [(each.module, each.file, each.calls) for each in found] == [(ODD, f"/{ODD}.py", 1)]


def test_patterns_and_prefixes() -> None:
    _core.hide_file(f"/{ODD}/")
    with hybridprof.Profiler(rate=0, deep=[f"{ODD}:*", f"{ODD}*:f"]) as profiler:
        pass
    assert profiler.profile.meta["warnings"] is not None


def test_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = Requests(share=1)
    assert ODD[:3] in requests.label("GET", f"/{ODD}")
    monkeypatch.setattr(_core, "running", lambda: True)
    assert requests.picks(ODD)
    assert buckets.is_member("process", ODD, 1)


def test_programs_and_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.orig_argv", [ODD, ODD])
    hybridprof.start(rate=0)
    path = tmp_path / "odd\udc80.hyprof"
    hybridprof.snapshot().write(str(path))
    assert ODD in hybridprof.load(str(path)).meta["argv"]
