# SPDX-License-Identifier: MIT
"""Small .hyprof files with numbers that a test chooses, written after formats/hyprof/SPEC.md; hypothesis makes up any number of them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

MASK = 2**64 - 1
GAP = 10_000_000  # ns for a sample


@dataclass(frozen=True)
class Stack:
    """Functions (numbers) from the outermost on, and what its last one has."""

    thread: int
    functions: tuple[int, ...]
    samples: int = 0
    calls: int = 0
    exact_ns: int = 0
    overhead_ns: int = 0


Described = tuple[str, str, str, str, int]  # module, qualified name, name, file, first line
FUNCTIONS: tuple[Described, ...] = tuple(("m", f"f{n}", f"f{n}", "m.py", 10 * n + 1) for n in range(5))


@dataclass(frozen=True)
class Made:
    """A profile to write. number: its id. gap_ns: time that a sample stands for. functions: what the numbers in stacks mean."""

    number: int
    stacks: tuple[Stack, ...]
    threads: tuple[str, ...] = ("MainThread",)
    gap_ns: int = GAP
    clock: int = 0
    python: str = "3.13.0"
    warnings: tuple[str, ...] = ()
    duration_ns: int = 10**10
    spared: str = ""
    functions: tuple[Described, ...] = FUNCTIONS


def profiles(number: int) -> st.SearchStrategy[Made]:
    threads = ("MainThread", "Thread-1 (work)", "Thread-2 (work)")
    stack = st.builds(
        Stack,
        thread=st.integers(0, 2),
        functions=st.lists(st.integers(0, 4), min_size=1, max_size=5).map(tuple),
        samples=st.integers(0, 50),
        calls=st.integers(0, 9),
        exact_ns=st.integers(0, 10**9),
        overhead_ns=st.sampled_from([0, 0, 17, 10**6]),
    )
    return st.builds(
        Made,
        number=st.just(number),
        stacks=st.lists(stack, max_size=8).map(tuple),
        threads=st.just(threads),
        gap_ns=st.sampled_from([GAP, 1_000_000, 999]),
        python=st.sampled_from(["3.11.4", "3.13.0"]),
        warnings=st.sampled_from([(), ("late",), ("late", "early")]),
    )


def _varint(value: int) -> bytes:
    value = ((value << 1) ^ (value >> 63)) & MASK  # zigzag of a signed number
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _pack(value: Any) -> bytes:
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value) if value >= 0 else b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, str):
        return bytes([0xA0 | len(value)]) + value.encode()
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(_pack, value))
    return b"\xde" + struct.pack(">H", len(value)) + b"".join(_pack(key) + _pack(item) for key, item in value.items())


def _table(first: int, relative: int, rows: list[tuple[int, ...]]) -> bytes:
    columns = []
    for number, column in enumerate(zip(*rows, strict=True)):
        above = (0, *column[:-1]) if number < relative else (0,) * len(column)
        columns.append(b"".join(_varint(value - before) for value, before in zip(column, above, strict=True)))
    return _pack([first, len(rows), *columns])


def _chunk(kind: int, payload: bytes) -> bytes:
    head = struct.pack("<HHIII", kind, 0, len(payload), len(payload), zlib.crc32(payload))
    return head + struct.pack("<I", zlib.crc32(head)) + payload


def encoded(made: Made) -> bytes:
    """The bytes of its file."""
    roots = [f"<thread {name} #{i}>" for i, name in enumerate(made.threads, 1)]
    texts = [text for function in made.functions for text in function[:4]]
    strings = list(dict.fromkeys(["", *texts, *made.threads, *roots]))
    at_string = strings.index
    functions = [(0, *map(at_string, function[:4]), function[4]) for function in made.functions]
    functions += [(3, 0, at_string(root), at_string(root), 0, 0) for root in roots]
    nodes: dict[tuple[int, int], int] = {(0, len(made.functions) + i): 1 + i for i in range(len(roots))}
    sampled: dict[int, int] = {}
    exact: dict[int, tuple[int, int, int]] = {}
    samples = [0] * len(made.threads)
    traced = [0] * len(made.threads)
    overhead = [0] * len(made.threads)
    for stack in made.stacks:
        at = 1 + stack.thread
        for function in stack.functions:
            at = nodes.setdefault((at, function), len(nodes) + 1)
        sampled[at] = sampled.get(at, 0) + stack.samples
        calls, ns, cost = exact.get(at, (0, 0, 0))
        exact[at] = (calls + stack.calls, ns + stack.exact_ns, cost + stack.overhead_ns)
        samples[stack.thread] += stack.samples
        traced[stack.thread] += stack.exact_ns
        overhead[stack.thread] += stack.overhead_ns
    threads = [
        (
            i,
            at_string(made.threads[i]),
            2 + i,
            1000 + i,
            samples[i],
            0,
            samples[i] * made.gap_ns + traced[i] + overhead[i],
            samples[i] * made.gap_ns,
            traced[i],
            overhead[i],
            0,
        )
        for i in range(len(made.threads))
    ]
    meta = {
        "id": made.number.to_bytes(16, "big"),
        "python": made.python.encode(),
        "pid": made.number,
        "started_ns": 10**18 + made.number,
        "clock": made.clock,
        "rate_hz": 1e9 / made.gap_ns,
        **({"tracing_spared": made.spared.encode()} if made.spared else {}),
    }
    encoded_strings = [text.encode("utf-8", "surrogatepass") for text in strings]
    chunks = [
        _chunk(1, _pack(meta)),
        _chunk(
            2,
            _pack(
                {"duration_ns": made.duration_ns, "samples_kept": sum(samples), "tracing_calls": sum(stack.calls for stack in made.stacks)}
            ),
        ),
        _chunk(3, _pack([text.encode() for text in made.warnings])),
        _chunk(4, _pack([0, len(strings), b"".join(_varint(len(text)) for text in encoded_strings), b"".join(encoded_strings)])),
        _chunk(5, _table(0, 5, functions)),
        _chunk(7, _table(1, 2, list(nodes))),
    ]
    if sampled:
        chunks.append(_chunk(9, _table(0, 1, [(node, count, count * made.gap_ns) for node, count in sampled.items()])))
        chunks.append(_chunk(10, _table(0, 1, [(node, calls, ns, cost, 0) for node, (calls, ns, cost) in exact.items()])))
    chunks.append(_chunk(15, _table(len(threads), 3, threads)))
    header = b"\x89HYP\r\n\x1a\n" + struct.pack("<HH", 1, 0)
    return b"".join(
        [header, struct.pack("<I", zlib.crc32(header)), *chunks, _chunk(30, _pack([0, len(chunks)])), _chunk(31, _pack([1, 0]))]
    )
