# SPDX-License-Identifier: MIT
"""Staged rollout: what a service runs is decided by a file, not by its code, and can be changed, lowered and killed while it runs.

`configure(path)` reads the TOML file, starts what its stage says and follows the file. Where HYBRIDPROF_CONFIG names a file, the first
`hybridprof.start()` (or Profiler, or `hybridprof run`) does the same: see `environment`. Modules, from what is pure to what acts:

    lines      on which line each key and value of a TOML text stands
    schema     what may be in the file: types, bounds, near misses
    config     a file that may be trusted, as Settings, or all its errors
    buckets    who is a member of a share: sticky, and raising the share only adds
    stages     what runs in each stage, and how much of it at most
    ledger     what profiling costs, by windows, from sums
    ladder     what is taken back while that is more than the budgets, and when it is given back
    crash_rules                       what crashes of earlier lives allow
    resolve    one pure function from all layers to what is in force, and where each value came from
    wishes     what the program's own code asks for
    overrides  values that outrank the file until a moment
    watched    what the file system says of the file and of the kill file
    trust      whose files and folders are believed
    follower   a thread that looks once in a period
    looking    how often, at how much, and what that may cost
    session    a session as a plan wants it
    readings, accounts                the ledger's sums, and ledger and ladder of this process
    audit, audit_chain, locks         who changed what: a log whose lines are chained by their hashes
    journal    what the log is told of this process
    crash_loop, guarding              lives that did not end as they should, and this one
    judge, figures, prometheus        canary against control, from two sets of figures
    verdict    the last verdict, a file that each service of the folder follows
    published  what this process says of itself, for `hybridprof status`
    ruler      what is in force, made true in this process
    control    the socket by which a running process is asked and steered
    process    the process' one ruler: who appoints it, and what forks do to it
    output     files and their uploader, as the configuration wants them: spool (names and limits), rotation (a file each minute), shipping
"""

from __future__ import annotations

from .config import ConfigError
from .process import configure, current
from .ruler import Ruler

__all__ = ["ConfigError", "Ruler", "configure", "current"]
