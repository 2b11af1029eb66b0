# SPDX-License-Identifier: MIT
"""Reads what snakeviz and tuna show in a browser: see readers.py."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from clients.browsers import PATIENCE, node
from clients.expected import Numbers, Shown, Steps
from clients.readers import output, show

SNAKEVIZ_STEPS = Steps(relative=1e-3)  # four significant digits
TUNA_STEPS = Steps(time_ns=1e6)
TUNA_NARROW = 2  # pixels; of less than one it draws nothing


class Pages:
    """One Chromium for all pages."""

    def __init__(self, modules: Path, chromium: str) -> None:
        driver = Path(__file__).with_name("pages.cjs")
        self._process = subprocess.Popen(
            [node(modules), str(driver), str(modules), chromium], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate(timeout=PATIENCE)

    def page(self, kind: str, address: str) -> tuple[Any, list[str]]:
        """What the page says (None: nothing), and its errors."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([kind, address]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"page": null, "errors": ["the driver died"]}')
        return answer["page"], answer["errors"]


# --- snakeviz -----------------------------------------------------------------------------------------------------------------------


class SnakevizServer:
    """snakeviz's own server, on loopback; one shows every file."""

    def __init__(self, tools: Path, path: Path) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
        environment.pop("PYTHONSAFEPATH", None)
        self._process = subprocess.Popen(
            [tools / "python", "-m", "snakeviz", "--server", "--hostname", "127.0.0.1", "--port", "18080", path],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "")
        found = next((line for line in lines if line.startswith("http")), "")
        assert found, "snakeviz ended before it said where its page is"
        self._base = found.partition("/snakeviz/")[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE)

    def address(self, path: Path) -> str:
        return f"{self._base}/snakeviz/{quote(str(path), safe='')}"


def snakeviz_table(page: Any) -> Shown:
    """Its columns: calls, tottime, percall, cumtime, percall, file:line(name)."""
    found: Shown = {}
    for calls, own, own_each, total, total_each, name in page["rows"]:
        all_calls, _, primitive = calls.partition("/")
        numbers = Numbers(float(own) * 1e9, float(total) * 1e9, int(all_calls), int(primitive or all_calls))
        show(found, name, numbers)
        for sum_ns, each in ((numbers.self_ns, own_each), (numbers.total_ns, total_each)):
            percall = (sum_ns or 0) / numbers.primitive_calls if numbers.primitive_calls else 0
            assert abs(float(each) * 1e9 - percall) <= 1e-3 * percall + 1e-6, f"{name}: {each} a call"
    return found


# --- tuna ---------------------------------------------------------------------------------------------------------------------------


def tuna_page(path: Path, tools: Path, folder: Path) -> str:
    """Its page as a file with all that it needs beside it, so that no server is needed."""
    (folder / "static").mkdir(parents=True, exist_ok=True)  # it expects to replace an older one
    output(tools / "python", "-m", "tuna", "--no-browser", "--outdir", folder, path)
    return (folder / "index.html").as_uri()


def tuna_boxes(page: Any) -> tuple[Shown, float]:
    """By name the time of each box, and the width of the whole. Boxes that are hardly visible are left out, and those that say that more may be beneath."""
    found: Shown = {}
    for box in page:
        name, time = box["texts"]
        if box["place"][2] >= TUNA_NARROW and name != "Possible calls of":
            show(found, name, Numbers(None, float(time.partition(" s")[0]) * 1e9, None, None))
    return found, max(box["place"][2] for box in page)
