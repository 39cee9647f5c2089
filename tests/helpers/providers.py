"""Who offers the robot's side of the contract; a driver is one more row.

The suites over `provider` (test_contract, test_commanders) say what each of them owes its users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from ros_graph import Graph

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import CameraModel, load_rig
from dexgrasp_ros import contract
from dexgrasp_sim_bridge.bridge_node import BridgeNode

STATES = (contract.JOINT_STATES, contract.WRIST_POSE, contract.TF)
SIMULATED = (contract.CLOCK, contract.OBJECT_POSE)
"""What a simulator offers beside them."""
SLOW = {"real_time_rate": 0.5}
"""All nodes of a test share one interpreter."""


@dataclass(frozen=True)
class Provider:
    """A robot with its cameras.

    Attributes:
        name: of the test.
        start: starts its nodes in a graph, with parameters in place of their defaults:
            `camera_rate` in Hz, `commander_timeout` in s, `limits__...`.
        arm: whether it has one, which can't go wherever a free hand can.
        states: topics that come periodically.
        rig: its cameras.
    """

    name: str
    start: Callable[..., Any]
    arm: bool
    states: tuple[contract.Topic, ...] = (*STATES, *SIMULATED)
    rig: list[CameraModel] = field(
        default_factory=lambda: load_rig(find_config("cameras/four_d415.yaml"))
    )

    @property
    def images(self) -> tuple[contract.Topic, ...]:
        """Topics of the cameras."""
        return tuple(
            topic(camera.name)
            for camera in self.rig
            for topic in (
                contract.depth_image,
                contract.depth_info,
                contract.color_image,
                contract.color_info,
            )
        )


def _bridge(scene: str) -> Provider:
    def start(ros: Graph, **parameters: Any) -> None:
        ros.start(BridgeNode, scene=scene, object="ball", **{**SLOW, **parameters})

    return Provider(f"bridge, {scene}", start, arm=scene == "arm")


PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider for provider in (_bridge("floating"), _bridge("arm"))
}

each_provider = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
"""A test is run with every provider."""
