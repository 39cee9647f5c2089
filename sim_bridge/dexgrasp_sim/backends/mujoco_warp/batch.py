"""Scenes in mujoco-warp: in single precision, all stepped by the same kernels.

On a CPU a run repeats to the bit with the same batch; alone an environment is rounded otherwise
than among others. On a GPU sums are made in no fixed order, and nothing repeats to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import mujoco
import numpy as np
import torch

try:
    import warp

    warp.config.log_level = warp.LOG_ERROR  # that there is no GPU is no reason to warn
    import mujoco_warp
except ImportError as error:
    raise ImportError(
        f"the simulator mujoco_warp lacks the package {error.name}: "
        "pip install -r requirements-warp.txt"
    ) from error

from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco.environments import MujocoEnvironments, Write
from dexgrasp_sim.backends.mujoco_warp.room import check_room
from dexgrasp_sim.backends.mujoco_warp.settings import MujocoWarpSettings, load_settings
from dexgrasp_sim.backends.mujoco_warp.worlds import FIELDS, Worlds
from dexgrasp_sim.cameras.depth_cameras import camera_of, cameras_of
from dexgrasp_sim.scene import SceneConfig

warp.config.log_level = warp.LOG_WARNING

_STATE = (
    "qpos",
    "qvel",
    "qacc_warmstart",
    "ctrl",
    "mocap_pos",
    "mocap_quat",
    "xfrc_applied",
)
"""What a world's future depends on, by the names that MuJoCo and mujoco-warp have for it."""

_CONTACTS, _CONTACTS_OF_A_PIECE = 64, 4
"""There is room for so many an environment, on average, and for each of the object's pieces."""
_ROWS_OF_A_CONTACT = 4  # of the constraints; 6 on the table, whose contacts are few
_OTHER_ROWS = 128  # limits of joints and tendons

_HUGE = 1e10  # as MuJoCo has it

_TOO_MANY_CONSTRAINTS = (
    "there are too many constraints, with room for those of {room} contacts: raise contacts in"
    " config/mujoco_warp.yaml"
)
_TOO_MANY_CONTACTS = (
    "there are too many contacts, with room for {room}: raise contacts in config/mujoco_warp.yaml"
)
_OVERFLOWS = {
    mujoco_warp.OverflowType.NEFC: _TOO_MANY_CONSTRAINTS,
    mujoco_warp.OverflowType.NJMAX_NNZ: _TOO_MANY_CONSTRAINTS,
    mujoco_warp.OverflowType.BROADPHASE: _TOO_MANY_CONTACTS,
    mujoco_warp.OverflowType.NARROWPHASE: _TOO_MANY_CONTACTS,
    mujoco_warp.OverflowType.CCD: _TOO_MANY_CONTACTS,
    mujoco_warp.OverflowType.EPA_HORIZON: "how deep a contact is could not be found",
}
"""Of what mujoco-warp only warns, or not even that, and what then went wrong."""


class MujocoWarpBatch(MujocoEnvironments):
    """Environments in mujoco-warp; see `interface.BatchPhysics`.

    Contacts and constraints have buffers of a fixed size; an environment that would need more is
    unstable. It needs no threads.

    Args:
        config: of all environments.
        object_models: the N objects.
        threads: nothing depends on it.
        settings: how mujoco-warp is run; by default `config/mujoco_warp.yaml`.

    Raises:
        MemoryError: there is no room for so many environments.
        ValueError: there is no environment or no thread, or no GPU where one is asked for.
    """

    def __init__(
        self,
        config: SceneConfig,
        object_models: Sequence[ObjectModel],
        threads: int = 1,
        *,
        settings: MujocoWarpSettings | None = None,
    ) -> None:
        settings = settings or load_settings()
        self._device = _device(settings.device)
        super().__init__(config, object_models, threads)
        count = len(self._scenes)
        distinct = list({id(item): item for item in self.object_models}.values())
        self._worlds = Worlds(config, distinct)
        model = self._worlds.scene.model
        self._room = settings.contacts or _CONTACTS + _CONTACTS_OF_A_PIECE * self._worlds.pieces

        def made(worlds: int) -> tuple[mujoco_warp.Model, mujoco_warp.Data]:
            return (
                mujoco_warp.put_model(model, batch_sizes=dict.fromkeys(FIELDS, worlds)),
                mujoco_warp.make_data(
                    model,
                    nworld=worlds,
                    nconmax=self._room,
                    njmax=_OTHER_ROWS + _ROWS_OF_A_CONTACT * self._room,
                ),
            )

        with warp.ScopedDevice(self._device):
            check_room(self._device, count, made)
            self._model, self._data = made(count)
            self._model.opt.warn_overflow = 0  # see `_faulty`
        self._fields = {name: warp.to_torch(getattr(self._model, name)) for name in FIELDS}
        for index in range(count):
            self._rebuilt(index)
        self._state = {
            name: warp.to_torch(getattr(self._data, name)).reshape(count, -1) for name in _STATE
        }
        self._overflow = warp.to_torch(self._data.overflow)
        self._step = _Recorded(self._device, lambda: mujoco_warp.step(self._model, self._data))
        self._bring_up_to_date = _Recorded(self._device, self._compute_poses_and_velocities)
        self._moved = True
        """Whether the bodies' poses lag behind the joints."""
        self._scratch: dict[int, mujoco.MjData] = {}
        """A state to write to, by the number of the model's geoms."""
        self._aside = self._states(np.zeros(1, dtype=int))

    # States

    def _edit(self, indices: Sequence[int], write: Write) -> None:
        at = np.asarray(indices, dtype=int)
        states = self._states(at)
        for row, index in enumerate(indices):
            scene = self._scenes[index]
            data = self._scratch_of(scene.model)
            _unpack(states[row], data)
            write(row, index, scene, data)
            states[row] = _packed(data)
        self._put_states(at, states)

    def _scratch_of(self, model: mujoco.MjModel) -> mujoco.MjData:
        if model.ngeom not in self._scratch:
            self._scratch[model.ngeom] = mujoco.MjData(model)
        return self._scratch[model.ngeom]

    def _states(self, at: np.ndarray) -> np.ndarray:
        rows = torch.as_tensor(at)
        parts = [self._state[name][rows].double().cpu().numpy() for name in _STATE]
        return np.concatenate(parts, axis=1)

    def _put_states(self, at: np.ndarray, states: np.ndarray) -> None:
        rows, start = torch.as_tensor(at), 0
        for name in _STATE:
            values = self._state[name]
            end = start + values.shape[1]
            values[rows] = torch.as_tensor(states[:, start:end]).to(values)
            start = end
        self._overflow[rows] = 0
        self._moved = True

    def _rebuilt(self, index: int) -> None:
        for name, values in self._worlds.fields(self._scenes[index]).items():
            row = self._fields[name][index]
            row[:] = torch.as_tensor(values).reshape(row.shape).to(row)

    def _push(self, forces: np.ndarray) -> None:
        applied = self._state["xfrc_applied"].reshape(len(forces), -1, 6)
        applied[:, self._worlds.scene.object, :3] = torch.as_tensor(forces).to(applied)

    # Moving

    def _advance(
        self,
        sound: Sequence[int],
        controls: np.ndarray,
        positions: np.ndarray,
        quaternions: np.ndarray,
    ) -> None:
        rows = torch.as_tensor(sound)
        inputs = {
            "ctrl": controls,
            "mocap_pos": positions.reshape(*positions.shape[:2], -1),
            "mocap_quat": quaternions.reshape(*quaternions.shape[:2], -1),
        }
        if unsound := list(self._faults):  # they are stepped too, and would be in the others' way
            self._put_states(np.array(unsound), np.repeat(self._aside, len(unsound), axis=0))
        steps = {
            name: torch.as_tensor(values).to(self._state[name]) for name, values in inputs.items()
        }
        for step in range(self.config.steps_per_tick):
            for name, values in steps.items():
                self._state[name][rows] = values[:, min(step, values.shape[1] - 1)]
            self._step()
        self._moved = True
        self._find_faults(sound, ~(np.abs(controls) < _HUGE).all(axis=(1, 2)))

    def _find_faults(self, sound: Sequence[int], bad_controls: np.ndarray) -> None:
        overflow = self._overflow.cpu().numpy()
        bad = {
            f"{what} is not finite or huge": ~(
                (warp.to_torch(getattr(self._data, name)).abs() < _HUGE).all(dim=1).cpu().numpy()
            )
            for name, what in (
                ("qpos", "a position"),
                ("qvel", "a speed"),
                ("qacc", "an acceleration"),
            )
        }
        for index, bad_control in zip(sound, bad_controls.tolist(), strict=True):
            reasons = [text for text, of_worlds in bad.items() if of_worlds[index]]
            if bad_control:
                reasons.append("a control is not finite or huge")
            reasons += sorted(
                {
                    text.format(room=self._room)
                    for flag, text in _OVERFLOWS.items()
                    if overflow[index] & flag
                }
            )
            if reasons:
                self._faults[index] = physics.unstable(reasons)

    # Measurements

    def joints(self) -> np.ndarray:
        return self._host("qpos")[:, self._worlds.scene.qpos]

    def joint_velocities(self) -> np.ndarray:
        return self._host("qvel")[:, self._worlds.scene.dofs]

    def wrist_poses(self) -> np.ndarray:
        return self._poses(self._worlds.scene.palm)

    def wrist_velocities(self) -> np.ndarray:
        return self._velocities(self._worlds.scene.palm)

    def object_poses(self) -> np.ndarray:
        return self._poses(self._worlds.scene.object)

    def object_velocities(self) -> np.ndarray:
        return self._velocities(self._worlds.scene.object)

    def _seen(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.joints()[index], self.wrist_poses()[index], self.object_poses()[index]

    def depth(self, camera: str) -> np.ndarray:
        """By mujoco-warp's ray caster; objects by their convex pieces."""
        model = camera_of(cameras_of(self.config), camera)
        self._update()
        count, pixels = len(self._scenes), model.height * model.width
        pose = model.world_T_optical
        directions = (model.optical_rays() @ pose[:3, :3].T).reshape(1, -1, 3)
        origins = np.broadcast_to(pose[:3, 3], directions.shape)
        with warp.ScopedDevice(self._device):
            distances = warp.zeros((count, pixels), dtype=float)
            mujoco_warp.rays(
                self._seen_model,
                self._data,
                pnt=warp.array(origins, dtype=warp.vec3),
                vec=warp.array(directions, dtype=warp.vec3),
                geomgroup=warp.types.vector(6, dtype=float)(*[-1.0] * 6),
                flg_static=True,
                bodyexclude=warp.full(pixels, -1, dtype=int),
                dist=distances,
                geomid=warp.zeros((count, pixels), dtype=int),
                normal=warp.zeros((count, pixels), dtype=warp.vec3),
            )
            # Rays are as long as they are deep.
            found = distances.numpy().astype(float)
        found[found < 0.0] = np.inf
        return found.reshape(count, model.height, model.width)

    @cached_property
    def _seen_model(self) -> Any:
        """The model, in which meshes that a world does not have are transparent to rays."""
        colours = self._model.geom_rgba.numpy().repeat(len(self._scenes), axis=0)
        colours[self._worlds.absent(self._fields["geom_dataid"].cpu().numpy()), 3] = 0.0
        colours = warp.array(colours, dtype=warp.vec4, device=self._device)
        return replace(self._model, geom_rgba=colours)

    def _host(self, name: str) -> np.ndarray:
        """A copy of an array of the data, with a row for each environment."""
        return warp.to_torch(getattr(self._data, name)).double().cpu().numpy()

    def _poses(self, body: int) -> np.ndarray:
        self._update()
        poses = np.tile(np.eye(4), (len(self._scenes), 1, 1))
        poses[:, :3, :3] = self._host("xmat")[:, body]
        poses[:, :3, 3] = self._host("xpos")[:, body]
        return poses

    def _velocities(self, body: int) -> np.ndarray:
        self._update()
        # About the centre of mass of the body's tree, the angular ones first.
        angular, linear = np.split(self._host("cvel")[:, body], 2, axis=1)
        root = self._worlds.scene.model.body_rootid[body]
        offset = self._host("xpos")[:, body] - self._host("subtree_com")[:, root]
        return np.concatenate([linear + np.cross(angular, offset), angular], axis=1)

    def _update(self) -> None:
        if self._moved:
            self._bring_up_to_date()
            self._moved = False

    def _compute_poses_and_velocities(self) -> None:
        for compute in (mujoco_warp.kinematics, mujoco_warp.com_pos, mujoco_warp.com_vel):
            compute(self._model, self._data)

    def _read(self) -> None:
        if not self._unread.any():
            return
        rows = np.flatnonzero(self._unread)
        scene = self._worlds.scene
        self._efforts[rows] = self._host("qfrc_actuator")[rows][:, scene.dofs]
        count = min(int(self._data.nacon.numpy()[0]), self._data.naconmax)
        contact = self._data.contact
        worlds, geoms, addresses = (
            array.numpy()[:count] for array in (contact.worldid, contact.geom, contact.efc_address)
        )
        links, addresses = scene.touching_links(geoms), addresses[:, 0]
        pressing = (links >= 0) & (addresses >= 0)
        worlds, links, addresses = worlds[pressing], links[pressing], addresses[pressing]
        forces = np.zeros_like(self._contacts)
        np.add.at(forces, (worlds, links), self._data.efc.force.numpy()[worlds, addresses])
        self._contacts[rows] = forces[rows]
        self._unread[:] = False


def _device(name: str) -> warp.Device:
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device is cuda, and PyTorch {torch.__version__} sees no GPU: set device to cpu in"
            " config/mujoco_warp.yaml, or install NVIDIA's driver"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return warp.get_device(name)


class _Recorded:
    """Kernels that are recorded the first time, and then follow each other at once.

    Launching them one by one takes many times longer than they do themselves.
    """

    def __init__(self, device: warp.Device, launch: Callable[[], None]) -> None:
        self._device, self._launch = device, launch
        self._graph: warp.Graph | None = None

    def __call__(self) -> None:
        if self._device.is_cuda:
            torch.cuda.synchronize()  # torch has a stream of its own, and writes the inputs
        with warp.ScopedDevice(self._device):
            if self._graph is None:
                self._launch()  # compiles them, which can't be done while they are recorded
                with warp.ScopedCapture() as capture:
                    self._launch()
                self._graph = capture.graph
            else:
                warp.capture_launch(self._graph)
            warp.synchronize_device()


def _packed(data: mujoco.MjData) -> np.ndarray:
    return np.concatenate([getattr(data, name).ravel() for name in _STATE])


def _unpack(state: np.ndarray, data: mujoco.MjData) -> None:
    start = 0
    for name in _STATE:
        values = getattr(data, name)
        values[:] = state[start : start + values.size].reshape(values.shape)
        start += values.size


make_batch = MujocoWarpBatch
