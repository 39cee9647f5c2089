"""Runs the graph as separate processes, where ``ros2 launch`` is not installed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from dexgrasp_bringup.graph import GraphNode, executable_path, shared_environment

MOTION_TIMEOUT = 3.0
"""Seconds that those that move the robot have to stop it, before the others are interrupted too."""
INTERRUPT_TIMEOUT = 8.0
"""Seconds that the nodes have to end after SIGINT before they are killed."""
REMEMBERED_LINES = 40

_DOMAINS = 101
"""Domain ids from 0 to 101 are safe on every platform: higher ones reach into ephemeral ports."""
_PARTICIPANTS = 120
"""That a domain has ports for."""
_KEPT = 8
"""Domains that a process keeps reserved: of those before, the ports tell."""
_reserved: deque[socket.socket] = deque()


def free_domain_id() -> int:
    """A ROS domain id that no process on this machine uses.

    Taken is a domain of which a participant has its unicast port: 7410 + 250 * domain + 2 *
    participant (DDSI-RTPS 2.3, section 9.6.1). A process with several contexts numbers its
    participants through, so that the first of a domain need not be number 0. Until there is one,
    which takes seconds, the domain is reserved for this process: another that asks gets another.
    """
    start = random.SystemRandom().randrange(_DOMAINS)
    for offset in range(_DOMAINS):
        domain = 1 + (start + offset) % _DOMAINS
        if (reservation := _reservation(domain)) is None:
            continue
        if all(_is_free(7410 + 250 * domain + 2 * number) for number in range(_PARTICIPANTS)):
            _reserved.append(reservation)
            while len(_reserved) > _KEPT:
                _reserved.popleft().close()
            return domain
        reservation.close()
    raise RuntimeError("no ROS domain id is free: too many ROS processes run on this machine")


def _reservation(domain: int) -> socket.socket | None:
    """Held by one process at a time, and by none that has ended; None if another has it.

    A name in Linux's abstract namespace, which is as wide as that of the ports.
    """
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0dexgrasp-ros-domain-{domain}")
    except OSError:
        held.close()
        return None
    return held


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def graph_environment() -> dict[str, str]:
    """The environment of a graph's processes: this one's, with discovery kept on this machine and a
    domain of its own. Everything ends with this process, however that ends.

    A ``ROS_DOMAIN_ID`` that is already set is kept, so that other tools can watch.
    """
    environment = {**os.environ, **shared_environment()}
    # Set but empty is how shells unset it, and to ROS the same as not set.
    environment["ROS_DOMAIN_ID"] = environment.get("ROS_DOMAIN_ID") or str(free_domain_id())
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return environment


def node_command(node: GraphNode) -> list[str]:
    """The command line that starts a node.

    Raises:
        GraphError: its executable is not installed.
        FileNotFoundError: its parameter file is missing.
    """
    command = [str(executable_path(node.package, node.executable)), "--ros-args"]
    command += ["-r", f"__node:={node.name}"]
    if node.namespace:
        command += ["-r", f"__ns:=/{node.namespace}"]
    for name, other in node.remappings.items():
        command += ["-r", f"{name}:={other}"]
    if node.log_level:
        command += ["--log-level", node.log_level]
    if node.parameter_file:
        command += ["--params-file", str(node.parameter_file)]
    for name, value in node.parameters.items():
        # JSON is YAML that keeps the type: "1" stays a text, 1.0 a float.
        # Its escapes of characters beyond U+FFFF are two halves, which YAML has not.
        command += ["-p", f"{name}:={json.dumps(value, ensure_ascii=False)}"]
    return command


class GraphProcesses:
    """The processes of a graph, started together and stopped together.

    Use as a context manager; on leaving, all of them have ended.

    Args:
        graph: the nodes.
        environment: of all of them.
        log_folder: gets a file ``<node>.log`` with each node's output.
        on_line: called with a node's name and a line of its output, from other threads, until the
            processes are told to stop.
    """

    def __init__(
        self,
        graph: Sequence[GraphNode],
        environment: Mapping[str, str],
        log_folder: Path,
        on_line: Callable[[str, str], None] = lambda name, line: None,
    ) -> None:
        self._commands = {node.name: node_command(node) for node in graph}
        self._moving = [node.name for node in graph if node.commands]
        self._environment = environment
        self._log_folder = log_folder
        self._on_line = on_line
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []
        self._last_lines: dict[str, deque[str]] = {}
        self._stopping = False

    def __enter__(self) -> Self:
        self._log_folder.mkdir(parents=True, exist_ok=True)
        try:
            for name, command in self._commands.items():
                (self._log_folder / f"{name}.log").unlink(missing_ok=True)
                self._start(name, command)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def ended(self) -> dict[str, int]:
        """Names and exit statuses of the processes that have ended."""
        statuses = {name: process.poll() for name, process in self._processes.items()}
        return {name: status for name, status in statuses.items() if status is not None}

    def processor_seconds(self, name: str) -> float:
        """Processor time that a node has used since its start, its own processes included."""
        try:
            node = self.process(name)
            family = [node, *node.children(recursive=True)]
        except psutil.NoSuchProcess:
            return 0.0
        total = 0.0
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):  # ended in between
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def process(self, name: str) -> psutil.Process:
        """A node's process, to look at.

        Raises:
            psutil.NoSuchProcess: it has ended.
        """
        return psutil.Process(self._processes[name].pid)

    def send_signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to a node and to the processes that it has started."""
        self._signal([name], number)

    def restart(self, name: str) -> None:
        """Starts a node that has ended once more; its output goes on in the same file."""
        self._processes[name].wait()
        self._start(name, self._commands[name])

    def last_lines(self, name: str) -> list[str]:
        """The end of a node's output."""
        return list(self._last_lines[name])

    def stop(self) -> None:
        """Interrupts all processes, and kills those that do not end in `INTERRUPT_TIMEOUT`.

        Those that move the robot come first: they stop it while the others still run.
        """
        self._stopping = True
        self._interrupt([name for name in self._moving if name in self._processes], MOTION_TIMEOUT)
        self._interrupt(self._processes, INTERRUPT_TIMEOUT)
        self._signal(self._processes, signal.SIGKILL)
        for process in self._processes.values():
            process.wait()
        for reader in self._readers:
            reader.join(timeout=1.0)

    def _interrupt(self, names: Collection[str], timeout: float) -> None:
        """Sends SIGINT, and waits up to `timeout` s until all have ended."""
        self._signal(names, signal.SIGINT)
        deadline = time.monotonic() + timeout
        for name in names:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._processes[name].wait(max(0.0, deadline - time.monotonic()))

    def _start(self, name: str, command: Sequence[str]) -> None:
        process = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            # A group of its own: Ctrl-C reaches this process only, which then stops all in order.
            start_new_session=True,
        )
        self._processes[name] = process
        self._last_lines[name] = deque(maxlen=REMEMBERED_LINES)
        reader = threading.Thread(target=self._read, args=(name, process), daemon=True)
        reader.start()
        self._readers.append(reader)

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with (self._log_folder / f"{name}.log").open("a", encoding="utf-8") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                self._last_lines[name].append(line.rstrip("\n"))
                if not self._stopping:
                    self._on_line(name, line.rstrip("\n"))

    def _signal(self, names: Collection[str], number: signal.Signals) -> None:
        for process in map(self._processes.__getitem__, names):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):  # ended in between
                    os.killpg(process.pid, number)
