# SPDX-License-Identifier: MIT
"""Runs the user's program as `python` itself would: its argv, `sys.path[0]`, `__main__`, exit status and tracebacks.

Modules, folders and zip files go through the very function that the interpreter calls for them, so that they find the same `__main__`,
the same errors and the same frames in their tracebacks. Exceptions pass through to the interpreter, which alone knows how
SystemExit, KeyboardInterrupt and sys.excepthook work together; only our own frames are taken off what it prints.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import os
import runpy
import sys
from collections.abc import Callable
from types import CodeType, ModuleType, TracebackType
from typing import Any, TypeVar

import hybridprof

from .arguments import Target
from .main import BadInput

T = TypeVar("T")
PYTHON = sys.version_info


def check(target: Target) -> None:
    """Raises BadInput for a program that is not there. Runs none of its code: of `-m a.b` only `a` is looked for."""
    if target.kind == "module":
        _set_path0(os.getcwd())
        try:
            found = importlib.util.find_spec(target.name.partition(".")[0]) is not None
        except (ImportError, ValueError):
            found = False
        if not found:
            raise BadInput(f"no module named {target.name!r}")
    elif target.kind == "script":
        _check_script(target.name)


def _check_script(path: str) -> None:
    if _is_container(path):
        if importlib.machinery.PathFinder.find_spec("__main__", [path]) is None:
            raise BadInput(f"{path!r} holds no __main__.py to run")
        return
    try:
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"cannot open script {path!r}: {reason}{_maybe_command(path)}") from None


def _maybe_command(word: str) -> str:
    import difflib

    from .main import COMMANDS

    near = difflib.get_close_matches(word, COMMANDS, n=1)
    return f"; did you mean the command {near[0]!r}?" if near else ""


def _is_container(path: str) -> bool:
    if os.path.isdir(path):
        return True
    import zipimport

    try:
        zipimport.zipimporter(path)
    except (zipimport.ZipImportError, OSError):
        return False
    return True


def prepared(target: Target) -> Callable[[Callable[[], None]], None]:
    """Makes argv, path and `__main__` the program's and compiles it; what is returned runs it, after calling its argument as the last thing before.
    The program's exceptions pass, SystemExit too."""
    module = _fresh_main()
    sys.argv = [target.name, *target.arguments]
    if target.kind == "module":
        sys.argv[0] = "-m"  # until it is found: so runpy does it
        _set_path0(os.getcwd())
        return _module_runner(target.name, alter_argv=True)
    if target.kind == "code":
        sys.argv[0] = "-c"
        _set_path0("")
        return _code_runner(_compiled_text(target.name), module, "__main__")
    if _is_container(target.name):
        _set_path0(os.getcwd() if target.name == "." else os.path.join(os.getcwd(), target.name), always=True)
        return _module_runner("__main__", alter_argv=False)
    _set_path0(os.path.dirname(os.path.realpath(target.name)))
    name = os.path.splitext(os.path.basename(target.name))[0]
    return _code_runner(_compiled_script(target.name, module), module, name)


def passing_on(run: Callable[[], T]) -> T:
    """Lets exceptions pass to the interpreter as if no frame of ours had been there."""
    try:
        return run()
    except SystemExit:
        raise
    except BaseException as error:
        # The program may have set sys.excepthook: the interpreter would call that one with our frames in it.
        sys.excepthook = _Trimming(sys.excepthook, _trimmed(error.__traceback__))
        raise


def _fresh_main() -> ModuleType:
    module = ModuleType("__main__")
    names = module.__dict__
    names["__loader__"] = importlib.machinery.BuiltinImporter
    if PYTHON < (3, 14):
        names["__annotations__"] = {}
    names["__builtins__"] = builtins
    sys.modules["__main__"] = module
    return module


def _set_path0(path: str, always: bool = False) -> None:
    """The interpreter has put our own program's folder there, unless it was told not to (-P, -I)."""
    if not sys.flags.safe_path:
        sys.path[:1] = [path]
    elif always and path not in sys.path[:1]:
        sys.path.insert(0, path)


def _code_runner(code: CodeType, module: ModuleType, name: str) -> Callable[[Callable[[], None]], None]:
    def run(begin: Callable[[], None]) -> None:
        namespace = None
        if not hybridprof.DISABLED:
            from hybridprof import imports

            imports.set_main(name)
            imports.about_to_run("__main__", code)
            namespace = imports.namespace_for(module)
        begin()
        if namespace is None:
            exec(code, module.__dict__)
        else:
            exec(code, module.__dict__, namespace)  # type: ignore[arg-type]

    return run


def _module_runner(name: str, alter_argv: bool) -> Callable[[Callable[[], None]], None]:
    shared: Any = runpy
    module = sys.modules["__main__"]

    def run(begin: Callable[[], None]) -> None:
        if not hybridprof.DISABLED:
            from hybridprof import imports

            imports.set_main(name)
            namespace = imports.namespace_for(module)
            if namespace is not None:
                shared.exec = _exec_in(shared, module.__dict__, namespace)
        begin()
        shared._run_module_as_main(name, alter_argv)

    return run


def _exec_in(shared: Any, names: dict[str, Any], namespace: Any) -> Callable[..., None]:
    """What runpy finds as `exec`, where the program's functions must be replaced as they are defined (3.11)."""

    def exec_once(code: CodeType, globals_: dict[str, Any]) -> None:
        if globals_ is names:
            del shared.exec
            exec(code, names, namespace)
        else:
            exec(code, globals_)

    return exec_once


def _compiled_script(path: str, module: ModuleType) -> CodeType:
    full = os.path.join(os.getcwd(), path)
    module.__file__ = full
    if PYTHON < (3, 15):
        module.__dict__["__cached__"] = None
    with open(path, "rb") as stream:
        text = stream.read()
    if text.startswith(importlib.util.MAGIC_NUMBER):
        loader = importlib.machinery.SourcelessFileLoader("__main__", full)
        module.__loader__ = loader
        code = loader.get_code("__main__")
        assert code is not None
        return code
    module.__loader__ = importlib.machinery.SourceFileLoader("__main__", full)
    return _compile(text, full)


def _compile(text: bytes | str, filename: str) -> CodeType:
    options: dict[str, Any] = {"module": "__main__"} if PYTHON >= (3, 15) else {}
    code: CodeType = compile(text, filename, "exec", dont_inherit=True, **options)
    return code


def _compiled_text(text: str) -> CodeType:
    if PYTHON >= (3, 14):
        import textwrap

        text = textwrap.dedent(text)
    code = _compile(text, "<string>")
    if PYTHON >= (3, 13):
        import linecache

        lines: Any = linecache
        # What `python -c` does, for the source lines in tracebacks; the first 3.13 keyed them by file name.
        lines._register_code(code if hasattr(linecache, "_interactive_cache") else "<string>", text, "<string>")
    return code


def _trimmed(traceback: TracebackType | None) -> TracebackType | None:
    """Without our frames at its head; and without those between runpy's and the program's."""
    ours = os.path.dirname(__file__)
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(ours):
        traceback = traceback.tb_next
    at = traceback
    while at is not None and at.tb_next is not None:
        if at.tb_next.tb_frame.f_code.co_filename.startswith(ours):
            at.tb_next = at.tb_next.tb_next
        else:
            at = at.tb_next
    return traceback


class _Trimming:
    """sys.excepthook for one exception: takes our frames off, puts the program's hook back and calls it."""

    def __init__(self, hook: Any, traceback: TracebackType | None) -> None:
        self.hook = hook
        self.traceback = traceback

    def __call__(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        sys.excepthook = self.hook
        error.__traceback__ = self.traceback
        if hasattr(sys, "last_traceback"):
            sys.last_traceback = self.traceback
        self.hook(kind, error, self.traceback)
