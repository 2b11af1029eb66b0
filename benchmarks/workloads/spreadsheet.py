# SPDX-License-Identifier: MIT
"""A sheet of cells that depend on each other: a change marks what depends on it, a read computes again. Graph walking, closures."""

from __future__ import annotations

from collections.abc import Callable


class Cell:
    def __init__(self, value: float = 0.0) -> None:
        self.cached = value
        self.dirty = False
        self.formula: Callable[[list[Cell]], float] | None = None
        self.inputs: list[Cell] = []
        self.readers: list[Cell] = []

    def define(self, formula: Callable[[list[Cell]], float], inputs: list[Cell]) -> None:
        self.formula = formula
        self.inputs = inputs
        for cell in inputs:
            cell.readers.append(self)
        self.dirty = True

    def set(self, value: float) -> None:
        self.cached = value
        for cell in self.readers:
            cell.mark()

    def mark(self) -> None:
        if not self.dirty:
            self.dirty = True
            for cell in self.readers:
                cell.mark()

    def value(self) -> float:
        if self.dirty and self.formula is not None:
            self.cached = self.formula(self.inputs)
            self.dirty = False
        return self.cached


def total(cells: list[Cell]) -> float:
    return sum(cell.value() for cell in cells)


def mean(cells: list[Cell]) -> float:
    return total(cells) / len(cells)


def build(rows: int, columns: int) -> list[list[Cell]]:
    sheet = [[Cell(float(column)) for column in range(columns)]]
    for _ in range(1, rows):
        above = sheet[-1]
        line = [Cell() for _ in range(columns)]
        for column, cell in enumerate(line):
            cell.define(mean if column % 2 else total, [above[column], above[column - 1], above[(column + 1) % columns]])
        sheet.append(line)
    return sheet


def run(scale: int) -> int:
    sheet = build(24, 24)
    checksum = 0.0
    for change in range(1100 * scale):
        sheet[0][change % 24].set(change % 10)
        checksum = sheet[-1][change % 24].value()
        for cell in sheet[-1]:
            cell.value()
    return int(checksum) % 1_000_003
