# SPDX-License-Identifier: MIT
"""What the environment says: HYBRIDPROF_CONFIG names the file to follow, and HYBRIDPROF_SAMPLER_RATE and its like are values of their own.

Where it has to be asked: at the first `hybridprof.start()`, `Profiler.start()` or `hybridprof run`. An import alone does nothing, so a service
that only imports and starts hybridprof is ruled by the file, and a program that merely has it installed is not. What is wrong here never
becomes an exception in the program: the sentence goes to stderr once, and to status(), and nothing runs until the file is mended.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from .schema import SCHEMA, from_text, variable
from .watched import presence

CONFIG = "HYBRIDPROF_CONFIG"
DISABLE = "HYBRIDPROF_DISABLE"


def values(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Values by key, and a sentence for each variable that is wrong. Caps are the file's alone."""
    found: dict[str, Any] = {}
    errors: list[str] = []
    for key in SCHEMA:
        text = environment.get(variable(key), "")
        if text and not key.startswith("caps."):
            try:
                found[key] = from_text(key, text)
            except ValueError as error:
                errors.append(f"{variable(key)} in the environment: {error}")
    return found, errors


def is_disabled(environment: Mapping[str, str]) -> bool:
    return environment.get(DISABLE, "") not in ("", "0")


def why_stopped(kill_file: str | None) -> str:
    """Why nothing may run, whatever the configuration says; "" where it may."""
    found = presence(kill_file) if kill_file is not None else ""
    return found or (f"{DISABLE} is set" if is_disabled(os.environ) else "")


def says_anything(environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) for name in (CONFIG, *map(variable, SCHEMA)))


def appoint() -> None:
    """Makes a ruler if the environment wants one. Called before the first start."""
    if not says_anything(os.environ):
        return
    from .process import appointed

    ruler = appointed()
    path = os.environ.get(CONFIG)
    if path:
        ruler.follow_whatever_it_holds(os.path.abspath(path))
    else:
        ruler.begin()
    for sentence in ruler.config_errors:
        _complain(sentence)


def _complain(sentence: str) -> None:
    try:
        sys.stderr.write(f"hybridprof: {sentence}\n")
    except (OSError, ValueError, AttributeError):  # closed, or none
        pass
