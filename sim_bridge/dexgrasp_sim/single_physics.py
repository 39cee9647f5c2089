"""One scene, of a simulator that is made for many."""

from __future__ import annotations

from typing import Any

import numpy as np

from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.interface import BatchPhysics, SimulatorError, Snapshot
from dexgrasp_sim.scene import SceneConfig

_ONLY = (0,)


class SinglePhysics:
    """The `Physics` of a batch with a single environment.

    Attributes:
        batch: the batch.

    Raises:
        ValueError: it has several.
    """

    def __init__(self, batch: BatchPhysics) -> None:
        if len(batch.object_models) != 1:
            raise ValueError(f"a batch of one is needed, not of {len(batch.object_models)}")
        self.batch = batch
        self._hand = load_hand()

    @property
    def config(self) -> SceneConfig:
        return self.batch.config

    @property
    def object_model(self) -> ObjectModel:
        return self.batch.object_models[0]

    @property
    def time(self) -> float:
        return round(int(self.batch.ticks[0]) * self.config.control_period, 9)

    def reset(self, seed: int) -> None:
        self.batch.reset(_ONLY, (seed,))

    def place_object(self, pose: np.ndarray) -> None:
        self.batch.place(_ONLY, object_poses=pose[None])

    def set_targets(self, command: Command) -> None:
        self.batch.set_targets(command.wrist_target[None], command.finger_targets[None])

    def set_joint_targets(self, targets: np.ndarray) -> None:
        self.batch.set_joint_targets(targets[None])

    def step(self, ticks: int = 1) -> None:
        self.batch.step(ticks)
        for fault in self.batch.faults.values():
            raise SimulatorError(fault)

    def state(self) -> RobotState:
        fingers = len(self._hand.joints)
        return RobotState(
            time=self.time,
            wrist_pose=self.batch.wrist_poses()[0],
            joints=self.batch.joints()[0, :fingers],
            joint_velocities=self.batch.joint_velocities()[0, :fingers],
        )

    def joint_positions(self) -> dict[str, float]:
        return self._by_name(self.batch.joints())

    def joint_velocities(self) -> dict[str, float]:
        return self._by_name(self.batch.joint_velocities())

    def efforts(self) -> dict[str, float]:
        return self._by_name(self.batch.efforts())

    def _by_name(self, values: np.ndarray) -> dict[str, float]:
        return dict(zip(self.config.joint_names, values[0].tolist(), strict=True))

    def object_pose(self) -> np.ndarray:
        return self.batch.object_poses()[0]

    def object_velocity(self) -> np.ndarray:
        return self.batch.object_velocities()[0]

    def hand_contacts(self) -> dict[str, float]:
        forces = zip(self._hand.link_names, self.batch.hand_contacts()[0].tolist(), strict=True)
        return {name: force for name, force in forces if force > 0.0}

    def snapshot(self) -> Snapshot:
        return self.batch.snapshot(0)

    def save_state(self) -> Any:
        return self.batch.save(_ONLY)

    def restore_state(self, saved: Any) -> None:
        self.batch.restore(_ONLY, saved)
