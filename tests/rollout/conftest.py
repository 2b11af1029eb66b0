# SPDX-License-Identifier: MIT
"""A session for each test of an integration that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import hybridprof


@pytest.fixture
def session() -> Iterator[None]:
    hybridprof.stop()
    hybridprof.start(rate=100)
    yield
    hybridprof.stop()
