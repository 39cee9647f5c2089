"""The demo's pictures of `propose` and `plan`, on made-up recordings."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_bringup.plan_pictures import (
    CLOUD_COLOR,
    nearest,
    rank_color,
    way_to_the_grasp,
    with_plan,
    with_proposals,
)
from dexgrasp_bringup.recording import Moment, Proposed
from dexgrasp_bringup.summary import Interval
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_sim.cameras.render import viewpoint
from dexgrasp_sim.interface import Snapshot

CAMERA = viewpoint("floating", 320, 240)
EMPTY = np.full((240, 320, 3), 200, np.uint8)
STAGES = [
    Interval("plan", 0.0, 1.0),
    Interval("pregrasp", 1.0, 3.0),
    Interval("approach", 3.0, 5.0),
    Interval("close", 5.0, 6.0),
]


def palm_at(x: float, z: float = 0.2) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = (x, 0.0, z)
    return pose


def grasp_at(x: float, z: float) -> Grasp:
    joints = load_hand().limits.mean(axis=1)
    return Grasp(palm_at(x, z), joints, joints, joints, 0.0, {}, "made up")


@pytest.fixture
def proposed() -> Proposed:
    points = np.array([[0.1, 0.0, 0.02], [0.1, 0.02, 0.02]])
    return Proposed(points, [grasp_at(-0.3, 0.4), grasp_at(0.1, 0.2)])


def moments() -> list[Moment]:
    """The palm comes from the side, half a second a step, and ends at 0.1 m."""
    times = np.arange(0.0, 6.0, 0.5)
    return [
        Moment(Snapshot(t, {}, palm_at(float(np.interp(t, [1, 5], [-0.4, 0.1]))), np.eye(4)), t)
        for t in times.tolist()
    ]


def test_the_way_is_from_the_first_motion_until_the_fingers_close():
    way = way_to_the_grasp(STAGES, moments())
    assert way.shape == (9, 4, 4)
    assert way[0, 0, 3] == pytest.approx(-0.4)
    assert way[-1, 0, 3] == pytest.approx(0.1)
    assert len(way_to_the_grasp(STAGES[:3], moments())) == 0


def test_the_chosen_grasp_is_where_the_palm_came_to(proposed):
    assert nearest(proposed.grasps, palm_at(0.09)) is proposed.grasps[1]


def test_ranks_go_from_green_to_red():
    assert rank_color(0, 3) == (0, 255, 25)
    assert rank_color(2, 3) == (255, 0, 25)
    assert rank_color(0, 1) == (0, 255, 25)


def test_both_show_the_cloud_and_each_its_hands(proposed):
    way = way_to_the_grasp(STAGES, moments())
    all_hands = with_proposals(EMPTY, CAMERA, proposed)
    chosen = with_plan(EMPTY, CAMERA, proposed, way)
    for picture in (all_hands, chosen):
        for u, v in CAMERA.project(proposed.points):
            assert tuple(picture[round(v), round(u)]) == CLOUD_COLOR
    other, taken = (CAMERA.project(grasp.palm_pose[None, :3, 3])[0] for grasp in proposed.grasps)
    assert pixel(all_hands, other) != pixel(EMPTY, other)
    assert pixel(chosen, other) == pixel(EMPTY, other)
    assert pixel(chosen, taken) != pixel(EMPTY, taken)


def test_without_motion_the_plan_shows_the_cloud_alone(proposed):
    picture = with_plan(EMPTY, CAMERA, proposed, np.zeros((0, 4, 4)))
    assert 0 < (picture != EMPTY).any(axis=2).sum() < 60


def pixel(picture: np.ndarray, at: np.ndarray) -> tuple[int, ...]:
    return tuple(picture[round(at[1]), round(at[0])])
