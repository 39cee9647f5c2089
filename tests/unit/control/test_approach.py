"""Approach planning on simple objects, checked against dense independent sweeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.approach import plan_approach, upper_half_sphere
from dexgrasp_models.control.approach_plan import ApproachConfig, NoApproach
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp

HAND = load_hand()
DISTANCE = HandDistance(HandKinematics(HAND, torch.float32))
NOTHING = np.zeros((0, 3))


def shape(flexion: float, outer: float = 0.25, thumb: float = 0.6) -> np.ndarray:
    """(22,) fingers flexed at the knuckles and at the outer joints."""
    joints = np.zeros(22)
    for name in ("FF", "MF", "RF", "LF"):
        joints[HAND.joint_index(f"rh_{name}J3")] = flexion
        for outer_joint in (2, 1):
            joints[HAND.joint_index(f"rh_{name}J{outer_joint}")] = outer
    joints[HAND.joint_index("rh_THJ4")] = thumb
    return joints


def top_grasp(height: float = 0.125) -> Grasp:
    """Palm down above a can at the origin, the flexed fingers on its far side."""
    palm = np.eye(4)
    palm[:3, :3] = Rotation.from_euler("x", 90.0, degrees=True).as_matrix()
    palm[:3, 3] = (-0.011, 0.06, height)
    return Grasp(palm, shape(1.45), shape(0.7, thumb=0.2), shape(1.57), 0.0, {}, "test")


def can(radius: float = 0.025, height: float = 0.1, centre=(0.0, 0.0)) -> np.ndarray:
    rng = np.random.default_rng(0)
    angle, z = rng.uniform(0, 2 * np.pi, 800), rng.uniform(0.0, height, 800)
    side = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1)
    r = radius * np.sqrt(rng.uniform(0, 1, 200))
    top = np.stack([r * np.cos(angle[:200]), r * np.sin(angle[:200]), np.full(200, height)], -1)
    return np.concatenate([side, top]) + np.array([*centre, 0.0])


def clearance(pose: np.ndarray, joints: np.ndarray, points: np.ndarray) -> float:
    exact = HandDistance(HandKinematics(HAND, torch.float64))
    tensors = (torch.as_tensor(values) for values in (points, pose[None], joints[None]))
    return float(exact.signed_distance(*tensors).min())


def along(first: np.ndarray, second: np.ndarray, count: int = 60):
    for share in np.linspace(0.0, 1.0, count):
        pose = first.copy()
        pose[:3, 3] += share * (second[:3, 3] - first[:3, 3])
        yield pose


def test_the_whole_way_is_clear_of_the_object_on_an_independent_dense_sweep():
    points, config = can(), ApproachConfig()
    plan = plan_approach(top_grasp(), points, NOTHING, DISTANCE, config)
    way = [
        clearance(pose, plan.open_joints, points)
        for pose in along(plan.grasp.palm_pose, plan.pregrasp_pose)
    ]
    assert min(way) > -config.touch_depth
    assert way[-1] >= 0.9 * config.margin
    assert plan.clearance == pytest.approx(min(way), abs=2e-3)
    start = np.eye(4)
    start[:3, 3] = (-0.3, 0.0, 0.2)
    _, lifted, above, pregrasp = plan.transit(start)
    for pose in [*along(lifted, above), *along(above, pregrasp)]:
        assert clearance(pose, plan.open_joints, points) > 0.0


def test_the_travelling_hand_clears_the_object_in_any_attitude():
    points = can(height=0.15)
    plan = plan_approach(top_grasp(0.175), points, NOTHING, DISTANCE)
    pose = np.eye(4)
    for turn in Rotation.random(20, random_state=0):
        pose[:3, :3] = turn.as_matrix()
        pose[:3, 3] = (0.0, 0.0, plan.travel_height)
        assert clearance(pose, plan.open_joints, points) >= 0.029


def test_distance_and_direction_of_the_pregrasp_are_as_configured():
    config = ApproachConfig(distance=0.08)
    plan = plan_approach(top_grasp(), can(), NOTHING, DISTANCE, config)
    step = plan.pregrasp_pose[:3, 3] - plan.grasp.palm_pose[:3, 3]
    assert np.linalg.norm(step) == pytest.approx(0.08)
    assert step[2] >= 0.0
    assert np.array_equal(plan.pregrasp_pose[:3, :3], plan.grasp.palm_pose[:3, :3])


def test_an_obstacle_in_the_scene_turns_the_approach_away():
    points = can()
    free = plan_approach(top_grasp(), points, NOTHING, DISTANCE)
    fingers = free.pregrasp_pose[:3, 3] + free.pregrasp_pose[:3, 2] * 0.05
    wall = fingers + np.random.default_rng(1).uniform(-0.01, 0.01, (200, 3))
    turned = plan_approach(top_grasp(), points, wall, DISTANCE)
    for pose in along(turned.grasp.palm_pose, turned.pregrasp_pose):
        assert clearance(pose, turned.open_joints, wall) > 0.0
    assert not np.allclose(turned.pregrasp_pose, free.pregrasp_pose)


def test_points_of_table_and_object_in_the_scene_cloud_are_no_obstacles():
    points = can()
    rng = np.random.default_rng(2)
    table = np.column_stack([rng.uniform(-0.3, 0.3, (500, 2)), rng.uniform(-0.004, 0.004, 500)])
    alone = plan_approach(top_grasp(), points, NOTHING, DISTANCE)
    cluttered = plan_approach(
        top_grasp(), points, np.concatenate([table, points + 0.002]), DISTANCE
    )
    assert np.array_equal(alone.pregrasp_pose, cluttered.pregrasp_pose)


def test_fingers_open_no_further_than_the_table_allows():
    # Curled, the fingers are clear; stretched out they would reach into the table.
    grasp = replace(
        top_grasp(0.085), joints=shape(1.5, 1.1), pregrasp_joints=shape(1.4, 0.0, thumb=0.2)
    )
    config = ApproachConfig()
    plan = plan_approach(grasp, can(0.02, 0.03, (0.2, 0.2)), NOTHING, DISTANCE, config)
    table = np.column_stack([*np.mgrid[-0.2:0.2:80j, -0.2:0.2:80j].reshape(2, -1), np.zeros(6400)])
    for pose in along(plan.grasp.palm_pose, plan.pregrasp_pose, 10):
        assert clearance(pose, plan.open_joints, table) > -config.table_depth


def test_a_grasp_inside_the_object_has_no_approach():
    with pytest.raises(NoApproach, match="the object is in the way"):
        plan_approach(top_grasp(0.1), can(), NOTHING, DISTANCE)


def test_a_grasp_below_the_table_has_no_approach():
    with pytest.raises(NoApproach, match="the table is in the way"):
        plan_approach(top_grasp(0.05), can(0.01, 0.02, (0.2, 0.2)), NOTHING, DISTANCE)


def test_unreachable_ways_are_passed_over_and_said_to_be():
    points = can()
    first = plan_approach(top_grasp(), points, NOTHING, DISTANCE)
    asked = []

    def not_the_first(poses):
        asked.append(poses)
        return not any(np.allclose(pose, first.pregrasp_pose) for pose in poses)

    start = np.eye(4)
    start[:3, 3] = (-0.3, 0.0, 0.3)
    second = plan_approach(
        top_grasp(),
        points,
        NOTHING,
        DISTANCE,
        start_pose=start,
        lift_height=0.2,
        reachable=not_the_first,
    )
    assert second.cost >= first.cost
    assert not np.allclose(second.pregrasp_pose, first.pregrasp_pose)
    way = asked[-1]
    assert np.allclose(way[0], start)
    assert np.allclose(way[-2], second.grasp.palm_pose)
    assert way[-1][2, 3] == pytest.approx(second.grasp.palm_pose[2, 3] + 0.2)
    with pytest.raises(NoApproach, match="out of the arm's reach"):
        plan_approach(top_grasp(), points, NOTHING, DISTANCE, reachable=lambda poses: False)


def test_the_same_input_gives_the_same_plan_to_the_bit():
    plans = [plan_approach(top_grasp(), can(), NOTHING, DISTANCE) for _ in range(2)]
    assert np.array_equal(plans[0].pregrasp_pose, plans[1].pregrasp_pose)
    assert np.array_equal(plans[0].open_joints, plans[1].open_joints)
    assert plans[0].cost == plans[1].cost


def test_an_empty_cloud_is_refused():
    with pytest.raises(ValueError, match="empty"):
        plan_approach(top_grasp(), NOTHING, NOTHING, DISTANCE)


def test_directions_are_unit_upward_and_evenly_spread():
    directions = upper_half_sphere(60)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1.0)
    assert np.all(directions[:, 2] > 0.0)
    cosines = directions @ directions.T - 2.0 * np.eye(60)
    assert np.degrees(np.arccos(cosines.max(1))).min() > 10.0


def test_config_checks_itself():
    with pytest.raises(ValueError, match=r"distance = 9.0: expected 0.02 to 0.4 m"):
        ApproachConfig(distance=9.0)
    with pytest.raises(ValueError, match="no parameter speed"):
        ApproachConfig.from_mapping({"speed": 1.0})


def test_a_grasp_is_gone_into_as_deep_as_there_is_a_way():
    flat = plan_approach(top_grasp(), can(), NOTHING, DISTANCE)
    assert flat.grasp.palm_pose == pytest.approx(top_grasp().palm_pose)
    free = plan_approach(top_grasp(0.14), can(), NOTHING, DISTANCE, ApproachConfig(deeper=0.01))
    # Its palm faces down.
    assert free.grasp.palm_pose[:3, 3] == pytest.approx((-0.011, 0.06, 0.13), abs=1e-9)
    assert free.grasp.palm_pose[:3, :3] == pytest.approx(top_grasp().palm_pose[:3, :3])
    assert np.array_equal(free.grasp.joints, top_grasp().joints)


def test_where_the_way_is_blocked_it_is_less_deep_or_as_the_grasp_says():
    depths = []
    for height in np.linspace(0.14, 0.11, 13):
        config = ApproachConfig(deeper=0.02)
        try:
            plan = plan_approach(top_grasp(height), can(), NOTHING, DISTANCE, config)
        except NoApproach:
            # Nor is there one to the grasp itself.
            with pytest.raises(NoApproach):
                plan_approach(top_grasp(height), can(), NOTHING, DISTANCE)
            continue
        depths.append(height - plan.grasp.palm_pose[2, 3])
        deepest = clearance(plan.grasp.palm_pose, plan.open_joints, can())
        assert deepest > -config.touch_depth - 1e-3
    shares = {0.0, 0.005, 0.01, 0.015, 0.02}
    assert {round(float(depth), 6) for depth in depths} <= shares
    assert max(depths) == pytest.approx(0.02)
    assert min(depths) < 0.02, "nothing was in the way"
