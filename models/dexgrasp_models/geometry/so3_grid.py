"""Equivolumetric grids on SO(3) (Yershova et al., IJRR 2010), as UniDexGrasp's sec. 3.2.1 uses.

A rotation is where it takes the z axis, a point of the sphere, and a turn about that. The sphere
is divided into HEALPix's pixels of equal area, the turn into equal parts, so all cells have the
same volume. Each level doubles the resolution.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

SO3_VOLUME = math.pi**2
"""Volume of SO(3) in UniDexGrasp's Eq. 1: half of the unit 3-sphere's."""
MAX_LEVEL = 6
"""The finest grid: 19 million rotations."""


def grid_size(level: int) -> int:
    """Number of rotations in the grid: 72 at level 0, eight times as many at each further one.

    Raises:
        ValueError: there is no such level.
    """
    if not 0 <= level <= MAX_LEVEL:
        raise ValueError(f"the grid's level must be 0 to {MAX_LEVEL}, not {level}")
    return 72 * 8**level


def so3_grid(level: int, containing: np.ndarray | None = None) -> np.ndarray:
    """The grid's rotations, about 60 / 2^level degrees apart.

    Args:
        level: of the resolution.
        containing: (3, 3) rotation that shall be the first of the grid, which is turned as a whole
            to that end and stays equivolumetric; by default it isn't turned.

    Returns:
        (72 * 8^level, 3, 3).

    Raises:
        ValueError: there is no such level.
    """
    size = grid_size(level)
    sides = 2**level
    polar, azimuth = pixel_centres(sides)
    turns = 2 * np.pi * np.arange(6 * sides) / (6 * sides)
    angles = np.empty((len(polar), len(turns), 3))
    angles[..., 0], angles[..., 1], angles[..., 2] = azimuth[:, None], polar[:, None], turns
    grid = Rotation.from_euler("ZYZ", angles.reshape(size, 3)).as_matrix()
    if containing is not None:
        grid = grid @ (grid[0].T @ containing)
    return grid


def pixel_centres(sides: int) -> tuple[np.ndarray, np.ndarray]:
    """Where HEALPix's pixels of equal area are, ring by ring from the north pole.

    Gorski et al., ApJ 622 (2005), Eq. 2 to 9.

    Args:
        sides: resolution, pixels along the side of each of the sphere's 12 faces.

    Returns:
        Polar angles and azimuths, both (12 sides^2,) rad.
    """
    ring = np.arange(1, 4 * sides)
    from_pole = np.minimum(ring, 4 * sides - ring)
    in_cap = from_pole < sides
    height = np.where(
        in_cap,
        np.sign(2 * sides - ring) * (1 - from_pole**2 / (3 * sides**2)),
        4 / 3 - 2 * ring / (3 * sides),
    )
    count = 4 * np.minimum(from_pole, sides)
    # In the belt every other ring is turned by half a pixel; in the caps all are.
    shift = np.where(in_cap, 0.5, 0.5 * ((ring - sides + 1) % 2))
    places = np.concatenate([np.arange(n) for n in count])
    azimuth = 2 * np.pi * (places + np.repeat(shift, count)) / np.repeat(count, count)
    return np.repeat(np.arccos(height), count), azimuth
