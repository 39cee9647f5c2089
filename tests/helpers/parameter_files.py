"""What the files of parameters say."""

from __future__ import annotations

from typing import Any

from dexgrasp_models.config import load_node_parameters
from dexgrasp_ros.node import CommonParameters


def own_parameters(file: str, node: str) -> dict[str, Any]:
    """What a file sets for a node, without what every node has."""
    common = CommonParameters.__dataclass_fields__
    values = load_node_parameters(file, node)
    return {name: value for name, value in values.items() if name not in common}
