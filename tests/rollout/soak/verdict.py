# SPDX-License-Identifier: MIT
"""What must hold of a soak, in sentences: pure functions of what was recorded, so that a test can show them a record that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .record import Row
from .service import FILES, MEGABYTES
from .walk import PATIENCE

KILLED_WITHIN = 5.0  # seconds
IN_FORCE_WITHIN = 5.0
HEALTHY = 75.0  # seconds of the phase after a crash from which on the blame must have gone: 60, and the looks
RECOVERED = 200.0  # seconds after the jump by which all steps must have been given back
BARE = 1.03  # CPU of a request after a kill, of that in stage off: the two are minutes apart, on a machine that others use
BEGINNING = 1.0  # of the sampler's budget, in ten seconds with a session's beginning in them: at the floor of a sleepy worker that is 10 ms of CPU time
FLOOR = 0.001  # of a core, for each worker: what the sampler may always take


def complaints(rows: Sequence[Row], facts: dict[str, Any], times: dict[str, tuple[float, float]], told: dict[str, Any]) -> list[str]:
    """Nothing where all is as it should be. told: workers (how many there should be), seen (all pids), failures."""
    found = [*_budgets(rows), *_kernel(rows, told["workers"]), *_changes(facts), *_crash(facts, times, told), *_jump(rows, facts, times)]
    return [*found, *_kill(rows, facts, times), *_files(rows), *_problems(rows), *_bare(rows, times)]


def _budgets(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        for name in ("sampler", "tracer"):
            of = row[f"{name}_of_budget"]
            if of is not None and of > 1.0 + (BEGINNING if name == "sampler" and _began_lately(rows, row) else 0.0):
                yield f"at {row['at']:.0f} s ({row['phase']}) the {name} took {of:.2f} times its budget over ten seconds"


def _began_lately(rows: Sequence[Row], row: Row) -> bool:
    """Whether its ten seconds hold the beginning of a session or of another rate, which costs what no rate does: the ladder cannot take that back."""
    lately = [each for each in rows if row["at"] - 10.0 - each["seconds"] <= each["at"] <= row["at"]]
    return len({(each["stage"], each["runs"], each["step"]) for each in lately}) > 1


def _kernel(rows: Sequence[Row], workers: int) -> Iterator[str]:
    """The sampler's budget by the kernel's clock, in each phase: the ledger must not flatter itself."""
    for phase in dict.fromkeys(row["phase"] for row in rows):
        ours = [row for row in rows if row["phase"] == phase]
        allowed = max(0.01 * sum(row["cpu_s"] for row in ours), FLOOR * workers * sum(row["seconds"] for row in ours))
        spent = sum(row["kernel_sampler_s"] for row in ours)
        beginnings = BEGINNING * FLOOR * 10.0 * workers * len({(row["stage"], row["runs"], row["step"]) for row in ours})
        if spent > allowed + beginnings:
            yield f"in phase {phase} the sampler's threads took {spent:.3f} s by the kernel's clock, and {allowed:.3f} s are its budget"


def _changes(facts: dict[str, Any]) -> Iterator[str]:
    for name, took in facts.items():
        if name.endswith("in force after") and (took is None or took > IN_FORCE_WITHIN):
            yield f"{name} {_seconds(took)}, not within {IN_FORCE_WITHIN:g} s"


def _crash(facts: dict[str, Any], times: dict[str, tuple[float, float]], told: dict[str, Any]) -> Iterator[str]:
    victim, lost = facts["crash: worker"], len(told["seen"]) - told["workers"]
    if lost != 1:
        yield f"{lost} workers were replaced, and one was killed"
    for name in ("crash: replaced after", "crash: stage down after"):
        if facts[name] is None:
            yield f"{name} more than {PATIENCE:g} s (worker {victim})"
    at = facts["crash: at"]
    strangers = [each for each in told["failures"] if not at - 1 <= each["at"] <= at + 5]
    for each in strangers[:5]:
        yield f"a request failed at {each['at']:.1f} s, far from the crash at {at:.1f} s: {each['failed']}"
    if len(told["failures"]) - len(strangers) > 2:
        yield f"{len(told['failures']) - len(strangers)} requests failed with the crash, and a worker has one at a time"


def _jump(rows: Sequence[Row], facts: dict[str, Any], times: dict[str, tuple[float, float]]) -> Iterator[str]:
    if facts["jump: a step after"] is None:
        yield "the load jumped ten times, with ten times the traced calls in each request, and no step was taken: the soak shows nothing of budgets"
    first, last = times["back"]
    if last - first >= RECOVERED and facts["back: steps in force at the end"] > facts["wide: steps before the jump"]:
        yield f"{last - first:.0f} s after the jump {facts['back: steps in force at the end']} steps are still in force"
    first, last = times["crash"]
    if last - first >= HEALTHY + 15:
        late = [row["stage"] for row in rows if first + HEALTHY < row["at"] <= last]
        if late and late[-1] != "deep":
            yield f"{last - first:.0f} s after the crash the stage is still {late[-1]}"


def _kill(rows: Sequence[Row], facts: dict[str, Any], times: dict[str, tuple[float, float]]) -> Iterator[str]:
    took = facts["killed: nothing runs and nothing is armed after"]
    if took is None or took > KILLED_WITHIN:
        yield f"the kill file was in force after {_seconds(took)}, not within {KILLED_WITHIN:g} s"
    if not facts["killed: bare to the end"]:
        yield "something ran or was armed while the kill file was there"
    if facts["again: runs after"] is None:
        yield "nothing runs though the kill file has gone"
    first, last = times["killed"]
    for row in _within(rows, first + KILLED_WITHIN, last):
        if row["runs"] or row["kernel_sampler_s"] > 0:
            yield f"at {row['at']:.0f} s, under the kill file, {row['runs']} samplers ran and took {row['kernel_sampler_s']:.4f} s"


def _files(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row["files"] > FILES or row["file_bytes"] > MEGABYTES * 1_000_000:
            yield f"at {row['at']:.0f} s the folder held {row['files']} files of {row['file_bytes']:,} bytes: {FILES} of {MEGABYTES} MB are its limits"
    if rows and not any(row["files"] for row in rows):
        yield "no profile was ever written"


def _problems(rows: Sequence[Row]) -> Iterator[str]:
    for problem in dict.fromkeys(each for row in rows for each in row["problems"]):
        yield f"a worker says: {problem}"


def _bare(rows: Sequence[Row], times: dict[str, tuple[float, float]]) -> Iterator[str]:
    """Where both phases lasted: with few requests the figure says nothing."""
    off, killed = cpu_per_request(rows, times, "off"), cpu_per_request(rows, times, "killed", KILLED_WITHIN)
    long = all(times[name][1] - times[name][0] >= 100 for name in ("off", "killed"))
    if long and off is not None and killed is not None and killed > BARE * off:
        yield f"a request takes {1e3 * killed:.3f} ms of CPU time under the kill file, and {1e3 * off:.3f} ms in stage off"


def cpu_per_request(rows: Sequence[Row], times: dict[str, tuple[float, float]], phase: str, after: float = 5.0) -> float | None:
    """Seconds, without the phase's first ones."""
    ours = _within(rows, times[phase][0] + after, times[phase][1])
    requests = sum(row["requests"] for row in ours)
    return sum(row["cpu_s"] for row in ours) / requests if requests else None


def _within(rows: Sequence[Row], first: float, last: float) -> list[Row]:
    """Rows that lie in this time as a whole."""
    return [row for row in rows if row["at"] - row["seconds"] >= first and row["at"] <= last]


def _seconds(took: float | None) -> str:
    return f"more than {PATIENCE:g} s" if took is None else f"{took:.1f} s"
