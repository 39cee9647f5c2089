"""Scenes in Isaac Gym, stepped by a worker process; nothing repeats to the bit on a GPU."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.environments import Environments
from dexgrasp_sim.backends.isaac_gym.assets import palm_centre, write_scenes
from dexgrasp_sim.backends.isaac_gym.settings import IsaacGymSettings, load_settings
from dexgrasp_sim.backends.isaac_gym.worker import Layout
from dexgrasp_sim.backends.isaac_gym.worker_process import WorkerProcess, installed
from dexgrasp_sim.backends.mujoco.physics import unstable
from dexgrasp_sim.backends.mujoco.robot_model import ARM_LAG
from dexgrasp_sim.backends.mujoco.stable_pose import find_stable_poses
from dexgrasp_sim.backends.wrist_paths import ArmPaths
from dexgrasp_sim.cameras.depth_cameras import camera_of, cameras_of
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.placement import StablePose
from dexgrasp_sim.scene import SceneConfig

_HUGE = 1e10
_STATE = ("robot", "object", "joints", "palm", "push", "resistance")
"""What a world's future depends on, and what is known of it."""


class IsaacGymBatch(Environments):
    """Environments in Isaac Gym; see `interface.BatchPhysics`.

    What is written into a state is given to Isaac Gym when the next tick begins. It needs no
    threads.

    Args:
        config: of all environments.
        object_models: the N objects.
        threads: nothing depends on it; PhysX has its own.
        settings: how Isaac Gym is run; by default `config/isaac_gym.yaml`.

    Raises:
        ImportError: Isaac Gym or its interpreter is missing.
        FileNotFoundError, RigError: it is to draw, and there is no such rig.
        MemoryError: there is no room for so many environments.
        ValueError: there is no environment or no thread; it is to draw, and can't as these cameras.
        WorkerError: the worlds could not be built.
    """

    def __init__(
        self,
        config: SceneConfig,
        object_models: Sequence[ObjectModel],
        threads: int = 1,
        *,
        settings: IsaacGymSettings | None = None,
    ) -> None:
        super().__init__(config, object_models, threads)
        settings = settings or load_settings()
        hand = load_hand()
        count, joints = len(object_models), len(config.joint_names)
        self._cameras = cameras_of(config) if settings.depth else {}
        pixels = max((each.width * each.height for each in self._cameras.values()), default=0)
        layout = Layout(count, joints, len(hand.links), config.steps_per_tick, pixels)
        with tempfile.TemporaryDirectory(prefix="dexgrasp_isaac_gym_") as folder:
            write_scenes(Path(folder), config, settings, object_models, self._cameras.values())
            self.worker = WorkerProcess(
                Path(folder), layout, settings.start_timeout, settings.step_timeout
            )
        self._shared = self.worker.arrays
        self._kinematics = ArmKinematics() if config.scene == "arm" else None
        self._palm_centre = palm_centre()
        self._object_centres = np.array([item.center_of_mass for item in object_models])
        self._stable_poses: dict[int, tuple[StablePose, ...]] = {}
        everyone = range(count)
        for index in everyone:
            self._vary(index, config.object_mass, config.friction, 1.0)
        self._put_home(everyone, np.tile(np.eye(4), (count, 1, 1)))

    def close(self) -> None:
        """End the worker; it also ends when the batch is no longer used."""
        self.worker.close()

    # Beginning

    def _resting(self, index: int) -> tuple[StablePose, ...]:
        item = self.object_models[index]
        if id(item) not in self._stable_poses:
            self._stable_poses[id(item)] = find_stable_poses(item)
        return self._stable_poses[id(item)]

    def _put_home(self, indices: Sequence[int], object_poses: np.ndarray) -> None:
        at = np.asarray(indices, dtype=int)
        joints = np.zeros((len(at), len(self.config.joint_names)))
        home = np.tile(self.config.home_pose, (len(at), 1, 1))
        if self._kinematics:
            joints[:, self._fingers.shape[1] :] = self._kinematics.home
        self._put(indices, None if self._kinematics else home, joints, object_poses)

    def _put(
        self,
        indices: Sequence[int],
        wrist_poses: np.ndarray | None,
        joints: np.ndarray | None,
        object_poses: np.ndarray | None,
    ) -> None:
        at, shared = np.asarray(indices, dtype=int), self._shared
        if joints is not None:
            shared["joints"][at] = np.stack([joints, np.zeros_like(joints)], axis=-1)
            if isinstance(self._paths, ArmPaths):
                assert self._kinematics
                arms = joints[:, self._fingers.shape[1] :]
                self._targets[at] = [self._kinematics.fk(arm) for arm in arms]
                shared["palm"][at] = _at_rest(self._targets[at])
                for index, arm in zip(at.tolist(), arms, strict=True):
                    self._paths.hold(index, arm)
        if wrist_poses is not None and not isinstance(self._paths, ArmPaths):
            shared["robot"][at] = shared["palm"][at] = _at_rest(wrist_poses)
            self._targets[at] = wrist_poses
            for index, pose in zip(at.tolist(), wrist_poses, strict=True):
                self._paths.hold(index, pose)
        if object_poses is not None:
            shared["object"][at] = _at_rest(object_poses)
        shared["push"][at] = shared["resistance"][at] = 0.0
        shared["edited"][at] = 1

    def _states(self, at: np.ndarray) -> np.ndarray:
        parts = [self._shared[name][at].reshape(len(at), -1) for name in _STATE]
        return np.concatenate(parts, axis=1)

    def _put_states(self, at: np.ndarray, states: np.ndarray) -> None:
        start = 0
        for name in _STATE:
            array = self._shared[name]
            end = start + array[0].size
            array[at] = states[:, start:end].reshape(len(at), *array.shape[1:])
            start = end
        self._shared["edited"][at] = 1

    def _vary(self, index: int, mass: float, friction: float, gain: float) -> None:
        for name, value in (("mass", mass), ("friction", friction), ("gain", gain)):
            self._shared[name][index] = value
        self._shared["varied"][index] = 1

    def _push(self, forces: np.ndarray) -> None:
        self._shared["push"][:] = forces

    # Moving

    def _tick(self, sound: Sequence[int]) -> None:
        shared, fingers = self._shared, self._fingers.shape[1]
        # Those that are unstable are stepped too, and stand at home.
        if unsound := list(self._faults):
            targets = self._targets[unsound], self._fingers[unsound]
            self._put_home(unsound, np.tile(np.eye(4), (len(unsound), 1, 1)))
            self._targets[unsound], self._fingers[unsound] = targets
            shared["joint_goals"][unsound] = shared["joints"][unsound, None, :, 0]
            shared["palm_goals"][unsound] = shared["robot"][unsound, None, :7]
            shared["palm_speeds"][unsound] = 0.0
        goals = shared["joint_goals"]
        goals[sound, :, :fingers] = self._fingers[sound][:, None]
        if isinstance(self._paths, ArmPaths):
            goals[sound, :, fingers:] = self._arm_goals(self._paths, sound)
        else:
            moves = self._paths.tick(sound, self._targets[sound])
            fractions = np.arange(self.config.steps_per_tick) / self.config.steps_per_tick
            shared["palm_goals"][sound] = np.concatenate(
                [moves.positions(fractions), moves.quaternions(fractions)], axis=-1
            )
            turn = np.einsum("nij,nj->ni", moves.starts[:, :3, :3], moves.turn)
            speeds = np.concatenate([moves.move, turn], axis=1) / self.config.control_period
            shared["palm_speeds"][sound] = speeds
        bad = self._refused(sound)
        self.worker.tick()
        for index in sound:
            state = np.concatenate([shared[name][index].ravel() for name in _STATE[:4]])
            reasons = ["a control is not finite or huge"] * (index in bad)
            if not (np.abs(state) < _HUGE).all():
                reasons.append("a position or speed is not finite or huge")
            if reasons:
                self._faults[index] = unstable(reasons)

    def _arm_goals(self, paths: ArmPaths, sound: Sequence[int]) -> np.ndarray:
        """(n, S, 6) rad; where a wrist is followed, the lead cancels the lag of the damping."""
        steps = self.config.steps_per_tick
        fractions = (np.arange(1, steps + 1) / steps)[:, None]
        if self._arms is None:
            starts, moves = paths.tick(sound, self._targets[sound])
            fractions = fractions + ARM_LAG / self.config.control_period
        else:
            starts, moves = paths.follow(sound, self._arms[sound])
        return starts[:, None] + fractions * moves[:, None]

    def _refused(self, sound: Sequence[int]) -> set[int]:
        """Environments with goals that are not finite or huge, which PhysX does not get to see."""
        shared, bad = self._shared, set()
        for index in sound:
            goals = shared["joint_goals"][index]
            if not (np.abs(goals) < _HUGE).all():
                goals[:] = shared["joints"][index, None, :, 0]
                bad.add(index)
        return bad

    # Measurements

    def joints(self) -> np.ndarray:
        return self._shared["joints"][..., 0].astype(float)

    def joint_velocities(self) -> np.ndarray:
        return self._shared["joints"][..., 1].astype(float)

    def wrist_poses(self) -> np.ndarray:
        return _poses(self._shared["palm"])

    def wrist_velocities(self) -> np.ndarray:
        return _velocities(self._shared["palm"], self._palm_centre)

    def object_poses(self) -> np.ndarray:
        return _poses(self._shared["object"])

    def object_velocities(self) -> np.ndarray:
        return _velocities(self._shared["object"], self._object_centres)

    def _seen(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.joints()[index], self.wrist_poses()[index], self.object_poses()[index]

    def depth(self, camera: str) -> np.ndarray:
        """Drawn by Isaac Gym: objects by their convex pieces."""
        if not self._cameras:
            raise ValueError("Isaac Gym draws nothing: set depth to true in config/isaac_gym.yaml")
        model = camera_of(self._cameras, camera)
        if waiting := np.flatnonzero(self._shared["edited"]).tolist():
            raise SimulatorError(
                f"Isaac Gym draws what it has stepped: step environments {waiting} first, which"
                " were reset, placed or restored"
            )
        self.worker.look(list(self._cameras).index(camera))
        images = self._shared["depth"][:, : model.width * model.height]
        return images.reshape(-1, model.height, model.width).astype(float)

    def _read(self) -> None:
        rows = self._unread
        self._efforts[rows] = self._shared["efforts"][rows]
        self._contacts[rows] = self._shared["contacts"][rows]
        self._unread[:] = False


def _at_rest(poses: np.ndarray) -> np.ndarray:
    """(n, 13) states of bodies at (n, 4, 4) poses: position, (x, y, z, w), no velocities."""
    quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
    return np.concatenate([poses[:, :3, 3], quaternions, np.zeros((len(poses), 6))], axis=1)


def _poses(states: np.ndarray) -> np.ndarray:
    """(n, 4, 4) of (n, 13) states; what is not finite stays so."""
    poses = np.tile(np.eye(4), (len(states), 1, 1))
    poses[:, :3, 3] = states[:, :3]
    quaternions = states[:, 3:7].astype(float)
    known = np.isfinite(quaternions).all(axis=1) & (np.abs(quaternions).max(axis=1) > 0.0)
    poses[~known, :3, :3] = np.nan
    if known.any():
        poses[known, :3, :3] = Rotation.from_quat(quaternions[known]).as_matrix()
    return poses


def _velocities(states: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(n, 6) of the bodies' frames; Isaac Gym tells those of their centres of mass."""
    linear, angular = np.split(states[:, 7:].astype(float), 2, axis=1)
    turn = _poses(states)[:, :3, :3]
    offsets = np.einsum("nij,nj->ni", turn, np.broadcast_to(centres, linear.shape))
    return np.concatenate([linear - np.cross(angular, offsets), angular], axis=1)


check = installed
"""What is installed, for the doctor."""

make_batch = IsaacGymBatch
