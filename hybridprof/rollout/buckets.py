# SPDX-License-Identifier: MIT
"""Who is a member of a share of hosts, process slots or requests.

A member's number, blake2b64(salt || unit || id) / 2^64, is the same on every host, in every process and after every restart; it is a member
when the number is below the share. So raising the share only adds members, and each service of a request picks the same requests. Each unit
has a salt of its own: else the processes and requests of the hosts with small numbers would be chosen alike.
"""

from __future__ import annotations

from _blake2 import blake2b  # hashlib would load OpenSSL

_SALTS = {"host": b"hybridprof-host-1", "process": b"hybridprof-process-1", "request": b"hybridprof-request-1"}


def number(unit: str, identity: str | bytes) -> int:
    """From 0 to 2^64 - 1. unit: "host", "process" or "request"."""
    raw = identity.encode("utf-8", "surrogatepass") if isinstance(identity, str) else bytes(identity)
    digest = blake2b(_SALTS[unit] + b"\0" + unit.encode() + b"\0" + raw, digest_size=8).digest()
    return int.from_bytes(digest, "big")


def is_member(unit: str, identity: str | bytes, share: float) -> bool:
    """share: 0 (nobody) to 1 (everybody)."""
    return number(unit, identity) < share * 2**64  # exact: a float times a power of two, and an int against it


def digest(text: str) -> str:
    """16 hexadecimal digits that tell one text from another."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
