"""Does a grasp hold? Six directions of gravity, and a lift from the table.

UniDexGrasp, appendix A, "Grasp Validation": a grasp resists gravity in all six axis-aligned
directions, and penetrates the object by at most 1 mm. Holding alone hardly tells a good grasp from
a bad one, as a hand wedged into an object holds it too; so penetrations are capped before and
after, displacements are measured from the grasp as it was given, and the table is there when the
object is lifted.

The palm stands still and the rest moves: gravity is turned, and the table drops away from under the
object. How, is the simulator's (`trial_physics.TrialPhysics`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.closing import CONTACT_DISTANCE, balanced_forces
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends import make_trials
from dexgrasp_sim.datasets.validation_config import ValidationConfig
from dexgrasp_sim.trial_physics import Closeness, TrialScene

GRAVITY = 9.81
FIGURES = (
    "penetration",
    "self_contact",
    "table_contact",
    "held_directions",
    "held_contact",
    "held_squeezed",
    "held_shift",
    "held_turn",
    "held_penetration",
    "lift_contact",
    "lift_shift",
    "lift_turn",
    "lift_penetration",
    "stable",
    "lifted",
)
"""What `GraspValidator.run` measures; see docs/grasp_data.md."""

Figures = dict[str, np.ndarray]
"""`FIGURES` of some grasps, NaN where they were not measured."""


@dataclass(frozen=True)
class _Displacement:
    """Of the object in the hand."""

    shift: float
    turn: float

    def within(self, shift: float, turn: float) -> bool:
        return self.shift <= shift and self.turn <= turn


class GraspValidator:
    """Objects, each at one scale, around which grasps are tried.

    Args:
        object_models: the objects, each once.
        config: how.

    Raises:
        ImportError: what the simulator needs is not installed.
        ValueError: no grasps can be tried with it.
    """

    def __init__(
        self, object_models: Sequence[ObjectModel], config: ValidationConfig | None = None
    ) -> None:
        self.config = config = config or ValidationConfig()
        hand, coupled = load_hand(), config.drive == "coupled"
        self._physics = make_trials(
            config.backend,
            TrialScene(
                object_models,
                config.drive,
                config.self_collision,
                config.mass,
                config.friction,
                config.timestep,
            ),
        )
        self._to_drives = hand.reduction if coupled else np.eye(len(hand.joints))
        # A tendon does the work of its two joints at half the travel of each.
        self._to_joints = hand.expansion if coupled else np.eye(len(hand.joints))

    def run(
        self,
        palm_pose: np.ndarray,
        joints: np.ndarray,
        plane: np.ndarray | None = None,
        *,
        gain: float | None = None,
        thrifty: bool = False,
    ) -> dict[str, float]:
        """Try one grasp of the first object.

        Args:
            palm_pose: (4, 4) of `rh_palm` in the frame of the scaled object, m.
            joints: (22,) rad.
            plane: (4,) table in the same frame, see `Grasps.planes`; None or NaN for none, and then
                it is not lifted.
            gain: in the place of the configured one; negative opens the hand.
            thrifty: whether to stop at the first trial that fails.

        Returns:
            `FIGURES`, NaN where they were not measured; yes is 1. `stable`: it resists gravity in
            all six directions, with all penetrations below their caps. `lifted`: it stays in the
            hand when the table leaves, likewise.
        """
        plane = np.full(4, np.nan) if plane is None else plane
        first = np.zeros(1, dtype=int)
        tried = self._try(first, palm_pose[None], joints[None], plane[None], gain, thrifty)
        return {name: float(values[0]) for name, values in tried.items()}

    def run_all(
        self,
        grasps: Grasps,
        objects: np.ndarray | None = None,
        *,
        gain: float | None = None,
        thrifty: bool = False,
    ) -> Iterator[dict[str, float]]:
        """Try N grasps, in order.

        Args:
            grasps: of these objects at these scales.
            objects: (N,) which of them each is of; by default the first.
            gain, thrifty: as of `run`.
        """
        objects = np.zeros(len(grasps), dtype=int) if objects is None else objects
        poses, joints, planes = (
            array.astype(np.float64) for array in (grasps.palm_poses, grasps.joints, grasps.planes)
        )
        for start in range(0, len(grasps), self._physics.count):
            some = slice(start, start + self._physics.count)
            tried = self._try(objects[some], poses[some], joints[some], planes[some], gain, thrifty)
            for row in zip(*tried.values(), strict=True):
                yield dict(zip(tried, map(float, row), strict=True))

    def squeezes(self, grasps: Grasps, objects: np.ndarray | None = None) -> np.ndarray:
        """(N, 22) joint targets, rad, that trials of grasps press with; arguments as of `run_all`.

        The targets of the drives are their sums; two joints that one tendon moves share theirs
        equally. Nothing is tried.
        """
        objects = np.zeros(len(grasps), dtype=int) if objects is None else objects
        poses, joints = grasps.palm_poses, grasps.joints.astype(np.float64)
        found = np.empty(joints.shape)
        for start in range(0, len(grasps), self._physics.count):
            some = slice(start, start + self._physics.count)
            near = self._physics.place(
                objects[some], np.linalg.inv(poses[some]), joints[some], CONTACT_DISTANCE
            )
            pressing = self._pressing(joints[some], near, self.config.gain)
            for row, targets in enumerate(pressing, start):
                found[row] = self._to_joints @ targets
        return found

    # The two trials

    def _try(
        self,
        objects: np.ndarray,
        palm_poses: np.ndarray,
        joints: np.ndarray,
        planes: np.ndarray,
        gain: float | None,
        thrifty: bool,
    ) -> Figures:
        """As `run`, of n grasps side by side; `planes` are NaN where there is none."""
        config, physics = self.config, self._physics
        figures = {name: np.full(len(joints), np.nan) for name in FIGURES}
        initial = np.linalg.inv(palm_poses)
        near = physics.place(objects, initial, joints, CONTACT_DISTANCE)
        figures["penetration"][:] = [max(0.0, -one.distances.min(initial=0.0)) for one in near]
        figures["self_contact"][:] = [one.self_depth for one in near]
        clear = (figures["penetration"] <= config.max_penetration) & (
            figures["self_contact"] <= config.max_self_penetration
        )
        going = np.flatnonzero(clear | (not thrifty)).tolist()
        physics.set_drives(self._pressing(joints, near, config.gain if gain is None else gain))
        start = physics.save()
        tables = [row for row in going if not np.isnan(planes[row]).any()]
        if tables:
            turned = np.tile([0.0, 0.0, 1.0, 0.0], (len(planes), 1))  # where nothing is lifted
            for row in tables:
                turned[row] = _transformed(planes[row], palm_poses[row])
            self._lift(tables, initial, turned, figures, thrifty)
            lifted = (
                clear
                & (figures["table_contact"] <= config.max_table_penetration)
                & (figures["lift_contact"] == 1)
                & (figures["lift_shift"] <= config.max_shift)
                & (figures["lift_penetration"] <= config.max_final_penetration)
            )
            figures["lifted"][tables] = lifted[tables]
            if thrifty:
                going = [row for row in going if row not in tables or lifted[row]]
        physics.restore(start)
        self._hold(going, initial, figures)
        stable = (
            clear
            & (figures["held_directions"] == 6)
            & (figures["held_penetration"] <= config.max_final_penetration)
        )
        figures["stable"][going] = stable[going]
        return figures

    def _hold(self, rows: Sequence[int], initial: np.ndarray, figures: Figures) -> None:
        """Squeeze in free space, then pull in each direction from there."""
        config, physics = self.config, self._physics
        physics.set_tables(None)
        physics.set_gravity(np.zeros((len(initial), 3)))
        rows = self._stepped(rows, config.squeeze_time)
        state, squeezed = physics.save(), physics.object_poses()
        ends: dict[int, list[tuple[bool, bool, bool, float, float, float]]]
        ends = {row: [] for row in rows}
        for direction in (*np.eye(3), *-np.eye(3)):
            if not rows:
                return
            physics.restore(state)
            physics.set_gravity(np.tile(GRAVITY * direction, (len(initial), 1)))
            rows = self._stepped(rows, config.hold_time / 2)
            rows = self._stepped_where_near(rows, initial, config.hold_time / 2)
            poses = physics.object_poses()
            for row, contacts in zip(rows, physics.contacts(rows), strict=True):
                moved = _displacement(initial[row], poses[row])
                slipped = _displacement(squeezed[row], poses[row])
                kept = len(contacts.hand) > 0
                ends[row].append(
                    (
                        kept and moved.within(config.max_shift, config.max_turn),
                        kept,
                        slipped.within(config.squeezed_shift, config.max_turn),
                        moved.shift,
                        moved.turn,
                        _deepest(contacts.hand),
                    )
                )
        for row in rows:
            near, kept_all, near_squeezed, shifts, turns, depths = zip(*ends[row], strict=True)
            figures["held_directions"][row] = sum(near)
            figures["held_contact"][row] = all(kept_all)
            figures["held_squeezed"][row] = all(near_squeezed)
            figures["held_shift"][row] = max(shifts)
            figures["held_turn"][row] = max(turns)
            figures["held_penetration"][row] = max(depths)

    def _lift(
        self,
        rows: Sequence[int],
        initial: np.ndarray,
        planes: np.ndarray,
        figures: Figures,
        thrifty: bool,
    ) -> None:
        """Squeeze on the tables, which then drop away along their normals."""
        config, physics = self.config, self._physics
        physics.set_gravity(-GRAVITY * planes[:, :3])
        physics.set_tables(planes)
        for row, contacts in zip(rows, physics.contacts(rows), strict=True):
            figures["table_contact"][row] = contacts.table_depth
        if thrifty:
            allowed = config.max_table_penetration
            rows = [row for row in rows if figures["table_contact"][row] <= allowed]
        rows = self._stepped(rows, config.squeeze_time)
        rows = self._stepped(rows, config.lift_time, config.lift_height)
        rows = self._stepped_where_near(rows, initial, config.hold_time)
        poses = physics.object_poses()
        for row, contacts in zip(rows, physics.contacts(rows), strict=True):
            moved = _displacement(initial[row], poses[row])
            figures["lift_contact"][row] = len(contacts.hand) > 0
            figures["lift_shift"][row] = moved.shift
            figures["lift_turn"][row] = moved.turn
            figures["lift_penetration"][row] = _deepest(contacts.hand)

    def _stepped_where_near(
        self, rows: Sequence[int], initial: np.ndarray, duration: float
    ) -> list[int]:
        """As `_stepped`, but what has been left behind stays where it is: it won't come back."""
        poses, limit = self._physics.object_poses(), self.config.max_shift
        near = [row for row in rows if _displacement(initial[row], poses[row]).shift <= limit]
        lost = set(near) - set(self._stepped(near, duration))
        return [row for row in rows if row not in lost]

    def _stepped(self, rows: Sequence[int], duration: float, lowering: float = 0.0) -> list[int]:
        """Step trials; those of them whose physics is not unstable, which do not hold."""
        self._physics.step(rows, duration, lowering)
        unstable = self._physics.unstable
        return [row for row in rows if row not in unstable]

    def _pressing(self, joints: np.ndarray, near: Sequence[Closeness], gain: float) -> np.ndarray:
        """(n, D) targets of the drives that press (n, 22) joints of grasps by a gain."""
        pressing = [
            self._to_drives @ own + self._to_joints.T @ (gain * self._closing(closeness))
            for own, closeness in zip(joints, near, strict=True)
        ]
        return np.array(pressing)

    def _closing(self, near: Closeness) -> np.ndarray:
        """(22,) joint changes that close a hand by a gain of 1, dq = sum of J^T f over the links
        near the object, where they are nearest to it."""
        change = np.zeros(len(load_hand().joints))
        if not len(near.distances):
            return change
        forces = -near.normals
        if self.config.squeeze == "balanced":
            forces = balanced_forces(near.points, near.normals, near.centre)
        for jacobian, force in zip(near.jacobians, forces, strict=True):
            change += jacobian.T @ force
        return change


def _transformed(plane: np.ndarray, object_T_palm: np.ndarray) -> np.ndarray:
    """A plane of the object's frame in the palm's."""
    normal = plane[:3] / np.linalg.norm(plane[:3])
    return np.array([*(object_T_palm[:3, :3].T @ normal), plane[3] + normal @ object_T_palm[:3, 3]])


def _displacement(start: np.ndarray, end: np.ndarray) -> _Displacement:
    turn = Rotation.from_matrix(start[:3, :3].T @ end[:3, :3]).magnitude()
    return _Displacement(float(np.linalg.norm(start[:3, 3] - end[:3, 3])), float(turn))


def _deepest(distances: np.ndarray) -> float:
    return float(max(0.0, -distances.min(initial=0.0)))
