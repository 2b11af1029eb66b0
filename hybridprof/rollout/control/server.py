# SPDX-License-Identifier: MIT
"""The thread of the control socket, `hybridprof-control` in profiles.

One thread with poll() for all connections, not one for each, nor the standard library's serve_forever(): a slow client holds up nobody, the
number of threads in the program is bounded by one, and that one ends quickly before a fork (see follower.py) and goes on afterwards with the connections
as they were. A child has them too, as the parent's, and closes its copies.

Nothing that a client does ends the thread, and no exception leaves it.
"""

from __future__ import annotations

import _thread
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from types import BuiltinFunctionType

from ..follower import LONGEST_WAIT, name_thread, wait_until_gone
from .connection import Connection, Service, turn_away
from .exchange import Refusal
from .peers import Peer, is_trusted, peer_of

NAME = "hybridprof-control"
CONNECTIONS = 8  # at once
PAUSE = 1.0  # seconds without new connections where the system refuses them: the program may be out of descriptors


class Server:
    """Answers at `listener` while its thread runs. The listener is its own from now on. charge: is told the CPU seconds of each round, in the thread."""

    def __init__(
        self,
        listener: socket.socket,
        service: Service,
        clock: Callable[[], float] = time.monotonic,
        charge: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._listener = listener
        self._service, self._charge = service, charge
        self._clock = clock
        self._connections: dict[int, Connection] = {}  # by descriptor; the thread's, and nobody's while it is stopped
        self._accepts_from = 0.0
        self._idle = _thread.allocate_lock()  # held while the thread lives
        self._pid = 0  # of the process that has the thread; 0: there is none, or it is to end
        self._wake = -1  # the end of a pipe; written to, the thread ends
        self._thread_id: list[int] = []
        self.problem = ""  # why the thread ended by itself

    @property
    def runs(self) -> bool:
        """Also false in a child that was forked past Python's hooks."""
        return self._pid == os.getpid()

    @property
    def held(self) -> int:
        """Bytes of answers that are still to be sent. Any thread may ask."""
        return sum(each.held for each in list(self._connections.values()))

    def start(self) -> None:
        """Does nothing while the thread of before is still about to end; to be called again. Raises RuntimeError where the system refuses a thread."""
        if self.runs or not self._idle.acquire(blocking=False):
            return
        wake, self._wake = os.pipe()
        self._pid, self._thread_id = os.getpid(), []
        try:
            _thread.start_new_thread(self._run, (wake, self._idle, self._thread_id))
        except RuntimeError:
            self._pid = 0
            self._end_pipe()
            os.close(wake)
            self._idle.release()
            raise

    def stop(self) -> None:
        """Waits for the end of a request that is being answered, but not for ever, and not in the thread itself. Connections stay open."""
        if not self.runs:
            return
        self._pid = 0
        self._end_pipe()
        if _thread.get_native_id() not in self._thread_id and self._idle.acquire(timeout=LONGEST_WAIT):
            self._idle.release()
            wait_until_gone(self._thread_id)

    def close(self) -> None:
        """For good. The listener is closed by who made it."""
        self.stop()
        self._close_connections()

    def forget(self) -> None:
        """In a forked child: what is open here is the parent's, who would wait for ever for the end of what we hold."""
        self._pid = 0
        self._idle = _thread.allocate_lock()
        self._end_pipe()
        self._close_connections()
        self._listener.close()

    def _end_pipe(self) -> None:
        wake, self._wake = self._wake, -1
        if wake >= 0:
            os.close(wake)  # which poll() takes for a hang-up

    def _close_connections(self) -> None:
        for connection in list(self._connections.values()):
            connection.channel.close()
        self._connections.clear()

    # --- the thread ------------------------------------------------------------------------------------------------------------------------

    def _run(self, wake: int, idle: _thread.LockType, thread_id: list[int]) -> None:
        try:
            thread_id.append(_thread.get_native_id())
            name_thread(NAME)
            if _thread.get_native_id() == os.getpid() and isinstance(select.poll, BuiltinFunctionType):
                raise RuntimeError("threads are greenlets here, and poll() would stop them all")
            self.problem = ""
            self._serve(wake)
        except Exception as error:  # nothing of the program's
            self.problem = f"the control socket is not served: {error}"
        finally:
            os.close(wake)
            idle.release()

    def _serve(self, wake: int) -> None:
        spent = 0.0
        while True:
            ready = self._wait(wake)
            if wake in ready:
                return
            self._round(ready)
            before, spent = spent, time.thread_time()
            self._charge(spent - before)

    def _round(self, ready: list[int]) -> None:
        now = self._clock()
        for descriptor in ready:
            if descriptor in self._connections:
                self._advance(self._connections[descriptor], now)
        if self._listener.fileno() in ready:  # last: who has gone has made room
            self._accept(now)
        self._expire(self._clock())

    def _wait(self, wake: int) -> list[int]:
        """Descriptors that are ready. Without connections it sleeps for as long as nobody comes."""
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        now = self._clock()
        ends = [each.deadline for each in self._connections.values()]
        if now >= self._accepts_from:
            poll.register(self._listener.fileno(), select.POLLIN)
        else:
            ends.append(self._accepts_from)
        for descriptor, each in self._connections.items():
            poll.register(descriptor, select.POLLOUT if each.writes else select.POLLIN)
        patience = None if not ends else max(0.0, min(ends) - now) * 1000 + 1
        return [descriptor for descriptor, _ in poll.poll(patience)]

    def _accept(self, now: float) -> None:
        try:
            channel, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._accepts_from = now + PAUSE
            return
        try:
            self._take(channel, peer_of(channel), now)
        except Exception:
            channel.close()

    def _take(self, channel: socket.socket, peer: Peer, now: float) -> None:
        refusal = None
        if not is_trusted(peer, os.geteuid()):
            refusal = Refusal(HTTPStatus.FORBIDDEN, f"only root and user {os.geteuid()} may control this process, not user {peer.uid}")
        elif len(self._connections) >= CONNECTIONS:
            refusal = Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{CONNECTIONS} connections are open, which is all there are; try again later"
            )
        if refusal is None:
            self._connections[channel.fileno()] = Connection(channel, peer, now)
        else:
            self._service.refused(peer, refusal.status, str(refusal), b"")
            turn_away(channel, refusal)

    def _advance(self, connection: Connection, now: float) -> None:
        try:
            goes_on = connection.advance(self._service, now)
        except Exception:  # the peer went away; whatever else it is, it is the end of this connection alone
            goes_on = False
        if not goes_on:
            self._drop(connection)

    def _expire(self, now: float) -> None:
        for connection in [each for each in self._connections.values() if each.deadline <= now]:
            try:
                goes_on = connection.expire(self._service, now)
            except Exception:
                goes_on = False
            if not goes_on:
                self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._connections.pop(connection.channel.fileno(), None)
        with suppress(OSError):
            connection.channel.close()
