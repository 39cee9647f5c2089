"""Somebody else commands while the graph of the demo, in processes of its own, holds an object."""

from __future__ import annotations

import numpy as np
from robot_topics import JOINTS, Robot
from ros_graph import eventually, graph

from dexgrasp_bringup.graph import SimulationOptions, simulation_graph
from dexgrasp_bringup.grasp_client import GraspClient
from dexgrasp_bringup.processes import GraphProcesses, graph_environment
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_ros import conversions

LONG = 300.0
"""Seconds for what a busy machine takes its time for."""


def test_a_held_object_stays_held(tmp_path, monkeypatch):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    environment = graph_environment()
    domain = int(environment["ROS_DOMAIN_ID"])
    nodes = simulation_graph(SimulationOptions(object="can", scene="floating", seed=0))
    with (
        GraphProcesses(nodes, environment, tmp_path),
        graph(domain=domain) as ros,
        GraspClient(domain) as client,
    ):
        assert eventually(lambda: not client.inactive([node.name for node in nodes], 0.2), LONG)
        robot = Robot(ros)
        heights: dict[str, float] = {}

        def height() -> float:
            return conversions.world_pose_from_message(robot.object_poses[-1])[2, 3]

        def note(feedback: ExecuteGrasp.Feedback) -> None:
            heights[feedback.stage] = height()

        run = client.grasp(ExecuteGrasp.Goal(choose=True), note)
        assert eventually(lambda: "lift" in heights, LONG)
        sent = 0
        while "place" not in heights and not run.wait(0.02):
            below = robot.wrist_pose
            below[2, 3] -= 0.05
            robot.send(below, np.zeros(len(JOINTS)), robot.now_ns)
            sent += 1
        assert eventually(lambda: run.wait(0.2), LONG)
        assert sent > 20
        assert run.result.success, run.result.reason
        assert heights["hold"] > heights["capture"] + 0.08
        assert robot.said("of /tester on /arm/wrist_target: /control commands")
