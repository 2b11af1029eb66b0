# SPDX-License-Identifier: MIT
"""Which requests are traced, and under which name.

A share of requests is picked by their trace id, so that every service that a request passes picks the same ones; the share is the
configuration's `rollout.requests` where one is followed. All that a picked request runs stands beneath a node with its label: its method and
route as the program wrote it (`GET /users/<id>`), never a path, a query or anything else that a user sent. The most frequent ones have labels, all beyond a bound are `other`.

The first that come get a label. A later one takes the place of the rarest as soon as it has been met twice as often: so the frequent ones have theirs whatever came first, and each change doubles
what the next one takes, which bounds the labels that a call graph ever holds.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Awaitable, Callable
from types import FunctionType
from typing import Any

import hybridprof

if not hybridprof.DISABLED:  # else the core is not loaded, and no request is ever picked
    from .. import _core
    from ..deep import checked_rate
    from ..rollout import buckets, current

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
OTHER = "other"
LABELS = 100
CANDIDATES = 1000  # of which it is counted how often they come
LONGEST_LABEL = 120  # characters
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def trace_id(traceparent: str | None) -> str:
    """32 hex digits: of W3C's header, else of OpenTelemetry's current span, else random."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is not None and match[1].strip("0"):
        return match[1]
    return _span_trace_id() or os.urandom(16).hex()  # no generator of ours: forked workers would all choose alike


def _span_trace_id() -> str:
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is None:
        return ""
    try:
        number = int(opentelemetry.get_current_span().get_span_context().trace_id)
    except Exception:  # another version of it; the request goes on with a random id
        return ""
    return f"{number:032x}" if number else ""


class Requests:
    """One per middleware. share: of the requests that are traced where no configuration is followed; labels: how many different ones there may be."""

    def __init__(self, share: float | None = None, labels: int = LABELS) -> None:
        self._most = labels
        self._known: dict[tuple[str, str], str] = {}
        self._counts: dict[tuple[str, str], int] = {}  # how often they came
        self._met: dict[tuple[str, str], int] = {}  # the same of those without a label
        self.seen = 0
        self.traced: dict[str, int] = {}  # requests by label
        self._share = 0.0
        if hybridprof.DISABLED:
            return
        if type(labels) is bool or not isinstance(labels, int) or not 1 <= labels <= 10_000:
            raise ValueError(f"labels is how many different labels there may be, a number from 1 to 10000, not {labels!r}")
        if share is not None:
            self._share = checked_rate(share, "share")

    def picks(self, traceparent: str | None) -> bool:
        """Whether this request is traced. Takes no lock."""
        self.seen += 1
        if hybridprof.DISABLED:
            return False
        ruler = current()
        if ruler is None:
            return self._share > 0 and _core.running() and buckets.is_member("request", trace_id(traceparent), self._share)
        return ruler.picks_request(trace_id(traceparent))

    def label(self, method: object, route: object) -> str:
        """method: of HTTP, None: what is picked is no request. route: the template as the program wrote it; anything but a str: there is none. Counts the request."""
        verb = "" if method is None else method if isinstance(method, str) and method in METHODS else OTHER
        key = (verb, route if isinstance(route, str) else "")
        name = self._known.get(key)
        if name is None:
            name = self._new_label(key)
        if key in self._known:
            self._counts[key] = self._counts.get(key, 0) + 1
        self.traced[name] = self.traced.get(name, 0) + 1
        return name

    def _new_label(self, key: tuple[str, str]) -> str:
        if len(self._known) >= self._most and not self._makes_room(key):
            return OTHER
        text = " ".join(part for part in key if part)
        clean = "".join(each if each.isprintable() else "?" for each in text)[:LONGEST_LABEL]
        self._known[key] = clean
        return clean

    def _makes_room(self, key: tuple[str, str]) -> bool:
        """Whether it is so frequent by now that the rarest label has gone for it. Threads may meet here: then a count is too low, or one label more goes."""
        met = self._met[key] = self._met.get(key, 0) + 1
        if len(self._met) > CANDIDATES:  # those that have come once go, the others lose half: what is frequent stays ahead
            self._met = {each: count // 2 for each, count in list(self._met.items()) if count > 1}
        if met & (met - 1):  # the rarest is looked for at each doubling
            return False
        rarest = min(list(self._known), key=lambda each: self._counts.get(each, 0), default=None)
        if rarest is None or met <= 2 * self._counts.get(rarest, 0):
            return False
        for each in (self._known, self._counts):
            each.pop(rarest, None)
        self._met.pop(key, None)
        self._counts[key] = met - 1  # and this one is about to be counted
        return True

    def status(self) -> dict[str, Any]:
        """requests (seen), traced (by label)."""
        return {"requests": self.seen, "traced": dict(self.traced)}


# --- the frame of a traced request -----------------------------------------------------------------------------------------------------------

# A block belongs to a frame: what that calls is traced until the block is left. Frames of modules of ours are passed over when it is looked for,
# and the next one may be the event loop's, which a coroutine leaves at its first await. So these two run as functions of no module.


def _called(enter: Callable[[str], int], leave: Callable[[int], None], label: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        token = enter(label)
    except Exception:  # no memory, or no tracer: the request must not meet that
        token = 0
    try:
        return function(*arguments)
    finally:
        if token:
            leave(token)


async def _awaited(
    enter: Callable[[str], int], leave: Callable[[int], None], label: str, function: Callable[..., Awaitable[Any]], *arguments: Any
) -> Any:
    try:
        token = enter(label)
    except Exception:  # no memory, or no tracer: the request must not meet that
        token = 0
    try:
        return await function(*arguments)
    finally:
        if token:
            leave(token)


def _of_no_module(function: Any) -> Any:
    return FunctionType(function.__code__, {"__name__": "request", "__builtins__": __builtins__}, function.__name__)


_call, _await = _of_no_module(_called), _of_no_module(_awaited)


def traced(label: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What function(*arguments) returns; all that it calls stands beneath the label. Its exceptions are its own."""
    return _call(_core.enter_block, _core.leave_block, label, function, *arguments)


async def traced_async(label: str, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """The same of a coroutine; while it waits, nobody's time is counted."""
    return await _await(_core.enter_block, _core.leave_block, label, function, *arguments)
