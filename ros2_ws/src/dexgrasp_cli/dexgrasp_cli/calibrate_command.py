"""``dexgrasp calibrate``: where the cameras stand, from images of a printed board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexgrasp_cli.board_options import (
    Columns,
    Dictionary,
    Marker,
    MaxError,
    Rows,
    Square,
)
from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.rig_option import RIG, Rig, rig_file

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def calibrate(
    images: Annotated[
        Path,
        typer.Argument(
            help="Folder with one image of each camera, named as it: camera_1.png, ... Beside it,"
            " camera_1_depth.png (16 bit, mm) checks the board's scale."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Rig file to write.", callback=file_to_write)],
    rig: Rig = RIG,
    columns: Columns = 7,
    rows: Rows = 5,
    square: Square = 0.035,
    marker: Marker = 0.026,
    dictionary: Dictionary = "DICT_4X4_50",
    position: Annotated[
        tuple[float, float, float], typer.Option(help="Board's centre in world, m.")
    ] = (0.0, 0.0, 0.0),
    yaw: Annotated[
        float, typer.Option(help="Turn of the board, lying on the table, about z, rad.")
    ] = 0.0,
    max_error: MaxError = 1.0,
) -> None:
    """Estimate the cameras' poses from images of a ChArUco board that all of them see.

    The images must be rectified and share the frame of the depth image: left infrared, or colour
    aligned to depth.
    """
    import numpy as np
    from rich.console import Console
    from rich.markup import escape
    from scipy.spatial.transform import Rotation

    from dexgrasp_models.perception.calibration import (
        CalibrationError,
        CharucoBoard,
        calibrate_from_board,
        save_calibration,
    )
    from dexgrasp_models.perception.cameras import RigError, load_rig

    console = Console()
    try:
        cameras = load_rig(rig_file(rig))
        pictures, depths = read_images(images, [camera.name for camera in cameras])
        world_T_board = np.eye(4)
        world_T_board[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
        world_T_board[:3, 3] = position
        board = CharucoBoard(columns, rows, square, marker, dictionary)
        seen = [camera for camera in cameras if camera.name in pictures]
        found = calibrate_from_board(
            pictures, seen, board, world_T_board, depths=depths, max_error=max_error
        )
        save_calibration(found, cameras, out)
    except (CalibrationError, RigError, ValueError, OSError) as error:
        console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error
    for calibration in found:
        x, y, z = calibration.camera.world_T_optical[:3, 3]
        console.print(
            f"{calibration.camera.name}: at ({x:.4f}, {y:.4f}, {z:.4f}) m, error"
            f" {calibration.error:.2f} {calibration.unit} over {calibration.n_points} corners"
        )
    console.print(f"written to {out}")


def read_images(folder: Path, names: list[str]) -> tuple[dict, dict]:
    """Images (H, W[, 3]) uint8 and depths (H, W) uint16 mm in a folder, by camera.

    Raises:
        ValueError: there is no image of any of the cameras.
    """
    import imageio.v3 as imageio

    images, depths = {}, {}
    for name in names:
        for suffix in _SUFFIXES:
            if (path := folder / f"{name}{suffix}").is_file():
                images[name] = imageio.imread(path)
        if (path := folder / f"{name}_depth.png").is_file():
            depths[name] = imageio.imread(path)
    if not images:
        raise ValueError(f"{folder} has no image of {', '.join(names)} (as in {names[0]}.png)")
    return images, depths
