# SPDX-License-Identifier: MIT
"""A real prefork service through the stages of a rollout, and what goes wrong in production."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from conftest import wheel
from rollout.service import Service

wheel("gunicorn")

FLEET = "stage = 'fleet'\n[output]\ninterval = 1\n"
DEEP = """stage = 'deep'
deep.targets = ['shop:checkout']
deep.rate = 1.0
deep.budget = '10%'
caps.deep_rate = 1.0
output.interval = 1
"""


def test_a_rollout_from_nothing_to_targets_and_back_without_a_restart(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.configure("stage = 'dark'\n")
    with service:
        workers = set(service.states())
        assert service.everywhere(lambda state: not state["status"]["running"] and state["status"]["stage"] == "dark")
        assert not service.output.exists()

        service.configure(FLEET)
        service.until(lambda: service.everywhere(lambda state: state["status"]["running"]), "the sampler runs everywhere")
        service.until(lambda: all(service.files(pid) for pid in workers), "each worker has written its own file")
        assert {state["status"]["in_force"]["stage"]["value"] for state in service.states().values()} == {"fleet"}

        service.configure(DEEP)
        service.until(lambda: service.everywhere(lambda state: state["targets"] == 1), "the target is armed")
        for _ in range(20):
            assert service.get() == 380
        service.until(lambda: sum(state["calls"] for state in service.states().values()) > 0, "calls are counted")

        service.configure("stage = 'off'\n")
        service.until(
            lambda: service.everywhere(lambda state: not state["status"]["running"] and state["targets"] == 0 and not state["armed"]),
            "nothing is left",
        )
        assert set(service.states()) == workers
    pids = {profile.meta["pid"] for profile in service.profiles()}
    assert pids == workers
    counted = sum(row.calls or 0 for profile in service.profiles() for row in profile.functions if row.name == "checkout")
    assert counted == 20  # every call once, in whatever file


@pytest.mark.timing
def test_a_change_is_in_force_within_five_seconds(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.configure("stage = 'dark'\n")
    with service:
        for stage, running in (("fleet", True), ("off", False)):
            began = time.monotonic()
            service.configure(f"stage = '{stage}'\n")
            service.until(lambda wanted=running: service.everywhere(lambda state: state["status"]["running"] == wanted), stage)  # type: ignore[misc]
            assert time.monotonic() - began < 5.0


def test_a_kill_file_ends_everything_and_leaves_nothing_armed(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.configure(DEEP)
    with service:
        service.until(lambda: service.everywhere(lambda state: state["status"]["running"] and state["targets"] == 1), "it is traced")
        service.get()
        service.kill_file.touch()
        service.until(lambda: service.everywhere(lambda state: not state["status"]["running"]), "nothing runs")
        states = service.states()
        assert not any(state["armed"] or state["targets"] for state in states.values())
        assert all(state["status"]["why"] == f"kill file {service.kill_file} exists" for state in states.values())
        service.until(lambda: all(service.files(pid) for pid in states), "what was measured is written all the same")
        assert service.get() == 380
        service.kill_file.unlink()
        service.until(lambda: service.everywhere(lambda state: state["status"]["running"]), "it runs again")


def test_a_worker_that_is_killed_leaves_whole_files_and_its_slot(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.configure(FLEET)
    with service:
        victim = min(service.states())
        service.until(lambda: len(service.files(victim)) >= 2, "the victim has written")
        os.kill(victim, signal.SIGKILL)
        service.until(lambda: len(set(service.states()) - {victim}) == 2 and victim not in service.states(), "another takes its place")
        left = service.profiles(victim)
        assert len(left) >= 2 and all(not [each for each in profile.meta["warnings"] if "cut short" in each] for profile in left)
        successor = max(service.states())
        service.until(lambda: bool(service.files(successor)), "the new one writes")
        slots = {pid: service.files(pid)[0].name.split(".s")[1].split(".")[0] for pid in (victim, *service.states()) if service.files(pid)}
        assert slots[successor] == slots[victim] and sorted({slots[pid] for pid in service.states() if pid in slots}) == ["0", "1"]


def test_a_configuration_that_flaps_harms_nobody(tmp_path: Path) -> None:
    service = Service(tmp_path)
    texts = [
        FLEET,
        "stage = 'off'\n",
        "stage = \n",
        DEEP,
        "stage = 'fleet'\n[sampler]\nclock = 'cpu'\n[output]\ninterval = 1\n",
        "nonsense = 1\n",
    ]
    service.configure(FLEET)
    with service:
        workers = set(service.states())
        for text in texts * 2:
            service.configure(text)
            assert service.get() == 380
            time.sleep(0.35)
        service.configure(FLEET)
        service.until(
            lambda: service.everywhere(
                lambda state: (
                    state["status"]["running"]
                    and state["status"]["stage"] == "fleet"
                    and state["status"]["clock"] == "wall"
                    and not state["status"]["config_errors"]
                )
            ),
            "the last one counts",
        )
        assert set(service.states()) == workers
        assert all(state["status"]["output"]["lost"] == 0 and state["status"]["problem"] == "" for state in service.states().values())
    assert {profile.meta["clock"] for profile in service.profiles()} <= {"wall", "cpu"} and service.profiles()


def test_a_full_disk_is_said_and_harms_nobody(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: each write beyond it fails, as one to a full disk does."""
    service = Service(tmp_path, FILE_LIMIT="100")
    service.configure(FLEET)
    with service:
        service.until(lambda: service.everywhere(lambda state: state["status"]["output"]["failures"] >= 2), "it is noticed")
        for state in service.states().values():
            output = state["status"]["output"]
            assert output["written"] == 0 and "File too large" in output["problem"] and state["status"]["running"]
        assert service.get() == 380
        assert service.files() == [] and list(service.output.iterdir()) == []  # nothing half written either
        service.until(lambda: service.everywhere(lambda state: state["status"]["output"]["lost"] >= 1), "what cannot wait is counted")
    assert "Traceback" not in service.log.read_text()


def test_the_end_of_the_service_writes_the_last_files(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.configure("stage = 'fleet'\n")
    with service:
        workers = set(service.states())
        assert service.files() == []  # a minute is not over
    assert {profile.meta["pid"] for profile in service.profiles()} == workers
    assert "Traceback" not in service.log.read_text()
