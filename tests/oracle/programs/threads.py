# SPDX-License-Identifier: MIT
"""Threads started inside and outside of targets; what they run is not beneath who started them."""

import threading


def helper(value):
    return value


def work(count):
    for number in range(count):
        helper(number)


def target(count):
    work(count)
    thread = threading.Thread(target=work, args=(count,))
    thread.start()
    thread.join()


def in_thread(done):
    target(2)
    helper("thread")
    local_generator = values()
    next(local_generator)
    done.append(local_generator)


def values():
    yield helper(1)
    yield helper(2)
    yield helper(3)


def fails():
    try:
        target(1)
        raise_through()
    except ValueError:
        helper("failed")


def raise_through():
    raise ValueError


def consume(generator):
    return list(generator)


def run():
    done = []
    for body, arguments in ((in_thread, (done,)), (fails, ()), (work, (3,))):
        thread = threading.Thread(target=body, args=arguments)
        thread.start()
        thread.join()
    consume(done[0])
    target(3)


TARGETS = [target, consume]
