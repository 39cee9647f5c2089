"""Load libusb also where Debian's libusb-1.0-0 is not installed.

The wheels of Open3D and pyrealsense2 link against libusb without shipping it. The wheel
`libusb-package` ships the library; loading it first satisfies the linker, so nothing needs root.
"""

from __future__ import annotations

import ctypes


def load_libusb(needed_by: str) -> None:
    """Load libusb-1.0 for the modules that are imported after it.

    Args:
        needed_by: the package that links against it, for the message.

    Raises:
        ImportError: neither the system nor `libusb-package` has libusb.
    """
    try:
        ctypes.CDLL("libusb-1.0.so.0", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        try:
            import libusb_package
        except ImportError as error:
            raise ImportError(
                f"{needed_by} needs libusb-1.0: pip install libusb-package,"
                " or apt install libusb-1.0-0"
            ) from error
        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
