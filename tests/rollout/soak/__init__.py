# SPDX-License-Identifier: MIT
"""A prefork service that is walked through every stage under load, with what goes wrong in production on the way: `make soak-service`.

walk      the phases: stages, reloads, a crash, a load that jumps, the kill file
service   the service, and what can be asked of it from outside
load      requests at a given pace
record    what it all costs, by the kernel and by hybridprof's own ledger
verdict   what must hold, as pure functions of the record
plot      the record as an SVG
"""
