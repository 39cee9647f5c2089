"""What a grasp looked like: a picture of each stage, and a video of the motion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from dexgrasp_bringup.graph import SimulationOptions
from dexgrasp_bringup.plan_pictures import (
    way_to_the_grasp,
    with_plan,
    with_proposals,
    with_wrist_path,
)
from dexgrasp_bringup.recording import Moment, Proposed, at_wall_time
from dexgrasp_bringup.summary import Interval, motion_of
from dexgrasp_models.objects import load_object
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.cameras.render import Renderer, save_picture, save_video, viewpoint
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.pictures.contact_sheet import in_rows
from dexgrasp_sim.scene import load_scene

VIDEO_RATE = 12.0
VIDEO_SPEED = 2.0
"""The video shows this many simulated seconds in a second."""

_NEAR, _FAR = 0.3, 1.5
"""Depths (m) that the colours of a depth image span."""


def write_pictures(
    options: SimulationOptions,
    intervals: Sequence[Interval],
    moments: Sequence[Moment],
    proposed: Proposed | None,
    out: Path,
    console: Console,
) -> None:
    """Draws the end of each stage as ``01_capture.png`` and so on, and the motion as a video.

    The capture is shown as the cameras saw it, everything else from in front of the table. Into the
    pictures of `propose` and `plan` is drawn what was proposed and chosen; where a person's wrist
    is followed, into those of `wrist` and `assist` what was proposed, and the wrist's way.
    """
    config = load_scene(scene=options.scene, cameras=options.rig, box=options.assist)
    cameras = DepthCameras(config, load_object(options.object, options.scale))
    view = viewpoint(options.scene)
    renderer = Renderer(cameras, view)
    numbered = list(enumerate(intervals, start=1))
    for number, interval in track(numbered, "pictures", console=console, transient=True):
        snapshot = moments[at_wall_time(moments, interval.end)].snapshot
        if interval.stage == "capture":
            picture = depth_mosaic(cameras, replace(snapshot, seed=options.seed))
        else:
            picture = renderer.picture(snapshot)
        if proposed is not None and interval.stage in ("propose", "wrist"):
            picture = with_proposals(picture, view, proposed)
        if proposed is not None and interval.stage == "plan":
            picture = with_plan(picture, view, proposed, way_to_the_grasp(intervals, moments))
        if interval.stage == "assist":
            picture = with_wrist_path(picture, view, way_to_the_grasp(intervals, moments))
        save_picture(out / f"{number:02}_{interval.stage}.png", picture)

    frames = list(_frames(intervals, moments))
    if frames:
        small = Renderer(cameras, viewpoint(options.scene, 640, 480), supersampling=1)
        shown = small.pictures(track(frames, "video", console=console, transient=True))
        save_video(out / "grasp.mp4", shown, VIDEO_RATE)


def depth_mosaic(cameras: DepthCameras, snapshot: Snapshot, columns: int = 2) -> np.ndarray:
    """(H, W, 3) uint8: the depth images of all cameras, near ones warm, without a reading black."""
    tiles = [_coloured(cameras.read_depth(snapshot, name)) for name in cameras.cameras]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return in_rows(tiles, columns)


def _coloured(depth: np.ndarray) -> np.ndarray:
    nearness = np.clip((_FAR - 1e-3 * depth) / (_FAR - _NEAR), 0.0, 1.0)
    colours = cv2.applyColorMap((255.0 * nearness).astype(np.uint8), cv2.COLORMAP_TURBO)
    colours[depth == 0] = 0
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)


def _frames(intervals: Sequence[Interval], moments: Sequence[Moment]) -> Iterator[Snapshot]:
    """The moments of the motion that the video shows."""
    motion = motion_of(intervals)
    if motion is None:
        return
    first, last = (at_wall_time(moments, time) for time in motion)
    due = moments[first].snapshot.time
    for moment in moments[first : last + 1]:
        if moment.snapshot.time >= due:
            yield moment.snapshot
            due += VIDEO_SPEED / VIDEO_RATE
