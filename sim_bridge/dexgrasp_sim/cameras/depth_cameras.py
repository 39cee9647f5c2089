"""The depth cameras of a scene, which draw a `Snapshot` of it, whatever simulated it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from dexgrasp_models.config import find_config
from dexgrasp_models.objects import ObjectModel
from dexgrasp_models.perception.cameras import CameraModel, load_rig
from dexgrasp_models.perception.ray_casting import Hits, RayCaster
from dexgrasp_sim.cameras.scene_surfaces import SceneSurfaces
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.noise import measure_depth
from dexgrasp_sim.scene import SceneConfig


def cameras_of(config: SceneConfig) -> Mapping[str, CameraModel]:
    """The cameras of a scene's rig by name.

    Raises:
        FileNotFoundError: there is no such rig.
        RigError: the rig can't be used.
    """
    return {camera.name: camera for camera in load_rig(find_config(config.cameras))}


def camera_of(cameras: Mapping[str, CameraModel], name: str) -> CameraModel:
    """One of them.

    Raises:
        KeyError: there is no such camera.
    """
    if name not in cameras:
        raise KeyError(f"no camera {name!r}; there are {', '.join(cameras)}")
    return cameras[name]


class DepthCameras:
    """Ray casts object, table and robot from their descriptions, and adds the cameras' noise.

    Images depend on the snapshot alone, noise on its seed and time too, not on what was drawn
    before.

    Args:
        config: of the scene: cameras, noise, table, robot.
        object_model: on the table.

    Attributes:
        config, object_model: as given.
        cameras: the cameras of the rig by name.

    Raises:
        FileNotFoundError: there is no such rig.
        RigError: the rig can't be used.
    """

    def __init__(self, config: SceneConfig, object_model: ObjectModel) -> None:
        self.config = config
        self.object_model = object_model
        self.cameras = cameras_of(config)
        self._placed: Snapshot | None = None
        self._hits: dict[str, Hits] = {}

    def read_depth(self, snapshot: Snapshot, camera: str) -> np.ndarray:
        """(H, W) uint16 depth along the optical axis in the camera's `depth_unit`, 0 where nothing
        was measured.

        Raises:
            KeyError: there is no such camera.
        """
        hits = self._look(snapshot, camera)
        model = self.cameras[camera]
        tick = round(snapshot.time / self.config.control_period)
        stream = np.random.SeedSequence([snapshot.seed, list(self.cameras).index(camera), tick])
        return measure_depth(
            hits.depth,
            hits.cosine,
            model.fx,
            self.config.noise,
            np.random.default_rng(stream),
            model.depth_unit,
        )

    def true_depth(self, snapshot: Snapshot, camera: str) -> np.ndarray:
        """(H, W) m along the optical axis, without noise; inf where there is nothing.

        Raises:
            KeyError: there is no such camera.
        """
        return self._look(snapshot, camera).depth.copy()

    def read_color(self, snapshot: Snapshot, camera: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB.

        Raises:
            KeyError: there is no such camera.
        """
        return self._caster.shade(self._look(snapshot, camera))

    def cast(self, snapshot: Snapshot, camera: CameraModel) -> tuple[Hits, RayCaster]:
        """What any camera sees, body 0 being the object, and the caster that can shade it."""
        self._place(snapshot)
        return self._caster.cast(camera), self._caster

    def _place(self, snapshot: Snapshot) -> None:
        if self._placed is None or not self._placed.equals(snapshot):
            self._caster.place(self._surfaces.poses(snapshot))
            self._placed, self._hits = snapshot, {}

    def _look(self, snapshot: Snapshot, camera: str) -> Hits:
        model = camera_of(self.cameras, camera)
        self._place(snapshot)
        if camera not in self._hits:
            self._hits[camera] = self._caster.cast(model)
        return self._hits[camera]

    @cached_property
    def _surfaces(self) -> SceneSurfaces:
        return SceneSurfaces(self.config, self.object_model)

    @cached_property
    def _caster(self) -> RayCaster:
        """Of what is looked at at all: many simulations have no use for images."""
        return RayCaster(self._surfaces.bodies)
