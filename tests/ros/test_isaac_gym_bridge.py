"""The bridge with Isaac Gym behind it, by its counterpart: same topics, and a worker that dies."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from isaac_gym_counterpart import INTERPRETER_VARIABLE, counterpart_interpreter
from robot_topics import Robot
from ros_graph import eventually, graph

from dexgrasp_bringup.graph import SimulationOptions, simulation_graph
from dexgrasp_sim_bridge.bridge_node import BridgeNode


def test_commands_move_the_robot_and_a_killed_worker_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv(INTERPRETER_VARIABLE, str(counterpart_interpreter(tmp_path)))
    with graph() as ros:
        bridge = ros.start(BridgeNode, backend="isaac_gym", object="box", camera_rate=1.0)
        robot = Robot(ros)
        assert eventually(lambda: len(robot.wrist_poses) > 5)
        assert bridge.hardware_id == "isaac_gym, floating scene"
        target = robot.wrist_pose.copy()
        target[2, 3] += 0.05
        fingers = np.zeros(22)
        fingers[[2, 3]] = 0.4
        robot.send(target, fingers)
        assert eventually(lambda: abs(robot.wrist_pose[2, 3] - target[2, 3]) < 0.005)
        assert eventually(lambda: np.abs(robot.fingers() - fingers).max() < 0.05)
        os.kill(bridge._simulator.physics.batch.worker.pid, signal.SIGKILL)
        assert eventually(lambda: robot.said("worker of Isaac Gym ended by signal 9"))


@pytest.mark.parametrize("backend", ["mujoco", "isaac_gym"])
def test_the_launch_file_s_argument_chooses_the_simulator_of_the_same_nodes(backend):
    usual, asked = (simulation_graph(SimulationOptions(**o)) for o in ({}, {"backend": backend}))
    assert [node.name for node in asked] == [node.name for node in usual]
    assert asked[0].parameters == {**usual[0].parameters, "backend": backend}
