# SPDX-License-Identifier: MIT
"""What `export --help` says of each format, against what a hand has written down here after the pages formats/*/SPEC.md."""

from __future__ import annotations

import re

import pytest

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
