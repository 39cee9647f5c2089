"""A process of the graph, as launch and demo start it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dexgrasp_bringup.parameter_file import ParameterValue
from dexgrasp_models.config import find_config

REMAPPINGS: Mapping[str, str] = {"/clock": "clock", "/tf": "tf", "/tf_static": "tf_static"}
"""ROS's own absolute names, which nodes in a namespace have as relative ones: one cell's time and
transforms are not another's."""


@dataclass(frozen=True)
class GraphNode:
    """One process of the graph."""

    package: str
    executable: str
    name: str
    config: str | None = None
    """Parameter file in ``config/``."""
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    """Values that take precedence over the file's."""
    namespace: str = ""
    """Without slashes at its ends; empty for the root."""
    log_level: str = ""
    """Least severity that is logged; empty for ROS's default."""
    commands: bool = False
    """Whether it moves the robot: it is stopped first, while the others still run."""

    @property
    def parameter_file(self) -> Path | None:
        """Path of `config`.

        Raises:
            FileNotFoundError: it is in none of the configuration folders.
        """
        return find_config(self.config) if self.config else None

    @property
    def remappings(self) -> Mapping[str, str]:
        """Names that are other ones for this node."""
        return REMAPPINGS if self.namespace else {}
