"""The worker's process as its user has it: started, asked for ticks, and ended whatever happens.

The shared memory has no name, so none can be left behind. The worker ends with the process that
started it, also where that is killed; a worker that is killed or hangs is told at once or after a
time limit.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import selectors
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from dexgrasp_sim.backends.host_memory import available_memory
from dexgrasp_sim.backends.isaac_gym import worker
from dexgrasp_sim.backends.isaac_gym.settings import INTERPRETER_VARIABLE

STEPS = (
    "1. download Isaac Gym Preview 4 from developer.nvidia.com/isaac-gym and unpack it; 2. make an"
    " environment with Python 3.8 and install it there: pip install -e isaacgym/python; 3. export"
    f" {INTERPRETER_VARIABLE}=/path/to/that/bin/python"
)
"""To Isaac Gym."""

_CHECK_LIMIT = 120.0  # s, for importing Isaac Gym and PyTorch
_END_LIMIT = 5.0  # s, to end by itself
_LOG_LINES = 12


start_process = subprocess.Popen


class WorkerError(RuntimeError):
    """The worker is gone, as the message says, and nothing is left of it.

    No `SimulatorError`: that is what one scene does, and a trial that fails by it has an outcome.
    """


def find_interpreter() -> str:
    """The Python in which Isaac Gym is installed.

    Raises:
        ImportError: none is named, or it is not there; the message has the steps.
    """
    path = os.environ.get(INTERPRETER_VARIABLE, "")
    if not path:
        raise ImportError(f"${INTERPRETER_VARIABLE} is not set, which names the Python of Isaac"
                          f" Gym. {STEPS}")  # fmt: skip
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        raise ImportError(f"${INTERPRETER_VARIABLE} is {path}, which is no program. {STEPS}")
    return path


def installed() -> str:
    """What of Isaac Gym and around it is installed, looked for in its interpreter.

    Raises:
        ImportError: what is missing, and the steps to it.
    """
    interpreter = find_interpreter()
    command = [interpreter, worker.__file__, "--check"]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_CHECK_LIMIT
        )
    except subprocess.TimeoutExpired as error:
        raise ImportError(f"{interpreter} did not answer within {_CHECK_LIMIT:.0f} s") from error
    try:
        # Isaac Gym prints as well.
        found = json.loads(run.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise ImportError(
            f"{interpreter} could not run the worker: {_last_lines(run.stderr, 1)}. {STEPS}"
        ) from None
    problems = found["problems"]
    if fatal := [problems[name] for name in ("isaacgym", "version", "torch") if name in problems]:
        raise ImportError(
            f"{'; '.join(fatal)}, in {interpreter} (Python {found['python']}). {STEPS}"
        )
    without = f"; {problems['cuda']}: PhysX runs on the CPU" if "cuda" in problems else ", CUDA"
    return f"Isaac Gym {found['isaacgym']}, Python {found['python']}{without}"


class WorkerProcess:
    """A worker that has built its worlds.

    Args:
        folder: what `write_scenes` wrote.
        layout: of the shared memory.
        start_timeout: s for building the worlds.
        step_timeout: s for a control tick.

    Attributes:
        arrays: views of the shared memory by the names of `Layout.fields`.
        pid: of the process.

    Raises:
        ImportError: Isaac Gym or its interpreter is missing.
        MemoryError: there is no room for so many worlds.
        WorkerError: the worlds could not be built.
    """

    def __init__(
        self, folder: Path, layout: worker.Layout, start_timeout: float, step_timeout: float
    ) -> None:
        interpreter = find_interpreter()
        self._step_timeout = step_timeout
        memory = shared_memory(layout)
        self._channel, channel = socket.socketpair()
        lifeline, lifeline_of_worker = socket.socketpair()
        # Not to the console: Isaac Gym is talkative.
        log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115, for the process's life
        passed = (memory, channel.fileno(), lifeline_of_worker.fileno())
        names = ("--memory", "--channel", "--lifeline")
        options = [text for pair in zip(names, map(str, passed), strict=True) for text in pair]
        try:
            self._process = start_process(
                [interpreter, worker.__file__, str(folder), *options],
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,  # ended as a group, and not by Ctrl-C but by its user
            )
            self.pid = self._process.pid
            self._mapped = mmap.mmap(memory, layout.size)
        finally:
            os.close(memory)
            channel.close()
            lifeline_of_worker.close()
        self._log = log
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._channel, selectors.EVENT_READ)
        self._received = b""
        self._gone = ""
        self._finalizer = weakref.finalize(
            self, _end, self._process, self._channel, lifeline, self._selector, log
        )
        self.arrays: Mapping[str, np.ndarray] = layout.arrays(self._mapped)
        self._expect("ready", start_timeout, "start_timeout")

    def tick(self) -> None:
        """One control tick of all worlds.

        Raises:
            WorkerError: the worker was killed, hangs or failed, now or before.
            MemoryError: it has run out of memory.
        """
        self._ask(worker.TICK)

    def look(self, camera: int) -> None:
        """Images of all worlds by one camera.

        Raises:
            WorkerError, MemoryError: as `tick`.
        """
        self._ask(worker.LOOK + bytes([camera]))

    def _ask(self, request: bytes) -> None:
        if self._gone:
            raise WorkerError(self._gone)
        self._gone = "Isaac Gym's worker was interrupted"  # should it be
        with contextlib.suppress(OSError):  # it has ended; what it said before is read below
            self._channel.sendall(request)
        self._expect("done", self._step_timeout, "step_timeout")
        self._gone = ""

    def close(self) -> None:
        """End the worker, if it has not ended yet."""
        self._gone = self._gone or "the worker of Isaac Gym was closed"
        self._finalizer()

    def _expect(self, answer: str, limit: float, setting: str) -> None:
        message = self._answer(limit)
        if message is None:
            self._fail(
                f"the worker of Isaac Gym has not answered for {limit:g} s ({setting} in"
                " config/isaac_gym.yaml), and was ended"
            )
        if not message:
            status = self._process.wait()
            how = f"by signal {-status}" if status < 0 else f"with status {status}"
            told = _last_lines(_text(self._log), _LOG_LINES)
            self._fail(f"the worker of Isaac Gym ended {how}" + (f"; it said: {told}" * bool(told)))
        if "error" in message:
            self._fail(message["error"], message["kind"])
        if answer not in message:
            self._fail(f"the worker of Isaac Gym answered {message} and not {answer}")

    def _fail(self, reason: str, kind: str = "failed") -> NoReturn:
        self._gone = reason
        self.close()
        if kind == "memory":
            raise MemoryError(f"{reason}: ask for fewer environments")
        if kind == "missing":
            raise ImportError(f"{reason}, in {find_interpreter()}. {STEPS}")
        raise WorkerError(reason)

    def _answer(self, limit: float) -> dict[str, Any] | None:
        """The next message; empty where the worker has ended, none where the limit is over."""
        until = time.monotonic() + limit
        while b"\n" not in self._received:
            if not self._selector.select(max(0.0, until - time.monotonic())):
                return None
            try:
                received = self._channel.recv(65536)
            except ConnectionError:
                received = b""
            if not received:
                return {}
            self._received += received
        line, self._received = self._received.split(b"\n", 1)
        return json.loads(line)


def shared_memory(layout: worker.Layout) -> int:
    """A file descriptor of shared memory with its header, which belongs to the caller.

    Raises:
        MemoryError: there is not enough; the message says how many worlds there is room for.
    """
    memory = os.memfd_create("dexgrasp_isaac_gym")
    try:
        _check_room(layout)
        os.posix_fallocate(memory, 0, layout.size)
        with mmap.mmap(memory, layout.size) as mapped:
            layout.write_header(mapped)
    except OSError as error:
        os.close(memory)
        raise MemoryError(
            f"no {layout.size / 1e6:.0f} MB of shared memory for {layout.worlds} worlds: {error}"
        ) from error
    except BaseException:
        os.close(memory)
        raise
    return memory


def _check_room(layout: worker.Layout) -> None:
    available = available_memory()
    if layout.size > available:
        fit = int(layout.worlds * available / layout.size)
        raise MemoryError(
            f"{layout.worlds} worlds need {layout.size / 1e9:.1f} GB of shared memory, and"
            f" {available / 1e9:.1f} GB are free: there is room for {fit}"
        )


def _end(
    process: subprocess.Popen[bytes],
    channel: socket.socket,
    lifeline: socket.socket,
    selector: selectors.BaseSelector,
    log: IO[str],
) -> None:
    """End a worker: it may end by itself, and is killed with all that it started if it does not."""
    selector.close()
    channel.close()
    try:
        process.wait(_END_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    lifeline.close()
    log.close()


def _text(log: IO[str]) -> str:
    log.seek(0)
    return log.read()


def _last_lines(text: str, count: int) -> str:
    return " | ".join([line for line in text.splitlines() if line.strip()][-count:])
