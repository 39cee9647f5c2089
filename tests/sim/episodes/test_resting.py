"""How objects lie, of boxes whose sides are known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from dexgrasp_sim.episodes.resting import Lying, lying, resting_height


@pytest.mark.parametrize(
    ("up", "expected"),
    [(0, Lying.HIGH), (1, Lying.FLAT), (2, Lying.THIN)],
)
def test_a_box_on_each_of_its_sides(up, expected):
    sides = np.array([0.2, 0.03, 0.02])
    if expected is Lying.FLAT:
        sides = np.array([0.2, 0.03, 0.12])
    box = trimesh.creation.box(sides)
    pose = np.eye(4)
    turn = Rotation.align_vectors([[0, 0, 1]], [np.eye(3)[up]])[0]
    pose[:3, :3] = (Rotation.from_euler("z", 0.7) * turn).as_matrix()
    pose[:3, 3] = (0.1, -0.2, 0.5)
    assert resting_height(box.vertices, pose) == pytest.approx(sides[up])
    assert lying(box.vertices, pose) is expected
