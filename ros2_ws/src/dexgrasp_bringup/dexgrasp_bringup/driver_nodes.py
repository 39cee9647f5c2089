"""The nodes of the drivers, and of a simulated cell to whose devices they can be connected."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dexgrasp_bringup.graph_node import GraphNode
from dexgrasp_bringup.parameter_file import ParameterValue

Parameters = Mapping[str, ParameterValue]
_PATIENCE: Mapping[str, Mapping[str, Parameters]] = {
    "arm": {
        "arm_driver": {
            "controller.late_limit": 0.5,
            "controller.watchdog_rate": 2.0,
            "controller.reading_slack": 0.0005,
        },
        "control": {
            "stamp_tolerance": 0.1,
            "state_timeout": 15.0,
            "executor.transit_speed": 0.3,
            "executor.tracking_distance": 0.15,
        },
    },
    "hand": {"hand_driver": {"state_age": 1.0, "fault_after": 10.0, "lead": 0.06}},
    "cameras": {
        # The lowest rate of a D415: images are rendered beside all else.
        "realsense": {"camera_timeout": 20.0, "rate": 6},
        "perception": {"frame_timeout": 60.0, "camera_timeout": 60.0},
    },
    "leap": {
        "leap": {"stale_after": 0.45},
        "teleop": {"hand_timeout": 0.5, "clutch_timeout": 1.0, "state_timeout": 1.0},
        "control": {
            "graspgf.hold_after": 0.3,
            "graspgf.lost_after": 15.0,
            "graspgf.time_limit": 300.0,
        },
    },
}
"""For each simulated device, which shares a machine with its driver and the physics: what is late
there is busy, and not broken."""


def patience_with(simulated: Collection[str]) -> dict[str, Parameters]:
    """Parameters by the nodes' names, where some of arm, hand, cameras and leap are simulated."""
    patience: dict[str, Parameters] = {}
    for device in sorted(simulated):
        for name, values in _PATIENCE[device].items():
            patience[name] = {**patience.get(name, {}), **values}
    return patience


def hand_driver(parameters: Parameters) -> GraphNode:
    """Of the Shadow Hand, where an address or its parameter file says."""
    return GraphNode(
        "dexgrasp_hand_driver", "hand_driver_node", "hand_driver", "hand_driver.yaml", parameters
    )


def arm_driver(address: Parameters) -> GraphNode:
    """Of the UR10e, likewise."""
    return GraphNode(
        "dexgrasp_arm_driver", "arm_driver_node", "arm_driver", "arm_driver.yaml", address
    )


def arm_adapter() -> GraphNode:
    """What stands for it where Universal Robots' driver moves the arm."""
    return GraphNode("dexgrasp_arm_driver", "arm_adapter_node", "arm_adapter", "arm_adapter.yaml")


def realsense(rig: str) -> GraphNode:
    """Of all cameras of a rig."""
    return GraphNode(
        "dexgrasp_realsense", "realsense_node", "realsense", "realsense_cameras.yaml", {"rig": rig}
    )


def leap(address: Parameters) -> list[GraphNode]:
    """Of the Leap Motion, likewise, with what makes a wrist of a person's hand."""
    return [
        GraphNode("dexgrasp_leap", "leap_node", "leap", "leap.yaml", address),
        GraphNode("dexgrasp_teleop", "teleop_node", "teleop", "teleop.yaml"),
    ]


def _own_address() -> str:
    """An address of this machine's loop-back that no other process's cell has."""
    pid = os.getpid()
    return f"127.{1 + pid % 254}.{pid // 254 % 256}.{1 + pid // 65024 % 254}"


@dataclass(frozen=True)
class SimulatedCell:
    """A simulated robot behind the protocols of its devices, with an object on the table.

    Attributes:
        object, scale, seed: of the object.
        rig: of the cameras.
        backend: the simulator; empty: as config/scene.yaml says.
        box: whether the box into which objects are released stands there.
        address: where the devices answer.
    """

    object: str
    scale: float
    seed: int
    rig: str
    backend: str = ""
    box: bool = False
    address: str = field(default_factory=_own_address)

    @property
    def hand_address(self) -> Parameters:
        """Parameters with which the hand's driver finds its hand."""
        return {"host": self.address}

    @property
    def arm_address(self) -> Parameters:
        """Parameters with which the arm's driver finds its arm."""
        return {"controller.host": self.address}

    @property
    def leap_address(self) -> Parameters:
        """Parameters with which the Leap Motion's driver finds it."""
        return {"host": self.address}

    def node(self, simulated: Collection[str]) -> GraphNode:
        """The robot; the joints of what is not simulated follow the real ones."""
        return GraphNode(
            "dexgrasp_counterparts",
            "cell_node",
            "sim_cell",
            parameters={
                **self._shown,
                "address": self.address,
                "simulated_arm": "arm" in simulated,
                "simulated_hand": "hand" in simulated,
                **({"backend": self.backend} if self.backend else {}),
            },
        )

    def cameras(self, *, color: bool) -> GraphNode:
        """The driver of cameras that see the cell."""
        real = realsense(self.rig)
        return dataclasses.replace(
            real,
            package="dexgrasp_counterparts",
            executable="camera_node",
            parameters={**real.parameters, **self._shown, "color": color},
        )

    def person(self) -> GraphNode:
        """Whose hand the Leap Motion sees, and whose foot is on the clutch."""
        return GraphNode(
            "dexgrasp_counterparts",
            "person_node",
            "person",
            "person.yaml",
            {"address": self.address, "scene": "arm", "seed": self.seed},
        )

    @property
    def _shown(self) -> Parameters:
        return {"object": self.object, "scale": self.scale, "seed": self.seed, "box": self.box}
