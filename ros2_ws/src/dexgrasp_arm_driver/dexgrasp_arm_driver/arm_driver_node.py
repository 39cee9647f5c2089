"""The node that drives a UR10e: measured states out, the wrist's targets in.

It takes control of the arm once by itself, when it is activated and the arm is ready. Whatever
stops the arm later, a person's /arm/resume is needed to go on.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from std_srvs.srv import Trigger

from dexgrasp_arm_driver.arm_commands import ArmCommands
from dexgrasp_arm_driver.arm_states import ArmStates
from dexgrasp_arm_driver.arm_status import ArmStatus
from dexgrasp_arm_driver.controller_health import StampClock
from dexgrasp_arm_driver.controller_link import missing_client
from dexgrasp_arm_driver.servo_messages import Alive, Hold, State, TakeControl, Target
from dexgrasp_arm_driver.servo_settings import ControllerSettings, ServoSettings
from dexgrasp_arm_driver.servo_supervisor import CONTROL_TIME, ServoSupervisor
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.arm_following import FollowLimits
from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ConfigurationError, ManagedNode, when_active
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import current_parameters, declare_parameters

_WATCH_PERIOD = 0.1
"""Seconds between two looks for silent commanders."""


@dataclass(frozen=True)
class ArmParameters(Parameters):
    """Parameters of the driver beside those of the controller, of following and of the limits."""

    commander_timeout: float = parameter(
        1.5, 0.1, 60.0, "s", "a commander that has been silent for so long is let go"
    )


class ArmDriverNode(ManagedNode):
    """The arm of the contract, on hardware.

    The supervisor's thread publishes states; ROS callbacks send it targets.
    """

    parameters_type = ArmParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("arm_driver", **options)
        self._settings = ServoSettings(
            declare_parameters(self, ControllerSettings, prefix="controller."),
            declare_parameters(self, FollowLimits, prefix="follow."),
            declare_parameters(self, load_control_config().limits, prefix="limits."),
        )

    # Lifecycle

    def configure(self) -> None:
        if missing := missing_client():
            raise ConfigurationError(missing)
        settings = self._settings = ServoSettings(
            current_parameters(self, self._settings.controller, prefix="controller."),
            current_parameters(self, self._settings.follow, prefix="follow."),
            current_parameters(self, self._settings.safety, prefix="limits."),
        )
        if not settings.controller.host.strip():
            raise ConfigurationError("`controller.host` is empty: it is the arm's address")
        self._kinematics = ArmKinematics()
        self.hardware_id = f"{self._kinematics.arm.name} at {settings.controller.host}"
        self._states = ArmStates(self, self._kinematics)
        state = contract.ARM_STATE
        self._arm_status = ArmStatus(
            self, self.create_publisher(state.type, state.name, state.qos), self.hardware_id
        )
        self._commands = ArmCommands(
            self,
            self._arm_status,
            settings.safety,
            silence_limit=self.parameters.commander_timeout,
            on_target=self._on_target,
            on_hold=self._on_hold,
        )
        self.create_waiting_service(Trigger, contract.ARM_RESUME_SERVICE, self._on_resume)
        self.create_timer(_WATCH_PERIOD, self._watch, clock=self.steady_clock)
        self._servo: ServoSupervisor | None = None

    def activate(self) -> None:
        self.neighbours.refuse_publishers((contract.WRIST_POSE,))
        self._stamps = StampClock()
        self._newest: State | None = None
        self._asked = False  # for control
        self._first_state, self._cause = True, ""
        self._commands.reset()
        self._arm_status.stopped("waits for the controller's states")
        self._servo = ServoSupervisor(self._settings, self._on_state, self._on_end)

    def deactivate(self) -> None:
        if self._servo is not None:
            self._servo.close()
            self._servo = None

    def cleanup(self) -> None:
        self._commands.close()

    # In the supervisor's thread

    def _on_state(self, state: State) -> None:
        try:
            self._take_state(state)
        except Exception as error:
            self.fail(error)

    def _take_state(self, state: State) -> None:
        ago = time.monotonic() - state.measured  # on its way to this thread too
        measured_ns = self.get_clock().now().nanoseconds - conversions.seconds_to_ns(ago)
        ns = self._stamps.stamp(state.timestamp, measured_ns)
        palm = self._kinematics.fk(state.joints)
        self._commands.measure(palm)
        if not self.active:
            return
        self._states.publish(state.joints, state.speeds, palm, ns)
        self._newest = state
        self._tell(state)

    def _tell(self, state: State) -> None:
        if state.servoing:
            self._asked = False
            if state.held:
                self._arm_status.warn(state.held)
            self._arm_status.servoing(state_age=f"{state.age:.4f} s")
        elif state.trouble:
            self._stopped(state.trouble)
        elif self._first_state:
            self._take_control()
        elif not self._asked:
            self._arm_status.stopped(f"stands ready after a stop ({self._cause}). {self._to_go_on}")
        self._first_state = False

    def _take_control(self) -> None:
        self._asked = True
        self._commands.reset()
        if self._servo is not None:
            self._servo.send(TakeControl(), CONTROL_TIME)

    def _on_end(self, reason: str) -> None:
        self._newest, self._first_state = None, False
        self._stopped(reason)

    def _stopped(self, cause: str) -> None:
        self._asked, self._cause = False, cause
        self._commands.reset()
        self._arm_status.stopped(f"{cause}. {self._to_go_on}")

    @property
    def _to_go_on(self) -> str:
        return f"To go on call {self.resolve_service_name(contract.ARM_RESUME_SERVICE)}"

    # ROS callbacks

    def _on_target(self, target: np.ndarray) -> None:
        if self._servo is not None:
            self._servo.send(Target(target))

    def _on_hold(self) -> None:
        if self._servo is not None:
            self._servo.send(Hold())

    def _watch(self) -> None:
        if self._servo is not None:
            self._servo.send(Alive())
            self._commands.watch()

    @when_active
    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Takes control of the arm where it is."""
        if not self._arm_status.stop:
            response.success, response.message = True, "nothing stops the arm"
            return response
        state = self._newest
        if state is None or state.trouble:
            response.message = f"the arm can't go on: {self._cause}"
            return response
        self._take_control()
        asked = time.monotonic()
        while self._asked and self.active and time.monotonic() - asked < CONTROL_TIME:
            time.sleep(0.02)
        response.success = not self._arm_status.stop
        response.message = (
            "the arm holds where it is, and follows targets"
            if response.success
            else f"the arm can't go on: {self._cause}"
        )
        return response


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(ArmDriverNode))


if __name__ == "__main__":
    run()
