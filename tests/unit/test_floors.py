# SPDX-License-Identifier: MIT
"""A file knows only what lies below it. Each rule is a function from sources to complaints, and each is shown to be awake on a planted violation."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 450  # lines

# floor -> the floors whose headers it may include
C_FLOORS = {
    "base": {"base"},
    "tree": {"base", "tree"},
    "formats": {"base", "tree", "formats"},
    "frame": {"base", "frame"},
    "sampler": {"base", "tree", "frame", "sampler"},
    "tracer": {"base", "tree", "frame", "tracer"},
    "module": {"base", "tree", "formats", "frame", "sampler", "tracer", "module"},
}
PLAIN_FLOORS = {"base", "tree", "formats"}

# module of the package -> its height; it may import what is as high or lower. Unknown modules are complained about: give them a floor.
PYTHON_FLOORS = {
    "_core": 0,
    "profile": 1,
    "marking": 1,
    "merging": 1,
    "difference": 1,
    "patterns": 1,
    "watch": 1,
    "imports": 1,
    "options": 1,
    "ruling": 1,
    "disabled": 2,
    "api": 2,
    "deep": 2,
    "rollout": 3,
    "cli": 4,
    "integrations": 4,
    "selfcheck": 4,
    "__init__": 5,
    "__main__": 5,
}

Sources = Mapping[str, str]  # path from the root -> text
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def read_sources(*patterns: str) -> dict[str, str]:
    """The repository's own files that match, by path; build products and hidden folders left out."""
    found: dict[str, str] = {}
    for pattern in patterns:
        for path in ROOT.glob(pattern):
            relative = path.relative_to(ROOT)
            if path.is_file() and not relative.parts[0].startswith((".", "build", "demo-output")):
                found[relative.as_posix()] = path.read_text(encoding="utf-8")
    return found


def c_floor(path: str) -> str:
    """'csrc/base/sink.c' -> 'base'; 'formats/pstats/pstats.c' -> 'formats'."""
    parts = path.split("/")
    return parts[1] if parts[0] == "csrc" else parts[0]


def without_comments(text: str) -> str:
    """C source with its comments blanked, line numbers kept."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda match: "\n" * match.group().count("\n"), text, flags=re.DOTALL)


def wrong_includes(sources: Sources) -> Iterator[str]:
    for path, text in sources.items():
        floor = c_floor(path)
        if floor not in C_FLOORS:
            yield f"{path}: csrc/ has no floor called {floor}"
            continue
        for bracket, header in INCLUDE.findall(without_comments(text)):
            target = header.split("/")[0] if "/" in header else None
            if bracket == '"' and target is None and not header.startswith("pycore_"):
                if (Path(path).parent / header).as_posix() not in sources:
                    yield f"{path}: includes {header}; write headers of ours as floor/name.h"
            elif bracket == '"' and target in C_FLOORS and target not in C_FLOORS[floor]:
                yield f"{path}: includes {header}, which does not lie below {floor}"
            if floor in PLAIN_FLOORS and Path(header).name in ("Python.h", "frameobject.h", "structmember.h"):
                yield f"{path}: includes {header}; base, tree and formats know nothing of Python"


def version_switches(sources: Sources) -> Iterator[str]:
    """PY_VERSION_HEX and the interpreter's internal headers: only where frames are read and where hooks are set."""
    for path, text in sources.items():
        if path.startswith("csrc/frame/") or re.match(r"csrc/tracer/hook_[^/]*$", path):
            continue
        for number, line in enumerate(without_comments(text).splitlines(), 1):
            if re.search(r"\bPY_(VERSION_HEX|MINOR_VERSION|MAJOR_VERSION)\b|pycore_\w+\.h", line):
                yield f"{path}:{number}: {line.strip()}: version differences belong in csrc/frame/ and csrc/tracer/hook_*"


def python_symbols(listing: str) -> Iterator[str]:
    """Names of CPython in what `nm -A` says of the plain library."""
    for line in listing.splitlines():
        match = re.match(r"(?P<object>\S+?):\s*[0-9a-f]*\s+(?P<kind>[A-Za-z]) (?P<name>\S+)$", line)
        if match and re.match(r"_?Py[A-Z_]", match["name"]):
            yield f"{match['object']}: {match['name']}"


def imported_modules(path: str, text: str) -> Iterator[tuple[int, str]]:
    """(line, module of the package) for each import of the package; imports for the type checker alone do not count."""
    package = ["hybridprof", *path.split("/")[1:-1]]
    tree = ast.parse(text)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "hybridprof" and len(parts) > 1 and id(node) not in for_types:
                yield node.lineno, parts[1]


def wrong_imports(sources: Sources) -> Iterator[str]:
    modules = {Path(path.split("/")[1]).stem for path in sources}
    for path, text in sources.items():
        here = Path(path.split("/")[1]).stem
        if here not in PYTHON_FLOORS:
            yield f"{path}: {here} has no floor; give it one in PYTHON_FLOORS"
            continue
        for line, module in sorted(set(imported_modules(path, text))):
            # What is no module is a name of hybridprof/__init__.py, the top of the package; naming a version or an exception there is the only use.
            height = PYTHON_FLOORS.get(module, PYTHON_FLOORS["__init__"] if module not in modules else 99)
            if height > PYTHON_FLOORS[here]:
                yield f"{path}:{line}: imports {module}, which does not lie below {here}"


def slow_hooks(sources: Sources) -> Iterator[str]:
    """sys.setprofile is what the tests and the self-check hold us against (oracle*.py), or what another tool of the same process does; nothing else
    may lean on it."""
    allowed = ("hybridprof/selfcheck/oracle.py", "tests/integration/test_tracer_neighbours.py", "tests/integration/traced_neighbours.py")
    for path, text in sources.items():
        if (path.startswith("tests/") and "oracle" in path) or path in allowed:
            continue
        for node in ast.walk(ast.parse(text)):
            direct = isinstance(node, ast.Attribute) and node.attr in ("setprofile", "setprofile_all_threads")
            named = isinstance(node, ast.ImportFrom) and any(alias.name.startswith("setprofile") for alias in node.names)
            if direct or named:
                yield f"{path}:{node.lineno}: setprofile outside the oracle"


def too_long(sources: Sources) -> Iterator[str]:
    for path, text in sources.items():
        lines = text.count("\n")
        if lines > LONGEST_FILE:
            yield f"{path}: {lines} lines; the bound is {LONGEST_FILE}"


def without_licence(sources: Sources) -> Iterator[str]:
    for path, text in sources.items():
        if text and "SPDX-License-Identifier: MIT" not in "\n".join(text.splitlines()[:3]):
            yield f"{path}: no SPDX line on top"


C_SOURCES = ("csrc/**/*.[ch]", "formats/**/*.[ch]")
SOURCE_FILES = (
    *C_SOURCES,
    "hybridprof/**/*.py",
    "tests/**/*.py",
    "tests/**/*.[ch]",
    "benchmarks/**/*.py",
    "benchmarks/**/*.[ch]",
    "demo/**/*.py",
    "scripts/*",
)

RULES: list[tuple[Callable[[Sources], Iterator[str]], tuple[str, ...], dict[str, str]]] = [
    (wrong_includes, C_SOURCES, {"csrc/base/a.c": '#include "tree/call_tree.h"\n'}),
    (wrong_includes, C_SOURCES, {"csrc/tree/a.c": "#include <Python.h>\n"}),
    (wrong_includes, C_SOURCES, {"formats/pstats/a.c": '#include "sampler/sampler.h"\n'}),
    (wrong_includes, C_SOURCES, {"csrc/tracer/a.c": '#include "sampler/sampler.h"\n'}),
    (wrong_includes, C_SOURCES, {"csrc/frame/a.h": '#include "tree/profile.h"\n'}),
    (wrong_includes, C_SOURCES, {"csrc/cellar/a.c": ""}),
    (wrong_includes, C_SOURCES, {"csrc/base/a.c": '#include "sink.h"\n'}),
    (version_switches, C_SOURCES, {"csrc/module/a.c": "#if PY_VERSION_HEX >= 0x030d0000\n"}),
    (version_switches, C_SOURCES, {"csrc/tracer/recorder.c": '#include "internal/pycore_frame.h"\n'}),
    (wrong_imports, ("hybridprof/**/*.py",), {"hybridprof/profile.py": "from hybridprof import api\n", "hybridprof/api.py": ""}),
    (wrong_imports, ("hybridprof/**/*.py",), {"hybridprof/deep.py": "from .cli import main\n", "hybridprof/cli/__init__.py": ""}),
    (
        wrong_imports,
        ("hybridprof/**/*.py",),
        {"hybridprof/rollout/stages.py": "def f():\n    import hybridprof.cli.run\n", "hybridprof/cli/run.py": ""},
    ),
    (wrong_imports, ("hybridprof/**/*.py",), {"hybridprof/attic.py": ""}),
    (slow_hooks, ("**/*.py",), {"hybridprof/api.py": "import sys\nsys.setprofile(None)\n"}),
    (slow_hooks, ("**/*.py",), {"tests/unit/test_x.py": "from sys import setprofile\n"}),
    (too_long, SOURCE_FILES, {"csrc/base/a.c": "\n" * (LONGEST_FILE + 1)}),
    (without_licence, SOURCE_FILES, {"csrc/base/a.c": "int a;\n"}),
]
RULE_NAMES = sorted({rule.__name__ for rule, _, _ in RULES})


@pytest.mark.parametrize("name", RULE_NAMES)
def test_the_sources_keep_the_rule(name: str) -> None:
    rule, patterns = next((rule, patterns) for rule, patterns, _ in RULES if rule.__name__ == name)
    sources = read_sources(*patterns)
    assert sources, f"no file matches {patterns}"
    assert list(rule(sources)) == []


@pytest.mark.parametrize(("rule", "planted"), [(rule, planted) for rule, _, planted in RULES])
def test_the_rule_sees_a_planted_violation(rule: Callable[[Sources], Iterator[str]], planted: Sources) -> None:
    assert len(list(rule(planted))) == 1


def test_the_rules_let_right_sources_pass() -> None:
    right = {
        "csrc/frame/frame_313.c": '#include "internal/pycore_frame.h"\n#if PY_VERSION_HEX\n#endif\n#include "base/status.h"\n',
        "csrc/tracer/hook_monitoring.c": '#include <Python.h>\n#if PY_VERSION_HEX\n#endif\n#include "frame/frame.h"\n',
        "formats/pstats/pstats.c": '/* PY_VERSION_HEX and "sampler/sampler.h" are not ours */\n#include "formats/format.h"\n#include <zlib.h>\n',
    }
    assert [*wrong_includes(right), *version_switches(right)] == []
    python = {
        "hybridprof/cli/run.py": "from .. import api\nfrom hybridprof.profile import Profile\n",
        "hybridprof/profile.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .api import Profiler\n",
        "hybridprof/api.py": "from . import _core, deep\n",
    }
    assert list(wrong_imports(python)) == []


def symbols(*arguments: str | Path) -> str:
    return subprocess.run(["nm", "-A", *arguments], check=True, capture_output=True, text=True).stdout


def test_the_plain_library_has_no_symbol_of_python() -> None:
    """base, tree and formats link, run and are fuzzed without an interpreter, and never need its lock."""
    build = subprocess.run([ROOT / "scripts/setup", "plain"], check=True, capture_output=True, text=True).stdout.strip()
    listing = symbols(Path(build) / "libhybridprof-plain.a")
    members = {line.split(":")[1] for line in listing.splitlines()}
    assert any("csrc_base_" in member for member in members) and any("formats_" in member for member in members)
    assert list(python_symbols(listing)) == []


def test_a_symbol_of_python_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "planted.c").write_text("extern void *PyEval_SaveThread(void); void *hp_planted(void) { return PyEval_SaveThread(); }\n")
    subprocess.run(["gcc", "-c", "planted.c"], cwd=tmp_path, check=True)
    assert [line.split(": ")[1] for line in python_symbols(symbols(tmp_path / "planted.o"))] == ["PyEval_SaveThread"]
