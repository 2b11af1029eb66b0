# SPDX-License-Identifier: MIT
"""Workers of multiprocessing, however they are started, profile themselves and leave their last file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import hybridprof
from hybridprof.rollout.buckets import is_member

RunPython = Callable[..., "CompletedProcess[str]"]

PROGRAM = """
import multiprocessing, os, time
import hybridprof
from hybridprof.integrations.multiprocessing import install

install()
install()

def work(n):
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        sum(range(100))
    return os.getpid()

if __name__ == "__main__":
    hybridprof.start()
    context = multiprocessing.get_context({method!r})
    workers = [context.Process(target=work, args=(n,)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    print(*[worker.pid for worker in workers])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_worker_leaves_a_file(run_python: RunPython, tmp_path: Path, method: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.format(method=method))
    config = tmp_path / "config.toml"
    config.write_text(f"stage = 'fleet'\noutput_dir = '{tmp_path / 'out'}'\n[sampler]\nrate = 1000\n")
    config.chmod(0o600)
    starter = (
        "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"  # they import the main module by its path
    )
    done = run_python(starter, tmp_path / "program.py", env={"HYBRIDPROF_CONFIG": str(config)})
    workers = {int(pid) for pid in done.stdout.split()}
    profiles = [hybridprof.load(path) for path in (tmp_path / "out").iterdir()]
    assert workers <= {profile.meta["pid"] for profile in profiles}
    for profile in profiles:
        if profile.meta["pid"] in workers:
            assert sum(row.samples for row in profile.functions if row.name == "work") > 0


SLOTS = """
import json, multiprocessing, os, sys, time
import hybridprof
from hybridprof.integrations.multiprocessing import install

install()

def nested(queue):
    queue.put(seen())

def seen():
    status = hybridprof.status()
    return [status["slot"], status["members"]["process"], status["runs"]["sampler"], status["crashes"]["guarded"]]

def work(queue, context):
    queue.put(seen())
    child = multiprocessing.get_context(context).Process(target=nested, args=(queue,))
    child.start()
    child.join()

if __name__ == "__main__":
    hybridprof.start()
    context = multiprocessing.get_context({method!r})
    queue = context.Queue()
    workers = [context.Process(target=work, args=(queue, {method!r})) for n in range(3)]
    for worker in workers:
        worker.start()
    found = [queue.get() for _ in range(6)]
    for worker in workers:
        worker.join()
    print(json.dumps([seen(), *sorted(found)]))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_worker_has_a_slot_of_its_own(run_python: RunPython, tmp_path: Path, method: str) -> None:
    """So that a share of processes is one of workers too. The main process is 0; that a parent ends its workers by a signal is no crash."""
    (tmp_path / "program.py").write_text(SLOTS.format(method=method))
    config, state = tmp_path / "config.toml", tmp_path / "state"
    state.mkdir(mode=0o700)
    config.write_text(f"stage = 'canary'\nstate_dir = '{state}'\n[rollout]\nhosts = 1.0\nprocesses = 0.5\n")
    config.chmod(0o600)
    starter = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"
    done = run_python(starter, tmp_path / "program.py", env={"HYBRIDPROF_CONFIG": str(config)})
    found = json.loads(done.stdout)
    assert [slot for slot, *_ in found] == ["0", "1", "1-1", "2", "2-1", "3", "3-1"]
    members = [is_member("process", slot, 0.5) for slot, *_ in found]
    assert {True, False} == set(members[1:]) and [[member, samples] for _, member, samples, _ in found] == [
        [each, each] for each in members
    ]
    assert [guarded for *_, guarded in found] == [True] + [False] * 6
