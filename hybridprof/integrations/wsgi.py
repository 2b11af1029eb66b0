# SPDX-License-Identifier: MIT
"""WSGI middleware: `application = WSGIMiddleware(application)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .requests import LABELS, Requests, traced

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class WSGIMiddleware:
    """Traces a share of the requests. A request that is not picked goes straight to the application.

    route: what tells the template of a request's route from its environ, None: labels are methods alone. It must return what the program wrote, never
    what a user sent. share: of requests, where no configuration is followed. labels: how many different ones.
    """

    def __init__(
        self,
        application: Application,
        *,
        route: Callable[[Environ], str | None] | None = None,
        share: float | None = None,
        labels: int = LABELS,
    ) -> None:
        """Raises TypeError or ValueError for what is no application, share or number of labels."""
        if not callable(application):
            raise TypeError(f"application is a WSGI application, a callable, not {type(application).__name__} {application!r:.60}")
        self._application, self._route = application, route
        self.requests = Requests(share, labels)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not self.requests.picks(environ.get("HTTP_TRACEPARENT")):
            return self._application(environ, start_response)
        label = self.requests.label(environ.get("REQUEST_METHOD"), told(self._route, environ))
        body: Iterable[bytes] = traced(label, self._application, environ, start_response)
        # A list is a body that is made already, and a server's file wrapper must stay what it is. What is still to be made belongs to the request.
        return _Body(label, body) if isinstance(body, Iterator) else body


def told(route: Callable[..., str | None] | None, *arguments: Any) -> str | None:
    """What it says; None where it fails: no request may meet that."""
    if route is None:
        return None
    try:
        return route(*arguments)
    except Exception:
        return None


class _Body:
    """A body that is made while it is sent."""

    def __init__(self, label: str, body: Iterator[bytes]) -> None:
        self._label, self._body = label, body

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        chunk: bytes = traced(self._label, self._body.__next__)
        return chunk

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
