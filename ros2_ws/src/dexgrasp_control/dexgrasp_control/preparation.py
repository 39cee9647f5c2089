"""What comes before a grasp moves the robot: the cloud, the proposals, and the plan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from std_srvs.srv import Trigger

from dexgrasp_control.cloud_input import CloudInput
from dexgrasp_control.service_call import NoAnswer, ServiceCall
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_interfaces.msg import Grasp as GraspMessage
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_models.control.types import Outcome, OutcomeKind
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import conversions
from dexgrasp_ros.conversions import MessageError
from dexgrasp_ros.transforms import Transforms

CLOUD_TIMEOUT = 20.0
"""Seconds of wall time in which the clouds of a capture must have come."""
TRANSFORM_TIMEOUT = 2.0
"""Seconds of wall time in which the transform of a given grasp's frame must have come."""

Tell = Callable[[str], None]
"""Takes what is waited for, and raises `GraspEnded` where the grasp is not wanted any more."""


class GraspEnded(Exception):
    """The grasp is over before the robot moved.

    Attributes:
        outcome: how it ended.
    """

    def __init__(self, kind: OutcomeKind, reason: str) -> None:
        super().__init__(reason)
        self.outcome = Outcome(kind, reason)


class Preparation:
    """Grasps to choose from, by the other nodes or as given, with the clouds they belong to.

    Args:
        hand: whose joints the grasps are for.
        clouds: what perception publishes.
        capture: its service.
        generate: the proposal node's.
        transforms: makes the input of transforms, at the first grasp that needs one.
    """

    def __init__(
        self,
        hand: HandSpec,
        clouds: CloudInput,
        capture: ServiceCall,
        generate: ServiceCall,
        transforms: Callable[[], Transforms],
    ) -> None:
        self._hand = hand
        self.clouds = clouds
        self._capture = capture
        self._generate = generate
        self._transforms = transforms
        self.spent_stamp = -1

    def take_cloud(self, tell: Tell) -> None:
        """Lets the cameras look, and waits for the clouds.

        Raises:
            GraspEnded: there is none.
        """
        before = self.clouds.received
        try:
            response = self._capture(Trigger.Request(), tell)
        except NoAnswer as error:
            raise GraspEnded(OutcomeKind.NO_CLOUD, str(error)) from None
        if not response.success:
            raise GraspEnded(OutcomeKind.NO_CLOUD, response.message)
        tell("waiting for the clouds of the capture")
        if not self.clouds.wait_for_newer(before, CLOUD_TIMEOUT):
            raise GraspEnded(
                OutcomeKind.NO_CLOUD, f"{self._capture.name} succeeded, but no cloud came"
            )

    def propose(self, count: int, text: str, seed: int, tell: Tell) -> list[Grasp]:
        """Grasps for the newest cloud, best first.

        Raises:
            GraspEnded: there is none.
        """
        request = GenerateProposals.Request(
            count=count,
            text=text,
            seed=seed,
            cloud_stamp=conversions.ns_to_stamp(self.clouds.stamp),
        )
        try:
            response = self._generate(request, tell)
        except NoAnswer as error:
            raise GraspEnded(OutcomeKind.NO_PROPOSAL, str(error)) from None
        if not response.success:
            raise GraspEnded(OutcomeKind.NO_PROPOSAL, response.message)
        try:
            return [
                conversions.grasp_from_message(grasp, self._hand.finger_joints)
                for grasp in response.proposals.grasps
            ]
        except MessageError as error:
            raise GraspEnded(OutcomeKind.NO_PROPOSAL, f"bad proposal: {error}") from None

    def given(self, request: ExecuteGrasp.Goal, tell: Tell) -> Grasp:
        """The grasp of a request, in the world.

        Raises:
            GraspEnded: it can't be used, or there is no cloud of the object on the table.
        """
        if self.clouds.stamp < 0:
            raise GraspEnded(
                OutcomeKind.NO_CLOUD, f"call {self._capture.name} before giving a grasp"
            )
        if self.clouds.stamp == self.spent_stamp:
            raise GraspEnded(
                OutcomeKind.NO_CLOUD,
                "the newest cloud shows the object of the last grasp held up:"
                f" call {self._capture.name} before giving a grasp",
            )
        try:
            message = self._in_world(request.grasp, tell)
            return conversions.grasp_from_message(message, self._hand.finger_joints)
        except MessageError as error:
            raise GraspEnded(OutcomeKind.NO_PROPOSAL, f"bad grasp: {error}") from None

    def frame_in_world(self, frame: str, tell: Tell) -> np.ndarray:
        """(4, 4) pose of a frame in `world`.

        Raises:
            MessageError: no transform leads there.
        """
        if frame in ("", conversions.WORLD):
            return np.eye(4)
        tell(f"looking up the transform of {frame}")
        return self._transforms().pose(frame, TRANSFORM_TIMEOUT)

    def _in_world(self, message: GraspMessage, tell: Tell) -> GraspMessage:
        frame = message.header.frame_id
        if frame in ("", conversions.WORLD):
            return message
        pose = self.frame_in_world(frame, tell) @ conversions.pose_from_message(message.palm_pose)
        return GraspMessage(
            header=conversions.header(
                conversions.stamp_to_ns(message.header.stamp), conversions.WORLD
            ),
            palm_pose=conversions.pose_to_message(pose),
            joint_names=message.joint_names,
            pregrasp_joints=message.pregrasp_joints,
            grasp_joints=message.grasp_joints,
            squeeze_joints=message.squeeze_joints,
            score=message.score,
            proposer=message.proposer,
            figure_names=message.figure_names,
            figures=message.figures,
        )
