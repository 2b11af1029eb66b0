# SPDX-License-Identifier: MIT
"""One request and its answer, between bytes and values. Nothing here waits: the standard library's HTTP handler reads a head that is all there.

Every bound of a request's size stands here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LONGEST_HEAD = 8 << 10  # bytes of request line and headers
LONGEST_BODY = 64 << 10  # bytes
_HEAD_END = re.compile(rb"\r?\n\r?\n")


class Refusal(Exception):
    """What a request gets that is not done. status: HTTP's; the message is one sentence for who sent it; retry_after: seconds, 0 where nothing is gained by waiting."""

    def __init__(self, status: HTTPStatus, sentence: str, retry_after: int = 0) -> None:
        super().__init__(sentence)
        self.status, self.retry_after = status, retry_after


@dataclass(frozen=True, slots=True)
class Request:
    """query: of the address; fields: of the body, a JSON object."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes
    kind: str = "application/json"
    retry_after: int = 0


def plain(value: object, status: HTTPStatus = HTTPStatus.OK, retry_after: int = 0) -> Answer:
    return Answer(status, json.dumps(value, default=str).encode("utf-8") + b"\n", retry_after=retry_after)


def sentence(refusal: Refusal) -> Answer:
    return plain({"error": str(refusal)}, refusal.status, refusal.retry_after)


def head_end(received: bytes | bytearray) -> int:
    """Where the body begins; -1 while the head has no end. Raises Refusal where it is too long."""
    match = _HEAD_END.search(received, 0, LONGEST_HEAD + 4)
    end = match.end() if match is not None else -1
    if end > LONGEST_HEAD or (end < 0 and len(received) > LONGEST_HEAD):
        raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a request's head has at most {LONGEST_HEAD} bytes here")
    return end


class Exchange(BaseHTTPRequestHandler):
    """Reads a head; `request` then adds the body. Raises Refusal for what is no HTTP."""

    protocol_version = "HTTP/1.1"
    server_version = "hybridprof"
    sys_version = ""

    def __init__(self, head: bytes) -> None:
        # Not the base's: that one reads from a socket, and answers what it has read before it returns.
        self.rfile, self.wfile = BytesIO(head), BytesIO()
        self.raw_requestline = self.rfile.readline(LONGEST_HEAD)
        self._complaint = ""
        try:
            right = self.parse_request() and not self._complaint
        except Exception as error:  # of the parsers of others
            right, self._complaint = False, f"{type(error).__name__}: {error}"
        self.length = self._length() if right else 0
        if not right or self.request_version not in ("HTTP/1.0", "HTTP/1.1"):
            why = self._complaint or "it has no line that ends in HTTP/1.1"
            raise Refusal(HTTPStatus.BAD_REQUEST, f"this is no request that is understood here: {why}")

    def _length(self) -> int:
        """Of the body. One that says no length, two, or none at all is refused: where it ends would be a guess."""
        headers: Any = self.headers
        if headers.get("Transfer-Encoding") is not None:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "a body is sent with its Content-Length, not in chunks")
        given = headers.get("Content-Length")
        if given is None:
            return 0
        if len(headers.get_all("Content-Length")) > 1 or not re.fullmatch("[0-9]{1,12}", given.strip()):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"Content-Length is one number of bytes, not {given[:40]!r}")
        return int(given)

    @property
    def authorization(self) -> str | None:
        given: str | None = self.headers.get("Authorization")
        return given

    @property
    def target(self) -> str:
        """The path without its query."""
        return self._split()[0]

    def request(self, body: bytes) -> Request:
        """Raises Refusal."""
        path, query = self._split()
        return Request(self.command, path, query, _fields(body))

    def _split(self) -> tuple[str, dict[str, str]]:
        try:
            parts = urlsplit(self.path)
            pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=16)
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"this is no address: {error}") from None
        return parts.path, dict(pairs)

    def encoded(self, answer: Answer) -> bytes:
        """Head and body of the answer."""
        return head_of(answer, self) + (b"" if self.command == "HEAD" else answer.body)

    def handle_expect_100(self) -> bool:
        """curl waits for it for a second, and then sends the body all the same."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Instead of a page of HTML."""
        self._complaint = message or HTTPStatus(code).phrase

    def log_message(self, format: str, *args: Any) -> None:
        """The program's stderr is its own."""


def head_of(answer: Answer, exchange: BaseHTTPRequestHandler | None = None) -> bytes:
    """Also of an answer to what was no request."""
    handler, head = exchange or _Unasked(), BytesIO()
    handler.wfile, handler.request_version = head, "HTTP/1.1"
    handler.send_response_only(answer.status)
    headers = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body)), "Connection": "close", "Cache-Control": "no-store"}
    if answer.retry_after:
        headers["Retry-After"] = str(answer.retry_after)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    return head.getvalue()


class _Unasked(Exchange):
    def __init__(self) -> None:
        self.wfile = BytesIO()
        self.command = ""


def _fields(body: bytes) -> dict[str, object]:
    if not body.strip():
        return {}
    try:
        value = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {why}") from None
    if not isinstance(value, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, f'the body is a JSON object such as {{"for": "10m"}}, not {type(value).__name__}')
    return value


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")
