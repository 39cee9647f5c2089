"""Processes that work for another one and never outlive it.

Imports nothing that takes time: workers begin with this module.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.resource_tracker import ensure_running
from threading import Thread


def end_with_parent() -> None:
    """End this process as soon as its parent has ended; a pool's initializer.

    Otherwise the workers of a pool whose process is killed wait for their next job forever.
    """
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    Thread(target=follow, daemon=True).start()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Processes that are spawned meanwhile take no notice of Ctrl-C; this one does, afterwards.

    A terminal's Ctrl-C goes to all processes. Those that work for another one leave it to that
    one, which ends them.
    """
    ensure_running()  # multiprocessing's own helper, whose start would let interrupts through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
