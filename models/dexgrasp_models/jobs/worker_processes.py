"""Processes that work for another one and never outlive it.

Imports nothing that takes time: workers begin with this module.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.resource_tracker import ensure_running
from typing import Any, TypeVar

from dexgrasp_models.jobs.parent_process import end_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")

KILLED = (
    "a process was killed, as happens when memory runs out; what is finished is kept: run again, "
    "with fewer workers"
)


def outcomes(
    work: Callable[[Job], Result], jobs: Iterable[Job], workers: int | None = None
) -> Generator[tuple[Job, Result], None, None]:
    """What work makes of jobs, each with its job, as they finish.

    A job is taken from `jobs` when a worker is free for it. To stop, close the generator (or leave
    the loop over it by an exception): what runs is dropped.

    Args:
        work: importable from a module, as are the jobs' types.
        jobs: any number.
        workers: processes; one is this process itself; by default one a core.

    Raises:
        ChildProcessError: a process was killed.
        Exception: what `work` raises.
    """
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        yield from ((job, work(job)) for job in jobs)
        return
    running: dict[Future[Result], Job] = {}
    with WorkerPool(workers) as pool:
        for job in jobs:
            running[pool.submit(work, job)] = job
            if len(running) == workers:
                yield from _finished(running)
        while running:
            yield from _finished(running)


def until(deadline: float | None, jobs: Iterable[Job]) -> Iterator[Job]:
    """Jobs, none any more after a deadline (`time.monotonic`), if there is one."""
    for job in jobs:
        if deadline is not None and time.monotonic() >= deadline:
            return
        yield job


def _finished(running: dict[Future[Result], Job]) -> Iterator[tuple[Job, Result]]:
    """Waits for some that run and takes them out."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


class WorkerPool(ProcessPoolExecutor):
    """A pool whose processes end when its `with` block does, finished or not.

    They also end when this process is killed, and leave Ctrl-C to it: a terminal's goes to all
    processes, and this one's end is theirs. Each works on one core.

    Args:
        workers: how many; by default one a core.

    Raises:
        ChildProcessError: on leaving the block, if one of the processes was killed.
    """

    def __init__(self, workers: int | None = None) -> None:
        # Spawned: a fork would copy PyTorch's threads' locks as they are at that moment.
        spawned = multiprocessing.get_context("spawn")
        super().__init__(workers or os.cpu_count(), spawned, initializer=_begin)

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """As of the base; this is where processes are started."""
        with _interrupts_held():
            return super().submit(fn, *args, **kwargs)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        processes, manager = list(self._processes.values()), self._executor_manager_thread
        self.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        if manager is not None:
            # It would close its pipe while the interpreter's end writes to it.
            manager.join()  # type: ignore[attr-defined]  # it is a thread
        if isinstance(error, BrokenProcessPool):
            raise ChildProcessError(KILLED) from error


def _begin() -> None:
    """In each worker, before anything is loaded that asks how many threads it may start."""
    os.environ["OMP_NUM_THREADS"] = "1"
    end_with_parent()  # workers would wait for their next job forever


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes that are spawned meanwhile take no notice of Ctrl-C; this one does, afterwards."""
    ensure_running()  # multiprocessing's own helper, whose start would let interrupts through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
