# SPDX-License-Identifier: MIT
"""`hybridprof config check FILE`: every error with its line. `hybridprof config show [FILE]`: what would be in force here, and why."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import Any

import hybridprof
from hybridprof.rollout import environment
from hybridprof.rollout.config import ConfigError, Settings, key_of, read
from hybridprof.rollout.crash_loop import Guard
from hybridprof.rollout.guarding import FOLDER as CRASHES
from hybridprof.rollout.resolve import InForce, Layers, Value, resolve
from hybridprof.rollout.verdict import FILE as VERDICT
from hybridprof.rollout.verdict import ceilings, read_or_stop

from . import table
from .main import BadInput, Parser, complain


def main(argv: list[str]) -> int:
    parser = Parser(prog="hybridprof config", description="Checks a configuration of the rollout, or shows what it means on this host.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="check|show", parser_class=Parser)
    check = commands.add_parser("check", help="exit status 0 if it is right, 2 with every error on a line of its own")
    check.add_argument("file", metavar="FILE")
    show = commands.add_parser("show", help="what would be in force here, and where each value came from")
    show.add_argument("file", metavar="FILE", nargs="?", help="default: the one that HYBRIDPROF_CONFIG names")
    show.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(argv)
    return _check(options.file) if options.command == "check" else _show(options.file, options.json)


def _settings(path: str) -> Settings | None:
    """None after every error was said."""
    try:
        return read(os.path.abspath(path))
    except ConfigError as error:
        for sentence in error.errors:
            complain(sentence)
        return None


def _check(path: str) -> int:
    settings = _settings(path)
    if settings is None:
        return 2
    table.say(f"{path}: right; stage {settings.values.get('stage', 'not set')}, {len(settings.values)} values")
    return 0


def _show(path: str | None, as_json: bool) -> int:
    path = path or os.environ.get(environment.CONFIG) or None
    values, errors = environment.values(os.environ)
    settings = _settings(path) if path else None
    if path and settings is None:
        return 2
    if not path and not values and not environment.is_disabled(os.environ):
        raise BadInput(f"no configuration: give a FILE, or set {environment.CONFIG}")
    for sentence in errors:
        complain(sentence)
    now = _here(settings, values)
    if as_json:
        json.dump(_plain(path, now), sys.stdout)
        sys.stdout.write("\n")
    else:
        _print(path, now)
    return 0


def _here(settings: Settings | None, values: dict[str, Any]) -> InForce:
    """In a process that starts now, whose code says nothing."""
    layers = Layers("", {}, settings, values, host=os.uname().nodename)
    asked = resolve(layers, 0.0)
    layers = replace(layers, stopped=environment.why_stopped(asked["kill_file"]))
    if asked["state_dir"] is not None:
        layers = _lowered(layers, asked["state_dir"], key_of(settings.values if settings is not None else values))
    return resolve(layers, 0.0)


def _lowered(layers: Layers, folder: str, config: str) -> Layers:
    """With what is held against the program in its state_dir, as the folder's owner would find it. Nothing is written."""
    try:
        user = os.stat(folder).st_uid
        os.listdir(folder)
    except FileNotFoundError:  # it has never run here
        return layers
    except OSError as error:
        complain(f"state_dir {folder} cannot be read: {error.strerror}; without its verdict and crashes:")
        return layers
    verdict = read_or_stop(os.path.join(folder, VERDICT), user)
    guard = Guard(os.path.join(folder, CRASHES), version=hybridprof.__version__, config=config)
    crashes = guard.foreseen(user)
    return replace(layers, ceilings=ceilings(verdict), crashes=(crashes.standing, crashes.reason))


def _plain(path: str | None, now: InForce) -> dict[str, Any]:
    return {
        "config": path,
        "stage": now.stage,
        "sampler": now.samples,
        "tracer": now.traces,
        "why": now.why,
        "members": dict(now.members),
        "in_force": now.listed(),
    }


def _print(path: str | None, now: InForce) -> None:
    runs = [name for name, on in (("the sampler", now.samples), ("the tracer", now.traces)) if on]
    table.say(f"{' and '.join(runs) or 'nothing'} would run: {now.why}")
    table.say("")
    rows = [[key, _text(key, value.value), value.source + _asked(key, value)] for key, value in now.values.items()]
    for line in table.columns([["key", "value", "from"], *rows], left={0, 1, 2}):
        table.say(line.rstrip())


def _asked(key: str, value: Value) -> str:
    return "" if value.capped is None else f" ({_text(key, value.capped)} was asked for)"


def _text(key: str, value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, float):
        units = {"sampler.rate": " Hz", "caps.rate": " Hz", "memory.budget": " MB", "caps.memory_budget": " MB"}
        return f"{value:g}" + units.get(key, "%" if key.endswith("budget") else "")
    return str(value)
