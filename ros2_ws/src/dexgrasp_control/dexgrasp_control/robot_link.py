"""The robot as the control node meets it: measured states in, one command out for each.

States come a hundred times a second and each wakes the node: they are listened to while a grasp or
a move goes on, and not between.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_control.control_parameters import ControlParameters
from dexgrasp_control.motion import Motion
from dexgrasp_control.robot_state_input import RobotStateInput
from dexgrasp_control.wrist_input import WristInput
from dexgrasp_models.control.types import Command, OutcomeKind, RobotState
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import MessageError
from dexgrasp_ros.node import ManagedNode

WATCHDOG_PERIOD = 0.02
"""Seconds of wall time between two looks at whether states come."""
_STALL = 5 * WATCHDOG_PERIOD
"""Longest silence, s, that one look counts: what this process itself slept is not the robot's."""


class RobotLink:
    """Answers each measured state with a command while a motion goes on; its callbacks never wait.

    A grasp or a move takes place within `listening`.

    An earlier stamp is not skipped: that time went back ends the motion.

    Args:
        node: subscribes and publishes.
        parameters: of the control node.
        hand: the hand.
        arm_joints: names of the arm's joints, where there is one.
        on_fault: told why a measured state is bad, and with an empty text that they are good again.
        on_stage: told the stage of the motion when it changes, and whether the wrist is moved in
            it, other than a person moves it.
    """

    def __init__(
        self,
        node: ManagedNode,
        parameters: ControlParameters,
        hand: HandSpec,
        arm_joints: tuple[str, ...],
        on_fault: Callable[[str], None],
        on_stage: Callable[[str, bool], None],
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._hand = hand
        self._arm_joints = arm_joints
        self._on_fault = on_fault
        self._on_stage = on_stage
        self._faults: dict[str, str] = {}
        self._state: RobotState | None = None
        self._state_ns = self._wrist_ns = -1
        self._wrist_keeps_up = False
        self._heard = -float("inf")
        self._silence = 0.0
        self._watched = time.monotonic()
        self._motion: Motion | None = None
        self.finger_targets: np.ndarray | None = None
        """(22,) those that were commanded last, rad; None before the first."""
        hand_command, wrist_target = contract.HAND_COMMAND, contract.WRIST_TARGET
        self._hand_command = node.create_lifecycle_publisher(
            hand_command.type, hand_command.name, hand_command.qos
        )
        self._wrist_target = node.create_lifecycle_publisher(
            wrist_target.type, wrist_target.name, wrist_target.qos
        )

    @contextmanager
    def listening(self, wrist: WristInput | None = None) -> Iterator[None]:
        """Measured states are taken, and watched, within this context.

        Args:
            wrist: gets a person's wrist and buttons too.
        """
        self._input = RobotStateInput(
            self._hand.finger_joints,
            conversions.seconds_to_ns(self._parameters.stamp_tolerance),
            self._arm_joints,
        )
        subscriptions = [
            self._node.create_subscription(
                topic.type, topic.name, partial(self._on_state, topic.name, put), topic.qos
            )
            for topic, put in (
                (contract.JOINT_STATES, self._input.put_joints),
                (contract.WRIST_POSE, self._input.put_wrist),
            )
        ]
        if wrist is not None:
            topic = contract.TELEOP_WRIST
            buttons = contract.CLUTCH
            subscriptions += [
                self._node.create_subscription(
                    topic.type, topic.name, partial(self._on_wrist, wrist), topic.qos
                ),
                self._node.create_subscription(
                    buttons.type, buttons.name, wrist.put_buttons, buttons.qos
                ),
            ]
        self._watched = time.monotonic()
        timer = self._node.create_timer(WATCHDOG_PERIOD, self._watch, clock=self._node.steady_clock)
        try:
            yield
        finally:
            self._node.destroy_timer(timer)
            for subscription in subscriptions:
                self._node.destroy_subscription(subscription)
            if self._faults:  # nobody would notice that the states are good again
                self._faults.clear()
                self._on_fault("")

    def resolved(self, topic: contract.Topic) -> str:
        """A topic's name in full."""
        return self._node.resolve_topic_name(topic.name)

    def publishers(self, topic: contract.Topic) -> int:
        """How many there are on a topic."""
        return self._node.count_publishers(topic.name)

    @property
    def moving(self) -> bool:
        """Whether a motion goes on."""
        return self._motion is not None

    @property
    def state(self) -> RobotState:
        """The newest measured state."""
        assert self._state is not None
        return self._state

    def arm_angles(self) -> np.ndarray | None:
        """(6,) newest angles of the arm's joints, rad; None without an arm.

        Raises:
            MessageError: some were not reported.
        """
        return self._input.angles(self._arm_joints) if self._arm_joints else None

    def fresh_state(self, tell: Callable[[str], None]) -> RobotState:
        """A state measured after now; to be called beside the executor.

        Raises:
            MessageError: none comes within `state_timeout`.
        """
        joints, wrist = (
            self._node.resolve_topic_name(topic.name)
            for topic in (contract.JOINT_STATES, contract.WRIST_POSE)
        )
        asked = time.monotonic()
        while self._heard < asked:
            tell(f"waiting for a measured state on {joints} and {wrist}")
            if time.monotonic() - asked > self._parameters.state_timeout:
                raise MessageError(
                    f"no measured state on {joints} and {wrist}"
                    f" within {self._parameters.state_timeout:g} s"
                )
            time.sleep(WATCHDOG_PERIOD)
        assert self._state is not None
        return self._state

    def start(self, motion: Motion) -> None:
        """Lets a motion answer the states from now on."""
        self._silence = 0.0
        self._on_stage(motion.controller.stage, not motion.controller.follows_wrist)
        self._motion = motion

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        """Ends the present motion, if there is one, at the next state or shortly after."""
        motion = self._motion
        if motion is not None:
            motion.controller.abort(reason, kind)
            if motion.sight is not None:
                motion.sight.conclude(None, reason)

    def end(self) -> None:
        """Lets go: a trajectory without points says that nothing more is commanded."""
        motion, self._motion = self._motion, None
        if motion is not None:
            self._hand_command.publish(
                JointTrajectory(header=conversions.header(motion.answered_ns, ""))
            )
            motion.ended.set()

    def _on_state(
        self, topic: str, put: Callable[[Any], None], message: JointState | PoseStamped
    ) -> None:
        try:
            put(message)
        except MessageError as error:
            fault = f"bad measured state on {self._node.resolve_topic_name(topic)}: {error}"
            self.abort(fault, OutcomeKind.STALE_INPUT)
            self._faults[topic] = fault
            self._on_fault(fault)
            return
        if self._faults.pop(topic, None) is not None:
            self._on_fault("; ".join(self._faults.values()))
        unanswered, pair = self._waits_for_wrist, self._input.newest()
        if pair is None:
            return
        ns, self._state = pair
        if ns < self._state_ns:  # a simulator was reset: nothing is held any more
            self.finger_targets = None
        if not unanswered:
            self._silence = 0.0
        self._wrist_keeps_up &= not unanswered
        self._state_ns, self._wrist_ns = ns, self._input.wrist_ns
        self._heard = time.monotonic()
        self._answer()

    def _on_wrist(self, wrist: WristInput, message: PoseStamped) -> None:
        """A person's wrist; a bad one is told, and it is up to the controller to go on without."""
        topic = contract.TELEOP_WRIST.name
        try:
            wrist.put(message)
        except MessageError as error:
            fault = f"refused a wrist on {self._node.resolve_topic_name(topic)}: {error}"
            self._faults[topic] = fault
            self._on_fault(fault)
            return
        if self._faults.pop(topic, None) is not None:
            self._on_fault("; ".join(self._faults.values()))
        self._wrist_keeps_up |= wrist.stamp >= self._wrist_ns
        self._answer()

    @property
    def _waits_for_wrist(self) -> bool:
        """Whether the state that came last is not answered for want of the wrist that it leads to.

        So a person's wrist is followed a state sooner. Beside lock-step a stream that missed a
        state is not waited for, until it keeps up again.
        """
        motion = self._motion
        return (
            (self._parameters.lock_step or self._wrist_keeps_up)
            and motion is not None
            and motion.answered_ns != self._state_ns
            and motion.lacks_wrist(self._wrist_ns)
        )

    def _answer(self) -> None:
        """Answers the newest state, unless it is answered or something of it is still to come."""
        motion = self._motion
        if motion is None or self._state is None or motion.answered_ns == self._state_ns:
            return
        if motion.withheld is not None and motion.withheld[0] == self._state_ns:
            return  # told again while the cameras look; `_watch` answers it, once
        if not self._waits_for_wrist:
            self._silence = 0.0
            self._tick(motion, self._state_ns, self._state)

    def _tick(self, motion: Motion, ns: int, state: RobotState) -> None:
        """Answers a measured state; the first after the outcome is known is left to the robot."""
        controller, motion.withheld = motion.controller, None
        stage = controller.stage
        now = self._node.get_clock().now().nanoseconds / conversions.NANOSECONDS
        try:
            command = motion.step(state, now)
        except Exception as error:  # of a controller from elsewhere: the robot is let go in order
            self._node.get_logger().error(f"the controller failed: {traceback.format_exc()}")
            self.abort(f"the controller failed: {error!r}")
            command = None
        if self._parameters.lock_step and motion.waits_for_sight and controller.outcome is None:
            motion.withheld = ns, state
            return
        motion.answered_ns = ns
        if controller.outcome is not None or command is None:
            self.end()
            return
        self._send(command, ns)
        if controller.stage != stage:
            self._on_stage(controller.stage, not controller.follows_wrist)

    def _send(self, command: Command, ns: int) -> None:
        self.finger_targets = command.finger_targets
        self._wrist_target.publish(
            conversions.pose_stamped(command.wrist_target, ns, conversions.WORLD)
        )
        self._hand_command.publish(
            conversions.joint_trajectory(self._hand.finger_joints, command.finger_targets, ns)
        )

    def _watch(self) -> None:
        """Stops a motion whose measured states no longer come, and gives the answer withheld."""
        now = time.monotonic()
        passed, self._watched = now - self._watched, now
        motion = self._motion
        if motion is None:
            return
        if motion.controller.outcome is not None:  # no state need come for that
            self.end()
            return
        if motion.withheld is not None:
            if not motion.waits_for_sight:
                self._tick(motion, *motion.withheld)
            return
        self._silence += min(passed, _STALL)
        if self._silence > self._parameters.state_timeout:
            missing = "person's wrist" if self._waits_for_wrist else "measured state"
            motion.controller.abort(
                f"no {missing} for {self._silence:.2f} s", OutcomeKind.STALE_INPUT
            )
            self.end()
