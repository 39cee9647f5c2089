"""Goals of /grasp with a grasp that is given, and not chosen."""

from __future__ import annotations

import numpy as np
from ros_graph import Graph, eventually

from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import conversions

JOINTS = load_hand().finger_joints


def grasp_from_above(height: float = 0.22) -> Grasp:
    """The open hand, fingers down, high above the can: there is nothing to collide with."""
    pose = np.eye(4)
    pose[:3, :3] = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
    pose[:3, 3] = [0.0, 0.0, height + 0.12]
    joints = np.zeros(22)
    return Grasp(pose, joints, joints, joints, score=0.0, figures={}, proposer="test")


def goal_of(grasp: Grasp) -> ExecuteGrasp.Goal:
    return ExecuteGrasp.Goal(choose=False, grasp=conversions.grasp_to_message(grasp, JOINTS, 0))


def start(ros: Graph, stage: str, goal: ExecuteGrasp.Goal | None = None):
    """Starts a grasp and waits until it is in a stage."""
    stages: list[str] = []
    handle, result = ros.grasp(
        goal or goal_of(grasp_from_above()), lambda m: stages.append(m.feedback.stage)
    )
    assert handle.accepted
    assert eventually(lambda: stage in stages), stages
    return handle, result
