# SPDX-License-Identifier: MIT
"""hybridprof's tracer and others, side by side: see compare.py."""
