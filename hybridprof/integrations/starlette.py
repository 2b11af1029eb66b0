# SPDX-License-Identifier: MIT
"""Starlette, and FastAPI, which is one: `app.add_middleware(Middleware)`. A traced request has its route's path as its label: `GET /users/{id}`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .asgi import Application, ASGIMiddleware, Scope
from .requests import LABELS


class Middleware(ASGIMiddleware):
    """ASGIMiddleware that knows Starlette's routes. A picked request's route is looked for once more than the app itself does; others cost nothing of it."""

    def __init__(self, app: Application, *, share: float | None = None, labels: int = LABELS) -> None:
        """share: of requests, where no configuration is followed. Raises ValueError for what is no share or number of labels."""
        super().__init__(app, route=route_of, share=share, labels=labels)


def route_of(scope: Scope) -> str | None:
    """The template of the route that the app will choose, through mounts; None: it has none for this request."""
    return _template(getattr(scope.get("app"), "routes", ()), dict(scope))


def _template(routes: Iterable[Any], scope: Scope) -> str | None:
    from starlette.routing import Match

    partial = None
    for route in routes:
        match, inner = route.matches(scope)
        if match == Match.NONE:
            continue
        template = _within(route, {**scope, **inner})
        if match == Match.FULL:
            return template
        partial = partial or template  # the path is right and the method is not, unless a later one has both
    return partial


def _within(route: Any, scope: Scope) -> str | None:
    path = getattr(route, "path", "")
    inner = getattr(route, "routes", None)
    if not inner:
        return path or None
    below = _template(inner, scope)
    return path + below if below is not None else path or None
