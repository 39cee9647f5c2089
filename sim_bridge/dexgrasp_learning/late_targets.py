"""Targets on their way to hands, which come to each of them late by its own time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dexgrasp_models.control.trajectory import interpolate_pose


class LateTargets:
    """What N hands are told step by step, and what has come to them control tick by control tick.

    A wrist goes evenly from target to target, in the time of a step, as physics moves it within a
    tick; joints get theirs at once.

    Args:
        wrists: (N, 4, 4) of `rh_palm` in `world`, before the first step.
        joints: (N, J) rad, likewise.
        delays: (N,) control ticks by which each hand's targets come late.
        ticks: control ticks of a step.
    """

    def __init__(
        self, wrists: np.ndarray, joints: np.ndarray, delays: np.ndarray, ticks: int = 1
    ) -> None:
        self._sent = [(wrists, joints)]
        self._delays, self._ticks = np.asarray(delays), ticks
        self._kept = 1 + -(-int(self._delays.max()) // ticks)
        self._steps = 0

    def send(self, wrists: np.ndarray, joints: np.ndarray) -> None:
        """The targets of the next step."""
        self._sent.append((wrists, joints))
        del self._sent[: -1 - self._kept]
        self._steps += 1

    def arriving(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(N, 4, 4) and (N, J) to give to the physics before each tick of the step."""
        for tick in range(self._ticks):
            made = np.maximum((self._steps - 1) * self._ticks + tick + 1 - self._delays, 0)
            steps = -(-made // self._ticks)  # of the target that each is on its way to, or at
            left = (steps * self._ticks - made) / self._ticks
            back = self._steps - steps
            wrists, joints = (
                np.stack([self._sent[-1 - ago][part][row] for row, ago in enumerate(back)])
                for part in (0, 1)
            )
            for row in np.flatnonzero(left):
                before = self._sent[-2 - back[row]][0][row]
                wrists[row] = interpolate_pose(before, wrists[row], 1.0 - left[row])
            yield wrists, joints

    def repeated(self, copies: int) -> LateTargets:
        """The same of N * copies hands, each so often in a row."""

        def each(values: np.ndarray) -> np.ndarray:
            return np.repeat(values, copies, axis=0)

        sent = [(each(wrists), each(joints)) for wrists, joints in self._sent]
        own = LateTargets(*sent[0], each(self._delays), self._ticks)
        own._sent = sent
        own._steps = self._steps
        return own
