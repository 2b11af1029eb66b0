# SPDX-License-Identifier: MIT
"""What a configuration may say: every key, its type, its bounds. The same checks serve the file, the environment and overrides.

A check takes a value as TOML gives it and returns it as the program wants it, or raises ValueError with the end of a sentence that begins
with the key: "must be ..., not ...". Shares are numbers from 0 to 1, budgets are strings such as "1%" and become percent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..options import CLOCKS, MAX_RATE
from ..patterns import Pattern
from .stages import BUILT_IN_CAPS, STAGE_CAPS, STAGES


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the schema. overridable: a control override may set it; capped: the key of [caps] that bounds it."""

    check: Callable[[object], Any]
    overridable: bool = False
    capped: str = ""


def _wrong(what: str, value: object) -> ValueError:
    text = repr(value)
    return ValueError(f"must be {what}, not {text if len(text) <= 80 else text[:77] + '...'}")


def _choice(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise _wrong("one of " + ", ".join(choices), value)
        return value

    return check


def _number(least: float, most: float, what: str, above: bool = False) -> Callable[[object], float]:
    def check(value: object) -> float:
        within = (
            isinstance(value, (int, float)) and type(value) is not bool and (least < value if above else least <= value) and value <= most
        )
        if not within:
            raise _wrong(what, value)
        return float(value)  # type: ignore[arg-type]

    return check


def _events(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise _wrong("a number of events from 0 (no limit) on", value)
    return value


def _percent(value: object) -> float:
    what = 'a percentage above 0 and at most 100, such as "1%"'
    if not isinstance(value, str) or not value.endswith("%"):
        raise _wrong(what, value)
    try:
        return _number(0, 100, what, above=True)(float(value[:-1]))
    except ValueError:
        raise _wrong(what, value) from None


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200 or not value.isprintable():
        raise _wrong("a name of 1 to 200 printable characters", value)
    return value


def _path(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise _wrong("an absolute path", value)
    return value


def _targets(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise _wrong('a list of patterns such as ["package.module:Class.method"]', value)
    for each in value:
        _target(each)
    return tuple(value)


def _target(value: object) -> None:
    try:
        Pattern(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"holds what is no target: {error}") from None


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(each, str) and each and "\0" not in each for each in value):
        raise _wrong('a list of words such as ["/usr/bin/upload", "--to", "profiles"]', value)
    return tuple(value)


def _function(value: object) -> str:
    module, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise _wrong('a function such as "package.module:upload"', value)
    return str(value)


_seconds = _number(1, 86400, "a number of seconds from 1 to 86400")
_size = _number(1, 1e6, "a number from 1 to 1000000")
_megabytes = _number(1, 1e6, "a number of megabytes from 1 to 1000000")
_days = _number(0, 3650, "a number of days above 0 and at most 3650", above=True)
_share = _number(0, 1, "a share from 0 to 1")
_calls = _number(0, 1, "a share of calls, above 0 and at most 1", above=True)
_rate = _number(0, MAX_RATE, f"a number of Hz from 0 (no sampling) to {MAX_RATE:g}")

SCHEMA: Mapping[str, Key] = {
    "stage": Key(_choice(*STAGES), overridable=True),
    "service": Key(_name),
    "kill_file": Key(_path),
    "state_dir": Key(_path),
    "output_dir": Key(_path),
    "sampler.rate": Key(_rate, overridable=True, capped="caps.rate"),
    "sampler.clock": Key(_choice(*CLOCKS), overridable=True),
    "sampler.budget": Key(_percent, overridable=True, capped="caps.sampler_budget"),
    "deep.targets": Key(_targets, overridable=True),
    "deep.rate": Key(_calls, overridable=True, capped="caps.deep_rate"),
    "deep.budget": Key(_percent, overridable=True, capped="caps.deep_budget"),
    "deep.event_limit": Key(_events),
    "memory.budget": Key(_megabytes, overridable=True, capped="caps.memory_budget"),
    "rollout.hosts": Key(_share, overridable=True),
    "rollout.processes": Key(_share, overridable=True),
    "rollout.requests": Key(_share, overridable=True, capped="caps.requests"),
    "control.socket": Key(_path),
    "output.interval": Key(_seconds),
    "output.budget": Key(_percent),
    "output.files": Key(_size),
    "output.megabytes": Key(_size),
    "output.days": Key(_days),
    "output.paths": Key(_choice("full", "short")),
    "output.upload": Key(_function),
    "output.command": Key(_words),
    "output.timeout": Key(_seconds),
    "caps.rate": Key(_rate),
    "caps.sampler_budget": Key(_percent),
    "caps.deep_budget": Key(_percent),
    "caps.deep_rate": Key(_calls),
    "caps.memory_budget": Key(_megabytes),
    "caps.requests": Key(_share),
}
TABLES = {key.partition(".")[0] for key in SCHEMA if "." in key}


def flattened(document: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """("sampler.rate", 100) for each value; what should be a table and is none comes under the table's name. A key that holds dots of its own
    is quoted, so that it is never taken for a key of a table."""
    for name, value in document.items():
        key = shown(name)
        if key in TABLES and isinstance(value, dict):
            yield from ((f"{key}.{shown(inner)}", each) for inner, each in value.items())
        else:
            yield key, value


def shown(name: str) -> str:
    return name if name and name.replace("_", "").replace("-", "").isalnum() and name.isascii() else repr(name)


def checked(key: str, value: object) -> Any:
    """The value as the program wants it. Raises ValueError, a sentence that begins with the key."""
    if key not in SCHEMA:
        raise ValueError(unknown(key, value))
    try:
        return SCHEMA[key].check(value)
    except ValueError as error:
        raise ValueError(f"{key} {error}") from None


def unknown(key: str, value: object = None) -> str:
    """Why there is no such key, with the nearest ones there are."""
    from difflib import get_close_matches

    if key in TABLES:
        return f"{key} is a table with the keys {', '.join(_keys_of(key))}, not {type(value).__name__} {value!r:.60}"
    if isinstance(value, (dict, list)) and "." not in key:
        near = get_close_matches(key, sorted(TABLES), n=1)
        return f"[{key}] is no table of a configuration; " + (
            f"did you mean [{near[0]}]?" if near else f"there are {', '.join(sorted(TABLES))}"
        )
    table, _, name = key.rpartition(".")
    elsewhere = [each for each in SCHEMA if each.rpartition(".")[2] == name]
    near = elsewhere or get_close_matches(key, SCHEMA, n=2, cutoff=0.7)
    near = near or [f"{table}.{each}" if table else each for each in get_close_matches(name, _keys_of(table), n=1)]
    where = f"[{table}]" if table else "the top level"
    return f"{key} is no key; " + (f"did you mean {' or '.join(near)}?" if near else f"{where} has {', '.join(_keys_of(table))}")


def _keys_of(table: str) -> list[str]:
    return [key.rpartition(".")[2] for key in SCHEMA if key.rpartition(".")[0] == table]


def cap_of(key: str, caps: Mapping[str, Any], stage: str) -> tuple[float, str]:
    """The most that a value may be, and who says so. caps: the values of the local file."""
    name = SCHEMA[key].capped
    if not name:
        return float("inf"), ""
    if name in caps:
        return caps[name], f"[caps] {name.partition('.')[2]}"
    if name in STAGE_CAPS:
        return STAGE_CAPS[name].get(stage, 1.0), f"stage {stage!r}"
    return BUILT_IN_CAPS[name], "the built-in cap"


def variable(key: str) -> str:
    """The environment's name of a key: HYBRIDPROF_SAMPLER_RATE."""
    return "HYBRIDPROF_" + key.replace(".", "_").upper()


def from_text(key: str, text: str) -> Any:
    """A value of the environment: numbers are written as in TOML, targets separated by commas, a command as for a shell. Raises ValueError as `checked` does."""
    if key == "deep.targets":
        return checked(key, [each.strip() for each in text.split(",") if each.strip()])
    if key == "output.command":
        import shlex

        return checked(key, shlex.split(text))
    numbers = (_rate, _share, _calls, _seconds, _size, _megabytes, _days)
    kind = float if SCHEMA[key].check in numbers else int if SCHEMA[key].check is _events else None
    if kind is not None:
        try:
            return checked(key, kind(text))
        except ValueError:
            pass  # with the text in the sentence
    return checked(key, text)
