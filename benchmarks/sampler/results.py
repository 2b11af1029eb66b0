# SPDX-License-Identifier: MIT
"""What the comparison found, kept as one JSON file for each section and interpreter, and the part of the README that is made of them."""

from __future__ import annotations

import json
from typing import Any

from sampler.peers import OWN
from sampler.peers.base import ROOT
from sampler.sections import SECTIONS
from sampler.sections.base import Results

FOLDER = ROOT / "benchmarks/results/sampler"
README = ROOT / "benchmarks/README.md"
BEGIN, END = "<!-- sampler.compare writes from here -->", "<!-- to here -->"


def store(section: str, interpreter: str, found: dict[str, Any]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{section}-{interpreter}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def stored(section: str) -> Results:
    """By interpreter, the newest first."""
    found = {path.stem.removeprefix(f"{section}-"): json.loads(path.read_text()) for path in FOLDER.glob(f"{section}-3.*.json")}
    return dict(sorted(found.items(), key=lambda item: [int(part.rstrip("d")) for part in item[0].split(".")], reverse=True))


def section_text(section: str, results: Results) -> str:
    """Its tables, why something is missing, and where the figures come from."""
    lines = [SECTIONS[section].tables(results)]
    lines += _absent(results)
    for version, found in results.items():
        versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
        lines.append(
            f"- {version}: `{found['command']}`, {found['runs']} {'run' if found['runs'] == 1 else 'runs'} of each. {found['machine']}. {versions}."
        )
    return "\n".join(lines) + "\n"


def _absent(results: Results) -> list[str]:
    """Sentences for every gap in the tables; one for several interpreters if it is the same."""
    where: dict[str, list[str]] = {}
    for version, found in results.items():
        for name, reason in found["absent"].items():
            where.setdefault(f"no {name}: {reason}", []).append(version)
        for name, cases in found["failures"].items():
            for case, sentences in cases.items():
                measured = len(found["cells"].get(name, {}).get(case, []))
                where.setdefault(
                    f"{name}, {case}: {len(sentences)} of {measured + len(sentences)} runs failed ({sentences[0]})", []
                ).append(version)
    return [f"- {', '.join(versions)}: {words.rstrip('.')}." for words, versions in where.items()]


def write_readme() -> None:
    parts = [f"{BEGIN}\n", f"## {OWN.name} and its peers, side by side\n"]
    parts += [section_text(name, results) for name in SECTIONS if (results := stored(name))]
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2] if rest else "\n"
    README.write_text(before.rstrip("\n") + "\n\n" + "\n".join(parts) + f"\n{END}" + after)
