# SPDX-License-Identifier: MIT
"""Django: "hybridprof.integrations.django.Middleware" in MIDDLEWARE, best as its first. A traced request has its URL pattern as its label, such as
`GET users/<int:user>/`. HYBRIDPROF_SHARE in the settings: the share of requests where no configuration is followed.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from .requests import Requests, traced, traced_async
from .wsgi import told


class Middleware:
    """For views of both kinds. A picked request's pattern is looked for once more than Django itself does; others cost nothing of it."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        """Raises TypeError or ValueError for a HYBRIDPROF_SHARE that is no share."""
        from django.conf import settings

        self._get_response = get_response
        self.requests = Requests(getattr(settings, "HYBRIDPROF_SHARE", None))
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            from asgiref.sync import markcoroutinefunction

            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if not self.requests.picks(request.META.get("HTTP_TRACEPARENT")):
            return self._get_response(request)
        label = self.requests.label(request.method, told(_route, request))
        return (traced_async if self._is_async else traced)(label, self._get_response, request)


def _route(request: Any) -> str:
    """Raises Resolver404 where there is none."""
    from django.urls import resolve

    return str(resolve(request.path_info, getattr(request, "urlconf", None)).route)
