# SPDX-License-Identifier: MIT
"""`python -m hybridprof` is the program `hybridprof`."""

import os
import sys

if __name__ == "__main__":
    # `python -m` put the current folder first. What lies there is the program's: an argparse.py or token.py of its own must not become ours.
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.__file__)

    from .cli import main

    raise SystemExit(main())
