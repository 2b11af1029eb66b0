# SPDX-License-Identifier: MIT
"""uWSGI: `import hybridprof.integrations.uwsgi` in the application's module, and `enable-threads = true` in uWSGI's configuration.

Each worker profiles itself, as the configuration that HYBRIDPROF_CONFIG names says; its slot is its number less one, the same after a restart. With `lazy-apps`
the module is imported in each worker, and everything begins there; else in uWSGI's main process, and then in each worker after the fork. Hooks that the program has set
(`uwsgidecorators`, `uwsgi.post_fork_hook`, `uwsgi.atexit`) are called as before.

Without `enable-threads` Python threads do not run while a worker waits for requests: no change of the configuration would be noticed, no kill file, and no file be written. So
nothing is started then, and uWSGI's log says why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import hybridprof

from . import workers

_installed = False
_TAKEN = ("post_fork_hook", "spooler", "mule_msg_hook")  # by uwsgidecorators


def install(uwsgi: Any) -> None:
    """Again: nothing happens. uwsgi: the module that uWSGI gives its interpreters."""
    global _installed
    if _installed or hybridprof.DISABLED:
        return
    _installed = True
    if not _has_threads(uwsgi):
        sys.stderr.write("hybridprof does not run: uWSGI's workers need enable-threads = true (or threads = N) for it\n")
        return
    _after_fork(uwsgi, lambda: _begin(uwsgi))
    uwsgi.atexit = _before(workers.end, getattr(uwsgi, "atexit", None))
    if uwsgi.worker_id() > 0:  # lazy-apps: this is a worker already
        _begin(uwsgi)


def _has_threads(uwsgi: Any) -> bool:
    options = {each.decode() if isinstance(each, bytes) else each for each in uwsgi.opt}
    return bool(options & {"enable-threads", "threads", "T"})


def _after_fork(uwsgi: Any, begin: Callable[[], None]) -> None:
    """uwsgidecorators takes hooks for itself when it is imported, so that comes first; it needs uWSGI's main process, and is not everywhere."""
    decorators = _decorators(uwsgi)
    if decorators is None:
        uwsgi.post_fork_hook = _before(begin, getattr(uwsgi, "post_fork_hook", None))
    else:
        decorators.postfork(begin)


def _decorators(uwsgi: Any) -> Any:
    """The module, or None. It takes whatever hook the program has set without asking: the one after a fork goes into its chain, the others are given back."""
    theirs = {} if "uwsgidecorators" in sys.modules else {name: hook for name in _TAKEN if (hook := getattr(uwsgi, name, None)) is not None}
    try:
        import uwsgidecorators
    except Exception:
        uwsgidecorators = None
    for name, hook in theirs.items():
        if uwsgidecorators is not None and name == "post_fork_hook":
            uwsgidecorators.postfork(hook)
        else:
            setattr(uwsgi, name, hook)
    return uwsgidecorators


def _before(ours: Callable[[], None], theirs: Callable[[], Any] | None) -> Callable[[], None]:
    """uWSGI has one of each hook. The program's is called whatever becomes of ours."""

    def both() -> None:
        try:
            ours()
        finally:
            if theirs is not None:
                theirs()

    return both


def _begin(uwsgi: Any) -> None:
    try:
        workers.begin(str(uwsgi.worker_id() - 1))
    except Exception as error:  # the worker's work must not fail because of it
        uwsgi.log(f"hybridprof does not run in this worker: {error}")


if "uwsgi" in sys.modules:
    install(sys.modules["uwsgi"])
else:
    try:
        import uwsgi as _uwsgi
    except ImportError:  # not beneath uWSGI: tests of the program, a shell
        pass
    else:
        install(_uwsgi)
