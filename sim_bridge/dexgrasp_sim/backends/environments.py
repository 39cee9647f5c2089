"""What batches do alike, whoever steps them: seeds, targets, ticks, faults, and what is refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.arm.servo import PoseServo
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.rows import rows_of
from dexgrasp_sim.backends.wrist_paths import ArmPaths, PalmPaths
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.placement import StablePose, draw_placement
from dexgrasp_sim.scene import SceneConfig


@dataclass(frozen=True, eq=False)
class SavedEnvironments:
    """What `Environments.save` keeps of n environments, in arrays of n rows."""

    objects: tuple[tuple[str, float], ...]
    """Names and scales."""
    physics: np.ndarray
    wrists: np.ndarray
    targets: np.ndarray
    fingers: np.ndarray
    seeds: np.ndarray
    ticks: np.ndarray
    efforts: np.ndarray
    contacts: np.ndarray


class Environments(ABC):
    """See `interface.BatchPhysics` for what the public methods promise.

    Who inherits has the physical states, and steps and measures them.

    Args:
        config: of all environments.
        object_models: the N objects.
        threads: that step the environments.

    Raises:
        ValueError: there is no environment or no thread.
    """

    def __init__(
        self, config: SceneConfig, object_models: Sequence[ObjectModel], threads: int = 1
    ) -> None:
        count = len(object_models)
        if count < 1 or threads < 1:
            raise ValueError(f"{count} environments on {threads} threads: one is the least of both")
        self.config = config
        self.object_models = tuple(object_models)
        hand = load_hand()
        self._paths: PalmPaths | ArmPaths
        if config.scene == "arm":
            self._paths = ArmPaths(PoseServo(ArmKinematics(), config.control_period), count)
        else:
            self._paths = PalmPaths(config.home_pose, count)
        self._targets = np.tile(config.home_pose, (count, 1, 1))
        self._fingers = np.zeros((count, len(hand.joints)))
        self._arms: np.ndarray | None = None
        """(N, 6) targets of the arms' joints in place of the wrists'."""
        self._seeds = np.zeros(count, dtype=np.int64)
        self._ticks = np.zeros(count, dtype=np.int64)
        self._faults: dict[int, str] = {}
        self._unread = np.zeros(count, dtype=bool)
        """Whose efforts and contacts are newer than those kept here."""
        self._efforts = np.zeros((count, len(config.joint_names)))
        self._contacts = np.zeros((count, len(hand.links)))

    # What the simulator does

    @abstractmethod
    def _resting(self, index: int) -> Sequence[StablePose]:
        """In which the object of an environment rests."""

    @abstractmethod
    def _put_home(self, indices: Sequence[int], object_poses: np.ndarray) -> None:
        """Put hands at rest at home and objects at (n, 4, 4) poses, and set `_targets`."""

    @abstractmethod
    def _put(
        self,
        indices: Sequence[int],
        wrist_poses: np.ndarray | None,
        joints: np.ndarray | None,
        object_poses: np.ndarray | None,
    ) -> None:
        """As `place`; where the wrist is moved, `_targets` are set and `_paths` set out there."""

    @abstractmethod
    def _states(self, at: np.ndarray) -> np.ndarray:
        """(n, ...) physical states of environments."""

    @abstractmethod
    def _put_states(self, at: np.ndarray, states: np.ndarray) -> None:
        """Back to those."""

    @abstractmethod
    def _vary(self, index: int, mass: float, friction: float, gain: float) -> None:
        """Give an environment those; see `vary`."""

    @abstractmethod
    def _push(self, forces: np.ndarray) -> None:
        """(N, 3) N at the objects' centres of mass from the next step on."""

    @abstractmethod
    def _tick(self, sound: Sequence[int]) -> None:
        """One tick of n environments, which may end in `_faults`."""

    @abstractmethod
    def _read(self) -> None:
        """Take efforts and contacts of the last step of those that are unread."""

    @abstractmethod
    def _seen(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(J,) joints, rad, and the (4, 4) poses of an environment's palm and object."""

    @abstractmethod
    def joints(self) -> np.ndarray: ...

    # Beginning

    def reset(
        self,
        indices: Sequence[int],
        seeds: Sequence[int],
        object_poses: np.ndarray | None = None,
    ) -> None:
        if object_poses is not None:
            object_poses = rows_of("object_poses", object_poses, (len(indices), 4, 4))
        if len(seeds) != len(indices):
            raise ValueError(f"{len(seeds)} seeds for {len(indices)} environments")
        if object_poses is None:
            drawn = [
                draw_placement(self.config, self._resting(index), seed)
                for index, seed in zip(indices, seeds, strict=True)
            ]
            object_poses = np.array(drawn).reshape(-1, 4, 4)
        at = np.asarray(indices, dtype=int)
        self._seeds[at], self._ticks[at], self._fingers[at] = seeds, 0, 0.0
        self._put_home(indices, object_poses)
        self._begin(at)

    def place(
        self,
        indices: Sequence[int],
        *,
        wrist_poses: np.ndarray | None = None,
        joints: np.ndarray | None = None,
        object_poses: np.ndarray | None = None,
    ) -> None:
        if wrist_poses is not None and self.config.scene == "arm":
            raise ValueError("the arm's joints place the wrist in arm scenes: give joints")
        count, fingers = len(indices), self._fingers.shape[1]
        at = np.asarray(indices, dtype=int)
        if wrist_poses is not None:
            wrist_poses = rows_of("wrist_poses", wrist_poses, (count, 4, 4))
        if joints is not None:
            joints = rows_of("joints", joints, (count, self._efforts.shape[1]))
        if object_poses is not None:
            object_poses = rows_of("object_poses", object_poses, (count, 4, 4))
        if joints is not None:
            self._fingers[at] = joints[:, :fingers]
        self._put(indices, wrist_poses, joints, object_poses)
        self._begin(at)

    def _begin(self, at: np.ndarray) -> None:
        """From where environments were put, with no step behind them."""
        if self._arms is not None:
            self._arms[at] = self.joints()[at, self._fingers.shape[1] :]
        for index in at.tolist():
            self._faults.pop(index, None)
        self._unread[at] = False
        self._efforts[at] = self._contacts[at] = 0.0

    def save(self, indices: Sequence[int]) -> SavedEnvironments:
        self._read()
        at = np.asarray(indices, dtype=int)
        return SavedEnvironments(
            self._objects(indices),
            self._states(at),
            self._paths.memory(at),
            *(
                kept[at]
                for kept in (
                    self._targets,
                    self._fingers,
                    self._seeds,
                    self._ticks,
                    self._efforts,
                    self._contacts,
                )
            ),
        )

    def restore(self, indices: Sequence[int], saved: SavedEnvironments) -> None:
        if self._objects(indices) != saved.objects:
            raise ValueError(
                f"the saved states are of {saved.objects}, the environments of"
                f" {self._objects(indices)}"
            )
        at = np.asarray(indices, dtype=int)
        self._put_states(at, saved.physics)
        self._begin(at)
        self._paths.recall(at, saved.wrists)
        self._targets[at], self._fingers[at] = saved.targets, saved.fingers
        self._seeds[at], self._ticks[at] = saved.seeds, saved.ticks
        self._efforts[at], self._contacts[at] = saved.efforts, saved.contacts

    def _objects(self, indices: Sequence[int]) -> tuple[tuple[str, float], ...]:
        models = [self.object_models[index] for index in indices]
        return tuple((model.name, model.scale) for model in models)

    def vary(
        self,
        indices: Sequence[int],
        *,
        masses: np.ndarray | None = None,
        frictions: np.ndarray | None = None,
        gains: np.ndarray | None = None,
    ) -> None:
        count, config = len(indices), self.config
        rows = np.column_stack(
            [
                np.full(count, usual) if given is None else rows_of(name, given, (count,))
                for name, given, usual in (
                    ("masses", masses, config.object_mass),
                    ("frictions", frictions, config.friction),
                    ("gains", gains, 1.0),
                )
            ]
        )
        if not ((rows > 0.0) & np.isfinite(rows)).all():
            raise ValueError("masses, frictions and gains have to be positive")
        for index, (mass, friction, gain) in zip(indices, rows.tolist(), strict=True):
            self._vary(index, mass, friction, gain)

    # Moving

    def set_targets(self, wrists: np.ndarray, fingers: np.ndarray) -> None:
        wrists = rows_of("wrists", wrists, self._targets.shape)
        fingers = rows_of("fingers", fingers, self._fingers.shape)
        odd = np.flatnonzero(~np.isfinite(wrists).all(axis=(1, 2))).tolist()
        if bad := [index for index in odd if index not in self._faults]:
            raise ValueError(f"the wrist targets of environments {bad} are not finite")
        self._targets, self._fingers, self._arms = wrists.copy(), fingers.copy(), None

    def set_joint_targets(self, targets: np.ndarray) -> None:
        targets = rows_of("targets", targets, self._efforts.shape)
        if self.config.scene != "arm":
            raise ValueError("the hand floats: there is no arm whose joints could have targets")
        if not np.isfinite(targets).all():
            raise ValueError("a joint's target is not finite")
        count = self._fingers.shape[1]
        self._fingers, self._arms = targets[:, :count].copy(), targets[:, count:].copy()

    def push(self, forces: np.ndarray) -> None:
        forces = rows_of("forces", forces, (len(self.object_models), 3))
        bad = np.flatnonzero(~np.isfinite(forces).all(axis=1)).tolist()
        if bad:
            raise ValueError(f"the forces on the objects of environments {bad} are not finite")
        self._push(forces)

    def step(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            sound = [i for i in range(len(self.object_models)) if i not in self._faults]
            if not sound:
                return
            self._tick(sound)
            self._ticks[sound] += 1
            self._unread[sound] = True

    @property
    def faults(self) -> Mapping[int, str]:
        return dict(self._faults)

    # Measurements

    @property
    def ticks(self) -> np.ndarray:
        return self._ticks.copy()

    def efforts(self) -> np.ndarray:
        self._read()
        return self._efforts.copy()

    def hand_contacts(self) -> np.ndarray:
        self._read()
        return self._contacts.copy()

    def depth(self, camera: str) -> np.ndarray:
        """Drawn by `DepthCameras`, one environment after the other."""
        drawn = {id(item): DepthCameras(self.config, item) for item in self.object_models}
        return np.array(
            [
                drawn[id(item)].true_depth(self.snapshot(index), camera)
                for index, item in enumerate(self.object_models)
            ]
        )

    def snapshot(self, index: int) -> Snapshot:
        joints, palm, thing = self._seen(index)
        return Snapshot(
            round(int(self._ticks[index]) * self.config.control_period, 9),
            dict(zip(self.config.joint_names, joints.tolist(), strict=True)),
            palm,
            thing,
            int(self._seeds[index]),
        )
