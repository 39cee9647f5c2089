"""The base of every dexgrasp node.

A node is a managed (lifecycle) node: it reads its configuration in ``configure``, starts in
``activate``, and reports its health on /diagnostics once a second.
"""

from __future__ import annotations

import functools
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from dexgrasp_models.parameters import Parameters, flag, parameter
from dexgrasp_ros import contract
from dexgrasp_ros.deferred_service import answer_later
from dexgrasp_ros.neighbours import Neighbours
from dexgrasp_ros.parameters import (
    current_parameters,
    declare_parameters,
    is_fixed_while_active,
    refuse_while_active,
)

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
STALE = DiagnosticStatus.STALE

DIAGNOSTICS_PERIOD = 1.0
"""Seconds of wall time between two diagnostics."""
_NUMBER = re.compile(r"\d[\d.]*")


class ConfigurationError(ValueError):
    """A node can't do what its configuration asks; the message says what to change."""


@dataclass(frozen=True)
class CommonParameters(Parameters):
    """Those that every node has."""

    autostart: bool = flag(True, "Configure and activate at the start, without a manager.")
    realtime_priority: int = parameter(
        0, 0, 80, "", "of its process once it is active (SCHED_FIFO), where granted; 0: none"
    )


class ManagedNode(LifecycleNode):
    """A lifecycle node with typed parameters, diagnostics and clear failures.

    A subclass declares its parameters in a dataclass (see :mod:`dexgrasp_ros.parameters`), sets
    ``parameters_type``, and overrides ``configure``, ``activate``, ``deactivate`` and ``cleanup``
    as needed. These raise on failure: the message is logged and put on /diagnostics, and the
    transition fails.

    All callbacks take turns in one thread, and none may wait: rclpy's executor for several threads
    rebuilds its wait set without rest while a callback waits for Python's lock, and takes several
    times as much of a processor. A service whose callback waits is made by
    `create_waiting_service`.

    Attributes:
        parameters: the values, as they were when it was configured last.
        steady_clock: runs on where simulated time stands still; for watchdogs and diagnostics.
        neighbours: other nodes that have this one's place.
        failure: why the last transition was refused, or None.
        fatal: what a thread of the node ended with, or None.
    """

    parameters_type: ClassVar[type]
    hardware_id: str = "none"
    """The device that this node's status on /diagnostics is about, where it has one."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        declare_parameters(self, CommonParameters)
        self.parameters: Any = declare_parameters(self, self.parameters_type)
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.failure: str | None = None
        self.fatal: Exception | None = None
        self._active = False
        self._configured = False
        self._outdated = False
        self.neighbours = Neighbours(self)
        self.add_on_set_parameters_callback(self._refuse_parameters)
        self.add_post_set_parameters_callback(self._note_parameters)
        self._entities_before: dict[Any, Callable[[Any], bool]] = {}
        self._status: tuple[bytes, str, Mapping[str, Any]] = (WARN, "not active", {})
        self._diagnostics = self.create_publisher(
            DiagnosticArray, contract.DIAGNOSTICS.name, contract.DIAGNOSTICS.qos
        )
        self.create_timer(DIAGNOSTICS_PERIOD, self._every_second, clock=self.steady_clock)

    # What a subclass does at each transition; raising refuses it.

    def configure(self) -> None:
        """Reads what the parameters name and creates publishers, services and subscriptions."""

    def activate(self) -> None:
        """Starts the work."""

    def deactivate(self) -> None:
        """Stops the work; the node can be activated again."""

    def cleanup(self) -> None:
        """Undoes ``configure``; its publishers, subscriptions, services, clients and timers are
        destroyed by the base."""

    @property
    def active(self) -> bool:
        """Whether the node is in the active state."""
        return self._active

    def report(self, level: bytes, message: str, **values: Any) -> None:
        """Sets what /diagnostics says of this node from now on.

        A change of level, and a new problem, are published at once and logged. A problem whose
        numbers alone have changed is not a new one.
        """
        old_level, old_message, _ = self._status
        changed = level != old_level or (level != OK and _kind(message) != _kind(old_message))
        self._status = (level, message, values)
        if changed:
            self.publish_diagnostics()
            # a statement for each level: rclpy fixes the severity of the line that logs
            if level == OK:
                self.get_logger().info(message)
            elif level == WARN:
                self.get_logger().warning(message)
            else:
                self.get_logger().error(message)

    def create_waiting_service(
        self, service_type: Any, name: str, callback: Callable[[Any, Any], Any]
    ) -> None:
        """A service whose callback may wait: it runs in the service's own thread, one at a time.

        A callback that waits has to look whether the node is still active.
        """

        def answer(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:
                self.fail(error)
                raise

        answer_later(
            self.create_service(
                service_type, name, lambda request, response: partial(answer, request, response)
            )
        )

    def fail(self, error: Exception) -> None:
        """Reports an error that the node can't go on after; its process ends."""
        self.fatal = error
        self.report(ERROR, f"stopped by an unexpected error: {error!r}")

    def complain(self, message: str) -> None:
        """Publishes and logs why the node ends."""
        self._status = (ERROR, message, {})
        self.publish_diagnostics()
        self.get_logger().fatal(message)

    def publish_diagnostics(self) -> None:
        """Publishes the present status on /diagnostics."""
        level, message, values = self._status
        array = DiagnosticArray()
        array.header.stamp = self.get_clock().now().to_msg()
        array.status = [
            DiagnosticStatus(
                level=level,
                name=self.get_fully_qualified_name().lstrip("/"),
                hardware_id=self.hardware_id,
                message=message,
                values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
            )
        ]
        self._diagnostics.publish(array)

    # Transitions, as rclpy calls them.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._warn_of_unknown_parameters()
        self._entities_before = self._entities()
        self._outdated = False
        result = self._transition("configure", self._configure, super().on_configure, state)
        self._configured = result == TransitionCallbackReturn.SUCCESS
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        if not self._is_up_to_date(state):
            return TransitionCallbackReturn.FAILURE
        result = self._transition("activate", self._activate, super().on_activate, state)
        self._active = result == TransitionCallbackReturn.SUCCESS
        if self._active and self._status[1] == "not active":
            self.report(OK, "active")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = False
        self.report(WARN, "not active")
        return self._transition("deactivate", self.deactivate, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        if not self._configured:  # it could not be configured again with new parameters
            return TransitionCallbackReturn.SUCCESS
        self._configured = False
        result = self._transition("clean up", self.cleanup, super().on_cleanup, state)
        for entity, destroy in self._entities().items():
            if entity not in self._entities_before:
                destroy(entity)
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self._active:
            self.on_deactivate(state)
        if self._configured:
            # What the configuration took, as processes of its own, has to be given back here too.
            self._configured = False
            self._transition("clean up", self.cleanup, super().on_cleanup, state)
        self._status = (STALE, "the node has ended", {})
        self.publish_diagnostics()
        return super().on_shutdown(state)

    def _configure(self) -> None:
        self.neighbours.refuse_twin()
        self.parameters = current_parameters(self, self.parameters)
        self.configure()

    def _activate(self) -> None:
        self.neighbours.refuse_twin()  # by now it may have been discovered
        self.activate()

    def _is_up_to_date(self, state: LifecycleState) -> bool:
        """Configures once more where parameters were set since; False if that fails."""
        if self._configured and not self._outdated:
            return True
        self.on_cleanup(state)
        return self.on_configure(state) == TransitionCallbackReturn.SUCCESS

    def _refuse_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        if self._active:
            return refuse_while_active(self, changed)
        return SetParametersResult(successful=True)

    def _note_parameters(self, changed: list[Parameter]) -> None:
        if any(is_fixed_while_active(self, each.name) for each in changed):
            self._outdated = True

    def _every_second(self) -> None:
        self.publish_diagnostics()
        if error := self.neighbours.watch():
            self.fatal = ConfigurationError(str(error))

    def _transition(
        self,
        verb: str,
        work: Callable[[], None],
        managed_entities: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
    ) -> TransitionCallbackReturn:
        try:
            work()
        except Exception as error:
            if not isinstance(error, (ValueError, OSError)):
                self.get_logger().error(traceback.format_exc())
            self.failure = f"cannot {verb}: {error}"
            self._status = (ERROR, self.failure, {})
            self.publish_diagnostics()
            self.get_logger().error(self.failure)
            return TransitionCallbackReturn.FAILURE
        return managed_entities(state)

    def _entities(self) -> dict[Any, Callable[[Any], bool]]:
        """Everything of this node that communicates or ticks, and what destroys it."""
        entities: dict[Any, Callable[[Any], bool]] = {}
        for group, destroy in (
            (self.publishers, self.destroy_publisher),
            (self.subscriptions, self.destroy_subscription),
            (self.services, self.destroy_service),
            (self.clients, self.destroy_client),
            (self.timers, self.destroy_timer),
        ):
            entities.update((entity, destroy) for entity in group)
        managed = dict.fromkeys(self._managed_entities, self.destroy_lifecycle_publisher)
        return entities | managed

    def _warn_of_unknown_parameters(self) -> None:
        for name in self._parameter_overrides:
            if not self.has_parameter(name) and not name.startswith("qos_overrides"):
                self.get_logger().warning(f"parameter '{name}' is not one of this node: ignored")


def when_active(callback: Callable) -> Callable:
    """A service callback that refuses, with the reason, while its node is not active.

    The response must have the fields ``success`` and ``message``.
    """

    @functools.wraps(callback)
    def refuse_or_call(self: ManagedNode, request: Any, response: Any) -> Any:
        if not self.active:
            response.success = False
            response.message = f"{self.get_fully_qualified_name()} is not active" + (
                f": {self.failure}" if self.failure else ": configure and activate it first"
            )
            return response
        return callback(self, request, response)

    return refuse_or_call


def _kind(message: str) -> str:
    return _NUMBER.sub("#", message)
