# SPDX-License-Identifier: MIT
"""An operating system's scheduler in small: tasks with states, a ready queue, messages between them. Method calls and attributes."""

from __future__ import annotations

from collections import deque


class Message:
    __slots__ = ("hops", "payload")

    def __init__(self, payload: int) -> None:
        self.payload = payload
        self.hops = 0


class Task:
    def __init__(self, name: int, kernel: Kernel) -> None:
        self.name = name
        self.kernel = kernel
        self.inbox: deque[Message] = deque()
        self.handled = 0

    @property
    def ready(self) -> bool:
        return bool(self.inbox)

    def step(self) -> None:
        self.handle(self.inbox.popleft())

    def handle(self, message: Message) -> None:
        self.handled += 1
        self.forward(message)

    def forward(self, message: Message) -> None:
        message.hops += 1
        if message.hops < 40:
            self.kernel.send(self.target(message), message)

    def target(self, message: Message) -> int:
        return (self.name + message.payload) % len(self.kernel.tasks)


class Device(Task):
    """Holds every third message back once."""

    def handle(self, message: Message) -> None:
        if message.payload % 3 == 0 and message.hops % 2:
            message.payload += 1
            self.kernel.send(self.name, message)
        else:
            super().handle(message)


class Kernel:
    def __init__(self, tasks: int) -> None:
        self.tasks = [(Device if number % 4 == 0 else Task)(number, self) for number in range(tasks)]
        self.queue: deque[Task] = deque()

    def send(self, name: int, message: Message) -> None:
        task = self.tasks[name]
        if not task.ready:
            self.queue.append(task)
        task.inbox.append(message)

    def run(self) -> int:
        while self.queue:
            task = self.queue.popleft()
            task.step()
            if task.ready:
                self.queue.append(task)
        return sum(task.handled for task in self.tasks)


def run(scale: int) -> int:
    total = 0
    for _ in range(26 * scale):
        kernel = Kernel(32)
        for number in range(500):
            kernel.send(number % 32, Message(number % 7 + 1))
        total += kernel.run()
    return total
