# SPDX-License-Identifier: MIT
"""Any bytes at the socket: everything is answered or closed, everything that is refused is audited, nothing changes, and it goes on answering."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from controlled import UNBOUND, ask, raw, received, status_line, token_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hybridprof
from hybridprof import _core
from hybridprof.rollout import process

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PATHS = st.sampled_from(
    ["/status", "/start", "/stop", "/rate", "/targets", "/kill", "/snapshot", "/", "*", "/%2e", "//kill", "http://x/kill"]
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "get", "G\x00T", "__class__", ""])
WRONG = st.sampled_from(["Bearer x", "Bearer ", "Basic eDp4", "", "Bearer " + "0" * 64, "Bearer\x00"])
NAMES = st.sampled_from(["for", "hz", "add", "remove", "rate", "stage", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


class Served:
    """This process, with a socket."""

    def __init__(self, folder: Path) -> None:
        config = folder / "config.toml"
        config.write_text(f"stage = 'fleet'\n[control]\nsocket = '{folder}/%p.sock'\n{UNBOUND}")
        config.chmod(0o600)
        hybridprof.configure(config)
        ruler = process.current()
        assert ruler is not None
        self.control = ruler.control
        self.path = folder / f"{os.getpid()}.sock"
        self.audited: list[tuple[str, dict[str, Any]]] = []
        self.control.audit = lambda event, **fields: self.audited.append((event, fields))

    def state(self) -> object:
        status = hybridprof.status()
        return [status[name] for name in ("running", "stage", "rate_hz", "patterns", "overrides", "in_force", "problem")], _core.targets()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr("hybridprof.rollout.control.auditing.REFUSALS", 10**9)
    hybridprof.stop()
    made = Served(tmp_path)
    yield made
    process.retire()
    hybridprof.stop()


def check_refused(served: Served, sent: bytes) -> None:
    before, audited, refused = served.state(), len(served.audited), served.control.books.refused
    status = status_line(raw(served.path, sent))
    assert status == 0 or 400 <= status < 500, status  # answered or closed, and no mistake of ours (500)
    said = served.audited[audited:]
    if sent:
        assert [event for event, _ in said] == ["control refused"] and said[0][1]["new"]["status"] == status
        assert said[0][1]["peer"].pid == os.getpid() and served.control.books.refused == refused + 1
    else:
        assert said == []
    assert served.state() == before


def test_any_bytes(served: Served) -> None:
    @FUZZ
    @given(st.binary(max_size=20_000))
    def check(sent: bytes) -> None:
        check_refused(served, sent)

    check()
    assert ask(served.path, "/status")[0] == 200


def test_nearly_requests_without_the_token(served: Served) -> None:
    @FUZZ
    @given(
        METHODS, PATHS, WRONG, st.binary(max_size=200), st.sampled_from([None, 0, 5, 70_000, -1]), st.sampled_from(["\r\n", "\n", "\r", ""])
    )
    def check(method: str, path: str, token: str, body: bytes, length: int | None, end: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", f"Authorization: {token}", *([] if length is None else [f"Content-Length: {length}"]), "", ""]
        check_refused(served, end.join(lines).encode("latin-1") + body)

    check()
    assert ask(served.path, "/status")[0] == 200


def test_requests_with_the_token_that_say_nonsense(served: Served) -> None:
    """What is answered with anything but 200 has changed nothing; 200 is audited too."""
    token = token_of(served.path)

    @FUZZ
    @given(st.sampled_from(["start", "stop", "rate", "targets"]), JSON)
    def check(what: str, value: object) -> None:
        body = json.dumps(value).encode()
        before, audited = served.state(), len(served.audited)
        head = f"POST /{what} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        status = status_line(raw(served.path, head + body, end=False))
        assert status == 200 or 400 <= status < 500
        assert len(served.audited) == audited + 1 and served.audited[-1][0] == ("control " + what if status == 200 else "control refused")
        if status != 200:
            assert served.state()[1] == before[1] and without_seconds(served.state()) == without_seconds(before)

    check()
    assert ask(served.path, "/status")[0] == 200


def without_seconds(state: Any) -> Any:
    """Overrides are a little older each time."""
    values = list(state[0])
    values[4] = [{**each, "seconds_left": 0} for each in values[4]]
    values[5] = {key: each["value"] for key, each in values[5].items()}
    return values


def test_a_socket_that_is_knocked_at_by_many(served: Served) -> None:
    """More at once than there are connections: some are told to come again, all are closed, and the next one is answered."""
    channels = []
    for _ in range(12):
        channel = socket.socket(socket.AF_UNIX)
        channel.settimeout(30)
        channel.connect(str(served.path))
        channels.append(channel)
    answers = [status_line(received(channel)) for channel in channels[8:]]
    assert answers == [503] * 4
    for channel in channels:
        channel.close()
    assert [fields["new"]["status"] for _, fields in served.audited] == [503] * 4
    assert ask(served.path, "/status")[0] == 200
