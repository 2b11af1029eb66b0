# SPDX-License-Identifier: MIT
"""What a request is, how large it may be, how long things last, and who may ask: the parts of the control socket that wait for nobody."""

from __future__ import annotations

import json
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridprof.rollout.control.auditing import MINUTE, REFUSALS, Bookkeeper
from hybridprof.rollout.control.durations import seconds, shown
from hybridprof.rollout.control.exchange import LONGEST_HEAD, Exchange, Refusal, head_end, plain
from hybridprof.rollout.control.peers import Peer, has_token, is_trusted, peer_of
from hybridprof.rollout.control.targets import Targets


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, *headers, "", ""]).encode("latin-1")


def test_a_request_is_read() -> None:
    exchange = Exchange(head("POST /rate?a=1&b= HTTP/1.1", "Host: x", "authorization: Bearer t", "Content-Length: 20"))
    assert (exchange.command, exchange.target, exchange.authorization, exchange.length) == ("POST", "/rate", "Bearer t", 20)
    request = exchange.request(b'{"hz": 5, "for": 9} ')
    assert (request.method, request.path, request.query, request.fields) == ("POST", "/rate", {"a": "1", "b": ""}, {"hz": 5, "for": 9})
    assert Exchange(head("GET / HTTP/1.0")).request(b"").fields == {}


def test_an_answer_is_http() -> None:
    answer = Exchange(head("GET / HTTP/1.1")).encoded(plain({"a": 1}))
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.split(b"\r\n")[0] == b"HTTP/1.1 200 OK" and f"Content-Length: {len(body)}".encode() in top and b"Connection: close" in top
    assert json.loads(body) == {"a": 1}
    assert Exchange(head("HEAD / HTTP/1.1")).encoded(plain({})).endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"GET /status\r\n\r\n", 400),  # HTTP/0.9
        (b"GET /status HTTP/2.0\r\n\r\n", 400),
        (b"GET /status HTTP/1.x\r\n\r\n", 400),
        (b"GET / status HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\r\n\r\n", 400),  # TLS
        (head("POST / HTTP/1.1", "Content-Length: -1"), 400),
        (head("POST / HTTP/1.1", "Content-Length: 1e3"), 400),
        (head("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 2"), 400),
        (head("POST / HTTP/1.1", "Transfer-Encoding: chunked"), 411),
        (head("GET / HTTP/1.1", *(f"h{number}: 1" for number in range(200))), 400),
    ],
)
def test_what_is_no_request(bad: bytes, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        Exchange(bad)
    assert caught.value.status == status and str(caught.value)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"{", b'{"a": NaN}', b"\xff", b"[" * 60_000, b'{"a": ' + b"1" * 5000 + b"}", b"a=b"])
def test_what_is_no_body(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        Exchange(head("POST / HTTP/1.1")).request(body)
    assert caught.value.status == 400 and "JSON" in str(caught.value)


def test_a_head_has_a_bound() -> None:
    assert head_end(b"GET / HTTP/1.1\r\nHost: x\r\n") == -1
    assert head_end(b"GET / HTTP/1.1\n\nrest") == 16
    assert head_end(head("GET / HTTP/1.1") + b"x" * 100_000) == 18
    longest = b"GET /" + b"x" * (LONGEST_HEAD - 18) + b" HTTP/1.1\r\n\r\n"
    assert head_end(longest[: LONGEST_HEAD - 4] + b"\r\n\r\n") == LONGEST_HEAD
    for long in (b"x" * (LONGEST_HEAD + 1), b"x" * (LONGEST_HEAD - 3) + b"\r\n\r\n", b"x" * (1 << 20)):
        with pytest.raises(Refusal) as caught:
            head_end(long)
        assert caught.value.status == 431


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_refused(raw: bytes) -> None:
    """No other exception comes out."""
    refused = None
    try:
        exchange = Exchange(raw + b"\r\n\r\n")
        exchange.request(b"")
    except Refusal as refusal:
        refused = refusal
    assert exchange.command if refused is None else (400 <= refused.status < 500 and str(refused))


def test_the_token() -> None:
    token = "ab" * 32
    assert has_token(f"Bearer {token}", token) and has_token(f"bearer  {token} ", token)
    for wrong in (
        None,
        "",
        token,
        f"Basic {token}",
        "Bearer",
        "Bearer ",
        f"Bearer {token}0",
        f"Bearer {token[:-1]}",
        "Bearer \xe9\u20ac",
        f"Bearer {token.upper()}",
    ):
        assert not has_token(wrong, token)


def test_the_peer_is_who_the_kernel_says() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert peer_of(here) == Peer(os.geteuid(), os.getpid())
    assert is_trusted(Peer(0, 1), 1000) and is_trusted(Peer(1000, 1), 1000)
    assert not is_trusted(Peer(1001, 1), 1000) and not is_trusted(Peer(1000, 1), 0) and not is_trusted(Peer(65534, 1), 1000)


def test_durations() -> None:
    assert [seconds(each) for each in (90, 1.5, "90", "90s", "10m", "1.5h", " 2 d ")] == [90, 1.5, 90, 90, 600, 5400, 172800]
    for wrong in (0, -1, True, None, [], "", "m", "10 weeks", "8d", "1e3", "nan", float("inf"), float("nan"), "٣m", "9" * 400):
        with pytest.raises(ValueError, match="must be a time such as 90s, 10m, 2h or 1d"):
            seconds(wrong)
    assert [shown(each) for each in (0, 59.6, 61, 3600, 3660, 90061, 7 * 86400)] == [
        "0 s",
        "1 min",
        "1 min 1 s",
        "1 h",
        "1 h 1 min",
        "1 d 1 h",
        "7 d",
    ]


def test_each_target_ends_by_itself() -> None:
    beneath = ("a:x", "b:y")
    targets = Targets().with_added(["c:z"], 10).with_added(["d:w", "a:x"], 20).with_removed(["b:y"], 15, beneath)
    assert (targets.over(beneath), targets.end) == (("a:x", "c:z", "d:w"), 20)
    assert targets.at(9) is targets
    assert targets.at(10).over(beneath) == ("a:x", "d:w")
    assert targets.at(15).over(beneath) == ("a:x", "b:y", "d:w")
    assert (targets.at(20).over(beneath), targets.at(20).end) == (beneath, None)
    assert targets.with_removed(["c:z"], 30, beneath).removed == {"b:y": 15}  # what was added is taken back, and no more
    assert targets.with_added(["b:y"], 30).over(beneath) == ("a:x", "b:y", "c:z", "d:w")


def test_a_flood_is_counted_and_said_in_one_record() -> None:
    now, said = [0.0], []
    books = Bookkeeper(lambda event, **fields: said.append((event, fields)), lambda: now[0])
    peer = Peer(5, 6)
    for _ in range(REFUSALS + 100):
        books.refusal(peer, 401, "no token", b"GET / HTTP/1.1\r\nAuthorization: Bearer secret")
    assert (books.refused, len(said)) == (REFUSALS + 100, REFUSALS)
    assert said[0] == ("control refused", {"peer": peer, "new": {"status": 401, "why": "no token", "request": "GET / HTTP/1.1"}})
    books.tick()
    assert len(said) == REFUSALS
    now[0] += MINUTE
    books.tick()
    books.tick()
    assert said[REFUSALS:] == [("control refused", {"new": {"more": 100, "within": "60 s"}})]
    books.refusal(peer, 401, "no token", b"\xff\x00\r\n")
    assert said[-1][1]["new"]["request"] == "\xff\x00"


def test_a_reader_is_one_record_in_a_while() -> None:
    now, said = [0.0], []
    books = Bookkeeper(lambda event, **fields: said.append(fields["peer"].pid), lambda: now[0])
    for moment, pid in [(0, 1), (1, 1), (2, 2), (3, 2), (700, 2)]:
        now[0] = moment
        books.read(Peer(0, pid), "control snapshot")
    assert said == [1, 2, 2]
