# SPDX-License-Identifier: MIT
"""`python -m hybridprof` is the program `hybridprof`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
