"""Images of grasps: what they depend on, what they don't, and that nothing is cut off."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import trimesh
from language_samples import SCALE, grasps_by_parts
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.grasps import table_pose
from dexgrasp_models.language.grasp_images import GraspRenderer
from dexgrasp_models.objects.library import make_named

SIDE = 96


class Scene(NamedTuple):
    """What is drawn."""

    points: np.ndarray
    normals: np.ndarray
    palm_poses: np.ndarray
    joints: np.ndarray

    def turned(self, angle: float, shift: tuple[float, float]) -> Scene:
        """All of it turned about the vertical (rad) and moved on the table (m)."""
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("z", angle).as_matrix()
        pose[:2, 3] = shift
        turn = pose[:3, :3]
        points = self.points @ turn.T + pose[:3, 3]
        return Scene(points, self.normals @ turn.T, pose @ self.palm_poses, self.joints)


@pytest.fixture(scope="module")
def hammer() -> Scene:
    made = make_named("hammer/0")
    points, faces = trimesh.sample.sample_surface(made.mesh, 1024, seed=0)
    grasps = grasps_by_parts("hammer/0", 2, np.random.default_rng(0))
    pose = table_pose(grasps.planes[0])
    return Scene(
        SCALE * points @ pose[:3, :3].T + pose[:3, 3],
        made.mesh.face_normals[faces] @ pose[:3, :3].T,
        pose @ grasps.palm_poses,
        grasps.joints,
    )


def drawn(scene: Scene, **options) -> np.ndarray:
    return np.array(list(GraspRenderer(side=SIDE, **options).draw(*scene)))


def orange(images: np.ndarray) -> np.ndarray:
    """Pixels of the object, the only thing that isn't grey or bluish."""
    red, blue = images[..., 0].astype(int), images[..., 2].astype(int)
    return red > 1.5 * blue


def test_images_are_repeatable_and_of_the_grasp(hammer) -> None:
    images = drawn(hammer)
    assert images.shape == (4, 2, SIDE, SIDE, 3)
    assert images.dtype == np.uint8
    assert np.array_equal(drawn(hammer), images)
    alone = drawn(Scene(*hammer[:2], hammer.palm_poses[2:3], hammer.joints[2:3]))
    assert np.array_equal(alone[0], images[2])
    assert (images[0] != images[2]).any(axis=-1).mean() > 0.05
    assert (images[0, 0] != images[0, 1]).any(axis=-1).mean() > 0.05


def test_how_the_object_is_turned_and_where_it_is_does_not_matter(hammer) -> None:
    def unlike(one: np.ndarray, other: np.ndarray) -> float:
        return (np.abs(one.astype(int) - other) > 64).any(axis=-1).mean()

    images = drawn(hammer)
    # The light comes from the side of the room, so only outlines are alike.
    turned = drawn(hammer.turned(2.0, (0.1, -0.2)))
    outlines = (orange(images) != orange(turned)).mean()
    assert outlines < 0.01
    # The control: the object turned under the hand.
    points, normals, *_ = hammer.turned(2.0, (0.0, 0.0))
    under = drawn(Scene(points, normals, hammer.palm_poses, hammer.joints))
    assert (orange(images) != orange(under)).mean() > 5 * outlines
    assert unlike(images, under) > 0.02


def test_a_ball_has_the_outline_of_a_sphere() -> None:
    """As the hand is far away, the sphere around the scene is known."""
    radius, far = 0.05, 0.4
    normals = np.random.default_rng(0).normal(size=(2000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = radius * normals + (0.0, 0.0, radius)
    palm = np.eye(4)
    palm[:3, 3] = (far, 0.0, 0.3)
    image = drawn(Scene(points, normals, palm[None], np.zeros((1, 22))), views=1)[0, 0]
    rows, columns = np.nonzero(orange(image))
    # Discs stand out from the sphere by a few percent of its radius.
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)
    area = np.pi / 4 * (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert orange(image).sum() == pytest.approx(area, rel=0.1)


def test_nothing_is_cut_off(hammer) -> None:
    wide = drawn(Scene(3 * hammer.points, *hammer[1:]))
    for images in (drawn(hammer), wide):
        edges = [images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]]
        for edge in edges:
            assert not orange(edge).any()
    assert orange(wide).mean() > orange(drawn(hammer)).mean()


@pytest.mark.parametrize(("points", "normals"), [((3, 3), (3, 3)), ((9, 3), (8, 3)), ((9,), (9,))])
def test_what_can_not_be_drawn(hammer, points, normals) -> None:
    scene = Scene(np.zeros(points), np.zeros(normals), hammer.palm_poses, hammer.joints)
    with pytest.raises(ValueError, match="an object is drawn from points"):
        drawn(scene)
