# SPDX-License-Identifier: MIT
"""Programs that time their own functions, and how often the profiler's intervals hold what they found: `make study`."""
