"""What every simulator offers: the physics of a scene, and snapshots for cameras to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.scene import SceneConfig


class SimulatorError(RuntimeError):
    """The simulated physics went wrong; only `reset` or `restore_state` goes on from there."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where everything visible is at one moment; enough to draw the scene."""

    time: float
    joints: Mapping[str, float]
    """Robot joints by name, rad."""
    wrist_pose: np.ndarray
    """(4, 4) pose of `rh_palm` in `world`."""
    object_pose: np.ndarray
    """(4, 4) pose of the object's mesh frame in `world`."""
    seed: int = 0
    """Of the reset; the cameras' noise depends on it, and on the time."""

    def equals(self, other: Snapshot) -> bool:
        """Whether nothing differs, to the bit."""
        return (
            (self.time, self.seed) == (other.time, other.seed)
            and self.joints == other.joints
            and np.array_equal(self.wrist_pose, other.wrist_pose)
            and np.array_equal(self.object_pose, other.object_pose)
        )


class Physics(Protocol):
    """A table, one object and the hand (free or on the arm), which move.

    `SinglePhysics` makes one of any `BatchPhysics`. Time advances in control ticks only. The same
    seed and commands give the same states to the bit, where the simulator does not say otherwise.
    Poses are (4, 4) in `world`. Nothing is seen here: cameras draw a `Snapshot`.
    """

    @property
    def config(self) -> SceneConfig:
        """What the scene was built from."""

    @property
    def object_model(self) -> ObjectModel:
        """The object on the table."""

    @property
    def time(self) -> float:
        """Seconds of simulated time since the last reset, to the nanosecond."""

    def reset(self, seed: int) -> None:
        """Back to time 0: the hand at its home pose, the object at rest where `draw_placement` puts
        it for `seed`."""

    def place_object(self, pose: np.ndarray) -> None:
        """Put the object at rest at a (4, 4) pose of its mesh frame."""

    def set_targets(self, command: Command) -> None:
        """The command followed from the next tick on."""

    def set_joint_targets(self, targets: np.ndarray) -> None:
        """In place of a command, (J,) angles for the joints' own servos; as of `BatchPhysics`."""

    def step(self, ticks: int = 1) -> None:
        """Advance by control ticks.

        Raises:
            SimulatorError: the physics has become unstable.
        """

    def state(self) -> RobotState:
        """What the robot's own sensors measure now."""

    def joint_positions(self) -> dict[str, float]:
        """All robot joints by name (rad): the fingers, and the arm where there is one."""

    def joint_velocities(self) -> dict[str, float]:
        """Their velocities, rad/s."""

    def efforts(self) -> dict[str, float]:
        """What the drives put on them in the last step, N m; zero before the first."""

    def object_pose(self) -> np.ndarray:
        """(4, 4) true pose of the object's mesh frame."""

    def object_velocity(self) -> np.ndarray:
        """(6,) true velocity of the object's mesh frame in `world`: linear m/s, angular rad/s."""

    def hand_contacts(self) -> dict[str, float]:
        """Normal force (N) on the object by the hand's link in the last step, for the links that
        press on it."""

    def snapshot(self) -> Snapshot:
        """Where everything visible is now."""

    def save_state(self) -> Any:
        """The whole state, for `restore_state` of the same simulator."""

    def restore_state(self, saved: Any) -> None:
        """Back to a saved state."""


class BatchPhysics(Protocol):
    """N environments, each a scene as `Physics` has one, that differ in objects, seeds and targets.

    All have one configuration. They don't influence each other: each moves as it would alone,
    whichever others are reset, restored or unstable. Where the same seed and targets can't give the
    same states to the bit (as on a GPU), the simulator says so.

    Arrays are new ones of floats, rows by environment: poses (N, 4, 4) in `world`; velocities
    (N, 6) of these frames in `world`, linear m/s and angular rad/s; joints (N, J) in the order of
    `SceneConfig.joint_names`, the 22 of the fingers first. `indices` are distinct environments.

    Raises:
        ValueError: an array has a wrong shape.
    """

    @property
    def config(self) -> SceneConfig:
        """What all scenes were built from."""

    @property
    def object_models(self) -> Sequence[ObjectModel]:
        """The N objects, one on the table of each environment."""

    @property
    def ticks(self) -> np.ndarray:
        """(N,) control ticks since the last reset of each."""

    @property
    def faults(self) -> Mapping[int, str]:
        """What went wrong, by the index of each environment whose physics has become unstable.

        It stands still, and what is measured of it means nothing, until it is reset or restored.
        The others go on.
        """

    def reset(
        self,
        indices: Sequence[int],
        seeds: Sequence[int],
        object_poses: np.ndarray | None = None,
    ) -> None:
        """Each to its tick 0: the hand at its home pose with straight fingers, to stay there; the
        object at rest where `draw_placement` puts it for the seed, or where it is given.

        Every environment has to be reset before use.

        Args:
            indices: n environments.
            seeds: of each.
            object_poses: (n, 4, 4) of the object's mesh frame. The poses in which the object rests
                aren't looked for then, which takes seconds for one that is new.
        """

    def place(
        self,
        indices: Sequence[int],
        *,
        wrist_poses: np.ndarray | None = None,
        joints: np.ndarray | None = None,
        object_poses: np.ndarray | None = None,
    ) -> None:
        """Put what is given at rest where it is given; the ticks go on.

        Joints and wrist that are placed are also their own new targets.

        Args:
            indices: n environments.
            wrist_poses: (n, 4, 4) of `rh_palm`, in floating scenes.
            joints: (n, J) rad; in arm scenes they place the wrist too.
            object_poses: (n, 4, 4) of the object's mesh frame.

        Raises:
            ValueError: wrist poses are given in an arm scene.
        """

    def set_targets(self, wrists: np.ndarray, fingers: np.ndarray) -> None:
        """Followed by all from the next tick on.

        Args:
            wrists: (N, 4, 4) of `rh_palm`.
            fingers: (N, 22) rad.

        Raises:
            ValueError: a wrist target is not finite, and its environment not unstable.
        """

    def set_joint_targets(self, targets: np.ndarray) -> None:
        """Given to the joints' own servos, from the next tick on and until `set_targets`.

        A joint is to be where it is told when the servo has caught up: nothing anticipates its way,
        as the arm's following of a wrist does. They belong to no saved state.

        Args:
            targets: (N, J) rad.

        Raises:
            ValueError: the hand floats, or a target is not finite.
        """

    def vary(
        self,
        indices: Sequence[int],
        *,
        masses: np.ndarray | None = None,
        frictions: np.ndarray | None = None,
        gains: np.ndarray | None = None,
    ) -> None:
        """Let some environments differ from the configuration, until they are varied again.

        What isn't given is as configured. Nothing else undoes it, and it belongs to no saved state.

        Args:
            indices: n environments.
            masses: (n,) kg, of the objects.
            frictions: (n,) sliding friction of all contacts.
            gains: (n,) factors on the stiffness of the fingers' drives.

        Raises:
            ValueError: a number isn't positive.
        """

    def push(self, forces: np.ndarray) -> None:
        """Push the objects from the next tick on, until told otherwise, reset or placed.

        Args:
            forces: (N, 3) N in `world`, at the objects' centres of mass. They belong to the state
                that is saved.

        Raises:
            ValueError: a force is not finite.
        """

    def step(self, ticks: int = 1) -> None:
        """Advance by control ticks all that are not unstable; see `faults` afterwards."""

    def joints(self) -> np.ndarray:
        """(N, J) rad."""

    def joint_velocities(self) -> np.ndarray:
        """(N, J) rad/s."""

    def efforts(self) -> np.ndarray:
        """(N, J) what the drives put on the joints in the last step, N m.

        Zero where there was none since `reset` or `place`; after `restore` what it was.
        """

    def wrist_poses(self) -> np.ndarray:
        """(N, 4, 4) of `rh_palm`."""

    def wrist_velocities(self) -> np.ndarray:
        """(N, 6) of `rh_palm`."""

    def object_poses(self) -> np.ndarray:
        """(N, 4, 4) of the objects' mesh frames."""

    def object_velocities(self) -> np.ndarray:
        """(N, 6) of the objects' mesh frames."""

    def hand_contacts(self) -> np.ndarray:
        """(N, L) normal force (N) on the object by each link, in the order of `HandSpec.links`.

        Of the last step, as `efforts`.
        """

    def snapshot(self, index: int) -> Snapshot:
        """Where everything visible in one environment is now."""

    def depth(self, camera: str) -> np.ndarray:
        """What a camera of the scene's rig sees in all environments, drawn by the simulator itself.

        Objects may be drawn by the convex pieces by which they are touched. Only what has been
        stepped since it was reset or placed has to be seen where it is.

        Returns:
            (N, H, W) depth along the optical axis, m, without noise; inf where there is nothing.

        Raises:
            KeyError: there is no such camera.
            SimulatorError: the simulator can't draw what was put there and not stepped since.
            ValueError: the simulator has no such cameras, or was told not to draw.
        """

    def save(self, indices: Sequence[int]) -> Any:
        """The whole state of n environments, for `restore`."""

    def restore(self, indices: Sequence[int], saved: Any) -> None:
        """Put n environments, with the same objects in the same order, back to a saved state.

        Raises:
            ValueError: they have other objects.
        """
