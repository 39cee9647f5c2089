"""What counts as success in the human-assisting task: as in the paper, latched, and strict.

GraspGF (Wu et al., NeurIPS 2023), 4.2: the object is lifted by more than 0.1 m, and its distance
from the hand changes by less than 0.05 m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_schedule import Stage, stage_ends, stages


@dataclass(frozen=True, eq=False)
class Whereabouts:
    """Where objects and hands are at one moment, in `world`, m.

    Of an environment whose physics is unstable it may be anything, NaN too: that is no success.
    """

    objects: np.ndarray
    """(N, 3) centres of mass."""
    wrists: np.ndarray
    """(N, 3) origins of `rh_palm`."""

    def __post_init__(self) -> None:
        if self.objects.shape != self.wrists.shape or self.objects.shape[1:] != (3,):
            raise ValueError(
                "objects and wrists have to be (N, 3) both, not "
                f"{self.objects.shape} and {self.wrists.shape}"
            )

    @property
    def distances(self) -> np.ndarray:
        """(N,) from object to hand."""
        return np.linalg.norm(self.objects - self.wrists, axis=1)


def whereabouts(
    object_poses: np.ndarray, centers_of_mass: np.ndarray, wrist_poses: np.ndarray
) -> Whereabouts:
    """Where objects and hands are, of their poses.

    Args:
        object_poses: (N, 4, 4) of the mesh frames in `world`.
        centers_of_mass: (N, 3) in the mesh frames, m.
        wrist_poses: (N, 4, 4) of `rh_palm` in `world`.

    Raises:
        ValueError: a shape does not fit.
    """
    count = len(object_poses)
    shapes = [np.shape(each) for each in (object_poses, centers_of_mass, wrist_poses)]
    if shapes != [(count, 4, 4), (count, 3), (count, 4, 4)]:
        raise ValueError(
            "object poses (N, 4, 4), centres of mass (N, 3) and wrist poses (N, 4, 4) are needed, "
            f"not {', '.join(map(str, shapes))}"
        )
    turned = np.einsum("nij,nj->ni", object_poses[:, :3, :3], centers_of_mass)
    return Whereabouts(object_poses[:, :3, 3] + turned, wrist_poses[:, :3, 3].copy())


def rises(before: Whereabouts, now: Whereabouts) -> np.ndarray:
    """(N,) m by which the objects are higher now than before the lift: Eq. 7's change of height."""
    return now.objects[:, 2] - before.objects[:, 2]


def lifted(before: Whereabouts, now: Whereabouts, config: AssistConfig) -> np.ndarray:
    """(N,) whether the object is lifted, and with the hand (4.2).

    Args:
        before: the moment before the lift.
        now: the moment that is judged.
        config: of the task.
    """
    slips = np.abs(now.distances - before.distances)
    return (rises(before, now) > config.least_rise) & (slips < config.most_slip)


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Whether each of N episodes has succeeded by now, by three rules."""

    paper: np.ndarray
    """(N,) at the end of the lift the object is lifted (4.2)."""
    latched: np.ndarray
    """(N,) at any moment from the begin of the lift on it was."""
    unbroken: np.ndarray
    """(N,) from the end of the lift on it has been at every moment, pushed or not."""
    strict: np.ndarray
    """(N,) and so to the end of the hold, under the push."""

    @classmethod
    def none(cls, count: int) -> Verdicts:
        """Those of N episodes that begin."""
        return cls(*(np.zeros(count, dtype=bool) for _ in fields(cls)))

    def reset(self, indices: Sequence[int] | np.ndarray) -> Verdicts:
        """The same but for environments that begin anew."""
        cleared = [getattr(self, item.name).copy() for item in fields(self)]
        for verdict in cleared:
            verdict[indices] = False
        return Verdicts(*cleared)

    def updated(self, steps: np.ndarray, lifted: np.ndarray, config: AssistConfig) -> Verdicts:
        """After one more step of each; every step from the lift on has to be told.

        Args:
            steps: (N,) the step just made, counted from 0.
            lifted: (N,) whether the object is lifted after it, of `lifted`.
            config: of the task.

        Raises:
            ValueError: a shape does not fit.
        """
        stage, ends = stages(steps, config), stage_ends(config)
        if stage.shape != self.paper.shape or np.shape(lifted) != self.paper.shape:
            raise ValueError(
                f"{len(self.paper)} environments need as many steps and answers, not "
                f"{np.shape(steps)} and {np.shape(lifted)}"
            )
        raised = (stage == Stage.LIFT) | (stage == Stage.HOLD)
        at_top = np.asarray(steps) == ends[Stage.LIFT] - 1
        at_end = np.asarray(steps) == ends[Stage.HOLD] - 1
        unbroken = np.where(at_top, lifted, self.unbroken & lifted)
        return Verdicts(
            paper=np.where(at_top, lifted, self.paper),
            latched=self.latched | (raised & lifted),
            unbroken=unbroken,
            strict=np.where(at_end, unbroken, self.strict),
        )
