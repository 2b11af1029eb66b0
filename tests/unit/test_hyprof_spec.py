# SPDX-License-Identifier: MIT
"""A second reader of .hyprof files, written from formats/hyprof/SPEC.md alone: if the page is wrong or lacks something, this fails."""

from __future__ import annotations

import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).resolve().parents[2] / "formats" / "hyprof" / "golden"
MASK = 2**64 - 1
RELATIVE = {
    5: 5,
    6: 1,
    7: 2,
    8: 1,
    9: 1,
    10: 1,
    11: 2,
    12: 1,
    13: 2,
    14: 1,
    15: 3,
    16: 1,
    17: 2,
    19: 1,
    32: 1,
}  # columns that are differences come first


class Unpacker:
    """The few msgpack types."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        assert len(piece) == size
        self.at += size
        return piece

    def big(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def value(self) -> Any:
        tag = self.big(1)
        if tag < 0x80 or tag >= 0xE0:
            return tag if tag < 0x80 else tag - 256
        if tag < 0x90:
            return self.pairs(tag & 15)
        if tag < 0xA0:
            return [self.value() for _ in range(tag & 15)]
        if tag < 0xC0:
            return self.take(tag & 31).decode()
        if 0xC4 <= tag <= 0xC6:
            return self.take(self.big(1 << (tag - 0xC4)))
        if tag == 0xCB:
            return struct.unpack(">d", self.take(8))[0]
        if 0xCC <= tag <= 0xCF:
            return self.big(1 << (tag - 0xCC))
        if 0xD0 <= tag <= 0xD3:
            return int.from_bytes(self.take(1 << (tag - 0xD0)), "big", signed=True)
        if tag in (0xDC, 0xDE):
            count = self.big(2)
            return [self.value() for _ in range(count)] if tag == 0xDC else self.pairs(count)
        raise AssertionError(f"msgpack type {tag:#x}")

    def pairs(self, count: int) -> dict[str, Any]:
        return {self.value(): self.value() for _ in range(count)}


def column(data: bytes, relative: bool) -> list[int]:
    values, value, shift, above = [], 0, 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            number = (value >> 1) ^ -(value & 1)
            above = (number + (above if relative else 0)) & MASK
            values.append(above)
            value = shift = 0
    return values


class Record:
    """The state that groups are applied to."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.strings: list[str] = []
        self.functions: list[str] = []
        self.nodes: list[tuple[int, int]] = [(-1, -1)]
        self.absent: dict[int, set[int]] = {6: set(), 8: set()}
        self.sampled: dict[int, list[int]] = {}
        self.exact: dict[int, list[int]] = {}
        self.flags: dict[int, int] = {}
        self.lines: list[tuple[int, ...]] = []
        self.estimates: list[tuple[int, int]] = []
        self.counts: dict[int, dict[int, list[int]]] = {12: {}, 14: {}, 19: {}}
        self.threads: list[list[int]] = []
        self.sources: list[dict[str, Any]] = []
        self.moments: list[tuple[int, int, int]] | None = None

    def apply(self, kind: int, payload: bytes) -> None:
        content = Unpacker(payload).value()
        if kind in (1, 2):
            self.facts.update(content)
        elif kind == 3:
            self.warnings = [text(item) for item in content]
        elif kind == 18:
            assert content[0] in (0, len(self.sources))
            self.sources[content[0] :] = content[1:]
        elif kind == 4:
            at = 0
            for size in column(content[2], False):
                self.strings.append(text(content[3][at : at + size]))
                at += size
        else:
            columns = [column(item, i < RELATIVE[kind]) for i, item in enumerate(content[2:])]
            assert all(len(c) == content[1] for c in columns)
            assert content[1] <= len(payload) * (4 if kind == 32 else 1)
            self.table(kind, content[0], list(zip(*columns, strict=True)))

    def table(self, kind: int, first: int, rows: list[tuple[int, ...]]) -> None:
        if kind == 15:
            del self.threads[first:]
        if kind == 32:
            self.moments = (self.moments or []) + weighted(rows)
            return
        for row in rows:
            if kind == 5:
                self.functions.append("|".join([str(row[0]), *(self.strings[i] for i in row[1:5]), str(row[5])]))
            elif kind in (6, 8):
                self.absent[kind] ^= {row[0]}
            elif kind == 7:
                assert row[0] < len(self.nodes)
                self.nodes.append((row[0], row[1]))
            elif kind == 9:
                add(self.sampled, row[0], row[1:])
            elif kind == 10:
                add(self.exact, row[0], row[1:4])
                self.flags[row[0]] = row[4]
            elif kind == 11:
                self.lines.append(row)
            elif kind == 13:
                self.estimates.append((row[0], row[1]))
            elif kind in (12, 14, 19):
                add(self.counts[kind], row[0], row[1:])
            elif kind == 15:
                self.threads[row[0] : row[0] + 1] = [list(row[1:])]

    def path(self, node: int) -> str:
        steps = ""
        while node != 0:
            node, function = self.nodes[node]
            steps += self.functions[function] + " < "
        return steps

    def text(self) -> list[str]:
        """The lines of golden/NAME.txt, in any order."""
        lines = [f"function {f}" for i, f in enumerate(self.functions) if i not in self.absent[6]]
        for i in range(len(self.nodes)):
            if i not in self.absent[8]:
                numbers = [*self.sampled.get(i, [0, 0]), *self.exact.get(i, [0, 0, 0]), self.flags.get(i, 0)]
                lines.append(" ".join(["node", self.path(i), *map(str, numbers)]))
        for i, numbers in self.counts[12].items():
            if any(numbers):
                lines.append(f"line {self.path(self.lines[i][0])} {self.lines[i][1]} {self.lines[i][2]} {numbers[0]} {numbers[1]}")
        for i, numbers in self.counts[14].items():
            if any(numbers):
                lines.append(" ".join(["estimate", str(self.estimates[i][0]), *map(str, numbers), self.functions[self.estimates[i][1]]]))
        for i, numbers in self.counts[19].items():
            lines.append(" ".join(["variance", str(self.estimates[i][0]), *map(str, numbers), self.functions[self.estimates[i][1]]]))
        for source in self.sources:
            texts = [text(source.get(key, b"")) for key in ("python", "platform", "program")]
            numbers = [source.get(key, 0) for key in ("pid", "started_ns", "duration_ns", "rate_hz", "samples_kept", "tracing_calls")]
            lines.append(
                " ".join(
                    [
                        "source",
                        source["id"].hex(),
                        *texts,
                        *(f"{number:.17g}" if isinstance(number, float) else str(number) for number in numbers),
                    ]
                )
            )
        if "left_out" in self.facts:
            lines.append(f"left out {self.facts['left_out']}")
        if self.moments is not None:
            present = [moment for moment in self.moments if moment[1] not in self.absent[8]]
            lost = self.facts.get("timeline_lost", 0) + len(self.moments) - len(present)
            lines.append(f"timeline lost {lost}")
            lines += [f"moment {i} {time} {weight} {self.path(node)}" for i, (time, node, weight) in enumerate(present)]
        for i, row in enumerate(self.threads):
            root = "(none)" if row[1] == 0 else self.path(row[1] - 1)
            lines.append(" ".join(["thread", str(i), self.strings[row[0]], *map(str, row[2:]), root]))
        return lines


def weighted(rows: list[tuple[int, ...]]) -> list[tuple[int, int, int]]:
    """Time, node and weight of one chunk's rows."""
    moments, now, before = [], None, None
    for time, node, surplus in rows:
        if time != now:
            now, before = time, now
        moments.append((time, node, (surplus + (0 if before is None else time - before)) & MASK))
    return moments


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def add(counts: dict[int, list[int]], key: int, numbers: tuple[int, ...]) -> None:
    old = counts.get(key, [0] * len(numbers))
    counts[key] = [(a + b) & MASK for a, b in zip(old, numbers, strict=True)]


def read(data: bytes) -> tuple[Record, bool]:
    """The record after the last whole group, and whether there was an end mark."""
    assert data[:8] == b"\x89HYP\r\n\x1a\n"
    major, _minor, checksum = struct.unpack_from("<HHI", data, 8)
    assert major == 1 and checksum == zlib.crc32(data[:12])
    record, at, groups, ended = Record(), 16, 0, False
    waiting: list[tuple[int, bytes]] = []
    while at + 20 <= len(data):
        kind, flags, size, raw_size, payload_sum, header_sum = struct.unpack_from("<HHIIII", data, at)
        payload = data[at + 20 : at + 20 + size]
        if header_sum != zlib.crc32(data[at : at + 16]) or payload_sum != zlib.crc32(payload):
            break  # cut short
        at += 20 + size
        payload = zlib.decompress(payload) if flags & 2 else payload
        assert len(payload) == raw_size
        if kind == 30:
            assert Unpacker(payload).value() == [groups, len(waiting)]
            for chunk in waiting:
                record.apply(*chunk)
            waiting, groups = [], groups + 1
        elif kind == 31:
            assert Unpacker(payload).value() == [groups, 0]
            ended = True
        else:
            waiting.append((kind, payload))
    return record, ended


@pytest.mark.parametrize(
    ("name", "complete"),
    [("1.0-whole", True), ("1.0-live", False), ("1.1-merged", True), ("1.1-live", False), ("1.2-timeline", True), ("1.2-live", False)],
)
def test_the_specification_is_enough_to_read_a_file(name: str, complete: bool) -> None:
    record, ended = read((GOLDEN / f"{name}.hyprof").read_bytes())
    assert ended is complete
    expected = text((GOLDEN / f"{name}.txt").read_bytes())
    data = "".join(line + "\n" for line in record.text())
    wanted = sorted(expected.split("\n"))
    for line in ("the machine was busy", str(record.facts.get("pid", "source")), str(record.facts["duration_ns"])):
        assert line in expected
    got = set(data.split("\n"))
    missing = [line for line in wanted if line not in got and not line.startswith(("warning ", record.facts["id"].hex()))]
    assert missing == []
    assert got <= set(wanted)
    assert text(record.facts["program"]) in expected
    said = [line.removeprefix("warning ") for line in expected.split("\n") if line.startswith("warning ")]
    recovery = [line for line in said if "no end mark" in line or "cut short" in line]
    assert record.warnings == [line for line in said if line not in recovery]
    assert (recovery == []) is complete


def test_the_program_in_c_compiles_with_the_public_header_alone(tmp_path: Path) -> None:
    header = "hyprof_reader.h"
    folder = Path(__file__).parents[2] / "formats" / "hyprof"
    program = (folder / "SPEC.md").read_text().partition("```c\n")[2].partition("```")[0]
    assert f"#include <{header}>" in program
    (tmp_path / header).write_text((folder / header).read_text())  # where no other header of ours is
    (tmp_path / "times.c").write_text(program)
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", "-I.", "-c", "times.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
