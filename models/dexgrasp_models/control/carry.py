"""The way of a held object over a box: straight up, across above all that stands there, and down.

GraspGF (Wu et al., NeurIPS 2023), D.2, has the robot move to a box once the object is lifted; how,
it does not say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.approach_plan import NoApproach, at_height
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.hand.extent import HAND_REACH, reach_below
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.parameters import Parameters, parameter

_TURNS = np.deg2rad([0, 30, -30, 60, -60, 90, -90, 120, -120, 150, -150, 180])
"""About z, in the order in which they are tried: an arm reaches the box in some of them only."""

_THUMB_ROTATION = "rh_THJ4"


@dataclass(frozen=True)
class CarryConfig(Parameters):
    """Where the box stands, and how what is held is carried there and released."""

    box_position: tuple[float, float, float] = parameter(
        (0.0, 0.37, 0.08), -2.0, 2.0, "m", "middle of the box's opening, in world; it stands there"
    )
    box_size: tuple[float, float] = parameter(
        (0.22, 0.22), 0.05, 2.0, "m", "sides of its opening along x and y"
    )
    margin: float = parameter(
        0.05, 0.0, 0.3, "m", "of hand and object above all that stands there, on the way across"
    )
    release_height: float = parameter(
        0.03, 0.0, 0.3, "m", "of hand and object above the box's rim when the hand opens"
    )
    retreat: float = parameter(0.1, 0.0, 0.5, "m", "by which the open hand is raised at the end")
    speed: float = parameter(0.25, 0.02, 1.0, "m/s", "of the wrist on the way")
    acceleration: float = parameter(0.6, 0.1, 5.0, "m/s^2", "likewise")
    angular_speed: float = parameter(0.6, 0.1, 4.0, "rad/s", "of its turning")
    angular_acceleration: float = parameter(1.5, 0.5, 30.0, "rad/s^2", "likewise")


@dataclass(frozen=True, eq=False)
class HeldObject:
    """An object that moves with the palm."""

    points: np.ndarray
    """(N, 3) of its surface in the palm's frame, m."""

    @classmethod
    def gripped(cls, points: np.ndarray, palm: np.ndarray) -> HeldObject:
        """Of which (N, 3) points were seen in `world`, gripped by a palm at a (4, 4) pose there."""
        return cls((points - palm[:3, 3]) @ palm[:3, :3])

    def reach_below(self, attitude: np.ndarray) -> float:
        """Metres from the palm's frame down to its lowest point, at a (3, 3) attitude of it."""
        return -float((self.points @ attitude[2]).min())

    def center(self, attitude: np.ndarray) -> np.ndarray:
        """(3,) from the palm's frame to the middle of its box along the world's axes, m."""
        placed = self.points @ attitude.T
        return 0.5 * (placed.min(axis=0) + placed.max(axis=0))


def opened(hand: HandSpec, joints: np.ndarray) -> np.ndarray:
    """(22,) angles, rad, at which the hand lets go of what it holds at (22,) others.

    The thumb stretches and stays across: one that turned back beside the palm would push what leans
    on it into the gap to the first finger, where it stays.
    """
    rotation = hand.finger_joints.index(_THUMB_ROTATION)
    angles = np.zeros(len(hand.finger_joints))
    angles[rotation] = joints[rotation]
    return angles


class CarryPlanner:
    """Finds ways over a box.

    Args:
        box: (3,) middle of its opening in `world`, m.
        config: distances.
        limits: the workspace.
        hand: that holds.
        obstacles: (N, 3) points of what else stands there, in `world`, m.
        reachable: whether the palm may go through (4, 4) poses in `world`.
    """

    def __init__(
        self,
        box: np.ndarray,
        config: CarryConfig,
        limits: SafetyLimits,
        hand: HandSpec,
        obstacles: np.ndarray,
        reachable: Callable[[Sequence[np.ndarray]], bool],
    ) -> None:
        self._box = np.asarray(box, dtype=float)
        self.config = config
        self._limits = limits
        self._hand = hand
        self._obstacles = obstacles
        self._reachable = reachable

    def way(self, start: np.ndarray, joints: np.ndarray, held: HeldObject) -> list[np.ndarray]:
        """Palm poses from ``start`` to where the hand opens; the object is over the box's middle.

        The palm may turn about z on the way, and keeps its tilt.

        Args:
            start: (4, 4) in `world`.
            joints: (22,) of the fingers that hold, rad.
            held: what they hold.

        Raises:
            NoApproach: the way leaves the workspace or the arm's reach.
        """
        attitude = start[:3, :3]
        below = held.reach_below(attitude)
        height = max(start[2, 3], self._travel_height(below))
        if height > self._limits.workspace_high[2]:
            raise NoApproach(
                f"the wrist would have to pass at {height:.2f} m, above all that stands there, and"
                f" the workspace ends at {self._limits.workspace_high[2]:g} m"
            )
        fingers = (joints, opened(self._hand, joints))
        lowest = max(below, *(reach_below(self._hand, each, attitude) for each in fingers))
        low = min(self._box[2] + self.config.release_height + lowest, height)
        for way in self._ways(start, held, height, low):
            if self._reachable(way):
                return way
        x, y, z = self._box
        raise NoApproach(
            f"the box at ({x:.2f}, {y:.2f}, {z:.2f}) m is not within the workspace and the arm's"
            " reach for a hand that is held like this"
        )

    def height_of_retreat(self, over: np.ndarray) -> float:
        """To which the palm is raised from where the hand has opened, m."""
        highest = max(over[2, 3], self._limits.workspace_high[2])
        return float(min(over[2, 3] + self.config.retreat, highest))

    def _ways(
        self, start: np.ndarray, held: HeldObject, height: float, low: float
    ) -> Iterator[list[np.ndarray]]:
        for turn in _TURNS:
            over = start.copy()
            over[:3, :3] = Rotation.from_rotvec([0.0, 0.0, turn]).as_matrix() @ start[:3, :3]
            over[:2, 3] = self._box[:2] - held.center(over[:3, :3])[:2]
            yield [start, at_height(start, height), at_height(over, height), at_height(over, low)]

    def _travel_height(self, below: float) -> float:
        """Of the palm, at which whatever is below it clears the box and all else."""
        top = float(np.max([self._box[2], *self._obstacles[:, 2]]))
        return top + self.config.margin + max(HAND_REACH, below)
