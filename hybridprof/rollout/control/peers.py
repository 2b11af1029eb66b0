# SPDX-License-Identifier: MIT
"""Who is at the other end of a Unix socket: the kernel's word, taken when the connection was made."""

from __future__ import annotations

import hmac
import socket
import struct
from dataclasses import dataclass

from ..audit import Actor

_UCRED = struct.Struct("iII")  # struct ucred: pid, uid, gid


@dataclass(frozen=True, slots=True)
class Peer:
    """pid: 0 where it is in no namespace that we see."""

    uid: int
    pid: int

    @property
    def actor(self) -> Actor:
        return Actor(self.uid, self.pid, "control")

    def __str__(self) -> str:
        return f"uid {self.uid}, pid {self.pid}"


def peer_of(channel: socket.socket) -> Peer:
    """Raises OSError."""
    pid, uid, _gid = _UCRED.unpack(channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(uid, pid)


def is_trusted(peer: Peer, user: int) -> bool:
    """root, or the user of this process."""
    return peer.uid in (0, user)


def has_token(header: str | None, token: str) -> bool:
    """Whether an Authorization header bears the token; in a time that does not tell how much of it is right."""
    kind, _, given = (header or "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode("ascii"))
