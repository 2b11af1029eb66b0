# SPDX-License-Identifier: MIT
"""fork beneath a target: what the child calls is the child's."""

import os
import warnings


def helper(value):
    return value


def child(number):
    try:
        for n in range(number):
            helper(n)
    finally:
        os._exit(number)


def fork(number):
    pid = os.fork()
    if pid == 0:
        child(number)
    _pid, status = os.waitpid(pid, 0)
    return helper(os.waitstatus_to_exitcode(status))


def target():
    for number in range(3):
        fork(number)
    return helper("done")


def run():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        target()
        fork(5)
        target()


TARGETS = [target]
