# SPDX-License-Identifier: MIT
"""The standard library at work: fractions, statistics, dates, random choices, paths, ordered containers."""

import collections
import datetime
import fractions
import pathlib
import random
import statistics


def helper(value):
    return value


class Bounded(collections.UserDict):
    def __setitem__(self, key, value):
        super().__setitem__(helper(key), value)


class Chained(collections.ChainMap):
    def __missing__(self, key):
        return helper(key)


class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(hours=helper(2))

    def dst(self, when):
        return datetime.timedelta(0)

    def tzname(self, when):
        return helper("zone")


def dates():
    moment = datetime.datetime(2024, 2, 29, 12, tzinfo=Zone())
    return moment.isoformat(), moment.astimezone(datetime.timezone.utc), moment.strftime("%Z %j"), moment == moment.astimezone(Zone())


def paths():
    path = pathlib.PurePosixPath("/a/b/../c.tar.gz")
    return (
        path.parent,
        path.suffixes,
        path.with_suffix(".x"),
        path / "d",
        path.relative_to("/a"),
        path.match("*.gz"),
        sorted([path, path.parent]),
    )


def target():
    third = fractions.Fraction(1, 3)
    third + 1, third * fractions.Fraction("2/7"), third**2, round(third, 2), fractions.Fraction.from_float(0.5).limit_denominator(10)
    statistics.mean([1, 2, 3.5]), statistics.stdev([1, 2, 4]), statistics.median([3, 1, 2]), statistics.quantiles(range(9))
    generator = random.Random(5)
    generator.shuffle(values := list(range(6))), generator.sample(values, 3), generator.choices("abc", [1, 2, 3], k=3)
    dates(), paths()
    bounded = Bounded(a=1)
    bounded.update(b=2), bounded.setdefault("c", 3), Chained({"a": 1}, {"b": 2})["z"]
    collections.OrderedDict(a=1).move_to_end("a"), collections.deque([1, 2], maxlen=1)


def run():
    target()
    dates()


TARGETS = [target]
