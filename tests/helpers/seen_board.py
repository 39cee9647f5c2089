"""Pictures of a ChArUco board wherever it is."""

from __future__ import annotations

import cv2
import numpy as np

from dexgrasp_models.perception.calibration import CharucoBoard
from dexgrasp_models.perception.cameras import CameraModel


def seen_board(
    camera: CameraModel, board: CharucoBoard, world_T_board: np.ndarray | None = None
) -> np.ndarray:
    """(H, W) uint8: the board through its plane's homography; by default centred on the table."""
    pose = np.eye(4) if world_T_board is None else world_T_board
    print_ = board.draw()
    width, height = board.size
    corners = np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]]) * [width / 2, height / 2]
    places = np.column_stack([corners, np.zeros(4)]) @ pose[:3, :3].T + pose[:3, 3]
    pixels = camera.project(places)
    rows, columns = print_.shape
    source = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]]) - 0.5
    homography = cv2.getPerspectiveTransform(source.astype("f4"), pixels.astype("f4"))
    # Drawn at four times the size, since one sample a pixel would tear the markers' edges.
    fine = np.diag([4.0, 4.0, 1.0]) @ homography
    size = (4 * camera.width, 4 * camera.height)
    image = cv2.warpPerspective(print_, fine, size, flags=cv2.INTER_AREA, borderValue=255)
    return cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
