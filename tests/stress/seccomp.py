# SPDX-License-Identifier: MIT
"""A kernel that refuses some system calls, for this process from now on: what a container's policy does."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

NUMBERS = {
    "x86_64": {
        "open": 2,
        "openat": 257,
        "clone": 56,
        "clock_gettime": 228,  # for the CPU clocks of threads and processes; programs read the others without a call
        "sched_setaffinity": 203,
        "sched_getaffinity": 204,
        "process_vm_readv": 310,
        "sched_setattr": 314,
        "seccomp": 317,
        "clone3": 435,
    },
    "aarch64": {
        "openat": 56,
        "clone": 220,
        "clock_gettime": 113,
        "sched_setaffinity": 122,
        "sched_getaffinity": 123,
        "process_vm_readv": 270,
        "sched_setattr": 274,
        "seccomp": 277,
        "clone3": 435,
    },
}
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
PR_SET_NO_NEW_PRIVS, SET_MODE_FILTER, EVERY_THREAD = 38, 1, 1


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _install(names: list[str], verdict: int) -> None:
    numbers = NUMBERS[platform.machine()]
    names = [name for name in names if name in numbers]
    program = [(LOAD_WORD, 0, 0, 0)]
    program += [(JUMP_IF_EQUAL, len(names) - at, 0, numbers[name]) for at, name in enumerate(names)]
    program += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, verdict)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    whole = _Filter(len(program), ctypes.addressof(code))
    if libc.syscall(numbers["seccomp"], SET_MODE_FILTER, EVERY_THREAD, ctypes.byref(whole)) != 0:
        raise OSError(ctypes.get_errno(), f"no seccomp filter can be installed: {os.strerror(ctypes.get_errno())}")


def refuse(names: list[str], error: int) -> None:
    """In every thread of this process, and for ever: `error` is what the calls fail with."""
    _install(names, REFUSE | error)


def kill(names: list[str]) -> None:
    """The same, and the calls end the process."""
    _install(names, KILL)
