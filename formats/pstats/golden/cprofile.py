# SPDX-License-Identifier: MIT
"""Writes cprofile-VERSION.prof with the interpreter that runs this: what cProfile itself writes, for the reader's test."""

import cProfile
import sys

SOURCE = """
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def numbers(count):
    for i in range(count):
        yield i * i

def main():
    total = fib(10)
    for _ in range(3):
        total += sum([1, 2, 3])
    for i in numbers(10):
        total += i
    return total
"""

# Compiled under a name of its own, so that the files hold no path of the machine that made them.
names = {}
exec(compile(SOURCE, "/srv/app/fib.py", "exec"), names)
profile = cProfile.Profile()
profile.runcall(names["main"])
profile.dump_stats("cprofile-%d.%d.prof" % sys.version_info[:2])
