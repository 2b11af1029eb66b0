# SPDX-License-Identifier: MIT
"""Runs KCachegrind, the desktop program, and reads its lists back: see readers.py; kcachegrind.py does the looking."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from clients.expected import Numbers, Shown, Steps
from clients.readers import show

DEBIAN_PYTHON = "/usr/bin/python3"  # the one that Debian's gi belongs to
TRIES = 3
PATIENCE = 450  # seconds for one; it gives up by itself before that
KCACHEGRIND_STEPS = Steps()


@dataclass
class Lists:
    functions: list[list[str]]  # Incl., Self, Called, Function, Location
    source: list[list[str]] = field(default_factory=list)  # number of line, cost, second cost, arrows, text

    def table(self) -> Shown:
        """By (function, location). What nothing calls has a (0), and a cycle no number of calls."""
        found: Shown = {}
        for inclusive, own, called, function, location in self.functions:
            if location:  # the last row may say how many are not shown
                calls = None if called == "-" else number(called.strip("()"))
                show(found, (function, location), Numbers(number(own), number(inclusive), calls, None))
        return found

    def called(self, function: str) -> str:
        (cell,) = [row[2] for row in self.functions if row[3] == function]
        return cell


def number(cell: str) -> int:
    """Digits are grouped by spaces."""
    return int(cell.replace(" ", ""))


def write_configuration(home: Path, general: dict[str, object], event: str, source_of: str) -> None:
    """event: name of the one to show first; source_of: function whose source is shown. Empty: what KCachegrind takes."""
    groups: dict[str, dict[str, object]] = {"GeneralSettings": general, "TipOfDay": {"RunOnStart": "false"}}
    if event:
        groups["CurrentState"] = {"EventType": event}
    groups["MainView-TabView-1"] = {"ActiveTop": "SourceView"}
    if source_of:
        groups["MainView-TabView-1"] |= {"ActiveItemType": "Function", "ActiveItemName": source_of}
    (home / ".config").mkdir(parents=True)
    lines = [f"[{group}]\n" + "".join(f"{key}={value}\n" for key, value in entries.items()) for group, entries in groups.items()]
    (home / ".config" / "kcachegrindrc").write_text("\n".join(lines), encoding="utf-8")


def lists(
    path: Path,
    home: Path,
    *,
    event: str = "",
    source_of: str = "",
    cycles: bool = False,
    percentages: bool = False,
    at_most: int = 200_000,
) -> Lists:
    """cycles: whether cycles are detected; at_most: functions that are listed."""
    general = {"ShowPercentage": str(percentages).lower(), "ShowCycles": str(cycles).lower(), "MaxListCount": at_most}
    write_configuration(home, general, event, source_of)
    out = home / "lists.json"
    driver = [DEBIAN_PYTHON, str(Path(__file__).with_name("kcachegrind.py")), str(path), str(out), "functions"]
    command = ["dbus-run-session", "--", *driver, *(["source"] if source_of else [])]
    # On a busy machine now and then a program does not join the accessibility bus, or never answers there: then another one is asked.
    complaints = [complaint for _ in range(TRIES) if not out.exists() and (complaint := shown(command, home))]
    assert out.exists(), complaints
    return Lists(**json.loads(out.read_text(encoding="utf-8")))


def shown(command: list[str], home: Path) -> str:
    """What it complained of; nothing where all went well."""
    # The daemons that it starts hold on to whatever they inherit, so that a pipe would never end. Their sockets want a short path.
    with screen() as name, tempfile.TemporaryDirectory(prefix="kc", ignore_cleanup_errors=True) as runtime, (home / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=environment_of(home, name, runtime),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            status = process.wait(PATIENCE)
        finally:  # whatever daemon is left of the session would look for its screen again and again
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return (home / "log").read_text(errors="replace")[-1000:] if status else ""


@contextmanager
def screen() -> Iterator[str]:
    """One for each run, which stays as it is when its first client goes: at-spi notes the address of its bus on the screen, and a second program would be led to a dead one."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1600x1200x24", "-nolisten", "tcp", "-noreset"]
    process = subprocess.Popen(command, pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            yield f":{told.readline().strip()}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def environment_of(home: Path, display: str, runtime: str) -> dict[str, str]:
    ours = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_RUNTIME_DIR": runtime,
        "DISPLAY": display,
        "LC_ALL": "C.UTF-8",
        "QT_QPA_PLATFORM": "xcb",
        "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
    }
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DBUS_", "AT_SPI_", "WAYLAND_"))} | ours


def runs_gi() -> bool:
    return Path(DEBIAN_PYTHON).exists() and subprocess.run([DEBIAN_PYTHON, "-c", "import gi"], capture_output=True).returncode == 0
