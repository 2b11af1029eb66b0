# SPDX-License-Identifier: MIT
"""What a session may be asked for. Checked before anything is touched, so that each error is one sentence and leaves all as it was."""

from __future__ import annotations

from . import _core

AUTO_BUDGET = 2.0  # percent of a core
CLOCKS = ("wall", "cpu")
METHODS = ("auto", "same-cpu", "signal", "remote")
HOOKS = ("auto", "monitoring", "setprofile")
MAX_RATE = 10_000.0
MAX_REMOTE_RATE = 200_000.0  # reading from another CPU stops nobody, and need not go to where the thread runs


def checked_sampling(rate: object, method: object) -> tuple[float, str]:
    """The rate and how stacks are read, which decides what rates there are."""
    how = checked_choice("method", method, METHODS)
    return checked_number("rate", rate, MAX_REMOTE_RATE if how == "remote" else MAX_RATE), how


def checked_number(name: str, value: object, limit: float) -> float:
    if type(value) is bool or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of Hz, not {type(value).__name__} {value!r}")
    if not 0 <= value <= limit:
        raise ValueError(f"{name} must be from 0 (no sampling) to {limit:g} Hz, not {value!r}")
    return float(value)


def checked_budget(value: object) -> float:
    if type(value) is bool or not isinstance(value, (int, float)):
        raise TypeError(f"budget is a number of percent, not {type(value).__name__} {value!r}")
    if not 0 <= value <= 100:
        raise ValueError(f"budget must be from 0 (no limit) to 100 percent of one core, not {value!r}")
    return float(value)


def checked_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be {' or '.join(repr(each) for each in choices)}, not {value!r}")
    return value


def checked_hook(value: object) -> str:
    hook = checked_choice("hook", value, HOOKS)
    if hook != "auto" and hook not in _core.HOOKS:
        raise ValueError(f"this interpreter has no hook {hook!r}; it offers {' and '.join(_core.HOOKS)}")
    return hook


def check_spares_functions(hook: str) -> None:
    if "monitoring" not in _core.HOOKS:
        raise ValueError(
            "deep='auto', and '*' within a budget, need Python 3.12 or later, where single functions can be spared; name the functions that matter"
        )
    if hook == "setprofile":
        raise ValueError("deep='auto', and '*' within a budget, need hook='monitoring', by which single functions can be spared")


def checked_natural(name: str, value: object) -> int:
    if type(value) is bool or not isinstance(value, int):
        raise TypeError(f"{name} is an int, not {type(value).__name__} {value!r}")
    if not 0 <= value < 2**64:
        raise ValueError(f"{name} must be from 0 to 2**64 - 1, not {value!r}")
    return value
