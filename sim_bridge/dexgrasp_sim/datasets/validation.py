"""Does a grasp hold? Six directions of gravity, and a lift from the table.

UniDexGrasp, appendix A, "Grasp Validation": a grasp resists gravity in all six axis-aligned
directions, and penetrates the object by at most 1 mm. Holding alone hardly tells a good grasp from
a bad one, as a hand wedged into an object holds it too; so penetrations are capped before and
after, displacements are measured from the grasp as it was given, and the table is there when the
object is lifted.

The palm stands still at the world's origin and the rest moves: gravity is turned, and the table is
a body that drops away from under the object. So one compiled model serves every grasp of an object.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.closing import CONTACT_DISTANCE, balanced_forces
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.mujoco_model import (
    OBJECT,
    OBJECT_JOINT,
    TABLE,
    add_object,
    new_spec,
)
from dexgrasp_sim.backends.mujoco.robot_model import (
    CONTACT,
    Collides,
    add_fixed_hand,
    friction_coefficients,
)
from dexgrasp_sim.datasets.validation_config import ValidationConfig
from dexgrasp_sim.interface import SimulatorError

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

_TABLE_SIDE, _TABLE_THICKNESS = 1.0, 0.1  # m, half of each
_FAR = 10.0  # m: where the table waits while it is not wanted
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True)
class _Displacement:
    """Of the object in the hand."""

    shift: float
    turn: float

    def within(self, shift: float, turn: float) -> bool:
        return self.shift <= shift and self.turn <= turn


class GraspValidator:
    """One object at one scale around which grasps are tried.

    Args:
        object_model: the object.
        config: how.
    """

    def __init__(self, object_model: ObjectModel, config: ValidationConfig | None = None) -> None:
        self.config = config = config or ValidationConfig()
        hand = load_hand()
        spec = new_spec(config.timestep)
        add_object(spec, object_model, config.mass, config.friction)
        add_fixed_hand(spec, hand, config.drive, config.friction, config.self_collision)
        _add_leaving_table(spec, config.friction)
        self._model = model = spec.compile()
        self._data = mujoco.MjData(model)
        self._object = model.body(OBJECT).id
        self._object_geoms = model.geom_bodyid == self._object
        self._table_geom = model.geom(TABLE).id
        joint = model.joint(OBJECT_JOINT)
        self._object_qpos = slice(joint.qposadr[0], joint.qposadr[0] + 7)
        joints = [model.joint(name) for name in hand.finger_joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        coupled = config.drive == "coupled"
        drives = hand.actuators if coupled else hand.finger_joints
        self._controls = [model.actuator(name).id for name in drives]
        self._to_drives = hand.reduction if coupled else np.eye(len(joints))
        # A tendon does the work of its two joints at half the travel of each.
        self._to_joints = hand.expansion if coupled else np.eye(len(joints))

    def run(
        self,
        palm_pose: np.ndarray,
        joints: np.ndarray,
        plane: np.ndarray | None = None,
        *,
        gain: float | None = None,
        thrifty: bool = False,
    ) -> dict[str, float]:
        """Try one grasp.

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
        config = self.config
        gain = config.gain if gain is None else gain
        figures = dict.fromkeys(FIGURES, np.nan)
        initial = np.linalg.inv(palm_pose)
        plane = None if plane is None or np.isnan(plane).any() else _transformed(plane, palm_pose)
        change, figures["penetration"], figures["self_contact"] = self._place(initial, joints)
        clear = (
            figures["penetration"] <= config.max_penetration
            and figures["self_contact"] <= config.max_self_penetration
        )
        if thrifty and not clear:
            return figures
        self._data.ctrl[self._controls] = self._pressing(joints, gain * change)
        if plane is not None:
            start = self._state()
            with suppress(SimulatorError):  # what makes the physics unstable is not lifted
                self._lift(initial, plane, figures, thrifty)
            figures["lifted"] = float(
                clear
                and figures["table_contact"] <= config.max_table_penetration
                and figures["lift_contact"] == 1
                and figures["lift_shift"] <= config.max_shift
                and figures["lift_penetration"] <= config.max_final_penetration
            )
            if thrifty and not figures["lifted"]:
                return figures
            self._restore(start)
        with suppress(SimulatorError):  # nor held
            self._hold(initial, figures)
        figures["stable"] = float(
            clear
            and figures["held_directions"] == 6
            and figures["held_penetration"] <= config.max_final_penetration
        )
        return figures

    def run_all(
        self, grasps: Grasps, *, gain: float | None = None, thrifty: bool = False
    ) -> Iterator[dict[str, float]]:
        """Try grasps of this object at this scale, in order; arguments as of `run`."""
        poses = grasps.palm_poses
        for index in range(len(grasps)):
            yield self.run(
                poses[index],
                grasps.joints[index].astype(np.float64),
                grasps.planes[index].astype(np.float64),
                gain=gain,
                thrifty=thrifty,
            )

    def squeezes(self, grasps: Grasps) -> np.ndarray:
        """(N, 22) joint targets, rad, that trials of grasps of this object press with.

        The targets of the drives are their sums; two joints that one tendon moves share theirs
        equally. Nothing is tried.
        """
        found = np.empty(grasps.joints.shape)
        for row, (pose, joints) in enumerate(zip(grasps.palm_poses, grasps.joints, strict=True)):
            change, *_ = self._place(np.linalg.inv(pose), joints.astype(np.float64))
            pressing = self._pressing(joints.astype(np.float64), self.config.gain * change)
            found[row] = self._to_joints @ pressing
        return found

    # The two trials

    def _hold(self, initial: np.ndarray, figures: dict[str, float]) -> None:
        """Squeeze in free space, then pull in each direction from there."""
        config = self.config
        self._remove_table()
        self._model.opt.gravity = 0.0
        self._step(config.squeeze_time)
        squeezed_state, squeezed = self._state(), self._object_pose()
        kept, near_squeezed, near_initial, shifts, turns, depths = [], [], [], [], [], []
        for direction in (*np.eye(3), *-np.eye(3)):
            self._restore(squeezed_state)
            self._model.opt.gravity = GRAVITY * direction
            self._step(config.hold_time / 2)
            if _displacement(initial, self._object_pose()).shift <= config.max_shift:
                self._step(config.hold_time / 2)
            contacts = self._hand_contacts()
            end = self._object_pose()
            moved, slipped = _displacement(initial, end), _displacement(squeezed, end)
            kept.append(len(contacts) > 0)
            near_squeezed.append(slipped.within(config.squeezed_shift, config.max_turn))
            near_initial.append(kept[-1] and moved.within(config.max_shift, config.max_turn))
            shifts.append(moved.shift)
            turns.append(moved.turn)
            depths.append(_deepest(contacts))
        figures |= {
            "held_directions": float(sum(near_initial)),
            "held_contact": float(all(kept)),
            "held_squeezed": float(all(near_squeezed)),
            "held_shift": max(shifts),
            "held_turn": max(turns),
            "held_penetration": max(depths),
        }

    def _lift(
        self, initial: np.ndarray, plane: np.ndarray, figures: dict[str, float], thrifty: bool
    ) -> None:
        """Squeeze on the table, which then drops away along its normal."""
        config = self.config
        self._model.opt.gravity = -GRAVITY * plane[:3]
        self._set_table(plane)
        mujoco.mj_forward(self._model, self._data)
        figures["table_contact"] = self._table_depth()
        if thrifty and figures["table_contact"] > config.max_table_penetration:
            return
        self._step(config.squeeze_time)
        steps = round(config.lift_time / config.timestep)
        for _ in range(steps):
            self._data.mocap_pos[0] -= config.lift_height / steps * plane[:3]
            physics.step(self._model, self._data)
        # What has been left behind won't come back.
        if _displacement(initial, self._object_pose()).shift <= config.max_shift:
            self._step(config.hold_time)
        contacts = self._hand_contacts()
        moved = _displacement(initial, self._object_pose())
        figures |= {
            "lift_contact": float(len(contacts) > 0),
            "lift_shift": moved.shift,
            "lift_turn": moved.turn,
            "lift_penetration": _deepest(contacts),
        }

    # The scene

    def _pressing(self, joints: np.ndarray, change: np.ndarray) -> np.ndarray:
        """(D,) targets of the drives, for (22,) joints of a grasp and their (22,) change."""
        return self._to_drives @ joints + self._to_joints.T @ change

    def _place(
        self, hand_T_object: np.ndarray, joints: np.ndarray
    ) -> tuple[np.ndarray, float, float]:
        """Set the scene.

        Returns:
            (22,) joint changes that close the hand by a gain of 1, dq = sum of J^T f over the links
            near the object, where they are nearest to it; the hand's deepest contacts with the
            object and with itself, m.
        """
        model, data = self._model, self._data
        mujoco.mj_resetData(model, data)
        self._remove_table()
        data.qpos[self._object_qpos] = [
            *hand_T_object[:3, 3],
            *Rotation.from_matrix(hand_T_object[:3, :3]).as_quat(scalar_first=True),
        ]
        data.qpos[self._qpos] = joints
        model.geom_margin[~self._object_geoms] = CONTACT_DISTANCE
        mujoco.mj_forward(model, data)
        model.geom_margin[~self._object_geoms] = 0.0
        nearest: dict[int, tuple[float, np.ndarray, np.ndarray]] = {}
        for contact in data.contact:
            first, second = model.geom_bodyid[contact.geom]
            if self._object not in (first, second):
                continue
            link = second if first == self._object else first
            outward = contact.frame[:3] if first == self._object else -contact.frame[:3]
            if link not in nearest or contact.dist < nearest[link][0]:
                nearest[link] = (contact.dist, contact.pos.copy(), outward.copy())
        change = np.zeros(len(self._dofs))
        own = _deepest(data.contact.dist[~self._object_geoms[data.contact.geom].any(axis=1)])
        if not nearest:
            return change, 0.0, own
        depths, points, normals = map(np.array, zip(*nearest.values(), strict=True))
        forces = -normals
        if self.config.squeeze == "balanced":
            forces = balanced_forces(points, normals, data.xipos[self._object])
        jacobian = np.empty((3, model.nv))
        for link, point, force in zip(nearest, points, forces, strict=True):
            mujoco.mj_jac(model, data, jacobian, None, point, link)
            change += jacobian[:, self._dofs].T @ force
        return change, max(0.0, float(-depths.min())), own

    def _set_table(self, plane: np.ndarray) -> None:
        """Put the table's top where a (4,) plane in the palm's frame says."""
        normal = plane[:3]
        rotation, _ = Rotation.align_vectors([normal], [[0.0, 0.0, 1.0]])
        self._data.mocap_pos[0] = -(plane[3] + _TABLE_THICKNESS) * normal
        self._data.mocap_quat[0] = rotation.as_quat(scalar_first=True)

    def _remove_table(self) -> None:
        self._data.mocap_pos[0] = (0.0, 0.0, -_FAR)

    def _step(self, duration: float) -> None:
        physics.step(self._model, self._data, round(duration / self.config.timestep))

    def _state(self) -> np.ndarray:
        state = np.empty(mujoco.mj_stateSize(self._model, _STATE))
        mujoco.mj_getState(self._model, self._data, state, _STATE)
        return state

    def _restore(self, state: np.ndarray) -> None:
        mujoco.mj_setState(self._model, self._data, state, _STATE)
        self._data.warning.number[:] = 0

    def _hand_contacts(self) -> np.ndarray:
        """(N,) distances (m, negative inside) of the contacts between hand and object, now."""
        mujoco.mj_forward(self._model, self._data)
        geoms = self._data.contact.geom
        touching = self._object_geoms[geoms].any(axis=1) & (geoms != self._table_geom).all(axis=1)
        return self._data.contact.dist[touching]

    def _table_depth(self) -> float:
        """Depth (m) of the hand's deepest contact with the table."""
        geoms = self._data.contact.geom
        hand = (geoms == self._table_geom).any(axis=1) & ~self._object_geoms[geoms].any(axis=1)
        return _deepest(self._data.contact.dist[hand])

    def _object_pose(self) -> np.ndarray:
        position, quaternion = np.split(self._data.qpos[self._object_qpos], [3])
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat(quaternion, scalar_first=True).as_matrix()
        pose[:3, 3] = position
        return pose


def _add_leaving_table(spec: mujoco.MjSpec, friction: float) -> None:
    """A table that is moved by its pose. A box: MuJoCo's planes can't move."""
    table = spec.worldbody.add_body(name=TABLE, mocap=True, pos=(0.0, 0.0, -_FAR))
    table.add_geom(
        name=TABLE,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=(_TABLE_SIDE, _TABLE_SIDE, _TABLE_THICKNESS),
        contype=Collides.TABLE,
        conaffinity=0,
        friction=friction_coefficients(friction),
        **CONTACT,
    )


def _transformed(plane: np.ndarray, object_T_palm: np.ndarray) -> np.ndarray:
    """A plane of the object's frame in the palm's."""
    normal = plane[:3] / np.linalg.norm(plane[:3])
    return np.array([*(object_T_palm[:3, :3].T @ normal), plane[3] + normal @ object_T_palm[:3, 3]])


def _displacement(start: np.ndarray, end: np.ndarray) -> _Displacement:
    turn = Rotation.from_matrix(start[:3, :3].T @ end[:3, :3]).magnitude()
    return _Displacement(float(np.linalg.norm(start[:3, 3] - end[:3, 3])), float(turn))


def _deepest(distances: np.ndarray) -> float:
    return float(max(0.0, -distances.min(initial=0.0)))
