# SPDX-License-Identifier: MIT
"""Shows a file to KCachegrind and writes down the cells of its lists, read through accessibility (AT-SPI).

    dbus-run-session -- /usr/bin/python3 kcachegrind.py FILE OUT LIST...

LIST is "functions" or "source". OUT gets JSON: for each its rows of five cells. Started by desktop.py, which gives it a screen and a home
folder, with the system's interpreter, which has Debian's gi; only its D-Bus is needed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from gi.repository import Gio, GLib

JOINING = 45  # seconds from the start until it has a window and is on the bus: one that is not by then never is, and another is asked
PATIENCE = 150  # until its lists are there
ANSWER = 100  # seconds for one answer: 20,000 rows are one
AT_ONCE = 400  # questions on their way
LOOKED_AT = 100  # rows that are read twice
A11Y = "org.a11y.atspi"
ROOT = f"/{A11Y.replace('.', '/')}/accessible/root"
STARTED = time.monotonic()
LAST_COLUMN = {"functions": "Location", "source": "Source"}
Question = tuple[str, str, str, "GLib.Variant | None"]  # path, interface, member, arguments


def until(what: str, found: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The first answer that is true. While the program is busy it has none."""
    while time.monotonic() < STARTED + patience:
        try:
            if answer := found():
                return answer
        except GLib.Error:
            pass
        time.sleep(0.05)
    raise SystemExit(f"waited {patience} seconds for {what}")


class Program:
    """KCachegrind's side of the accessibility bus. Many questions are sent before the first answer is waited for."""

    def __init__(self) -> None:
        session = Gio.bus_get_sync(Gio.BusType.SESSION)
        (address,) = session.call_sync("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress", None, None, 0, 1000 * ANSWER).unpack()
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        self._bus = Gio.DBusConnection.new_for_address_sync(address, flags)
        self._name = f"{A11Y}.Registry"
        ((self._name, self.path),) = until("KCachegrind to join the accessibility bus", lambda: self.children([ROOT])[0], JOINING)

    def ask(self, questions: list[Question]) -> list[Any]:
        answers: list[Any] = []
        for begin in range(0, len(questions), AT_ONCE):
            answers += self._ask_some(questions[begin : begin + AT_ONCE])
        return answers

    def _ask_some(self, questions: list[Question]) -> list[Any]:
        answers: list[Any] = [None] * len(questions)
        left, loop = len(questions), GLib.MainLoop()

        def done(bus: Gio.DBusConnection, result: Gio.AsyncResult, index: int) -> None:
            nonlocal left
            try:
                answers[index] = bus.call_finish(result).unpack()[0]
            except GLib.Error as error:
                answers[index] = error
            left -= 1
            if left == 0:
                loop.quit()

        for index, (path, interface, member, arguments) in enumerate(questions):
            self._bus.call(self._name, path, interface, member, arguments, None, 0, 1000 * ANSWER, None, done, index)
        loop.run()
        for answer in answers:
            if isinstance(answer, GLib.Error):
                raise answer
        return answers

    def properties(self, paths: list[str], interface: str, name: str) -> list[Any]:
        arguments = GLib.Variant("(ss)", (f"{A11Y}.{interface}", name))
        return self.ask([(path, "org.freedesktop.DBus.Properties", "Get", arguments) for path in paths])

    def children(self, paths: list[str]) -> list[list[tuple[str, str]]]:
        return self.ask([(path, f"{A11Y}.Accessible", "GetChildren", None) for path in paths])

    def tables(self) -> dict[tuple[str, ...], str]:
        """The program's lists by their columns' titles. Nothing beneath a list is looked at: a cell of it is an object too."""
        found: dict[tuple[str, ...], str] = {}
        todo = [self.path]
        while todo:
            interfaces = self.ask([(path, f"{A11Y}.Accessible", "GetInterfaces", None) for path in todo])
            lists = [path for path, offered in zip(todo, interfaces, strict=True) if f"{A11Y}.Table" in offered]
            found.update((self._titles(path), path) for path in lists)
            todo = [path for each in self.children([path for path in todo if path not in lists]) for _, path in each]
        return found

    def _titles(self, path: str) -> tuple[str, ...]:
        (columns,) = self.properties([path], "Table", "NColumns")
        return tuple(self.ask([(path, f"{A11Y}.Table", "GetColumnDescription", GLib.Variant("(i)", (at,))) for at in range(columns)]))

    def rows(self, path: str, at_most: int | None = None) -> list[list[str]]:
        (columns,) = self.properties([path], "Table", "NColumns")
        (cells,) = self.children([path])  # row by row, those of the heading first
        end = None if at_most is None else (at_most + 1) * columns
        texts = self.properties([cell for _, cell in cells[columns:end]], "Accessible", "Name")
        return [texts[at : at + columns] for at in range(0, len(texts), columns)]


def shown(program: Program, names: list[str]) -> dict[str, list[list[str]]]:
    """These lists, once they are filled and fill no more: it loads the file, and then updates one view after the other."""

    def places() -> list[str]:
        last = {titles[-1]: path for titles, path in program.tables().items() if len(titles) == 5}
        return [last[LAST_COLUMN[name]] for name in names] if all(LAST_COLUMN[name] in last for name in names) else []

    lists = until("KCachegrind's lists", places)
    counts: list[list[int]] = []

    def steady() -> bool:
        counts.append(program.properties(lists, "Table", "NRows"))
        return 0 not in counts[-1] and counts[-4:] == [counts[-1]] * 4

    while True:  # it may show another event in as many rows: what was updated meanwhile is read again
        until("their rows", steady)
        found = [program.rows(path) for path in lists]
        again = [program.rows(path, LOOKED_AT) for path in lists]
        counts.append(program.properties(lists, "Table", "NRows"))
        if [len(rows) for rows in found] == counts[-1] and [rows[:LOOKED_AT] for rows in found] == again:
            return dict(zip(names, found, strict=True))


def main(trace: str, out: str, *names: str) -> None:
    # Qt looks for the accessibility bus when it starts, and joins reliably only one that comes later: so first its window.
    process = subprocess.Popen(["kcachegrind", trace], cwd="/")
    try:
        window = ["xdotool", "search", "--onlyvisible", "--pid", str(process.pid), "--name", "."]
        until("KCachegrind's window", lambda: process.poll() is not None or subprocess.run(window, capture_output=True).stdout, JOINING)
        if process.poll() is not None:
            raise SystemExit("KCachegrind ended")
        answer = shown(Program(), list(names))
    finally:
        process.kill()  # it has nothing to save, and a question about it would wait for an answer
        process.wait()
    with open(out, "w", encoding="utf-8") as file:
        json.dump(answer, file)


main(*sys.argv[1:])
