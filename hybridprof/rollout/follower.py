# SPDX-License-Identifier: MIT
"""A thread that looks at something once in a period.

It is no thread of `threading`: a program that counts or joins its threads does not meet it. It ends before a fork (from 3.12 on os.fork()
warns of any second thread, and a child would find half of what it was doing), and goes on afterwards, in the parent when the core says that
it may and in the child at once; but there it first waits for a period, as most children call exec. At exit it ends before the interpreter does.
"""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Callable

from .. import _core

NAME = "hybridprof-config"  # in profiles; Linux shows up to 15 characters of it
LONGEST_WAIT = 2.0  # seconds for a look that is under way to end


class Follower:
    """Calls `look` each `period` seconds, which may change at any time. `look` must not raise. name: in profiles; patience: seconds that `stop` waits for a look under way. charge: is told
    the CPU seconds of each look and of what it took to wake up for it, in the thread."""

    def __init__(
        self,
        look: Callable[[], None],
        period: float,
        name: str = NAME,
        patience: float = LONGEST_WAIT,
        charge: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._look, self._charge = look, charge
        self.period = period
        self._name, self._patience = name, patience
        self._closed = False
        self._pid = 0  # of the process that has the thread; 0: there is none
        self._wake = self._ended = _thread.allocate_lock()
        self._thread_id: list[int] = []  # the system's, once it runs
        self._last: list[Callable[[], None]] = []  # what it does before it ends
        self._due, self._due_pid = 0.0, 0  # when it looks next, by time.monotonic, and in which process
        self._starting = _thread.allocate_lock()  # two threads may fork at once, or ask for it

    @property
    def runs(self) -> bool:
        """Also false in a child that was forked past Python's hooks."""
        return self._pid == os.getpid()

    def start(self) -> None:
        """Raises RuntimeError where the system refuses a thread. Nothing after `close`."""
        with self._starting:
            self._start()

    def _start(self) -> None:
        if self.runs or self._closed:
            return
        if self._due_pid != os.getpid():  # a child waits for a period first; a parent that forks all the time does not begin anew each time
            self._due, self._due_pid = time.monotonic() + self.period, os.getpid()
        self._wake, self._ended = _thread.allocate_lock(), _thread.allocate_lock()
        self._wake.acquire()
        self._ended.acquire()
        self._pid = os.getpid()
        try:
            self._thread_id, self._last = [], []
            _thread.start_new_thread(_run, (self, self._charging(), self._wake, self._ended, self._thread_id, self._name, self._last))
        except RuntimeError:
            self._pid = 0
            raise

    def _charging(self) -> Callable[[], None]:
        """`look` for one thread, whose clock begins at 0."""
        told = 0.0

        def look() -> None:
            nonlocal told
            self._look()
            now = time.thread_time()
            self._charge(now - told)
            told = now

        return look

    def stop(self, patience: float | None = None) -> bool:
        """Waits for its end, but not for ever, and not in the thread itself. Whether it has ended."""
        with self._starting:
            if not self.runs:
                return True
            self._pid = 0
            self._wake.release()
        if _thread.get_native_id() in self._thread_id or not self._ended.acquire(timeout=self._patience if patience is None else patience):
            return False
        wait_until_gone(self._thread_id)
        return True

    def close(self, last: Callable[[], None] | None = None, patience: float | None = None) -> bool:
        """The interpreter ends: exit handlers that still ask for status() start nothing. last: what the thread does before it ends, for an ending interpreter
        starts no other; done here where there is no thread. Whether all that was done within `patience` seconds."""
        self._closed = True
        if last is not None and not self.runs:
            last()
        elif last is not None:
            self._last.append(last)
        return self.stop(patience)

    def forget(self) -> None:
        """In a forked child: the thread is the parent's, and so is who held the lock."""
        self._pid = 0
        self._starting = _thread.allocate_lock()


def _run(
    follower: Follower,
    look: Callable[[], None],
    wake: _thread.LockType,
    ended: _thread.LockType,
    thread_id: list[int],
    name: str,
    last: list[Callable[[], None]],
) -> None:
    try:
        thread_id.append(_thread.get_native_id())
        name_thread(name)
        while not wake.acquire(timeout=max(0.0, min(follower._due - time.monotonic(), follower.period))):
            follower._due = time.monotonic() + follower.period
            look()
        for each in last:
            each()
    finally:
        ended.release()


def name_thread(name: str) -> None:
    """The calling thread, in profiles and for the system."""
    if _thread.get_native_id() == os.getpid():  # greenlets that pass for threads: this is the program's main thread
        return
    try:
        _core.set_thread_name(_thread.get_ident(), name)
        with open(f"/proc/self/task/{_thread.get_native_id()}/comm", "w", encoding="ascii") as comm:
            comm.write(name[:15])
    except (OSError, ValueError):  # no /proc, or none that may be written: it runs under the program's name
        pass


def wait_until_gone(thread_id: list[int]) -> None:
    """Its last steps are the interpreter's; os.fork() counts what the system counts."""
    deadline = time.monotonic() + 0.1
    while thread_id and os.path.exists(f"/proc/self/task/{thread_id[0]}") and time.monotonic() < deadline:
        time.sleep(0.0002)
