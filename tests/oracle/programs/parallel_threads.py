# SPDX-License-Identifier: MIT
"""Several threads at once, in and out of targets, handing over at locks in a fixed order."""

import threading


def helper(value):
    return value


def target(turn, next_turn, rounds):
    for number in range(rounds):
        turn.acquire()
        helper(number)
        nested(number)
        next_turn.release()


def bystander(turn, next_turn, rounds):
    for number in range(rounds):
        turn.acquire()
        helper(number)
        nested(number)
        next_turn.release()


def nested(number):
    return helper(number) if number % 2 else None


def run():
    locks = [threading.Lock() for _ in range(3)]
    for lock in locks:
        lock.acquire()
    bodies = [target, bystander, target]
    threads = [threading.Thread(target=body, args=(locks[index], locks[(index + 1) % 3], 20)) for index, body in enumerate(bodies)]
    for thread in threads:
        thread.start()
    locks[0].release()
    for thread in threads:
        thread.join()


TARGETS = [target]
