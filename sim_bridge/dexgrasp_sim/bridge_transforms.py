"""The bridge's transforms: where the robot's links are, on /tf."""

from __future__ import annotations

import numpy as np
import torch
from tf2_msgs.msg import TFMessage

from dexgrasp_models.control.types import RobotState
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ManagedNode

PERIOD_TICKS = 5


class BridgeTransforms:
    """Publishes where the links are, from forward kinematics of the measured joints."""

    def __init__(self, node: ManagedNode) -> None:
        self._kinematics = HandKinematics(load_hand(), dtype=torch.float64)
        self._moving = node.create_lifecycle_publisher(
            contract.TF.type, contract.TF.name, contract.TF.qos
        )

    def publish_if_due(self, tick: int, ns: int, state: RobotState) -> None:
        """Publishes the transforms of this tick if it is time for them and somebody listens."""
        if tick % PERIOD_TICKS or not self._moving.get_subscription_count():
            return
        self._moving.publish(TFMessage(transforms=self._hand_transforms(ns, state)))

    def _hand_transforms(self, ns: int, state: RobotState) -> list:
        links = self._kinematics.spec.links
        poses = self._kinematics.link_poses(
            torch.from_numpy(state.wrist_pose)[None], torch.from_numpy(state.joints)[None]
        )[0].numpy()
        index = {link.name: i for i, link in enumerate(links)}
        transforms = [conversions.transform_stamped(poses[0], ns, conversions.WORLD, links[0].name)]
        for link, pose in zip(links[1:], poses[1:], strict=True):
            parent_T_link = np.linalg.solve(poses[index[link.parent]], pose)
            transforms.append(
                conversions.transform_stamped(parent_T_link, ns, link.parent, link.name)
            )
        return transforms
