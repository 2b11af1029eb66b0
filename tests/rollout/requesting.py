# SPDX-License-Identifier: MIT
"""What the tests of integrations share: requests as servers make them, and what a profile says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import hybridprof

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def helper(n: int) -> int:
    return n + 1


def calls(name: str) -> int:
    return sum(row.calls or 0 for row in hybridprof.snapshot().functions if row.name == name)


def beneath(label: str) -> set[str]:
    """Functions that stand anywhere beneath the label, and were traced there."""
    found: set[str] = set()
    pending = [node for node in nodes() if node.function is not None and node.function.name == label]
    while pending:
        node = pending.pop()
        found |= {child.function.name for child in node.children if child.function is not None and child.calls}
        pending += node.children
    return found


def nodes() -> Iterator[Any]:
    pending = [hybridprof.snapshot().tree]
    while pending:
        node = pending.pop()
        yield node
        pending += node.children


def request(application: Callable[..., Iterable[bytes]], path: str = "/", method: str = "GET", **more: Any) -> tuple[str, bytes]:
    """As a WSGI server does it."""
    from wsgiref.util import setup_testing_defaults

    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, **more}
    setup_testing_defaults(environ)
    seen: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        seen.append(status)
        return lambda data: None

    body = application(environ, start_response)
    try:
        content = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    return seen[0], content


def plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    helper(1)
    start_response("200 OK", [])
    return [b"plain"]


async def asgi_request(
    application: Any, path: str = "/", method: str = "GET", headers: Iterable[tuple[bytes, bytes]] = ()
) -> tuple[int, bytes]:
    """As an ASGI server does it."""
    sent: list[dict[str, Any]] = []
    received: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        if not received:
            await asyncio.Event().wait()  # the client stays
        return received.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},  # from which on Starlette streams in the request's own task
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await application(scope, receive, send)
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    return status, b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
