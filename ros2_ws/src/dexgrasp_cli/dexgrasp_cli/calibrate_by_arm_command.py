"""``dexgrasp views`` and ``calibrate-by-arm``: where cameras stand, from a board in the hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexgrasp_bringup.environment import require_ros
from dexgrasp_cli.board_options import (
    Columns,
    Dictionary,
    Marker,
    MaxError,
    Rows,
    Square,
)
from dexgrasp_cli.output_paths import file_to_write, folder_to_write
from dexgrasp_cli.rig_option import RIG, Rig, rig_file


def views(
    out: Annotated[
        Path,
        typer.Argument(metavar="VIEWS", help="Folder for the views.", callback=folder_to_write),
    ],
    rig: Rig = RIG,
    namespace: Annotated[str, typer.Option(help="Of the graph.")] = "",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for a view.")] = 10.0,
) -> None:
    """Take views of a board that the arm carries: its images and the wrist's pose.

    The arm's driver and the cameras have to run. Move the arm (freedrive) until the cameras see the
    board, let it stand and press Enter; ten to fifteen times, the wrist turned otherwise each time.
    Ctrl-D ends. Run again, it goes on after the last view.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    require_ros(console)  # before anything imports rclpy

    from dexgrasp_bringup.node_of_command import node_of_command
    from dexgrasp_bringup.views import ViewError, ViewTaker
    from dexgrasp_models.perception.cameras import RigError, load_rig
    from dexgrasp_models.perception.view_files import save_view
    from dexgrasp_ros.conversions import MessageError
    from dexgrasp_ros.spinning import SpinningThread

    try:
        cameras = [camera.name for camera in load_rig(rig_file(rig))]
    except (RigError, OSError) as error:
        console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error
    with (
        node_of_command("view_taker", namespace) as node,
        SpinningThread(node, context=node.context, name="view taker"),
    ):
        taker = ViewTaker(node, cameras)
        number = len(list(out.glob("view_*"))) + 1
        while True:
            try:
                console.input(f"view {number}: let the arm stand, and press Enter (Ctrl-D ends) ")
                view = taker.take(f"view_{number:02d}", timeout)
                save_view(view, out)
            except EOFError:
                break
            except (ViewError, MessageError, OSError) as error:
                console.print(f"[red]{escape(str(error))}", soft_wrap=True)
                continue
            number += 1
    console.print(f"\n{number - 1} views in {escape(str(out))}")


def calibrate_by_arm(
    views: Annotated[Path, typer.Argument(metavar="VIEWS", help="Folder of `dexgrasp views`.")],
    out: Annotated[Path, typer.Option(help="Rig file to write.", callback=file_to_write)],
    rig: Rig = RIG,
    columns: Columns = 7,
    rows: Rows = 5,
    square: Square = 0.035,
    marker: Marker = 0.026,
    dictionary: Dictionary = "DICT_4X4_50",
    max_error: MaxError = 1.0,
) -> None:
    """Estimate the cameras' poses from views of a board in the hand.

    They are poses in the frame in which the arm's driver tells the wrist: where they disagree with
    what a ruler says, look at config/mounting.yaml.
    """
    from rich.console import Console
    from rich.markup import escape

    from dexgrasp_models.perception.calibration import (
        CalibrationError,
        CharucoBoard,
        save_calibration,
    )
    from dexgrasp_models.perception.cameras import RigError, load_rig
    from dexgrasp_models.perception.hand_eye import calibrate_by_arm
    from dexgrasp_models.perception.view_files import load_views

    console = Console()
    try:
        cameras = load_rig(rig_file(rig))
        taken = load_views(views, [camera.name for camera in cameras])
        board = CharucoBoard(columns, rows, square, marker, dictionary)
        found = calibrate_by_arm(taken, cameras, board, max_error=max_error)
        save_calibration(found.cameras, cameras, out)
    except (CalibrationError, RigError, ValueError, OSError) as error:
        console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error
    for one in found.cameras:
        x, y, z = one.camera.world_T_optical[:3, 3]
        console.print(
            f"{one.camera.name}: at ({x:.4f}, {y:.4f}, {z:.4f}) m, error {one.error:.2f} px over"
            f" {one.n_points} corners"
        )
    x, y, z = found.palm_T_board[:3, 3]
    console.print(f"the board: at ({x:.4f}, {y:.4f}, {z:.4f}) m from the palm")
    console.print(f"worst: {found.worst[0]}, {found.worst[1]:.2f} px; written to {out}")
