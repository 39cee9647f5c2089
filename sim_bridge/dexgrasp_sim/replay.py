"""Replay of published grasps: does the simulator hold what others found to hold?

The hand, with its 22 joints actuated and the palm fixed, is set to a published pose around a free
object, squeezes, and gravity pulls in six directions one after the other. Holding alone hardly
tells a good grasp from a bad one, as a hand wedged into an object holds it too; so penetrations are
capped, displacements are measured from the published pose, and controls that must fail are run
beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.dexgraspnet import read_dexgraspnet
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_sim.mujoco_model import OBJECT, OBJECT_JOINT, add_object, new_spec
from dexgrasp_sim.robot_model import add_fixed_hand

GRAVITY = 9.81
CONTACT_DISTANCE = 0.003
"""Links nearer than this (m) to the object take part in the squeeze."""
INITIAL_PENETRATION = 0.003
"""Greatest penetration (m) of a published pose that counts as a grasp."""
FINAL_PENETRATION = 0.003
"""Greatest penetration (m) at the end."""
SQUEEZED_TOLERANCE = (0.02, np.deg2rad(15.0))
"""Greatest displacement (m, rad) under gravity from the squeezed pose."""
INITIAL_TOLERANCE = (0.05, np.deg2rad(15.0))
"""Greatest displacement (m, rad) from the published pose."""

_TIMESTEP = 0.005
_SQUEEZE_STEPS = 200
_GRAVITY_STEPS = 200
_WRIST_OFFSET = 0.04


class Control(StrEnum):
    """What is done to a grasp before it is replayed."""

    PUBLISHED = "published"
    SHUFFLED_JOINTS = "shuffled_joints"
    WRIST_MOVED = "wrist_moved"
    REVERSED_SQUEEZE = "reversed_squeeze"


@dataclass(frozen=True, eq=False)
class PublishedGrasp:
    """A grasp of a data set."""

    scale: float
    """Factor on the object's mesh."""
    object_T_palm: np.ndarray
    """(4, 4) pose of the palm in the frame of the scaled object."""
    joints: np.ndarray
    """(22,) rad, in the order of `HandSpec.finger_joints`."""


@dataclass(frozen=True)
class ReplayResult:
    """How one grasp fared; the last four over all six directions of gravity."""

    initial_penetration: float
    """m."""
    final_penetration: float
    """m."""
    kept_in_contact: bool
    near_squeezed: bool
    near_initial: bool

    @property
    def stable(self) -> bool:
        """Whether it is a grasp by the whole test: no wedging, and near the published pose."""
        return (
            self.initial_penetration <= INITIAL_PENETRATION
            and self.final_penetration <= FINAL_PENETRATION
            and self.near_initial
        )


def load_dexgraspnet(path: Path) -> list[PublishedGrasp]:
    """The grasps of a DexGraspNet file: an object array of dicts with `qpos` and `scale`.

    Raises:
        ValueError: the file does not hold such grasps.
    """
    grasps = read_dexgraspnet(path)
    return [
        PublishedGrasp(float(scale), pose, joints)
        for scale, pose, joints in zip(grasps.scales, grasps.palm_poses, grasps.joints, strict=True)
    ]


class GraspReplay:
    """One object at one scale around which grasps are replayed."""

    def __init__(self, mesh: Path, scale: float, mass: float = 0.1, friction: float = 1.0) -> None:
        self._hand = load_hand()
        spec = new_spec(_TIMESTEP)
        add_object(spec, load_object(mesh, scale), mass, friction)
        # The published hand's fingers may overlap; pushing them apart would spoil the grasps.
        add_fixed_hand(spec, self._hand, "independent", friction, self_collision=False)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._object = self._model.body(OBJECT).id
        self._object_geoms = self._model.geom_bodyid == self._object
        joint = self._model.joint(OBJECT_JOINT)
        self._object_qpos = slice(joint.qposadr[0], joint.qposadr[0] + 7)
        joints = [self._model.joint(name) for name in self._hand.finger_joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._controls = [self._model.actuator(name).id for name in self._hand.finger_joints]

    def run(self, grasp: PublishedGrasp, gain: float = 1.0) -> ReplayResult:
        """Squeeze with `gain` (rad per m of lever; -1 opens) and pull in six directions."""
        model, data = self._model, self._data
        mujoco.mj_resetData(model, data)
        initial = np.linalg.inv(grasp.object_T_palm)
        data.qpos[self._object_qpos] = [
            *initial[:3, 3],
            *Rotation.from_matrix(initial[:3, :3]).as_quat(scalar_first=True),
        ]
        data.qpos[self._qpos] = grasp.joints
        closing, penetration = self._closing()
        data.ctrl[self._controls] = grasp.joints + gain * closing
        model.opt.gravity = 0.0
        mujoco.mj_step(model, data, _SQUEEZE_STEPS)
        squeezed_state = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(model, data, squeezed_state, mujoco.mjtState.mjSTATE_INTEGRATION)
        squeezed = self._object_pose()

        ends, contacts, depths = [], [], []
        for direction in (*np.eye(3), *-np.eye(3)):
            mujoco.mj_setState(model, data, squeezed_state, mujoco.mjtState.mjSTATE_INTEGRATION)
            model.opt.gravity = GRAVITY * direction
            mujoco.mj_step(model, data, _GRAVITY_STEPS)
            mujoco.mj_forward(model, data)
            distances = self._object_contacts(data.contact.dist)
            ends.append(self._object_pose())
            contacts.append(len(distances) > 0)
            depths.append(-min(distances, default=0.0))
        return ReplayResult(
            initial_penetration=penetration,
            final_penetration=max(depths),
            kept_in_contact=all(contacts),
            near_squeezed=all(_within(squeezed, end, SQUEEZED_TOLERANCE) for end in ends),
            near_initial=all(_within(initial, end, INITIAL_TOLERANCE) for end in ends),
        )

    def _closing(self) -> tuple[np.ndarray, float]:
        """(22,) joint changes that press near links against the object, and the penetration (m).

        dq = - sum over links of J^T n, n being the object's outward normal where a link is nearest.
        """
        model, data = self._model, self._data
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
        jacobian = np.empty((3, model.nv))
        for link, (_, point, outward) in nearest.items():
            mujoco.mj_jac(model, data, jacobian, None, point, link)
            change -= jacobian[:, self._dofs].T @ outward
        return change, max([0.0, *(-distance for distance, _, _ in nearest.values())])

    def _object_contacts(self, values: np.ndarray) -> np.ndarray:
        return values[self._object_geoms[self._data.contact.geom].any(axis=1)]

    def _object_pose(self) -> np.ndarray:
        position, quaternion = np.split(self._data.qpos[self._object_qpos], [3])
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat(quaternion, scalar_first=True).as_matrix()
        pose[:3, 3] = position
        return pose


def perturbed(
    grasp: PublishedGrasp, control: Control, generator: np.random.Generator
) -> PublishedGrasp:
    """The grasp that a control replays in the place of a published one."""
    limits = load_hand().limits
    pose, joints = grasp.object_T_palm.copy(), grasp.joints
    if control is Control.SHUFFLED_JOINTS:
        joints = np.clip(generator.permutation(joints), *limits.T)
    if control is Control.WRIST_MOVED:
        direction = generator.standard_normal(3)
        pose[:3, 3] += _WRIST_OFFSET * direction / np.linalg.norm(direction)
    return PublishedGrasp(grasp.scale, pose, joints)


def replay(
    folder: Path,
    grasps_per_object: int | None = None,
    controls: Sequence[Control] = tuple(Control),
    seed: int = 0,
    processes: int = 1,
) -> dict:
    """Replay the grasps of a folder laid out as DexGraspNet's.

    Args:
        folder: has `dataset/<object>.npy` and `meshdata/<object>/coacd/decomposed.obj`.
        grasps_per_object: a random choice of this many; all by default.
        controls: what to run.
        seed: of the choice and of the perturbations.
        processes: objects are spread over this many.

    Returns:
        `{"objects": {name: count}, "rates": {control: {figure: share}}}`; the figures are those of
        `ReplayResult` that are yes or no, and `initial_penetration_ok`.

    Raises:
        FileNotFoundError: there are no grasps, or an object's mesh is missing.
    """
    files = sorted((folder / "dataset").glob("*.npy"))
    if not files:
        raise FileNotFoundError(f"no grasps: expected {folder / 'dataset'}/<object>.npy")
    jobs = [
        (file, grasps_per_object, tuple(controls), [seed, index])
        for index, file in enumerate(files)
    ]
    if processes > 1:
        with ProcessPoolExecutor(processes) as pool:
            outcomes = list(pool.map(_replay_object, jobs))
    else:
        outcomes = list(map(_replay_object, jobs))
    rates = {}
    for control in controls:
        results = [result for outcome in outcomes for result in outcome[control]]
        rates[str(control)] = _rates(results)
    counts = {file.stem: len(o[controls[0]]) for file, o in zip(files, outcomes, strict=True)}
    return {"objects": counts, "rates": rates}


def _replay_object(
    job: tuple[Path, int | None, tuple[Control, ...], list[int]],
) -> dict[Control, list[ReplayResult]]:
    file, limit, controls, seed = job
    mesh = file.parents[1] / "meshdata" / file.stem / "coacd" / "decomposed.obj"
    if not mesh.is_file():
        raise FileNotFoundError(f"{file.name} has grasps of a mesh that is missing: {mesh}")
    generator = np.random.default_rng(seed)
    grasps = load_dexgraspnet(file)
    if limit is not None and limit < len(grasps):
        grasps = [grasps[i] for i in sorted(generator.choice(len(grasps), limit, replace=False))]
    outcomes: dict[Control, list[ReplayResult]] = {control: [] for control in controls}
    for scale, group in _by_scale(grasps):
        scene = GraspReplay(mesh, scale)
        for grasp in group:
            for control in controls:
                gain = -1.0 if control is Control.REVERSED_SQUEEZE else 1.0
                outcomes[control].append(scene.run(perturbed(grasp, control, generator), gain))
    return outcomes


def _by_scale(grasps: Iterable[PublishedGrasp]) -> Iterator[tuple[float, list[PublishedGrasp]]]:
    grasps = list(grasps)
    for scale in sorted({grasp.scale for grasp in grasps}):
        yield scale, [grasp for grasp in grasps if grasp.scale == scale]


def _rates(results: Sequence[ReplayResult]) -> dict[str, float]:
    figures = {name: [asdict(r)[name] for r in results] for name in _YES_OR_NO}
    figures["initial_penetration_ok"] = [
        r.initial_penetration <= INITIAL_PENETRATION for r in results
    ]
    figures["stable"] = [r.stable for r in results]
    return {name: float(np.mean(values)) for name, values in figures.items()}


_YES_OR_NO = ("kept_in_contact", "near_squeezed", "near_initial")


def _within(first: np.ndarray, second: np.ndarray, tolerance: tuple[float, float]) -> bool:
    distance = np.linalg.norm(first[:3, 3] - second[:3, 3])
    angle = Rotation.from_matrix(first[:3, :3].T @ second[:3, :3]).magnitude()
    return bool(distance <= tolerance[0] and angle <= tolerance[1])
