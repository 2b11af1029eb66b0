# SPDX-License-Identifier: MIT
"""ASGI middleware: `application = ASGIMiddleware(application)`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .requests import LABELS, Requests, traced_async
from .wsgi import told

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Callable[..., Any], Callable[..., Any]], Awaitable[None]]


class ASGIMiddleware:
    """Traces a share of the HTTP requests; all else goes straight to the application. route, share, labels: as for WSGIMiddleware; route is given the scope."""

    def __init__(
        self,
        app: Application,
        *,
        route: Callable[[Scope], str | None] | None = None,
        share: float | None = None,
        labels: int = LABELS,
    ) -> None:
        """Raises TypeError or ValueError for what is no application, share or number of labels."""
        if not callable(app):
            raise TypeError(f"app is an ASGI application, a callable, not {type(app).__name__} {app!r:.60}")
        self._app, self._route = app, route
        self.requests = Requests(share, labels)

    async def __call__(self, scope: Scope, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] != "http" or not self.requests.picks(_traceparent(scope)):
            await self._app(scope, receive, send)
            return
        label = self.requests.label(scope.get("method"), told(self._route, scope))
        await traced_async(label, self._app, scope, receive, send)


def _traceparent(scope: Scope) -> str | None:
    for name, value in scope.get("headers", ()):
        if name == b"traceparent":
            return bytes(value).decode("latin-1")
    return None
