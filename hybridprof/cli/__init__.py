# SPDX-License-Identifier: MIT
"""The program `hybridprof`."""

from .main import main as main
