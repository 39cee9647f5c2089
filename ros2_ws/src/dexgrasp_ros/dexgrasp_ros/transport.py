"""The DDS transport of every process: one whose shared memory holds depth images.

Fast DDS reads a profile when the first participant is created, so this has to be called before
`rclpy.init`. Other middlewares are not touched.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from dexgrasp_models.config import find_config

PROFILE = "fastdds.xml"
"""In ``config/``."""
PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
"""Names the profile to Fast DDS."""


def use_transport_profile(environment: MutableMapping[str, str] | None = None) -> None:
    """Has Fast DDS use the profile of this package, unless one is named already.

    Args:
        environment: of the process; by default this one's.
    """
    environment = os.environ if environment is None else environment
    environment.setdefault(PROFILE_VARIABLE, str(find_config(PROFILE)))
