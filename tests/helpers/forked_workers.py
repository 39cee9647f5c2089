"""Isaac Gym's worker, forked from a process that has imported PyTorch and MuJoCo once.

A worker of its own interpreter takes seconds to import them, and tests of simulators start many.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from multiprocessing import reduction
from pathlib import Path
from typing import IO, Any

from isaac_gym_counterpart import COUNTERPARTS

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["__main__", "numpy", "torch", "mujoco"])


class ForkedWorker:
    """What is used of `subprocess.Popen`, for a command that runs the worker."""

    def __init__(
        self, command: list[str], *, pass_fds: tuple[int, ...], stdout: IO[str], cwd: Path, **_: Any
    ) -> None:
        passed = {str(fd): _Passed(fd) for fd in pass_fds}
        arguments = [passed.get(text, text) for text in command[1:]]
        self._process = _CONTEXT.Process(
            target=_run, args=(arguments, _Passed(stdout.fileno()), str(cwd)), daemon=True
        )
        self._process.start()
        self.pid = self._process.pid

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0.0)
        return self._process.exitcode


class _Passed:
    """A file descriptor that is another process's too."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __getstate__(self) -> Any:
        return reduction.DupFd(self._fd)

    def __setstate__(self, state: Any) -> None:
        self._fd = state.detach()

    def __str__(self) -> str:
        return str(self._fd)

    def fileno(self) -> int:
        return self._fd


def _run(arguments: list[Any], log: _Passed, folder: str) -> None:
    os.setsid()
    os.chdir(folder)
    for standard in (1, 2):
        os.dup2(log.fileno(), standard)
    sys.path.insert(0, str(COUNTERPARTS))
    sys.argv = [str(argument) for argument in arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")
