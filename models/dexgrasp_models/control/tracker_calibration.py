"""Where a tracker of hands stands in the world, from places at which it saw a hand.

At each known place the hand is held in the same way: what the tracked point is off from the place
is the same each time then, and changes where the tracker is said to stand, but not how it is
turned, which is all that teleoperation asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

LEAST_PLACES = 4
"""With three the residuals would say little."""
LEAST_SPREAD = 0.05
"""m, root mean square of the places along the second of their main directions: below it they are
near to a line, and a turn about that is unknown."""


class TrackerCalibrationError(ValueError):
    """The places don't tell how the tracker stands; the message says what to do."""


@dataclass(frozen=True, eq=False)
class TrackerCalibration:
    """How a tracker stands.

    Attributes:
        world_T_tracker: (4, 4); its position is off by what the hand was held beside the places.
        residuals: (N,) distances that are left between places and what was seen, m.
        angle_error: standard deviation of the turn about its least certain axis, rad, by the
            residuals.
    """

    world_T_tracker: np.ndarray
    residuals: np.ndarray
    angle_error: float

    @property
    def rpy(self) -> np.ndarray:
        """(3,) roll, pitch and yaw from the axes of the world to those of the tracker, rad."""
        return Rotation.from_matrix(self.world_T_tracker[:3, :3]).as_euler("xyz")


def calibrate_tracker(
    places: np.ndarray, seen: np.ndarray, most_error: float = 0.02
) -> TrackerCalibration:
    """The rigid motion that brings what was seen to the places, by least squares (Kabsch, 1976).

    Args:
        places: (N, 3) in `world`, m.
        seen: (N, 3) the same in the tracker's frame, m.
        most_error: greatest residual, m.

    Raises:
        TrackerCalibrationError: there are too few, some are not finite, they are near to a line, or
            a residual is greater.
    """
    places, seen = np.asarray(places, float), np.asarray(seen, float)
    if places.shape != seen.shape or places.ndim != 2 or places.shape[1] != 3:
        raise TrackerCalibrationError(f"{places.shape} places, but {seen.shape} of them were seen")
    count = len(places)
    if count < LEAST_PLACES:
        raise TrackerCalibrationError(f"{count} places are too few: take {LEAST_PLACES} or more")
    if not (np.isfinite(places).all() and np.isfinite(seen).all()):
        raise TrackerCalibrationError("there are places that are not finite")
    centred = [points - points.mean(axis=0) for points in (places, seen)]
    for points, what in zip(centred, ("places", "seen places"), strict=True):
        spread = np.linalg.svd(points, compute_uv=False)[1] / np.sqrt(count)
        if spread < LEAST_SPREAD:
            raise TrackerCalibrationError(
                f"the {what} are on a line or too near together ({spread:.3f} m across, at least"
                f" {LEAST_SPREAD:g} m): spread them over two directions"
            )
    turn, _ = Rotation.align_vectors(*centred)
    pose = np.eye(4)
    pose[:3, :3] = turn.as_matrix()
    pose[:3, 3] = places.mean(axis=0) - turn.apply(seen.mean(axis=0))
    left = places - (turn.apply(seen) + pose[:3, 3])
    residuals = np.linalg.norm(left, axis=1)
    worst = int(residuals.argmax())
    if residuals[worst] > most_error:
        raise TrackerCalibrationError(
            f"place {worst + 1} is {residuals[worst]:.3f} m off the others, more than"
            f" {most_error:g} m: hold the hand in the same way at each, and take it anew"
        )
    variance = (left**2).sum() / (3 * count - 6)
    inertia = (centred[0] ** 2).sum() * np.eye(3) - centred[0].T @ centred[0]
    return TrackerCalibration(
        pose, residuals, float(np.sqrt(variance / np.linalg.eigvalsh(inertia)[0]))
    )


def load_places(text: str) -> np.ndarray:
    """(N, 3) places in `world`, m, of a YAML file's text: `places: [[x, y, z], ...]`.

    Raises:
        TrackerCalibrationError: it is none.
    """
    try:
        content = yaml.safe_load(text)
        places = np.array(content["places"], float)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise TrackerCalibrationError(
            f"no file of places, `places: [[x, y, z], ...]`: {error}"
        ) from None
    if places.ndim != 2 or places.shape[1] != 3:
        raise TrackerCalibrationError(
            f"places have three coordinates, not the shape {places.shape}"
        )
    return places


def parameters_of(found: TrackerCalibration) -> str:
    """The text of a parameter file for the node `teleop`."""
    x, y, z = found.world_T_tracker[:3, 3]
    worst, error = found.residuals.max(), np.degrees(found.angle_error)
    lines: Sequence[str] = (
        f"# By dexgrasp calibrate-leap, of {len(found.residuals)} places: within {worst:.4f} m,"
        f" turned within {error:.2f} degrees.",
        f"# The tracker stands at ({x:.3f}, {y:.3f}, {z:.3f}) m, but for how the hand was held.",
        "teleop:",
        "  ros__parameters:",
        *(
            f"    tracker_{name}: {angle:.5f}"
            for name, angle in zip(("roll", "pitch", "yaw"), found.rpy, strict=True)
        ),
    )
    return "\n".join(lines) + "\n"
