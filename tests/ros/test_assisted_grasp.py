"""An assisted grasp in the simulator that ends in a box, in lock-step: over ROS and in process."""

from __future__ import annotations

from typing import Any

import numpy as np
from bench_scripts import bench_script
from ros_graph import graph

from dexgrasp_control.control_node import ControlNode
from dexgrasp_interfaces.action import Assist
from dexgrasp_models.objects import load_object
from dexgrasp_models.tasks.assist_controller_config import AssistControllerConfig
from dexgrasp_models.tasks.played_wrist import PlayConfig
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_proposals.proposal_node import ProposalNode
from dexgrasp_ros import contract, conversions
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.scene import load_scene
from dexgrasp_sim_bridge.bridge_node import BridgeNode
from dexgrasp_teleop.wrist_player_node import WristPlayerNode

OBJECT, SEED = "can", 0
PATIENCE = 60.0
PLAY = {"wait": 0.0, "travel_speed": 0.6, "travel_acceleration": 3.0, "rest": 4.5, "rise": 0.2}
SETTINGS = {"hold_time": 0.2, "lift_height": 0.12}


def over_ros() -> tuple[Any, np.ndarray]:
    """The result, and the object's last pose."""
    with graph() as ros:
        ros.start(
            BridgeNode, object=OBJECT, seed=SEED, box=True, mode="lock_step", deadline=PATIENCE
        )
        ros.start(PerceptionNode, use_sim_time=True, frame_timeout=PATIENCE)
        ros.start(ProposalNode, use_sim_time=True)
        ros.start(WristPlayerNode, use_sim_time=True, seed=SEED, **PLAY)
        ros.start(
            ControlNode,
            use_sim_time=True,
            state_timeout=PATIENCE,
            wrist_timeout=2 * PATIENCE,
            sight_timeout=PATIENCE,
            lock_step=True,
            **{f"graspgf.{name}": value for name, value in SETTINGS.items()},
        )
        poses = ros.collect(contract.OBJECT_POSE)
        _, answer = ros.grasp(Assist.Goal())
        result = ros.wait(answer, 4 * PATIENCE).result
        return result, conversions.pose_from_message(poses[-1].pose)


def test_the_graph_puts_a_can_into_the_box_and_ends_as_one_process_does():
    result, pose = over_ros()
    assert result.outcome == "succeeded", result.reason
    assert result.lifted_by == "cameras"
    simulator = make_simulator(load_scene(box=True), load_object(OBJECT))
    simulator.reset(SEED)
    bench = bench_script("assisted_grasp")
    settings, play = AssistControllerConfig(**SETTINGS), PlayConfig(**PLAY)
    lift = bench.attempt(simulator, SEED, settings, play, carry=True)
    assert lift.success, lift.reason
    assert np.abs(pose - simulator.object_pose()).max() < 1e-12
    assert bench.delivered(simulator)
