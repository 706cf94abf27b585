"""Threads that carry out the requests of a host side by side: as many as there are at one time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

MOST = 64
Task = Callable[[], None]


class Crew:
    """`busy` tasks are waiting or being done. A thread stays for the next task."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self.busy = 0

    def give(self, task: Task) -> None:
        with self._lock:
            self.busy += 1
            more = self.busy > self._threads and self._threads < MOST
            self._threads += more
        self._tasks.put(task)
        if more:
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            finally:
                with self._lock:
                    self.busy -= 1
