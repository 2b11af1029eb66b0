# SPDX-License-Identifier: MIT
"""Middleware beneath the real frameworks: which requests are traced, under which name, and that nobody sees a difference."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import pytest
from conftest import wheel

import hybridprof
from hybridprof import _core
from hybridprof.integrations.asgi import ASGIMiddleware
from hybridprof.integrations.requests import Requests, trace_id
from hybridprof.integrations.wsgi import WSGIMiddleware
from hybridprof.rollout import buckets

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    hybridprof.stop()
    hybridprof.start(rate=100)
    yield
    hybridprof.stop()


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


# --- WSGI ------------------------------------------------------------------------------------------------------------------------------------


def plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    helper(1)
    start_response("200 OK", [])
    return [b"plain"]


class Streamed:
    closed = 0

    def __init__(self) -> None:
        self.left = 3

    def __iter__(self) -> Streamed:
        return self

    def __next__(self) -> bytes:
        if not self.left:
            raise StopIteration
        self.left -= 1
        helper(self.left)
        return b"x"

    def close(self) -> None:
        Streamed.closed += 1


def streaming(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return Streamed()


def test_a_wsgi_request_is_traced_beneath_its_label() -> None:
    application = WSGIMiddleware(plain, share=1.0)
    assert [request(application) for _ in range(3)] == [("200 OK", b"plain")] * 3
    assert calls("plain") == calls("helper") == 3 and beneath("GET") >= {"plain", "helper"}
    assert application.requests.status() == {"requests": 3, "traced": {"GET": 3}}


def test_a_request_that_is_not_picked_is_not_traced() -> None:
    application = WSGIMiddleware(plain)
    assert request(application) == ("200 OK", b"plain")
    assert calls("plain") == 0 and application.requests.status() == {"requests": 1, "traced": {}}


def test_a_body_that_is_made_while_it_is_sent_belongs_to_the_request() -> None:
    closed = Streamed.closed
    assert request(WSGIMiddleware(streaming, share=1.0)) == ("200 OK", b"xxx")
    assert Streamed.closed == closed + 1 and calls("helper") == 3 and "helper" in beneath("GET")


def test_an_application_s_exception_is_its_own() -> None:
    def failing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        request(WSGIMiddleware(failing, share=1.0))
    assert request(WSGIMiddleware(plain, share=1.0)) == ("200 OK", b"plain")


def test_a_route_that_fails_or_is_no_text_is_left_out() -> None:
    def failing(environ: dict[str, Any]) -> str:
        raise KeyError("no route")

    for route in (failing, lambda environ: 7):
        application = WSGIMiddleware(plain, route=route, share=1.0)
        assert request(application, method="BREW")[0] == "200 OK"
        assert application.requests.traced == {"other": 1}


def test_labels_are_bounded() -> None:
    application = WSGIMiddleware(plain, route=lambda environ: environ["PATH_INFO"], share=1.0, labels=2)
    for path in ("/a", "/b", "/c", "/a", "/d\n"):
        request(application, path)
    assert application.requests.traced == {"GET /a": 2, "GET /b": 1, "other": 2}


def test_the_trace_id_decides_and_is_the_same_everywhere() -> None:
    assert trace_id(PARENT) == TRACE
    for wrong in (None, "", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", PARENT.upper(), PARENT[:-1], "x" + PARENT):
        found = trace_id(wrong)
        assert found != TRACE and len(found) == 32 and int(found, 16) > 0
    number = buckets.number("request", TRACE) / 2**64
    for share, picked in ((number + 0.001, True), (number - 0.001, False)):
        application = WSGIMiddleware(plain, share=share)
        for _ in range(20):
            request(application, HTTP_TRACEPARENT=PARENT)
        assert sum(application.requests.traced.values()) == (20 if picked else 0)


def test_nothing_is_traced_where_nothing_runs() -> None:
    hybridprof.stop()
    application = WSGIMiddleware(plain, share=1.0)
    assert request(application) == ("200 OK", b"plain") and application.requests.traced == {}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"share": 2}, ValueError), ({"share": "all"}, TypeError), ({"labels": 0}, ValueError)],
)
def test_bad_arguments_are_one_sentence(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        WSGIMiddleware(plain, **arguments)
    with pytest.raises(error):
        Requests(**arguments)
    with pytest.raises(TypeError, match="a callable, not str"):
        WSGIMiddleware("app:app")  # type: ignore[arg-type]


# --- ASGI ------------------------------------------------------------------------------------------------------------------------------------


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


async def asgi_plain(scope: Any, receive: Any, send: Any) -> None:
    helper(1)
    await asyncio.sleep(0.001)
    helper(2)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"plain"})


def test_an_asgi_request_is_traced_across_its_awaits() -> None:
    application = ASGIMiddleware(asgi_plain, share=1.0)

    async def several() -> list[tuple[int, bytes]]:
        return await asyncio.gather(*(asgi_request(application) for _ in range(5)))

    assert asyncio.run(several()) == [(200, b"plain")] * 5
    assert calls("asgi_plain") == 5 and calls("helper") == 10
    assert {"asgi_plain", "helper"} <= beneath("GET") and application.requests.traced == {"GET": 5}


def test_an_asgi_application_that_a_server_starts_as_a_task_is_traced_to_its_end() -> None:
    """Then the frame that calls the middleware is the event loop's, which is left at the first await."""
    application = ASGIMiddleware(asgi_plain, share=1.0)

    async def serve() -> tuple[int, bytes]:
        return await asyncio.create_task(asgi_request(application))

    assert asyncio.run(serve()) == (200, b"plain") and calls("helper") == 2


def test_what_is_no_http_goes_straight_through() -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        helper(1)

    middleware = ASGIMiddleware(application, share=1.0)
    for kind in ("lifespan", "websocket"):
        asyncio.run(middleware({"type": kind}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan", "websocket"] and calls("helper") == 0 and middleware.requests.seen == 0


def test_an_asgi_exception_is_its_own_and_cancelling_ends_the_request() -> None:
    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        helper(1)
        await asyncio.sleep(600)

    async def cancelled() -> None:
        task = asyncio.create_task(asgi_request(ASGIMiddleware(waiting, share=1.0)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        helper(2)  # beneath nothing

    asyncio.run(cancelled())
    assert calls("helper") == 1


def test_asgi_s_trace_id_is_the_header_s() -> None:
    number = buckets.number("request", TRACE) / 2**64
    for share, picked in ((number + 0.001, 1), (number - 0.001, 0)):
        application = ASGIMiddleware(asgi_plain, share=share)
        asyncio.run(asgi_request(application, headers=[(b"host", b"h"), (b"traceparent", PARENT.encode())]))
        assert sum(application.requests.traced.values()) == picked


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


# --- with a configuration --------------------------------------------------------------------------------------------------------------------


def test_a_configuration_s_share_of_requests_counts(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from hybridprof.rollout.process import retire

    path = tmp_path / "config.toml"
    path.write_text("stage = 'deep'\n[deep]\ntargets = ['nowhere:f']\nrate = 0.001\n[rollout]\nrequests = 0.5\n")
    path.chmod(0o600)
    hybridprof.configure(path)
    try:
        application = WSGIMiddleware(plain)  # its own share is nothing
        traces = [f"{n:032x}" for n in range(1, 101)]
        for trace in traces:
            request(application, HTTP_TRACEPARENT=f"00-{trace}-00f067aa0ba902b7-01")
        expected = sum(buckets.is_member("request", trace, 0.5) for trace in traces)
        assert 20 < expected < 80 and application.requests.traced == {"GET": expected}
        assert calls("plain") == expected  # each of them, though calls of targets are traced at 0.1 %
        path.write_text("stage = 'fleet'\n[rollout]\nrequests = 0.5\n")
        from hybridprof.rollout import current

        ruler = current()
        assert ruler is not None
        ruler.look()
        request(application, HTTP_TRACEPARENT=f"00-{traces[0]}-00f067aa0ba902b7-01")
        assert sum(application.requests.traced.values()) == expected
    finally:
        retire()
    assert not _core.running()


def test_with_the_kill_switch_middleware_does_nothing_and_the_core_is_not_loaded(run_python: Callable[..., Any]) -> None:
    run_python(
        """
import sys
from hybridprof.integrations import gunicorn, multiprocessing
from hybridprof.integrations.wsgi import WSGIMiddleware
def app(environ, start_response):
    return [b'plain']
middleware = WSGIMiddleware(app, share='whatever')
assert middleware({'HTTP_TRACEPARENT': 'x'}, None) == [b'plain']
class Worker: pid = 0
class Server: WORKERS = {}
gunicorn.pre_fork(Server, Worker)
gunicorn.post_fork(Server, Worker)
gunicorn.worker_exit(Server, Worker)
multiprocessing.install()
assert 'hybridprof._core' not in sys.modules
""",
        env={"HYBRIDPROF_DISABLE": "1"},
    )
