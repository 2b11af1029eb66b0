# SPDX-License-Identifier: MIT
"""A configuration file that may be trusted, parsed whole: Settings, or every error it has, each one sentence with its line."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .buckets import digest
from .lines import Path, lines_of
from .schema import SCHEMA, cap_of, checked, flattened, shown
from .stages import reaches
from .trust import distrust_file

LARGEST = 1 << 20  # bytes
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class ConfigError(ValueError):
    """A configuration that cannot be used. errors: one sentence each, "FILE:LINE: what is wrong"."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def sentences(error: Exception, path: str) -> list[str]:
    """What is wrong with the file, whatever came of it."""
    return error.errors if isinstance(error, ConfigError) else [f"{path}: {type(error).__name__}: {error}"]


@dataclass(frozen=True, slots=True)
class Written:
    """uid: of the file's owner; modified: when it was changed last, seconds since the epoch."""

    uid: int
    modified: float


@dataclass(frozen=True, slots=True)
class Settings:
    """What a file says. values: by key of the schema, checked; places: "FILE:LINE" of each; written: by whom, where it was read from a file."""

    path: str
    values: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    written: Written | None = None


def key_of(values: Mapping[str, Any]) -> str:
    """What crashes are blamed on besides the version: another text with the same meaning is the same configuration."""
    return digest(repr(sorted(values.items())))


def read(path: str) -> Settings:
    """Raises ConfigError."""
    text, written = _trusted_text(path)
    return replace(parse(text, path), written=written)


def _trusted_text(path: str) -> tuple[str, Written]:
    """The file's text, if nobody but root and this process' user can have written it, and who has."""
    try:
        # Not blocking: what the name stands for may be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise ConfigError([f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"]) from None
    try:
        status = os.fstat(descriptor)
        complaint = distrust_file(status, os.geteuid())
        if complaint:
            raise ConfigError([f"{path}: {complaint}"])
        raw = _read_bytes(descriptor)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    finally:
        os.close(descriptor)
    if len(raw) > LARGEST:
        raise ConfigError([f"{path}: is larger than {LARGEST:,} bytes, which no configuration is"])
    try:
        return raw.decode("utf-8"), Written(status.st_uid, status.st_mtime)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8"]) from None


def _read_bytes(descriptor: int) -> bytes:
    raw = b""
    while len(raw) <= LARGEST and (more := os.read(descriptor, LARGEST + 1)):
        raw += more
    return raw


def parse(text: str, path: str) -> Settings:
    """Raises ConfigError with all errors, in the order of their lines."""
    try:
        document = tomllib.loads(text)
        lines = lines_of(text)
    except RecursionError:
        raise ConfigError([f"{path}: is nested too deeply for a configuration"]) from None
    except ValueError as error:  # TOMLDecodeError is one; so is an integer with too many digits
        raise ConfigError([_syntax(text, path, str(error))]) from None
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    errors: list[tuple[int, str]] = []
    for key, value in flattened(document):
        line = _line_of(key, value, lines)
        try:
            values[key] = checked(key, value)
            places[key] = f"{path}:{line}"
        except ValueError as error:
            errors.append((line, str(error)))
    errors += [(int(places[key].rpartition(":")[2]), sentence) for key, sentence in _contradictions(values)]
    if errors:
        raise ConfigError([f"{path}:{line}: {sentence}" for line, sentence in sorted(errors)])
    return Settings(path, values, places)


def _syntax(text: str, path: str, sentence: str) -> str:
    match = _PLACE.search(sentence)
    if match is None:
        return f"{path}: is no TOML: {sentence}"
    line = match[1] or str(text.count("\n") + (not text.endswith("\n")))
    return f"{path}:{line}: is no TOML: {sentence[: match.start()]}"


def _line_of(key: str, value: object, lines: Mapping[Path, int]) -> int:
    """Of the key; where one element of its list is wrong, of that."""
    path: Path = tuple(key.split("."))
    if key == "deep.targets" and isinstance(value, list):
        for index, each in enumerate(value):
            try:
                checked(key, [each])
            except ValueError:
                return lines.get((*path, index), lines.get(path, 1))
    if path in lines:
        return lines[path]
    quoted = (line for known, line in lines.items() if ".".join(shown(str(each)) for each in known) == key)
    return next(quoted, 1)


def _contradictions(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong between two keys that are right alone."""
    found = []
    stage = values.get("stage", "off")
    for key, value in values.items():
        cap, who = cap_of(key, values, stage)
        if who and value > cap:
            more = "" if who.startswith("[caps]") else f"; {SCHEMA[key].capped} may allow more"
            found.append((key, f"{key} is {value:g}, and {who} allows at most {cap:g}{more}"))
    if reaches(stage, "deep") and values.get("deep.targets") == ():
        found.append(("deep.targets", f"deep.targets is empty, and stage {stage!r} is about targets; name some, or use stage fleet"))
    if "output.upload" in values and "output.command" in values:
        found.append(
            ("output.command", "output.command and output.upload are both there, and a profile is handed to one of them; leave one out")
        )
    return found
