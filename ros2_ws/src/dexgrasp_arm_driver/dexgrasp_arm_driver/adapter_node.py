"""The node that moves the arm by Universal Robots' own ROS 2 driver, in the arm driver's place.

It takes the wrist's targets as the arm driver does, and leads the joints to them within the same
limits; the other driver alone speaks with the controller. It takes control once by itself, when all
is told and well. Whatever stops the arm later, a person's /arm/resume is needed to go on.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from dexgrasp_arm_driver.arm_commands import ArmCommands
from dexgrasp_arm_driver.arm_states import ArmStates
from dexgrasp_arm_driver.arm_status import ArmStatus
from dexgrasp_arm_driver.controller_health import StampClock, StateTimes
from dexgrasp_arm_driver.driver_health import DriverStatus
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.arm_following import ArmFollower, ArmMotion, FollowLimits
from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.parameters import Parameters, choice, parameter, text
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ConfigurationError, ManagedNode, when_active
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import current_parameters, declare_parameters

if TYPE_CHECKING:
    from dexgrasp_arm_driver.set_points import SetPoints

_WATCH_PERIOD = 0.1
"""Seconds between two looks for silent commanders, and at who else is on the driver's topics."""
_STANDING = 0.02
"""rad/s, that no joint may exceed when control is taken."""
_SET_BACK = 1.0
"""s, by which a clock goes back when it is set, and states out of order do not."""
_ENDING = 0.8
"""s in which the arm comes to a standstill when the node is deactivated."""
_TARGET_PERIODS = (0.008, 0.05)
"""s, between which the time from one target to the next is believed."""


@dataclass(frozen=True)
class AdapterParameters(Parameters):
    """Parameters of the adapter beside those of following and of the limits."""

    driver_namespace: str = text("/", "namespace in which ur_robot_driver runs")
    joint_prefix: str = text("", "that ur_robot_driver was started with (tf_prefix)")
    interface: str = choice(
        "forward_position",
        ("forward_position", "trajectory"),
        "the driver's forward_position_controller, or its scaled_joint_trajectory_controller",
    )
    late_limit: float = parameter(
        0.05, 0.02, 0.5, "s", "joint states that come later than this, or not at all, stop the arm"
    )
    most_lag: float = parameter(
        0.3, 0.05, 1.0, "rad", "a joint that is farther from its set-point does not follow it"
    )
    lead: float = parameter(
        0.05, 0.02, 0.2, "s", "of `trajectory`: from a point to when the arm is to be there"
    )
    commander_timeout: float = parameter(
        1.5, 0.1, 60.0, "s", "a commander that has been silent for so long is let go"
    )


@dataclass(frozen=True, eq=False)
class _Measured:
    """A joint state: (6,) rad and rad/s, s on the driver's clock."""

    timestamp: float
    joints: np.ndarray
    speeds: np.ndarray


class ArmAdapterNode(ManagedNode):
    """The arm of the contract, by another's driver. All is done in the executor's thread."""

    parameters_type = AdapterParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("arm_adapter", **options)
        self._follow = declare_parameters(self, FollowLimits, prefix="follow.")
        self._safety = declare_parameters(self, load_control_config().limits, prefix="limits.")

    # Lifecycle

    def configure(self) -> None:
        if importlib.util.find_spec("ur_dashboard_msgs") is None:
            raise ConfigurationError(
                "ur_dashboard_msgs, the messages of ur_robot_driver, are not installed:"
                " apt install ros-jazzy-ur-dashboard-msgs"
            )
        from dexgrasp_arm_driver.driver_topics import DriverTopics
        from dexgrasp_arm_driver.set_points import FOLLOW_RATE, make_set_points

        p = self.parameters
        self._kinematics = ArmKinematics()
        self._names = [p.joint_prefix + name for name in self._kinematics.arm.joint_names]
        topics = DriverTopics(p.driver_namespace)
        self.hardware_id = f"{self._kinematics.arm.name} by ur_robot_driver in {p.driver_namespace}"
        safety = current_parameters(self, self._safety, prefix="limits.")
        self._period = 1.0 / FOLLOW_RATE
        self._follower = ArmFollower(
            self._kinematics,
            safety,
            current_parameters(self, self._follow, prefix="follow."),
            self._period,
        )
        self._states = ArmStates(self, self._kinematics, joints=self._has_joints_apart(topics))
        state = contract.ARM_STATE
        self._arm_status = ArmStatus(
            self, self.create_publisher(state.type, state.name, state.qos), self.hardware_id
        )
        self._commands = ArmCommands(
            self,
            self._arm_status,
            safety,
            silence_limit=p.commander_timeout,
            on_target=self._on_target,
            on_hold=self._on_hold,
        )
        self._set_points: SetPoints = make_set_points(p.interface, topics, self._names, p.lead)
        output = self._set_points.topic
        self._output = self.create_lifecycle_publisher(output.type, output.name, output.qos)
        self._states_topic = topics.joint_states
        self._listen(topics.joint_states, self._on_joint_state)
        self._driver = DriverStatus()
        for topic, name, field in (
            (topics.robot_mode, "robot_mode", "mode"),
            (topics.safety_mode, "safety_mode", "mode"),
            (topics.program_running, "program_running", "data"),
            (topics.speed_scaling, "speed_scaling", "data"),
        ):
            self._listen(topic, lambda m, name=name, field=field: self._note(name, m, field))
        self.create_service(Trigger, contract.ARM_RESUME_SERVICE, self._on_resume)
        self._motion: ArmMotion | None = None

    def activate(self) -> None:
        self.neighbours.refuse_publishers((contract.WRIST_POSE, self._set_points.topic))
        self._begin_anew()
        self._began = False
        self._cause = self._bad_state = self._disturbed = ""
        self._unheard = "the graph is not known yet"
        self._motion, self._aimed, self._ticks = None, 0.0, 0
        self._commands.reset()
        self._arm_status.stopped(self._waits_for())
        self._timers_of_activity = [
            self.create_timer(period, work, clock=self.steady_clock)
            for period, work in ((self._period, self._tick), (_WATCH_PERIOD, self._watch))
        ]

    def deactivate(self) -> None:
        """Brakes, within the limits."""
        for timer in self._timers_of_activity:
            self.destroy_timer(timer)
        motion, self._motion = self._motion, None
        if motion is None:
            return
        motion = self._follower.halt(motion)
        due = time.monotonic()
        end = due + _ENDING
        while not motion.standing and due < end:
            motion = self._follower.step(motion)
            self._output.publish(self._set_points.message(motion.joints))
            due += self._period
            time.sleep(max(0.0, due - time.monotonic()))

    def cleanup(self) -> None:
        self._commands.close()

    def _has_joints_apart(self, topics: Any) -> bool:
        """Whether the driver's joint states have another topic than those of our graph.

        Raises:
            ConfigurationError: they have not, and their joints are named otherwise.
        """
        own = self.resolve_topic_name(contract.JOINT_STATES.name)
        if self._resolved(topics.joint_states) != own:
            return True
        if self.parameters.joint_prefix:
            raise ConfigurationError(
                f"ur_robot_driver's joints have a prefix and its states are on {own}, where those"
                " of this graph belong: give one of the two a namespace"
            )
        return False

    def _listen(self, topic: contract.Topic, callback: Any) -> None:
        self.create_subscription(topic.type, topic.name, callback, topic.qos)

    def _resolved(self, topic: contract.Topic) -> str:
        return self.resolve_topic_name(topic.name)

    # What the driver says

    def _note(self, name: str, message: Any, field: str) -> None:
        self._driver = dataclasses.replace(self._driver, **{name: getattr(message, field)})
        if self.active:
            self._look(time.monotonic())

    def _begin_anew(self) -> None:
        """As if no state had come."""
        self._newest: _Measured | None = None
        self._times = StateTimes(self.parameters.late_limit)
        self._stamps = StampClock()
        self._slot = -1

    def _on_joint_state(self, message: JointState) -> None:
        if not self.active:
            return
        timestamp = conversions.stamp_to_ns(message.header.stamp) * 1e-9
        try:
            joints, speeds = conversions.joints_from_message(message, self._names)
        except conversions.MessageError as error:
            self._bad_state = str(error)
            return
        if not (np.isfinite(joints).all() and np.isfinite(speeds).all()):
            self._bad_state = "values that are not finite"
            return
        if self._newest is not None and timestamp <= self._newest.timestamp:
            self._bad_state = "its stamps do not go on"
            if timestamp > self._newest.timestamp - _SET_BACK:
                return
            self._fail("the clock of ur_robot_driver was set back")
            self._begin_anew()
        elif self._motion is None and self._times.age > self.parameters.late_limit:
            self._times = StateTimes(self.parameters.late_limit)  # what was late has come back
        self._bad_state = ""
        state = self._newest = _Measured(timestamp, joints, speeds)
        slot = int(timestamp * contract.CONTROL_RATE)
        if slot != self._slot:
            self._slot = slot
            self._publish(state)

    def _publish(self, state: _Measured) -> None:
        self._times.late(state.timestamp, time.monotonic())
        age_ns = conversions.seconds_to_ns(self._times.age)
        ns = self._stamps.stamp(state.timestamp, self.get_clock().now().nanoseconds - age_ns)
        palm = self._kinematics.fk(state.joints)
        self._commands.measure(palm)
        self._states.publish(state.joints, state.speeds, palm, ns)
        if self._motion is not None:
            if warning := self._motion.held or self._driver.warning:
                self._arm_status.warn(str(warning))
            self._arm_status.servoing(state_age=f"{self._times.age:.4f} s")

    def _waits_for(self) -> str:
        """What has not been told yet; empty where all has."""
        untold = self._driver.untold
        if self._newest is None:
            name = self._resolved(self._states_topic)
            return f"waits for {name}: {self._bad_state or 'is ur_robot_driver running?'}"
        if untold:
            return f"waits for the driver's {', '.join(untold)}"
        return "" if self._began else self._unheard

    def _trouble(self, now: float) -> str:
        """Why the arm can't be moved, and what to do; empty where it can."""
        assert self._newest is not None
        if self._times.late(self._newest.timestamp, now):
            if self._bad_state:
                return f"the joint states can't be used: {self._bad_state}"
            return (
                f"joint states come {self._times.age:.3f} s late or not at all: ur_robot_driver"
                " has stopped, or the machine is busy"
            )
        if trouble := self._driver.trouble or self._disturbed or self._unheard:
            return trouble
        if self._motion is not None:
            lag = float(np.abs(self._motion.joints - self._newest.joints).max())
            if lag > self.parameters.most_lag:
                return (
                    f"the arm does not follow the set-points, it is {lag:.2f} rad behind: is"
                    f" {self._controller} active (ros2 control list_controllers), is the arm free?"
                )
        return ""

    @property
    def _controller(self) -> str:
        return self._set_points.topic.name.split("/")[-2]

    # One period

    def _tick(self) -> None:
        if not self.active or not self._look(time.monotonic()):
            return
        assert self._motion is not None
        self._motion = self._follower.step(self._motion)
        self._ticks += 1
        if self._ticks % self._set_points.every == 0:
            self._output.publish(self._set_points.message(self._motion.joints))

    def _look(self, now: float) -> bool:
        """Notes how it is now; whether the arm is to be moved."""
        if waits_for := self._waits_for():
            self._arm_status.stopped(waits_for)
            return False
        if trouble := self._trouble(now):
            self._fail(trouble)
            return False
        if self._motion is None:
            if not self._began:
                self._take_control()
            else:
                self._arm_status.stopped(
                    f"stands ready after a stop ({self._cause}). {self._to_go_on}"
                )
        return self._motion is not None

    def _fail(self, cause: str) -> None:
        """No more set-points: the driver's controller stays at the last."""
        self._began, self._cause = True, cause
        if self._motion is not None:
            self._motion = None
            self._commands.reset()
        self._arm_status.stopped(f"{cause}. {self._to_go_on}")

    def _take_control(self) -> None:
        """Where the arm is, if it stands."""
        assert self._newest is not None
        if np.abs(self._newest.speeds).max() > _STANDING:
            self._arm_status.stopped("the arm moves: control is taken once it stands")
            return
        self._began = True
        self._commands.reset()
        self._motion = self._follower.at_rest(self._newest.joints)
        self._arm_status.servoing()

    @property
    def _to_go_on(self) -> str:
        return f"To go on call {self.resolve_service_name(contract.ARM_RESUME_SERVICE)}"

    # What the graph asks

    def _on_target(self, target: np.ndarray) -> None:
        if self._motion is None:
            return
        now = time.monotonic()
        within = min(max(now - self._aimed, _TARGET_PERIODS[0]), _TARGET_PERIODS[1])
        self._aimed = now
        self._motion = self._follower.aim(self._motion, target, within)

    def _on_hold(self) -> None:
        if self._motion is not None:
            self._motion = self._follower.halt(self._motion)

    def _watch(self) -> None:
        if not self.active:
            return
        topic = self._set_points.topic
        self._disturbed = self.neighbours.other_publisher((topic,)) or ""
        heard = self.count_subscribers(topic.name) > 0
        self._unheard = (
            "" if heard else f"nobody listens on {self._resolved(topic)}: load {self._controller}"
        )
        self._commands.watch()

    @when_active
    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Takes control of the arm where it is."""
        if self._motion is not None:
            response.success, response.message = True, "nothing stops the arm"
            return response
        self._look(time.monotonic())
        reason = self._waits_for() or self._trouble(time.monotonic())
        if not reason and self._motion is None:
            self._take_control()
            reason = "" if self._motion is not None else "the arm moves"
        response.success = not reason
        response.message = (
            f"the arm can't go on: {reason}"
            if reason
            else "the arm holds where it is, and follows targets"
        )
        return response


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(ArmAdapterNode))


if __name__ == "__main__":
    run()
