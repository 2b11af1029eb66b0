# SPDX-License-Identifier: MIT
"""Profiles are handed over once, or again until they are; time stands still until a test moves it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hybridprof.rollout.command import Failed, run
from hybridprof.rollout.pace import Pace
from hybridprof.rollout.shipping import SCAN, Backoff, Claim, Settings, Shipper, uploader
from hybridprof.rollout.spool import Spool, name_of


class Hand:
    """An uploader that does what it is told, and its shipper."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1000.0
        self.process = self.cost = 0.0  # CPU seconds: of the program, and of each file
        self.pace = Pace(lambda: self.now, lambda: self.process)
        self.taken: list[str] = []
        self.refuse: set[str] = set()
        self.shipper = self.another()

    def another(self) -> Shipper:
        spool = Spool(str(self.folder), "shop", "web", lambda: self.now, lambda: self.now)
        backoff = Backoff(first=2.0, longest=60.0, chance=lambda: 1.0)
        settings = Settings("m:f", (), 9.0, budget=1.0)
        return Shipper(settings, lambda: spool, upload=self.upload, clock=lambda: self.now, backoff=backoff, pace=self.pace, period=3600.0)

    def upload(self, path: str, seconds: float) -> None:
        number = path.split(".p")[1].split(".")[0]
        if number in self.refuse:
            raise Failed(f"{number} is refused")
        self.pace.charge(self.cost)
        self.taken.append(number)

    def put(self, number: int, modified: float) -> Path:
        path = self.folder / name_of("shop", "web", "0", number, modified)
        path.write_bytes(b"x" * 10)
        os.utime(path, (modified, modified))
        self.shipper.nudge()
        return path

    def left(self) -> int:
        return len(list(self.folder.iterdir()))


@pytest.fixture
def hand(tmp_path: Path) -> Hand:
    return Hand(tmp_path)


def test_the_oldest_goes_first_and_each_once(hand: Hand) -> None:
    for number, modified in ((3, 30.0), (1, 10.0), (2, 20.0)):
        hand.put(number, modified)
    hand.shipper.look()
    hand.shipper.look()
    assert hand.taken == ["1", "2", "3"] and hand.left() == 0
    status = hand.shipper.status()
    assert (status["handed_over"], status["pending"], status["failures"], status["problem"]) == (3, 0, 0, "")


def test_a_full_folder_is_handed_over_within_the_budget(hand: Hand) -> None:
    """Else what a week without a network has left would be dear at once."""
    for number in (1, 2, 3):
        hand.put(number, number * 10.0)
    hand.cost = 0.1
    hand.shipper.look()
    hand.shipper.look()
    assert hand.taken == ["1"] and hand.shipper.status()["pending"] == 2
    hand.process += 10.1
    hand.shipper.look()
    assert hand.taken == ["1", "2"]
    hand.shipper.end(5.0)  # the last try waits for no budget
    assert hand.taken == ["1", "2", "3"] and hand.left() == 0


def test_what_is_not_paid_for_is_not_looked_for(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a folder of thousands costs more than a second earns, and is charged: files would wait for ever."""
    for number in (1, 2):
        hand.put(number, number * 10.0)
    hand.cost = 0.1
    hand.shipper.look()
    looked: list[int] = []
    entries = Spool.entries
    monkeypatch.setattr(Spool, "entries", lambda self: looked.append(1) or entries(self))
    for _ in range(50):
        hand.now += 1
        hand.shipper.look()
    assert looked == [] and hand.taken == ["1"]
    hand.process += 10.1
    hand.shipper.look()
    assert looked and hand.taken == ["1", "2"]


def test_after_a_failure_all_wait_longer_each_time_until_one_succeeds(hand: Hand) -> None:
    hand.refuse = {"1"}
    hand.put(1, 10.0)
    waits = []
    for _ in range(7):
        hand.shipper.look()
        waits.append(hand.shipper.status()["next_try_s"])
        hand.now += waits[-1] - 0.5
        hand.shipper.look()  # too early: no try
        hand.now += 0.5
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    status = hand.shipper.status()
    assert (status["failures"], status["pending"], status["pending_bytes"]) == (7, 1, 10)
    assert status["problem"].endswith("was not handed over: 1 is refused")
    hand.refuse.clear()
    hand.shipper.look()
    assert hand.taken == ["1"] and hand.shipper.status()["problem"] == ""
    hand.refuse = {"2"}
    hand.put(2, 10.0)
    hand.shipper.look()
    assert hand.shipper.status()["next_try_s"] == 2


def test_half_of_a_wait_is_chance() -> None:
    waits = [Backoff(8.0, 600.0).failed() for _ in range(300)]
    assert all(4.0 <= wait <= 8.0 for wait in waits) and max(waits) - min(waits) > 2.0


def test_one_that_always_fails_keeps_no_other_from_going(hand: Hand) -> None:
    hand.refuse = {"1"}
    for number in (1, 2, 3):
        hand.put(number, number * 10.0)
    for _ in range(4):
        hand.shipper.look()
        hand.now += 100
    assert hand.taken == ["2", "3"] and hand.left() == 1


def test_a_file_that_another_worker_has_is_left_to_it(hand: Hand) -> None:
    path = hand.put(1, 10.0)
    with path.open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        hand.shipper.look()
        assert hand.taken == [] and hand.shipper.status()["failures"] == 0
    hand.now += SCAN - 1
    hand.shipper.look()
    assert hand.taken == []  # the folder is not read each second
    hand.now += 1
    hand.shipper.look()
    assert hand.taken == ["1"]


def test_a_file_that_another_worker_had_is_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert not Claim(str(path)).mine
    path.write_text("one")
    first, second = Claim(str(path)), Claim(str(path))
    assert first.mine and not second.mine
    other = tmp_path / "b"
    other.write_text("two")
    inherited = os.open(path, os.O_RDONLY)
    os.replace(other, path)
    first.close()
    second.close()
    os.close(inherited)
    again = Claim(str(path))
    assert again.mine
    again.close()


def test_several_workers_hand_each_file_over_once(hand: Hand) -> None:
    for number in range(60):
        hand.put(number, float(number))
    threads = [threading.Thread(target=hand.another().look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hand.shipper.nudge()
    hand.shipper.look()  # what one had when the others looked
    assert sorted(map(int, hand.taken)) == list(range(60)) and hand.left() == 0


def test_the_end_tries_once_more_whatever_the_wait(hand: Hand) -> None:
    hand.refuse = {"1"}
    hand.put(1, 10.0)
    hand.shipper.look()
    hand.refuse.clear()
    hand.shipper.begin()
    hand.shipper.end(20.0)
    assert hand.taken == ["1"] and hand.left() == 0


def test_what_limits_took_is_counted(hand: Hand) -> None:
    hand.shipper.lost(3)
    assert hand.shipper.status()["given_up"] == 3


def test_a_folder_that_cannot_be_read_is_a_problem_and_one_that_is_not_there_is_none(hand: Hand, tmp_path: Path) -> None:
    tmp_path.rmdir()
    hand.shipper.look()
    assert (hand.shipper.status()["problem"], hand.shipper.status()["failures"]) == ("", 0)
    tmp_path.touch()
    hand.shipper.nudge()
    hand.shipper.look()
    assert "cannot be read: it is no folder" in hand.shipper.status()["problem"]


def test_nothing_is_handed_over_from_a_folder_that_everybody_writes_to(hand: Hand, tmp_path: Path) -> None:
    """Somebody else could put there what only we may read."""
    path = hand.put(1, 10.0)
    tmp_path.chmod(0o777)
    hand.shipper.nudge()
    hand.shipper.look()
    assert path.exists() and hand.shipper.status()["handed_over"] == 0
    assert "it is writable by everybody (mode 0777)" in hand.shipper.status()["problem"]


def test_a_child_starts_with_nothing_and_holds_no_lock_of_its_parent(hand: Hand) -> None:
    path = hand.put(1, 10.0)
    hand.shipper._claim = Claim(str(path))
    hand.shipper.failures = 4
    hand.shipper.after_fork_in_child()
    assert hand.shipper.status()["failures"] == 0
    claim = Claim(str(path))
    assert claim.mine
    claim.close()


# --- commands and functions ------------------------------------------------------------------------------------------------------------------


def test_a_command_has_the_path_as_its_last_word(tmp_path: Path) -> None:
    source, target = tmp_path / "a b'c", tmp_path / "out"
    source.write_text("profile")
    run(["sh", "-c", f'cat "$1" >{target}', "sh"], str(source), 60.0)
    assert target.read_text() == "profile"


FAILING = [
    (["sh", "-c", "exit 3"], "sh ended with exit status 3$"),
    (["sh", "-c", "exit 255"], "sh ended with exit status 255$"),
    (["sh", "-c", "kill -9 $$"], "sh ended with signal 9$"),
    (["sh", "-c", "kill -9 0"], "sh ended with all that it was started with$"),
    (["/nowhere/upload"], "/nowhere/upload cannot be run: No such file or directory$"),
    (["nowhere-upload"], "nowhere-upload cannot be run: No such file or directory$"),
    (["/etc/passwd"], "/etc/passwd cannot be run: Permission denied$"),
    (["exit", "0"], "exit cannot be run: No such file or directory$"),  # a word of the shell's is no program
]
BURN = [
    sys.executable,
    "-S",
    "-c",
    "import sys, time\nend = time.process_time() + float(sys.argv[1])\nwhile time.process_time() < end: pass",
]


@pytest.mark.parametrize(("command", "sentence"), FAILING)
def test_a_command_that_fails_says_how(command: list[str], sentence: str) -> None:
    with pytest.raises(Failed, match=sentence):
        run(command, "path", 60.0)


def test_what_a_command_costs_is_charged(tmp_path: Path) -> None:
    """With what it starts and waits for; whether it succeeds, fails or hangs."""
    charged: list[float] = []
    burn = [*BURN, "0.2"]
    upload = uploader(Settings(command=("sh", "-c", '"$@"; exit', "sh", *burn)), charged.append)
    upload("path", 60.0)
    with pytest.raises(Failed, match="exit status 3"):
        uploader(Settings(command=("sh", "-c", '"$@"; exit 3', "sh", *burn)), charged.append)("path", 60.0)
    assert len(charged) == 2 and all(0.2 <= each < 5.0 for each in charged)
    hangs = ("sh", "-c", f'"$@"; echo >{tmp_path}/burnt; read x <{tmp_path}/pipe', "sh", *burn)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Failed, match="was killed"):
        uploader(Settings(command=hangs), charged.append)("path", 5.0)
    assert not (tmp_path / "burnt").exists() or charged[2] >= 0.2
    assert len(charged) == 3


def reap_all(signum: int, frame: object) -> None:
    """As servers of processes do."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


@pytest.fixture(params=[signal.SIG_IGN, reap_all], ids=["ignored", "reaped"])
def lost(request: pytest.FixtureRequest) -> Iterator[None]:
    """Exit statuses of children are lost: the program ignores SIGCHLD, or is quicker."""
    before = signal.signal(signal.SIGCHLD, request.param)
    yield
    signal.signal(signal.SIGCHLD, before)


def test_how_a_command_ended_is_known_where_the_program_reaps_every_child(lost: None) -> None:
    for _ in range(3):
        run(["true"], "path", 60.0)
        for command, sentence in FAILING:
            with pytest.raises(Failed, match=sentence):
                run(command, "path", 60.0)


def test_a_file_stays_when_its_command_fails_where_the_program_reaps_every_child(hand: Hand, lost: None) -> None:
    hand.shipper._upload = uploader(Settings(command=("sh", "-c", "exit 3")))
    path = hand.put(1, 10.0)
    hand.shipper.look()
    assert path.exists() and hand.shipper.status()["problem"].endswith("sh ended with exit status 3")
    assert (hand.shipper.handed_over, hand.shipper.failures) == (0, 1)
    hand.shipper._upload = uploader(Settings(command=("true",)))
    hand.now += 10
    hand.shipper.look()
    assert not path.exists() and hand.shipper.handed_over == 1


def test_what_a_command_costs_is_charged_where_the_program_reaps_every_child(lost: None) -> None:
    charged: list[float] = []
    run([*BURN, "0.2"], "path", 60.0, charged.append)
    assert len(charged) == 1 and 0.15 <= charged[0] < 5.0  # the shell counts in hundredths


def test_a_command_can_wait_for_its_own_children_where_the_program_ignores_them(lost: None) -> None:
    run([sys.executable, "-S", "-c", "import signal, sys; sys.exit(signal.getsignal(signal.SIGCHLD) != signal.SIG_DFL)"], "path", 60.0)


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
def test_a_command_that_hangs_is_killed_with_all_it_started(tmp_path: Path, stubborn: str) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(Failed, match="took longer than 1 s and was killed"):
        run(["sh", "-c", f"{stubborn}sleep 600 & echo $! >{pids}; wait", "sh"], "path", 1.0)
    child = int(pids.read_text())
    for _ in range(200):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        threading.Event().wait(0.02)
    pytest.fail(f"process {child} still runs")


def test_a_fork_at_the_wrong_moment_does_not_keep_a_command_from_having_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child of the program that holds what the command's end is told by."""
    held: list[int] = []
    begin = subprocess.Popen._execute_child  # type: ignore[attr-defined]

    def forking(self: object, *rest: object) -> None:
        held.append(os.dup(int(str(rest[13]))))  # the end that is written to
        begin(self, *rest)

    run(["true"], "path", 60.0)
    monkeypatch.setattr(subprocess.Popen, "_execute_child", forking)
    run(["true"], "path", 60.0)
    for each in held:
        os.close(each)
    assert held


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "uploader_of_a_test"
    (tmp_path / f"{name}.py").write_text(
        "import threading\n"
        "seen, may_go = [], threading.Event()\n"
        "def upload(path): seen.append(path)\n"
        "def refuse(path): raise ValueError('not today')\n"
        "def leave(path): raise SystemExit(3)\n"
        "def hang(path): may_go.wait(60)\n"
        "class Bucket:\n"
        "    @staticmethod\n"
        "    def put(path): seen.append('bucket ' + path)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    if name in sys.modules:
        sys.modules[name].may_go.set()
        del sys.modules[name]


def test_a_function_is_called_with_the_path(module: str) -> None:
    uploader(Settings(f"{module}:upload"))("one", 60.0)
    uploader(Settings(f"{module}:Bucket.put"))("two", 60.0)
    assert sys.modules[module].seen == ["one", "bucket two"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("refuse", "raised ValueError: not today"),
        ("leave", "raised SystemExit: 3"),
        ("missing", "raised AttributeError"),
        ("seen", "raised TypeError: it is no function but list"),
    ],
)
def test_a_function_that_fails_says_how(module: str, name: str, sentence: str) -> None:
    with pytest.raises(Failed, match=sentence):
        uploader(Settings(f"{module}:{name}"))("path", 60.0)


def test_a_module_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(Failed, match="raised ModuleNotFoundError"):
        uploader(Settings("no_such_module:f"))("path", 60.0)


def test_a_function_that_hangs_is_left_alone_and_not_called_beside_itself(module: str) -> None:
    upload = uploader(Settings(f"{module}:hang"))
    with pytest.raises(Failed, match=r"took longer than 0\.1 s"):
        upload("path", 0.1)
    with pytest.raises(Failed, match="still has not returned from an earlier call"):
        upload("path", 0.1)
    sys.modules[module].may_go.set()
    for _ in range(500):
        try:
            upload("path", 30.0)
            break
        except Failed:
            threading.Event().wait(0.02)
    else:
        pytest.fail("it is never called again")
