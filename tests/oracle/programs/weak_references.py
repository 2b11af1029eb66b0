# SPDX-License-Identifier: MIT
"""Callbacks of weak references, weak containers and finalize, called wherever their object dies."""

import gc
import weakref


def helper(value):
    return value


class Thing:
    def __init__(self, name):
        self.name = name

    def __hash__(self):
        return hash(helper(self.name))

    def __eq__(self, other):
        return self is other


def gone(reference):
    helper("gone")


def returns():
    thing = Thing("local")
    reference = weakref.ref(thing, gone)
    return reference


def replaces():
    thing = Thing("first")
    references = [weakref.ref(thing, gone), weakref.ref(thing, lambda r: helper("lambda")), weakref.proxy(thing, gone)]
    thing = Thing("second")
    return helper(len(references))


def containers():
    values, keys, things = weakref.WeakValueDictionary(), weakref.WeakKeyDictionary(), weakref.WeakSet()
    kept = [Thing(n) for n in range(3)]
    for n, thing in enumerate(kept):
        values[n] = keys[thing] = thing if n == 5 else kept[n]
        things.add(thing)
    keys.clear()
    del thing
    kept.pop()
    return helper(len(values)) + helper(len(things))


def finalizes():
    thing = Thing("finalized")
    finalizer = weakref.finalize(thing, helper, "finalize")
    finalizer.atexit = False
    del thing
    return finalizer.alive


def cycles():
    a, b = Thing("a"), Thing("b")
    a.other, b.other = b, a
    reference = weakref.ref(a, gone)
    del a, b
    gc.collect()
    return reference


def methods():
    thing = Thing("method")
    method = weakref.WeakMethod(thing.__hash__, gone)
    method()()
    del thing


def target():
    returns()
    replaces()
    containers()
    finalizes()
    cycles()
    methods()


def run():
    target()
    returns()
    target()


TARGETS = [target]
