# SPDX-License-Identifier: MIT
"""A client of the Debug Adapter Protocol, as much of one as goes on at each breakpoint and counts them."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

PATIENCE = 30.0  # seconds for the adapter to listen, and for each message


class Client:
    """Connects at once. `hits`: how often the program stood at the breakpoint so far."""

    def __init__(self, port: int) -> None:
        self.hits = 0
        self.problems: list[str] = []
        self._socket = _connect(port)
        self._socket.settimeout(PATIENCE)
        self._file = self._socket.makefile("rb")
        self._lock = threading.Lock()
        self._sequence = 0
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def attach(self, path: str, line: int) -> None:
        """Sets the breakpoint and lets the program go on."""
        self._await_response(self._send("initialize", adapterID="test", clientID="test", linesStartAt1=True, pathFormat="path"))
        self._send("attach", justMyCode=False)
        self._await(lambda message: message.get("event") == "initialized")
        answer = self._await_response(self._send("setBreakpoints", source={"path": path}, breakpoints=[{"line": line}]))
        assert [each["verified"] for each in answer["body"]["breakpoints"]] == [True], answer
        self._send("configurationDone")
        self._thread.start()

    def leave(self) -> None:
        self._send("disconnect", terminateDebuggee=False)
        self._thread.join(PATIENCE)
        self._socket.close()

    def _follow(self) -> None:
        try:
            while (message := self._read()) is not None:
                if message.get("event") == "stopped":
                    self.hits += message["body"]["reason"] == "breakpoint"
                    self._send("continue", threadId=message["body"]["threadId"])
                elif message.get("success") is False:
                    self.problems.append(json.dumps(message))
                elif message.get("command") == "disconnect":
                    return
        except OSError as error:
            self.problems.append(repr(error))

    def _send(self, command: str, **arguments: object) -> int:
        with self._lock:
            self._sequence += 1
            body = json.dumps({"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}).encode()
            self._socket.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            return self._sequence

    def _read(self) -> dict[str, Any] | None:
        length = 0
        while (line := self._file.readline()).strip():
            length = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else length
        if not line:
            return None
        message: dict[str, Any] = json.loads(self._file.read(length))
        return message

    def _await(self, wanted: Any) -> dict[str, Any]:
        while (message := self._read()) is not None:
            if wanted(message):
                return message
        raise AssertionError("the adapter closed the connection")

    def _await_response(self, sequence: int) -> dict[str, Any]:
        return self._await(lambda message: message.get("request_seq") == sequence)


def _connect(port: int) -> socket.socket:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
