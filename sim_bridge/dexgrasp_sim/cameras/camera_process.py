"""Cameras rendered in a process of their own, so that real time does not wait for them.

Casting rays holds Python's interpreter lock: in a thread it would stall the simulation beside it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np

from dexgrasp_models.jobs.parent_process import end_with_parent
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.scene import SceneConfig

_NICENESS = 5
"""The images may come late, the simulation and its controller may not."""


class View(NamedTuple):
    """Which images of a camera are wanted."""

    camera: str
    depth: bool
    color: bool


class Images(NamedTuple):
    """What a camera saw; None for what was not wanted."""

    depth: np.ndarray | None
    color: np.ndarray | None


def render(cameras: DepthCameras, snapshot: Snapshot, views: Sequence[View]) -> list[Images]:
    """The images of a snapshot, in the order of ``views``."""
    return [
        Images(
            cameras.read_depth(snapshot, view.camera) if view.depth else None,
            cameras.read_color(snapshot, view.camera) if view.color else None,
        )
        for view in views
    ]


class CameraProcess:
    """Renders snapshots.

    Args:
        scene: the cameras and what they see.
        object_model: the object on the table.
    """

    def __init__(self, scene: SceneConfig, object_model: ObjectModel) -> None:
        self._pool = ProcessPoolExecutor(
            1, get_context("spawn"), _build_cameras, (scene, object_model)
        )
        self._job: Future[Any] = self._pool.submit(_is_built)  # starts the process

    def wait_until_idle(self) -> None:
        """Returns when the cameras are built and the images asked for last are rendered.

        Raises:
            BrokenProcessPool: the process has ended, as when the cameras could not be built.
        """
        self._job.result()

    @property
    def busy(self) -> bool:
        """Whether the images asked for last are still to come."""
        return not self._job.done()

    def submit(self, snapshot: Snapshot, views: Sequence[View]) -> Future[list[Images]]:
        """Images of a snapshot."""
        self._job = job = self._pool.submit(_render, snapshot, views)
        return job

    def close(self) -> None:
        """Ends the process after the images it is working on."""
        self._pool.shutdown(cancel_futures=True)


_cameras: DepthCameras | None = None
"""Of the rendering process alone."""


def _build_cameras(scene: SceneConfig, object_model: ObjectModel) -> None:
    global _cameras
    # The bridge ends this process; Ctrl-C, which reaches the whole group, must not do it first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()  # a bridge that was killed could not end this process itself
    os.nice(_NICENESS)
    _cameras = DepthCameras(scene, object_model)


def _is_built() -> bool:
    return _cameras is not None


def _render(snapshot: Snapshot, views: Sequence[View]) -> list[Images]:
    assert _cameras is not None
    return render(_cameras, snapshot, views)
