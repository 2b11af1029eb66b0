# SPDX-License-Identifier: MIT
"""Targets beneath targets, recursive targets, targets reached both from inside and from outside."""


def helper(value):
    return value


def inner_target(value):
    return helper(value)


def outer_target(depth):
    inner_target(depth)
    if depth:
        outer_target(depth - 1)
    return shared(depth)


def shared(value):
    return helper(value)


class Service:
    def handle(self, request):
        return self.validate(request) and shared(request)

    def validate(self, request):
        return helper(request)

    @classmethod
    def create(cls):
        helper("create")
        return cls()

    @staticmethod
    def static(value):
        return helper(value)


def many_arguments(a, /, b, *rest, c=1, **others):
    return helper((a, b, rest, c, others))


def run():
    outer_target(3)
    inner_target(1)
    shared(2)
    outer_target(0)
    service = Service.create()
    service.handle(1)
    Service.static(2)
    shared(3)
    many_arguments(1, 2, 3, c=4, d=5)
    many_arguments(*(1, 2), **{"c": 3})


TARGETS = [inner_target, outer_target, Service.handle, Service.create, Service.static, many_arguments]
