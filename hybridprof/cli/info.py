# SPDX-License-Identifier: MIT
"""`hybridprof info FILE`: where and how a profile was measured, and how much of it to trust."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from hybridprof.profile import Profile, State, Timeline, load

from . import rates, table
from .main import Parser

KEYS = (
    *(
        "python",
        "platform",
        "pid",
        "argv",
        "started",
        "duration_ns",
        "clock",
        "rate_hz",
        "sampler_method",
        "samples",
        "sampler_cpu_ns",
        "tracing",
    ),
    *("threads", "residual_ns", "warnings"),
)
SAMPLES = ("kept", "retried", "unresolved", "missed", "remote")
TICKS = ("ticks", "lowered")
TRACING = ("targets", "calls", "events", "overhead_ns", "overhead_error_ns", "truncated")


def main(argv: list[str]) -> int:
    parser = Parser(prog="hybridprof info", description="Says what a profile holds.")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="for programs: times in ns")
    options = parser.parse_args(argv)
    profile = load(options.file)
    facts = {key: profile.meta[key] for key in KEYS}
    facts["samples"] = {key: facts["samples"][key] for key in (*SAMPLES, *TICKS, "unresolved_by")}
    facts["rate_had_hz"] = rates.had(facts)
    facts["states"] = profile.states
    if profile.timeline is not None:
        facts["timeline"] = {"samples": profile.timeline.samples, "lost": profile.timeline.lost}
    facts["tracing"] = {key: facts["tracing"][key] for key in TRACING}
    if options.json:
        json.dump(facts, sys.stdout, default=str)
        sys.stdout.write("\n")
    else:
        _show(profile, facts)
    return 0


def _show(profile: Profile, facts: dict[str, Any]) -> None:
    samples, tracing = facts["samples"], facts["tracing"]
    argv = facts["argv"]
    lines = [
        ("program", argv if isinstance(argv, str) else " ".join(argv)),
        ("python", f"{facts['python']} on {facts['platform']}, process {facts['pid']}"),
        ("started", str(facts["started"])),
        ("duration", table.duration(facts["duration_ns"])),
        ("sampling", f"{rates.in_words(facts)}, {facts['clock']} clock{_by(profile, 'sampler_method')}" if facts["rate_hz"] else "none"),
        ("samples", ", ".join(f"{samples[key]:,} {key}" for key in SAMPLES) + _causes(samples["unresolved_by"])),
        ("states", _shares(profile.states) or "none"),
        *((("timeline", _timeline(profile.timeline)),) if profile.timeline is not None else ()),
        ("sampler", f"{table.duration(facts['sampler_cpu_ns'])} of CPU"),
        (
            "tracing",
            ", ".join(f"{tracing[key]:,} {key}" for key in tracing if not key.endswith("_ns"))
            + f", overhead {table.duration(tracing['overhead_ns'])}{_up_to(tracing)}{_by(profile, 'tracer_hook')}",
        ),
        ("residual", f"{table.duration(facts['residual_ns'])} of measured time unexplained"),
        *((("merged", _merged(profile)),) if len(profile.sources) > 1 or profile.left_out else ()),
        *(("warning", str(warning)) for warning in facts["warnings"]),
    ]
    for name, text in lines:
        table.say(f"{name:<9} {text}")
    rows = [
        [thread.name, *(table.duration(ns) for ns in (thread.measured_ns, thread.sampled_ns, thread.exact_ns, thread.overhead_ns))]
        for thread in profile.threads
    ]
    if rows:
        table.say("")
        for line in table.columns([["thread", "measured", "sampled", "exact", "overhead"], *rows], left={0}):
            table.say(line)


def _timeline(timeline: Timeline) -> str:
    return f"{timeline.samples:,} samples in the order of time" + (f", {timeline.lost:,} lost" if timeline.lost else "")


def _merged(profile: Profile) -> str:
    """How many profiles, and of how much that differs."""
    sources = profile.sources
    hosts = len({each.platform for each in sources})
    text = f"{len(sources):,} profiles of {len({each.pid for each in sources}):,} processes, {hosts:,} platform{'s' if hosts != 1 else ''}"
    left_out = profile.left_out
    return text + (f"; {left_out:,} file{'' if left_out == 1 else 's'} could not be read" if left_out else "")


def _shares(states: Mapping[State, int]) -> str:
    whole = sum(states.values())
    return ", ".join(f"{100 * ns / whole:.1f} % {state}" for state, ns in states.items() if ns)


def _causes(counts: dict[str, int]) -> str:
    named = [f"{count:,} {cause}" for cause, count in counts.items() if count]
    return f" (unresolved: {', '.join(named)})" if named else ""


def _up_to(tracing: dict[str, Any]) -> str:
    """The calibrations of one session differ a little always."""
    error: int = tracing["overhead_error_ns"]
    return f" (by other calibrations up to {table.duration(error)} more)" if error * 20 > tracing["overhead_ns"] else ""


def _by(profile: Profile, key: str) -> str:
    value = profile.meta.get(key)
    return f", by {value}" if value else ""
