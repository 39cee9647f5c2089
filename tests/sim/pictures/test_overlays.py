"""What is drawn over pictures appears where the camera sees it."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.robot.links import link_poses
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_sim.cameras.render import viewpoint
from dexgrasp_sim.pictures.overlays import with_hand, with_path, with_points

BLUE = (0, 0, 255)
HAND = load_hand()


@pytest.fixture
def camera():
    return viewpoint("floating", 320, 240)


@pytest.fixture
def grey(camera):
    return np.full((camera.height, camera.width, 3), 128, np.uint8)


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(H, W) where two pictures differ."""
    return (before != after).any(axis=2)


def test_points_are_drawn_where_they_project_to(camera, grey):
    points = np.array([[0.0, 0.0, 0.05], [-0.1, 0.05, 0.2]])
    drawn = with_points(grey, camera, points, BLUE)
    for u, v in camera.project(points):
        assert tuple(drawn[round(v), round(u)]) == BLUE
    assert 2 <= changed(grey, drawn).sum() < 50


def test_points_behind_the_camera_or_beside_its_picture_are_not_drawn(camera, grey):
    points = np.array([[2.0, -2.0, 1.5], [-0.14, 30.0, 0.0]])
    assert not changed(grey, with_points(grey, camera, points, BLUE)).any()


def test_a_path_goes_through_all_between_its_points(camera, grey):
    ends = np.array([[0.0, 0.0, 0.05], [-0.1, 0.05, 0.3]])
    drawn = with_path(grey, camera, ends, BLUE, width=1)
    for u, v in camera.project(np.linspace(*ends, 20)):
        near = drawn[round(v) - 1 : round(v) + 2, round(u) - 1 : round(u) + 2]
        assert (np.abs(near.astype(int) - BLUE).max(axis=2) < 120).any()


def test_a_hand_is_drawn_at_its_grasp_and_shines_through(camera, grey):
    palm = np.eye(4)
    palm[:3, 3] = (-0.05, 0.0, 0.15)
    joints = HAND.limits.mean(axis=1)
    grasp = Grasp(palm, joints, joints, joints, 0.0, {}, "made up")
    drawn = with_hand(grey, camera, grasp, HAND, BLUE, 0.5)
    angles = dict(zip(HAND.finger_joints, joints, strict=True))
    tips = (palm @ link_poses(HAND.links, angles))[
        [index for index, link in enumerate(HAND.links) if link.primitives], :3, 3
    ]
    seen = changed(grey, drawn)
    inside = [seen[round(v), round(u)] for u, v in camera.project(tips)]
    assert np.mean(inside) > 0.9
    rows, columns = np.nonzero(seen)
    u, v = camera.project(tips).mean(axis=0)
    assert np.hypot(columns.mean() - u, rows.mean() - v) < 15
    assert (drawn[seen] >= 64 - 1).all(), "half of the grey is left"
    assert drawn[seen][:, 2].mean() > drawn[seen][:, 0].mean()
