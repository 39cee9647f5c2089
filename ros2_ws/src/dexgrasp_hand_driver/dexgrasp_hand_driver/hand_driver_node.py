"""The node that drives the Shadow Hand by its vendor's software, over rosbridge or over ROS 2.

docs/hand_driver.md says what it takes care of, and what ends in a fault.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import Any

from std_srvs.srv import Trigger

from dexgrasp_hand_driver.controllers import Controllers, ControllersError
from dexgrasp_hand_driver.driver_parameters import HandDriverParameters, Ros2Parameters
from dexgrasp_hand_driver.hand_commands import HandCommands
from dexgrasp_hand_driver.hand_link import HandLink, LinkView
from dexgrasp_hand_driver.hand_state import HandState
from dexgrasp_hand_driver.motion_gate import MotionGate
from dexgrasp_hand_driver.ros2_link import Ros2Link
from dexgrasp_hand_driver.rosbridge_link import RosbridgeLink
from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.vendor_joints import VendorJoints
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.health import Health
from dexgrasp_ros.node import WARN, ConfigurationError, ManagedNode, when_active
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import current_parameters, declare_parameters

TELL_PERIOD = 0.5
"""Seconds between two looks at what there is to tell."""
SET_BACK_NS = 1_000_000_000
"""What is more than a correction of the clock, by which stamps go back."""
BENT = 0.05
"""rad, by which the wrist may be off zero before it is told."""


class HandDriverNode(ManagedNode):
    """Measured states out, set-points in: at the graph's rate, and only while all is well."""

    parameters_type = HandDriverParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("hand_driver", **options)
        self._limits = declare_parameters(self, load_control_config().limits, prefix="limits.")
        self._ros2 = declare_parameters(self, Ros2Parameters, prefix="ros2.")

    # Lifecycle

    def configure(self) -> None:
        """Makes publishers, subscriptions and the service; nothing is connected yet.

        Raises:
            ConfigurationError: the client library is not installed, or the vendor's states would
                come on the topic of ours.
        """
        p = self.parameters
        self._vendor = VendorJoints(load_hand())
        self._link = self._make_link()
        self.hardware_id = f"Shadow Hand by {self._link.where}"
        self._health = Health(self)
        self._gate = MotionGate(p.fault_after)
        self._commands = HandCommands(
            self,
            self._health,
            self._vendor,
            current_parameters(self, self._limits, prefix="limits."),
            period=1.0 / p.rate,
            silence_limit=p.commander_timeout,
            closed_by=lambda: self._gate.closed_by,
        )
        states = contract.JOINT_STATES
        self._states = self.create_lifecycle_publisher(states.type, states.name, states.qos)
        self.create_service(Trigger, contract.HAND_RESUME_SERVICE, self._on_resume)

    def activate(self) -> None:
        """Connects; commands are taken once states come and the controllers run."""
        p = self.parameters
        self._gate = MotionGate(p.fault_after)
        self._health.mended()
        self._ready = False
        self._connection = 0
        self._controllers: Controllers | ControllersError | None = None
        self._listed: object = None
        self._published: HandState | None = None
        self._stamp_ns = 0
        self._sent = 0
        self._link = self._make_link()
        self._link.start()
        self._timers_of_activity = [
            self.create_timer(period, work, clock=self.steady_clock)
            for period, work in ((1.0 / p.rate, self._tick), (TELL_PERIOD, self._tell))
        ]

    def deactivate(self) -> None:
        """Ends the connection; the hand's controllers hold the fingers where they are."""
        for timer in self._timers_of_activity:
            self.destroy_timer(timer)
        self._link.close()
        self._commands.drop()

    def cleanup(self) -> None:
        self._commands.close()

    def _make_link(self) -> HandLink:
        p = self.parameters
        if p.interface == "ros2":
            topics = current_parameters(self, self._ros2, prefix="ros2.")
            own = self.resolve_topic_name(contract.JOINT_STATES.name)
            if self.resolve_topic_name(topics.joint_states) == own:
                raise ConfigurationError(
                    f"`ros2.joint_states` is {own}, where the states of this graph come: give the"
                    " vendor's software or this graph a namespace"
                )
            return Ros2Link(self, topics, self._vendor)
        if importlib.util.find_spec("roslibpy") is None:
            raise ConfigurationError(
                "roslibpy, the client of rosbridge, is not installed: install it as"
                " requirements.txt says (pip install roslibpy==2.1.0)"
            )
        return RosbridgeLink(p.host, p.port, self._vendor, p.controllers)

    # One tick

    def _tick(self) -> None:
        view, now = self._look()
        if view.state is not None and view.state is not self._published:
            self._publish(view.state, now)
        if self._gate.closed_by:
            # What is wanted now is not what will be wanted then.
            self._commands.drop()
        else:
            assert view.state is not None
            self._send(view.state, now)

    def _look(self) -> tuple[LinkView, float]:
        """How the hand is now, and what follows from it."""
        view, now = self._link.view, time.monotonic()
        if view.connected and view.listed is not self._listed:
            self._choose(view)
        lost = not view.connected or view.connection != self._connection
        if self._gate.look(self._problem(view, now), now, lost=lost and self._ready):
            self._commands.drop()
            self._tell_fault()
            if view.state is not None and view.state.age(now) > self.parameters.state_age:
                # What the other side has not read yet is lost with the connection.
                self._link.renew()
        self._connection = view.connection
        if view.state is not None:
            self._commands.measure(view.state.positions)
            if not self._ready and not self._gate.closed_by:
                self._begin(view.state)
        return view, now

    def _choose(self, view: LinkView) -> None:
        """Takes the controllers that run."""
        self._listed = view.listed
        before = self._controllers
        try:
            self._controllers = self._link.controllers(view)
        except ControllersError as error:
            self._controllers = error
            return
        if self._controllers != before or view.connection != self._connection:
            self._link.advertise(self._controllers.topics)

    def _problem(self, view: LinkView, now: float) -> str:
        """What is wrong, and what to do; empty if nothing is."""
        p = self.parameters
        if not view.connected:
            return (
                f"no connection to {self._link.where}: {view.problem}; is it running there, and are"
                " host and port right? It is tried again all the time"
            )
        if view.state is None:
            return view.bad_state or (
                f"connected, but nothing comes on {self._link.states_topic}: start the hand's"
                " software"
            )
        age = view.state.age(now)
        if age > p.state_age:
            reason = view.bad_state or "the hand's software or the network is slow, or has stopped"
            return f"the newest state on {self._link.states_topic} is {age:.2f} s old: {reason}"
        if self._controllers is None:
            return view.problem or "it is not told yet which controllers run"
        if isinstance(self._controllers, ControllersError):
            return view.problem or str(self._controllers)
        return ""

    def _begin(self, state: HandState) -> None:
        """From where fingers and wrist are."""
        self._ready = True
        self._commands.begin(state.positions)
        self._wrist = dict(zip(self._vendor.wrist, state.wrist.tolist(), strict=True))

    def _publish(self, state: HandState, now: float) -> None:
        self._published = state
        measured_ns = self.get_clock().now().nanoseconds - conversions.seconds_to_ns(state.age(now))
        # What is known of the hand's clock gets better, and moves later stamps to before.
        if 0 <= self._stamp_ns - measured_ns < SET_BACK_NS:
            measured_ns = self._stamp_ns + 1
        self._stamp_ns = measured_ns
        names = (*self._vendor.hand.finger_joints, *self._vendor.wrist)
        message = conversions.joint_state(
            names,
            [*state.positions, *state.wrist],
            [*state.velocities, *state.wrist_velocities],
            measured_ns,
            () if state.efforts is None else state.efforts,
        )
        self._states.publish(message)

    def _send(self, state: HandState, now: float) -> None:
        """The set-point of this tick, which the hand gets while `state` is good, or never."""
        targets = self._commands.next()
        if targets is None:
            return
        assert self._controllers is not None
        assert not isinstance(self._controllers, ControllersError)
        p = self.parameters
        angles = self._vendor.commanded(targets) | self._wrist
        messages = self._controllers.messages(angles, state.vendor_time(now), p.lead)
        self._link.send(messages, until=now + p.state_age - state.age(now))
        self._sent += 1

    # What a person asks and is told

    @when_active
    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        view, _ = self._look()
        try:
            self._gate.resume()
        except ValueError as error:
            response.success, response.message = False, str(error)
            return response
        assert view.state is not None
        self._begin(view.state)
        self._health.mended()
        self._tell()
        response.success = True
        response.message = "commands are taken again, from where the fingers are"
        return response

    def _tell_fault(self) -> None:
        service = self.resolve_service_name(contract.HAND_RESUME_SERVICE)
        self._health.fault(
            f"{self._gate.fault}. The fingers hold, and no command is taken until a person calls"
            f" {service}",
            now=self._gate.problem or "all is well again",
            sent=self._sent,
        )

    def _tell(self) -> None:
        view = self._link.view
        if self._gate.fault:
            self._tell_fault()
            return
        self._commands.watch()
        values: dict[str, Any] = {
            "connection": view.connection,
            "states": view.states,
            "sent": self._sent,
            "came_too_late": view.late,
            "refused": self._commands.refused,
            "round_trip_ms": f"{1e3 * view.trip:.1f}",
        }
        if self._gate.problem:
            self._health.well(self._gate.problem, WARN, **values)
            return
        assert self._controllers is not None
        assert not isinstance(self._controllers, ControllersError)
        if view.trip > self.parameters.lead:
            self._health.warn(
                "an answer of the hand's software takes longer than `lead`: commands may be dropped"
                " as too late; is the network or its machine busy?",
                **values,
            )
        if view.state is not None and abs(view.state.wrist).max() > BENT:
            self._health.warn(
                "the hand's wrist is bent, and the arm is steered as if it were straight: move it"
                " to zero with the vendor's tools, and activate the driver again",
                wrist=", ".join(f"{angle:.3f} rad" for angle in view.state.wrist),
            )
        self._health.well(f"takes commands for {self._controllers.description}", **values)


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(HandDriverNode))


if __name__ == "__main__":
    run()
