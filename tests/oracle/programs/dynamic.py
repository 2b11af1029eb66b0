# SPDX-License-Identifier: MIT
"""exec, eval, compile, code that dies at once, import of a new module, namedtuple."""

import collections
import gc
import importlib.util
import sys
import types

SOURCE = """
def made(value):
    return inner(value)

def inner(value):
    return value

class Body:
    attribute = made(1)

made(2)
"""


def helper(value):
    return value


def run_source():
    namespace = {}
    exec(SOURCE, namespace)
    return namespace["made"](3)


def churn():
    for number in range(20):
        namespace = {"helper": helper}
        exec(f"def f{number % 3}():\n    return helper({number})\nf{number % 3}()", namespace)
        del namespace
    gc.collect()


def evaluate():
    return eval("[helper(x) for x in range(3)] and (lambda: helper(4))()", {"helper": helper})


def import_module():
    module = types.ModuleType("made_module")
    sys.modules["made_module"] = module
    try:
        exec(compile("def f():\n    return 1\nx = f()", "made_module.py", "exec"), module.__dict__)
        import made_module

        return made_module.f()
    finally:
        del sys.modules["made_module"]


def find():
    return importlib.util.find_spec("no_such_module_at_all")


def tuples():
    Pair = collections.namedtuple("Pair", "a b")
    return Pair(1, 2)._replace(a=3)._asdict()


def target():
    run_source()
    churn()
    evaluate()
    import_module()
    tuples()


def run():
    target()
    churn()
    target()


TARGETS = [target]
