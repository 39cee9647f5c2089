"""Pictures of densities on SO(3): what is drawn where."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from dexgrasp_models.geometry.so3_grid import so3_grid
from dexgrasp_models.nets.rotation_picture import draw_rotation_density
from dexgrasp_models.nets.rotation_picture import mollweide as mollweide_map

WIDTH = 400
DIRECTIONS = [(0.3, 0.2, -1.0), (-0.5, 0.8, 0.4), (0.0, -1.0, 0.0), (0.02, 0.0, 1.0)]


def peaked_at(rotation: np.ndarray, spread: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """The rotations of a grid, and log densities that fall with the square of the angle."""
    grid = so3_grid(2)
    cosines = (np.einsum("ij,mij->m", rotation, grid) - 1) / 2
    return grid, -0.5 * (np.arccos(cosines.clip(-1, 1)) / spread) ** 2


def pointing(direction: tuple[float, float, float], turn: float = 0.0) -> np.ndarray:
    """A rotation that takes z to a direction."""
    x, y, z = np.array(direction) / np.linalg.norm(direction)
    return Rotation.from_euler("ZYZ", (math.atan2(y, x), math.acos(z), turn)).as_matrix()


def mollweide(direction: tuple[float, float, float]) -> np.ndarray:
    """Place on the map, in parts of the picture's width from its middle, right and up."""
    x, y, z = np.array(direction) / np.linalg.norm(direction)
    angle = brentq(lambda a: 2 * a + math.sin(2 * a) - math.pi * z, -math.pi / 2, math.pi / 2)
    across = math.atan2(y, x) / math.pi * math.cos(angle)
    return 0.92 * np.array([across / 2, math.sin(angle) / 4])


def coloured(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle of all that isn't grey, as `mollweide` measures it, and its mean colour."""
    values = picture.astype(int)
    rows, columns = np.nonzero(np.ptp(values, axis=2) > 60)
    height, width = picture.shape[:2]
    place = np.array([columns.mean() - width / 2, height / 2 - rows.mean()]) / width
    return place, values[rows, columns].mean(axis=0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_peak_is_where_its_fingers_point(direction) -> None:
    picture = draw_rotation_density(*peaked_at(pointing(direction)), width=WIDTH)
    assert picture.dtype == np.uint8
    assert picture.shape[1] == WIDTH
    place, _ = coloured(picture)
    assert np.linalg.norm(place - mollweide(direction)) < 0.03
    # What is drawn is at the peak's place and at no other's.
    for other in DIRECTIONS:
        if other != direction:
            assert np.linalg.norm(place - mollweide(other)) > 0.1


def test_the_hue_is_the_turn() -> None:
    direction = DIRECTIONS[1]
    colours = [
        coloured(draw_rotation_density(*peaked_at(pointing(direction, turn)), width=WIDTH))[1]
        for turn in (0.0, 2 * math.pi / 3, 4 * math.pi / 3)
    ]
    # Red, green and blue, in this order.
    assert [int(colour.argmax()) for colour in colours] == [0, 1, 2]


def test_a_denser_peak_has_larger_dots() -> None:
    places = [pointing(direction) for direction in DIRECTIONS[:2]]
    grid, first = peaked_at(places[0])
    _, second = peaked_at(places[1])
    both = np.logaddexp(first, second - math.log(4))
    picture = draw_rotation_density(grid, both, width=WIDTH)
    drawn = np.ptp(picture.astype(int), axis=2) > 60
    right = drawn[:, WIDTH // 2 :].sum()  # DIRECTIONS[0] and [1] are both right of the middle
    alone = [
        (np.ptp(draw_rotation_density(grid, d, width=WIDTH).astype(int), axis=2) > 60).sum()
        for d in (first, second)
    ]
    assert alone[0] + 0.15 * alone[1] < right < alone[0] + 0.6 * alone[1]


def test_an_offset_of_the_log_densities_makes_no_difference() -> None:
    grid, logs = peaked_at(pointing(DIRECTIONS[0]))
    one, other = (draw_rotation_density(grid, logs + by, width=WIDTH) for by in (0.0, 700.0))
    assert np.array_equal(one, other)


def test_marked_rotations_are_circles_in_place() -> None:
    grid, logs = peaked_at(pointing(DIRECTIONS[0]))
    plain = draw_rotation_density(grid, logs, width=WIDTH)
    marked = pointing(DIRECTIONS[1])[None]
    changed = draw_rotation_density(grid, logs, marked, width=WIDTH) != plain
    rows, columns = np.nonzero(changed.any(axis=2))
    place = np.array([columns.mean() - WIDTH / 2, len(plain) / 2 - rows.mean()]) / WIDTH
    assert np.linalg.norm(place - mollweide(DIRECTIONS[1])) < 0.01
    assert not changed[int(rows.mean()), int(columns.mean())].any()  # open


def test_bad_input_is_refused() -> None:
    grid, logs = peaked_at(np.eye(3))
    with pytest.raises(ValueError, match=r"\(M, 3, 3\)"):
        draw_rotation_density(grid[:5], logs)
    with pytest.raises(ValueError, match="finite"):
        draw_rotation_density(grid, np.full(len(grid), np.nan))


def test_the_map_is_mollweides():
    directions = Rotation.random(1000, random_state=0).as_matrix()[:, :, 2]
    x, y = mollweide_map(directions).T
    auxiliary = np.arcsin(y)
    np.testing.assert_allclose(
        2 * auxiliary + np.sin(2 * auxiliary), np.pi * directions[:, 2], atol=1e-9
    )
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    np.testing.assert_allclose(x, 2 * azimuth / np.pi * np.cos(auxiliary), atol=1e-9)
    poles = mollweide_map(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]))
    np.testing.assert_allclose(poles, [[0.0, 1.0], [0.0, -1.0]], atol=1e-9)
