"""The classes, constants and functions of `isaacgym.gymapi` that the worker uses.

What can be set is what Isaac Gym has: a misspelt name is refused.
"""

import copy
from enum import IntEnum

import numpy as np

from isaacgym.urdf_assets import Asset, Body, Shape, read_urdf
from isaacgym.worlds import World


class UpAxis(IntEnum):
    UP_AXIS_Y = 0
    UP_AXIS_Z = 1


class SimType(IntEnum):
    SIM_PHYSX = 0
    SIM_FLEX = 1


class DofDriveMode(IntEnum):
    DOF_MODE_NONE = 0
    DOF_MODE_POS = 1
    DOF_MODE_VEL = 2
    DOF_MODE_EFFORT = 3


class IndexDomain(IntEnum):
    DOMAIN_ACTOR = 0
    DOMAIN_ENV = 1
    DOMAIN_SIM = 2


class CoordinateSpace(IntEnum):
    ENV_SPACE = 0
    LOCAL_SPACE = 1
    GLOBAL_SPACE = 2


class ContactCollection(IntEnum):
    CC_NEVER = 0
    CC_LAST_SUBSTEP = 1
    CC_ALL_SUBSTEPS = 2


class ImageType(IntEnum):
    IMAGE_COLOR = 0
    IMAGE_DEPTH = 1
    IMAGE_SEGMENTATION = 2
    IMAGE_OPTICAL_FLOW = 3


UP_AXIS_Z = UpAxis.UP_AXIS_Z
SIM_PHYSX = SimType.SIM_PHYSX
DOF_MODE_POS = DofDriveMode.DOF_MODE_POS
DOMAIN_ENV, DOMAIN_SIM = IndexDomain.DOMAIN_ENV, IndexDomain.DOMAIN_SIM
ENV_SPACE = CoordinateSpace.ENV_SPACE
IMAGE_DEPTH = ImageType.IMAGE_DEPTH
CC_LAST_SUBSTEP = ContactCollection.CC_LAST_SUBSTEP


def _fields(name, **defaults):
    """A class whose objects have just these attributes."""

    def __init__(self, **values):
        for key, value in dict(defaults, **values).items():
            setattr(self, key, copy.deepcopy(value))

    return type(name, (), {"__slots__": tuple(defaults), "__init__": __init__})


class Vec3:
    __slots__ = ("x", "y", "z")

    def __init__(self, x=0.0, y=0.0, z=0.0):
        self.x, self.y, self.z = float(x), float(y), float(z)


class Quat:
    __slots__ = ("w", "x", "y", "z")

    def __init__(self, x=0.0, y=0.0, z=0.0, w=1.0):
        self.x, self.y, self.z, self.w = float(x), float(y), float(z), float(w)


class Transform:
    __slots__ = ("p", "r")

    def __init__(self, p=None, r=None):
        self.p, self.r = p or Vec3(), r or Quat()


class Mat33:
    __slots__ = ("x", "y", "z")

    def __init__(self):
        self.x, self.y, self.z = Vec3(), Vec3(), Vec3()


PhysXParams = _fields(
    "PhysXParams",
    always_use_articulations=False,
    bounce_threshold_velocity=0.2,
    contact_collection=ContactCollection.CC_ALL_SUBSTEPS,
    contact_offset=0.02,
    default_buffer_size_multiplier=2.0,
    friction_correlation_distance=0.025,
    friction_offset_threshold=0.04,
    max_depenetration_velocity=100.0,
    max_gpu_contact_pairs=1048576,
    num_position_iterations=4,
    num_subscenes=0,
    num_threads=0,
    num_velocity_iterations=1,
    rest_offset=0.001,
    solver_type=1,
    use_gpu=False,
)


SimParams = _fields(
    "SimParams",
    dt=1.0 / 60.0,
    gravity=Vec3(0.0, -9.81, 0.0),
    num_client_threads=0,
    physx=PhysXParams(),
    substeps=2,
    up_axis=UpAxis.UP_AXIS_Y,
    use_gpu_pipeline=False,
)


AssetOptions = _fields(
    "AssetOptions",
    angular_damping=0.5,
    armature=0.0,
    collapse_fixed_joints=False,
    convex_decomposition_from_submeshes=False,
    default_dof_drive_mode=0,
    density=1000.0,
    disable_gravity=False,
    fix_base_link=False,
    flip_visual_attachments=False,
    linear_damping=0.0,
    max_angular_velocity=64.0,
    max_linear_velocity=1000.0,
    override_com=False,
    override_inertia=False,
    replace_cylinder_with_capsule=False,
    thickness=0.02,
    use_mesh_materials=False,
    use_physx_armature=True,
    vhacd_enabled=False,
)


RigidShapeProperties = _fields(
    "RigidShapeProperties",
    compliance=0.0,
    contact_offset=0.02,
    filter=0,
    friction=1.0,
    rest_offset=0.001,
    restitution=0.0,
    rolling_friction=0.0,
    thickness=0.0,
    torsion_friction=0.0,
)


RigidBodyProperties = _fields(
    "RigidBodyProperties",
    com=Vec3(),
    flags=0,
    inertia=Mat33(),
    invInertia=Mat33(),
    invMass=0.0,
    mass=0.0,
)


CameraProperties = _fields(
    "CameraProperties",
    enable_tensors=False,
    far_plane=2000000.0,
    height=900,
    horizontal_fov=90.0,
    near_plane=0.001,
    supersampling_horizontal=1,
    supersampling_vertical=1,
    use_collision_geometry=False,
    width=1600,
)


IndexRange = _fields("IndexRange", count=0, start=0)


class Tensor:
    """An array that is handed over without being copied."""

    def __init__(self, data):
        self.data = data


DOF_PROPERTIES = np.dtype(
    [
        ("hasLimits", "?"),
        ("lower", "f4"),
        ("upper", "f4"),
        ("driveMode", "i4"),
        *[
            (name, "f4")
            for name in ("velocity", "effort", "stiffness", "damping", "friction", "armature")
        ],
    ]
)
_VECTOR = np.dtype([(axis, "f4") for axis in "xyz"])
CONTACT = np.dtype(
    [
        *[(name, "i4") for name in ("env0", "env1", "body0", "body1")],
        *[(name, _VECTOR) for name in ("localPos0", "localPos1", "normal")],
        *[(name, "f4") for name in ("minDist", "lambda", "friction")],
    ]
)


class Actor:
    def __init__(self, asset, pose, name, collision_group, collision_filter):
        if collision_filter != 0:
            raise NotImplementedError("filters are those of the shapes here")
        self.asset, self.pose, self.name, self.group = asset, pose, name, collision_group
        self.shapes = [RigidShapeProperties() for body in asset.bodies for _ in body.shapes]
        self.bodies = [_properties_of(body) for body in asset.bodies]
        self.dofs = dof_properties(asset)


class Env:
    def __init__(self, sim, origin):
        self.sim, self.origin, self.actors = sim, origin, []
        self.cameras = []
        self.world = None

    def first(self, actor, count):
        """How many bodies or actors are before an actor's."""
        return sum(count(each) for each in self.actors[:actor])


class Sim:
    def __init__(self, params, draws):
        self.params, self.draws, self.envs = params, draws, []
        self.shown = self.rendered = False
        self.roots = self.dofs = self.bodies = self.forces = self.torques = None
        self.moved_roots, self.moved_dofs = set(), set()

    @property
    def prepared(self):
        return self.roots is not None


class Gym:
    # Building

    def create_sim(self, compute_device=0, graphics_device=0, type=SimType.SIM_FLEX, params=None):
        assert type == SimType.SIM_PHYSX, "by default it is Flex"
        assert params.up_axis == UpAxis.UP_AXIS_Z
        assert params.gravity.z == -9.81
        return Sim(copy.deepcopy(params), draws=graphics_device >= 0)

    def destroy_sim(self, sim):
        sim.envs = []

    def load_asset(self, sim, rootpath, filename, options=None):
        try:
            return read_urdf(rootpath, filename, options or AssetOptions())
        except OSError:
            return None

    def create_box(self, sim, width, height, depth, options=None):
        options = options or AssetOptions()
        half = (width / 2, height / 2, depth / 2)
        shape = Shape("box", half, np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), None)
        inertia = np.eye(3) * options.density * width * height * depth
        return Asset([Body("box", None, inertia[0, 0], np.zeros(3), inertia, [shape])], options)

    def create_env(self, sim, lower, upper, per_row):
        assert not sim.prepared, "no environment can be added to a simulation that is prepared"
        row, column = divmod(len(sim.envs), per_row)
        origin = Vec3(column * (upper.x - lower.x), row * (upper.y - lower.y), 0.0)
        sim.envs.append(Env(sim, origin))
        return sim.envs[-1]

    def get_env_origin(self, env):
        return env.origin

    def create_actor(self, env, asset, pose, name=None, group=-1, filter=-1, segmentationId=0):
        assert not env.sim.prepared
        if env.actors and env.actors[0].group != group:
            raise NotImplementedError("an environment is one collision group here")
        env.actors.append(Actor(asset, pose, name, group, filter))
        return len(env.actors) - 1

    def prepare_sim(self, sim):
        assert not sim.prepared
        for env in sim.envs:
            env.world = World(env.actors, sim.params)
        actors = [actor for env in sim.envs for actor in env.actors]
        sim.roots = np.zeros((len(actors), 13), np.float32)
        sim.bodies = np.zeros((sum(len(a.asset.bodies) for a in actors), 13), np.float32)
        sim.dofs = np.zeros((sum(len(a.asset.dofs) for a in actors), 2), np.float32)
        sim.targets = np.zeros(len(sim.dofs), np.float32)
        sim.forces, sim.torques = np.zeros((2, len(sim.bodies), 3), np.float32)
        self.refresh_actor_root_state_tensor(sim)
        self.refresh_dof_state_tensor(sim)
        self.refresh_rigid_body_state_tensor(sim)
        return True

    # Assets and actors

    def get_asset_dof_names(self, asset):
        return list(asset.dofs)

    def get_asset_dof_properties(self, asset):
        return dof_properties(asset)

    def get_actor_rigid_body_names(self, env, actor):
        return [body.name for body in env.actors[actor].asset.bodies]

    def get_actor_rigid_shape_properties(self, env, actor):
        return copy.deepcopy(env.actors[actor].shapes)

    def get_actor_rigid_body_shape_indices(self, env, actor):
        ranges, start = [], 0
        for body in env.actors[actor].asset.bodies:
            ranges.append(IndexRange(start=start, count=len(body.shapes)))
            start += len(body.shapes)
        return ranges

    def set_actor_rigid_shape_properties(self, env, actor, properties):
        assert len(properties) == len(env.actors[actor].shapes)
        env.actors[actor].shapes = copy.deepcopy(properties)
        if env.world:
            env.world.take_shapes(actor)
        return True

    def get_actor_rigid_body_properties(self, env, actor):
        return copy.deepcopy(env.actors[actor].bodies)

    def set_actor_rigid_body_properties(self, env, actor, properties, recomputeInertia=False):
        if recomputeInertia:
            raise NotImplementedError
        env.actors[actor].bodies = copy.deepcopy(properties)
        if env.world:
            env.world.take_bodies(actor)
        return True

    def set_actor_dof_properties(self, env, actor, properties):
        assert properties.dtype == DOF_PROPERTIES
        assert (properties["driveMode"] == DOF_MODE_POS).all(), "no other mode is known here"
        env.actors[actor].dofs = properties.copy()
        if env.world:
            env.world.take_dofs(actor)
        return True

    def get_actor_index(self, env, actor, domain):
        if domain == DOMAIN_ENV:
            return actor
        assert domain == DOMAIN_SIM
        envs = env.sim.envs
        return sum(len(each.actors) for each in envs[: envs.index(env)]) + actor

    def find_actor_rigid_body_index(self, env, actor, name, domain):
        names = self.get_actor_rigid_body_names(env, actor)
        if name not in names:
            return -1
        index = names.index(name) + env.first(actor, lambda each: len(each.asset.bodies))
        if domain == DOMAIN_ENV:
            return index
        assert domain == DOMAIN_SIM
        envs = env.sim.envs
        before = [a for each in envs[: envs.index(env)] for a in each.actors]
        return index + sum(len(a.asset.bodies) for a in before)

    # Tensors

    def acquire_actor_root_state_tensor(self, sim):
        assert sim.prepared, "tensors are there once the simulation is prepared"
        return Tensor(sim.roots)

    def acquire_dof_state_tensor(self, sim):
        assert sim.prepared, "tensors are there once the simulation is prepared"
        return Tensor(sim.dofs)

    def acquire_rigid_body_state_tensor(self, sim):
        assert sim.prepared, "tensors are there once the simulation is prepared"
        return Tensor(sim.bodies)

    def refresh_actor_root_state_tensor(self, sim):
        row = 0
        for env in sim.envs:
            for actor in range(len(env.actors)):
                sim.roots[row] = _moved(env.world.body_state(actor, 0), env.origin)
                row += 1
        return True

    def refresh_rigid_body_state_tensor(self, sim):
        row = 0
        for env in sim.envs:
            for actor, each in enumerate(env.actors):
                for body in range(len(each.asset.bodies)):
                    sim.bodies[row] = _moved(env.world.body_state(actor, body), env.origin)
                    row += 1
        return True

    def refresh_dof_state_tensor(self, sim):
        for env, rows in _dof_rows(sim):
            sim.dofs[rows] = env.world.dof_states()
        return True

    def set_actor_root_state_tensor_indexed(self, sim, tensor, indices, count):
        assert tensor.data.shape == sim.roots.shape, "the whole buffer is to be given"
        assert indices.data.dtype == np.int32
        assert len(indices.data) == count
        if sim.moved_roots:
            raise RuntimeError("of two calls before a step only the last one counts")
        row = 0
        sim.moved_roots = set(indices.data.tolist())
        for env in sim.envs:
            for actor in range(len(env.actors)):
                if row in sim.moved_roots:
                    state = tensor.data[row].astype(float)
                    state[:3] -= (env.origin.x, env.origin.y, env.origin.z)
                    env.world.put_root(actor, state)
                row += 1
        return True

    def set_dof_state_tensor_indexed(self, sim, tensor, indices, count):
        assert tensor.data.shape == sim.dofs.shape, "the whole buffer is to be given"
        assert indices.data.dtype == np.int32
        assert len(indices.data) == count
        for env, rows in _dof_rows(sim):
            (robot,) = [n for n, actor in enumerate(env.actors) if actor.asset.dofs]
            if self.get_actor_index(env, robot, DOMAIN_SIM) in indices.data:
                env.world.put_dofs(tensor.data[rows].astype(float))
        return True

    def set_dof_position_target_tensor(self, sim, tensor):
        assert tensor.data.size == len(sim.dofs)
        sim.targets[:] = tensor.data.ravel()
        return True

    def apply_rigid_body_force_tensors(
        self, sim, forceTensor=None, torqueTensor=None, space=CoordinateSpace.ENV_SPACE
    ):
        assert space == ENV_SPACE
        for into, given in ((sim.forces, forceTensor), (sim.torques, torqueTensor)):
            if given is not None:
                into[:] = given.data.reshape(into.shape)
        return True

    # Stepping

    def simulate(self, sim):
        first = 0
        for env, rows in _dof_rows(sim):
            count = sum(len(actor.asset.bodies) for actor in env.actors)
            part = slice(first, first + count)
            env.world.step(sim.targets[rows], sim.forces[part], sim.torques[part])
            first += count
        sim.forces[:] = sim.torques[:] = 0.0  # they are for one step
        sim.moved_roots = set()
        sim.shown = sim.rendered = False

    def fetch_results(self, sim, wait):
        assert wait

    # Cameras

    def create_camera_sensor(self, env, properties):
        if not env.sim.draws:
            return -1
        assert properties.use_collision_geometry, "nothing else is drawn here"
        env.cameras.append([copy.deepcopy(properties), Transform()])
        return len(env.cameras) - 1

    def set_camera_transform(self, camera, env, transform):
        env.cameras[camera][1] = copy.deepcopy(transform)

    def step_graphics(self, sim):
        sim.shown = True

    def render_all_camera_sensors(self, sim):
        assert sim.shown, "graphics are to be stepped first"
        sim.rendered = True

    def get_camera_image(self, sim, env, camera, image_type):
        assert sim.rendered, "cameras are to be rendered first"
        assert image_type == IMAGE_DEPTH, "nothing else is drawn here"
        return env.world.depth_image(*env.cameras[camera])

    def get_rigid_contacts(self, sim):
        assert not sim.params.use_gpu_pipeline, "contacts are there with the CPU pipeline only"
        rows = []
        for number, env in enumerate(sim.envs):
            for first, second, normal, force in env.world.contacts():
                row = np.zeros((), CONTACT)
                row["env0"] = row["env1"] = number
                row["body0"], row["body1"] = first, second
                row["normal"] = tuple(normal)
                row["lambda"] = force
                rows.append(row)
        return np.array(rows, CONTACT)


def acquire_gym():
    return Gym()


def dof_properties(asset):
    properties = np.zeros(len(asset.dofs), DOF_PROPERTIES)
    for row, name in zip(properties, asset.dofs):
        joint = asset.joint(name)
        row["hasLimits"], row["lower"], row["upper"] = True, *joint.range
        row["effort"], row["velocity"] = joint.effort, joint.velocity
    return properties


def _properties_of(body):
    inertia = Mat33()
    for row, values in zip((inertia.x, inertia.y, inertia.z), body.inertia):
        row.x, row.y, row.z = values
    return RigidBodyProperties(
        mass=body.mass, invMass=1.0 / body.mass, com=Vec3(*body.centre), inertia=inertia
    )


def _dof_rows(sim):
    start = 0
    for env in sim.envs:
        count = sum(len(actor.asset.dofs) for actor in env.actors)
        yield env, slice(start, start + count)
        start += count


def _moved(state, origin):
    state[:3] += (origin.x, origin.y, origin.z)
    return state
