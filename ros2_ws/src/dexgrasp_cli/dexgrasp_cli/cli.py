"""The command `dexgrasp`. Each command imports what it needs when it is called."""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, cast

import typer

from dexgrasp_cli.assist_command import assist
from dexgrasp_cli.bag_commands import record, replay
from dexgrasp_cli.bench_command import bench
from dexgrasp_cli.calibrate_by_arm_command import calibrate_by_arm, views
from dexgrasp_cli.calibrate_command import calibrate
from dexgrasp_cli.calibrate_leap_command import calibrate_leap
from dexgrasp_cli.cloud_command import clouds
from dexgrasp_cli.data_command import data
from dexgrasp_cli.data_metrics_command import metrics
from dexgrasp_cli.data_show_command import show
from dexgrasp_cli.data_trial_commands import controls, synth, validate
from dexgrasp_cli.edits_command import edits
from dexgrasp_cli.eval_assist_command import assist as eval_assist
from dexgrasp_cli.eval_command import evaluation
from dexgrasp_cli.eval_policy_command import policy as eval_policy
from dexgrasp_cli.objects_command import objects
from dexgrasp_cli.output_paths import folder_to_write
from dexgrasp_cli.proposal_options import ControllerName, ProposerName, Weights
from dexgrasp_cli.propose_command import propose
from dexgrasp_cli.rig_option import RIG, Rig
from dexgrasp_cli.squeeze_command import squeeze
from dexgrasp_cli.train_command import train

app = typer.Typer(
    help="Dexterous grasping with a Shadow Hand on a UR10e.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(assist, name="assist")
app.add_typer(bench, name="bench")
for command in (synth, validate, controls, squeeze, metrics, show, clouds):
    data.command()(command)
app.add_typer(data, name="data")
app.add_typer(objects, name="objects")
evaluation.command("assist")(eval_assist)
evaluation.command("policy")(eval_policy)
app.add_typer(evaluation, name="eval")
app.command()(calibrate)
app.command()(calibrate_by_arm)
app.command()(calibrate_leap)
app.command()(edits)
app.command()(propose)
app.command()(record)
app.command()(replay)
app.command()(train)
app.command()(views)


@app.command()
def demo(
    object: Annotated[
        str,
        typer.Option(
            help="can, bottle, mug, box, bowl, ball, hammer, camera, a mesh file, or an object of"
            " the library: library:mug/3 (with --scale 0.1)."
        ),
    ] = "mug",
    scale: Annotated[float, typer.Option(help="Factor on the size of the object.")] = 1.0,
    seed: Annotated[
        int, typer.Option(min=0, help="Draws the object's pose, the noise and the proposals.")
    ] = 0,
    scene: Annotated[
        str, typer.Option(help="floating: the hand alone; arm: the hand on the UR10e.")
    ] = "arm",
    backend: Annotated[
        str, typer.Option(help="The simulator; by default as config/scene.yaml says.")
    ] = "",
    proposer: Annotated[
        ProposerName | None,
        typer.Option(help="What proposes; by default as config/proposals.yaml says."),
    ] = None,
    weights: Weights = None,
    text: Annotated[
        str, typer.Option(help="What is grasped, as: grasp the mug by the handle (with --clip).")
    ] = "",
    clip: Annotated[
        Path | None,
        typer.Option(help="Of the text: folder of CLIP's weights; by default as in config/."),
    ] = None,
    controller: Annotated[
        ControllerName | None,
        typer.Option(help="What carries the grasp out; by default as config/control.yaml says."),
    ] = None,
    assist: Annotated[
        bool,
        typer.Option(
            "--assist", help="A person's wrist is played, and a policy closes the fingers."
        ),
    ] = False,
    drivers: Annotated[
        bool,
        typer.Option(
            "--drivers", help="The robot's real drivers, with devices that the simulator moves."
        ),
    ] = False,
    viewer: Annotated[bool, typer.Option("--viewer", help="Show it in a web browser.")] = False,
    lockstep: Annotated[
        bool, typer.Option("--lockstep", help="Time waits for each command: repeatable.")
    ] = False,
    params_file: Annotated[
        Path | None, typer.Option(help="ROS parameter file, which replaces values of config/.")
    ] = None,
    log_level: Annotated[
        str,
        typer.Option(help="Least severity that the nodes log: debug, info, warn, error, fatal."),
    ] = "info",
    out: Annotated[
        Path, typer.Option(help="Folder for the results.", callback=folder_to_write)
    ] = Path("out/demo"),
) -> None:
    """Start the ROS graph in simulation, grasp an object, lift it and put it back.

    Ends with status 0 if the object was lifted, 1 if not, 2 if an option makes no sense.
    """
    from rich.console import Console
    from rich.markup import escape

    from dexgrasp_bringup.environment import require_ros

    console = Console()
    require_ros(console)  # before anything imports rclpy

    from dexgrasp_bringup.demo import run_demo
    from dexgrasp_bringup.graph import GraphError, SimulationOptions

    try:
        options = SimulationOptions(
            object=_absolute(object),
            scale=scale,
            seed=seed,
            scene=scene,
            backend=backend,
            mode="lock_step" if lockstep else "real_time",
            proposer=str(proposer or ""),
            weights=str(weights.resolve()) if weights else "",
            clip=str(clip.resolve()) if clip else "",
            controller=str(controller or ""),
            assist=assist,
            drivers=drivers,
            viewer=viewer,
            params_file=str(params_file or ""),
            log_level=log_level,
        )
        lifted = run_demo(options, out, console, text)
    except GraphError as error:
        console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        console.print("interrupted: everything was stopped")
        raise typer.Exit(130) from None
    if not lifted:
        raise typer.Exit(1)


@app.command()
def doctor(
    hardware: Annotated[
        bool, typer.Option("--hardware", help="Ask the robot's devices instead; nothing moves.")
    ] = False,
    rig: Rig = RIG,
    params_file: Annotated[
        str, typer.Option(help="With --hardware: parameters of your own, as for the launch file.")
    ] = "",
    arm: Annotated[
        str, typer.Option(help="With --hardware: ur10e, ur_robot_driver or none.")
    ] = "ur10e",
    hand: Annotated[
        str, typer.Option(help="With --hardware: shadow, shadow_ros2 or none.")
    ] = "shadow",
    leap: Annotated[
        bool, typer.Option("--leap", help="With --hardware: a Leap Motion too.")
    ] = False,
) -> None:
    """What is installed, what is missing, and what that costs."""
    if hardware:
        from dexgrasp_bringup.graph import GraphError
        from dexgrasp_bringup.robot_graph import HardwareOptions
        from dexgrasp_cli.hardware_doctor import examine_hardware

        tracker = "leap" if leap else "none"
        try:
            options = HardwareOptions(
                rig=rig, params_file=params_file, arm=arm, hand=hand, leap=tracker
            )
        except GraphError as error:
            raise typer.BadParameter(str(error)) from None
        raise typer.Exit(0 if examine_hardware(options) else 1)
    from dexgrasp_cli.doctor import examine

    raise typer.Exit(0 if examine() else 1)


def main() -> None:
    """Entry point of the console script."""
    # What `timeout` and closed terminals send ends a command as Ctrl-C does: in order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        # A path may hold what the terminal's encoding doesn't have, or bytes that are no text.
        cast(TextIOWrapper, stream).reconfigure(errors="backslashreplace")
    app()


def _absolute(object: str) -> str:
    """A mesh's path for processes that may run in another folder; a shape's name as it is."""
    path = Path(object)
    return str(path.resolve()) if path.exists() or path.suffix else object
