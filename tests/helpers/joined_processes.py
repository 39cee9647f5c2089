"""Processes that train together, started as `torchrun` does it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

DEADLINE = 250  # s, for processes on a busy machine


def run_together(script: Path, *arguments: object, count: int = 2) -> None:
    """Run a script in processes of one group, until all have ended well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    started = [
        start(script, *arguments, RANK=str(rank), WORLD_SIZE=str(count), **group)
        for rank in range(count)
    ]
    try:
        for process in started:
            _, errors = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, errors
    finally:
        for process in started:
            process.kill()


def start(script: Path, *arguments: object, **variables: str) -> subprocess.Popen:
    """One process, on one thread, with more variables in its environment."""
    return subprocess.Popen(
        [sys.executable, script, *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
        stderr=subprocess.PIPE,
        text=True,
    )
