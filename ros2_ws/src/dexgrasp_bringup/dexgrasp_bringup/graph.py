"""The ROS graph, described once: for ``ros2 launch`` and for the demo's own processes."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dexgrasp_bringup import driver_nodes
from dexgrasp_bringup.environment import install_prefixes
from dexgrasp_bringup.graph_node import GraphNode
from dexgrasp_bringup.parameter_file import ParameterFile, ParameterFileError, ParameterValue
from dexgrasp_models.control.controllers import CONTROLLERS
from dexgrasp_models.proposals.proposer import PROPOSERS
from dexgrasp_ros.process_end import PARENT_VARIABLE
from dexgrasp_ros.transport import PROFILE_VARIABLE, use_transport_profile
from dexgrasp_sim.scene import BACKENDS

ASSISTING = "graspgf"
"""Name of the controller that follows a person's wrist."""
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


class GraphError(RuntimeError):
    """The graph can't be started as asked; the message says what is missing."""


_REAL_TIME: Mapping[str, Mapping[str, ParameterValue]] = {
    "sim_bridge": {"patience": 1.0},
    "perception": {"frame_timeout": 20.0, "camera_timeout": 20.0},
    "control": {
        "capture_timeout": 20.0,
        "state_timeout": 3.0,
        "wrist_timeout": 120.0,  # proposals for the played one can take long
        "limits.state_age": 1.0,
    },
}
"""For the simulator in real time: on a busy machine it is slow, and not broken as a device is."""

_LOCK_STEP: Mapping[str, Mapping[str, ParameterValue]] = {
    "sim_bridge": {"deadline": 30.0},  # the cameras look while an answer is withheld
    "perception": {"frame_timeout": 20.0, "camera_timeout": 60.0},
    "control": {
        "capture_timeout": 30.0,
        "state_timeout": 10.0,
        "wrist_timeout": 120.0,
        "lock_step": True,
    },
}
"""For lock-step: time even stands still while the cameras render."""


def option(default: ParameterValue, description: str, *choices: str) -> Any:
    return dataclasses.field(
        default=default, metadata={"description": description, "choices": choices}
    )


@dataclass(frozen=True)
class GraspingOptions:
    """What every run lets its user choose.

    Raises:
        GraphError: a value is not among its choices.
    """

    rig: str = option("cameras/four_d415.yaml", "Camera rig: a file in config/ or a path.")
    proposer: str = option(
        "",
        "What proposes grasps; by default what config/proposals.yaml says.",
        "",
        *PROPOSERS.names,
    )
    weights: str = option(
        "", "Of the learned proposer: folder of networks; by default as config/proposals.yaml says."
    )
    clip: str = option(
        "",
        "For grasps by a text: folder of CLIP's weights; by default as config/proposals.yaml says.",
    )
    controller: str = option(
        "",
        "What carries grasps out; by default what config/control.yaml says.",
        "",
        *CONTROLLERS.names,
    )
    viewer: bool = option(False, "Show the graph in a web browser.")
    namespace: str = option("", "Of all nodes, topics and services: one for each cell.")
    params_file: str = option("", "Parameters of your own, which replace those of config/.")
    log_level: str = option("info", "Least severity that the nodes log.", *LOG_LEVELS)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?", self.namespace, re.ASCII):
            raise GraphError(
                f"namespace is {self.namespace!r}; it has letters, digits and underscores, as in"
                " cell1 or lab/cell1"
            )
        for option in dataclasses.fields(self):
            choices, value = option.metadata["choices"], getattr(self, option.name)
            if choices and value not in choices:
                allowed = " or ".join(filter(None, choices))
                raise GraphError(f"{option.name} is {value!r}, not {allowed}")


@dataclass(frozen=True)
class SimulationOptions(GraspingOptions):
    """What a run in simulation lets its user choose: the arguments of ``launch/sim.launch.py``."""

    object: str = option("mug", "Generated shape, or mesh file or folder, on the table.")
    scale: float = option(1.0, "Factor on the size of the object.")
    seed: int = option(0, "Draws the object's pose, the cameras' noise and the proposals.")
    backend: str = option("", "The simulator; by default as config/scene.yaml says.", "", *BACKENDS)
    scene: str = option("arm", "The hand alone, or mounted on the UR10e.", "floating", "arm")
    mode: str = option(
        "real_time", "Time runs freely, or waits for each command.", "real_time", "lock_step"
    )
    assist: bool = option(
        False,
        "A person's wrist is played, a policy closes the fingers, and a box stands there"
        " (docs/assist.md).",
    )
    drivers: bool = option(
        False, "The real drivers of cameras, arm and hand, with devices that the simulator moves."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drivers and self.mode == "lock_step":
            raise GraphError(
                "drivers run on the wall clock, and in lock-step time waits for each command: leave"
                " out one of the two"
            )
        if self.drivers and self.scene != "arm":
            raise GraphError(
                f"the drivers move a hand on the arm, and the scene is {self.scene}: leave out one"
                " of the two"
            )

    @property
    def carried_out_by(self) -> str:
        """The controller; empty: what config/control.yaml says."""
        return self.controller or (ASSISTING if self.assist else "")


def simulation_graph(options: SimulationOptions) -> list[GraphNode]:
    """The nodes of a run against the simulator, the one that makes time first.

    Raises:
        GraphError: `params_file` can't be used, or sets what an option sets.
    """
    if options.drivers:
        return _driven_graph(options)
    bridge = GraphNode(
        "dexgrasp_sim_bridge",
        "bridge_node",
        "sim_bridge",
        "bridge.yaml",
        {
            "object": options.object,
            "scale": options.scale,
            "seed": options.seed,
            "scene": options.scene,
            "mode": options.mode,
            "cameras": options.rig,
            "box": options.assist,
            **({"backend": options.backend} if options.backend else {}),
        },
    )
    nodes = grasping_nodes(
        dataclasses.replace(options, controller=options.carried_out_by),
        options.seed,
        scene=options.scene,
        simulated=True,
        assisting=options.controller if options.assist else "",
    )
    if options.assist:
        nodes.append(_wrist_player(options))
    patience = _LOCK_STEP if options.mode == "lock_step" else _REAL_TIME
    return as_asked([bridge, *nodes], options, patience)


def _driven_graph(options: SimulationOptions) -> list[GraphNode]:
    """The robot's own graph, its drivers at the devices of a simulated cell."""
    simulated = ["arm", "hand", "cameras"]
    cell = driver_nodes.SimulatedCell(
        options.object, options.scale, options.seed, options.rig, options.backend, options.assist
    )
    nodes = grasping_nodes(
        dataclasses.replace(options, controller=options.carried_out_by),
        options.seed,
        scene=options.scene,
        simulated=False,
        assisting=options.controller if options.assist else "",
    )
    drivers = [
        cell.node(simulated),
        driver_nodes.hand_driver(cell.hand_address),
        driver_nodes.arm_driver(cell.arm_address),
        cell.cameras(color=options.viewer),
    ]
    if options.assist:
        simulated.append("leap")
        nodes += [*driver_nodes.leap(cell.leap_address), cell.person()]
    patience = driver_nodes.patience_with(simulated)
    for name in ("perception", "control"):
        patience[name] = {**_REAL_TIME[name], **patience[name]}
    return as_asked([*drivers, *nodes], options, patience)


def _wrist_player(options: SimulationOptions) -> GraphNode:
    """Plays a person's wrist."""
    return GraphNode(
        "dexgrasp_teleop",
        "wrist_player_node",
        "wrist_player",
        "wrist_player.yaml",
        {"use_sim_time": True, "scene": options.scene, "seed": options.seed},
    )


def grasping_nodes(
    options: GraspingOptions, seed: int = 0, *, scene: str, simulated: bool, assisting: str = ""
) -> list[GraphNode]:
    """The nodes that are the same in simulation and on the robot.

    `assisting` is what carries /assist out; by default what config/control.yaml says.
    """
    clock = {"use_sim_time": simulated}
    proposer = {
        "proposer": options.proposer,
        "learned.weights": options.weights,
        "language.weights": options.clip,
    }
    controllers = {"controller": options.controller, "assisting": assisting}
    controllers = {name: value for name, value in controllers.items() if value}
    nodes = [
        GraphNode(
            "dexgrasp_perception",
            "perception_node",
            "perception",
            "perception.yaml",
            {**clock, "rig": options.rig},
        ),
        GraphNode(
            "dexgrasp_proposals",
            "proposal_node",
            "proposals",
            "proposals.yaml",
            {**clock, "scene": scene, **{name: value for name, value in proposer.items() if value}},
        ),
        GraphNode(
            "dexgrasp_control",
            "control_node",
            "control",
            "control.yaml",
            {**clock, "scene": scene, "seed": seed, **controllers},
            commands=True,
        ),
    ]
    if options.viewer:
        nodes.append(
            GraphNode(
                "dexgrasp_viewer",
                "viewer_node",
                "viewer",
                "viewer.yaml",
                {**clock, "rig": options.rig},
            )
        )
    return nodes


def as_asked(
    nodes: Sequence[GraphNode],
    options: GraspingOptions,
    patience: Mapping[str, Mapping[str, ParameterValue]] = MappingProxyType({}),
    absent: Sequence[str] = (),
) -> list[GraphNode]:
    """The nodes with what the options ask of all of them, and with the user's parameters.

    These may be for nodes that are `absent`, too: one file for a cell, of which a part is started.
    """
    namespace = options.namespace.strip("/")
    own: dict[str, dict[str, ParameterValue]] = {}
    if options.params_file:
        own = _own_parameters(Path(options.params_file), nodes, absent, namespace)
    return [
        dataclasses.replace(
            node,
            namespace=namespace,
            log_level=options.log_level,
            parameters={
                **node.parameters,
                **patience.get(node.name, {}),
                **own.get(node.name, {}),
            },
        )
        for node in nodes
    ]


def _own_parameters(
    path: Path, nodes: Sequence[GraphNode], absent: Sequence[str], namespace: str
) -> dict[str, dict[str, ParameterValue]]:
    """What the user's file sets, by the nodes' names."""
    try:
        file = ParameterFile.read(path)
        file.refuse_unused((*(node.name for node in nodes), *absent), namespace)
    except ParameterFileError as error:
        raise GraphError(str(error)) from None
    own = {node.name: file.values_for(node.name, namespace) for node in nodes}
    for node in nodes:
        if twice := sorted(own[node.name].keys() & node.parameters.keys()):
            raise GraphError(
                f"parameter file {path} sets {', '.join(twice)} of {node.name}, for which there are"
                " options (of the launch file, or of the command): use these"
            )
    return own


def shared_environment() -> dict[str, str]:
    """Environment variables that every process of the graph is started with by this one."""
    environment = {PARENT_VARIABLE: str(os.getpid())}
    if PROFILE_VARIABLE in os.environ:
        environment[PROFILE_VARIABLE] = os.environ[PROFILE_VARIABLE]
    use_transport_profile(environment)
    return environment


def executable_path(package: str, executable: str) -> Path:
    """Where colcon installed a node's executable.

    Raises:
        GraphError: it is in no prefix of ``$AMENT_PREFIX_PATH``, nor in the running environment.
    """
    prefixes = install_prefixes()
    for prefix in prefixes:
        if (path := Path(prefix) / "lib" / package / executable).is_file():
            return path
    raise GraphError(
        f"{package}/{executable} is not installed in {' or '.join(prefixes)}:"
        " run `make setup`, or `colcon build` and source its setup file"
    )
