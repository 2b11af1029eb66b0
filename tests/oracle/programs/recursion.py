# SPDX-License-Identifier: MIT
"""Direct and mutual recursion, deep and wide."""


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


def ackermann(m, n):
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


def leaf():
    return 1


def tree(depth):
    return leaf() if depth == 0 else tree(depth - 1) + tree(depth - 1) + leaf()


def target():
    factorial(200)
    is_even(101)
    ackermann(2, 3)
    tree(6)


def run():
    target()
    leaf()
    target()


TARGETS = [target]
