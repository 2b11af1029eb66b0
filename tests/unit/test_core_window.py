# SPDX-License-Identifier: MIT
"""A session cut into windows: together they have what the session has, each thing once."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

RunPython = Callable[..., "CompletedProcess[str]"]

PRELUDE = """
import os, sys, threading, time
from collections import Counter
from hybridprof import _core, deep

def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: pass

def counted(n):
    return leaf(n) + 1

def leaf(n):
    return n

def paths(profile):
    'values by calling context: samples, sampled ns, calls'
    functions, nodes, found = profile.functions(), profile.nodes(), {}
    names = []
    for parent, function, calls, self_ns, total_ns, samples, measured in nodes:
        name = functions[function][0] if function >= 0 else ''
        names.append((names[parent] if parent >= 0 else ()) + (name,))
        found[names[-1]] = (samples, calls or 0)
    return found

def added(profiles):
    sums = Counter(), Counter()
    for profile in profiles:
        for path, values in paths(profile).items():
            for total, value in zip(sums, values):
                total[path] += value
    return [+total for total in sums]

def calls(profile, name):
    return sum(row[5] or 0 for row in profile.functions() if row[0] == name)
"""


def test_windows_add_up_to_the_session(run_python: RunPython) -> None:
    run_python(
        PRELUDE
        + """
counted = deep(counted)
_core.start(rate=2000)
parts = []
for n in range(6):
    for _ in range(n):
        counted(n)
    spin(0.05)
    parts.append(_core.window())
_core.stop()
parts.append(_core.window())
whole = _core.snapshot()
assert _core.window() is None and _core.windows()[:2] == (0, 0)
assert [calls(part, 'counted') for part in parts] == [0, 1, 2, 3, 4, 5, 0], [calls(part, 'counted') for part in parts]
assert [calls(part, 'leaf') for part in parts] == [0, 1, 2, 3, 4, 5, 0]
assert added(parts) == added([whole])
metas = [part.meta() for part in parts]
for key in ('kept', 'retried', 'unresolved', 'missed', 'remote'):
    assert sum(meta['samples'][key] for meta in metas) == whole.meta()['samples'][key], key
assert sum(meta['duration_ns'] for meta in metas) == whole.meta()['duration_ns']
assert sum(meta['tracing']['calls'] for meta in metas) == whole.meta()['tracing']['calls'] == 30
assert len({meta['profile_id'] for meta in metas} | {whole.meta()['profile_id']}) == 8
whole_sampled = sum(thread['sampled_ns'] for thread in whole.threads())
# Exact time is made of another clock, and what that has more of a life by some ns, sampled time has less.
assert abs(sum(thread['sampled_ns'] for part in parts for thread in part.threads()) - whole_sampled) < 10_000
assert sum(thread['measured_ns'] for part in parts for thread in part.threads()) == sum(thread['measured_ns'] for thread in whole.threads())
"""
    )


def test_each_window_has_the_errors_of_its_own_samples(run_python: RunPython) -> None:
    """Not those of all that the session has sampled so far: how uneven its gaps are is told by sums, which are cut like all others."""
    run_python(
        PRELUDE
        + """
import time
def spinning(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
def resting(seconds):
    time.sleep(seconds)
_core.start(rate=500)
parts = []
for n in range(8):
    spinning(0.05); resting(0.05)
    parts.append(_core.window())
_core.stop()
for part in parts:
    for row in part.functions():
        assert row[9] <= 10 * max(row[8], 1) + 100e6, row
    spent = sum(thread['sampled_ns'] for thread in part.threads())
    own = [row for row in part.functions() if row[0] == 'spinning']
    assert own and 0 < own[0][9] < spent, (own, spent)
"""
    )


def test_windows_merge_to_what_the_session_had(run_python: RunPython) -> None:
    run_python(
        PRELUDE
        + """
counted = deep(counted)
_core.start(rate=1000)
merge = _core.Merge()
for n in range(4):
    counted(n)
    spin(0.05)
    assert merge.add(_core.window())
_core.stop()
assert merge.add(_core.window())
merged, whole = merge.finish(), _core.snapshot()
assert calls(merged, 'counted') == calls(whole, 'counted') == 4
assert merged.meta()['samples']['kept'] == whole.meta()['samples']['kept']
"""
    )


def test_a_call_that_goes_on_across_a_cut_is_one_call_and_its_time_is_in_both(run_python: RunPython) -> None:
    run_python(
        PRELUDE
        + """
parts = []
def outer():
    leaf(1)
    spin(0.1)
    parts.append(_core.window())
    leaf(2)
    spin(0.2)
outer = deep(outer)
_core.start(rate=1000)
outer()
_core.stop()
parts.append(_core.window())
assert [calls(part, 'outer') for part in parts] == [1, 0]
assert [calls(part, 'leaf') for part in parts] == [1, 1]
exact = [sum(thread['exact_ns'] + thread['overhead_ns'] for thread in part.threads()) for part in parts]
assert exact[0] > 0.08e9 and exact[1] > 0.15e9, exact
whole = sum(thread['exact_ns'] + thread['overhead_ns'] for thread in _core.snapshot().threads())
assert abs(sum(exact) - whole) < 0.02 * whole, (exact, whole)
"""
    )


def test_sessions_that_are_replaced_leave_their_last_window(run_python: RunPython) -> None:
    run_python(
        PRELUDE
        + """
counted = deep(counted)
_core.start(rate=100)
counted(1)
assert calls(_core.window(), 'counted') == 1
_core.keep_windows(True)
counted(1); counted(1)
_core.stop()
for n in range(3):
    _core.start(rate=100)
    for _ in range(n + 3):
        counted(1)
    _core.stop()
assert _core.windows()[:2] == (3, 0)
assert [calls(_core.window(), 'counted') for _ in range(4)] == [2, 3, 4, 5]
assert _core.window() is None
for n in range(20):
    _core.start(rate=100)
    _core.stop()
assert _core.windows()[:2] == (16, 3), _core.windows()
_core.keep_windows(False)
assert _core.windows()[:2] == (0, 0)
"""
    )


def test_what_did_nothing_since_is_not_in_a_window(run_python: RunPython) -> None:
    run_python(
        PRELUDE
        + """
def early():
    counted(0)
    spin(0.05)
def in_thread():
    early()
counted = deep(counted)
_core.start(rate=1000)
counted(1)
thread = threading.Thread(target=in_thread, name='early bird')
thread.start()
thread.join()
assert _core.windows()[2] == 0
first = _core.window()
assert _core.windows()[2] >= len(first.nodes()) > 4
before = _core.status()['samples']['kept']
while _core.status()['samples']['kept'] < before + 5:
    spin(0.02)
second = _core.window()
names = lambda profile: {row[0] for row in profile.functions()}
assert {'early', 'counted', 'leaf'} <= names(first) and 'spin' in names(second)
assert not {'early', 'counted', 'leaf', 'in_thread'} & names(second), names(second)
assert [thread['name'] for thread in second.threads()] == ['MainThread'], second.threads()
assert all(row[12] > 0 for row in second.functions() if row[0] == 'spin')
"""
    )


def test_a_forked_child_has_windows_of_its_own(run_python: RunPython) -> None:
    run_python(
        PRELUDE
        + """
counted = deep(counted)
_core.start(rate=100)
counted(1)
_core.window()
counted(1)
child = os.fork()
if child == 0:
    status = 1
    try:
        assert _core.window() is None
        _core.start(rate=100)
        for _ in range(3):
            counted(1)
        assert calls(_core.window(), 'counted') == 3
        status = 0
    finally:
        os._exit(status)
assert os.waitpid(child, 0)[1] == 0
counted(1)
assert calls(_core.window(), 'counted') == 2
"""
    )


def test_files_lose_their_folders_and_the_command_line_its_words(run_python: RunPython) -> None:
    run_python(
        PRELUDE
        + """
code = compile('def far():\\n    spin(0.05)\\n', '/srv/shop/cart/total.py', 'exec')
exec(code)
code = compile('def near():\\n    spin(0.05)\\n', '/elsewhere/one.py', 'exec')
exec(code)
far = deep(far)
near = deep(near)
_core.start(rate=1000)
far(); near()
whole = _core.snapshot()
short = _core.window(roots=['/srv', '/srv/shop'], program='shop')
files = lambda profile: {row[3] for row in profile.functions()}
assert {'/srv/shop/cart/total.py', '/elsewhere/one.py'} <= files(whole)
assert {'cart/total.py', 'one.py'} <= files(short) and not any(file.startswith('/') for file in files(short)), files(short)
assert short.meta()['argv'] == ['shop'], short.meta()['argv']
assert whole.meta()['argv'] != ['shop']
again = _core.snapshot(roots=['/srv', '/srv/shop'], program='shop')  # of the same session, and so are those that follow
assert {'cart/total.py', 'one.py'} <= files(again) and again.meta()['argv'] == ['shop']
assert files(_core.snapshot()) == files(whole) and _core.snapshot().meta()['argv'] == whole.meta()['argv']
for wrong in ({'roots': [1]}, {'roots': 3}, {'program': 7}):
    for take in (_core.window, _core.snapshot):
        try:
            take(**wrong)
        except TypeError:
            pass
        else:
            raise AssertionError((take, wrong))
"""
    )


def test_threads_come_and_go_while_everything_is_traced(run_python: RunPython) -> None:
    run_python(
        PRELUDE
        + """
def recursive(n):
    return leaf(n) if n == 0 else recursive(n - 1)

def generator(n):
    for i in range(n):
        yield leaf(i)

def in_thread(n):
    for i in range(30):
        recursive(i % 7)
        sum(generator(i % 5))
        if i % 10 == 0:
            time.sleep(0.002)

_core.trace_everything(True)
_core.start(rate=2000)
parts, done = [], []
def cutting():
    while not done:
        parts.append(_core.window())
        time.sleep(0.01)
cutter = threading.Thread(target=cutting)
cutter.start()
for round in range(8):
    threads = [threading.Thread(target=in_thread, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
done.append(True)
cutter.join()
_core.stop()
parts.append(_core.window())
whole = _core.snapshot()
for name in ('in_thread', 'recursive', 'leaf', 'generator'):
    assert sum(calls(part, name) for part in parts) == calls(whole, name) > 0, name
assert calls(whole, 'in_thread') == 32
assert sum(part.meta()['samples']['kept'] for part in parts) == whole.meta()['samples']['kept']
exact = lambda profile: sum(thread['exact_ns'] + thread['overhead_ns'] for thread in profile.threads())
assert abs(sum(map(exact, parts)) - exact(whole)) < 0.02 * exact(whole) + 1e6, (sum(map(exact, parts)), exact(whole))
for part in parts:
    for thread in part.threads():
        assert thread['exact_ns'] >= 0 and thread['measured_ns'] < 60e9, thread
"""
    )
