"""Pictures and short videos of a scene, ray cast as the depth images are: no GL needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import imageio.v3 as imageio
import numpy as np

from dexgrasp_models.files import written_whole
from dexgrasp_models.perception.cameras import CameraModel, look_at
from dexgrasp_models.perception.ray_casting import Hits, RayCaster
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.interface import Snapshot

_LIGHT = np.array([0.30, -0.45, 0.85], dtype=np.float32)
_LIGHT /= np.linalg.norm(_LIGHT)
_AMBIENT, _SHADOW, _GLOSS = np.float32(0.45), np.float32(0.55), np.float32(0.18)
_SKY = np.array([206, 218, 230], np.float32)
_HORIZON = np.array([244, 246, 248], np.float32)
_TILE = 0.10  # m: the table's squares give a sense of scale
_TABLE_TOLERANCE = 1e-4  # m
_LIFT_OFF = np.float32(1e-4)  # m between a surface and the start of its shadow ray


def viewpoint(scene: str, width: int = 960, height: int = 720) -> CameraModel:
    """A camera that sees the whole of a scene, `floating` or `arm`, from in front."""
    eye, focus, zoom = {
        "floating": ((0.80, -0.80, 0.62), (-0.14, 0.0, 0.19), 1.15),
        "arm": ((1.05, -1.15, 0.85), (-0.28, 0.0, 0.30), 1.15),
    }[scene]
    focal = zoom * width
    return CameraModel(
        "view", width, height, focal, focal, (width - 1) / 2, (height - 1) / 2, look_at(eye, focus)
    )


class Renderer:
    """Draws snapshots of a scene, with shadows; colours as in the color images.

    Args:
        cameras: of the scene; they know what it consists of.
        camera: from where; a `viewpoint` by default.
        supersampling: rays along each side of a pixel.
    """

    def __init__(
        self,
        cameras: DepthCameras,
        camera: CameraModel | None = None,
        supersampling: int = 2,
    ) -> None:
        self._cameras = cameras
        self._camera = camera or viewpoint(cameras.config.scene)
        self._fine = _refined(self._camera, supersampling)

    def picture(self, snapshot: Snapshot) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        hits, caster = self._cameras.cast(snapshot, self._fine)
        fine = _shaded(hits, caster, self._fine)
        size = (self._camera.width, self._camera.height)
        return cv2.resize(fine, size, interpolation=cv2.INTER_AREA)

    def pictures(self, snapshots: Iterable[Snapshot]) -> Iterator[np.ndarray]:
        """One picture for each snapshot, drawn as it is asked for."""
        return map(self.picture, snapshots)


def save_picture(path: Path, image: np.ndarray) -> None:
    """Write an image in the format of the path's suffix."""
    with written_whole(path) as temporary:
        imageio.imwrite(temporary, image)


def check_video(path: Path) -> None:
    """See that a file's suffix is of a video.

    Raises:
        ValueError: it is neither .mp4 nor .gif.
    """
    if path.suffix not in (".mp4", ".gif"):
        raise ValueError(f"{path}: a video is an .mp4 or a .gif")


def save_video(path: Path, images: Iterable[np.ndarray], rate: float) -> None:
    """Write images as a video (.mp4, needs imageio-ffmpeg) or an animated image (.gif).

    Args:
        path: of the file; nothing is there before all is written.
        images: (H, W, 3) uint8 RGB each; sides that are even.
        rate: images a second.

    Raises:
        ValueError: the suffix is neither.
    """
    check_video(path)
    with written_whole(path) as temporary:
        if path.suffix == ".mp4":
            options = {"fps": rate, "codec": "libx264", "macro_block_size": 2}
            # The stub has no FFMPEG.
            with imageio.imopen(temporary, "w", plugin="FFMPEG") as video:  # type: ignore[call-overload]
                video.write(np.stack(list(images)), **options)
        else:
            imageio.imwrite(temporary, np.stack(list(images)), duration=1000.0 / rate, loop=0)


def _refined(camera: CameraModel, factor: int) -> CameraModel:
    """The same view with `factor` times as many pixels along each side."""
    return CameraModel(
        camera.name,
        camera.width * factor,
        camera.height * factor,
        camera.fx * factor,
        camera.fy * factor,
        (camera.cx + 0.5) * factor - 0.5,
        (camera.cy + 0.5) * factor - 0.5,
        camera.world_T_optical,
    )


def _shaded(hits: Hits, caster: RayCaster, camera: CameraModel) -> np.ndarray:
    """(H, W, 3) uint8: one lamp with shadows and a little gloss, a tiled table, a pale sky."""
    seen = hits.bodies >= 0
    directions, inverse_length = caster.directions(camera)
    depth = np.where(seen, hits.depth, np.float32(0.0))[..., None]
    points = camera.world_T_optical[:3, 3].astype(np.float32) + depth * directions

    facing = hits.normals @ _LIGHT
    dark = (facing <= 0.0) | caster.occluded(points + _LIFT_OFF * hits.normals, _LIGHT)
    halfway = _LIGHT - directions * inverse_length[..., None]
    cosine = np.einsum("hwi,hwi->hw", hits.normals, halfway)
    cosine *= 1.0 / np.sqrt(np.einsum("hwi,hwi->hw", halfway, halfway))
    gloss = np.where(dark, 0.0, _GLOSS * np.clip(cosine, 0.0, 1.0) ** 32)
    light = _AMBIENT + (1.0 - _AMBIENT) * np.clip(facing, 0.0, 1.0)
    light = np.where(dark, np.minimum(light, _SHADOW), light)
    squares = np.floor(points[..., :2] * (1.0 / _TILE)).astype(np.int32).sum(axis=-1) & 1
    on_table = (hits.normals[..., 2] > 0.999) & (np.abs(points[..., 2]) < _TABLE_TOLERANCE)
    light = np.where(on_table & (squares == 1), 0.955 * light, light)

    slope = np.linspace(0.0, 1.0, camera.height, dtype=np.float32)[:, None, None]
    color = 255.0 * np.clip(caster.colors[hits.bodies] * light[..., None] + gloss[..., None], 0, 1)
    sky = _SKY + slope * (_HORIZON - _SKY)
    return np.where(seen[..., None], color, sky).astype(np.uint8)
