# SPDX-License-Identifier: MIT
"""python -m rollout.soak --seconds 1800 --results FOLDER: exit status 1 where something did not hold, and each of those is a line."""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .load import Load
from .plot import drawn
from .record import Recorder, Row
from .service import SoakService, configuration
from .verdict import complaints, cpu_per_request
from .walk import PACE, Walk

LEAST = 50.0  # seconds: in fewer a phase is over before its change is in force
WORKERS = 2


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="hybridprof-soak-") as folder:
        service = SoakService(Path(folder), WORKERS)
        service.configure(configuration("off"))
        with service, Load(service.port, PACE) as load, Recorder(service, load, _interval(options.seconds)) as recorder:
            walk = Walk(service, load, recorder, options.seconds)
            walk.run()
        rows = [_with_shares(row) for row in recorder.rows]
        failures = [{"at": each.at - recorder.began, "failed": each.failed} for each in recorder.failures]
        wrong = complaints(rows, walk.facts, walk.times, {"workers": WORKERS, "seen": recorder.workers, "failures": failures})
        if recorder.problem:
            wrong.append(f"the record ends early: {recorder.problem}")
        log = service.log.read_text()
        wrong += ["the service's log has a traceback"] if "Traceback" in log else []
    found = {**_head(options.seconds), "facts": walk.facts, "phases": walk.times, "failures": failures, "complaints": wrong, "rows": rows}
    _write(options.results, found, walk.times)
    _say(found)
    if wrong:
        print(log[-3000:], file=sys.stderr)
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rollout.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--results", type=Path, required=True, help="the folder for service-soak-VERSION.json, .csv and .svg")
    options = parser.parse_args()
    if options.seconds < LEAST:
        parser.error(f"a soak of the service takes {LEAST:g} s at least, not {options.seconds:g}")
    return options


def _interval(seconds: float) -> float:
    """Seconds that a row covers."""
    return 10.0 if seconds >= 600 else max(1.0, seconds / 60)


def _with_shares(row: Row) -> Row:
    cpu = row["cpu_s"]
    return {**row, **{f"kernel_{name}_share": row[f"kernel_{name}_s"] / cpu if cpu > 0 else None for name in ("sampler", "others")}}


def _head(seconds: float) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}, {os.cpu_count()} CPUs, load {os.getloadavg()[2]:.1f} over 15 min",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "seconds": seconds,
    }


def _write(folder: Path, found: dict[str, Any], times: dict[str, tuple[float, float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"service-soak-{'.'.join(found['python'].split('.')[:2])}"
    rows: Sequence[Row] = found["rows"]
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    title = f"A prefork service through all stages: CPython {found['python']}, {found['system']}, {found['date']}"
    (folder / f"{name}.svg").write_text(drawn(rows, times, title))
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: " ".join(value) if isinstance(value, list) else value for key, value in row.items()} for row in rows)


def _say(found: dict[str, Any]) -> None:
    rows, times = found["rows"], found["phases"]
    print(f"{'phase':8} {'seconds':>8} {'requests':>9} {'CPU ms each':>12} {'sampler, of budget':>19} {'tracer, of budget':>18}")
    for phase, (first, last) in times.items():
        ours = [row for row in rows if row["phase"] == phase]
        each = cpu_per_request(rows, times, phase)
        most = [max((row[f"{name}_of_budget"] or 0.0 for row in ours), default=0.0) for name in ("sampler", "tracer")]
        words = "-" if each is None else f"{1e3 * each:.3f}"
        print(f"{phase:8} {last - first:8.0f} {sum(row['requests'] for row in ours):9} {words:>12} {most[0]:19.2f} {most[1]:18.2f}")
    for name, value in found["facts"].items():
        print(f"{name}: {value if not isinstance(value, float) else f'{value:.2f} s'}")
    for sentence in found["complaints"]:
        print(f"WRONG: {sentence}")
    print("as it should be" if not found["complaints"] else f"{len(found['complaints'])} things did not hold")


if __name__ == "__main__":
    sys.exit(main())
