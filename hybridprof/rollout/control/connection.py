# SPDX-License-Identifier: MIT
"""One connection of the control socket: a request comes in, is answered, and the connection ends. Nothing here waits.

reading -> writing -> lingering -> over. Each has a deadline for the whole of it, so that one byte now and then gains nobody time. An answer is
followed by a while in which what still comes is thrown away: a socket that is closed with unread bytes in it takes its answer along.
"""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import Protocol

from .exchange import LONGEST_BODY, Answer, Exchange, Refusal, Request, head_end, head_of, sentence
from .peers import Peer

REQUEST_TIME = 5.0  # seconds from the connection to the end of its request
ANSWER_TIME = 30.0  # seconds to take the answer
LINGER_TIME = 1.0
PIECE = 64 << 10  # bytes that are read or written at once
NO_SIGNAL = socket.MSG_NOSIGNAL  # the program may have given SIGPIPE its deadly default back


class Service(Protocol):
    """What is asked. All of it is called in the server's thread."""

    def admit(self, exchange: Exchange, peer: Peer) -> None: ...  # raises Refusal; before a body is read
    def answer(self, request: Request, peer: Peer) -> Answer: ...  # raises Refusal
    def refused(self, peer: Peer, status: int, why: str, line: bytes) -> None: ...  # status 0: there was no answer


class Connection:
    """Owned by the server's thread."""

    def __init__(self, channel: socket.socket, peer: Peer, now: float) -> None:
        channel.setblocking(False)
        self.channel, self.peer = channel, peer
        self.deadline = now + REQUEST_TIME
        self._received = bytearray()
        self._line = b""  # the first, for the audit
        self._exchange: Exchange | None = None
        self._output, self._size = memoryview(b""), 0
        self._lingers = False

    @property
    def writes(self) -> bool:
        return bool(self._output)

    @property
    def held(self) -> int:
        """Bytes of an answer that is still to be sent. The whole of it is kept until its last byte has gone."""
        return self._size if self._output else 0

    def advance(self, service: Service, now: float) -> bool:
        """The channel is ready. False when it is over. Raises OSError where the peer went away."""
        try:
            return self._write(now) if self._output else self._read(service, now)
        except (BlockingIOError, InterruptedError):
            return True

    def expire(self, service: Service, now: float) -> bool:
        """The deadline has passed. True where a last answer is still to be written."""
        if self._lingers:
            return False
        if self._output:
            service.refused(self.peer, 0, f"the answer was not taken within {ANSWER_TIME:g} s", self._line)
            return False
        self._refuse(service, Refusal(HTTPStatus.REQUEST_TIMEOUT, f"the request was not complete within {REQUEST_TIME:g} s"), now)
        self.deadline = now + LINGER_TIME
        return True

    def _read(self, service: Service, now: float) -> bool:
        raw = self.channel.recv(PIECE)
        if not raw or self._lingers:
            if self._received or (self._exchange is not None and not self._lingers):
                service.refused(self.peer, 0, "the connection ended in the midst of a request", self._line)
            return bool(raw)
        self._received += raw
        self._line = self._line or bytes(self._received[:200])
        try:
            answer = self._answered(service)
        except Refusal as refusal:
            self._refuse(service, refusal, now)
        except Exception as error:  # ours, and no reason to go down
            self._refuse(service, Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}"), now)
        else:
            if answer is not None:
                self._begin(answer, now)
        return True

    def _answered(self, service: Service) -> Answer | None:
        """None while there is more to come. Raises Refusal."""
        if self._exchange is None:
            end = head_end(self._received)
            if end < 0:
                return None
            head = bytes(self._received[:end])
            del self._received[:end]
            self._exchange = exchange = Exchange(head)
            service.admit(exchange, self.peer)
            if exchange.length > LONGEST_BODY:
                raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {LONGEST_BODY} bytes here, not {exchange.length}")
        length = self._exchange.length
        if len(self._received) < length:
            return None
        return service.answer(self._exchange.request(bytes(self._received[:length])), self.peer)

    def _refuse(self, service: Service, refusal: Refusal, now: float) -> None:
        service.refused(self.peer, refusal.status, str(refusal), self._line)
        self._begin(sentence(refusal), now)

    def _begin(self, answer: Answer, now: float) -> None:
        self._received.clear()
        head = head_of(answer) if self._exchange is None else head_of(answer, self._exchange)
        bare = self._exchange is not None and self._exchange.command == "HEAD"
        self._output = memoryview(head if bare else head + answer.body)
        self._size = len(self._output)
        self.deadline = now + ANSWER_TIME

    def _write(self, now: float) -> bool:
        sent = self.channel.send(self._output[:PIECE], NO_SIGNAL)
        self._output = self._output[sent:]
        if not self._output:
            self.channel.shutdown(socket.SHUT_WR)
            self._lingers, self.deadline = True, now + LINGER_TIME
        return True


def turn_away(channel: socket.socket, refusal: Refusal) -> None:
    """Answers at once, reads nothing. What does not fit in the socket's own room is lost."""
    answer = sentence(refusal)
    try:
        channel.setblocking(False)
        channel.send(head_of(answer) + answer.body, NO_SIGNAL)
    except OSError:
        pass
    finally:
        channel.close()
