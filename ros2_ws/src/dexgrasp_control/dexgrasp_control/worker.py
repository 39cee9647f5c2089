"""The thread that grasps are carried out in."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Worker:
    """One thread for all jobs, one after the other.

    A new thread for each grasp may get an arena of its own from the C library's allocator, and what
    planning has taken there stays with it: the process would grow from grasp to grasp.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="grasps", daemon=True).start()

    def start(self, job: Callable[[], None]) -> threading.Event:
        """Does a job, which must not raise, after those before; the event tells that it is done."""
        done = threading.Event()

        def do() -> None:
            try:
                job()
            finally:
                done.set()

        self._jobs.put(do)
        return done

    def end(self) -> None:
        """Ends the thread after the jobs that were started."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
