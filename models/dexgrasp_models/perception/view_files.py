"""Views for a calibration by the arm, as folders: `palm.json` and an image of each camera."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

from dexgrasp_models.files import folder_written_whole
from dexgrasp_models.geometry import poses
from dexgrasp_models.perception.calibration import CalibrationError
from dexgrasp_models.perception.hand_eye import View

_PALM = "palm.json"


def save_view(view: View, folder: Path) -> None:
    """Writes `folder/<name of the view>`, whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    with folder_written_whole(folder / view.name) as temporary:
        position, quaternion = poses.to_quaternion(view.world_T_palm)
        palm = {"position": position.tolist(), "quaternion_xyzw": quaternion.tolist()}
        (temporary / _PALM).write_text(json.dumps(palm) + "\n")
        for name, image in view.images.items():
            imageio.imwrite(temporary / f"{name}.png", image)


def load_views(folder: Path, cameras: Iterable[str]) -> list[View]:
    """The views in a folder, by their names.

    Raises:
        CalibrationError: there are none, or one can't be read.
    """
    names = list(cameras)
    found = [_load(path.parent, names) for path in sorted(folder.glob(f"*/{_PALM}"))]
    if not found:
        raise CalibrationError(f"{folder} has no views: `dexgrasp views` takes them")
    return found


def _load(folder: Path, names: list[str]) -> View:
    try:
        palm = json.loads((folder / _PALM).read_text())
        values = np.array([*palm["position"], *palm["quaternion_xyzw"]], dtype=float)
        if values.shape != (7,) or abs(np.linalg.norm(values[3:]) - 1.0) > 0.01:
            raise ValueError("expected a position of 3 numbers and a quaternion of length 1")
        images = {
            name: imageio.imread(path)
            for name in names
            if (path := folder / f"{name}.png").is_file()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CalibrationError(f"view {folder} can't be read: {error}") from None
    return View(folder.name, poses.from_quaternion(values[:3], values[3:]), images)
