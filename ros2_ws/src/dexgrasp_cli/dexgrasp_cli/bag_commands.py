"""``dexgrasp record`` and ``dexgrasp replay``: what cameras and robot said, to a bag and back."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dexgrasp_bringup.environment import require_ros
from dexgrasp_cli.output_paths import folder_to_write
from dexgrasp_cli.rig_option import RIG, Rig, rig_file

Namespace = Annotated[str, typer.Option(help="Of the graph.")]

_LOOK_PERIOD = 0.1
"""Seconds between two looks at who publishes."""


def record(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="BAG", help="Folder that is to be written.", callback=folder_to_write
        ),
    ],
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="For so long; by default until Ctrl-C.")
    ] = None,
    rig: Rig = RIG,
    namespace: Namespace = "",
    color: Annotated[bool, typer.Option("--color", help="The color images too.")] = False,
) -> None:
    """Record depth images, states, time and transforms of the running graph to a bag (MCAP).

    `dexgrasp replay` plays it to perception and proposals; `ros2 bag` reads it as well. Ends with
    status 1 if nothing came, 2 if the bag can't be written.
    """
    require_ros(Console())  # before anything imports rclpy

    from rclpy.executors import SingleThreadedExecutor

    from dexgrasp_bringup.bag import BagRecorder, input_topics, new_bag
    from dexgrasp_bringup.node_of_command import node_of_command

    with _told() as (console, stop), node_of_command("bag_recorder", namespace) as node:
        executor = SingleThreadedExecutor(context=node.context)
        executor.add_node(node)
        with new_bag(out) as writer:
            recorder = BagRecorder(node, writer, input_topics(_cameras(rig), color))
            started = looked = time.monotonic()
            with console.status("recording: Ctrl-C ends") as status:
                while not stop.is_set() and (now := time.monotonic()) - started < (
                    seconds or float("inf")
                ):
                    if now - looked >= _LOOK_PERIOD:
                        looked = now
                        recorder.follow()
                        status.update(f"recording: {recorder.counts.total()} messages; Ctrl-C ends")
                    executor.spin_once(timeout_sec=_LOOK_PERIOD)
            if missing := recorder.missing():
                console.print(f"nothing came on {', '.join(missing)}")
            if not recorder.counts:
                raise typer.Exit(1)
        console.print(f"{recorder.counts.total()} messages in {escape(str(out))}")


def replay(
    bag: Annotated[Path, typer.Argument(metavar="BAG", help="Folder, .mcap or .db3 file.")],
    rate: Annotated[float, typer.Option(min=0.01, help="Recorded seconds per second.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Again and again, until Ctrl-C.")] = False,
    rig: Rig = RIG,
    namespace: Namespace = "",
) -> None:
    """Play a recorded run to the graph, in the place of cameras and robot.

    Perception and proposals beside it work on it as on a robot that stands still; see
    docs/recording.md. Ends with status 2 if the bag can't be played.
    """
    require_ros(Console())  # before anything imports rclpy

    from dexgrasp_bringup.bag import BagPlayer, input_topics
    from dexgrasp_bringup.node_of_command import node_of_command

    with _told() as (console, stop), node_of_command("bag_player", namespace) as node:
        player = BagPlayer(node, bag, input_topics(_cameras(rig), color=True))
        console.print(f"playing {', '.join(player.topics)}; Ctrl-C ends")
        try:
            while not stop.is_set():
                count = player.play(stop, rate)
                console.print(f"{count} messages")
                if not loop:
                    break
        finally:
            player.close()


@contextlib.contextmanager
def _told() -> Iterator[tuple[Console, threading.Event]]:
    """A console, and what SIGINT and SIGTERM set; problems end the command with status 2."""
    from dexgrasp_bringup.bag import BagError
    from dexgrasp_models.perception.cameras import RigError

    console, stop = Console(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        yield console, stop
    except (BagError, RigError, OSError) as error:
        console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error


def _cameras(rig: str) -> list[str]:
    from dexgrasp_models.perception.cameras import load_rig

    return [camera.name for camera in load_rig(rig_file(rig))]
