"""How much memory the computer has left."""

from __future__ import annotations

from pathlib import Path


def available_memory() -> int:
    """Bytes that can be had without swapping.

    Raises:
        OSError: the kernel does not say.
    """
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    raise OSError("/proc/meminfo does not say how much memory is available")
