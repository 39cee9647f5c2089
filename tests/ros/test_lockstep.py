"""Lock-step: one seed repeats exactly, over ROS and in process."""

from __future__ import annotations

import numpy as np
from ros_graph import graph
from std_srvs.srv import Trigger

from dexgrasp_control.control_node import ControlNode
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_perception.perception_node import PerceptionNode
from dexgrasp_proposals.proposal_node import ProposalNode
from dexgrasp_ros import contract, conversions
from dexgrasp_sim.bridge_node import BridgeNode
from dexgrasp_sim.episode import EpisodeSettings, run_episode

SETTINGS = EpisodeSettings("can", seed=3)
PATIENCE = 60.0


def grasp_over_ros(ros) -> tuple[ExecuteGrasp.Result, np.ndarray]:
    """The outcome, and the object's last pose."""
    object_poses = ros.collect(contract.OBJECT_POSE)
    _, result = ros.grasp(ExecuteGrasp.Goal(choose=True, place=False))
    outcome = ros.wait(result, 2 * PATIENCE).result
    return outcome, conversions.pose_from_message(object_poses[-1].pose)


def test_two_runs_over_ros_and_one_in_process_end_alike():
    with graph() as ros:
        ros.start(
            BridgeNode,
            object=SETTINGS.object,
            seed=SETTINGS.seed,
            mode="lock_step",
            deadline=PATIENCE,
        )
        ros.start(PerceptionNode, use_sim_time=True, frame_timeout=PATIENCE)
        ros.start(ProposalNode, use_sim_time=True)
        ros.start(
            ControlNode,
            use_sim_time=True,
            seed=SETTINGS.seed,
            proposals=SETTINGS.proposals,
            state_timeout=PATIENCE,
        )
        first_outcome, first = grasp_over_ros(ros)
        assert ros.call(Trigger, contract.RESET_SERVICE, Trigger.Request()).success
        second_outcome, second = grasp_over_ros(ros)
    episode = run_episode(SETTINGS)
    assert first_outcome.outcome == second_outcome.outcome == "succeeded"
    assert np.abs(first - second).max() < 1e-9
    in_process = np.reshape(episode.object_pose, (4, 4))
    assert np.abs(first - in_process).max() < 1e-9
    assert episode.success
