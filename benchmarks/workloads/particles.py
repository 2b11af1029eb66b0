# SPDX-License-Identifier: MIT
"""Particles in a box with vectors as objects: operators, properties, small allocations."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(slots=True)
class Vector:
    x: float
    y: float

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.x + other.x, self.y + other.y)

    def __mul__(self, factor: float) -> Vector:
        return Vector(self.x * factor, self.y * factor)

    @property
    def square(self) -> float:
        return self.x * self.x + self.y * self.y


class Particle:
    def __init__(self, place: Vector, speed: Vector) -> None:
        self.place = place
        self.speed = speed

    def move(self, seconds: float) -> None:
        self.place = self.place + self.speed * seconds
        self.bounce()

    def bounce(self) -> None:
        if not 0.0 <= self.place.x <= 1.0:
            self.speed = Vector(-self.speed.x, self.speed.y)
        if not 0.0 <= self.place.y <= 1.0:
            self.speed = Vector(self.speed.x, -self.speed.y)

    @property
    def energy(self) -> float:
        return self.speed.square / 2


class Box:
    def __init__(self, count: int) -> None:
        random = Random(7)
        self.particles = [
            Particle(Vector(random.random(), random.random()), Vector(random.uniform(-1, 1), random.uniform(-1, 1))) for _ in range(count)
        ]

    def step(self) -> None:
        for particle in self.particles:
            particle.move(0.01)

    def energy(self) -> float:
        return sum(particle.energy for particle in self.particles)


def run(scale: int) -> int:
    box = Box(200)
    energy = 0.0
    for _ in range(2400 * scale):
        box.step()
        energy += box.energy()
    return int(energy)
