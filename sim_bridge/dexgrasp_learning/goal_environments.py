"""The goal-conditioned task of UniDexGrasp (Xu et al., CVPR 2023) in a simulator, many at once.

The task is made of the functions in `dexgrasp_models.tasks`; here they meet the physics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dexgrasp_learning.late_targets import LateTargets
from dexgrasp_learning.present_episodes import PresentEpisodes
from dexgrasp_learning.task_scenes import objects_of, ticks_of_step
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_success import whereabouts
from dexgrasp_models.tasks.digit_motion import keypoints_of
from dexgrasp_models.tasks.goal_action import acted, action_size, wrist_actions
from dexgrasp_models.tasks.goal_config import GoalConfig, GoalRewardConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_frame import inverses, reference_frames
from dexgrasp_models.tasks.goal_observation import GoalObservation, GoalState, goal_observation
from dexgrasp_models.tasks.goal_reward import (
    finger_distances,
    goal_reward,
    lift_reward,
    move_reward,
    reach_reward,
)
from dexgrasp_models.tasks.goal_success import (
    Lost,
    goal_verdicts,
    lost_in,
    mean_position_errors,
)
from dexgrasp_models.tasks.strict_hold import pushes_in_hold
from dexgrasp_models.tasks.wrist_paths import fingertips
from dexgrasp_sim.backends import make_batch_physics
from dexgrasp_sim.datasets.grasp_trials import LoadObject
from dexgrasp_sim.scene import SceneConfig


@dataclass(frozen=True, eq=False)
class GoalResults:
    """How N episodes ended. What is measured of one whose physics became unstable is NaN."""

    paper: np.ndarray
    """(N,) success after the last step (C.3.2)."""
    latched: np.ndarray
    """(N,) success after any step."""
    strict: np.ndarray | None
    """(N,) success through the hold under the push; None where there was no hold."""
    mpe: np.ndarray
    """(N,) m, mean position error of the hand's joints after the last step (Eq. 11)."""
    rises: np.ndarray
    """(N,) m by which the objects' centres of mass are higher then."""
    rewards: np.ndarray
    """(N,) sum over the steps (Eq. 10)."""
    lost: list[Lost]
    """In which phase each was lost."""
    faults: Mapping[int, str]
    """What went wrong in the simulator, by the episode; these have failed."""


class GoalEnvironments(PresentEpisodes[ToldEpisodes]):
    """N episodes of the task side by side. All begin together and are of the same length.

    First `begin`, then `step` until `steps` is the task's horizon, then `finish`. The same
    episodes and actions give the same to the bit, where the simulator repeats a run to the bit,
    whichever others are beside them. An episode whose physics becomes unstable is seen as it last
    was, and has failed; the others go on.

    Args:
        config: of the task.
        scene: with the free hand, and whole control ticks a step of the task.
        load: finds the objects of the episodes.
        rewards: of the task.
        strict: whether `finish` holds the objects under the push after the last step.
        late: control ticks by which targets come late to the hand, where `begin` is told nothing
            else.
        threads: that step the environments.

    Raises:
        ValueError: the scene has an arm, or another control period.
    """

    def __init__(
        self,
        config: GoalConfig,
        scene: SceneConfig,
        load: LoadObject,
        *,
        rewards: GoalRewardConfig | None = None,
        strict: bool = False,
        late: int = 0,
        threads: int = 1,
    ) -> None:
        self._ticks = ticks_of_step(scene, config.rate)
        self.config, self.scene, self.strict = config, scene, strict
        self._reward_config = rewards or GoalRewardConfig()
        self._load, self._late, self._threads = load, late, threads
        self._hand = load_hand()
        self._tips = [self._hand.link_index(name) for name in self._hand.distal_links]

    # What is known of the present episodes; for experts, which may know more than is seen.

    @property
    def frames(self) -> np.ndarray:
        """(N, 4, 4) reference frames in `world`."""
        return self._frames.copy()

    @property
    def wrist_targets(self) -> np.ndarray:
        """(N, 4, 4) present target of `rh_palm` in `world`."""
        return self._wrists.copy()

    @property
    def state(self) -> GoalState:
        """What is measured now."""
        return self._state

    # One episode

    def begin(self, episodes: ToldEpisodes, late: np.ndarray | None = None) -> GoalObservation:
        """Begin N episodes: straight fingers, the hand where it begins, the object where it lies.

        Args:
            episodes: of this task's points.
            late: (N,) control ticks by which targets come late to each hand.

        Returns:
            What is seen.

        Raises:
            ValueError: the episodes are of another task, or there are none.
            MeshError: an object can't be used.
        """
        count = len(episodes)
        if episodes.clouds.shape[1] != self.config.points:
            raise ValueError(
                f"episodes of {episodes.clouds.shape[1]} points don't fit a task of "
                f"{self.config.points}"
            )
        objects = objects_of(episodes.goals, self._load)
        physics = make_batch_physics(self.scene, objects, self._threads)
        everyone = range(count)
        physics.reset(everyone, [0] * count, episodes.object_poses)
        self._targets = np.zeros((count, len(self._hand.joints)))
        physics.place(everyone, wrist_poses=episodes.hands, joints=self._targets)

        self._present, self._steps = (episodes, physics), 0
        self._wrists = episodes.hands.copy()
        delays = np.full(count, self._late) if late is None else late
        self._sent = LateTargets(self._wrists, self._targets, delays, self._ticks)
        self._frames = reference_frames(episodes.hands)
        self._actions = np.zeros((count, action_size(self._hand)))
        self._centers = np.array([item.center_of_mass for item in objects])
        self._goals = episodes.goals.palm_poses
        self._goal_joints = episodes.goals.joints.astype(float)
        self._goal_keypoints = keypoints_of(self._goals, self._goal_joints, self._hand)
        self._clouds = episodes.object_clouds
        self._state = self._measured()
        self._start = self._object_places()
        self._distances: list[np.ndarray] = []
        self._keypoint_errors: list[np.ndarray] = []
        self._rises: list[np.ndarray] = []
        self._returns = np.zeros(count)
        return self._seen()

    def step(self, actions: np.ndarray) -> tuple[GoalObservation, np.ndarray]:
        """One step.

        Args:
            actions: (N, 24), see `acted`.

        Returns:
            What is seen after it, and its reward (N,), which is 0 once an episode's physics is
            unstable.

        Raises:
            ValueError: no episodes have begun, or they are over, the shape does not fit, or a
                number isn't finite.
        """
        physics, config = self.physics, self.config
        if self._steps >= config.horizon:
            raise ValueError(f"the episodes are over after {self._steps} steps: finish them")
        self._wrists, self._targets = acted(
            self._wrists,
            self._targets,
            self._state.wrists,
            actions,
            self._frames,
            self._hand,
            config,
        )
        self._actions = np.clip(np.asarray(actions, dtype=float), -1.0, 1.0)
        self._sent.send(self._wrists, self._targets)
        for targets in self._sent.arriving():
            physics.set_targets(*targets)
            physics.step()
        self._look()
        rewards = self._reward()
        self._returns += rewards
        return self._seen(), rewards

    def move_objects(self, rows: np.ndarray, ways: np.ndarray) -> None:
        """Put some objects elsewhere, at rest; where they are to be lifted to goes along.

        Args:
            rows: (n,) of the episodes.
            ways: (n, 3) m in `world`.
        """
        poses = self._state.objects[rows]
        poses[:, :3, 3] += ways
        self.physics.place(rows.tolist(), object_poses=poses)
        self._start[rows] += ways

    def alike(self) -> GoalEnvironments:
        """Environments of the same task and scene, in which none have begun."""
        return GoalEnvironments(
            self.config,
            self.scene,
            self._load,
            rewards=self._reward_config,
            late=self._late,
            threads=self._threads,
        )

    def take_up(self, others: GoalEnvironments) -> None:
        """Go on from where the episodes of others are: a model of what will happen there.

        What has been measured before of the episodes here is forgotten.

        Args:
            others: whose N episodes these are, each so many times in a row.

        Raises:
            ValueError: they are of other objects, or so many don't fit.
        """
        copies, left = divmod(len(self.episodes), len(others.episodes))
        if left:
            raise ValueError(
                f"{len(self.episodes)} episodes can't be {len(others.episodes)}, each as often"
            )
        saved = others.physics.save(range(len(others.episodes)))
        for copy in range(copies):
            self.physics.restore(range(copy, len(self.episodes), copies), saved)

        def each(values: np.ndarray) -> np.ndarray:
            return np.repeat(values, copies, axis=0)

        measured = {name: each(values) for name, values in vars(others.state).items()}
        self._steps, self._state = others.steps, GoalState(**measured)
        self._wrists, self._targets = each(others._wrists), each(others._targets)
        self._actions, self._start = each(others._actions), each(others._start)
        self._sent = others._sent.repeated(copies)
        self._distances, self._keypoint_errors, self._rises = [], [], []

    def finish(self) -> GoalResults:
        """Judge the episodes; with `strict` hold the objects under the push before.

        Raises:
            ValueError: no episodes have begun, or they aren't over, or they are finished.
        """
        config, count = self.config, len(self.episodes)
        if self._steps != config.horizon:
            raise ValueError(
                f"{self._steps} steps are made: episodes are finished once, after {config.horizon}"
            )
        sound = self._sound()
        errors, rises = self._keypoint_errors[-1], self._rises[-1]
        keypoint_errors, all_rises = np.array(self._keypoint_errors), np.array(self._rises)
        if self.strict:
            for since in range(config.hold_steps):
                forces = pushes_in_hold(np.full(count, since), config.hold_steps, config.push)
                self.physics.push(forces)
                self.physics.step(self._ticks)
                self._look()
        verdicts = goal_verdicts(np.array(self._distances), config)
        return GoalResults(
            paper=verdicts.paper,
            latched=verdicts.latched & sound,
            strict=verdicts.strict,
            mpe=np.where(sound, errors, np.nan),
            rises=np.where(sound, rises, np.nan),
            rewards=self._returns,
            lost=lost_in(verdicts.paper, verdicts.latched, keypoint_errors, all_rises),
            faults=self.faults,
        )

    def _look(self) -> None:
        """What is measured after a step."""
        self._steps += 1
        self._state = self._measured()
        sound = self._sound()
        held = inverses(self._state.objects) @ self._state.wrists
        keypoints = keypoints_of(held, self._state.joints, self._hand)
        ways = self._object_places() - self._start
        distances = np.linalg.norm(ways - [0.0, 0.0, self.config.lift], axis=1)
        self._distances.append(np.where(sound, distances, np.nan))
        self._keypoint_errors.append(mean_position_errors(keypoints, self._goal_keypoints))
        self._rises.append(ways[:, 2])

    def _reward(self) -> np.ndarray:
        """(N,) of the step just made (Eq. 10)."""
        config, state = self._reward_config, self._state
        sound = self._sound()
        distances = np.where(sound, self._distances[-1], 0.0)
        fingers = finger_distances(
            fingertips(self._hand, state.wrists, state.joints), self._object_places()
        )
        upwards = wrist_actions(self._actions)[0][:, 2]
        held = inverses(state.objects) @ state.wrists
        total = (
            goal_reward(state.joints, self._goal_joints, held, self._goals, config)
            + reach_reward(fingers, config)
            + lift_reward(self._keypoint_errors[-1], fingers, distances, upwards, config)
            + move_reward(distances, config)
        )
        return np.where(sound, total, 0.0)

    def _object_places(self) -> np.ndarray:
        """(N, 3) the objects' centres of mass in `world`."""
        return whereabouts(self._state.objects, self._centers, self._state.wrists).objects

    def _measured(self) -> GoalState:
        """What is measured; of an environment whose physics is unstable what was before."""
        physics, sound = self.physics, self._sound()
        fingers = len(self._hand.joints)
        now = {
            "joints": physics.joints()[:, :fingers],
            "joint_velocities": physics.joint_velocities()[:, :fingers],
            "efforts": physics.efforts()[:, :fingers],
            "wrists": physics.wrist_poses(),
            "wrist_velocities": physics.wrist_velocities(),
            "wrist_targets": self._wrists.copy(),
            "fingertip_forces": physics.hand_contacts()[:, self._tips],
            "objects": physics.object_poses(),
            "object_velocities": physics.object_velocities(),
        }
        for name, values in now.items():
            if not sound.all():
                values[~sound] = getattr(self._state, name)[~sound]
        return GoalState(**now)

    def _seen(self) -> GoalObservation:
        return goal_observation(
            self._state,
            self._actions,
            self._frames,
            self.episodes.goal_wrists,
            self._goals,
            self._goal_joints,
            self._clouds,
            self._hand,
        )
