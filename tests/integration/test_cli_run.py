# SPDX-License-Identifier: MIT
"""`hybridprof run`: a program cannot tell that it runs under us, and its user sees the same output, traceback and exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from conftest import RunCli, clean_environment

import hybridprof

SHOW = """
import sys
print(sorted(globals()))
print(__name__, globals().get("__file__"), __package__, __spec__ and __spec__.name, type(__loader__).__name__, __builtins__)
print(sys.argv, sys.path[:2], sys.modules["__main__"].__dict__ is globals(), sys.flags.safe_path)
"""

PROGRAMS = {
    "show.py": SHOW,
    "pkg/__init__.py": "",
    "pkg/__main__.py": "from . import part\n" + SHOW,
    "pkg/part.py": "print('part', __name__)\n" + SHOW,
    "folder/__main__.py": SHOW,
    "raises.py": """
def inner(x):
    try:
        return 1 / x
    except ZeroDivisionError as error:
        raise ValueError("nö") from error
def outer():
    inner(0)
outer()
""",
    "hook.py": """
import sys, traceback
def hook(kind, error, tb):
    print("HOOK", kind.__name__, [frame.name for frame in traceback.extract_tb(tb)], error.__traceback__ is tb, file=sys.stderr)
sys.excepthook = hook
def fails(): raise KeyError("k")
fails()
""",
    "syntax.py": "x = = 1\n",
    "syntax_deeper.py": "import syntax\n",
    "coding.py": "# -*- coding: latin-1 -*-\nprint('caf\u00e9')\n",
    "group.py": "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n",
    "recursion.py": "def f(): f()\nf()\n",
    "exit_text.py": "import sys\nsys.exit('bye')\n",
    "exit_7.py": "raise SystemExit(7)\n",
    "exit_none.py": "import sys\nsys.exit()\n",
    "exit_huge.py": "import sys\nsys.exit(2**40)\n",
    "exit_atexit.py": "import atexit, sys\natexit.register(print, 'handler')\nprint('end')\nsys.exit(3)\n",
    "threads.py": """
import threading
def work():
    threading.main_thread().join()
    print("thread done")
threading.Thread(target=work).start()
print("main done")
""",
    "thread_raises.py": """
import threading
def work(): raise KeyError("in thread")
thread = threading.Thread(target=work, name="T")
thread.start(); thread.join()
""",
    "warns.py": "import warnings\nwarnings.warn('old', DeprecationWarning)\nprint('after')\n",
    "deletes.py": """
class Loud:
    def __del__(self): print("deleted", __name__)
loud = Loud()
print("end")
""",
    "reads.py": "import sys\nprint(sys.stdin.read().upper())\n",
    "pickles.py": """
import pickle
class Thing: pass
print(type(pickle.loads(pickle.dumps(Thing()))) is Thing)
""",
    "closes.py": "import sys\nprint('x')\nsys.stdout.close()\n",
    "child.py": """
import os, sys
child = os.fork()
if child == 0:
    print("child", flush=True)
    os._exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
child = os.fork()
if child == 0:
    sys.exit(6)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
    "spawns.py": """
import multiprocessing
def work(x): return x * 2
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(pool.map(work, [1, 2, 3]))
""",
    "own_argv.py": "import sys\nsys.argv[:] = ['changed']\nimport os\nos.chdir('/')\nprint(sys.argv)\n",
    "tracebacks.py": "import traceback\ndef f(): raise KeyError\ntry: f()\nexcept KeyError: traceback.print_exc()\n",
    "empty.py": "",
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name, text in PROGRAMS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="latin-1" if name == "coding.py" else "utf-8")
    with zipfile.ZipFile(folder / "app.zip", "w") as archive:
        archive.writestr("__main__.py", SHOW)
    (folder / "link.py").symlink_to("folder/__main__.py")
    return folder


def same_everywhere(text: str) -> str:
    """Without addresses; and endless recursion ends a few frames earlier beneath ours."""
    return re.sub(r"repeated \d+ more times", "repeated many more times", re.sub(r"0x[0-9a-f]{6,}", "0x", text))


def both(arguments: list[str], cwd: Path, out: Path, options: tuple[str, ...] = (), **env: str | None) -> list[tuple[int, str, str]]:
    """(exit status, stdout, stderr) of plain python and of python under us."""
    found = []
    for command in ([sys.executable], [sys.executable, "-m", "hybridprof", "run", "-q", "-o", str(out), *options]):
        done = subprocess.run(
            [*command, *arguments],
            cwd=cwd,
            env=clean_environment(PYTHONIOENCODING="utf-8", **env),
            input="typed",
            capture_output=True,
            text=True,
            timeout=120,
        )
        found.append((done.returncode, *(same_everywhere(text) for text in (done.stdout, done.stderr))))
    return found


CASES = [
    *([name] for name in PROGRAMS if "/" not in name),
    *(["show.py", *words] for words in (["-o", "x"], ["--", "-m"], ["run"], ["--help"], ["ü"])),
    *([path] for path in ("./show.py", "folder/../show.py", "link.py", "folder", "./folder", "folder/", ".//show.py", "app.zip")),
    *(["-m", module, "1"] for module in ("show", "pkg", "pkg.part", "raises", "syntax", "exit_7", "pkg.none", "pkg.part.deeper")),
    *(["-c", code, "1", "-c"] for code in (SHOW, "def f():\n  1/0\nf()", "x = = 1", "raise SystemExit(4)")),
]


@pytest.mark.parametrize("arguments", CASES, ids=lambda arguments: " ".join(arguments).replace("\n", " ")[:40])
def test_as_plain_python(programs: Path, tmp_path: Path, arguments: list[str]) -> None:
    plain, ours = both(arguments, programs, tmp_path / "out.hyprof", PYTHONSAFEPATH=None)
    assert ours == plain
    loads = "syntax.py" not in arguments and arguments[:2] != ["-c", "x = = 1"]
    assert (tmp_path / "out.hyprof").exists() == loads


@pytest.mark.parametrize("arguments", [["show.py"], ["-m", "json.tool", "--help"], ["folder"], ["app.zip"], ["-c", SHOW]], ids=" ".join)
def test_as_plain_python_with_safe_path(programs: Path, tmp_path: Path, arguments: list[str]) -> None:
    plain, ours = both(arguments, programs, tmp_path / "out.hyprof", PYTHONSAFEPATH="1")
    assert ours == plain


@pytest.mark.parametrize("pattern", ["*", "__main__:*", "*:f*"])
@pytest.mark.parametrize(
    "name", ["show.py", "raises.py", "hook.py", "recursion.py", "pickles.py", "threads.py", "deletes.py", "spawns.py", "tracebacks.py"]
)
def test_as_plain_python_when_traced(programs: Path, tmp_path: Path, name: str, pattern: str) -> None:
    if name == "recursion.py" and hybridprof._core.HOOKS == ("setprofile",):
        pytest.skip("a wrapper's frames count towards the recursion limit there")
    plain, ours = both([name], programs, tmp_path / "out.hyprof", ("--deep", pattern), PYTHONSAFEPATH=None)
    assert ours == plain


def test_absolute_script_from_elsewhere(programs: Path, tmp_path: Path) -> None:
    plain, ours = both([str(programs / "show.py")], tmp_path, tmp_path / "out.hyprof", PYTHONSAFEPATH=None)
    assert ours == plain


def test_a_folder_with_names_of_the_standard_library(run_cli: RunCli, tmp_path: Path) -> None:
    for name in ("argparse", "dataclasses", "difflib", "inspect", "token", "typing"):
        (tmp_path / f"{name}.py").write_text("print('not ours')\n")
    (tmp_path / "plain.py").write_text("print('ran')\n")
    assert run_cli("run", "-q", "-o", "x.hyprof", "plain.py", env={"PYTHONSAFEPATH": None}).stdout == "ran\n"


def test_compiled_script(programs: Path, tmp_path: Path) -> None:
    import py_compile

    py_compile.compile(str(programs / "show.py"), cfile=str(tmp_path / "show.pyc"), doraise=True)
    plain, ours = both(["show.pyc"], tmp_path, tmp_path / "out.hyprof", PYTHONSAFEPATH=None)
    assert ours == plain


def test_counts_and_names(run_cli: RunCli, programs: Path, tmp_path: Path) -> None:
    run_cli(
        "run", "--deep", "raises:inner", "-o", tmp_path / "x.hyprof", "-m", "raises", status=1, cwd=programs, env={"PYTHONSAFEPATH": None}
    )
    rows = {row.name: row for row in hybridprof.load(tmp_path / "x.hyprof").functions}
    assert rows["inner"].calls == 1
    assert rows["inner"].module == "__main__"
    assert not [row for row in rows.values() if f"{os.sep}hybridprof{os.sep}" in row.file or row.file == "<frozen runpy>"]


def test_says_where_the_profile_is(run_cli: RunCli, programs: Path, tmp_path: Path) -> None:
    done = run_cli("run", programs / "empty.py")
    (written,) = tmp_path.glob("hybridprof.*.hyprof")
    assert done.stdout == ""
    assert done.stderr == f"hybridprof: wrote {written.name}; see it with: hybridprof report {written.name}\n"
    assert run_cli("report", written.name).stderr == ""


def test_many_outputs(run_cli: RunCli, programs: Path, tmp_path: Path) -> None:
    names = ["a.hyprof", "a.pstats", "callgrind.out.a", "a.collapsed", "a.pb.gz"]
    done = run_cli("run", *[word for name in names for word in ("-o", name)], programs / "threads.py")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert done.stderr.count("\n") == 1
    assert all(name in done.stderr for name in names)


def test_relative_output_of_a_program_that_changes_its_folder(run_cli: RunCli, programs: Path, tmp_path: Path) -> None:
    run_cli("run", "-q", "-o", "x.hyprof", programs / "own_argv.py")
    assert (tmp_path / "x.hyprof").exists()


def test_a_table_at_exit(run_cli: RunCli, programs: Path) -> None:
    done = run_cli("run", "-q", "-s", "calls", "--deep", "__main__:f*", programs / "tracebacks.py")
    header, first, *_ = done.stdout.splitlines()
    assert header.split() == ["calls", "self", "±", "total", "±", "measured", "function"]
    assert first.split()[0] == "1"
    assert "__main__.f" in first
    assert "tracebacks.py:2" in first


def test_a_pattern_that_matched_nothing(run_cli: RunCli, programs: Path) -> None:
    done = run_cli("run", "-o", "x.hyprof", "--deep", "__main__:outre", programs / "raises.py", status=1)
    assert (
        "hybridprof: pattern '__main__:outre' matched nothing: module __main__ has no such function; did you mean '__main__:outer'?\n"
        in done.stderr
    )


def test_the_programs_own_exit_status_when_writing_fails(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "program.py").write_text("import shutil, sys\nshutil.rmtree('folder')\nprint('ran')\nsys.exit(9)\n")
    done = run_cli("run", "-o", "folder/x.pstats", "program.py", status=9)
    assert done.stdout == "ran\n"
    assert done.stderr.startswith("hybridprof: could not write folder/x.pstats: cannot write /")
    assert done.stderr.endswith("/folder/x.pstats: No such file or directory\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("hook", hybridprof._core.HOOKS)
@pytest.mark.parametrize(
    "spoil",
    [
        "import sys, threading\nfor name in list(sys.modules):\n    if name.startswith('hybridprof'): del sys.modules[name]",
        "import sys\nsys.modules.pop('threading', None)",
        "import builtins, os\ndef broken(*arguments): raise RuntimeError('broken')\nos.getpid = os.path.isdir = os.getcwd = broken",
        "import builtins\nfor name in ('open', 'getattr', 'OSError', 'Exception'): delattr(builtins, name)",
        "import builtins\nold = builtins.__import__\ndef loud(*a, **k): print('import', a[0]); return old(*a, **k)\nbuiltins.__import__ = loud",
    ],
    ids=["sys.modules", "threading", "os", "builtins", "__import__"],
)
def test_a_program_that_spoils_what_we_stand_on(run_cli: RunCli, tmp_path: Path, spoil: str, hook: str) -> None:
    (tmp_path / "program.py").write_text(f"def work(): pass\nwork()\n{spoil}\nprint('end')\n")
    done = run_cli("run", "--deep", "*", "--hook", hook, "-o", "x.pstats", "program.py")
    assert done.stdout == "end\n"
    assert done.stderr == "hybridprof: wrote x.pstats; see it with: hybridprof report x.pstats\n"
    assert [row.calls for row in hybridprof.load(tmp_path / "x.pstats").functions if row.name == "work"] == [1]


@pytest.mark.parametrize("hook", hybridprof._core.HOOKS)
def test_a_program_without_threading_at_its_end(run_cli: RunCli, tmp_path: Path, hook: str) -> None:
    (tmp_path / "program.py").write_text("import sys, threading\nsys.modules['threading'] = None\nraise SystemExit(6)\n")
    done = run_cli("run", "-q", "--deep", "*", "--hook", hook, "-o", "x.hyprof", "program.py", status=6)
    assert "hybridprof" not in done.stderr


def start(program: str, tmp_path: Path, *options: str) -> subprocess.Popen[str]:
    """Starts a program under us and waits until it has said that it is ready."""
    (tmp_path / "program.py").write_text(program)
    process = subprocess.Popen(
        [sys.executable, "-m", "hybridprof", "run", "-q", "-o", "x.hyprof", *options, "program.py"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 (the child runs nothing else; a test run in the background has it ignored)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    return process


SLEEPS = "import time\ndef sleeper():\n    print('ready', flush=True)\n    time.sleep(60)\n"


def test_ctrl_c(tmp_path: Path) -> None:
    process = start(SLEEPS + "sleeper()\n", tmp_path)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert "hybridprof" not in errors
    assert "sleeper" in {row.name for row in hybridprof.load(tmp_path / "x.hyprof").functions}


def test_a_signal_that_the_program_handles(tmp_path: Path) -> None:
    handler = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(12))\n"
    process = start(SLEEPS + handler + "sleeper()\n", tmp_path, "--deep", "__main__:sleeper")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 12
    assert [row.calls for row in hybridprof.load(tmp_path / "x.hyprof").functions if row.name == "sleeper"] == [1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_process_leaves_what_it_had(tmp_path: Path, number: signal.Signals) -> None:
    busy = "import time\ndef burn():\n    while True: sum(range(1000))\nprint('ready', flush=True)\nburn()\n"
    process = start(busy, tmp_path, "-r", "1000")
    time.sleep(2.5)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    assert [row.self_ns > 0.5e9 for row in hybridprof.load(tmp_path / "x.hyprof").functions if row.name == "burn"] == [True]


def test_a_child_writes_nothing(run_cli: RunCli, programs: Path, tmp_path: Path) -> None:
    done = run_cli("run", "-o", "x.hyprof", programs / "child.py")
    assert done.stdout == "child\n5\n6\n"
    assert done.stderr.count("hybridprof: ") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.hyprof"]


def test_os_exit_leaves_the_stream(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import os, time\nend = time.perf_counter() + 2.5\nwhile time.perf_counter() < end: pass\nos._exit(8)\n"
    )
    done = run_cli("run", "-o", "x.hyprof", "program.py", status=8)
    assert done.stderr == ""
    assert hybridprof.load(tmp_path / "x.hyprof").meta["samples"]["kept"] > 0
