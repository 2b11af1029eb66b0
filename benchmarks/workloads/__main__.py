# SPDX-License-Identifier: MIT
"""`python -m workloads NAME [SCALE]` runs one workload and prints its CPU seconds (thread clock) and checksum."""

from __future__ import annotations

import importlib
import sys
import time

from workloads import NAMES

if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
    sys.exit(f"which workload? one of: {' '.join(NAMES)}")
module = importlib.import_module(f"workloads.{sys.argv[1]}")
started = time.thread_time()
checksum = module.run(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
print(f"{time.thread_time() - started:.6f} {checksum}")
