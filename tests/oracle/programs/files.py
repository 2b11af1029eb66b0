# SPDX-License-Identifier: MIT
"""Files and streams in Python that C code reads and writes; json and csv with hooks."""

import csv
import io
import json


def helper(value):
    return value


class Raw(io.RawIOBase):
    def __init__(self, data=b""):
        self.data, self.written = data, b""

    def readable(self):
        return True

    def writable(self):
        return True

    def readinto(self, buffer):
        piece, self.data = self.data[:4], self.data[4:]
        buffer[: len(piece)] = helper(piece)
        return len(piece)

    def write(self, data):
        self.written += bytes(data)
        return helper(len(data))


class Lines:
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        for number in range(self.count):
            yield helper(f"{number},text {number}\n")


class Encoder(json.JSONEncoder):
    def default(self, value):
        return helper(sorted(value)) if isinstance(value, set) else super().default(value)


def hook(pairs):
    return helper(dict(pairs))


def target():
    text = io.TextIOWrapper(io.BufferedReader(Raw(b"one\ntwo\nthree\n")), encoding="utf-8")
    [helper(line) for line in text]
    raw = Raw()
    with io.BufferedWriter(raw, 8) as buffered:
        for number in range(5):
            buffered.write(b"%d " % number)
    print("to", "raw", file=io.TextIOWrapper(Raw(), write_through=True))
    list(csv.reader(Lines(3))), list(csv.DictReader(Lines(3)))
    json.dumps({"b": {3, 1}, "a": [{2}]}, cls=Encoder, sort_keys=True, indent=1), json.dumps([{1}], default=lambda s: helper(list(s)))
    json.loads('{"a": {"b": [1.5, 2]}}', object_pairs_hook=hook, parse_float=helper, parse_int=lambda t: helper(int(t)))
    try:
        json.loads("{")
    except ValueError:
        helper("bad")


def run():
    target()
    list(csv.reader(Lines(1)))
    target()


TARGETS = [target]
