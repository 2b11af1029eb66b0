# SPDX-License-Identifier: MIT
"""The programs that are profiled. hybridprof leaves its own files out of profiles, and these lie among them: they are compiled under names of
their own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any


def file_name(name: str) -> str:
    """The file that profiles say of this program's functions."""
    return f"<selfcheck {name}>"


def load(name: str) -> Any:
    """The program's names as attributes."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": f"selfcheck_{name}"}
    exec(compile(source, file_name(name), "exec", dont_inherit=True), names)
    return SimpleNamespace(**{key: value for key, value in names.items() if not key.startswith("__")})
