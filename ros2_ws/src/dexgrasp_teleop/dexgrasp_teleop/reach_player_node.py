"""Nodes that play a person's wrist: a reach to the best grasp that is proposed, then up.

They stand in for a person in simulation: whenever the control node waits for a wrist, they ask for
proposals on the newest cloud. A recorded reach is played as it is, and needs no proposals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.subscription import Subscription
from rclpy.task import Future
from sensor_msgs.msg import JointState, PointCloud2

from dexgrasp_interfaces.msg import ControlState
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.control.planner import GraspPlanner
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.parameters import choice, parameter, text
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.pattern_files import load_patterns
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.played_wrist import (
    PlayConfig,
    PlayedWrist,
    reach_to,
    recorded_reach,
)
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import MessageError
from dexgrasp_ros.node import OK, WARN, ManagedNode

_CAPTURE = "capture"
"""Stage of the control node after which there is a new cloud."""
_WAYS = 3
"""To each grasp that are tried."""
_FOLLOW = "follow"
"""Its stage after `wrist`, which alone is heard where both came meanwhile: the last one is kept."""


@dataclass(frozen=True)
class PlayerParameters(PlayConfig):
    """Parameters of the wrist player."""

    patterns: str = text("", "file of `dexgrasp assist import`; empty: generated")
    recording: str = text("", "`.csv` file of a reach in world that is played; empty: patterns are")
    seed: int = parameter(0, 0, 2**31 - 1, "", "of the patterns, the reach, and the proposals")
    proposals: int = parameter(8, 1, 256, "", "grasps to ask for and to choose from")
    scene: str = choice(
        "floating", ("floating", "arm"), "whether the hand is free, or an arm has to reach"
    )


class ReachPlayerNode(ManagedNode):
    """Has one reach to play for each grasp that waits for a person's wrist.

    A seed gives the same reaches in the same order. Only patterns that are held out are played, as
    in evaluation: no policy was trained with them.

    Attributes:
        played: what is played now; None while nothing is.
    """

    parameters_type = PlayerParameters
    start_topic: ClassVar[contract.Topic] = contract.WRIST_POSE
    """Says where the wrist is that is to be moved; listened to while a grasp waits for it."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._starts: list[Subscription] = []
        self.played: PlayedWrist | None = None

    # What a subclass plays it on

    def begin(self, ns: int) -> None:
        """`played` begins, at the stamp of the wrist that it starts from."""

    def play(self, message: PoseStamped, ns: int) -> None:
        """Called for each message of `start_topic`, with its stamp, while something is played."""

    def end(self) -> None:
        """Nothing is played any more."""

    # Lifecycle

    def configure(self) -> None:
        p = self.parameters
        self._hand = load_hand()
        self._task = AssistConfig()
        self._control = load_control_config()
        self._arm = ArmKinematics() if p.scene == "arm" else None
        self._planner = GraspPlanner(self._control, self._arm, self._hand)
        self._rng = np.random.default_rng(p.seed)
        found = load_patterns(Path(p.patterns)) if p.patterns else generate(self._rng)
        self._patterns = found.held_out
        self._recorded = recorded_reach(Path(p.recording), self._task) if p.recording else None
        self._forget()
        self._begun = False  # the present grasp is known to wait, or to have waited, for the wrist
        self._cloud: tuple[int, np.ndarray] | None = None
        self._used: int | None = None  # stamp of the cloud of the last reach
        for topic, callback in (
            (contract.CONTROL_STATE, self._on_control_state),
            (contract.OBJECT_CLOUD, self._on_cloud),
        ):
            self.create_subscription(topic.type, topic.name, callback, topic.qos)
        self._generate = self.create_client(GenerateProposals, contract.GENERATE_SERVICE)

    def deactivate(self) -> None:
        self.rest()

    def _forget(self) -> None:
        self._wanted = False  # a grasp waits for the wrist
        self._answer: Future | None = None
        self._grasps: list[Grasp] = []
        self._joint_states: JointState | None = None  # the newest while `start_topic` is heard
        self.played = None

    # What the graph says

    def _on_control_state(self, message: ControlState) -> None:
        waits = message.state == ControlState.WRIST
        if message.state == _CAPTURE:
            self._begin_anew()
        elif self.active and (waits or (message.state == _FOLLOW and not self._begun)):
            self.rest()
            self._begun = self._wanted = True
            self._ask()
        elif message.state in (ControlState.IDLE, ControlState.INACTIVE):
            self.rest()
            self._begin_anew()  # `capture` may be missed as well

    def _begin_anew(self) -> None:
        """The next grasp has another cloud: it may be heard before the stage in which it came."""
        self._begun = False
        if self._cloud is not None and self._cloud[0] == self._used:
            self._cloud = None

    def _on_cloud(self, message: PointCloud2) -> None:
        try:
            points, _ = conversions.cloud_from_message(message)
        except MessageError as error:
            self.report(WARN, f"ignored a cloud: {error}")
            return
        self._cloud = conversions.stamp_to_ns(message.header.stamp), points
        self._ask()

    # From the cloud to a reach

    def _ask(self) -> None:
        """Asks for proposals once there is a cloud, and a grasp that waits for the wrist."""
        if not self._wanted or self._cloud is None or self._answer is not None:
            return
        self._used = self._cloud[0]
        if self._recorded is not None:
            self._listen()
            return
        if not self._generate.service_is_ready():
            self._give_up(f"{self._generate.service_name} is not there")
            return
        self._answer = self._generate.call_async(
            GenerateProposals.Request(
                count=self.parameters.proposals,
                seed=self.parameters.seed,
                cloud_stamp=conversions.ns_to_stamp(self._cloud[0]),
            )
        )
        self._answer.add_done_callback(self._on_proposals)

    def _on_proposals(self, answer: Future) -> None:
        if answer is not self._answer:  # of a grasp that is over
            return
        response = answer.result()
        if not response.success:
            self._give_up(response.message)
            return
        try:
            self._grasps = [
                conversions.grasp_from_message(grasp, self._hand.finger_joints)
                for grasp in response.proposals.grasps
            ]
        except MessageError as error:
            self._give_up(f"bad proposal: {error}")
            return
        self._listen()

    def _listen(self) -> None:
        """Looks where the wrist is from now on, and how the arm stands."""
        if self._starts:
            return
        heard = [(self.start_topic, self._on_wrist)]
        if self._arm is not None:
            heard.append((contract.JOINT_STATES, self._on_joint_states))
        self._starts = [
            self.create_subscription(topic.type, topic.name, callback, topic.qos)
            for topic, callback in heard
        ]

    def _on_joint_states(self, message: JointState) -> None:
        self._joint_states = message

    def _on_wrist(self, message: PoseStamped) -> None:
        ns = conversions.stamp_to_ns(message.header.stamp)
        if self.played is None and self._wanted:
            if self._arm is not None and self._joint_states is None:
                return
            self._begin(message, ns)
        if self.played is not None:
            self.play(message, ns)

    def _begin(self, message: PoseStamped, ns: int) -> None:
        try:
            start = conversions.world_pose_from_message(message)
            arm_joints = self._arm_joints()
        except MessageError:  # the control node tells of it
            return
        assert self._cloud is not None
        highest = self._control.limits.workspace_high[2]
        for reach in self._reaches():
            played = PlayedWrist(start, reach, self._cloud[1], self.parameters, self._task, highest)
            if self._planner.is_reachable(arm_joints, played.waypoints):
                self.played = played
                self.begin(ns)
                self.report(OK, f"plays a reach of {played.arrives:.1f} s")
                return
        if self._recorded is not None:
            self._give_up("the recorded reach is not within reach and space")
        else:
            self._give_up(
                f"no reach to any of {len(self._grasps)} grasps is within reach and space"
            )

    def _reaches(self) -> Iterator[np.ndarray]:
        """(T, 4, 4) each: to each grasp, the best first, and then to each in other ways."""
        if self._recorded is not None:
            yield self._recorded
            return
        for grasp in _WAYS * self._grasps:
            yield reach_to(grasp, self._patterns, self._hand, self._task, self._rng)

    def _arm_joints(self) -> np.ndarray | None:
        """(6,) newest angles of the arm's joints, rad; None where there is no arm.

        Raises:
            MessageError: they were not reported.
        """
        if self._arm is None:
            return None
        assert self._joint_states is not None
        return conversions.joints_from_message(self._joint_states, self._arm.arm.joint_names)[0]

    def rest(self) -> None:
        """Nothing is played any more, until the next grasp waits."""
        if self._starts:
            for subscription in self._starts:
                self.destroy_subscription(subscription)
            self._starts = []
            self.report(OK, "active")
        if self.played is not None:
            self.end()
        self._forget()

    def _give_up(self, reason: str) -> None:
        self.rest()
        self.report(WARN, f"plays no reach: {reason}")
