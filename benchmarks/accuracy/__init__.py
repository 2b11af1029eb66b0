# SPDX-License-Identifier: MIT
"""How far the numbers are from a truth that is known by construction."""
