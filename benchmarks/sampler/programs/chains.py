# SPDX-License-Identifier: MIT
"""The program whose every legal stack is known; it calls as fast as it can, in every way there is."""

from __future__ import annotations

from typing import Any


def chains(window: Any, seconds: float) -> dict[str, Any]:
    from sampler_programs import chains_program

    chains_program(0.1)
    window.open()
    chains_program(seconds)
    window.close()
    return {}
