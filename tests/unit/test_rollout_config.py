# SPDX-License-Identifier: MIT
"""The configuration file: each error is one sentence with its line, and only a file that may be trusted is read."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridprof.rollout import config, environment
from hybridprof.rollout.lines import lines_of
from hybridprof.rollout.schema import SCHEMA, from_text, variable

COMPLETE = """\
stage = "deep"                      # off | dark | canary | fleet | deep | wide
service = "checkout"
kill_file = "/run/hybridprof/kill"  # its existence stops everything within 5 s
state_dir = "/var/lib/hybridprof"   # crash-loop markers, audit log
output_dir = "/var/log/hybridprof"
[sampler]
rate = 100
clock = "wall"
budget = "1%"
[deep]
targets = ["shop.cart:*", "shop.pay:charge"]
rate = 0.01
budget = "2%"
[rollout]
hosts = 0.01                        # share of hosts, sticky
requests = 0.001
[control]
socket = "/run/hybridprof/%p.sock"
"""


def errors_of(text: str) -> list[str]:
    with pytest.raises(config.ConfigError) as caught:
        config.parse(text, "f")
    return caught.value.errors


# --- lines -----------------------------------------------------------------------------------------------------------------------------------


def test_lines_of_everything_that_toml_has() -> None:
    text = '''\
# a comment with = and [brackets] and "quotes
a = 1
"b.c" . 'd' = """
two lines with \\""" and ]
"""  # ends on line 5
[t]  # header
x = [ # array
  "one", [ 1,
  2 ], { y = "}", z.w = \'\'\'
'''
    text += """#'''}, # line 10
]
[[list]]
k = 1979-05-27 07:32:00
[[list]]

k = "\\"#"
[list.sub]
k = ''''quoted''''
[ t . "u v" ]
last = ""
"""
    assert isinstance(tomllib.loads(text), dict)
    lines = lines_of(text)
    expected = {
        ("a",): 2,
        ("b.c", "d"): 3,
        ("t",): 6,
        ("t", "x"): 7,
        ("t", "x", 0): 8,
        ("t", "x", 1): 8,
        ("t", "x", 1, 1): 9,
        ("t", "x", 2): 9,
        ("t", "x", 2, "z", "w"): 9,
        ("list", 0, "k"): 13,
        ("list", 1, "k"): 16,
        ("list", 1, "sub", "k"): 18,
        ("t", "u v"): 19,
        ("t", "u v", "last"): 20,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert lines_of(text.replace("\n", "\r\n")) == lines


# A value as text, and how many lines it takes more than one.
VALUES = st.sampled_from(
    [
        ("1", 0),
        ("-2.5e3", 0),
        ("true", 0),
        ('"a # = [ \\" b"', 0),
        ("'c:\\x # \"'", 0),
        ('"""x"""', 0),
        ('"""\n# "" not = a key\n\\"""""', 2),
        ("'''\n[no.table]\n'' '''", 2),
        ("[]", 0),
        ("[1, 'x', [2, [3]]]", 0),
        ("[ # first\n 'a', # [\n\n 'b',\n]", 4),
        ("{}", 0),
        ("{ a = 1, 'b' = [1,\n2], c.d = '}' }", 1),
        ("1979-05-27T07:32:00Z", 0),
    ]
)
KEYS = st.sampled_from(["k{}", '"q {}"', "'l.{}'", "d{}.e.f", 'm{}."n # ="', "u{} . v"])
ITEMS = st.lists(
    st.one_of(st.sampled_from(["", "# c = [", "   "]), st.tuples(KEYS, VALUES), st.sampled_from(["[t{}]", "[t{}.'s t']", "[[a]]"]))
)


@settings(max_examples=60, deadline=None)
@given(ITEMS)
def test_each_key_stands_on_its_line(items: list[Any]) -> None:
    text, expected, line, table, arrays = "", [], 1, (), 0
    for number, item in enumerate(items):
        if isinstance(item, tuple):
            key, (value, more) = item
            text += f"{key.format(number)} = {value}\n"
            nested: Any = tomllib.loads(f"{key.format(number)} = 0")
            path: tuple[Any, ...] = table
            while isinstance(nested, dict):
                ((part, nested),) = nested.items()
                path = (*path, part)
            expected.append((path, line))
            line += more
        else:
            text += item.format(number) + "\n"
            if item == "[[a]]":
                table = ("a", arrays)
                arrays += 1
            elif item.startswith("["):
                table = (f"t{number}", "s t") if "s t" in item else (f"t{number}",)
            if item.startswith("["):
                expected.append((table, line))
        line += 1
    assert isinstance(tomllib.loads(text), dict)
    lines = lines_of(text)
    assert [(path, lines[path]) for path, _ in expected] == expected


# --- what may be in it -----------------------------------------------------------------------------------------------------------------------


def test_the_complete_example() -> None:
    settings_ = config.parse(COMPLETE, "f")
    assert settings_.values["deep.targets"] == ("shop.cart:*", "shop.pay:charge")
    assert (settings_.values["sampler.budget"], settings_.values["sampler.rate"]) == (1.0, 100.0)
    assert settings_.places["rollout.hosts"] == "f:15"
    assert {key for key in SCHEMA if key not in settings_.values} == {
        "deep.event_limit",
        "rollout.processes",
        "caps.rate",
        "caps.sampler_budget",
        "caps.deep_budget",
        "caps.deep_rate",
        "caps.requests",
        "memory.budget",
        "caps.memory_budget",
        *(key for key in SCHEMA if key.startswith("output.")),
    }
    assert config.parse("", "f").values == {}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("\nstagee = 1", "f:2: stagee is no key; did you mean stage?"),
        ("[sampler]\n\nclok = 1", "f:3: sampler.clok is no key; did you mean sampler.clock?"),
        ("rate = 5", "f:1: rate is no key; did you mean sampler.rate or deep.rate or caps.rate?"),
        ("[deap]\nx = 1", "f:1: [deap] is no table of a configuration; did you mean [deep]?"),
        ("sampler = 5", "f:1: sampler is a table with the keys rate, clock, budget, not int 5"),
        ("[[deep]]\nrate = 1", "f:1: deep is a table with the keys targets, rate, budget, event_limit, not list [{'rate': 1}]"),
        ('stage = "Deep"', "f:1: stage must be one of off, dark, canary, fleet, deep, wide, not 'Deep'"),
        ("stage = ['deep']", "f:1: stage must be one of off, dark, canary, fleet, deep, wide, not ['deep']"),
        ("sampler = { rate = true }", "f:1: sampler.rate must be a number of Hz from 0 (no sampling) to 10000, not True"),
        ("sampler.rate = -1", "f:1: sampler.rate must be a number of Hz from 0 (no sampling) to 10000, not -1"),
        ("sampler.rate = nan", "f:1: sampler.rate must be a number of Hz from 0 (no sampling) to 10000, not nan"),
        ("sampler.rate = 5000", "f:1: sampler.rate is 5000, and the built-in cap allows at most 1000; caps.rate may allow more"),
        ("sampler.budget = '1'", "f:1: sampler.budget must be a percentage above 0 and at most 100, such as \"1%\", not '1'"),
        ("sampler.budget = 'nan%'", "f:1: sampler.budget must be a percentage above 0 and at most 100, such as \"1%\", not 'nan%'"),
        ("sampler.budget = '9%'", "f:1: sampler.budget is 9, and the built-in cap allows at most 5; caps.sampler_budget may allow more"),
        ("memory.budget = '64MB'", "f:1: memory.budget must be a number of megabytes from 1 to 1000000, not '64MB'"),
        ("memory.budget = 0.5", "f:1: memory.budget must be a number of megabytes from 1 to 1000000, not 0.5"),
        ("memory.budget = 2000", "f:1: memory.budget is 2000, and the built-in cap allows at most 1024; caps.memory_budget may allow more"),
        ("[memory]\nbudget = 64\n[caps]\nmemory_budget = 32", "f:2: memory.budget is 64, and [caps] memory_budget allows at most 32"),
        ("[rollout]\nhosts = 1.5", "f:2: rollout.hosts must be a share from 0 to 1, not 1.5"),
        ("[deep]\nevent_limit = -1", "f:2: deep.event_limit must be a number of events from 0 (no limit) on, not -1"),
        ("[deep]\nevent_limit = 5.0", "f:2: deep.event_limit must be a number of events from 0 (no limit) on, not 5.0"),
        ("[deep]\nrate = 0", "f:2: deep.rate must be a share of calls, above 0 and at most 1, not 0"),
        ("kill_file = 'kill'", "f:1: kill_file must be an absolute path, not 'kill'"),
        ('kill_file = "/a\\u0000"', "f:1: kill_file must be an absolute path, not '/a\\x00'"),
        ("service = ' '", "f:1: service must be a name of 1 to 200 printable characters, not ' '"),
        ("[deep]\ntargets = 'a:b'", "f:2: deep.targets must be a list of patterns such as [\"package.module:Class.method\"], not 'a:b'"),
        (
            "[deep]\ntargets = [\n'a:b',\n3]",
            "f:4: deep.targets holds what is no target: a pattern is a str such as 'package.module:Class.method', not int 3",
        ),
        (
            "stage = 'deep'\n[deep]\ntargets = []",
            "f:3: deep.targets is empty, and stage 'deep' is about targets; name some, or use stage fleet",
        ),
        (
            "stage = 'deep'\n[deep]\nrate = 0.5",
            "f:3: deep.rate is 0.5, and stage 'deep' allows at most 0.01; caps.deep_rate may allow more",
        ),
        (
            "stage = 'wide'\n[rollout]\nrequests = 0.1",
            "f:3: rollout.requests is 0.1, and stage 'wide' allows at most 0.05; caps.requests may allow more",
        ),
        ("[caps]\nrequests = 0.2\n[rollout]\nrequests = 0.3", "f:4: rollout.requests is 0.3, and [caps] requests allows at most 0.2"),
        ("[caps]\nrate = 50\n[sampler]\nrate = 51", "f:4: sampler.rate is 51, and [caps] rate allows at most 50"),
        ("'sampler.rate' = 5", "f:1: 'sampler.rate' is no key; did you mean sampler.rate?"),
        ("stage = ", "f:1: is no TOML: Invalid value"),
        ("a = 1\na = 2", "f:2: is no TOML: Cannot overwrite a value"),
        ("a = 1\n[b", "f:2: is no TOML: Expected ']' at the end of a table declaration"),
        ("x = " + "[" * 100_000, "f: is nested too deeply for a configuration"),
    ],
)
def test_an_error_and_its_line(text: str, error: str) -> None:
    assert errors_of(text) == [error]


def test_all_errors_at_once_in_order() -> None:
    found = errors_of("stage = 'x'\n[sampler]\nrate = 'y'\n[zzz]\n[deep]\nbudget = 3\n")
    assert [each.split(":")[1] for each in found] == ["1", "3", "4", "6"]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="[]{}=.,\"'#\n\\ abkstage1%", max_size=60))
def test_any_text_is_settings_or_sentences(text: str) -> None:
    errors = []
    try:
        config.parse(text, "f")
    except config.ConfigError as error:
        errors = error.errors or ["none"]
    assert all(each.startswith("f:") and "\n" not in each for each in errors)


# --- the file --------------------------------------------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(config.ConfigError) as caught:
        config.read(str(path))
    (error,) = caught.value.errors
    return error.replace(str(path), "f")


def test_who_may_have_written_it(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("stage = 'off'\n")
    for mode, error in [
        (0o646, "f: is writable by everybody (mode 0646); chmod go-w it"),
        (0o664, "f: is writable by its group (mode 0664); chmod go-w it"),
    ]:
        path.chmod(mode)
        assert refused(path) == error
    path.chmod(0o444)
    assert config.read(str(path)).values == {"stage": "off"}


def test_what_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    assert refused(path) == "f: cannot be read: No such file or directory"
    path.mkdir()
    assert refused(path) == "f: is no regular file"
    path.rmdir()
    os.mkfifo(path, 0o600)
    assert refused(path) == "f: is no regular file"
    path.unlink()
    path.write_bytes(b"stage = 'off'\n# \xff\n")
    assert refused(path) == "f:2: byte 0xff is not UTF-8"
    path.write_bytes(b"#" * (config.LARGEST + 1))
    assert refused(path) == "f: is larger than 1,048,576 bytes, which no configuration is"


# --- the environment -------------------------------------------------------------------------------------------------------------------------


def test_the_environment() -> None:
    found, errors = environment.values(
        {
            "HYBRIDPROF_STAGE": "fleet",
            "HYBRIDPROF_SAMPLER_RATE": "50",
            "HYBRIDPROF_DEEP_TARGETS": "a:b, c:*",
            "HYBRIDPROF_DEEP_BUDGET": "1.5%",
            "HYBRIDPROF_DEEP_EVENT_LIMIT": "1000",
            "HYBRIDPROF_ROLLOUT_HOSTS": "much",
            "HYBRIDPROF_CAPS_RATE": "9",
        }
    )
    assert found == {"stage": "fleet", "sampler.rate": 50.0, "deep.targets": ("a:b", "c:*"), "deep.budget": 1.5, "deep.event_limit": 1000}
    assert errors == ["HYBRIDPROF_ROLLOUT_HOSTS in the environment: rollout.hosts must be a share from 0 to 1, not 'much'"]
    assert not environment.says_anything({"HYBRIDPROF_REPORTS": "x", "HYBRIDPROF_STAGE": ""})
    assert environment.says_anything({"HYBRIDPROF_CONFIG": "x"})
    assert len({variable(key) for key in SCHEMA}) == len(SCHEMA)
    with pytest.raises(ValueError, match="'1e'"):
        from_text("sampler.rate", "1e")
    with pytest.raises(ValueError, match=r"must be a number of events from 0 \(no limit\) on, not '1.5'"):
        from_text("deep.event_limit", "1.5")
