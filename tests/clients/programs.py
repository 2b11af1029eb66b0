# SPDX-License-Identifier: MIT
"""Programs whose profiles the clients are shown, and how each is profiled. Every one burns some tenths of a second."""

from __future__ import annotations

BURN = """
import time


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(300))
"""

PLAIN = (
    BURN
    + """
class Shop:
    def order(self):
        burn(0.1)
        return [self.price(n) for n in range(20)]

    def price(self, n):
        burn(0.002)
        return n

    @staticmethod
    def close():
        burn(0.05)


shop = Shop()
shop.order()
(lambda: burn(0.05))()
Shop.close()
"""
)

RECURSIVE = (
    BURN
    + """
def walk(depth):
    burn(0.004)
    if depth:
        walk(depth - 1)
        walk(depth - 2 if depth > 1 else 0)


walk(6)
burn(0.05)
"""
)

MUTUAL = (
    BURN
    + """
def even(n):
    burn(0.01)
    return True if n == 0 else odd(n - 1)


def odd(n):
    burn(0.02)
    return False if n == 0 else even(n - 1)


def chain(n):
    return even(n)


chain(9)
even(4)
"""
)

HOSTILE = (
    BURN
    + r"""
NAMES = ["a b", "semi;colon", "\u00e9t\u00e9 \U0001f389", "new\nline", "tab\there", "</script>", "fn=x", "%s%d", "l\udc80ne", "node", "(12)",
         "back\\slash", 'quo"te', "[x]", "a:b:c", "# f", "f 42", "<lambda>", "line\u2028separator", "f@plt", "& < >", "bell\x07", "  two  spaces"]


def template():
    burn(0.012)


def named(name):
    code = template.__code__.replace(co_name=name, co_qualname=name)
    return type(template)(code, globals(), name)


for function in [named(name) for name in NAMES]:
    function()
"""
)

SAME_NAMES = """
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from first import work as first_work, Thing as First
from second import work as second_work, Thing as Second

first_work(0.05)
second_work(0.1)
First().run(0.06)
Second().run(0.03)
"""
SAME_NAMES_MODULE = (
    BURN
    + """
def work(seconds):
    burn(seconds)


class Thing:
    def run(self, seconds):
        burn(seconds)
"""
)

THREADS = (
    """
import threading
"""
    + BURN
    + """
def task(seconds):
    step(seconds / 2)
    step(seconds / 2)


def step(seconds):
    burn(seconds)


threads = [threading.Thread(target=task, args=(0.1 * n,), name=f"worker {n}") for n in (1, 2)]
for thread in threads:
    thread.start()
task(0.1)
for thread in threads:
    thread.join()
"""
)

MIXED = (
    BURN
    + """
def shared(seconds):
    burn(seconds)
    small()


def small():
    pass


def target():
    for _ in range(5):
        shared(0.02)


def elsewhere():
    for _ in range(5):
        shared(0.02)


for _ in range(2):
    target()
    elsewhere()
"""
)

# name -> (files, options of `hybridprof run`). The file to run is program.py.
PROGRAMS: dict[str, tuple[dict[str, str], list[str]]] = {
    "plain": ({"program.py": PLAIN}, []),
    "recursive": ({"program.py": RECURSIVE}, ["--deep", "__main__:walk"]),
    "mutual": ({"program.py": MUTUAL}, ["--deep", "__main__:chain"]),
    "hostile": ({"program.py": HOSTILE}, ["--deep", "*"]),
    "same-names": (
        {"program.py": SAME_NAMES, "first/__init__.py": SAME_NAMES_MODULE, "second/__init__.py": SAME_NAMES_MODULE},
        ["--deep", "first:Thing.run"],
    ),
    "threads": ({"program.py": THREADS}, ["--clock", "cpu"]),
    "mixed": ({"program.py": MIXED}, ["--deep", "__main__:target"]),
}
