"""Worlds of one model in mujoco-warp: their states, steps, and what went wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
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

from dexgrasp_sim.backends.mujoco import physics
from dexgrasp_sim.backends.mujoco_warp.room import check_room
from dexgrasp_sim.backends.mujoco_warp.settings import MujocoWarpSettings, load_settings

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

HUGE = 1e10
"""From where on MuJoCo too takes a number as unstable."""

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


class SteppedWorlds:
    """N worlds of one model, stepped at once.

    Contacts and constraints have buffers of a fixed size.

    Args:
        model: of MuJoCo.
        count: how many worlds.
        pieces: convex ones of the object, for which there is room for contacts.
        settings: how mujoco-warp is run; by default `config/mujoco_warp.yaml`.
        fields: of the model that each world has for itself.
        own_gravity: whether each has its own `gravity`.

    Raises:
        MemoryError: there is no room for so many worlds.
        ValueError: a GPU is asked for, and there is none.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        count: int,
        pieces: int,
        settings: MujocoWarpSettings | None = None,
        *,
        fields: Collection[str] = (),
        own_gravity: bool = False,
    ) -> None:
        settings = settings or load_settings()
        self._device = _device(settings.device)
        self.room = settings.contacts or _CONTACTS + _CONTACTS_OF_A_PIECE * pieces
        self.count = count
        # mujoco-warp does not know it, and never resets.
        model.opt.disableflags &= ~int(physics.NO_SILENT_RESET)

        def made(worlds: int) -> tuple[mujoco_warp.Model, mujoco_warp.Data]:
            return (
                mujoco_warp.put_model(model, batch_sizes=dict.fromkeys(fields, worlds)),
                mujoco_warp.make_data(
                    model,
                    nworld=worlds,
                    nconmax=self.room,
                    njmax=_OTHER_ROWS + _ROWS_OF_A_CONTACT * self.room,
                ),
            )

        with warp.ScopedDevice(self._device):
            check_room(self._device, count, made)
            self.model, self.data = made(count)
            self.model.opt.warn_overflow = 0  # see `problems`
            if own_gravity:
                self.model.opt.gravity = warp.zeros(count, dtype=warp.vec3)
            self.gravity = warp.to_torch(self.model.opt.gravity)
            """(1 or N, 3) m/s^2."""
        self.fields = {name: warp.to_torch(getattr(self.model, name)) for name in fields}
        self.state = {
            name: warp.to_torch(getattr(self.data, name)).reshape(count, -1) for name in _STATE
        }
        self._seen: Any = None
        """The model as rays see it."""
        self._overflow = warp.to_torch(self.data.overflow)
        self.step = _Recorded(self._device, self._launch(mujoco_warp.step))
        """One step of the physics."""
        self.detect = _Recorded(self._device, self._launch(mujoco_warp.forward))
        """Contacts as they are now."""
        self.update = _Recorded(
            self._device,
            self._launch(mujoco_warp.kinematics, mujoco_warp.com_pos, mujoco_warp.com_vel),
        )
        """Poses and velocities of bodies as the joints are now."""

    def _launch(self, *computations: Callable[..., None]) -> Callable[[], None]:
        def launch() -> None:
            for compute in computations:
                compute(self.model, self.data)

        return launch

    def states(self, at: np.ndarray) -> np.ndarray:
        """(n, S) of some worlds; see `packed`."""
        rows = torch.as_tensor(at)
        parts = [self.state[name][rows].double().cpu().numpy() for name in _STATE]
        return np.concatenate(parts, axis=1)

    def put_states(self, at: np.ndarray, states: np.ndarray) -> None:
        """Back to those; nothing is wrong with them then."""
        rows, start = torch.as_tensor(at), 0
        for name in _STATE:
            values = self.state[name]
            end = start + values.shape[1]
            values[rows] = torch.as_tensor(states[:, start:end]).to(values)
            start = end
        self._overflow[rows] = 0

    def host(self, name: str) -> np.ndarray:
        """A copy of an array of the data, with a row for each world."""
        return warp.to_torch(getattr(self.data, name)).double().cpu().numpy()

    def contacts(self) -> tuple[np.ndarray, ...]:
        """Of all C contacts: (C,) worlds, (C, 2) geoms, (C,) distances, m, negative inside, and
        (C,) normal forces, N, zero where they don't press; as of the last step."""
        count = min(int(self.data.nacon.numpy()[0]), self.data.naconmax)
        contact = self.data.contact
        worlds, geoms, distances, addresses = (
            array.numpy()[:count]
            for array in (contact.worldid, contact.geom, contact.dist, contact.efc_address)
        )
        addresses = addresses[:, 0]
        pressing = addresses >= 0
        forces = np.zeros(count)
        forces[pressing] = self.data.efc.force.numpy()[worlds[pressing], addresses[pressing]]
        return worlds, geoms, distances.astype(float), forces

    def cast(
        self,
        origin: np.ndarray,
        directions: np.ndarray,
        absent: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """(N, P) how far rays go in each world, in lengths of their directions; inf: for ever.

        Args:
            origin: (3,) of all.
            directions: (P, 3).
            absent: tells of `geom_dataid` which geoms worlds do not have; they are transparent.
        """
        count = len(directions)
        with warp.ScopedDevice(self._device):
            if self._seen is None:
                colours = self.model.geom_rgba.numpy().repeat(self.count, axis=0)
                colours[absent(self.fields["geom_dataid"].cpu().numpy()), 3] = 0.0
                self._seen = replace(self.model, geom_rgba=warp.array(colours, dtype=warp.vec4))
            distances = warp.zeros((self.count, count), dtype=float)
            mujoco_warp.rays(
                self._seen,
                self.data,
                pnt=warp.array(np.broadcast_to(origin, (1, count, 3)), dtype=warp.vec3),
                vec=warp.array(directions[None], dtype=warp.vec3),
                geomgroup=warp.types.vector(6, dtype=float)(*[-1.0] * 6),
                flg_static=True,
                bodyexclude=warp.full(count, -1, dtype=int),
                dist=distances,
                geomid=warp.zeros((self.count, count), dtype=int),
                normal=warp.zeros((self.count, count), dtype=warp.vec3),
            )
            found = distances.numpy().astype(float)
        found[found < 0.0] = np.inf
        return found

    def problems(self, at: Sequence[int]) -> dict[int, list[str]]:
        """What is wrong with some worlds since they were put where they are, where something is."""
        overflow = self._overflow.cpu().numpy()
        bad = {
            f"{what} is not finite or huge": ~(
                (warp.to_torch(getattr(self.data, name)).abs() < HUGE).all(dim=1).cpu().numpy()
            )
            for name, what in (
                ("qpos", "a position"),
                ("qvel", "a speed"),
                ("qacc", "an acceleration"),
            )
        }
        found = {}
        for index in at:
            reasons = [text for text, of_worlds in bad.items() if of_worlds[index]]
            reasons += sorted(
                {
                    text.format(room=self.room)
                    for flag, text in _OVERFLOWS.items()
                    if overflow[index] & flag
                }
            )
            if reasons:
                found[index] = reasons
        return found


def packed(data: mujoco.MjData) -> np.ndarray:
    """(S,) what a world's future depends on."""
    return np.concatenate([getattr(data, name).ravel() for name in _STATE])


def unpack(state: np.ndarray, data: mujoco.MjData) -> None:
    """Be as it was when that was `packed`."""
    start = 0
    for name in _STATE:
        values = getattr(data, name)
        values[:] = state[start : start + values.size].reshape(values.shape)
        start += values.size


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
