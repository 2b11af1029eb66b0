# SPDX-License-Identifier: MIT
"""A real Celery worker with its prefork pool; a folder is its broker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from conftest import clean_environment, wheel

import hybridprof

wheel("celery")

TASKS = """
import os
from celery import Celery
from hybridprof.integrations.celery import profile

folder = os.path.dirname(os.path.abspath(__file__))
app = Celery("shop", broker="filesystem://", backend="file://" + folder + "/results", task_cls="hybridprof.integrations.celery:Task")
app.conf.update(
    broker_transport_options={"data_folder_in": folder + "/queue", "data_folder_out": folder + "/queue", "control_folder": folder + "/control"},
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)
profile()
profile()

def price(item):
    return item * 2

@app.task(name="shop.total")
def total(items):
    return sum(price(item) for item in range(items))
"""

PATIENCE = 60.0  # seconds


def test_tasks_are_traced_beneath_their_names_and_each_process_writes(tmp_path: Path) -> None:
    for name in ("queue", "results", "control"):
        (tmp_path / name).mkdir()
    (tmp_path / "tasks.py").write_text(TASKS)
    config = tmp_path / "config.toml"
    config.write_text(
        f"stage = 'deep'\noutput_dir = '{tmp_path / 'out'}'\n[deep]\ntargets = ['nowhere:f']\n[rollout]\nrequests = 1.0\n[caps]\nrequests = 1.0\n[output]\ninterval = 1\n"
    )
    config.chmod(0o600)
    environment = clean_environment(HYBRIDPROF_CONFIG=str(config), PYTHONPATH=str(tmp_path))
    log = tmp_path / "worker.log"
    command = [
        sys.executable,
        "-P",
        "-m",
        "celery",
        "-A",
        "tasks",
        "worker",
        "-P",
        "prefork",
        "-c",
        "2",
        "--without-gossip",
        "--without-mingle",
        "-l",
        "info",
    ]
    with log.open("wb") as output:
        worker = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_for(lambda: " ready." in log.read_text(), log)
        caller = "from tasks import total\nprint([each.get(timeout=50) for each in [total.delay(n) for n in range(10, 14)]])"
        environment.pop("HYBRIDPROF_CONFIG")
        done = subprocess.run(
            [sys.executable, "-P", "-c", caller], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.stdout.strip() == "[90, 110, 132, 156]", done.stderr[-2000:] + log.read_text()[-2000:]
        worker.send_signal(signal.SIGTERM)
        worker.wait(PATIENCE)
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
    profiles = [hybridprof.load(path) for path in (tmp_path / "out").glob("*.hyprof")]
    assert len({profile.meta["pid"] for profile in profiles} - {worker.pid}) == 2
    slots = {path.name.split(".")[1] for path in (tmp_path / "out").glob("*.hyprof") if f".p{worker.pid}." not in path.name}
    assert slots == {"s0", "s1"}  # of the pool's processes
    rows = [row for profile in profiles for row in profile.functions]
    assert sum(row.calls or 0 for row in rows if row.kind == "block" and row.name == "shop.total") == 4
    assert sum(row.calls or 0 for row in rows if row.name == "price") == 10 + 11 + 12 + 13


def wait_for(condition: object, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.1)
