"""One environment in MuJoCo, with the physics in which grasps hold."""

import copy
from xml.etree.ElementTree import Element, SubElement, tostring

import mujoco
import numpy as np

_SOLVER = {"solref": "0.005 1", "solimp": "0.5 0.99 0.0001 0.5 2"}
_TOP_ALONE = 0.2
"""m: of boxes with greater half extents only the top is reached. It is a plane here, as MuJoCo 3.2
lets meshes wander that stand on a large box."""
_COMPILED = {}
"""Models by their XML: those of an environment are copies."""


class World:
    """The actors of an environment; positions are in its own coordinates."""

    def __init__(self, actors, params):
        self.actors, self._substeps = actors, params.substeps
        text = _mjcf(actors, params.dt / params.substeps)
        if text not in _COMPILED:
            _COMPILED[text] = mujoco.MjModel.from_xml_string(text)
        self.model = copy.copy(_COMPILED[text])
        self.data = mujoco.MjData(self.model)
        self._ids = [
            [self.model.body(_body_name(n, body)).id for body in actor.asset.bodies]
            for n, actor in enumerate(actors)
        ]
        self._flat = np.array([i for ids in self._ids for i in ids])
        self._body_of_id = np.full(self.model.nbody, -1)
        self._body_of_id[self._flat] = np.arange(len(self._flat))
        joints = [self.model.joint(name) for actor in actors for name in actor.asset.dofs]
        self._qpos = np.array([joint.qposadr[0] for joint in joints], dtype=int)
        self._qvel = np.array([joint.dofadr[0] for joint in joints], dtype=int)
        for actor in range(len(actors)):
            self.take_shapes(actor)
            self.take_dofs(actor)
        self._forward()

    # What can be changed

    def take_shapes(self, actor):
        shapes = iter(self.actors[actor].shapes)
        for body in self._ids[actor]:
            for geom in np.flatnonzero(self.model.geom_bodyid == body):
                self.model.geom_friction[geom] = _friction(next(shapes))

    def take_bodies(self, actor):
        for body, given in zip(self._ids[actor], self.actors[actor].bodies):
            rows = (given.inertia.x, given.inertia.y, given.inertia.z)
            moments, axes = np.linalg.eigh([(row.x, row.y, row.z) for row in rows])
            axes[:, 0] *= np.linalg.det(axes)
            self.model.body_mass[body] = given.mass
            self.model.body_inertia[body] = moments
            self.model.body_ipos[body] = (given.com.x, given.com.y, given.com.z)
            mujoco.mju_mat2Quat(self.model.body_iquat[body], axes.ravel())
        mujoco.mj_setConst(self.model, mujoco.MjData(self.model))

    def take_dofs(self, actor):
        asset, model = self.actors[actor].asset, self.model
        for name, row in zip(asset.dofs, self.actors[actor].dofs):
            actuator, dof = model.actuator(name).id, model.joint(name).dofadr[0]
            model.actuator_gainprm[actuator, 0] = row["stiffness"]
            model.actuator_biasprm[actuator, 1:3] = -row["stiffness"], -row["damping"]
            model.actuator_forcerange[actuator] = -row["effort"], row["effort"]
            model.dof_armature[dof] = row["armature"]
            model.dof_frictionloss[dof] = row["friction"]
        mujoco.mj_setConst(model, mujoco.MjData(model))

    # States

    def body_state(self, actor, body):
        """(13,) position, quaternion (x, y, z, w), velocities of the centre of mass."""
        index, found = self._ids[actor][body], np.empty(6)
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_BODY, index, found, 0)
        quaternion = np.roll(self.data.xquat[index], -1)
        return np.concatenate([self.data.xpos[index], quaternion, found[3:], found[:3]])

    def put_root(self, actor, state):
        joint = self.model.body(self._ids[actor][0]).jntadr[0]
        assert joint >= 0, "an actor that is fixed can't be moved"
        place, speed = self.model.jnt_qposadr[joint], self.model.jnt_dofadr[joint]
        qpos, qvel, turn = self.data.qpos, self.data.qvel, np.empty(9)
        qpos[place : place + 3], qpos[place + 3 : place + 7] = state[:3], np.roll(state[3:7], 1)
        mujoco.mju_quat2Mat(turn, qpos[place + 3 : place + 7])
        turn = turn.reshape(3, 3)
        centre = turn @ self.model.body_ipos[self._ids[actor][0]]
        qvel[speed : speed + 3] = state[7:10] - np.cross(state[10:], centre)
        qvel[speed + 3 : speed + 6] = turn.T @ state[10:]
        self._forward()

    def dof_states(self):
        return np.stack([self.data.qpos[self._qpos], self.data.qvel[self._qvel]], axis=-1)

    def put_dofs(self, states):
        self.data.qpos[self._qpos], self.data.qvel[self._qvel] = states.T
        self._forward()

    def _forward(self):
        self.data.qacc_warmstart[:] = 0.0
        self._update()

    def _update(self):
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_comVel(self.model, self.data)

    def step(self, targets, forces, torques):
        self.data.xfrc_applied[self._flat] = np.concatenate([forces, torques], axis=1)
        self.data.ctrl[:] = targets
        mujoco.mj_step(self.model, self.data, self._substeps)
        self._update()

    def depth_image(self, camera, transform):
        """(height, width), negative, and -inf where there is nothing; x is forward, z up."""
        width, height = camera.width, camera.height
        focal = 0.5 * width / np.tan(np.radians(camera.horizontal_fov) / 2)
        column, row = np.meshgrid(np.arange(width), np.arange(height))
        across, down = ((n - 1) / 2 for n in (width, height))
        rays = np.stack(
            [np.ones(row.shape), (across - column) / focal, (down - row) / focal], axis=-1
        )
        turn = np.empty(9)
        mujoco.mju_quat2Mat(turn, [getattr(transform.r, name) for name in "wxyz"])
        rays = rays.reshape(-1, 3) @ turn.reshape(3, 3).T
        place = np.array([transform.p.x, transform.p.y, transform.p.z])
        lengths = np.linalg.norm(rays, axis=1)
        met = np.empty(1, np.int32)
        found = [
            mujoco.mj_ray(self.model, self.data, place, ray, None, 1, -1, met)
            for ray in rays / lengths[:, None]
        ]
        depth = np.where(np.array(found) < 0.0, np.inf, found) / lengths
        seen = (depth > camera.near_plane) & (depth < camera.far_plane)
        return -np.where(seen, depth, np.inf).reshape(height, width).astype(np.float32)

    def contacts(self):
        """Bodies, as they count in the environment, normal and its force, of the last step."""
        wrench = np.empty(6)
        for number in range(self.data.ncon):
            contact = self.data.contact[number]
            mujoco.mj_contactForce(self.model, self.data, number, wrench)
            bodies = self._body_of_id[self.model.geom_bodyid[contact.geom]]
            yield bodies[0], bodies[1], contact.frame[:3], wrench[0]


def _mjcf(actors, timestep):
    root = Element("mujoco")
    SubElement(root, "compiler", angle="radian", inertiafromgeom="false", fusestatic="false")
    option = SubElement(
        root, "option", timestep=repr(timestep), integrator="implicitfast", solver="Newton",
        cone="elliptic", impratio="10",
    )  # fmt: skip
    # The colliders of MuJoCo 3.17, which are an option of 3.2, the last one for Python 3.8.
    SubElement(option, "flag", autoreset="disable", nativeccd="enable", multiccd="enable")
    assets, world = SubElement(root, "asset"), SubElement(root, "worldbody")
    actuators, contact = SubElement(root, "actuator"), SubElement(root, "contact")
    for number, actor in enumerate(actors):
        _add_actor(number, actor, assets, world)
        for name in actor.asset.dofs:
            SubElement(actuators, "position", name=name, joint=name, kp="1", forcerange="-1 1")
    for first, second in _excluded(actors):
        SubElement(contact, "exclude", body1=first, body2=second)
    return tostring(root, encoding="unicode")


def _add_actor(number, actor, assets, world):
    elements, shapes = {None: world}, iter(actor.shapes)
    options = actor.asset.options
    for body in actor.asset.bodies:
        place, attitude = body.position, body.quaternion
        if body.parent is None:
            pose = actor.pose
            place = (pose.p.x, pose.p.y, pose.p.z)
            attitude = (pose.r.w, pose.r.x, pose.r.y, pose.r.z)
        name = _body_name(number, body)
        element = elements[body.name] = SubElement(
            elements[body.parent], "body", name=name, pos=_text(place), quat=_text(attitude),
            gravcomp=str(int(options.disable_gravity)),
        )  # fmt: skip
        inertia = [body.inertia[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
        SubElement(
            element, "inertial", pos=_text(body.centre), mass=_text([body.mass]),
            fullinertia=_text(inertia),
        )  # fmt: skip
        if body.parent is None and not options.fix_base_link:
            SubElement(element, "freejoint")
            assert options.linear_damping == options.angular_damping == 0.0
        if body.joint:
            SubElement(
                element, "joint", name=body.joint.name, axis=_text(body.joint.axis),
                range=_text(body.joint.range), limited="true",
            )  # fmt: skip
        for index, shape in enumerate(body.shapes):
            _add_shape(element, assets, f"{name}_{index}", shape, next(shapes))


def _add_shape(element, assets, name, shape, properties):
    attributes = {"pos": _text(shape.position), "quat": _text(shape.quaternion), **_SOLVER}
    kind = shape.kind
    if kind == "mesh":
        SubElement(assets, "mesh", name=name, vertex=_text(shape.vertices.ravel()))
        attributes["mesh"] = name
    elif kind == "box" and min(shape.size) > _TOP_ALONE:
        kind, attributes["size"] = "plane", _text((*shape.size[:2], 1.0))
        attributes["pos"] = _text(shape.position + np.array([0.0, 0.0, shape.size[2]]))
    else:
        attributes["size"] = _text(shape.size)
    sliding, torsional, rolling = _friction(properties)
    SubElement(
        element, "geom", type=kind, friction=_text((sliding, torsional, rolling)),
        condim="6" if rolling > 0.0002 else "4", **attributes
    )  # fmt: skip


def _excluded(actors):
    """Pairs of bodies that have a bit of their filters in common, or a joint between them."""
    named = []
    for number, actor in enumerate(actors):
        shapes = iter(actor.shapes)
        for body in actor.asset.bodies:
            filters = {next(shapes).filter for _ in body.shapes} or {0}
            assert len(filters) == 1, "one filter for a body, here"
            named.append((_body_name(number, body), filters.pop(), number, body))
    for i, (first, one, actor, body) in enumerate(named):
        for second, other, other_actor, other_body in named[i + 1 :]:
            joined = actor == other_actor and body.name == other_body.parent
            if joined or one & other:
                yield first, second


def _friction(shape):
    return shape.friction, shape.torsion_friction, shape.rolling_friction


def _body_name(actor, body):
    return f"{actor}/{body.name}"


def _text(values):
    return " ".join(repr(float(value)) for value in values)
