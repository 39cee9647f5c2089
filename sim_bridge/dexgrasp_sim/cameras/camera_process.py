"""Cameras rendered in a process of their own, so that real time does not wait for them.

Casting rays holds Python's interpreter lock: in a thread it would stall the simulation beside it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from typing import Any, NamedTuple

import numpy as np

from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.interface import Simulator
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


def render(simulator: Simulator, views: Sequence[View]) -> list[Images]:
    """The images of a simulator's present state, in the order of ``views``."""
    return [
        Images(
            simulator.read_depth(view.camera) if view.depth else None,
            simulator.read_color(view.camera) if view.color else None,
        )
        for view in views
    ]


class CameraProcess:
    """Renders saved states on a twin of the simulator.

    Args:
        scene: what the simulator was built from.
        object_model: its object.
    """

    def __init__(self, scene: SceneConfig, object_model: ObjectModel) -> None:
        self._pool = ProcessPoolExecutor(
            1, get_context("spawn"), _build_twin, (scene, object_model)
        )
        self._job: Future[Any] = self._pool.submit(_is_built)  # starts the process

    def wait_until_idle(self) -> None:
        """Returns when the twin is built and the images asked for last are rendered.

        Raises:
            BrokenProcessPool: the process has ended, as when the twin could not be built.
        """
        self._job.result()

    @property
    def busy(self) -> bool:
        """Whether the images asked for last are still to come."""
        return not self._job.done()

    def submit(self, saved_state: Any, views: Sequence[View]) -> Future[list[Images]]:
        """Images of a state from `Simulator.save_state`."""
        self._job = job = self._pool.submit(_render_saved, saved_state, views)
        return job

    def close(self) -> None:
        """Ends the process after the images it is working on."""
        self._pool.shutdown(cancel_futures=True)


_twin: Simulator | None = None
"""Of the rendering process alone."""


def _build_twin(scene: SceneConfig, object_model: ObjectModel) -> None:
    global _twin
    # The bridge ends this process; Ctrl-C, which reaches the whole group, must not do it first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(_NICENESS)
    _twin = make_simulator(scene, object_model)


def _is_built() -> bool:
    return _twin is not None


def _end_with_parent() -> None:
    """A bridge that was killed could not end this process itself."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)


def _render_saved(saved_state: Any, views: Sequence[View]) -> list[Images]:
    assert _twin is not None
    _twin.restore_state(saved_state)
    return render(_twin, views)
