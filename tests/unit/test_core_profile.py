# SPDX-License-Identifier: MIT
"""The Profile type: what it lists agrees with itself, what it writes comes back, what it refuses it explains."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pstats
import signal
import struct
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

import pytest

from hybridprof import _core


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@pytest.fixture(scope="module")
def profile() -> _core.Profile:
    """0.3 s of recursion, sampled at 1 kHz, with one exact call of each of its 177 activations."""
    _core.add_target(fibonacci.__code__)
    function = fibonacci if not _core.needs_wrapper(fibonacci.__code__) else _core.deep_function(fibonacci)
    assert _core.start(rate=1000, hook="auto")
    try:
        function(10)
        _core.remove_target(fibonacci.__code__)
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            fibonacci(17)
    finally:
        _core.remove_target(fibonacci.__code__)
        _core.stop()
    return _core.snapshot()


def test_the_lists_agree_with_each_other(profile: _core.Profile) -> None:
    functions, edges, nodes = profile.functions(), profile.edges(), profile.nodes()
    assert nodes[0][:2] == (-1, -1)
    assert all(-1 <= caller < len(functions) and 0 <= callee < len(functions) for caller, callee, *_ in edges)
    assert all(0 <= parent < place and 0 <= function < len(functions) for place, (parent, function, *_) in enumerate(nodes) if place > 0)
    by_function = dict.fromkeys(range(len(functions)), 0)
    for _, function, _, self_ns, _, _, _ in nodes[1:]:
        by_function[function] += self_ns
    assert [row[7] for row in functions] == list(by_function.values())
    assert nodes[0][4] == sum(row[7] for row in functions)
    assert all(total >= own for *_, own, total, _, _ in nodes)


def test_how_large_it_is_in_memory(profile: _core.Profile) -> None:
    """What is there once for each node or row, and the names."""
    names = sum(map(len, {text for row in profile.functions() for text in (row[0], row[3])}))
    assert 64 * len(profile.nodes()) + 64 * len(profile.functions()) + names < sys.getsizeof(profile) < 10_000_000


def test_a_row_says_what_was_counted_and_what_was_not(profile: _core.Profile) -> None:
    rows = {row[0]: row for row in profile.functions()}
    _, module, _, file, line, calls, _, _, _, _, total_error, measured, samples, kind = rows["fibonacci"]
    assert (module, file, line, kind) == (__name__, __file__, fibonacci.__code__.co_firstlineno, "python")
    assert (calls, measured) == (177, "mixed")
    assert samples > 0 and total_error > 0
    sampled = [row for row in profile.functions() if row[11] == "sampled"]
    assert sampled and all(row[5] is None and row[6] is None for row in sampled)
    assert [row[13] for row in profile.functions() if row[0].startswith("<thread")] == ["thread"] * len(profile.threads())


def test_lines_lie_within_their_functions(profile: _core.Profile) -> None:
    functions, nodes = profile.functions(), profile.nodes()
    first = fibonacci.__code__.co_firstlineno
    lines = [line for node, line, _, _, _ in profile.lines() if functions[nodes[node][1]][0] == "fibonacci"]
    assert lines and set(lines) <= {first, first + 1}
    assert sum(samples for _, _, samples, _, _ in profile.lines()) <= sum(node[5] for node in nodes)


def test_threads_account_for_their_time(profile: _core.Profile) -> None:
    main = next(thread for thread in profile.threads() if thread["name"] == "MainThread")
    assert main["native_id"] == os.getpid()
    assert main["residual_ns"] == main["measured_ns"] - main["sampled_ns"] - main["exact_ns"] - main["overhead_ns"]
    assert abs(main["residual_ns"]) < 0.25 * main["measured_ns"]  # a busy machine may keep the sampler from its last ticks for 60 ms of 400
    assert profile.nodes()[main["root"]][4] == main["sampled_ns"] + main["exact_ns"]


def test_meta_is_plain_data(profile: _core.Profile) -> None:
    meta = profile.meta()
    json.dumps(meta)
    assert len(meta["profile_id"]) == 32 and int(meta["profile_id"], 16) > 0
    assert meta["pid"] == os.getpid()
    assert meta["rate_hz"] == 1000 and meta["clock"] == "wall"
    assert meta["sampler_method"] in {"same-cpu", "remote"} and meta["tracer_hook"] in _core.HOOKS
    assert meta["samples"]["kept"] > 0
    assert meta["tracing"]["calls"] == 177
    assert meta["threads"] == profile.threads()
    assert meta["residual_ns"] == sum(thread["residual_ns"] for thread in profile.threads())
    assert all(isinstance(word, str) for word in meta["argv"])


def test_the_native_format_keeps_everything(profile: _core.Profile, tmp_path: Path) -> None:
    path = tmp_path / "a.hyprof"
    profile.write(str(path))
    back = _core.load(str(path))
    meta = profile.meta()
    assert back.meta() == meta
    assert back.functions() == profile.functions()
    assert sorted(back.edges()) == sorted(profile.edges())
    assert back.nodes() == profile.nodes()
    assert sorted(back.lines()) == sorted(profile.lines())
    assert back.threads() == profile.threads()


def test_the_bytes_of_a_format_are_those_of_the_file(profile: _core.Profile, tmp_path: Path) -> None:
    for name, suffixes, prefix, _, can_write in _core.formats():
        if not can_write:
            continue
        path = tmp_path / (f"x{suffixes[0]}" if suffixes else f"{prefix}.1")
        profile.write(str(path))
        assert path.read_bytes() == profile.encode(name), name
        assert _core.format_for_path(str(path)) == name


def test_pstats_reads_what_is_written(profile: _core.Profile, tmp_path: Path) -> None:
    path = tmp_path / "a.pstats"
    profile.write(str(path))
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    primitive, calls, _, _, _ = stats[__file__, fibonacci.__code__.co_firstlineno, "fibonacci"]
    assert (primitive, calls) == (1, 177)


def test_a_format_may_be_named(profile: _core.Profile, tmp_path: Path) -> None:
    path = tmp_path / "without suffix"
    profile.write(str(path), format="collapsed")
    assert path.read_bytes() == profile.encode("collapsed")


def test_any_thread_may_use_a_profile(profile: _core.Profile) -> None:
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(profile.encode("pstats"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [profile.encode("pstats")] * 4


def wide() -> _core.Profile:
    """Collapsed, more than any pipe holds."""
    with tempfile.NamedTemporaryFile(suffix=".collapsed") as file:
        file.write(b"".join(b"main;f%d;g%d %d\n" % (n, n, n + 1) for n in range(20000)))
        file.flush()
        return _core.load(file.name)


def test_a_pipe_is_written_without_the_gil(profile: _core.Profile) -> None:
    """Its reader is another thread of the same program, and a pipe does not hold the whole."""
    for written, names in ((profile, [name for name, _, _, _, can_write in _core.formats() if can_write]), (wide(), ["collapsed"])):
        for name in names:
            reading, writing = os.pipe()
            os.set_blocking(writing, len(name) % 2 == 0)  # either way
            got: list[bytes] = []
            with open(reading, "rb") as file:
                thread = threading.Thread(target=lambda file=file, got=got: got.append(file.read()))  # type: ignore[misc]
                thread.start()
                written.write_to(writing, name)
                os.close(writing)
                thread.join()
            assert got == [written.encode(name)]


def test_what_a_pipe_refuses(profile: _core.Profile) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError, match="Broken pipe"):
        profile.write_to(writing, "pstats")
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        profile.write_to(writing, "pstats")
    with pytest.raises(_core.FormatError, match="unknown format 'nonsense'"):
        profile.write_to(1, "nonsense")


@pytest.mark.parametrize("blocking", [True, False])
def test_signals_reach_who_waits_for_a_reader(blocking: bool) -> None:
    """The first one's handler returns and the write goes on; the second one's raises."""
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    calls = []

    def handler(number: int, frame: object) -> None:
        calls.append(number)
        if len(calls) == 2:
            raise KeyboardInterrupt

    def interrupt() -> None:
        while struct.unpack("i", fcntl.ioctl(reading, termios.FIONREAD, bytes(4)))[0] == 0:
            time.sleep(0.001)
        for _ in range(60_000):
            if len(calls) == 2:
                return
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            time.sleep(0.001)
        os.dup2(writing, reading)  # nobody reads any more: it ends, and the test fails

    big, before = wide(), signal.signal(signal.SIGUSR1, handler)
    thread = threading.Thread(target=interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            thread.start()
            big.write_to(writing, "collapsed")
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
        os.close(writing)
        os.close(reading)


def test_what_cannot_be_written_is_explained(profile: _core.Profile, tmp_path: Path) -> None:
    with pytest.raises(_core.FormatError, match=r"name .*a\.unknown.* does not tell a format.*hyprof"):
        profile.write("a.unknown")
    with pytest.raises(_core.FormatError, match=r"unknown format 'nonsense'.*pstats"):
        profile.encode("nonsense")
    with pytest.raises(FileNotFoundError) as caught:
        profile.write(str(tmp_path / "missing" / "a.pstats"))
    assert caught.value.errno == errno.ENOENT and caught.value.filename == str(tmp_path / "missing" / "a.pstats")
    assert issubclass(_core.FormatError, ValueError)


def test_a_failed_write_leaves_the_old_file(profile: _core.Profile, tmp_path: Path) -> None:
    folder = tmp_path / "a.pstats"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        profile.write(str(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["a.pstats"]


def test_what_cannot_be_read_is_explained(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        _core.load(str(tmp_path / "missing.hyprof"))
    assert caught.value.filename == str(tmp_path / "missing.hyprof")
    (tmp_path / "text.hyprof").write_text("not a profile")
    with pytest.raises(_core.FormatError, match=r"text\.hyprof"):
        _core.load(str(tmp_path / "text.hyprof"))
    (tmp_path / "empty.hyprof").write_bytes(b"")
    with pytest.raises(_core.FormatError, match=r"empty\.hyprof"):
        _core.load(str(tmp_path / "empty.hyprof"))


def test_a_profile_is_made_by_the_core_alone(profile: _core.Profile) -> None:
    with pytest.raises(TypeError):
        _core.Profile()
    with pytest.raises(AttributeError):
        profile.extra = 1  # type: ignore[attr-defined]
    assert repr(profile).startswith("<Profile of ")
