"""Calls of other nodes' services that wait as long as those nodes are at work.

How long an answer takes depends on the machine; that a node has died does not. So a limit counts
from the last sign of life: the status that each node publishes on /diagnostics once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.client import Client
from rclpy.node import Node

from dexgrasp_ros import contract
from dexgrasp_ros.asked import Asked

PERIOD = 0.05
"""Seconds of wall time between two looks at an answer that is awaited."""


class NoAnswer(Exception):
    """A service is not there, has gone away, or gave no answer in time; the message says which."""


@dataclass(frozen=True)
class Patience:
    """How long an answer is waited for, in seconds of wall time.

    Attributes:
        silence: since the last sign of life of the node that is to answer.
        total: however lively that node is.
    """

    silence: float
    total: float


class SignsOfLife:
    """When each node has last published its status, and what it said."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._heard: dict[str, float] = {}
        self._said: dict[str, str] = {}
        topic = contract.DIAGNOSTICS
        node.create_subscription(topic.type, topic.name, self._put, topic.qos)

    def last(self, name: str) -> float:
        """Monotonic time of a node's last status; minus infinity before the first."""
        return self._heard.get(name, -float("inf"))

    def said(self, name: str) -> str:
        """What its last status said."""
        return self._said.get(name, "")

    def asked(self, name: str) -> Asked:
        """To see later whether a node that is asked now has been started anew."""
        return Asked(self._node, contract.DIAGNOSTICS.name, f"/{name}")

    def _put(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.level != DiagnosticStatus.STALE:  # that is what others say of a dead node
                name = status.name.lstrip("/")
                self._heard[name] = time.monotonic()
                self._said[name] = status.message


class ServiceCall:
    """A service of another node, called from a thread beside the executor.

    Args:
        client: of the service.
        server: full name of the node that offers it.
        signs: of life of that node.
        patience: how long an answer is waited for.
    """

    def __init__(self, client: Client, server: str, signs: SignsOfLife, patience: Patience) -> None:
        self.client = client
        self._server = server.lstrip("/")
        self._signs = signs
        self._patience = patience

    @property
    def name(self) -> str:
        """The service's, in full."""
        return self.client.service_name

    def __call__(self, request: Any, while_waiting: Callable[[str], None]) -> Any:
        """The response.

        Args:
            request: of the service's type.
            while_waiting: called several times a second with what is waited for; may raise.

        Raises:
            NoAnswer: there is none.
        """
        started = time.monotonic()
        while not self.client.service_is_ready():
            while_waiting(f"waiting for {self.name} to be there")
            if time.monotonic() - started > self._patience.silence:
                raise NoAnswer(f"{self.name} is not there (waited {self._patience.silence:g} s)")
            time.sleep(PERIOD)
        started = time.monotonic()
        asked = self._signs.asked(self._server)
        future = self.client.call_async(request)
        try:
            while not future.done():
                while_waiting(self._awaited(time.monotonic() - started))
                self._check(started, asked)
                time.sleep(PERIOD)
        finally:
            if not future.done():
                self.client.remove_pending_request(future)
        return future.result()

    def _check(self, started: float, asked: Asked) -> None:
        if not self.client.service_is_ready() or asked.gone:
            raise NoAnswer(f"{self.name} went away")
        now = time.monotonic()
        silent = now - max(started, self._signs.last(self._server))
        if silent > self._patience.silence:
            raise NoAnswer(
                f"{self.name} did not answer in {now - started:.1f} s, and its node gave no sign of"
                f" life for {silent:.1f} s"
            )
        if now - started > self._patience.total:
            raise NoAnswer(f"{self.name} did not answer in {self._patience.total:g} s")

    def _awaited(self, seconds: float) -> str:
        said = self._signs.said(self._server)
        remark = f"; {self._server}: {said}" if said else ""
        return f"waiting for the answer of {self.name} for {seconds:.0f} s{remark}"
