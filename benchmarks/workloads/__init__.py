# SPDX-License-Identifier: MIT
"""Programs to profile: one file each, `run(scale)` does about a third of a second of pure-Python work per unit of scale and returns a checksum."""

from __future__ import annotations

NAMES = (
    "generators",
    "json_parser",
    "particles",
    "pretty_printer",
    "queens",
    "scheduler",
    "spreadsheet",
    "templates",
    "toml_parser",
    "word_index",
)
