# SPDX-License-Identifier: MIT
"""The process' one ruler: who appoints it, and what forks and the end of the interpreter do to it."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable

from .. import _core, api, ruling
from .config import read
from .ruler import Ruler
from .schema import checked

_current: Ruler | None = None  # guarded by api's lock
_watches = False  # forks and the end; once for ever


def current() -> Ruler | None:
    """The process' ruler, if it has one."""
    return _current


def appointed(make: Callable[[], Ruler] = Ruler) -> Ruler:
    """The process' ruler; made if there is none."""
    global _current
    with api._lock:
        if _current is None:
            _current = make()
            _current.adopt()
            ruling.set_ruler(_current)
            _watch_process()
            _core.after_fork(_after_fork_in_parent)
        return _current


def retire() -> None:
    """The program decides again. What runs ends."""
    global _current
    with api._lock:
        ruler, _current = _current, None
        if ruler is not None:
            _core.after_fork(None)
            ruler.retire()
    if ruler is not None:
        ruler.follower.close()  # without the lock, which it may be waiting for
        ruler.control.close()
        ruler.output.end()
        ruler.close()


def configure(path: str | os.PathLike[str] | None = None, *, socket: str | None = None) -> None:
    """Reads a TOML file, starts what its stage says and follows the file: a change is in force within 5 s. Raises ConfigError (a ValueError) with
    each error and its line, and then nothing has changed. Called again: another file takes its place. socket: the path of a control socket, where
    neither the file nor the environment names one; %p in it stands for the pid. It needs no file. Raises ValueError for one that is no absolute path.
    """
    if path is None and socket is None:
        raise TypeError("configure() needs the path of a TOML file, or socket=, the path of a control socket")
    name = None if path is None else os.path.abspath(os.fspath(path))
    if name is not None:
        read(name)
    if socket is not None:
        checked("control.socket", socket)
    ruler = appointed()
    if socket is not None:
        ruler.control.ask(socket)
    if name is not None:
        ruler.follow(name)
        ruling.appoint_by(None)  # the file is chosen: the environment's is not to take its place with the first start
    else:
        ruler.begin()


def _watch_process() -> None:
    global _watches
    if not _watches:
        _watches = True
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
        atexit.register(_at_exit)


def _before_fork() -> None:
    if _current is not None:
        _current.before_fork()


def _after_fork_in_parent() -> None:
    if _current is not None:
        _current.after_fork_in_parent()


def _after_fork_in_child() -> None:
    if _current is not None:
        _current.after_fork_in_child()


def _at_exit() -> None:
    if _current is not None:
        _current.leave()
