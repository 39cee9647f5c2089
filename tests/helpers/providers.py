"""Who offers the robot's side of the contract; a driver is one more row.

The suites over `provider` (test_contract, test_commanders) say what each of them owes its users.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from ros_graph import Graph, eventually
from std_srvs.srv import Trigger

from dexgrasp_bringup.driver_nodes import SimulatedCell, arm_driver, hand_driver, patience_with
from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import CameraModel, load_rig
from dexgrasp_ros import contract
from dexgrasp_sim_bridge.bridge_node import BridgeNode

STATES = (contract.JOINT_STATES, contract.WRIST_POSE, contract.TF, contract.OBJECT_POSE)
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
        drivers: whether hand and arm tell of themselves, in messages of their own that are stamped
            when that was measured, on the wall clock; else all is told at once, at ticks.
        states: topics that come periodically.
        rig: its cameras.
    """

    name: str
    start: Callable[..., Any]
    arm: bool
    drivers: bool = False
    states: tuple[contract.Topic, ...] = (*STATES, contract.CLOCK)
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


def _drivers(ros: Graph, camera_rate: float) -> None:
    """As processes, as they ask for the devices' own rates."""
    cell = SimulatedCell("ball", 1.0, 0, "cameras/four_d415.yaml")
    devices = ("arm", "hand", "cameras")
    nodes = [
        cell.node(devices),
        hand_driver(cell.hand_address),
        arm_driver(cell.arm_address),
        cell.cameras(color=True),
    ]
    patience = patience_with(devices)
    patience["realsense"] = {**patience["realsense"], "rate": round(camera_rate)}
    logs = ros.closing.enter_context(tempfile.TemporaryDirectory())
    ros.start_processes(
        [replace(n, parameters={**n.parameters, **patience.get(n.name, {})}) for n in nodes],
        Path(logs),
    )
    states = ros.collect(contract.ARM_STATE)
    for service in (contract.HAND_RESUME_SERVICE, contract.ARM_RESUME_SERVICE):
        assert eventually(lambda at=service: ros.call(Trigger, at, Trigger.Request()).success)
    assert eventually(lambda: states and states[-1].level != DiagnosticStatus.ERROR)


BRIDGES: Mapping[str, Provider] = {
    provider.name: provider for provider in (_bridge("floating"), _bridge("arm"))
}
DRIVERS = Provider(
    "drivers", _drivers, arm=True, drivers=True, states=(*STATES, contract.SIM_JOINT_STATES)
)
PROVIDERS: Mapping[str, Provider] = {**BRIDGES, DRIVERS.name: DRIVERS}

each_provider = pytest.mark.parametrize("provider", BRIDGES.values(), ids=BRIDGES.keys())
"""A test is run with each simulator; of the drivers tests/hardware asks what these tests do."""
