# SPDX-License-Identifier: MIT
"""What profiling costs the program that is profiled."""
