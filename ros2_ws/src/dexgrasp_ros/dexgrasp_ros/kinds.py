"""Settings of whatever a registry knows, as parameters of a node."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rclpy.node import Node

from dexgrasp_models.parameters import Parameters
from dexgrasp_models.registry import Registry
from dexgrasp_ros.parameters import declare_parameters


def declare_kinds(
    node: Node, registry: Registry[Any], leave_out: Collection[str] = ()
) -> dict[str, Parameters]:
    """Declares the settings of all that a registry has, each as ``<name>.<setting>``.

    What can't be loaded is told and left out: it is no harm to a node that does not use it.

    Args:
        node: gets the parameters.
        registry: its kinds have a `config`, the type of their settings.
        leave_out: names whose settings the node has otherwise.

    Returns:
        The present values by name.
    """
    settings: dict[str, Parameters] = {}
    for name in registry.names:
        if name in leave_out:
            continue
        try:
            config = registry[name].config
        except ValueError as error:
            node.get_logger().warning(f"left out: {error}")
            continue
        settings[name] = declare_parameters(node, config, prefix=f"{name}.")
    return settings
