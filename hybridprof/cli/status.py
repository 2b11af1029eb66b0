# SPDX-License-Identifier: MIT
"""`hybridprof status [PID]`: what runs in processes that a configuration rules, what it costs against its budgets, and why.

Each process writes it into its state_dir; nobody is asked, and a process that hangs is shown as it was when it wrote last.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from hybridprof.rollout.config import read
from hybridprof.rollout.environment import CONFIG
from hybridprof.rollout.locks import why
from hybridprof.rollout.published import reports, started
from hybridprof.rollout.schema import variable

from . import table
from .main import BadInput, Parser

OLD = 30.0  # seconds: three times what is usual


def parser() -> Parser:
    made = Parser(prog="hybridprof status", description="What runs in processes that a configuration rules, what it costs, and why.")
    made.add_argument("pid", metavar="PID", nargs="?", type=int, help="one process; default: all that share the state_dir")
    made.add_argument("--state-dir", metavar="DIR", help="of the configuration (default: that of the process, or of HYBRIDPROF_CONFIG)")
    made.add_argument("--config", metavar="FILE", help="the configuration that names the state_dir")
    made.add_argument("--json", action="store_true", help="for programs")
    return made


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    folder = _state_dir(options.pid, options.state_dir, options.config)
    found = [each for each in reports(folder) if options.pid in (None, each["pid"])]
    if options.pid is not None and not found:
        raise BadInput(f"process {options.pid} says nothing in {folder}; is it ruled by a configuration with this state_dir?")
    if options.json:
        json.dump(found, sys.stdout)
        sys.stdout.write("\n")
        return 0
    if not found:
        table.say(f"no process says anything in {folder}")
    for number, report in enumerate(found):
        if number:
            table.say("")
        for line in described(report, time.time()):
            table.say(line)
    return 0


def _state_dir(pid: int | None, folder: str | None, config: str | None) -> str:
    """Raises BadInput, or ConfigError for a configuration that cannot be used."""
    if pid is not None and started(pid) is None:
        raise BadInput(f"there is no process {pid}")
    its_own = {} if pid is None else _environment_of(pid)
    environment = {**os.environ, **its_own}
    config = _absolute(config or environment.get(CONFIG), None if config or CONFIG not in its_own else pid)
    folder = folder or (read(config).values.get("state_dir") if config else None) or environment.get(variable("state_dir"))
    if not folder:
        raise BadInput("no state_dir is known, where processes say what they do: give --state-dir DIR, or --config FILE that names one")
    return folder


def _absolute(path: str | None, pid: int | None) -> str | None:
    """pid: of the process that means it; None: we do. A process that has changed its folder since it read the file means another."""
    if not path or pid is None:
        return os.path.abspath(path) if path else None
    try:
        return os.path.join(os.readlink(f"/proc/{pid}/cwd"), path)
    except OSError as error:
        if os.path.isabs(path):
            return path
        raise BadInput(
            f"process {pid} names its configuration {path}, and the folder that it works in cannot be read: {why(error)}"
        ) from None


def _environment_of(pid: int) -> dict[str, str]:
    """What the process was started with; nothing where we may not see it."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def described(report: dict[str, Any], now: float) -> list[str]:
    """One report in lines; what a later version does not say is left out."""
    runs = [name for name, on in (report.get("runs") or {}).items() if on]
    service = f" of {report['service']}" if report.get("service") else ""
    lines = [f"process {report['pid']}{service} (slot {report.get('slot')}): stage {report.get('stage')}, {_running(report, runs)}"]
    rows = [("why", report.get("why")), ("members", _members(report)), *_costs(report), ("ladder", _ladder(report))]
    output = report.get("output") or {}
    rows += [("output", _output(output)), ("upload", _upload(output.get("upload") or {}))]
    rows += [("crashes", _crashes(report.get("crashes") or {})), ("verdict", _verdict(report.get("verdict")))]
    rows += [
        ("override", f"{each['key']} = {each['value']} by {each['by']}, for {each['seconds_left']:.0f} s more")
        for each in report.get("overrides") or ()
    ]
    rows += [("problem", each) for each in _problems(report, now)]
    return lines + [f"  {name:<9} {_plain(text)}" for name, text in rows if text]


def _running(report: dict[str, Any], runs: list[str]) -> str:
    if not runs:
        return "nothing runs"
    words = f"the sampler at {report.get('rate_in_force_hz', 0):g} Hz"
    if "tracer" in runs:
        targets = report.get("deep_targets") or []
        words += f", and {len(targets)} target{'s' if len(targets) != 1 else ''} on {100 * report.get('deep_rate', 0):.3g} % of their calls"
    return words


def _members(report: dict[str, Any]) -> str:
    members = report.get("members") or {}
    words = [
        f"{unit} {name}: {'yes' if members[unit] else 'no'}"
        for unit, name in (("host", report.get("host")), ("process", report.get("slot")))
        if unit in members
    ]
    return "; ".join([*words, f"requests: {100 * members.get('requests', 0):.3g} %"])


def _costs(report: dict[str, Any]) -> list[tuple[str, str]]:
    costs = report.get("costs")
    if not costs:
        return [("costs", "nothing is known yet")]
    of = f"of the process' CPU time over {costs['seconds']:.0f} s"
    rows = [
        (
            name,
            f"{100 * costs[name + '_share']:.3f} % {of}; {100 * costs[name + '_of_budget']:.0f} % of its budget ({100 * costs[name + '_budget']:g} %)",
        )
        for name in ("sampler", "tracer")
    ]
    budget = f" (of {100 * costs['writer_budget']:g} %)" if "writer_budget" in costs else ""  # an earlier version had none
    writes = f"{100 * costs['writer_share']:.3f} % to write, hand over and answer{budget}"
    rows.append(("others", f"{writes}, {100 * costs['ruler_share']:.3f} % to follow the configuration"))
    rows.append(("memory", f"{costs['own_bytes'] / 1e6:.1f} MB of tables{_of_memory(costs)}, of {costs['rss_bytes'] / 1e6:.1f} MB in all"))
    return rows


def _of_memory(costs: dict[str, Any]) -> str:
    if "memory_of_budget" not in costs:  # of an earlier version
        return ""
    return f" ({100 * costs['memory_of_budget']:.0f} % of their budget, {costs['memory_budget_bytes'] / 1e6:g} MB)"


def _ladder(report: dict[str, Any]) -> str:
    ladder = report.get("ladder") or {}
    if not ladder.get("step"):
        return "nothing is taken back"
    steps = f"{ladder['step']} step{'s' if ladder['step'] > 1 else ''} down: {', '.join(ladder['says'])}"
    return f"{steps}; {ladder['why']}; {ladder['clean_windows']} of {ladder['clean_windows_needed']} clean windows for a step back"


def _output(output: dict[str, Any]) -> str:
    if not output:
        return ""
    written = output.get("written", 0)
    done = [f"{written:,} file{'s' if written != 1 else ''} written to {output.get('folder')}", *_counts(output, "removed", "postponed")]
    parts = [", ".join(done), ", ".join(_counts(output, "waiting", "lost"))]
    parts += ["the next waits for its budget"] if output.get("waits_for_budget") else []
    return "; ".join(each for each in parts if each)


def _upload(upload: dict[str, Any]) -> str:
    if not upload:
        return ""
    handed = upload.get("handed_over", 0)
    words = [f"{handed:,} file{'s' if handed != 1 else ''} handed over"]
    if upload.get("pending"):
        words.append(f"{upload['pending']:,} wait ({upload.get('pending_bytes', 0) / 1e6:.1f} MB)")
    words += _counts(upload, "failures", "given_up")
    wait = upload.get("next_try_s") or 0
    return ", ".join(words) + (f"; the next try in {wait:.0f} s" if wait > 0 else "")


COUNTED = {"waiting": "wait in memory", "failures": "tries failed", "given_up": "given up"}


def _counts(of: dict[str, Any], *names: str) -> list[str]:
    """Of what there is any."""
    return [f"{of[name]:,} {COUNTED.get(name, name)}" for name in names if of.get(name)]


def _crashes(crashes: dict[str, Any]) -> str:
    if not crashes.get("guarded"):
        return "nobody counts them"
    return crashes.get("reason") or f"{crashes.get('crashes', 0)} in 24 hours, and none is held against it"


def _verdict(verdict: dict[str, Any] | None) -> str:
    return f"{verdict['verdict']}: no stage above {verdict['stage']}: {verdict['reason']}" if verdict else ""


def _problems(report: dict[str, Any], now: float) -> list[str]:
    output = report.get("output") or {}
    found = [
        report.get("problem"),
        output.get("problem"),
        (output.get("upload") or {}).get("problem"),
        (report.get("control") or {}).get("problem"),
        report.get("status_problem"),
        (report.get("audit") or {}).get("problem"),
        (report.get("crashes") or {}).get("problem"),
        *(report.get("config_errors") or []),
    ]
    age = now - float(report.get("at") or now)
    if age > OLD:
        found.append(f"it said this {age:.0f} s ago, and says it every ten to twenty seconds: it is stopped, or it hangs")
    return [each for each in dict.fromkeys(found) if each]


def _plain(text: object) -> str:
    """What the report's file holds must not move a terminal's cursor."""
    return "".join(each if each.isprintable() else "?" for each in str(text))
