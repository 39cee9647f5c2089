"""Import Open3D also where Debian's libusb-1.0-0 is not installed.

Open3D's wheel links against libusb (for RealSense cameras) without shipping it. The wheel
`libusb-package` ships the library; loading it first satisfies the linker, so nothing needs root.
"""

from __future__ import annotations

import ctypes
import functools
from types import ModuleType


@functools.cache
def import_open3d() -> ModuleType:
    """The `open3d` module.

    Raises:
        ImportError: Open3D is not installed, or neither the system nor `libusb-package` has libusb.
    """
    try:
        ctypes.CDLL("libusb-1.0.so.0", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        try:
            import libusb_package
        except ImportError as error:
            raise ImportError(
                "Open3D needs libusb-1.0: pip install libusb-package, or apt install libusb-1.0-0"
            ) from error
        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    import open3d

    return open3d
