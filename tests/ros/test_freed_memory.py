"""Memory that a job has freed goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

KEPT = """
import sys
import psutil
from dexgrasp_ros.worker import Worker
process, between = psutil.Process(), []
del (first := [bytearray(16 << 20)])[:]  # from it glibc learns to keep blocks of this size
before = process.memory_info().rss
def job():
    blocks = []
    for _ in range(50):
        blocks.append(bytearray(b"1") * (1 << 20))
        between.append(bytearray(2000))
if sys.argv[1] == "worker":
    worker = Worker("job")
    worker.start(job)
    worker.start(lambda: None).wait()  # once the first is done with
else:
    job()
print((process.memory_info().rss - before) >> 20)
"""


def kept(by: str) -> int:
    """MB that a process still has of 50 that it freed."""
    found = subprocess.run(
        [sys.executable, "-c", KEPT, by], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc's allocator")
def test_a_worker_gives_back_what_its_jobs_have_freed():
    assert kept("worker") < 5
    assert kept("itself") > 25
