"""The bytes of images and clouds, read as their messages lay them out."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image, PointCloud2, PointField


class MessageError(ValueError):
    """A message does not hold what its topic promises; the message says what is wrong."""


def image_rows(message: Image, pixel: int, what: str) -> np.ndarray:
    """(H, W * pixel) uint8 of an image whose pixels have so many bytes, without its padding.

    Raises:
        MessageError: its sizes don't fit its data.
    """
    height, width, step = message.height, message.width, message.step
    if not (height and width) or step < width * pixel or len(message.data) != step * height:
        raise MessageError(
            f"{what} image of {width} x {height} with {len(message.data)} bytes, {step} a row"
        )
    return np.frombuffer(message.data, np.uint8).reshape(height, step)[:, : width * pixel]


def float_fields(message: PointCloud2, names: tuple[str, ...]) -> np.ndarray | None:
    """(N, F) float32 of fields of a cloud, None where one of them is none of such numbers.

    Raises:
        MessageError: its sizes don't fit its data.
    """
    kinds = {PointField.FLOAT32: "f4", PointField.FLOAT64: "f8"}
    fields = {f.name: (f.offset, kinds[f.datatype]) for f in message.fields if f.datatype in kinds}
    if not all(name in fields for name in names):
        return None
    height, width, step = message.height, message.width, message.point_step
    row = message.row_step if height > 1 else max(message.row_step, width * step)
    end = max(fields[name][0] + int(fields[name][1][1:]) for name in names)
    if end > step or row < width * step or len(message.data) < row * height:
        raise MessageError(
            f"cloud of {width} x {height} points of {step} bytes with {len(message.data)} bytes, "
            f"{row} a row"
        )
    if not width * height:
        return np.zeros((0, len(names)), np.float32)
    order = ">" if message.is_bigendian else "<"
    formats = [order + fields[name][1] for name in names]
    offsets = [fields[name][0] for name in names]
    kind = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": step})
    data = np.frombuffer(message.data, np.uint8, row * height).reshape(height, row)
    records = np.ascontiguousarray(data[:, : width * step]).reshape(-1).view(kind)
    return np.column_stack([records[name] for name in names]).astype(np.float32)
