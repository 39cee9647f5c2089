"""The human-assisting task of GraspGF (Wu et al., NeurIPS 2023) in a simulator, many at once.

The task is made of the functions in `dexgrasp_models.tasks`; here they meet the physics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dexgrasp_learning.present_episodes import PresentEpisodes
from dexgrasp_learning.randomisation import Randomisation, RandomisationConfig
from dexgrasp_learning.task_scenes import check_scene, objects_of
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_action import acted, auto_closed
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes
from dexgrasp_models.tasks.assist_observation import (
    AssistObservation,
    WristHistory,
    assist_observation,
)
from dexgrasp_models.tasks.assist_schedule import (
    Stage,
    close_shares,
    pushes,
    stage_ends,
    wrist_targets,
)
from dexgrasp_models.tasks.assist_success import (
    Verdicts,
    Whereabouts,
    lifted,
    rises,
    whereabouts,
)
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.wrist_filter import WristFilter
from dexgrasp_sim.backends import make_batch_physics
from dexgrasp_sim.datasets.grasp_trials import LoadObject
from dexgrasp_sim.scene import SceneConfig

_ASIDE = 2.0  # m along x: out of the hand's reach


@dataclass(frozen=True, eq=False)
class EpisodeResults:
    """How N episodes ended. What is measured of one whose physics became unstable is NaN."""

    paper: np.ndarray
    """(N,) success at the end of the lift (4.2)."""
    latched: np.ndarray
    """(N,) success at any moment of the lift, or of the hold."""
    strict: np.ndarray | None
    """(N,) success to the end of the hold under the push; None where there was no hold."""
    rises: np.ndarray
    """(N,) m by which the objects' centres of mass are higher at the end of the lift."""
    posture: np.ndarray
    """(N,) rad, mean absolute difference of the 22 joints to the goal's, when the wrist has come,
    before the hand closes by itself (Posture, 4.2)."""
    translation: np.ndarray
    """(N,) m between the objects' centres of mass at the start and before the lift (Table 1)."""
    rotation: np.ndarray
    """(N,) 1 less the cosine of the angle between the objects' x-axes then (Table 1)."""
    faults: Mapping[int, str]
    """What went wrong in the simulator, by the episode; these have failed."""


class AssistEnvironments(PresentEpisodes[AssistEpisodes]):
    """N episodes of the task side by side. All begin together and are of the same length.

    First `begin`, then `step` until `steps` is the task's horizon, then `finish`. The same
    episodes, seed and actions give the same to the bit, where the simulator repeats a run to the
    bit, whichever others are beside them. An episode whose physics becomes unstable is seen as it
    last was, and has failed; the others go on.

    Args:
        config: of the task.
        scene: with the free hand, and one control tick a step of the task.
        load: finds the objects of the episodes.
        randomisation: of the physics, and of what is seen; nothing is random without.
        strict: whether `finish` holds the objects under the push after the lift.
        threads: that step the environments.

    Raises:
        ValueError: the scene has an arm, or another control period.
    """

    def __init__(
        self,
        config: AssistConfig,
        scene: SceneConfig,
        load: LoadObject,
        *,
        randomisation: RandomisationConfig | None = None,
        strict: bool = False,
        threads: int = 1,
    ) -> None:
        check_scene(scene, config.rate)
        self.config, self.scene, self.strict = config, scene, strict
        self._randomisation = randomisation or RandomisationConfig()
        self._threads = threads
        self._load = load
        self._hand = load_hand()

    # What is known of the present episodes; for experts, which may know more than is seen.

    def joints(self) -> np.ndarray:
        """(N, 22) true joints, rad."""
        return self._joints.copy()

    def wrists(self) -> np.ndarray:
        """(N, 4, 4) true wrists in `world`."""
        return self._wrists.copy()

    # One episode

    def begin(
        self,
        episodes: AssistEpisodes,
        seed: int = 0,
        *,
        joints: np.ndarray | None = None,
        unhindered: bool = False,
    ) -> AssistObservation:
        """Begin N episodes: the hand open where its path begins, the object where it lies.

        Args:
            episodes: of this task's horizon and points.
            seed: of all that is random and not in the episodes.
            joints: (N, 22) of the hand at first, rad, in place of an open one's; also its targets.
            unhindered: the object is seen where it is, but the hand can't touch it before the wrist
                has come (Table 2, without collision).

        Returns:
            What is seen.

        Raises:
            ValueError: the episodes are of another task, or there are none.
            MeshError: an object can't be used.
        """
        count, config = len(episodes), self.config
        shapes = episodes.paths.shape[1], episodes.clouds.shape[1]
        if shapes != (config.horizon, config.points):
            raise ValueError(
                f"episodes of {shapes[0]} steps and {shapes[1]} points don't fit a task of "
                f"{config.horizon} and {config.points}"
            )
        objects = objects_of(episodes.goals, self._load)
        physics = make_batch_physics(self.scene, objects, self._threads)
        everyone = range(count)
        self._random = Randomisation(self._randomisation, count, config.horizon, seed)
        self._random.vary(physics)
        physics.reset(everyone, [seed] * count, episodes.object_poses)
        opened = np.zeros((count, len(self._hand.joints)))
        self._targets = opened if joints is None else batch("joints", joints, *opened.shape)
        physics.place(everyone, wrist_poses=episodes.paths[:, 0], joints=self._targets)

        self._present = episodes, physics
        self._centers = np.array([item.center_of_mass for item in objects])
        self._steps = 0
        self._joints, self._wrists = physics.joints(), physics.wrist_poses()
        self._start = self._whereabouts()
        self._unhindered = unhindered
        if unhindered:
            aside = episodes.object_poses.copy()
            aside[:, 0, 3] += _ASIDE
            physics.place(everyone, object_poses=aside)
        self._history = WristHistory(count, config.history, WristFilter(count, config.rate))
        self._history.reset(everyone, self._random.seen_wrists(self._wrists))
        self._clouds = self._random.seen_clouds(episodes.clouds)
        return self._seen()

    def step(self, actions: np.ndarray) -> AssistObservation:
        """One step of the approach.

        Args:
            actions: (N, 18), see `acted`.

        Returns:
            What is seen after it.

        Raises:
            ValueError: no episodes have begun, their approach is over, the shape does not fit, or
                a number isn't finite.
        """
        physics = self.physics
        if self._steps >= self.config.horizon:
            raise ValueError(f"the approach is over after {self._steps} steps: finish the episodes")
        arriving = self._random.arriving(np.asarray(actions, dtype=float))
        self._targets = acted(self._targets, arriving, self._hand, self.config)
        self._tick(self._targets)
        sound = self._sound()
        self._joints[sound] = physics.joints()[sound]
        self._wrists[sound] = physics.wrist_poses()[sound]
        self._history.push(self._random.seen_wrists(self._wrists))
        return self._seen()

    def finish(self) -> EpisodeResults:
        """Close the hands, let them settle, lift, and with `strict` hold under the push.

        Raises:
            ValueError: no episodes have begun, or their approach isn't over, or they are finished.
        """
        count, config = len(self.episodes), self.config
        if self._steps != config.horizon:
            raise ValueError(
                f"{self._steps} steps are made: episodes are finished once, after {config.horizon}"
            )
        posture = np.abs(self._joints - self.episodes.goals.joints).mean(axis=1)
        if self._unhindered:
            rows = np.flatnonzero(self._sound())
            poses = self.episodes.object_poses[rows]
            self.physics.place(rows.tolist(), object_poses=poses)
        ends = stage_ends(config)
        while self._steps < ends[Stage.SETTLE]:
            self._closed_tick()
        before = self._whereabouts()
        axes = self.physics.object_poses()[:, :3, 0]
        cosine = (axes * self.episodes.object_poses[:, :3, 0]).sum(axis=1)

        verdicts, raised = Verdicts.none(count), np.zeros(count)
        while self._steps < ends[Stage.HOLD if self.strict else Stage.LIFT]:
            steps = self._all_steps()
            self._closed_tick()
            now = self._whereabouts()
            verdicts = verdicts.updated(steps, lifted(before, now, config), config)
            if self._steps == ends[Stage.LIFT]:
                raised = rises(before, now)

        sound = self._sound()
        moved = np.linalg.norm(before.objects - self._start.objects, axis=1)
        raised, posture, moved, turned = (
            np.where(sound, figure, np.nan) for figure in (raised, posture, moved, 1.0 - cosine)
        )
        return EpisodeResults(
            paper=verdicts.paper & sound,
            latched=verdicts.latched & sound,
            strict=verdicts.strict & sound if self.strict else None,
            rises=raised,
            posture=posture,
            translation=moved,
            rotation=turned,
            faults=self.faults,
        )

    def _closed_tick(self) -> None:
        """One step after the approach: the policy's last targets, closed as far as they are now."""
        steps = self._all_steps()
        closed = auto_closed(
            self._targets, close_shares(steps, self.config), self._hand, self.config
        )
        if self.strict:
            self.physics.push(pushes(steps, self.config))
        self._tick(closed)

    def _tick(self, fingers: np.ndarray) -> None:
        wrists = wrist_targets(self.episodes.paths, self._all_steps(), self.config)
        self.physics.set_targets(wrists, fingers)
        self.physics.step()
        self._steps += 1

    def _all_steps(self) -> np.ndarray:
        return np.full(len(self.episodes), self._steps)

    def _whereabouts(self) -> Whereabouts:
        return whereabouts(self.physics.object_poses(), self._centers, self.physics.wrist_poses())

    def _seen(self) -> AssistObservation:
        joints = self._random.seen_joints(self._joints)
        return assist_observation(
            joints,
            self._history.poses,
            self._clouds,
            self._hand,
            self._targets,
            self.episodes.hints,
        )
