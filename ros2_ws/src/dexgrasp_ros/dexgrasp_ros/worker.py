"""A thread for jobs that take their time, in a node whose callbacks must not wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from dexgrasp_ros.priority import stand_back


class Worker:
    """One thread for all jobs, one after the other; there is none before the first.

    A new thread for each job may get an arena of its own from the C library's allocator, and what
    the job has taken there stays with it: the process would grow from job to job.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, job: Callable[[], None]) -> threading.Event:
        """Does a job, which must not raise, after those before; the event tells that it is done."""
        done = threading.Event()

        def do() -> None:
            try:
                job()
            finally:
                done.set()

        self._jobs.put(do)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        return done

    def end(self) -> None:
        """Ends the thread after the jobs that were started."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            stand_back()  # callbacks have precedence, where the node has it
            job()
            del job  # and what it holds
