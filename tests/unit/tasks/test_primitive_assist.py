"""GraspGF's primitive alone as a policy: its direction, and the gate."""

from __future__ import annotations

import numpy as np
import pytest
from assisted_hand import HAND, pose

from dexgrasp_models.nets.grasp_gradient import GraspGradient
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_observation import AssistObservation, assist_observation
from dexgrasp_models.tasks.primitive_assist import HELD_AT, GateConfig, PrimitiveAssist

TASK = AssistConfig()


def observed(distance: float = 0.0, speed: float = 0.0, count: int = 2) -> AssistObservation:
    """Hands whose middle is a distance from the nearest point, with wrists of a speed along z."""
    rng = np.random.default_rng(0)
    wrists = np.tile(np.eye(4), (count, TASK.history, 1, 1))
    wrists[:, :, 2, 3] = np.arange(1 - TASK.history, 1) * speed / TASK.rate
    nearest = HELD_AT - distance * np.array([0.0, 1.0, 0.0])
    cloud = nearest - np.abs(rng.normal(0, 0.03, (count, 64, 3)))
    cloud[:, 0] = nearest
    cloud[:, 1:, 1] = np.minimum(cloud[:, 1:, 1], cloud[:, :1, 1])
    joints = rng.uniform(*HAND.limits.T, (count, 22))
    return assist_observation(HAND.couple(joints), wrists, cloud, HAND)


def test_bare_it_is_the_gradient_by_its_largest_entry():
    seen = observed()
    policy = PrimitiveAssist(None, TASK)
    policy.begin(2)
    actions = policy.actions(seen)
    assert np.abs(actions).max(axis=1) == pytest.approx([1.0, 1.0])
    low, high = HAND.actuator_limits.T
    angles = low + 0.5 * (seen.actuated[1] + 1.0) * (high - low)
    alone = GraspGradient().gradient(seen.cloud[1], pose(np.zeros(3)), HAND.expansion @ angles)
    assert actions[1] == pytest.approx(alone / np.abs(alone).max(), abs=1e-4)
    assert policy.gradients[1] == pytest.approx(alone, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("distance", "speed", "share"),
    [
        (0.0, 0.0, 1.0),
        (0.07, 0.0, 0.5),
        (0.2, 0.0, 0.0),
        (0.0, 0.06, 0.5),
        (0.0, 0.3, 0.0),
        (0.07, 0.06, 0.25),
    ],
)
def test_the_gate_falls_with_distance_and_speed(distance, speed, share):
    policy = PrimitiveAssist(GateConfig(), TASK)
    assert policy.shares(observed(distance, speed)) == pytest.approx([share, share], abs=1e-6)


def test_where_the_gate_is_shut_the_fingers_go_to_the_waiting_posture():
    policy = PrimitiveAssist(GateConfig(), TASK)
    mean = HAND.reduction @ GraspGradient().network.mean_joints().numpy()
    seen = observed(distance=0.3)
    low, high = HAND.actuator_limits.T
    angles = low + 0.5 * (seen.actuated + 1.0) * (high - low)
    wanted = np.clip((0.5 * mean - angles) / TASK.max_change, -1.0, 1.0)
    assert policy.actions(seen) == pytest.approx(wanted, abs=1e-5)


def test_a_gate_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"gate_speed: 0\.1 has to be below 0\.02"):
        GateConfig(gate_speed=(0.1, 0.02))
