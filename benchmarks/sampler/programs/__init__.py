# SPDX-License-Identifier: MIT
"""What is profiled. Each takes the window in which the profiler works, and returns what it measured itself, by its own clocks."""

from __future__ import annotations

from sampler.programs.alternating import alternating
from sampler.programs.busy import busy, many_threads, workload
from sampler.programs.chains import chains
from sampler.programs.kinds import kinds

PROGRAMS = {"alternating": alternating, "busy": busy, "chains": chains, "kinds": kinds, "many_threads": many_threads, "workload": workload}
