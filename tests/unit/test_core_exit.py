# SPDX-License-Identifier: MIT
"""Ways in which a process begins and ends with us in it. Each in a process of its own: a crash or a hang is a failure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

RunPython = Callable[..., "CompletedProcess[str]"]

RUNNING = "import atexit, os, sys, threading, time\nfrom hybridprof import _core\n_core.start(rate=5000)\n"


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("os._exit(4)", 4),
        ("raise SystemExit(5)", 5),
        ("threading.Thread(target=lambda: time.sleep(0.05)).start()", 0),
        ("threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start(); time.sleep(0.05)", 0),
        ("threading.Thread(target=lambda: time.sleep(60), daemon=True).start(); time.sleep(0.05)", 0),
        ("atexit.register(lambda: _core.snapshot().functions())", 0),
        ("_core.trace_everything(True)", 0),
        ("_core.stream(os.devnull + '.hyprof', 0.01); time.sleep(0.05)", 0),
        ("os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(6)'])", 6),
    ],
)
def test_the_process_ends_as_it_would_without_us(run_python: RunPython, ending: str, status: int) -> None:
    done = run_python(RUNNING + ending, status=None)
    assert (done.returncode, done.stderr) == (status, "")


def test_nothing_starts_once_the_interpreter_ends(run_python: RunPython) -> None:
    done = run_python(
        "import atexit\ndef late():\n    print(_core.running(), _core.start(), _core.running())\natexit.register(late)\n"
        + RUNNING
        + "print('end')"
    )
    assert done.stdout == "end\nFalse False False\n"


def test_the_data_is_there_for_callbacks_at_exit(run_python: RunPython) -> None:
    done = run_python(
        "import atexit\ndef late():\n    print(any(row[0] == 'spin' for row in _core.snapshot().functions()))\natexit.register(late)\n"
        + RUNNING
        + "def spin():\n    end = time.perf_counter() + 0.1\n    while time.perf_counter() < end: pass\nspin()"
    )
    assert done.stdout == "True\n"


def test_import_alone_starts_nothing(run_python: RunPython) -> None:
    done = run_python("import os\nfrom hybridprof import _core\nprint(_core.running(), len(os.listdir('/proc/self/task')))")
    assert done.stdout == "False 1\n"


def test_stop_leaves_no_thread(run_python: RunPython) -> None:
    done = run_python(RUNNING + "n = len(os.listdir('/proc/self/task'))\n_core.stop()\nprint(n, len(os.listdir('/proc/self/task')))")
    assert done.stdout == "2 1\n"


def test_a_second_copy_of_the_module_is_refused(run_python: RunPython) -> None:
    done = run_python(
        RUNNING
        + """
del sys.modules["hybridprof._core"]
import importlib
try: importlib.import_module("hybridprof._core")
except ImportError as error: print(error)
print(_core.running())
"""
    )
    assert done.stdout == "hybridprof._core is loaded already and cannot be loaded twice: keep the first one in sys.modules\nTrue\n"


def test_a_subinterpreter_is_refused(run_python: RunPython) -> None:
    names = {11: "_xxsubinterpreters", 12: "_xxsubinterpreters"}
    done = run_python(
        f"import {names.get(sys.version_info[1], '_interpreters')} as interpreters\n"
        + """
code = '''
try: import hybridprof._core
except ImportError as error: print(error, flush=True)
'''
id = interpreters.create()
interpreters.run_string(id, code)
interpreters.destroy(id)
from hybridprof import _core
print(_core.start())
id = interpreters.create()
interpreters.run_string(id, code)
interpreters.destroy(id)
"""
    )
    sentence = "hybridprof profiles a process from its main interpreter: import it there, not in a subinterpreter"
    assert done.stdout.count(sentence) + done.stdout.count("does not support loading in subinterpreters") == 2
    assert "True\n" in done.stdout and done.stderr == ""


def test_signals_go_to_the_program(run_python: RunPython) -> None:
    done = run_python(
        RUNNING
        + """
import signal
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append(threading.current_thread() is threading.main_thread()))
for _ in range(50):
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.001)
print(len(got), all(got))
"""
    )
    assert done.stdout == "50 True\n"


@pytest.mark.parametrize("hook", ["auto", "setprofile"])
def test_naming_a_c_function_runs_nothing_of_the_program(run_python: RunPython, hook: str) -> None:
    """A descriptor's repr() that ends the session would take the tracer away in the middle of its work."""
    done = run_python(
        f"""
from hybridprof import _core
class Told:
    def __repr__(self):
        _core.stop()
        raise KeyboardInterrupt
class List(list):
    append = Told()
def target():
    items = List()
    append = super(List, items).append
    append(1)
    list.append(items, 2)
    return items
_core.add_target(target.__code__)
_core.start(rate=0, c_calls=True, hook="{hook}")
print((_core.deep_function(target) if _core.needs_wrapper(target.__code__) else target)(), _core.running())
print([row[5] for row in _core.snapshot().functions() if "append" in row[0]])
"""
    )
    assert (done.stdout, done.stderr) == ("[1, 2] True\n[2]\n", "")
