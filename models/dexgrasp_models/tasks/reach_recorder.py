"""A file for each reach of a teleoperated wrist, from clutch to clutch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dexgrasp_models.control.teleoperation import TeleoperationState
from dexgrasp_models.files import check_folder
from dexgrasp_models.tasks.pattern_files import save_recording


class ReachRecorder:
    """Keeps the poses of a reach, and writes them once the wrist stands after a release.

    A reach that was lost on the way leaves no file, nor does one that has not ended.

    Args:
        folder: gets `reach_0001.csv` and so on; files that are there stay.

    Raises:
        OSError: nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        check_folder(folder)
        self._folder = folder
        self._times: list[float] = []
        self._poses: list[np.ndarray] = []

    def take(
        self, state: TeleoperationState, fault: str, time: float, pose: np.ndarray
    ) -> Path | None:
        """Take in what a `WristTeleoperation` tells after a step.

        Args:
            state: what the wrist does.
            fault: why it was lost; empty where it was not.
            time: of the pose, s; one that is no later than the last is left out.
            pose: (4, 4) of the wrist, in a frame whose z is up.

        Returns:
            The file of a reach that has ended, or None.

        Raises:
            OSError: it can't be written; the reach is gone.
        """
        if state is TeleoperationState.ENGAGED or (
            state is TeleoperationState.STOPPING and self._times
        ):
            if not self._times or time > self._times[-1]:
                self._times.append(time)
                self._poses.append(pose)
            return None
        times, poses = self._times, self._poses
        self._times, self._poses = [], []
        if fault or len(times) < 2:
            return None
        path = self._next_path()
        save_recording(path, [each - times[0] for each in times], poses)
        return path

    def _next_path(self) -> Path:
        number = 1
        while (path := self._folder / f"reach_{number:04d}.csv").exists():
            number += 1
        return path
