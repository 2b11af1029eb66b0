# SPDX-License-Identifier: MIT
"""Text that is made, formatted, replaced and translated with the help of Python code."""

import re
import string


def helper(value):
    return value


class Formats:
    def __init__(self, value):
        self.value = value

    def __format__(self, spec):
        return helper(f"{self.value:{spec}}")

    def __str__(self):
        return helper("str")

    def __repr__(self):
        return helper("repr")


class Defaults(dict):
    def __missing__(self, key):
        return helper(key)


class Table:
    def __getitem__(self, code):
        if code == 97:
            return helper("A")
        raise LookupError


class Percent(string.Template):
    delimiter = "%"


class Own(string.Formatter):
    def get_value(self, key, arguments, keywords):
        return helper(super().get_value(key, arguments, keywords))

    def convert_field(self, value, conversion):
        return helper(super().convert_field(value, conversion))


def replaced(match):
    return helper(match.group().upper())


def target():
    value = Formats(3)
    f"{value:>4} {value!s} {value!r} {Formats(value):>{helper(5)}}"
    "{:>3} {!r:>6}".format(value, value), "%s %r" % (value, value), format(value, "x^5")
    "{missing} {a}".format_map(Defaults(a=1))
    "banana".translate(Table()), str.join("-", (str(Formats(n)) for n in range(3)))
    re.sub("[a-c]", replaced, "abcdef"), re.compile("(?P<x>.)").sub(lambda m: helper(m["x"]), "xyz")
    re.Scanner([("[0-9]+", lambda s, t: helper(int(t))), (" +", None)]).scan("1 22 333")
    Percent("%a and %b").substitute(Defaults(a=1)), Own().format("{0} {x!r:>5}", 1, x=Formats(2))
    ascii(value), print(value, file=Sink()), str(KeyError(value))


class Sink:
    def write(self, text):
        return len(helper(text))


def run():
    target()
    str(Formats(1))
    target()


TARGETS = [target]
