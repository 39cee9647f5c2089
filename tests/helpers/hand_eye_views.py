"""Drawn pictures of a board that a hand carries, before two cameras."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation
from seen_board import seen_board

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.calibration import CharucoBoard
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_models.perception.hand_eye import View

CAMERAS = load_rig(find_config("cameras/four_d415.yaml"))[:2]
BOARD = CharucoBoard()


def pose(rotation: Rotation, position) -> np.ndarray:
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = rotation.as_matrix(), position
    return made


PALM_T_BOARD = pose(Rotation.from_euler("xyz", [0.1, -0.2, 1.3]), [0.03, -0.05, 0.09])


def wrists(count: int, seed: int = 0, about: np.ndarray | None = None) -> list[np.ndarray]:
    """With which both cameras see the board, turned at random, or about one axis."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        turn = rng.uniform(-0.5, 0.5, 3) if about is None else rng.uniform(-0.6, 0.6) * about
        board = pose(Rotation.from_rotvec(turn), [*rng.uniform(-0.05, 0.05, 2), 0.05])
        found.append(board @ np.linalg.inv(PALM_T_BOARD))
    return found


def views(poses: list[np.ndarray]) -> list[View]:
    return [
        View(
            f"view_{n}",
            world_T_palm,
            {c.name: seen_board(c, BOARD, world_T_palm @ PALM_T_BOARD) for c in CAMERAS},
        )
        for n, world_T_palm in enumerate(poses)
    ]
