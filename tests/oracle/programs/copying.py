# SPDX-License-Identifier: MIT
"""copy and pickle, which call back into classes from C and from Python."""

import copy
import io
import pickle
import sys
import types


def helper(value):
    return value


class Plain:
    def __init__(self, value):
        self.value = helper(value)

    def __eq__(self, other):
        return self.value == other.value


class State(Plain):
    def __getstate__(self):
        return {"value": helper(self.value)}

    def __setstate__(self, state):
        self.value = helper(state["value"])


class Reduces(Plain):
    def __reduce__(self):
        return (rebuild, (helper(self.value),))


class Arguments(Plain):
    def __new__(cls, value):
        helper(value)
        return super().__new__(cls)

    def __getnewargs__(self):
        return (self.value,)


class Copies(Plain):
    def __copy__(self):
        return Copies(self.value)

    def __deepcopy__(self, memo):
        return Copies(copy.deepcopy(self.value, memo))


def rebuild(value):
    return Reduces(value)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return helper("zero") if type(value) is int and value == 0 else None

    def reducer_override(self, value):
        return NotImplemented


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        return globals().get(name) or super().find_class(module, helper(name))

    def persistent_load(self, name):
        return helper(0)


def through_pickle(value):
    file = io.BytesIO()
    Pickler(file, protocol=4).dump(value)
    file.seek(0)
    return Unpickler(file).load()


def target():
    for cls in (Plain, State, Reduces, Arguments, Copies):
        value = cls([1, 2])
        copy.copy(value)
        copy.deepcopy([value, value])
        through_pickle({"value": value, "zero": 0})


def run():
    target()
    copy.deepcopy(Copies(1))
    target()


TARGETS = [target]
sys.modules[__name__] = types.SimpleNamespace(**globals())  # where pickle looks for the classes
