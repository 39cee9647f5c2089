"""The arm's way home, also from where a person has led its joints astray.

The palm's pose alone does not say how the arm stands: led through poses near a singularity, or
turned on and on, the same pose is held by other joints, from which a straight way of the palm may
run into a joint's limit. So home is where the joints are at home.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics

_AT_HOME = 0.2
"""rad, by which joints at home may be off."""
_SPACING = 0.1
"""rad of the joint that goes farthest, from one pose of the palm to the next."""
_DIP = 0.02
"""m by which the palm may sink on the joints' way below where it has to be."""


@dataclass(frozen=True, eq=False)
class WayHome:
    """Palm poses in `world`."""

    stops: Sequence[np.ndarray]
    """(4, 4) each, from where the palm is: straight from one to the next."""
    passed: Sequence[np.ndarray] = ()
    """(4, 4) each, close together, from the last stop on; the arm does not stop there."""


def arm_way_home(
    arm: ArmKinematics,
    joints: np.ndarray,
    straight: Sequence[np.ndarray],
    height: float,
    fits: Callable[[Sequence[np.ndarray]], bool],
) -> WayHome | None:
    """The straight way home, where the joints come home on it; else up, and then by the joints.

    Args:
        arm: the arm.
        joints: (6,) where its joints are, rad.
        straight: (4, 4) palm poses of `way_home`.
        height: above which the palm passes over everything, m in `world`.
        fits: whether the palm may go through poses from there.

    Returns:
        A way that fits; one on which the joints do not come home only where there is no other, and
        None where there is none.
    """
    led = arm.track(straight, joints) if fits(straight) else None
    if led is not None and _at_home(arm, led[-1]):
        return WayHome(straight)
    for up in (straight[:2], _raised(straight[0], height)):
        passed = _by_joints(arm, joints, up, height, fits)
        if passed is not None:
            return WayHome(up, passed)
    return None if led is None else WayHome(straight)


def _raised(start: np.ndarray, height: float) -> list[np.ndarray]:
    """From a pose up to a height, if it is lower: no farther, the arm may not reach higher."""
    up = start.copy()
    up[2, 3] = max(up[2, 3], height)
    return [start, up]


def _by_joints(
    arm: ArmKinematics,
    joints: np.ndarray,
    up: Sequence[np.ndarray],
    height: float,
    fits: Callable[[Sequence[np.ndarray]], bool],
) -> list[np.ndarray] | None:
    """Palm poses of the joints' way home from the last of `up`, if it fits and leads there."""
    raised = arm.track(up, joints)
    if raised is None:
        return None
    passed = [arm.fk(each) for each in _between(raised[-1], arm.home)]
    lowest = min(height, up[-1][2, 3], passed[-1][2, 3]) - _DIP
    whole = [*up, *passed]
    if min(pose[2, 3] for pose in passed) < lowest or not fits(whole):
        return None
    ended = arm.track(whole, joints)
    return passed if ended is not None and _at_home(arm, ended[-1]) else None


def _at_home(arm: ArmKinematics, joints: np.ndarray) -> bool:
    return bool(np.abs(joints - arm.home).max() < _AT_HOME)


def _between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(K, 6) joints from one to the other, all on their way at once."""
    count = math.ceil(float(np.abs(end - start).max()) / _SPACING) + 1
    return np.linspace(start, end, max(count, 2))
