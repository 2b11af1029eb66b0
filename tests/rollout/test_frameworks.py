# SPDX-License-Identifier: MIT
"""Middleware beneath the real frameworks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from conftest import wheel
from rollout.requesting import PARENT, asgi_request, beneath, calls, helper

import hybridprof

pytestmark = pytest.mark.usefixtures("session")


# --- Flask -----------------------------------------------------------------------------------------------------------------------------------


def flask_app() -> Any:
    flask = wheel("flask")
    app = flask.Flask("shop")

    @app.before_request
    def before() -> None:
        helper(0)

    @app.get("/users/<int:user>")
    def show_user(user: int) -> str:
        return f"user {helper(user)}"

    @app.get("/fails")
    def fails() -> str:
        raise ValueError("a bug")

    return app


def test_flask_s_rule_is_the_label() -> None:
    from hybridprof.integrations.flask import profile

    app = flask_app()
    requests = profile(app, share=1.0)
    assert profile(app) is requests
    client = app.test_client()
    assert [client.get(f"/users/{n}").get_data(as_text=True) for n in (1, 41)] == ["user 2", "user 42"]
    assert client.get("/users/secret").status_code == 404 and client.get("/fails").status_code == 500
    assert requests.traced == {"GET /users/<int:user>": 2, "GET": 1, "GET /fails": 1}
    assert {"show_user", "helper", "before"} <= {name.rpartition(".")[2] for name in beneath("GET /users/<int:user>")}
    assert not any("secret" in (row.name + row.module) for row in hybridprof.snapshot().functions)
    assert app.test_client().get("/users/1", headers={"traceparent": PARENT}).status_code == 200


def test_flask_s_unpicked_requests_are_not_traced() -> None:
    from hybridprof.integrations.flask import profile

    app = flask_app()
    requests = profile(app)
    assert app.test_client().get("/users/1").get_data(as_text=True) == "user 2"
    assert calls("helper") == 0 and requests.status() == {"requests": 1, "traced": {}}
    with pytest.raises(TypeError, match=r"app is a flask\.Flask, not int 3"):
        profile(3)


# --- Starlette and FastAPI -------------------------------------------------------------------------------------------------------------------


def starlette_app() -> Any:
    wheel("starlette")
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Mount, Route

    async def show_user(request: Any) -> Any:
        await asyncio.sleep(0)
        return PlainTextResponse(f"user {helper(request.path_params['user'])}")

    async def stream(request: Any) -> Any:
        async def parts() -> AsyncIterator[bytes]:
            for n in range(3):
                await asyncio.sleep(0)
                yield str(helper(n)).encode()

        return StreamingResponse(parts())

    return Starlette(
        routes=[Route("/users/{user:int}", show_user), Mount("/admin", routes=[Route("/stream/{name}", stream, methods=["GET"])])]
    )


def test_starlette_s_path_is_the_label_through_mounts() -> None:
    from hybridprof.integrations.starlette import Middleware

    app = starlette_app()
    app.add_middleware(Middleware, share=1.0)
    assert asyncio.run(asgi_request(app, "/users/1")) == (200, b"user 2")
    assert asyncio.run(asgi_request(app, "/admin/stream/secret")) == (200, b"123")
    assert asyncio.run(asgi_request(app, "/admin/stream/secret", method="POST"))[0] == 405
    assert asyncio.run(asgi_request(app, "/secret"))[0] == 404
    labels = {row.name for row in hybridprof.snapshot().functions if row.kind == "block"}
    assert labels == {"GET /users/{user:int}", "GET /admin/stream/{name}", "POST /admin/stream/{name}", "GET"}
    assert calls("helper") == 4 and "helper" in beneath("GET /admin/stream/{name}")
    assert not any("secret" in row.name for row in hybridprof.snapshot().functions)


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="FastAPI's pydantic has no wheel for 3.15 yet")
def test_fastapi_s_path_is_the_label() -> None:
    fastapi = wheel("fastapi")
    from hybridprof.integrations.starlette import Middleware

    app = fastapi.FastAPI()
    app.add_middleware(Middleware, share=1.0)

    @app.get("/items/{item}")
    async def show_item(item: int) -> dict[str, int]:
        return {"item": helper(item)}

    assert asyncio.run(asgi_request(app, "/items/1")) == (200, b'{"item":2}')
    labels = {row.name for row in hybridprof.snapshot().functions if row.kind == "block"}
    assert labels == {"GET /items/{item}"} and calls("helper") == 1


# --- Django ----------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def django() -> Any:
    found = wheel("django")
    from django.conf import settings

    settings.configure(
        ROOT_URLCONF="urls_of_a_test",
        ALLOWED_HOSTS=["testserver"],
        MIDDLEWARE=["hybridprof.integrations.django.Middleware"],
        HYBRIDPROF_SHARE=1.0,
        SECRET_KEY="not a secret",
    )
    sys.modules["urls_of_a_test"] = django_urls()
    found.setup()
    return found


def django_urls() -> Any:
    """A module as Django wants one for its patterns."""
    from django.http import HttpResponse
    from django.urls import path

    def show_user(request: Any, user: int) -> Any:
        return HttpResponse(f"user {helper(user)}")

    async def show_user_later(request: Any, user: int) -> Any:
        await asyncio.sleep(0)
        return HttpResponse(f"user {helper(user)}")

    module = ModuleType("urls_of_a_test")
    module.urlpatterns = [path("users/<int:user>/", show_user), path("later/<int:user>/", show_user_later)]  # type: ignore[attr-defined]
    return module


def test_django_s_pattern_is_the_label(django: Any) -> None:
    from django.test import Client

    client = Client()
    assert [client.get(f"/users/{n}/").content for n in (1, 41)] == [b"user 2", b"user 42"]
    assert client.get("/secret/").status_code == 404
    labels = {row.name for row in hybridprof.snapshot().functions if row.kind == "block"}
    assert labels == {"GET users/<int:user>/", "GET"} and calls("helper") == 2 and "helper" in beneath("GET users/<int:user>/")


def test_django_s_asynchronous_views_are_traced_across_their_awaits(django: Any) -> None:
    from django.test import AsyncClient

    async def ask() -> bytes:
        response = await AsyncClient().get("/later/1/")
        return bytes(response.content)

    assert asyncio.run(ask()) == b"user 2"
    assert calls("helper") == 1 and "helper" in beneath("GET later/<int:user>/")
