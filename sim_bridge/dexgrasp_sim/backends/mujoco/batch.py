"""Many copies of the floating-hand scene, stepped together at about MuJoCo's own cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.mujoco_model import OBJECT_JOINT
from dexgrasp_sim.backends.mujoco.mujoco_sim import MujocoPhysics
from dexgrasp_sim.backends.mujoco.robot_model import PALM_JOINT, PalmServo
from dexgrasp_sim.backends.mujoco.wrist_drive import palm_inputs
from dexgrasp_sim.scene import SceneConfig

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class _Scene(NamedTuple):
    """A scene's state and the views of it that are written in every step."""

    data: mujoco.MjData
    controls: np.ndarray
    position: np.ndarray
    quaternion: np.ndarray


class BatchSimulator:
    """N floating-hand scenes of one object that differ in their seeds and targets.

    Each scene moves as a `MujocoPhysics` with the same seed and targets does. MuJoCo releases
    Python's lock while it steps, so threads run in parallel; results don't depend on their number.

    Args:
        config: of all scenes.
        object_model: of all scenes.
        count: N.
        threads: that step the scenes.

    Raises:
        ValueError: the configuration is of the arm, or a number is not positive.
    """

    def __init__(
        self, config: SceneConfig, object_model: ObjectModel, count: int, threads: int = 1
    ) -> None:
        if config.scene != "floating":
            raise ValueError(f"batches are of the floating hand, not of scene {config.scene!r}")
        if count < 1 or threads < 1:
            raise ValueError(f"count and threads must be positive, not {count} and {threads}")
        self.config = config
        self._single = MujocoPhysics(config, object_model)
        self.model = self._single.model
        self.data = [mujoco.MjData(self.model) for _ in range(count)]
        self._scenes = [_Scene(d, d.ctrl, d.mocap_pos, d.mocap_quat) for d in self.data]
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        hand = load_hand()
        self._to_drives = hand.reduction if config.hand == "coupled" else np.eye(len(hand.joints))
        self._joints = [self.model.joint(name).qposadr[0] for name in hand.finger_joints]
        self._palm = _free_joint(self.model, PALM_JOINT)
        self._object = _free_joint(self.model, OBJECT_JOINT)
        self._targets = self._reached = np.tile(config.home_pose, (count, 1, 1))
        self._fingers = np.zeros((count, len(hand.joints)))
        self._servo = PalmServo()

    def reset(self, seeds: Sequence[int]) -> None:
        """Back to the start; scene i as a single simulator resets with `seeds[i]`."""
        state = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        for data, seed in zip(self.data, seeds, strict=True):
            self._single.reset(seed)
            mujoco.mj_getState(self.model, self._single.data, state, _STATE)
            mujoco.mj_setState(self.model, data, state, _STATE)
            data.warning.number[:] = 0
        self._targets = self._reached = np.tile(self.config.home_pose, (len(self.data), 1, 1))
        self._fingers = np.zeros_like(self._fingers)

    def set_targets(self, wrists: np.ndarray, fingers: np.ndarray) -> None:
        """Follow (N, 4, 4) wrist poses in `world` and (N, 22) finger angles (rad) from now on."""
        self._targets, self._fingers = wrists.copy(), fingers.copy()

    def step(self, ticks: int = 1) -> None:
        """Advance all scenes by control ticks.

        Raises:
            SimulatorError: the physics of a scene has become unstable.
        """
        for _ in range(ticks):
            steps = self.config.steps_per_tick
            period = self.config.control_period
            palm = palm_inputs(self._reached, self._targets, steps, period, self._servo)
            self._reached = self._targets
            jobs = zip(
                self._scenes,
                np.hstack([palm.controls, self._fingers @ self._to_drives.T]),
                palm.positions.swapaxes(0, 1)[:, :, None],
                palm.quaternions.swapaxes(0, 1)[:, :, None],
                strict=True,
            )
            if self._pool:
                parts = np.array_split(np.fromiter(jobs, dtype=object), self._threads)
                list(self._pool.map(self._advance, parts))
            else:
                self._advance(jobs)

    def _advance(self, jobs: Iterable[tuple[_Scene, np.ndarray, np.ndarray, np.ndarray]]) -> None:
        step, model = mujoco.mj_step, self.model
        for scene, controls, positions, quaternions in jobs:
            data, position, quaternion = scene.data, scene.position, scene.quaternion
            scene.controls[:] = controls
            for position[:], quaternion[:] in zip(positions, quaternions, strict=True):
                step(model, data)
            physics.check(data)

    def joints(self) -> np.ndarray:
        """(N, 22) finger joint angles, rad."""
        return np.array([data.qpos[self._joints] for data in self.data])

    def wrist_poses(self) -> np.ndarray:
        """(N, 4, 4) poses of `rh_palm` in `world`."""
        return self._poses(self._palm)

    def object_poses(self) -> np.ndarray:
        """(N, 4, 4) poses of the object's mesh frame in `world`."""
        return self._poses(self._object)

    def _poses(self, part: slice) -> np.ndarray:
        values = np.array([data.qpos[part] for data in self.data])
        poses = np.tile(np.eye(4), (len(values), 1, 1))
        poses[:, :3, 3] = values[:, :3]
        poses[:, :3, :3] = Rotation.from_quat(values[:, 3:], scalar_first=True).as_matrix()
        return poses


def _free_joint(model: mujoco.MjModel, name: str) -> slice:
    start = model.joint(name).qposadr[0]
    return slice(start, start + 7)
