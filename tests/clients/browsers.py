# SPDX-License-Identifier: MIT
"""Drives the clients that are written in JavaScript, and reads their tables: see readers.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clients.expected import Numbers, Shown, UnitSteps
from clients.readers import show

PATIENCE = 150  # seconds
AT_ONCE = 6  # commands


def node(modules: Path) -> str:
    """The one that the lock file brought along, where the machine's own is too old."""
    return str(next(modules.glob("node-linux-*/bin/node"), "node"))


# --- speedscope's published schema --------------------------------------------------------------------------------------------------

VALIDATE = """
const [modules, ...files] = process.argv.slice(1);
const { readFileSync } = require("fs"), { join } = require("path"), Ajv = require(join(modules, "ajv"));
const validate = new Ajv().compile(JSON.parse(readFileSync(join(modules, "speedscope/dist/release/file-format-schema.json"))));
const wrong = files.filter((file) => !validate(JSON.parse(readFileSync(file))));
if (wrong.length) { console.error(wrong.join(" "), validate.errors); process.exit(1); }
"""


def validate(modules: Path, files: list[Path]) -> None:
    done = subprocess.run([node(modules), "-e", VALIDATE, str(modules), *map(str, files)], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


# --- speedscope's app ---------------------------------------------------------------------------------------------------------------

CELL = re.compile(r"([\d.,]+)(ns|\u00b5s|ms|s|) \([<>\d.]+%\)$")
UNITS = {"": 1, "ns": 1, "\u00b5s": 1e3, "ms": 1e6, "s": 1e9}  # collapsed stacks have no unit
SPEEDSCOPE_STEPS = UnitSteps(relative=1e-2)
SPEEDSCOPE_FOLDED = 1e-4  # of all: a call of less is not looked into, where what it reads are calls (callgrind) and not stacks


def cell_ns(text: str) -> float:
    match = CELL.match(text)
    assert match, f"speedscope shows {text!r}"
    return float(match[1].replace(",", "")) * UNITS[match[2]]


Box = tuple[str, float]  # a function's name and ns


class Speedscope:
    """One Chromium for all files."""

    def __init__(self, modules: Path, chromium: str) -> None:
        driver = Path(__file__).with_name("speedscope.cjs")
        self._process = subprocess.Popen(
            [node(modules), str(driver), str(modules), chromium], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=PATIENCE)

    def _ask(self, path: Path, **question: object) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"file": str(path), **question}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"errors": ["the driver died"]}')
        assert answer["errors"] == [], answer["errors"]
        return answer

    def tables(self, path: Path) -> dict[str, Shown]:
        """The sandwich table of each profile, by the profile's name; keys are (symbol, file in the tooltip)."""
        found: dict[str, Shown] = {}
        for profile in self._ask(path)["profiles"]:
            table = found.setdefault(profile["name"], {})
            for total, own, symbol, file in profile["rows"]:
                show(table, (symbol, file), Numbers(cell_ns(own), cell_ns(total), None, None))
        return found

    def time_order(self, path: Path, columns: int) -> tuple[str, dict[str, list[list[Box]]]]:
        """Which profile is shown first; and of those with a timeline what "Time Order" draws in the middle of each column, from the top on."""
        answer = self._ask(path, ending=", in the order of time", columns=columns)
        drawn = {
            profile["name"]: [[(name, cell_ns(weight)) for weight, name in boxes] for boxes in profile["columns"]]
            for profile in answer["profiles"]
        }
        return answer["first"], drawn


# --- Firefox Profiler's own reader --------------------------------------------------------------------------------------------------


class FirefoxProfiler:
    """profiler-cli: the web app's code for reading and summing, as a daemon that holds one file, and commands that ask it."""

    def __init__(self, modules: Path, folder: Path, path: Path) -> None:
        self._command = [node(modules), str(modules / "@firefox-devtools/profiler-cli/dist/profiler-cli.js")]
        self._environment = {**os.environ, "PROFILER_CLI_SESSION_DIR": str(folder / "sessions")}
        self._load(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._start("stop", "--all").communicate(timeout=PATIENCE)

    def _load(self, path: Path) -> None:
        """The command waits for its daemon for half a second only; the daemon goes on, and a busy machine may need longer."""
        process = self._start("load", str(path), "--session", "s")
        _, complaint = process.communicate(timeout=PATIENCE)
        for _ in range(10 * PATIENCE):
            if process.returncode == 0:
                return
            assert "did not become ready" in complaint or process.args[-3] == "status", complaint
            time.sleep(0.1)
            process = self._start("status", "--session", "s")
            _, complaint = process.communicate(timeout=PATIENCE)
        raise AssertionError(complaint)

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, *arguments], env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def _answers(self, *questions: list[str]) -> list[Any]:
        """Some at once: each command waits more than it works."""
        answers = []
        for begin in range(0, len(questions), AT_ONCE):
            asked = [self._start(*question, "--json", "--session", "s") for question in questions[begin : begin + AT_ONCE]]
            for process in asked:
                text, complaint = process.communicate(timeout=PATIENCE)
                assert process.returncode == 0, complaint
                answers.append(json.loads(text))
        return answers

    def threads(self, count: int) -> tuple[list[Shown], list[dict[str, float]]]:
        """Of each thread every function; and, of the first, ns by the first word of the category: exact, sampled. Times are ms."""
        asked = (("functions", count), ("samples", min(count, AT_ONCE)))
        questions = [["thread", what, "--thread", f"t-{i}", "--include-idle"] for what, first in asked for i in range(first)]
        answers = self._answers(*([*question, "--limit", "0"] if "functions" in question else question for question in questions))
        tables = []
        for answer in answers[:count]:
            tables.append(self._table(answer))
        return tables, [self._kinds(answer) for answer in answers[count:]]

    def windows(self, thread: int, windows: list[tuple[float, float]]) -> list[Shown]:
        """Every function of one thread in each window of time, ms: what begins in it."""
        tables = []
        for begin, end in windows:
            self._answers(["zoom", "push", f"{begin}ms,{end}ms"])
            (answer,) = self._answers(["thread", "functions", "--thread", f"t-{thread}", "--include-idle", "--limit", "0"])
            tables.append(self._table(answer))
            self._answers(["zoom", "clear"])
        return tables

    def totals(self, thread: int) -> dict[str, Decimal]:
        """Of every function in ns, by the digits that it prints."""
        process = self._start(
            "thread", "functions", "--thread", f"t-{thread}", "--limit", "0", "--include-idle", "--json", "--session", "s"
        )
        text, complaint = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, complaint
        rows = json.loads(text, parse_float=Decimal, parse_int=Decimal)["functions"]
        return {row["nameWithLibrary"]: row["totalSamples"] * 10**6 for row in rows}

    def _table(self, answer: Any) -> Shown:
        assert answer["weightType"] == "tracing-ms"
        table: Shown = {}
        for row in answer["functions"]:
            show(table, row["nameWithLibrary"], Numbers(row["selfSamples"] * 1e6, row["totalSamples"] * 1e6, None, None))
        return table

    def _kinds(self, answer: Any) -> dict[str, float]:
        found: dict[str, float] = {}
        for category in answer["categoryBreakdown"]["categories"]:
            kind = category["name"].partition(":")[0].lower()
            found[kind] = found.get(kind, 0) + category["samples"] * 1e6
        return found

    def thread_names(self, only_selected: bool = False) -> list[str]:
        (answer,) = self._answers(["thread", "list", "--limit", "0"])
        threads = sorted(answer["threads"], key=lambda thread: thread["threadIndex"])
        return [thread["name"] for thread in threads if thread["selected"] or not only_selected]

    def place(self, name: str) -> str:
        """The file in which the reader would look for the function's source."""
        (answer,) = self._answers(["thread", "functions", "--thread", "t-0", "--limit", "0", "--include-idle"])
        handle = next(row["functionHandle"] for row in answer["functions"] if row["name"] == name)
        process = self._start("function", "annotate", handle, "--mode", "src", "--session", "s")
        text, complaint = process.communicate(timeout=PATIENCE)
        match = re.search(r"Could not fetch source for (.*?): \{", text + complaint)
        assert match, text + complaint
        return match[1]
