"""``dexgrasp calibrate-leap``: how a Leap Motion stands, from places at which it sees a hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexgrasp_bringup.environment import require_ros
from dexgrasp_cli.output_paths import file_to_write


def calibrate_leap(
    out: Annotated[
        Path,
        typer.Option(help="Parameter file to write, for `teleop`.", callback=file_to_write),
    ],
    places: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of known places in the world, `places: [[x, y, z], ...]` in m. Without"
            " it they are where the robot's wrist is, on which the hand rests."
        ),
    ] = None,
    namespace: Annotated[str, typer.Option(help="Of the graph.")] = "",
    max_error: Annotated[
        float, typer.Option(min=0.001, help="Greatest distance that may be left, m.")
    ] = 0.02,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for a place.")] = 10.0,
) -> None:
    """Find how the Leap Motion is turned in the world, from four places or more of a hand.

    The node `leap` has to run, and the arm's driver where there is no file of places. Hold the
    wrist at each place in the same way, the palm turned alike, still, and press Enter. Without a
    file: move the arm (freedrive) without turning its hand; Ctrl-D ends.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    require_ros(console)  # before anything imports rclpy

    import numpy as np

    from dexgrasp_bringup.node_of_command import node_of_command
    from dexgrasp_bringup.tracked_places import PlaceError, PlaceTaker
    from dexgrasp_models.control.tracker_calibration import (
        TrackerCalibrationError,
        calibrate_tracker,
        load_places,
        parameters_of,
    )
    from dexgrasp_ros.spinning import SpinningThread

    known: list[np.ndarray] = []
    seen: list[np.ndarray] = []
    try:
        wanted = None if places is None else load_places(places.read_text(encoding="utf-8"))
        with (
            node_of_command("leap_calibration", namespace) as node,
            SpinningThread(node, context=node.context, name="leap calibration"),
        ):
            taker = PlaceTaker(node)
            while wanted is None or len(seen) < len(wanted):
                where = "on the robot's wrist" if wanted is None else f"at {wanted[len(seen)]} m"
                try:
                    console.input(f"place {len(seen) + 1}: the wrist {where}, still, and Enter ")
                    hand = taker.hand(timeout)
                    known.append(taker.wrist(timeout) if wanted is None else wanted[len(seen)])
                    seen.append(hand)
                except EOFError:
                    break
                except PlaceError as error:
                    console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        found = calibrate_tracker(np.reshape(known, (-1, 3)), np.reshape(seen, (-1, 3)), max_error)
        out.write_text(parameters_of(found), encoding="utf-8")
    except (TrackerCalibrationError, OSError) as error:
        console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error
    for number, residual in enumerate(found.residuals, 1):
        console.print(f"place {number}: {residual * 1e3:.1f} mm off")
    roll, pitch, yaw = found.rpy
    console.print(
        f"turned by roll {roll:.4f}, pitch {pitch:.4f}, yaw {yaw:.4f} rad, within"
        f" {found.angle_error:.4f} rad; written to {escape(str(out))}",
        soft_wrap=True,
    )
