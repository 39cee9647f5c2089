"""Import Open3D, which links against libusb (for RealSense cameras) without shipping it."""

from __future__ import annotations

import functools
from types import ModuleType

from dexgrasp_models.libusb import load_libusb


@functools.cache
def import_open3d() -> ModuleType:
    """The `open3d` module.

    Raises:
        ImportError: Open3D is not installed, or neither the system nor `libusb-package` has libusb.
    """
    load_libusb("Open3D")
    import open3d

    return open3d
