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
    "import threading\n"
    + BURN
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
exec(compile("def far():\n    burn(0.02)\n\n\nfar()\n", "/srv/odd; na\u00efve \U0001f389/x\ny;z.py", "exec"), {"burn": burn, "__name__": "far"})
thread = threading.Thread(target=named("in thread"), name="</script> ; \udc80\n<b>")
thread.start()
thread.join()
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

FIFTY_THREADS = (
    """
import threading
"""
    + BURN
    + """
def task(number):
    odd() if number % 2 else even()


def odd():
    burn(0.03)


def even():
    burn(0.02)


threads = [threading.Thread(target=task, args=(number,), name=f"worker {number}") for number in range(50)]
burn(0.1)  # a thread without a sample would not be there in formats that hold samples alone
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
)

GENERATORS = (
    BURN
    + """
def numbers(count):
    for number in range(count):
        burn(0.003)
        yield number


def doubled(source):
    for number in source:
        burn(0.002)
        yield 2 * number


def delegating(count):
    burn(0.01)
    yield from numbers(count)
    burn(0.01)


async def fetch(number):
    burn(0.003)
    return number


async def gather(count):
    return [await fetch(number) for number in range(count)]


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value


def consume():
    left_early = numbers(5)
    next(left_early)
    left_early.close()
    return sum(doubled(delegating(20))) + len(drive(gather(10)))


consume()
drive(gather(10))
max(number for number in doubled(numbers(20)))
"""
)

# Recorded without the sampler: all its time and calls are exact, and no function is ever entered again.
EXACT = (
    BURN
    + """
class Basket:
    def __init__(self, count):
        self.items = list(range(count))

    def add(self, item):
        burn(0.001)
        self.items.append(item)

    def prices(self):
        for item in self.items:
            yield price(item)


def price(item):
    burn(0.0005)
    return rounded(item / 3)


def rounded(value):
    return round(value, 1)


def fill(basket, count):
    for item in range(count):
        basket.add(item)
        price(item)
    return basket


def checkout(counts):
    return [sum(fill(Basket(count), count).prices()) for count in counts]


checkout([3, 17, 40])
checkout([2])
price(5)
(lambda: rounded(0.5))()
"""
)

# Either calls the other, in different stacks: a cycle of the call graph without any recursion.
CROSSED = (
    BURN
    + """
def left(deeper):
    burn(0.03)
    if deeper:
        right(False)


def right(deeper):
    burn(0.05)
    leaf()
    if deeper:
        left(False)


def leaf():
    burn(0.01)


for _ in range(3):
    left(True)
    right(True)
burn(0.05)
"""
)

MANY_FUNCTIONS = """
def template():
    for _ in range(500):
        pass


def group_template(functions):
    for function in functions:
        function()


def named(function, name):
    return type(function)(function.__code__.replace(co_name=name, co_qualname=name), globals(), name)


functions = [named(template, f"function_{number}") for number in range(20_000)]
for number in range(100):
    named(group_template, f"group_{number}")(functions[200 * number : 200 * (number + 1)])
"""

PHASES = (
    """
import threading
"""
    + BURN
    + """
def first(seconds):
    burn(seconds)


def second(seconds):
    burn(seconds)


def third(seconds):
    burn(seconds)


def forwards():
    first(0.08)
    second(0.06)
    third(0.1)


def backwards():
    third(0.04)
    second(0.05)
    first(0.07)


worker = threading.Thread(target=backwards, name="worker")
worker.start()
forwards()
worker.join()
"""
)
PHASES_RUN = {"MainThread": ["first", "second", "third"], "worker": ["third", "second", "first"]}

Programs = dict[str, tuple[dict[str, str], list[str]]]

# name -> (files, options of `hybridprof run`). The file to run is program.py.
PROGRAMS: Programs = {
    "plain": ({"program.py": PLAIN}, []),
    "recursive": ({"program.py": RECURSIVE}, ["--deep", "__main__:walk"]),
    "mutual": ({"program.py": MUTUAL}, ["--deep", "__main__:chain"]),
    "hostile": ({"program.py": HOSTILE}, ["--deep", "*"]),
    "same-names": (
        {"program.py": SAME_NAMES, "first/__init__.py": SAME_NAMES_MODULE, "second/__init__.py": SAME_NAMES_MODULE},
        ["--deep", "first:Thing.run"],
    ),
    "threads": ({"program.py": THREADS}, ["--clock", "cpu"]),
    "fifty-threads": ({"program.py": FIFTY_THREADS}, ["--clock", "cpu"]),
    "generators": ({"program.py": GENERATORS}, ["--deep", "__main__:consume"]),
    "exact": ({"program.py": EXACT}, ["-r", "0", "--deep", "*"]),
    "crossed": ({"program.py": CROSSED}, ["--deep", "__main__:left"]),
    "many-functions": ({"program.py": MANY_FUNCTIONS}, ["--deep", "*"]),
    "mixed": ({"program.py": MIXED}, ["--deep", "__main__:target"]),
}

# The same for profiles with a timeline. What is traced has no moments.
TIMELINES: Programs = {
    "sampled": ({"program.py": PHASES}, ["--timeline"]),
    "mixed": ({"program.py": PHASES}, ["--timeline", "--deep", "__main__:second"]),
}
