"""A person's wrist and what assists it, drawn: the wrist's trail, arrows at the fingertips."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
import viser

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.robot.links import link_poses
from dexgrasp_viewer.link_figure import move

TRAIL_COLOR = (200, 30, 120)
GRADIENT_COLOR = (40, 170, 70)
ACTION_COLOR = (240, 140, 50)

_TRAIL_STEP = 0.004
"""Metres from one point of the trail to the next."""
_TRAIL_LENGTH = 1000
_ARROW = 0.3
"""Radians by which an actuator moves along an arrow where its share is 1."""
_EMPTY = np.zeros((0, 2, 3), np.float32)
_BAR = 10  # characters of a bar that is full


class AssistFigure:
    """Added to a scene once; each method shows the newest of one thing.

    Args:
        scene: viser's.
        hand: whose fingertips the arrows start at.
    """

    def __init__(self, scene: viser.SceneApi, hand: HandSpec) -> None:
        self._scene = scene
        self._hand = hand
        self._tips = [hand.link_index(name) for name in hand.distal_links]
        self._ends = np.array(
            [hand.links[link].primitives[0].segment[1] for link in self._tips], dtype=float
        )
        self._trail: deque[np.ndarray] = deque(maxlen=_TRAIL_LENGTH)
        self._wrist = scene.add_frame(
            "/assist/wrist", axes_length=0.08, axes_radius=0.002, visible=False
        )

    def begin(self) -> None:
        """A grasp begins: what was shown of the last one goes."""
        self._trail.clear()
        self._lines("trail", _EMPTY, TRAIL_COLOR)
        self.show_policy(np.eye(4), {}, None, None)

    def show_wrist(self, pose: np.ndarray) -> None:
        """The person's wrist, (4, 4) in `world`, and the way it has come."""
        move(self._wrist, pose)
        self._wrist.visible = True
        position = pose[:3, 3].copy()
        if self._trail and np.linalg.norm(position - self._trail[-1]) < _TRAIL_STEP:
            return
        self._trail.append(position)
        points = np.array(self._trail, np.float32)
        self._lines("trail", np.stack((points[:-1], points[1:]), axis=1), TRAIL_COLOR)

    def show_policy(
        self,
        palm_pose: np.ndarray,
        angles: Mapping[str, float],
        action: np.ndarray | None,
        gradient: np.ndarray | None,
    ) -> None:
        """Where the fingertips go by the policy's action, and by the primitive's gradient.

        Args:
            palm_pose: (4, 4) in `world`.
            angles: rad by joint name.
            action: (18,) in [-1, 1]; None: no arrows.
            gradient: (18,) by its largest entry; None: no arrows.
        """
        for name, share, color in (
            ("action", action, ACTION_COLOR),
            ("gradient", gradient, GRADIENT_COLOR),
        ):
            arrows = _EMPTY if share is None else self._arrows(palm_pose, angles, share)
            self._lines(name, arrows, color)

    def _arrows(
        self, palm_pose: np.ndarray, angles: Mapping[str, float], share: np.ndarray
    ) -> np.ndarray:
        """(5, 2, 3) from each fingertip to where it would be if the actuators moved."""
        names = self._hand.finger_joints
        joints = np.array([angles.get(name, 0.0) for name in names])
        moved = joints + _ARROW * share @ self._hand.expansion.T
        ends = [self._fingertips(palm_pose, dict(zip(names, each, strict=True)))
                for each in (joints, moved)]  # fmt: skip
        return np.stack(ends, axis=1).astype(np.float32)

    def _fingertips(self, palm_pose: np.ndarray, angles: Mapping[str, float]) -> np.ndarray:
        poses = palm_pose @ link_poses(self._hand.links, angles)[self._tips]
        return np.einsum("lij,lj->li", poses[:, :3, :3], self._ends) + poses[:, :3, 3]

    def _lines(self, name: str, points: np.ndarray, color: tuple[int, int, int]) -> None:
        self._scene.add_line_segments(
            f"/assist/{name}", points, np.array(color, np.uint8), thickness=0.003,
            visible=len(points) > 0,
        )  # fmt: skip


def action_text(stage: str, remark: str, actuators: Sequence[str], action: np.ndarray) -> str:
    """Markdown of what the policy does: the stage, and a bar for each finger's fastest actuator."""
    lines = [f"**{stage}**" + (f": {remark}" if remark else "")]
    fingers = dict.fromkeys(name.split("_")[-1][:2] for name in actuators)
    for finger in fingers:
        shares = [
            float(share)
            for name, share in zip(actuators, action, strict=True)
            if name.split("_")[-1].startswith(finger)
        ]
        share = max(shares, key=abs)
        bar = "#" * round(_BAR * min(abs(share), 1.0))
        lines.append(f"- `{finger} {share:+.2f} {bar:{_BAR}}`")
    return "\n".join(lines)
