# SPDX-License-Identifier: MIT
"""What changed between two profiles, and whether it is more than noise. csrc/tree/diff.h says how that is judged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from . import _core
from .profile import Function, Profile, _text_path

LEAST_DRIFT = 0.06  # two standard deviations of a machine's drift (csrc/tree/diff.h): below it the whole is not called slower

Compare = Literal["auto", "time", "share"]
COMPARES: tuple[Compare, ...] = ("auto", "time", "share")

# With HYBRIDPROF_DISABLE nothing is measured, and a kill switch must not raise.
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("base_ns", "new_ns", "tested", "changed"), 0),
    **dict.fromkeys(("scale", "common_base", "common_new"), 1.0),
    "run_to_run": 0.0,
    "unrelated": False,
    "rows": [],
}


@dataclass(frozen=True, slots=True)
class Change:
    """Self or total time of one function, before and after.

    base_ns, new_ns: ns as measured, 0 where the function was not met; change_ns: their difference. error_ns: ns, half width of the 95 %
    interval of the change, for what other runs of the two programs would show. relative: new / (scale * base) - 1, infinite for what is
    new; the scale is that of all but this function. p, q: chance of so large a deviation in noise, and with all functions' taken into account;
    1 where there was too little time to tell. significant: q is 5 % at most. deviation_ns: new - scale * base, which is what is judged;
    deviation_error_ns: half width of its interval, at least a 95 % one, all functions taken into account: without 0 if and only if significant.
    """

    base_ns: int
    new_ns: int
    change_ns: int
    error_ns: float
    relative: float
    p: float
    q: float
    significant: bool
    deviation_ns: int
    deviation_error_ns: float


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """One function in two profiles; base or new is None where it was met in the other only."""

    base: Function | None
    new: Function | None
    self: Change
    total: Change

    @property
    def function(self) -> Function:
        """As it is in the new profile, if it is there."""
        found = self.new or self.base
        assert found is not None
        return found


class Diff:
    """Two profiles compared; see `Profile.diff`."""

    def __init__(self, base: Profile, new: Profile, compare: Compare = "auto") -> None:
        if compare not in COMPARES:
            raise ValueError(f"there is no comparison by {compare!r}; use one of {', '.join(COMPARES)}")
        for each in (base, new):
            if not isinstance(each, Profile):
                raise TypeError(f"a Profile is compared with a Profile, not with {type(each).__name__}")
        self.base, self.new, self.compare = base, new, compare
        old_core, new_core = base._core, new._core
        self._cores: tuple[_core.Profile, _core.Profile] | None = None
        if isinstance(old_core, _core.Profile) and isinstance(new_core, _core.Profile):
            self._cores = (old_core, new_core)
        self._facts: dict[str, Any] = _core.diff(*self._cores, compare) if self._cores else NOTHING

    @cached_property
    def functions(self) -> list[FunctionChange]:
        """Every function of either: in base's order, then what is only in new."""
        olds, news = self.base.functions, self.new.functions
        return [
            FunctionChange(None if old is None else olds[old], None if new is None else news[new], Change(*own), Change(*total))
            for old, new, own, total in self._facts["rows"]
        ]

    @property
    def scale(self) -> float:
        """New / base for what did not change: what functions are judged against."""
        return float(self._facts["scale"])

    @property
    def run_to_run(self) -> float:
        """Relative deviation of a function's time from run to run, as these two profiles show it."""
        return float(self._facts["run_to_run"])

    @property
    def whole_ns(self) -> tuple[int, int]:
        """All time of base and new, ns."""
        return self._facts["base_ns"], self._facts["new_ns"]

    @property
    def whole_change(self) -> tuple[float, float]:
        """What all time took more than base makes probable (as many runs as new has), and the half width of its interval, ns: one machine's runs of one
        program differ by LEAST_DRIFT now and then. The whole is slower where the interval is above 0."""
        old, new = self.whole_ns
        expected = old * len(self.new.sources) / max(1, len(self.base.sources))
        return new - expected, LEAST_DRIFT * expected

    @property
    def common(self) -> tuple[float, float]:
        """Shares (0 to 1) of base's and new's time in functions that are in both."""
        return self._facts["common_base"], self._facts["common_new"]

    @property
    def unrelated(self) -> bool:
        """Whether hardly any time is in functions of both: they are profiles of different programs."""
        return bool(self._facts["unrelated"])

    @property
    def tested(self) -> int:
        """Functions with enough self time to be judged."""
        return int(self._facts["tested"])

    @property
    def changed(self) -> list[FunctionChange]:
        """Those whose self time changed significantly, the largest change first."""
        return sorted((each for each in self.functions if each.self.significant), key=lambda each: -abs(each.self.deviation_ns))

    def collapsed(self) -> bytes:
        """Differential collapsed stacks, `stack BASE NEW` in ns, for flamegraph.pl. Raises FormatError for profiles without stacks."""
        return _core.diff_stacks(*self._cores, self.compare) if self._cores else b""

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes `collapsed()` to a file, atomically. Raises FormatError or OSError."""
        if self._cores:
            _core.diff_write(*self._cores, self.compare, _text_path(path))
