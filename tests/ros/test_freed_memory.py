"""Large blocks go back to the system where a process asks for it."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

KEPT = """
import sys
import psutil
if sys.argv[1] == "returns":
    from dexgrasp_ros.freed_memory import return_large_blocks
    assert return_large_blocks()
process = psutil.Process()
del (first := [bytearray(16 << 20)])[:]  # from it glibc learns to keep blocks of this size
before = process.memory_info().rss
blocks, between = [], []
for _ in range(50):
    blocks.append(bytearray(b"1") * (1 << 20))
    between.append(bytearray(2000))
del blocks[:]
print((process.memory_info().rss - before) >> 20)
"""


def kept(how: str) -> int:
    """MB that a process still has of 50 that it freed."""
    found = subprocess.run(
        [sys.executable, "-c", KEPT, how], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc's allocator")
def test_what_was_freed_is_given_back():
    assert kept("returns") < 5
    assert kept("by itself") > 25
