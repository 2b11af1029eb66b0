# SPDX-License-Identifier: MIT
"""WSGI and ASGI middleware: which requests are traced, under which name, and that nobody sees a difference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from rollout.requesting import PARENT, TRACE, asgi_request, beneath, calls, helper, plain, request

import hybridprof
from hybridprof import _core
from hybridprof.integrations.asgi import ASGIMiddleware
from hybridprof.integrations.requests import CANDIDATES, Requests, trace_id
from hybridprof.integrations.wsgi import WSGIMiddleware
from hybridprof.rollout import buckets

pytestmark = pytest.mark.usefixtures("session")


# --- WSGI ------------------------------------------------------------------------------------------------------------------------------------


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


# --- with a configuration --------------------------------------------------------------------------------------------------------------------


def test_a_configuration_s_share_of_requests_counts(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from hybridprof.rollout.process import retire

    path = tmp_path / "config.toml"
    path.write_text("stage = 'deep'\n[deep]\ntargets = ['nowhere:f']\nrate = 0.001\n[rollout]\nrequests = 0.5\n[caps]\nrequests = 0.5\n")
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


def test_the_most_frequent_labels_are_kept() -> None:
    requests = Requests(1.0, labels=2)
    assert [requests.label("GET", route) for route in ("/once", "/twice", "/twice")] == ["GET /once", "GET /twice", "GET /twice"]
    names = [requests.label("GET", "/often") for _ in range(100)]
    assert names[:3] == ["other"] * 3 and names[3:] == ["GET /often"] * 97  # twice as often as the rarest, at a power of two
    assert requests.label("GET", "/once") == "other"
    assert requests.label("GET", "/twice") == "GET /twice"


def test_a_flood_of_routes_leaves_the_frequent_ones_and_a_bounded_number_of_labels() -> None:
    requests = Requests(1.0, labels=4)
    for number in range(20_000):
        requests.label("GET", f"/{number // 4}")  # four times each, and never again
        requests.label("GET", f"/hot/{number % 3}")
    assert {f"GET /hot/{number}" for number in range(3)} <= set(requests._known.values())
    assert len(requests._known) == 4 and len(requests._met) <= CANDIDATES + 1
    assert len(requests.traced) <= 4 * 16 + 1


def test_a_request_meets_no_error_while_another_thread_gives_the_only_label_away() -> None:
    requests = Requests(1.0, labels=1)
    requests.label("GET", "/first")

    class Met(dict[tuple[str, str], int]):
        def get(self, *arguments: Any) -> Any:
            requests._known.clear()  # as the other thread does just then
            return super().get(*arguments)

    requests._met = Met()
    assert requests.label("GET", "/second") == "other"
