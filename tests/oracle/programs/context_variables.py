# SPDX-License-Identifier: MIT
"""Code that runs in other contexts: Context.run, copies, decimal's, generators that meet them."""

import contextvars
import decimal
import sys
import threading

variable = contextvars.ContextVar("variable", default=0)


def helper(value):
    return value


def sets(value):
    token = variable.set(helper(value))
    try:
        return nested(value)
    finally:
        variable.reset(token)


def nested(depth):
    if depth == 0:
        return helper(variable.get())
    return contextvars.copy_context().run(sets, depth - 1)


def generator():
    for number in range(3):
        yield contextvars.copy_context().run(helper, number)


def in_thread(context):
    context.run(sets, 1)


def threads():
    thread = threading.Thread(target=in_thread, args=(contextvars.copy_context(),))
    thread.start()
    thread.join()


def decimals():
    with decimal.localcontext() as context:
        context.prec = helper(5)
        return decimal.Decimal(1) / decimal.Decimal(3)


def hooks():
    before = sys.displayhook
    sys.displayhook = helper
    try:
        exec(compile("1 + 1", "<hook>", "single"))
    finally:
        sys.displayhook = before


def target():
    contextvars.Context().run(sets, 3)
    list(generator())
    decimals()
    hooks()


def run():
    target()
    threads()
    target()


TARGETS = [target]
