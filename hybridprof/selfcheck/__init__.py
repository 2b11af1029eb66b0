# SPDX-License-Identifier: MIT
"""`hybridprof selfcheck`: programs whose truth is known, run on the user's machine, and what the installed profiler says of them.

`promises` is the one table of what is promised and what is said of a measurement; `intervals` is the statistics; `run` starts each check in
a process of its own (`child`), so that a crash or a hang of one is a line of the result and not its end. The checks are `shares`, `stacks`,
`counts`, `calls` and `sampling`; the programs that they profile lie in `programs/`. Only the standard library is used.
"""
