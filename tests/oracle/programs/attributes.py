# SPDX-License-Identifier: MIT
"""Attribute access that runs Python code: properties, descriptors, __getattr__ and its kin, slots, super, modules' __getattr__."""

import sys
import types


def helper(value):
    return value


class Typed:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner):
        return self if instance is None else helper(getattr(instance, self.name, None))

    def __set__(self, instance, value):
        setattr(instance, self.name, helper(value))

    def __delete__(self, instance):
        helper("delete")
        delattr(instance, self.name)


class Lazy:
    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner):
        value = self.function(instance)
        instance.__dict__["lazy"] = value
        return value


class Base:
    typed = Typed()

    def __init__(self):
        self.typed = 1

    @property
    def computed(self):
        return helper(self.typed)

    @computed.setter
    def computed(self, value):
        self.typed = value

    @computed.deleter
    def computed(self):
        del self.typed

    @Lazy
    def lazy(self):
        return helper("lazy")

    @classmethod
    def make(cls):
        return cls()

    @staticmethod
    def plain():
        return helper("plain")


class Derived(Base):
    def __init__(self):
        super().__init__()

    def __getattr__(self, name):
        if name.startswith("no"):
            raise AttributeError(helper(name))
        return helper(name)

    @property
    def computed(self):
        return helper(super().computed)

    @property
    def broken(self):
        raise AttributeError(helper("broken"))


class Guarded:
    __slots__ = ("value",)

    def __getattribute__(self, name):
        helper(name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        object.__setattr__(self, name, helper(value))

    def __delattr__(self, name):
        helper(name)
        object.__delattr__(self, name)

    def __dir__(self):
        return [helper("value")]


def module():
    made = types.ModuleType("made_for_attributes")
    made.helper = helper
    exec("def __getattr__(name):\n    return helper(name)", made.__dict__)
    sys.modules[made.__name__] = made
    try:
        from made_for_attributes import anything

        return anything, made.something
    finally:
        del sys.modules[made.__name__]


def target():
    base = Base.make()
    base.computed = base.computed + 1
    base.lazy, base.lazy, base.plain(), Base.typed
    del base.computed
    derived = Derived.make()
    derived.computed, derived.anything, derived.broken
    getattr(derived, "nothing", None), hasattr(derived, "no")
    guarded = Guarded()
    guarded.value = 1
    guarded.value += 1
    dir(guarded)
    del guarded.value
    return module()


def run():
    target()
    Derived().computed
    target()


TARGETS = [target]
