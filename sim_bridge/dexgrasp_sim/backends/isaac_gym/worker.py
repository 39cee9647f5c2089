"""The process that steps scenes in Isaac Gym, under Python 3.8 and with nothing of dexgrasp.

    python worker.py --check                                 what is installed, as JSON
    python worker.py FOLDER --memory FD --channel FD --lifeline FD

It takes Isaac Gym, PyTorch, NumPy and the standard library. FOLDER holds `scenes.json` and the
URDFs that it names (`assets.py` writes them). States, targets and images are in shared memory
(`Layout`); over the channel comes a byte for each control tick, or one for images and another that
says of which camera. A line of JSON goes back: "ready" with what was built, "done", or an "error"
of some "kind", after which the worker ends. It also ends where whoever started it does.

Isaac Gym's quaternions are (x, y, z, w), and so are those here. The velocity of a body is that of
its centre of mass. PhysX may run on the GPU; states come to the host in every physics step (the
"CPU pipeline"), as contacts between two bodies can't be had otherwise.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import mmap
import os
import signal
import socket
import struct
import sys
import traceback
from typing import Any, NamedTuple

import numpy as np

MAGIC = b"DXGISAAC"
VERSION = 2  # of the shared memory: raise when the layout changes
TICK, LOOK = b"t", b"l"
SUPPORTED = ("1.0rc4", "1.0.preview4")
"""Names that Preview 4 gives its version."""

_HEADER = struct.Struct("<8sIIIIIIQ")
_ALIGNMENT = 64
_SEEN = (0.01, 10.0)  # m from the camera: what is nearer or farther is not drawn


class Layout(NamedTuple):
    """Sizes of the shared memory, and with them where everything is in it."""

    worlds: int
    joints: int
    links: int
    steps: int
    """Physics steps of a control tick."""
    pixels: int = 0
    """Of the largest camera's image; none where nothing is drawn."""

    @property
    def fields(self) -> dict[str, tuple[tuple[int, ...], type]]:
        """Shapes and types by name; SI units, frames as the worlds' own `world`."""
        worlds, joints, links, steps, pixels = self
        return {
            # Of the worlds; a state is written by the host where it is `edited`.
            "edited": ((worlds,), np.uint8),
            "robot": ((worlds, 13), np.float32),  # position, quaternion, linear, angular
            "object": ((worlds, 13), np.float32),
            "joints": ((worlds, joints, 2), np.float32),  # position, velocity
            "resistance": ((worlds, 6), np.float32),  # force, torque that the palm met
            # From the host.
            "varied": ((worlds,), np.uint8),
            "mass": ((worlds,), np.float32),
            "friction": ((worlds,), np.float32),
            "gain": ((worlds,), np.float32),
            "push": ((worlds, 3), np.float32),
            "palm_goals": ((worlds, steps, 7), np.float32),  # at the start of each step
            "palm_speeds": ((worlds, 6), np.float32),
            "joint_goals": ((worlds, steps, joints), np.float32),
            # From the worker.
            "palm": ((worlds, 13), np.float32),
            "efforts": ((worlds, joints), np.float32),
            "contacts": ((worlds, links), np.float32),
            "depth": ((worlds, pixels), np.float32),  # m, of the camera last asked for
        }

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        size = _HEADER.size
        for shape, kind in self.fields.values():
            size = _aligned(size) + int(np.prod(shape)) * np.dtype(kind).itemsize
        return size

    def write_header(self, memory: Any) -> None:
        """Say whose memory it is, and how large all is."""
        _HEADER.pack_into(memory, 0, MAGIC, VERSION, *self, self.size)

    @classmethod
    def read_header(cls, memory: Any) -> Layout:
        """The layout that a header tells.

        Raises:
            ValueError: it is none of ours, of another version, or tells other sizes.
        """
        if len(memory) < _HEADER.size:
            raise ValueError(f"the shared memory of {len(memory)} bytes has no header")
        magic, version, *sizes, size = _HEADER.unpack_from(memory, 0)
        if magic != MAGIC:
            raise ValueError(f"the shared memory begins with {magic!r}, not with {MAGIC!r}")
        if version != VERSION:
            raise ValueError(
                f"the shared memory has version {version}, and this worker knows version {VERSION}:"
                " take the worker and dexgrasp from the same release"
            )
        layout = cls(*sizes)
        if not layout.size == size <= len(memory):
            raise ValueError(
                f"the shared memory has {len(memory)} bytes and tells of {size}, where"
                f" {layout.size} are needed"
            )
        return layout

    def arrays(self, memory: Any) -> dict[str, np.ndarray]:
        """Views of the shared memory by name."""
        views: dict[str, np.ndarray] = {}
        offset = _HEADER.size
        for name, (shape, kind) in self.fields.items():
            offset = _aligned(offset)
            count = int(np.prod(shape))
            flat: np.ndarray = np.frombuffer(memory, dtype=kind, count=count, offset=offset)
            views[name] = flat.reshape(shape)
            offset += flat.nbytes
        return views


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


class OutOfMemory(RuntimeError):
    """There is no room for so many worlds."""


class Worker:
    """Scenes in Isaac Gym.

    Args:
        folder: of `scenes.json`.
        layout: of the shared memory.
        memory: the shared memory.
    """

    def __init__(self, folder: str, layout: Layout, memory: Any) -> None:
        # Isaac Gym has to be imported before PyTorch; below, where it is used, so that its types
        # are known there.
        from isaacgym import gymapi  # isort: skip
        import torch

        self._torch = torch
        self._folder, self._layout = folder, layout
        with open(os.path.join(folder, "scenes.json"), encoding="utf-8") as file:
            self._scenes = json.load(file)
        self._io = layout.arrays(memory)
        self._gym = gymapi.acquire_gym()
        self.device = self._scenes["physics"]["device"]
        if self.device == "auto":
            self.device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(
                f"device is cuda, and PyTorch {torch.__version__} sees no GPU: set device to cpu in"
                " config/isaac_gym.yaml, or install NVIDIA's driver"
            )
        self._sim = self._create_sim()
        self._build_worlds()
        if not self._gym.prepare_sim(self._sim):
            raise RuntimeError("Isaac Gym could not prepare the simulation")
        self._acquire()

    # Building

    def _create_sim(self) -> Any:
        from isaacgym import gymapi

        physics = self._scenes["physics"]
        params = gymapi.SimParams()
        params.dt = physics["timestep"]
        params.substeps = physics["substeps"]
        params.up_axis = gymapi.UP_AXIS_Z
        params.gravity = gymapi.Vec3(0.0, 0.0, -9.81)
        params.use_gpu_pipeline = False
        for name, value in physics["physx"].items():
            setattr(params.physx, name, value)
        params.physx.use_gpu = self.device == "cuda"
        params.physx.contact_collection = gymapi.CC_LAST_SUBSTEP
        graphics = 0 if self._scenes["cameras"] else -1  # there nothing is drawn
        sim = self._gym.create_sim(0, graphics, gymapi.SIM_PHYSX, params)
        if sim is None:
            raise OutOfMemory("Isaac Gym could not create a simulation: is the GPU's memory full?")
        return sim

    def _build_worlds(self) -> None:
        from isaacgym import gymapi

        scenes = self._scenes
        robot = self._load(
            scenes["robot"]["urdf"], fixed=scenes["robot"]["fixed"], compensated=True
        )
        things = [self._load(name, fixed=False, compensated=False) for name in scenes["objects"]]
        blocks = []
        for block in scenes["blocks"]:
            x, y, z = block["size"]
            box = self._gym.create_box(self._sim, x, y, z, self._options(True, False))
            blocks.append((box, block))
        names = self._gym.get_asset_dof_names(robot)
        self._order = np.array([names.index(name) for name in scenes["robot"]["joints"]])
        self._drives = self._gym.get_asset_dof_properties(robot)
        self._set_drives(self._drives, 1.0)
        self._envs, self._actors, self._cameras = [], [], []
        half = gymapi.Vec3(*scenes["half_spacing"])
        lower = gymapi.Vec3(-half.x, -half.y, 0.0)
        row = int(np.ceil(np.sqrt(self._layout.worlds)))
        for world in range(self._layout.worlds):
            try:
                env = self._gym.create_env(self._sim, lower, half, row)
                actors = self._create_actors(env, world, robot, things, blocks)
                cameras = [self._create_camera(env, camera) for camera in scenes["cameras"]]
            except (MemoryError, RuntimeError) as error:
                if "memory" not in repr(error).lower():
                    raise
                raise OutOfMemory(
                    f"there was room for {world} of {self._layout.worlds} worlds"
                ) from error
            self._envs.append(env)
            self._actors.append(actors)
            self._cameras.append(cameras)

    def _load(self, urdf: str, fixed: bool, compensated: bool) -> Any:
        asset = self._gym.load_asset(
            self._sim, self._folder, urdf, self._options(fixed, compensated)
        )
        if asset is None:
            raise RuntimeError(f"Isaac Gym could not load {urdf}")
        return asset

    def _options(self, fixed: bool, compensated: bool) -> Any:
        from isaacgym import gymapi

        options = gymapi.AssetOptions()
        options.fix_base_link = fixed
        options.disable_gravity = compensated
        options.collapse_fixed_joints = False
        options.replace_cylinder_with_capsule = True
        options.use_physx_armature = True
        options.linear_damping = options.angular_damping = 0.0
        return options

    def _create_actors(
        self,
        env: Any,
        world: int,
        robot: Any,
        things: list[Any],
        blocks: list[Any],
    ) -> list[int]:
        """The robot, the object, and what stands fixed."""
        from isaacgym import gymapi

        gym, scenes = self._gym, self._scenes
        thing = things[scenes["object_of_world"][world]]
        # Group: nothing touches what is of another world. Filter: each shape's own, set below.
        robot_actor = gym.create_actor(
            env, robot, self._transform(scenes["robot"]["pose"]), "robot", world, 0, 0
        )
        object_actor = gym.create_actor(env, thing, gymapi.Transform(), "object", world, 0, 0)
        gym.set_actor_dof_properties(env, robot_actor, self._drives)
        self._set_filters(env, robot_actor, scenes["robot"]["filters"])
        actors = [robot_actor, object_actor]
        for number, (asset, block) in enumerate(blocks):
            pose = self._transform([*block["position"], 0.0, 0.0, 0.0, 1.0])
            actor = gym.create_actor(env, asset, pose, f"block_{number}", world, 0, 0)
            (name,) = gym.get_actor_rigid_body_names(env, actor)
            self._set_filters(env, actor, {name: block["filter"]})
            actors.append(actor)
        self._set_friction(env, actors, scenes["friction"])
        return actors

    def _create_camera(self, env: Any, camera: Any) -> int:
        """Its x axis is forward, z up. It sees what touches: capsules have their ends then."""
        from isaacgym import gymapi

        properties = gymapi.CameraProperties()
        properties.width, properties.height = camera["width"], camera["height"]
        properties.horizontal_fov = camera["horizontal_fov"]  # degrees
        properties.near_plane, properties.far_plane = _SEEN
        properties.use_collision_geometry = True
        handle = self._gym.create_camera_sensor(env, properties)
        if handle < 0:
            raise OutOfMemory("Isaac Gym could not create a camera: is the GPU's memory full?")
        self._gym.set_camera_transform(handle, env, self._transform(camera["pose"]))
        return handle

    def _transform(self, pose: Any) -> Any:
        from isaacgym import gymapi

        return gymapi.Transform(p=gymapi.Vec3(*pose[:3]), r=gymapi.Quat(*pose[3:]))

    def _set_filters(self, env: Any, actor: int, filters: dict[str, int]) -> None:
        names = self._gym.get_actor_rigid_body_names(env, actor)
        shapes = self._gym.get_actor_rigid_shape_properties(env, actor)
        ranges = self._gym.get_actor_rigid_body_shape_indices(env, actor)
        for name, part in zip(names, ranges):
            for shape in shapes[part.start : part.start + part.count]:
                shape.filter = filters.get(name, 0)
        self._gym.set_actor_rigid_shape_properties(env, actor, shapes)

    def _set_friction(self, env: Any, actors: list[int], friction: float) -> None:
        scenes = self._scenes
        for number, actor in enumerate(actors):
            shapes = self._gym.get_actor_rigid_shape_properties(env, actor)
            for shape in shapes:
                shape.friction = friction
                shape.torsion_friction = scenes["torsion_friction"]
                shape.rolling_friction = scenes["rolling_frictions"][number]
            self._gym.set_actor_rigid_shape_properties(env, actor, shapes)

    def _set_drives(self, drives: Any, gain: float) -> None:
        """Position drives of all joints; `gain` is that of the fingers."""
        from isaacgym import gymapi

        robot = self._scenes["robot"]
        stiffness = np.array(robot["stiffness"])
        stiffness[: robot["fingers"]] *= gain
        drives["driveMode"][:] = int(gymapi.DOF_MODE_POS)
        drives["stiffness"][self._order] = stiffness
        for name in ("damping", "effort", "armature", "friction", "velocity"):
            drives[name][self._order] = robot[name]

    def _acquire(self) -> None:
        from isaacgym import gymapi, gymtorch

        gym, sim, robot = self._gym, self._sim, self._scenes["robot"]

        def index_of(find: Any, *, domain: Any) -> np.ndarray:
            return np.array([find(env, actors, domain) for env, actors in self._pairs()], np.int32)

        def actor(which: int) -> Any:
            return lambda env, actors, domain: gym.get_actor_index(env, actors[which], domain)

        def body(which: int, name: str) -> Any:
            return lambda env, actors, domain: gym.find_actor_rigid_body_index(
                env, actors[which], name, domain
            )

        in_sim, in_env = gymapi.DOMAIN_SIM, gymapi.DOMAIN_ENV
        self._robots = index_of(actor(0), domain=in_sim)
        self._objects = index_of(actor(1), domain=in_sim)
        env, actors = self._envs[0], self._actors[0]
        (thing,) = gym.get_actor_rigid_body_names(env, actors[1])
        self._palm_bodies = index_of(body(0, robot["palm"]), domain=in_sim)
        self._object_bodies = index_of(body(1, thing), domain=in_sim)
        self._root_tensor = gymtorch.wrap_tensor(gym.acquire_actor_root_state_tensor(sim))
        self._dof_tensor = gymtorch.wrap_tensor(gym.acquire_dof_state_tensor(sim))
        bodies = gymtorch.wrap_tensor(gym.acquire_rigid_body_state_tensor(sim))
        self._roots = self._root_tensor.numpy()
        self._dofs = self._dof_tensor.numpy().reshape(self._layout.worlds, -1, 2)
        self._bodies = bodies.numpy()
        self._targets = np.zeros(self._dofs.shape[:2], np.float32)
        self._forces = np.zeros((len(self._bodies), 3), np.float32)
        self._torques = np.zeros_like(self._forces)
        origins = [_vector(gym.get_env_origin(env)) for env in self._envs]
        self._origins = np.array(origins, np.float32)
        # Of contacts: bodies count in each world, and -1 is none of them.
        self._link_of_body = np.full(len(self._bodies) // self._layout.worlds + 1, -1)
        for link, name in enumerate(robot["links"]):
            found = index_of(body(0, name), domain=in_env)
            if (found != found[0]).any() or found[0] < 0:
                raise RuntimeError(f"the link {name} has another number in each world")
            self._link_of_body[found[0]] = link
        (self._object_body,) = set(index_of(body(1, thing), domain=in_env).tolist())
        self._link_bodies = np.stack(
            [index_of(body(0, name), domain=in_sim) for name in robot["links"]], axis=1
        )
        properties = gym.get_actor_rigid_body_properties(env, actors[0])
        all_names = gym.get_actor_rigid_body_names(env, actors[0])
        parts = [properties[all_names.index(name)] for name in robot["links"]]
        self._link_masses = np.array([part.mass for part in parts])
        self._link_centres = np.array([_vector(part.com) for part in parts])
        self._link_inertias = np.array(
            [
                [_vector(part.inertia.x), _vector(part.inertia.y), _vector(part.inertia.z)]
                for part in parts
            ]
        )
        self._hand_mass = float(self._link_masses.sum())
        self._timestep = self._scenes["physics"]["timestep"]
        self._gains = np.ones(self._layout.worlds, np.float32)

    def _pairs(self) -> Any:
        return zip(self._envs, self._actors)

    # Stepping

    def tick(self) -> None:
        """One control tick of all worlds."""
        from isaacgym import gymapi, gymtorch

        gym, sim, unwrap = self._gym, self._sim, gymtorch.unwrap_tensor
        as_tensor = self._torch.from_numpy
        self._vary()
        self._edit()
        for step in range(self._layout.steps):
            self._forces[:] = self._torques[:] = 0.0
            self._forces[self._object_bodies] = self._io["push"]
            if self._scenes["palm_servo"]:
                self._pull_palms(step)
            gym.apply_rigid_body_force_tensors(
                sim,
                unwrap(as_tensor(self._forces)),
                unwrap(as_tensor(self._torques)),
                gymapi.ENV_SPACE,
            )
            self._set_joint_targets(step)
            gym.set_dof_position_target_tensor(sim, unwrap(as_tensor(self._targets)))
            gym.simulate(sim)
            gym.fetch_results(sim, True)
            gym.refresh_actor_root_state_tensor(sim)
            gym.refresh_dof_state_tensor(sim)
            gym.refresh_rigid_body_state_tensor(sim)
            if self._scenes["palm_servo"]:
                self._feel_palms()
        self._report()

    def _vary(self) -> None:
        gym, io = self._gym, self._io
        for world in np.flatnonzero(io["varied"]).tolist():
            env, actors = self._envs[world], self._actors[world]
            (body,) = gym.get_actor_rigid_body_properties(env, actors[1])
            heavier = float(io["mass"][world]) / body.mass
            body.mass *= heavier
            for row in (body.inertia.x, body.inertia.y, body.inertia.z):
                row.x, row.y, row.z = row.x * heavier, row.y * heavier, row.z * heavier
            gym.set_actor_rigid_body_properties(env, actors[1], [body], False)
            self._set_friction(env, actors, float(io["friction"][world]))
            drives = self._drives.copy()
            self._gains[world] = io["gain"][world]
            self._set_drives(drives, float(self._gains[world]))
            gym.set_actor_dof_properties(env, actors[0], drives)
        io["varied"][:] = 0

    def _edit(self) -> None:
        """Give Isaac Gym the states that were written."""
        from isaacgym import gymtorch

        io, gym, unwrap = self._io, self._gym, gymtorch.unwrap_tensor
        at = np.flatnonzero(io["edited"])
        if not len(at):
            return
        moved = []
        for name, actors in (("robot", self._robots), ("object", self._objects)):
            if name == "object" or not self._scenes["robot"]["fixed"]:
                self._roots[actors[at]] = io[name][at]
                self._roots[actors[at], :3] += self._origins[at]
                moved.append(actors[at])
        self._dofs[np.ix_(at, self._order)] = io["joints"][at]
        for put, tensor, actors in (
            (gym.set_actor_root_state_tensor_indexed, self._root_tensor, np.concatenate(moved)),
            (gym.set_dof_state_tensor_indexed, self._dof_tensor, self._robots[at]),
        ):
            indices = self._torch.from_numpy(np.ascontiguousarray(actors))
            put(self._sim, unwrap(tensor), unwrap(indices), len(actors))
        io["edited"][:] = 0

    def _set_joint_targets(self, step: int) -> None:
        """Position targets of the drives, such that coupled joints are moved by their tendons.

        One tendon pulls both joints of a pair with stiffness x (goal - sum of both), and a stop
        keeps the distal one from exceeding the middle one. Each joint's own drive has the same
        stiffness about a target that contains the other joint.
        """
        robot = self._scenes["robot"]
        goals = self._io["joint_goals"][:, step].copy()
        now = self._dofs[:, self._order, 0]
        for distal, middle in robot["couplings"]:
            total = goals[:, distal] + goals[:, middle]
            stiffness = robot["stiffness"][distal] * self._gains
            beyond = np.maximum(now[:, distal] - now[:, middle], 0.0)
            stop = robot["stop_stiffness"] / stiffness * beyond
            goals[:, distal] = total - now[:, middle] - stop
            goals[:, middle] = total - now[:, distal] + stop
        self._targets[:, self._order] = goals

    def _pull_palms(self, step: int) -> None:
        """Forces and torques by which free hands follow their goals, of bounded size.

        A spring and a damper, which acts on the speed at the end of the step: at the start of it
        one so strong would not be stable. That speed is foreseen for a rigid hand, of the shape
        that it had when the tick began, which meets what it met in the last step.
        """
        servo, io = self._scenes["palm_servo"], self._io
        if step == 0:
            self._hand_centres, self._hand_inertias = self._whole_hands()
        roots = self._roots[self._robots].astype(np.float64)
        goals, speeds = io["palm_goals"][:, step], io["palm_speeds"]
        turn = _matrices(roots[:, 3:7])
        palm_centre = turn @ np.array(servo["palm_centre"])
        self._palm_speeds = self._speeds_of_palms()
        self._hands = self._hand_matrices(turn)
        stiffness = np.repeat((servo["stiffness"], servo["angular_stiffness"]), 3)
        damping = np.repeat((servo["damping"], servo["angular_damping"]), 3)
        off = np.concatenate(
            [
                goals[:, :3] - (roots[:, :3] - self._origins),
                _rotation_vectors(roots[:, 3:7], goals[:, 3:7]),
            ],
            axis=1,
        )
        wrench = stiffness * off + damping * (speeds - self._palm_speeds)
        slowed = np.diag(self._timestep * damping) @ np.linalg.inv(self._hands)
        wrench -= np.einsum("nij,nj->ni", slowed, io["resistance"])
        wrench = np.linalg.solve(np.eye(6) + slowed, wrench[..., None])[..., 0]
        force = _bounded(wrench[:, :3], turn, servo["force"])
        torque = _bounded(wrench[:, 3:], turn, servo["torque"])
        self._pull = np.concatenate([force, torque], axis=1)
        self._forces[self._palm_bodies] = force
        # The force acts at the palm's centre of mass.
        self._torques[self._palm_bodies] = torque - np.cross(palm_centre, force)

    def _feel_palms(self) -> None:
        """What hands met in the last step, beside the pull: contacts, and their own fingers."""
        change = (self._speeds_of_palms() - self._palm_speeds) / self._timestep
        met = np.einsum("nij,nj->ni", self._hands, change) - self._pull
        self._io["resistance"][:] = met

    def _speeds_of_palms(self) -> np.ndarray:
        """(N, 6) linear and angular, of the palms' frames."""
        roots = self._roots[self._robots].astype(np.float64)
        offset = _matrices(roots[:, 3:7]) @ np.array(self._scenes["palm_servo"]["palm_centre"])
        spin = roots[:, 10:13]
        return np.concatenate([roots[:, 7:10] - np.cross(spin, offset), spin], axis=1)

    def _hand_matrices(self, turn: np.ndarray) -> np.ndarray:
        """(N, 6, 6) masses of rigid hands about their palms' frames, in the axes of the world."""
        centres = np.einsum("nij,nj->ni", turn, self._hand_centres)
        # crossed @ vector = centre x vector
        crossed = np.cross(centres[:, None], np.eye(3)).transpose(0, 2, 1)
        matrices = np.zeros((len(turn), 6, 6))
        matrices[:, :3, :3] = self._hand_mass * np.eye(3)
        matrices[:, 3:, :3] = self._hand_mass * crossed
        matrices[:, :3, 3:] = matrices[:, 3:, :3].transpose(0, 2, 1)
        matrices[:, 3:, 3:] = turn @ self._hand_inertias @ turn.transpose(0, 2, 1)
        matrices[:, 3:, 3:] -= self._hand_mass * crossed @ crossed
        return matrices

    def _whole_hands(self) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) centres of mass of the hands in their palms' frames, (N, 3, 3) inertia there."""
        worlds = self._layout.worlds
        links = self._bodies[self._link_bodies].astype(np.float64)  # (N, L, 13)
        turns = _matrices(links[..., 3:7].reshape(-1, 4)).reshape(worlds, -1, 3, 3)
        # Not the roots: where those were just put, the bodies are still where they were.
        palm = self._bodies[self._palm_bodies].astype(np.float64)
        to_palm = _matrices(palm[:, 3:7]).transpose(0, 2, 1)
        turns = to_palm[:, None] @ turns
        places = np.einsum("nij,nlj->nli", to_palm, links[..., :3] - palm[:, None, :3])
        places += np.einsum("nlij,lj->nli", turns, self._link_centres)
        shares = self._link_masses / self._hand_mass
        centre = np.einsum("l,nli->ni", shares, places)
        offsets = places - centre[:, None]
        inertia = (turns @ self._link_inertias @ turns.transpose(0, 1, 3, 2)).sum(axis=1)
        squares = np.einsum("l,nlk,nlk->n", self._link_masses, offsets, offsets)
        inertia += squares[:, None, None] * np.eye(3)
        inertia -= np.einsum("l,nli,nlj->nij", self._link_masses, offsets, offsets)
        return centre, inertia

    # Measuring

    def look(self, number: int) -> None:
        """Draw what a camera sees of each world."""
        from isaacgym import gymapi

        gym, sim = self._gym, self._sim
        gym.step_graphics(sim)
        gym.render_all_camera_sensors(sim)
        for world, (env, cameras) in enumerate(zip(self._envs, self._cameras)):
            image = gym.get_camera_image(sim, env, cameras[number], gymapi.IMAGE_DEPTH)
            depth = -np.asarray(image, np.float32).ravel()  # Isaac Gym's z axis comes out of it
            self._io["depth"][world, : len(depth)] = depth

    def _report(self) -> None:
        io, robot = self._io, self._scenes["robot"]
        for name, actors in (("robot", self._robots), ("object", self._objects)):
            io[name][:] = self._roots[actors]
            io[name][:, :3] -= self._origins
        io["palm"][:] = self._bodies[self._palm_bodies]
        io["palm"][:, :3] -= self._origins
        io["joints"][:] = self._dofs[:, self._order]
        io["efforts"][:] = self._efforts(robot)
        io["contacts"][:] = self._contacts()

    def _efforts(self, robot: Any) -> np.ndarray:
        """What the drives do; the fingers' damping is their joints' own."""
        goals = self._io["joint_goals"][:, -1]
        now, speeds = self._io["joints"][..., 0], self._io["joints"][..., 1]
        off = goals - now
        for pair in robot["couplings"]:
            off[:, pair] = off[:, pair].sum(axis=1, keepdims=True)
        fingers = robot["fingers"]
        stiffness = np.tile(robot["stiffness"], (len(off), 1))
        stiffness[:, :fingers] *= self._gains[:, None]
        efforts = stiffness * off
        efforts[:, fingers:] -= np.array(robot["damping"])[fingers:] * speeds[:, fingers:]
        return np.clip(efforts, -np.array(robot["effort"]), robot["effort"])

    def _contacts(self) -> np.ndarray:
        """(N, L) normal force on the object by each link, N."""
        contacts = np.zeros((self._layout.worlds, self._layout.links), np.float32)
        found: Any = self._gym.get_rigid_contacts(self._sim)
        bodies = np.stack([found["body0"], found["body1"]], axis=-1)
        worlds = np.maximum(found["env0"], found["env1"])
        links = self._link_of_body[bodies].max(axis=-1, initial=-1)
        pressing = (bodies == self._object_body).any(axis=-1) & (links >= 0) & (worlds >= 0)
        forces = np.abs(found["lambda"][pressing])
        np.add.at(contacts, (worlds[pressing], links[pressing]), forces)
        return contacts

    def close(self) -> None:
        """Give the GPU back."""
        self._gym.destroy_sim(self._sim)


def _vector(vector: Any) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z


def _matrices(quaternions: np.ndarray) -> np.ndarray:
    """(n, 3, 3) of (n, 4) in the order (x, y, z, w)."""
    x, y, z, w = quaternions.T.astype(np.float64)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.array(rows).transpose(2, 0, 1)


def _rotation_vectors(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(n, 3) the shortest turns from one attitude to another, in the axes of the world, rad."""
    vector, scalar = starts[:, :3].astype(np.float64), starts[:, 3:].astype(np.float64)
    end_vector, end_scalar = ends[:, :3].astype(np.float64), ends[:, 3:].astype(np.float64)
    # end * conjugate(start)
    axis = scalar * end_vector - end_scalar * vector - np.cross(end_vector, vector)
    cosine = end_scalar * scalar + (end_vector * vector).sum(axis=1, keepdims=True)
    axis = np.where(cosine < 0.0, -axis, axis)
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, np.abs(cosine))
    return axis * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)


def _bounded(vectors: np.ndarray, turn: np.ndarray, bound: float) -> np.ndarray:
    """(n, 3) vectors of at most `bound` along each axis of the palm."""
    own = np.einsum("nji,nj->ni", turn, vectors)
    return np.einsum("nij,nj->ni", turn, np.clip(own, -bound, bound))


def check() -> dict[str, Any]:
    """What is installed: a text where it is there, and under "problems" what is missing."""
    found: dict[str, Any] = {"python": ".".join(map(str, sys.version_info[:2])), "problems": {}}
    try:
        import isaacgym

        found["isaacgym"] = _version(isaacgym)
        if found["isaacgym"] not in SUPPORTED:
            found["problems"]["version"] = (
                f"Isaac Gym {found['isaacgym']} is installed, and Preview 4 ({SUPPORTED[0]}) is"
                " needed"
            )
        from isaacgym import gymapi

        gymapi.acquire_gym()
    except Exception as error:  # whatever a broken installation raises is the finding
        found["problems"]["isaacgym"] = f"{type(error).__name__}: {error}"
    try:
        import torch

        found["torch"] = torch.__version__
        if not torch.cuda.is_available():
            found["problems"]["cuda"] = f"PyTorch {torch.__version__} sees no GPU"
    except Exception as error:
        found["problems"]["torch"] = f"{type(error).__name__}: {error}"
    return found


def _version(isaacgym: Any) -> str:
    from importlib import metadata

    try:
        return metadata.version("isaacgym")
    except metadata.PackageNotFoundError:
        return getattr(isaacgym, "__version__", "of an unknown version")


def _end_with(lifeline: int) -> None:
    """Let the kernel end this process when the other end of a socket is closed, even while Isaac
    Gym computes: nothing is ever sent over it."""
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    signal.signal(signal.SIGIO, signal.SIG_DFL)


def _answer(channel: socket.socket, **message: Any) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _kind(error: BaseException) -> str:
    if isinstance(error, (MemoryError, OutOfMemory)) or "out of memory" in str(error).lower():
        return "memory"
    return "missing" if isinstance(error, ImportError) else "failed"


def serve(folder: str, memory: Any, channel: socket.socket) -> int:
    """Build what the folder says, and step it until the channel is closed; the exit status."""
    try:
        worker = Worker(folder, Layout.read_header(memory), memory)
        _answer(channel, ready=True, device=worker.device)
        while True:
            request = channel.recv(1)
            if request == TICK:
                worker.tick()
            elif request == LOOK:
                worker.look(channel.recv(1)[0])
            else:
                break
            _answer(channel, done=True)
        worker.close()
    except ConnectionError:
        return 0  # whoever asked is gone
    except Exception as error:
        traceback.print_exc()
        _answer(channel, error=f"{type(error).__name__}: {error}", kind=_kind(error))
        return 1
    return 0


def main(arguments: list[str]) -> int:
    """Run as the module's documentation says; the exit status."""
    parser = argparse.ArgumentParser(description="steps scenes in Isaac Gym for dexgrasp")
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--check", action="store_true")
    for name in ("memory", "channel", "lifeline"):
        parser.add_argument("--" + name, type=int)
    given = parser.parse_args(arguments)
    if given.check:
        print(json.dumps(check()))
        return 0
    _end_with(given.lifeline)
    memory = mmap.mmap(given.memory, 0)
    return serve(given.folder, memory, socket.socket(fileno=given.channel))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
