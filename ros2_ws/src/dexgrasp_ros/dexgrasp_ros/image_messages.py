"""Images and intrinsics as messages, and back."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo, Image

from dexgrasp_models.perception.distortion import Distortion
from dexgrasp_ros.conversions import MessageError, header
from dexgrasp_ros.message_data import image_rows

_UNDISTORTED = Distortion("plumb_bob", (0.0,) * 5)


def depth_to_message(depth: np.ndarray, ns: int, frame_id: str) -> Image:
    """(H, W) uint16 counts, of a millimetre as a rule, to a 16UC1 image."""
    return _image(np.ascontiguousarray(depth, np.uint16), "16UC1", 2, ns, frame_id)


def color_to_message(color: np.ndarray, ns: int, frame_id: str) -> Image:
    """(H, W, 3) uint8 to an rgb8 image."""
    return _image(np.ascontiguousarray(color, np.uint8), "rgb8", 3, ns, frame_id)


def _image(array: np.ndarray, encoding: str, pixel: int, ns: int, frame_id: str) -> Image:
    height, width = array.shape[:2]
    message = Image(
        header=header(ns, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * pixel,
    )
    message.data.frombytes(array.tobytes())
    return message


def depth_from_message(message: Image) -> np.ndarray:
    """(H, W): uint16 counts of a 16UC1 image, float32 metres of a 32FC1 image.

    What is no reading (0, NaN, infinity) is left for the fusion to tell.

    Raises:
        MessageError: on another encoding, or a size that does not fit the data.
    """
    kinds: dict[str, np.dtype] = {
        "16UC1": np.dtype("u2"),
        "mono16": np.dtype("u2"),
        "32FC1": np.dtype("f4"),
    }
    if message.encoding not in kinds:
        raise MessageError(
            f"depth image with encoding '{message.encoding}', expected 16UC1 (millimetres)"
            " or 32FC1 (metres)"
        )
    kind = kinds[message.encoding].newbyteorder(">" if message.is_bigendian else "<")
    rows = np.ascontiguousarray(image_rows(message, kind.itemsize, "depth"))
    return rows.view(kind).astype(kind.newbyteorder("="))


def color_from_message(message: Image) -> np.ndarray:
    """(H, W, 3) uint8, red first, of an rgb8 or bgr8 image.

    Raises:
        MessageError: on another encoding, or a size that does not fit the data.
    """
    if message.encoding not in ("rgb8", "bgr8"):
        raise MessageError(
            f"colour image with encoding '{message.encoding}', expected rgb8 or bgr8"
        )
    rows = image_rows(message, 3, "colour")
    color = rows.reshape(message.height, message.width, 3)
    return color if message.encoding == "rgb8" else color[:, :, ::-1]


def camera_info(
    intrinsics: np.ndarray,
    width: int,
    height: int,
    ns: int,
    frame_id: str,
    distortion: Distortion | None = None,
) -> CameraInfo:
    """Pinhole (3, 3) intrinsics to a CameraInfo; K and P are the same.

    Args:
        intrinsics: (3, 3) matrix, pixels.
        width, height: of the image, pixels.
        ns: stamp.
        frame_id: of the image.
        distortion: of the lens, None where the image has none.
    """
    distortion = distortion or _UNDISTORTED
    projection = np.zeros((3, 4))
    projection[:, :3] = intrinsics
    return CameraInfo(
        header=header(ns, frame_id),
        width=width,
        height=height,
        distortion_model=distortion.model,
        d=list(distortion.coefficients),
        k=np.asarray(intrinsics, float).ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=projection.ravel().tolist(),
    )
