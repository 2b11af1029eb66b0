# SPDX-License-Identifier: MIT
"""One connection, with a clock that a test moves: deadlines, bounds, and peers that go away at every moment."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from controlled import received, status_line, until

from hybridprof.rollout.control.connection import ANSWER_TIME, LINGER_TIME, REQUEST_TIME, Connection, turn_away
from hybridprof.rollout.control.exchange import LONGEST_BODY, LONGEST_HEAD, Answer, Exchange, Refusal, Request
from hybridprof.rollout.control.peers import Peer
from hybridprof.rollout.control.server import Server

GET = b"GET /x HTTP/1.1\r\n\r\n"


class Echo:
    """Answers with what it was asked; refuses where told to."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.refusals: list[tuple[int, str, bytes]] = []
        self.body = b"answer"

    def admit(self, exchange: Exchange, peer: Peer) -> None:
        if exchange.target == "/no":
            raise Refusal(HTTPStatus.UNAUTHORIZED, "no")
        if exchange.target == "/later":
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "later", retry_after=7)

    def answer(self, request: Request, peer: Peer) -> Answer:
        self.asked.append(request)
        if request.path == "/bug":
            raise KeyError("ours")
        return Answer(HTTPStatus.OK, self.body, "text/plain")

    def refused(self, peer: Peer, status: int, why: str, line: bytes) -> None:
        self.refusals.append((status, why, line))


class Wire:
    """A connection, the client's end of it, and what both have done."""

    def __init__(self) -> None:
        ours, self.client = socket.socketpair()
        self.client.settimeout(10)
        self.service = Echo()
        self.now = 100.0
        self.connection = Connection(ours, Peer(0, 1), self.now)

    def send(self, raw: bytes) -> bool:
        self.client.sendall(raw)
        return self.step()

    def step(self) -> bool:
        return self.connection.advance(self.service, self.now)

    def answer(self) -> bytes:
        """All of it."""
        while self.connection.writes:
            self.step()
        return received(self.client)


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.client.close()
    made.connection.channel.close()


def test_a_request_in_single_bytes(wire: Wire) -> None:
    for byte in b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{":
        assert wire.send(bytes([byte])) and not wire.connection.writes
    wire.send(b"}")
    assert wire.answer().endswith(b"\r\n\r\nanswer")
    assert [(each.method, each.path, each.fields) for each in wire.service.asked] == [("POST", "/x", {})]


def test_the_time_for_a_request_is_for_all_of_it(wire: Wire) -> None:
    """One byte now and then gains nothing."""
    wire.send(GET[:5])
    wire.now += REQUEST_TIME - 0.1
    wire.send(GET[5:9])
    assert wire.connection.deadline == 100.0 + REQUEST_TIME
    wire.now += 0.1
    assert wire.connection.expire(wire.service, wire.now)
    assert status_line(wire.answer()) == 408
    assert wire.connection.deadline == wire.now + LINGER_TIME and not wire.connection.expire(wire.service, wire.now + LINGER_TIME)
    assert wire.service.refusals == [(408, "the request was not complete within 5 s", GET[:5])] and wire.service.asked == []


def test_an_answer_that_nobody_takes(wire: Wire) -> None:
    wire.service.body = b"x" * 4_000_000
    wire.send(GET)
    left = -1
    while left != len(wire.connection._output):  # until the socket takes no more
        left = len(wire.connection._output)
        assert wire.step()
    assert left > 0
    assert wire.connection.deadline == wire.now + ANSWER_TIME
    assert not wire.connection.expire(wire.service, wire.connection.deadline)
    assert wire.service.refusals[0][:2] == (0, "the answer was not taken within 30 s")


def test_a_large_answer_in_pieces(wire: Wire) -> None:
    wire.service.body = bytes(range(256)) * 4000
    wire.send(GET)
    got = b""
    while wire.connection.writes:
        wire.step()
        got += wire.client.recv(1 << 17)
    assert (got + received(wire.client)).endswith(b"\r\n\r\n" + wire.service.body)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"x" * (LONGEST_HEAD + 1), 431),
        (f"POST /x HTTP/1.1\r\nContent-Length: {LONGEST_BODY + 1}\r\n\r\n".encode(), 413),
        (b"POST /no HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 401),  # before its body is waited for
        (b"nonsense\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\n[1]", 400),
        (b"GET /bug HTTP/1.1\r\n\r\n", 500),
    ],
)
def test_what_is_refused(wire: Wire, sent: bytes, status: int) -> None:
    wire.send(sent)
    assert status_line(wire.answer()) == status
    assert [each[0] for each in wire.service.refusals] == [status]
    assert wire.send(b"more" * 1000) and len(wire.connection._received) == 0  # thrown away
    wire.client.close()
    assert not wire.step() and len(wire.service.refusals) == 1


def test_a_peer_that_ends_in_the_midst(wire: Wire) -> None:
    wire.send(GET[:7])
    wire.client.close()
    assert not wire.step()
    assert wire.service.refusals == [(0, "the connection ended in the midst of a request", GET[:7])]


def test_a_peer_that_says_nothing_is_nothing(wire: Wire) -> None:
    wire.client.close()
    assert not wire.step() and wire.service.refusals == []


def test_a_peer_that_does_not_wait_for_the_answer(wire: Wire) -> None:
    """No signal, an error for the one connection."""
    wire.send(GET)
    wire.client.close()
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        while True:
            wire.step()


def test_a_second_request_is_not_read(wire: Wire) -> None:
    wire.send(GET + GET)
    assert wire.answer().count(b"HTTP/1.1 200") == 1 and len(wire.service.asked) == 1


def test_turned_away() -> None:
    ours, client = socket.socketpair()
    with client:
        turn_away(ours, Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "full"))
        answer = received(client)
    assert status_line(answer) == 503 and answer.endswith(b'{"error": "full"}\n')
    ours, client = socket.socketpair()
    client.close()
    turn_away(ours, Refusal(HTTPStatus.FORBIDDEN, "gone"))
    assert ours.fileno() == -1


def test_who_is_to_come_again_is_told_when(wire: Wire) -> None:
    wire.send(GET.replace(b"/x", b"/later"))
    answer = wire.answer()
    assert status_line(answer) == 429 and b"\r\nRetry-After: 7\r\n" in answer and answer.endswith(b'{"error": "later"}\n')


def test_what_is_still_to_be_sent_is_counted(wire: Wire) -> None:
    wire.service.body = b"x" * 5_000_000
    wire.send(GET)
    assert 5_000_000 <= wire.connection.held <= 5_001_000
    while wire.connection.writes:
        wire.step()
        wire.client.recv(1 << 20)
    assert wire.connection.held == 0


def test_a_server_counts_what_its_clients_do_not_take(tmp_path: Path) -> None:
    service = Echo()
    service.body = b"x" * 5_000_000
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.setblocking(False)
        server = Server(listener, service)
        assert server.held == 0
        server.start()
        try:
            client.connect(str(tmp_path / "s"))
            client.sendall(GET)
            until(lambda: server.held > 5_000_000)
            client.close()
            until(lambda: server.held == 0)
        finally:
            server.close()
