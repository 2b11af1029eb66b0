# SPDX-License-Identifier: MIT
"""What `export --help` says of each format, against what a hand has written down here after the pages formats/*/SPEC.md; and what export says where
a format has no place for anything that the profile holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from unit.made_profiles import Made, Stack, encoded

from hybridprof import _core
from hybridprof.cli import export

PARTS = ("callers", "stacks", "calls", "exact and estimated apart", "errors", "lines", "what threads were doing", "threads", "timeline")
LOST = {
    "hyprof": "",
    "pprof": "errors, timeline",
    "speedscope": "calls, errors, lines, what threads were doing",
    "gecko": "calls, errors",
    "pstats": "stacks, exact and estimated apart, errors, lines, what threads were doing, threads, timeline",
    "callgrind": "stacks, errors, what threads were doing, timeline",
    "collapsed": "calls, exact and estimated apart, errors, lines, what threads were doing, timeline",
}
TEXTS = {"speedscope", "gecko", "callgrind", "collapsed"}


def test_every_format_is_here() -> None:
    assert {format.name for format in _core.formats()} == set(LOST)


@pytest.mark.parametrize("format", _core.formats(), ids=lambda format: str(format.name))
def test_what_a_format_keeps_and_loses(format: _core.Format) -> None:
    lost = tuple(LOST[format.name].split(", ")) if LOST[format.name] else ()
    assert format.loses == lost
    assert format.keeps == tuple(part for part in PARTS if part not in lost)
    assert format.is_text == (format.name in TEXTS)
    assert len(format) == 5
    assert tuple(format) == (format.name, format.suffixes, format.prefix, format.can_read, format.can_write)


def test_help_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        export.main(["--help"])
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for name, lost in LOST.items():
        kept = ", ".join(part for part in PARTS if part not in lost.split(", "))
        assert re.search(rf" {name} \([^)]*\) [^:]+\. Keeps: {kept}\. Lost: {lost or 'nothing'}\.", shown), name


@pytest.mark.parametrize("name", sorted(LOST))
@pytest.mark.parametrize(
    ("stack", "held"), [(Stack(0, (0,), calls=5), "calls and no time"), (Stack(0, (0,)), "no time"), (Stack(0, (0,), 1), "")]
)
def test_nothing_that_a_format_has_a_place_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, stack: Stack, held: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.hyprof").write_bytes(encoded(Made(1, (stack,))))
    assert export.main(["x.hyprof", "-f", name, "-o", "out"]) == 0
    said = capsys.readouterr().err
    if held and "calls" in LOST[name].split(", "):
        assert said.startswith(f"hybridprof: the profile holds {held}, and {name} shows time alone: what was written shows nothing")
        assert said.count("\n") == 1 and ("export it as pstats" in said) == ("calls" in held)
    else:
        assert said == ""
