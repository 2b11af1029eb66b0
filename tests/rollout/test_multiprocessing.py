# SPDX-License-Identifier: MIT
"""Workers of multiprocessing, however they are started, profile themselves and leave their last file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import hybridprof

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
