# SPDX-License-Identifier: MIT
"""What may be asked at the socket, and what that does. Every change is an override of the ruler, with an end, or its ceiling: what the local file
caps stays capped, and a kill file outranks all of it.

    GET  /status
    GET  /snapshot?format=pstats     a profile so far; without a format .hyprof
    POST /start   {"stage", "for"}   without a stage: as the configuration says, and where that runs nothing, the sampler
    POST /stop    {"for"}
    POST /rate    {"hz", "for"}
    POST /targets {"add", "remove", "rate", "for"}     `for` must be given where something is added or a target of the configuration is removed
    POST /kill                       nothing runs in this process any more, and in those that it forks
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ... import _core, api
from ..resolve import Override
from ..rotation import program, roots, shortened
from ..schema import SCHEMA, checked
from ..stages import reaches
from .durations import seconds, shown
from .exchange import Answer, Exchange, Refusal, Request, plain
from .peers import Peer, has_token

if TYPE_CHECKING:
    from . import Control

LASTING = 3600.0  # seconds of a change that says nothing about it
DEFAULT_FORMAT = "hyprof"
FOREVER = float("inf")
LONGEST_RETRY = 600  # seconds that a client is told to wait: a program may work more than it did


class Commands:
    """The Service of one socket."""

    def __init__(self, control: Control, token: str) -> None:
        self._control, self._ruler = control, control.ruler
        self._token = token
        self._records: list[tuple[str, dict[str, Any]]] = []  # of the request that is being answered
        self._routes: dict[str, tuple[str, frozenset[str], Callable[[Mapping[str, Any], Peer], Answer]]] = {
            "/status": ("GET", frozenset(), self._status),
            "/snapshot": ("GET", frozenset({"format"}), self._snapshot),
            "/start": ("POST", frozenset({"stage", "for"}), self._start),
            "/stop": ("POST", frozenset({"for"}), self._stop),
            "/rate": ("POST", frozenset({"hz", "for"}), self._rate),
            "/targets": ("POST", frozenset({"add", "remove", "rate", "for"}), self._targets),
            "/kill": ("POST", frozenset(), self._kill),
        }

    # --- Service -----------------------------------------------------------------------------------------------------------------------------

    def admit(self, exchange: Exchange, peer: Peer) -> None:
        if not has_token(exchange.authorization, self._token):
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "the request has no right token; send the header Authorization: Bearer TOKEN, with what SOCKET.token holds",
            )
        route = self._routes.get(exchange.target)
        if route is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {exchange.target[:80]!r}; there are {', '.join(self._routes)}")
        if route[0] != exchange.command:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"{exchange.target} takes {route[0]}, not {exchange.command[:20]!r}")

    def answer(self, request: Request, peer: Peer) -> Answer:
        self._control.books.requests += 1
        method, known, act = self._routes[request.path]
        given, misplaced = (request.query, request.fields) if method == "GET" else (request.fields, request.query)
        try:
            if misplaced:
                raise ValueError(f"what {request.path} takes stands in {'the address' if method == 'GET' else 'the body, as JSON'}")
            for name in sorted({*given} - known)[:1]:
                raise ValueError(f"{request.path} takes {', '.join(sorted(known)) or 'nothing'}, not {name[:40]!r}")
            answer = act(given, peer)
        except ValueError as error:  # what the schema, a cap or a format refuses
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
        records, self._records = self._records, []
        for event, fields in records:  # now that api's lock is free: a slow disk is not to hold the program up
            self._control.books.audit(event, **fields)
        return answer

    def refused(self, peer: Peer, status: int, why: str, line: bytes) -> None:
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self._control.books.later()
        else:
            self._control.books.refusal(peer, status, why, line)

    # --- what reads ----------------------------------------------------------------------------------------------------------------------------

    def _status(self, given: Mapping[str, Any], peer: Peer) -> Answer:
        """The program's files are named as in snapshots; those that the operator has named are whole, as they are to be found."""
        folders = roots(self._ruler.in_force()["output.paths"] == "short")
        targets = [f"{shortened(code.co_filename, folders)}:{code.co_firstlineno} {code.co_qualname}" for code, _ in _core.targets()]
        return plain({"pid": os.getpid(), **api.status(), "targets": targets})

    def _snapshot(self, given: Mapping[str, Any], peer: Peer) -> Answer:
        name = given.get("format", DEFAULT_FORMAT)
        writable = [each[0] for each in _core.formats() if each[4]]
        if name not in writable:
            raise ValueError(f"format must be one of {', '.join(writable)}, not {name[:40]!r}")
        began = self._begun_snapshot()
        # As in the files of output_dir: whoever may ask need not learn what the command line holds.
        try:
            profile = api.snapshot_for_others(roots(self._ruler.in_force()["output.paths"] == "short"), program())
            if not profile.meta["pid"]:
                raise Refusal(HTTPStatus.CONFLICT, f"nothing has been measured: {api.status()['why']}")
            body = profile.encode(name)  # without the GIL
        finally:
            self._control.pace.charge(time.thread_time() - began)
        self._control.books.read(peer, "control snapshot")
        return Answer(HTTPStatus.OK, body, "application/octet-stream")

    def _begun_snapshot(self) -> float:
        """The thread's CPU seconds so far. Raises Refusal while the last one is not paid for: no other request costs by what was measured."""
        budget, pace = self._ruler.in_force()["output.budget"], self._control.pace
        wait = pace.wait(budget)
        if wait > 0:
            seconds = max(1, min(LONGEST_RETRY, math.ceil(wait)))
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"the last snapshot is not paid for yet, of the {budget:g} % that output.budget allows; try again in {seconds} s",
                seconds,
            )
        pace.begin()
        return time.thread_time()

    # --- what changes: with api's lock held, so that nobody comes between the question and the change --------------------------------------------

    def _start(self, given: Mapping[str, Any], peer: Peer) -> Answer:
        lasting, stage = _lasting(given), given.get("stage")
        if stage is not None and not reaches(checked("stage", stage), "canary"):
            raise ValueError(f"stage {stage!r} runs nothing; start takes canary, fleet, deep or wide")
        with api._lock:
            self._check_alive()
            if stage is None and not self._ruler.supposing({"stage": None}).samples:
                stage = "fleet"
            if stage is None:
                return self._done(
                    "control start", peer, self._ruler.in_force().stage, lambda: self._ruler.withdraw("stage", noted=False), None
                )
            supposed = self._ruler.supposing({"stage": Override(stage, FOREVER)})
            if not supposed.samples:
                raise Refusal(HTTPStatus.CONFLICT, f"nothing would run: {supposed.why}")
            return self._done("control start", peer, self._ruler.in_force().stage, self._override("stage", stage, lasting, peer), lasting)

    def _stop(self, given: Mapping[str, Any], peer: Peer) -> Answer:
        lasting = _lasting(given)
        with api._lock:
            change = self._override("stage", "off", lasting, peer)
            return self._done("control stop", peer, self._ruler.in_force().stage, change, lasting)

    def _rate(self, given: Mapping[str, Any], peer: Peer) -> Answer:
        lasting = _lasting(given)
        if "hz" not in given:
            raise ValueError('rate takes "hz", samples in a second')
        with api._lock:
            self._check_alive()
            change = self._override("sampler.rate", given["hz"], lasting, peer)
            return self._done("control rate", peer, self._ruler.in_force()["sampler.rate"], change, lasting)

    def _targets(self, given: Mapping[str, Any], peer: Peer) -> Answer:
        add, remove = _patterns(given, "add"), _patterns(given, "remove")
        rate = checked("deep.rate", given["rate"]) if "rate" in given else None
        if not add and not remove:
            raise ValueError('targets takes "add" or "remove", lists of patterns such as ["package.module:Class.method"]')
        with api._lock:
            self._check_alive()
            now = self._ruler.in_force()
            lasting = self._lasting_of_targets(given, add, remove, now["deep.targets"])
            if add and not reaches(now.stage, "deep"):
                raise Refusal(HTTPStatus.CONFLICT, f"no targets are traced now ({now.why}); first start with stage deep")

            def change() -> None:
                if rate is not None and lasting is not None:  # first: a cap may refuse it, and then nothing has changed
                    self._override("deep.rate", rate, lasting, peer)()
                self._control.change_targets(add, remove, lasting or 0.0, _by(peer), peer.actor)

            return self._done("control targets", peer, now["deep.targets"], change, lasting)

    def _kill(self, given: Mapping[str, Any], peer: Peer) -> Answer:
        with api._lock:
            return self._done("control kill", peer, self._ruler.in_force().stage, lambda: self._control.kill(_by(peer)), None)

    # --- parts of them -----------------------------------------------------------------------------------------------------------------------------

    def _check_alive(self) -> None:
        if self._control.killed:
            raise Refusal(HTTPStatus.CONFLICT, f"this process was {self._control.killed}, and stays so until it ends")

    def _override(self, key: str, value: object, lasting: float, peer: Peer) -> Callable[[], None]:
        return lambda: self._ruler.override(key, value, self._control.wall() + lasting, _by(peer), peer.actor, noted=False)

    def _lasting_of_targets(self, given: Mapping[str, Any], add: list[str], remove: list[str], now: tuple[str, ...]) -> float | None:
        """None where something that was added is taken back, and no more."""
        strange = [each for each in remove if each not in now]
        if strange:
            raise ValueError(f"{strange[0]!r} is no target here; targets are {', '.join(now) or 'none'}")
        beneath = self._control.targets_beneath()
        if not add and "rate" not in given and not any(each in beneath for each in remove):
            return None
        if "for" not in given:
            raise ValueError('targets takes "for", a time such as "10m", after which they are as the configuration says')
        return _lasting(given)

    def _done(self, what: str, peer: Peer, old: object, change: Callable[[], None], lasting: float | None) -> Answer:
        """Changes, notes it for the audit and says what is so now."""
        change()
        now = self._ruler.in_force()
        new = {"control rate": now["sampler.rate"], "control targets": now["deep.targets"]}.get(what, now.stage)
        until = None if lasting is None else self._control.wall() + lasting
        self._records.append((what, {"peer": peer, "old": old, "new": new, "until": until}))
        status = api.status()
        kept = ("running", "stage", "why", "rate_hz", "patterns", "problem", "overrides")
        answer = {"pid": os.getpid(), **{name: status[name] for name in kept}}
        return plain(answer if lasting is None else {**answer, "for": shown(lasting)})


def _by(peer: Peer) -> str:
    return f"control ({peer})"


def _lasting(given: Mapping[str, Any]) -> float:
    try:
        return seconds(given.get("for", LASTING))
    except ValueError as error:
        raise ValueError(f"for {error}") from None


def _patterns(given: Mapping[str, Any], name: str) -> list[str]:
    """Raises ValueError, a sentence that begins with the name."""
    value = given.get(name, [])
    try:
        return list(SCHEMA["deep.targets"].check([value] if isinstance(value, str) else value))
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
