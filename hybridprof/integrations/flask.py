# SPDX-License-Identifier: MIT
"""Flask: `profile(app)`. A traced request has the rule of its route as its label, such as `GET /users/<int:id>`."""

from __future__ import annotations

from typing import Any

from .requests import LABELS, Requests, traced


def profile(app: Any, *, share: float | None = None, labels: int = LABELS) -> Requests:
    """Traces a share of the app's requests: from its before_request functions to its after_request functions, when the route is known already. share: where no
    configuration is followed. Again for the same app: the first one stays. Raises TypeError for what is no Flask app."""
    from flask import Flask, request

    if not isinstance(app, Flask):
        raise TypeError(f"app is a flask.Flask, not {type(app).__name__} {app!r:.60}")
    known = app.extensions.get("hybridprof")
    if known is not None:
        return known  # type: ignore[no-any-return]
    requests = Requests(share, labels)
    dispatch = app.full_dispatch_request

    def full_dispatch_request(*arguments: Any) -> Any:
        if not requests.picks(request.environ.get("HTTP_TRACEPARENT")):
            return dispatch(*arguments)
        rule = request.url_rule  # None: there is no such route
        return traced(requests.label(request.method, rule.rule if rule is not None else None), dispatch, *arguments)

    app.full_dispatch_request = full_dispatch_request
    app.extensions["hybridprof"] = requests
    return requests
