"""The box on the simulated table: what falls into it stays, and the cameras see it."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.objects import load_object
from dexgrasp_models.perception.cameras import CameraModel, look_at
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.box import box_walls, is_in_box
from dexgrasp_sim.scene import load_scene

CARRY = load_control_config().carry
X, Y, RIM = CARRY.box_position


@pytest.fixture(scope="module")
def simulator():
    simulator = make_simulator(load_scene(box=True), load_object("ball"))
    simulator.reset(0)
    return simulator


def at(x: float, y: float, z: float) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def test_the_walls_stand_around_the_opening_up_to_the_rim():
    walls = box_walls()
    assert len(walls) == 4
    for middle, half in walls:
        assert middle[2] + half[2] == pytest.approx(RIM)
        assert middle[2] - half[2] == pytest.approx(0.0)
    inner = [np.abs(middle[:2] - (X, Y)) - half[:2] for middle, half in walls]
    # Each wall is beside the opening along one axis, and covers it along the other.
    sides = 0.5 * np.array(CARRY.box_size)
    assert sorted(int(np.argmax(each)) for each in inner) == [0, 0, 1, 1]
    assert all(each.max() == pytest.approx(sides[np.argmax(each)]) for each in inner)
    assert all(each.min() <= -sides.min() for each in inner)


def test_what_falls_into_the_box_comes_to_rest_there(simulator):
    simulator.place_object(at(X + 0.04, Y, RIM + 0.12))
    assert not is_in_box(simulator.object_model, simulator.object_pose())
    simulator.step(100)
    assert is_in_box(simulator.object_model, simulator.object_pose())
    before = simulator.object_pose()
    simulator.step()
    assert np.abs(simulator.object_pose() - before).max() < 1e-3


def test_the_walls_hold_what_falls_upon_them(simulator):
    wall = max((middle for middle, _ in box_walls()), key=lambda middle: middle[0])
    simulator.place_object(at(wall[0], Y, RIM + 0.06))
    simulator.step(8)  # in which it falls onto the table where there is no wall
    # The origin of the ball's mesh is its lowest point.
    assert simulator.object_pose()[2, 3] == pytest.approx(RIM, abs=0.005)


def test_beside_the_box_is_not_in_it(simulator):
    half = 0.5 * CARRY.box_size[0]
    model = simulator.object_model
    assert is_in_box(model, at(X + half - 0.01, Y, 0.05))
    assert not is_in_box(model, at(X + half + 0.01, Y, 0.05))
    assert not is_in_box(model, at(X, Y, RIM + 0.2))


def test_cameras_see_the_box_where_there_is_one(simulator):
    wall = max((middle for middle, _ in box_walls()), key=lambda middle: middle[0])
    eye = (wall[0] + 0.001, wall[1], 1.0)
    pose = look_at(eye, (wall[0], wall[1], 0.0))
    above = CameraModel("above", 8, 8, 500.0, 500.0, 3.5, 3.5, pose)
    for shown, height in (
        (simulator, RIM),
        (make_simulator(load_scene(), load_object("ball")), 0.0),
    ):
        shown.reset(0)
        hits, _ = shown.depth_cameras.cast(shown.snapshot(), above)
        assert 1.0 - hits.depth[4, 4] == pytest.approx(height, abs=1e-3)
