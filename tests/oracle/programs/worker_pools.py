# SPDX-License-Identifier: MIT
"""A pool that was there before the target, one that the target makes, and targets that run in their workers."""

import concurrent.futures
import queue
import threading


def helper(value):
    return value


def target(value):
    return sum(helper(n) for n in range(value))


def outer(pool):
    """Beneath it is what it calls, not what the workers do."""
    return pool.submit(target, 3).result()


def own_pool():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(target, n) for n in (1, 2)]
        return [future.result() for future in futures]


def fails(value):
    target(value)
    raise ValueError(helper(value))


def hand_made():
    work = queue.SimpleQueue()

    def worker():
        while (item := work.get()) is not None:
            target(item)

    thread = threading.Thread(target=worker)
    thread.start()
    for item in (2, 3, None):
        work.put(item)
    thread.join()


def run():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        outer(pool)
        own_pool()
        hand_made()
        try:
            pool.submit(fails, 2).result()
        except ValueError:
            target(2)
        outer(pool)


TARGETS = [target, outer]
