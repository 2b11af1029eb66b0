# SPDX-License-Identifier: MIT
"""User instructions of the calling thread, as the processor counts them: no neighbour and no clock speed changes them. None where the system gives no counter."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_SYSCALLS = {"x86_64": 298, "aarch64": 241}  # perf_event_open
_HARDWARE, _INSTRUCTIONS = 0, 1
_SIZE = 64  # of the structure's first version
_EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR = 1 << 5, 1 << 6


class Instructions:
    def __init__(self) -> None:
        attributes = struct.pack("<IIQQQQQ", _HARDWARE, _SIZE, _INSTRUCTIONS, 0, 0, 0, _EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR)
        buffer = ctypes.create_string_buffer(attributes, _SIZE)
        number = _SYSCALLS.get(platform.machine())
        self._file = -1 if number is None else ctypes.CDLL(None, use_errno=True).syscall(number, buffer, 0, -1, -1, 0)

    def read(self) -> int | None:
        return struct.unpack("<Q", os.read(self._file, 8))[0] if self._file >= 0 else None
