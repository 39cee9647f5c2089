"""A compiled scene, and where in MuJoCo's arrays its parts are."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cached_property, lru_cache

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco.mujoco_model import OBJECT, OBJECT_JOINT, build_scene
from dexgrasp_sim.backends.mujoco.robot_model import PALM_JOINT
from dexgrasp_sim.backends.mujoco.stable_pose import find_stable_poses
from dexgrasp_sim.placement import StablePose
from dexgrasp_sim.scene import SceneConfig

_KEPT = 1024  # scenes of a megabyte or two each


class SceneModel:
    """One object's scene; environments with this object share it, unless they are varied.

    Args:
        config: of the scene.
        object_model: the object.
        model: of such a scene, compiled already; by default it is now.

    Attributes:
        model: compiled.
        object_model: the object.
        palm, object: ids of the bodies.
        qpos, dofs: (J,) addresses of the joints, in the order of `SceneConfig.joint_names`.
    """

    def __init__(
        self,
        config: SceneConfig,
        object_model: ObjectModel,
        model: mujoco.MjModel | None = None,
    ) -> None:
        self.object_model = object_model
        self.model = model = model or build_scene(config, object_model)
        hand = load_hand()
        self.palm, self.object = model.body(hand.root).id, model.body(OBJECT).id
        joints = [model.joint(name) for name in config.joint_names]
        self.qpos = np.array([joint.qposadr[0] for joint in joints])
        self.dofs = np.array([joint.dofadr[0] for joint in joints])
        self._links = len(hand.links)
        self._link_of_geom = np.full(model.ngeom, -1)
        for index, name in enumerate(hand.link_names):
            self._link_of_geom[model.geom_bodyid == model.body(name).id] = index
        self._is_object = model.geom_bodyid == self.object

    @cached_property
    def resting(self) -> tuple[StablePose, ...]:
        """In which the object comes to rest on the table."""
        return find_stable_poses(self.object_model)

    def varied(
        self, mass: float, friction: float, gain: float, finger_drives: Sequence[int]
    ) -> SceneModel:
        """The same scene with a model of its own, of the same sizes.

        Args:
            mass: of the object, kg.
            friction: sliding, of all contacts.
            gain: factor on the stiffness of the drives.
            finger_drives: their ids.
        """
        scene = copy(self)
        scene.model = model = copy(self.model)
        heavier = mass / model.body_mass[self.object]
        model.body_mass[self.object] = mass
        model.body_inertia[self.object] *= heavier
        model.geom_friction[:, 0] = friction
        model.actuator_gainprm[finger_drives, 0] *= gain
        model.actuator_biasprm[finger_drives, 1] *= gain
        mujoco.mj_setConst(model, mujoco.MjData(model))  # what MuJoCo derives from masses
        return scene

    def put_object(self, data: mujoco.MjData, pose: np.ndarray) -> None:
        """Put the object at rest at a (4, 4) pose in `world`."""
        self._put(data, OBJECT_JOINT, pose)

    def put_palm(self, data: mujoco.MjData, pose: np.ndarray) -> None:
        """Put the free hand's palm at rest at a (4, 4) pose in `world`."""
        self._put(data, PALM_JOINT, pose)

    def _put(self, data: mujoco.MjData, free_joint: str, pose: np.ndarray) -> None:
        joint = self.model.joint(free_joint)
        position, speed = joint.qposadr[0], joint.dofadr[0]
        data.qpos[position : position + 3] = pose[:3, 3]
        attitude = Rotation.from_matrix(pose[:3, :3]).as_quat(scalar_first=True)
        data.qpos[position + 3 : position + 7] = attitude
        data.qvel[speed : speed + 6] = 0.0

    def pose(self, data: mujoco.MjData, body: int) -> np.ndarray:
        """(4, 4) pose of a body's frame in `world`; poses must be up to date."""
        pose = np.eye(4)
        pose[:3, :3] = data.xmat[body].reshape(3, 3)
        pose[:3, 3] = data.xpos[body]
        return pose

    def velocity(self, data: mujoco.MjData, body: int) -> np.ndarray:
        """(6,) velocity of a body's frame in `world`, m/s and rad/s; poses must be up to date."""
        mujoco.mj_comPos(self.model, data)
        mujoco.mj_comVel(self.model, data)
        found = np.empty(6)
        mujoco.mj_objectVelocity(self.model, data, mujoco.mjtObj.mjOBJ_XBODY, body, found, 0)
        return np.roll(found, 3)  # MuJoCo has the angular one first

    def touching_links(self, geoms: np.ndarray) -> np.ndarray:
        """(C,) link that touches the object in contacts of (C, 2) geoms; -1 where none does."""
        links = self._link_of_geom[geoms].max(axis=1, initial=-1)
        return np.where(self._is_object[geoms].any(axis=1), links, -1)

    def hand_contacts(self, data: mujoco.MjData) -> np.ndarray:
        """(L,) normal force (N) on the object by each of the hand's links, in the last step."""
        forces, wrench = np.zeros(self._links), np.empty(6)
        links = self.touching_links(data.contact.geom)
        for index in np.flatnonzero(links >= 0):
            mujoco.mj_contactForce(self.model, data, index, wrench)
            forces[links[index]] += wrench[0]
        return forces


@lru_cache(_KEPT)
def scene_model(config: SceneConfig, object_model: ObjectModel) -> SceneModel:
    """The scene of an object, compiled once while the same `ObjectModel` is used now and again."""
    return SceneModel(config, object_model)
