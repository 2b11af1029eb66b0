# SPDX-License-Identifier: MIT
"""Requests at a pace that does not wait for the service: each has its moment, and one that cannot be sent within a second of it is left out and counted.
So a service that stalls is not spared the requests of that time, and the generator never has more than its few connections open."""

from __future__ import annotations

import http.client
import random
import threading
import time
from typing import NamedTuple

LATE = 1.0  # seconds
THREADS = 6
PATIENCE = 20.0  # seconds for an answer


class Request(NamedTuple):
    """at: when it was answered, by time.monotonic; seconds: how long that took."""

    at: float
    seconds: float
    failed: str


class Load:
    """pace: requests in a second; path: what is asked for. Both may change at any time."""

    def __init__(self, port: int, pace: float, path: str = "/") -> None:
        self._port, self.pace, self.path = port, pace, path
        self.left_out = 0
        self._done: list[Request] = []
        self._next = time.monotonic()
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(PATIENCE + LATE)

    def taken(self) -> list[Request]:
        """Those that were answered, or failed, since it was last asked."""
        with self._lock:
            done, self._done = self._done, []
        return done

    def _run(self) -> None:
        while not self._ends.is_set():
            moment = self._moment()
            if self._ends.wait(max(0.0, moment - time.monotonic())):
                return
            done = self._send()
            with self._lock:
                self._done.append(done)

    def _moment(self) -> float:
        """The next one that is nobody's yet. Gaps are exponential, as those of strangers are."""
        with self._lock:
            now = time.monotonic()
            gap = random.expovariate(self.pace)
            if self._next < now - LATE:
                self.left_out += int((now - self._next) * self.pace)
                self._next = now
            self._next += gap
            return self._next

    def _send(self) -> Request:
        began = time.monotonic()
        failed = ""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request("GET", self.path)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                failed = f"status {response.status}"
        except (OSError, http.client.HTTPException) as error:
            failed = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        now = time.monotonic()
        return Request(now, now - began, failed)
