"""The way over the box in closed form: it clears what stands there, and ends above the box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.approach_plan import NoApproach
from dexgrasp_models.control.carry import CarryConfig, CarryPlanner, HeldObject
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.hand.extent import HAND_REACH, reach_below
from dexgrasp_models.hand.spec import load_hand

HAND = load_hand()
FLAT = np.zeros(22)
CONFIG = CarryConfig(margin=0.05, release_height=0.03, retreat=0.1)
BOX = np.array([0.0, 0.37, 0.08])
NOTHING = np.zeros((0, 3))
DOWN = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
"""Fingers down."""
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


def placed(position: tuple[float, float, float], attitude: np.ndarray = DOWN) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = attitude, position
    return pose


def brick(center: tuple[float, float, float] = (0.0, 0.0, 0.03)) -> np.ndarray:
    """(8, 3) corners of 10 x 6 x 6 cm."""
    return CORNERS * (0.05, 0.03, 0.03) + center


def planner(
    obstacles: np.ndarray = NOTHING, reachable=lambda way: True, box: np.ndarray = BOX, **limits
) -> CarryPlanner:
    return CarryPlanner(
        box, CONFIG, replace(SafetyLimits(), **limits), HAND, obstacles, reachable
    )  # fmt: skip


def held_at(palm: np.ndarray) -> HeldObject:
    return HeldObject.gripped(brick(), palm)


def test_an_object_moves_with_the_palm():
    palm = placed((0.02, 0.01, 0.15))
    held = held_at(palm)
    assert held.reach_below(DOWN) == pytest.approx(0.15)
    assert held.center(DOWN) == pytest.approx([-0.02, -0.01, 0.03 - 0.15])
    quarter = Rotation.from_rotvec([0.0, 0.0, np.pi / 2]).as_matrix() @ DOWN
    assert held.center(quarter) == pytest.approx([0.01, -0.02, 0.03 - 0.15])
    assert held.reach_below(quarter) == pytest.approx(0.15)


def test_the_way_goes_up_across_and_down_with_the_object_over_the_box():
    palm = placed((0.02, 0.01, 0.15))
    start = placed((0.02, 0.01, 0.30))
    way = planner().way(start, FLAT, held_at(palm))
    assert np.array_equal(way[0], start)
    height = BOX[2] + CONFIG.margin + HAND_REACH
    assert [pose[2, 3] for pose in way[1:3]] == pytest.approx([height, height])
    assert way[1][:2, 3] == pytest.approx(start[:2, 3])
    assert way[2][:2, 3] == pytest.approx(way[3][:2, 3])
    assert all(np.allclose(pose[:3, :3], DOWN) for pose in way)
    # The brick's middle was 2 cm and 1 cm behind the palm.
    assert way[3][:2, 3] == pytest.approx(np.add(BOX[:2], (0.02, 0.01)))
    # The flat fingers reach lower than the brick.
    lowest = reach_below(HAND, FLAT, DOWN)
    assert 0.15 < lowest < HAND_REACH
    assert way[3][2, 3] == pytest.approx(BOX[2] + CONFIG.release_height + lowest)


@pytest.mark.parametrize("drop", [0.1, 0.4])
@pytest.mark.parametrize("top", [0.0, 0.2])
def test_hand_and_object_clear_all_that_stands_there(drop, top):
    obstacles = np.array([[0.3, 0.3, top], [-0.3, 0.1, 0.5 * top]])
    held = HeldObject(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, drop]]))  # below, as the hand is down
    way = planner(obstacles).way(placed((0.0, 0.0, 0.3)), FLAT, held)
    clear = max(top, BOX[2]) + CONFIG.margin
    for pose in way[1:3]:
        assert pose[2, 3] - max(drop, HAND_REACH) == pytest.approx(clear)
    assert way[3][2, 3] - drop >= BOX[2] + CONFIG.release_height - 1e-9


def test_a_wrist_that_is_high_enough_does_not_rise():
    way = planner().way(placed((0.0, 0.0, 0.7)), FLAT, held_at(placed((0.0, 0.0, 0.15))))
    assert [pose[2, 3] for pose in way[:3]] == pytest.approx([0.7] * 3)


def test_it_turns_about_z_where_the_box_is_not_in_reach_otherwise():
    turns = []

    def reachable(way) -> bool:
        turns.append(Rotation.from_matrix(way[3][:3, :3] @ DOWN.T).as_rotvec())
        return len(turns) == 4

    way = planner(reachable=reachable).way(
        placed((0.0, 0.0, 0.3)), FLAT, held_at(placed((0.02, 0.01, 0.15)))
    )
    assert np.rad2deg(turns) == pytest.approx(np.array([[0, 0, a] for a in (0, 30, -30, 60)]))
    turned = HeldObject.gripped(brick(), placed((0.02, 0.01, 0.15)))
    assert way[3][:2, 3] + turned.center(way[3][:3, :3])[:2] == pytest.approx(BOX[:2])


def test_what_cannot_be_is_told():
    start, held = placed((0.0, 0.0, 0.3)), held_at(placed((0.0, 0.0, 0.15)))
    with pytest.raises(NoApproach, match=r"box at \(0.00, 0.37, 0.08\) m is not within"):
        planner(reachable=lambda way: False).way(start, FLAT, held)
    tall = np.array([[0.2, 0.2, 0.7]])
    with pytest.raises(NoApproach, match=r"would have to pass at 1.00 m.*ends at 0.9 m"):
        planner(tall).way(start, FLAT, held)


def test_the_hand_is_raised_at_the_end_as_far_as_the_workspace_goes():
    assert planner().height_of_retreat(placed((0.0, 0.0, 0.3))) == pytest.approx(0.4)
    high = planner(workspace_high=(0.5, 0.5, 0.35))
    assert high.height_of_retreat(placed((0.0, 0.0, 0.3))) == pytest.approx(0.35)


@pytest.mark.parametrize("attitude", [np.eye(3), DOWN, Rotation.random(random_state=0).as_matrix()])
def test_the_hands_lowest_point_is_that_of_its_surface(attitude):
    from dexgrasp_models.perception.robot_mask import robot_distance

    pose = np.eye(4)
    pose[:3, :3] = attitude
    low = -reach_below(HAND, FLAT, attitude)
    distance = robot_distance(HAND, pose, FLAT)
    x, y = np.meshgrid(*2 * [np.linspace(-HAND_REACH, HAND_REACH, 201)])
    just_below, just_above = (
        distance(np.stack([x.ravel(), y.ravel(), np.full(x.size, low + off)], axis=1)).min()
        for off in (-0.002, 0.002)
    )
    assert just_below == pytest.approx(0.002, abs=1e-3)
    assert just_above < 0.0
