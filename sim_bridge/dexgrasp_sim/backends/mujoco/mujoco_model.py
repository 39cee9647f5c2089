"""MuJoCo models of whole scenes: table, object and robot, with the physics in which grasps hold."""

from __future__ import annotations

import mujoco
import numpy as np

from dexgrasp_models.arm.mounting import load_mounting
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco.physics import NO_SILENT_RESET
from dexgrasp_sim.backends.mujoco.robot_model import (
    CONTACT,
    Collides,
    add_arm_with_hand,
    add_free_hand,
    friction_coefficients,
    full_inertia,
)
from dexgrasp_sim.box import box_walls
from dexgrasp_sim.scene import SceneConfig

OBJECT = "object"
OBJECT_JOINT = "object_free"
TABLE = "table"

TABLE_ROLLING_FRICTION = 0.0005
"""Of the table alone, m: a ball comes to rest within seconds."""


def build_scene(config: SceneConfig, object_model: ObjectModel) -> mujoco.MjModel:
    """The compiled model of a scene."""
    return scene_spec(config, object_model).compile()


def scene_spec(config: SceneConfig, object_model: ObjectModel) -> mujoco.MjSpec:
    """A scene before it is compiled."""
    spec = new_spec(config.timestep)
    add_table(spec, config.friction, config.table_size)
    if config.box:
        add_box(spec, config.friction)
    add_object(spec, object_model, config.object_mass, config.friction)
    robot = (config.hand, config.friction, config.self_collision)
    if config.scene == "arm":
        add_arm_with_hand(spec, load_arm(), load_hand(), load_mounting(), *robot)
    else:
        add_free_hand(spec, load_hand(), *robot)
    return spec


def new_spec(timestep: float) -> mujoco.MjSpec:
    """An empty world with the solver's settings: elliptic cones with a high impratio hold grasps
    that slip from pyramidal ones."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    spec.option.disableflags |= NO_SILENT_RESET
    return spec


def add_table(spec: mujoco.MjSpec, friction: float, size: tuple[float, float]) -> None:
    """The table's top at z = 0; it is drawn with `size` and supports everywhere."""
    sliding, torsional, _ = friction_coefficients(friction)
    spec.worldbody.add_geom(
        name=TABLE,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(size[0] / 2, size[1] / 2, 0.05),
        contype=Collides.TABLE,
        conaffinity=0,
        friction=[sliding, torsional, TABLE_ROLLING_FRICTION],
        **{**CONTACT, "condim": 6},
    )


def add_box(spec: mujoco.MjSpec, friction: float) -> None:
    """The walls of the box, which touch what the table touches."""
    for middle, half_extents in box_walls():
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=middle,
            size=half_extents,
            contype=Collides.TABLE,
            conaffinity=0,
            friction=friction_coefficients(friction),
            **CONTACT,
        )


def add_object(
    spec: mujoco.MjSpec, object_model: ObjectModel, mass: float, friction: float
) -> mujoco.MjsBody:
    """The object as a free body that touches everything."""
    body = spec.worldbody.add_body(
        name=OBJECT,
        mass=mass,
        ipos=object_model.center_of_mass,
        fullinertia=full_inertia(mass * object_model.unit_inertia),
        explicitinertial=True,
    )
    body.add_freejoint(name=OBJECT_JOINT)
    for index, piece in enumerate(object_model.pieces):
        name = f"object_piece_{index}"
        spec.add_mesh(
            name=name,
            uservert=np.asarray(piece.vertices).ravel(),
            userface=np.asarray(piece.faces).ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,  # thin pieces have hardly a volume
        )
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            contype=Collides.OBJECT,
            conaffinity=Collides.TABLE | Collides.HAND | Collides.ARM,
            friction=friction_coefficients(friction),
            **CONTACT,
        )
    return body
