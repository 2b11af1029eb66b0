# SPDX-License-Identifier: MIT
"""How long something lasts, as people write it: `90`, `90s`, `10m`, `2h`, `1d`."""

from __future__ import annotations

import re

from ..overrides import LONGEST

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([smhd]?)")


def seconds(value: object) -> float:
    """Raises ValueError, the end of a sentence that begins with what it is for."""
    text = str(value).strip() if type(value) in (int, float, str) else ""
    match = _DURATION.fullmatch(text)
    lasting = float(match[1]) * _UNITS[match[2]] if match is not None else 0.0
    if not 0 < lasting <= LONGEST:
        raise ValueError(
            f"must be a time such as 90s, 10m, 2h or 1d, above 0 and at most {LONGEST / 86400:.0f} days, not {str(value)[:40]!r}"
        )
    return lasting


def shown(lasting: float) -> str:
    """The two largest units: `1 h 5 min`."""
    left = round(lasting)
    parts = []
    for name, unit in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"
