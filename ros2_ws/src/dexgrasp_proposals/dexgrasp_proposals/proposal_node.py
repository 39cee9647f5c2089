"""The node that proposes grasps: the /proposals/generate service around a proposer."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from geometry_msgs.msg import PoseArray
from rclpy.exceptions import InvalidHandle
from sensor_msgs.msg import PointCloud2

from dexgrasp_interfaces.msg import GraspArray
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.language.clip import NO_CLIP
from dexgrasp_models.language.selection import LanguageConfig, LanguageSelector
from dexgrasp_models.parameters import Parameters, choice, parameter
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.proposals.proposer import (
    PROPOSERS,
    DrawsRotations,
    make_proposer,
)
from dexgrasp_models.proposals.reachability import NoProposalError
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.object_surface import CloudError
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_proposals.markers import GraspMarkers
from dexgrasp_ros import contract, conversions, image_messages
from dexgrasp_ros.conversions import MessageError
from dexgrasp_ros.kinds import declare_kinds
from dexgrasp_ros.node import OK, WARN, ManagedNode, when_active
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import current_parameters, declare_parameters
from dexgrasp_ros.worker import Worker

CLOUD_TIMEOUT = 2.0
"""Seconds of wall time to wait for any cloud; one may be on its way."""
NAMED_CLOUD_TIMEOUT = 20.0
"""Seconds of wall time to wait for the cloud that a request names. It was captured, but a node that
has just started may still have to discover who publishes it."""
EXECUTION = "analytic."
"""Prefix of what is asked of the grasps of any proposer."""


@dataclass(frozen=True)
class ProposalParameters(Parameters):
    """Parameters of the proposal node beside those of the proposer."""

    proposer: str = choice(PROPOSERS.default, lambda: PROPOSERS.names, "what proposes grasps")
    scene: str = choice(
        "floating",
        ("floating", "arm"),
        "whether the hand is free, or an arm carries it and has to reach",
    )
    count: int = parameter(8, 1, 256, "", "grasps to return where a request does not say")
    shown: int = parameter(4, 0, 64, "", "best grasps that are drawn as markers")
    threads: int = parameter(1, 1, 64, "", "threads that the proposer may use")


class ProposalNode(ManagedNode):
    """Ranked grasps for the newest cloud of the object, on request.

    The settings of every proposer are parameters with its name before them. What is asked of the
    grasps of any of them (`ExecutionConfig`) stands among those of the analytic one.
    """

    parameters_type = ProposalParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("proposals", **options)
        self._settings = declare_kinds(self, PROPOSERS)
        self._execution = declare_parameters(self, ExecutionConfig, prefix=EXECUTION)
        self._language = declare_parameters(self, LanguageConfig, prefix="language.")
        self._cloud_changed = threading.Condition()
        self._cloud: tuple[int, FusedCloud] | None = None

    def configure(self) -> None:
        self._settings = {
            name: current_parameters(self, settings, prefix=f"{name}.")
            for name, settings in self._settings.items()
        }
        self._execution = current_parameters(self, self._execution, prefix=EXECUTION)
        self._language = current_parameters(self, self._language, prefix="language.")
        torch.set_num_threads(self.parameters.threads)
        self._finger_joints = load_hand().finger_joints
        arm = ArmKinematics() if self.parameters.scene == "arm" else None
        name = self.parameters.proposer
        self._proposer = make_proposer(
            name, self._settings.get(name), execution=self._execution, arm=arm
        )
        self._selector = LanguageSelector(self._language) if self._language.weights else None
        self._markers = GraspMarkers()
        self._grasps = self._publisher(contract.GRASPS)
        self._poses = self._publisher(contract.GRASP_POSES)
        self._drawn = self._publisher(contract.GRASP_MARKERS)
        self._rotations = self._publisher(contract.ROTATION_DENSITY)
        self.create_subscription(
            PointCloud2,
            contract.OBJECT_CLOUD.name,
            self._on_cloud,
            contract.OBJECT_CLOUD.qos,
        )
        self._pictures = Worker("pictures")
        # Beside the subscription: a request may have to wait for its cloud.
        self.create_waiting_service(GenerateProposals, contract.GENERATE_SERVICE, self._on_generate)

    def _publisher(self, topic: contract.Topic):
        return self.create_lifecycle_publisher(topic.type, topic.name, topic.qos)

    def _on_cloud(self, message: PointCloud2) -> None:
        try:
            points, normals = conversions.cloud_from_message(message)
            if normals is None:
                raise MessageError("the cloud has no normals")
        except MessageError as error:
            topic = self.resolve_topic_name(contract.OBJECT_CLOUD.name)
            self.report(WARN, f"ignored a cloud on {topic}: {error}")
            return
        cloud = FusedCloud(points, normals)
        with self._cloud_changed:
            self._cloud = conversions.stamp_to_ns(message.header.stamp), cloud
            self._cloud_changed.notify_all()

    def deactivate(self) -> None:
        with self._cloud_changed:  # who waits for a cloud gets its answer now
            self._cloud_changed.notify_all()

    def cleanup(self) -> None:
        self._pictures.end()

    @when_active
    def _on_generate(
        self, request: GenerateProposals.Request, response: GenerateProposals.Response
    ) -> GenerateProposals.Response:
        if request.text and self._selector is None:
            return self._refused(response, f"{NO_CLIP}, and name it in 'language.weights'")
        cloud = self._wait_for_cloud(conversions.stamp_to_ns(request.cloud_stamp))
        if cloud is None:
            return self._refused(
                response,
                f"there is no cloud of the object (with that stamp): call"
                f" {self.resolve_service_name(contract.CAPTURE_SERVICE)} first",
            )
        ns, points = cloud
        count = request.count or self.parameters.count
        try:
            grasps = self._proposed(points, count, request)
        except (CloudError, NoProposalError, ValueError) as error:
            return self._refused(response, str(error))
        response.success = True
        response.message = f"{len(grasps)} grasps, best score {grasps[0].score:.2f}"
        if remark := self._proposer.progress.remark:
            response.message += f"; {remark}"
        response.proposals = self._publish(grasps, ns)
        if isinstance(self._proposer, DrawsRotations):
            # A picture takes about as long as the proposals, which nobody is to wait for.
            self._pictures.start(partial(self._publish_picture, self._proposer, points, grasps, ns))
        self.report(OK, response.message, proposer=self.parameters.proposer)
        return response

    def _publish_picture(
        self, proposer: DrawsRotations, cloud: FusedCloud, grasps: list[Grasp], ns: int
    ) -> None:
        picture = proposer.rotation_picture(cloud, grasps)
        with suppress(InvalidHandle):  # the node has been cleaned up meanwhile
            self._rotations.publish(image_messages.color_to_message(picture, ns, conversions.WORLD))

    def _proposed(
        self, cloud: FusedCloud, count: int, request: GenerateProposals.Request
    ) -> list[Grasp]:
        if self._selector is None or not request.text:
            return self._proposer.propose(cloud, count, request.seed)
        return self._selector.propose(self._proposer, cloud, request.text, count, request.seed)

    def _wait_for_cloud(self, stamp_ns: int) -> tuple[int, FusedCloud] | None:
        """The cloud with that stamp, or the newest one where the stamp is zero."""

        def is_there() -> bool:
            # A later stamp says nothing: the clock of a simulator goes back in a reset.
            return self._cloud is not None and stamp_ns in (0, self._cloud[0])

        with self._cloud_changed:
            timeout = NAMED_CLOUD_TIMEOUT if stamp_ns else CLOUD_TIMEOUT
            self._cloud_changed.wait_for(lambda: is_there() or not self.active, timeout)
            return self._cloud if is_there() else None

    def _refused(
        self, response: GenerateProposals.Response, reason: str
    ) -> GenerateProposals.Response:
        response.success = False
        response.message = reason
        self.report(WARN, reason)
        return response

    def _publish(self, grasps: list[Grasp], ns: int) -> GraspArray:
        header = conversions.header(ns, conversions.WORLD)
        messages = [conversions.grasp_to_message(g, self._finger_joints, ns) for g in grasps]
        array = GraspArray(header=header, grasps=messages)
        self._grasps.publish(array)
        self._poses.publish(PoseArray(header=header, poses=[m.palm_pose for m in messages]))
        self._drawn.publish(self._markers.draw(grasps[: self.parameters.shown], header))
        return array


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(ProposalNode))


if __name__ == "__main__":
    run()
