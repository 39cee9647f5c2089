"""One-step edits of the grasp that a plan leads to, told once before an episode begins.

After DemoGrasp, where one edit of a demonstration is all that is decided in an episode: the wrist's
place, then its turn, then the fingers. Here the grasp is edited, and the way to it is planned anew,
so that it is checked as every other one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.grasps import Grasps, to_angles
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.batches import batch


@dataclass(frozen=True)
class EditConfig(Parameters):
    """What the greatest edit, of ones, is."""

    shift: float = parameter(0.02, 0.0, 0.1, "m", "of the palm along each of its axes")
    turn: float = parameter(0.3, 0.0, 1.57, "rad", "of the palm about each of them")
    fingers: float = parameter(0.3, 0.0, 1.0, "rad", "of each actuator, grasp and press alike")


def edit_stages(hand: HandSpec) -> tuple[slice, slice, slice]:
    """Numbers of an edit by what they move: the wrist's place, its turn, and the fingers."""
    return slice(0, 3), slice(3, 6), slice(6, 6 + len(hand.actuators))


def edited(goals: Grasps, edits: np.ndarray, config: EditConfig, hand: HandSpec) -> Grasps:
    """Grasps, edited; no edit (zeros) leaves one as it is.

    Args:
        goals: N.
        edits: (N, 24), clipped to (-1, 1): shares of the greatest ones, see `edit_stages`.
        config: how far these go.
        hand: whose joints these are.

    Raises:
        ValueError: the shape does not fit, or a number isn't finite.
    """
    place, turn, fingers = edit_stages(hand)
    edits = np.clip(batch("edit", edits, len(goals), fingers.stop), -1.0, 1.0)
    palms, joints = goals.palm_poses, goals.joints.astype(float)
    shifts = np.einsum("nij,nj->ni", palms[:, :3, :3], config.shift * edits[:, place])
    turns = Rotation.from_rotvec(config.turn * edits[:, turn]).as_matrix()
    angles = config.fingers * edits[:, fingers] @ hand.expansion.T
    kind = goals.joints.dtype
    return replace(
        goals,
        translations=palms[:, :3, 3] + shifts,
        rotations=to_angles(palms[:, :3, :3] @ turns),
        joints=np.clip(joints + angles, *hand.limits.T).astype(kind),
        squeezes=(goals.squeezes + angles).astype(kind),
    )
