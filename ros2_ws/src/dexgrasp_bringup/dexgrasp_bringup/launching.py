"""The graph as actions of ``ros2 launch``. Only the launch files import this module."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros import parameter_descriptions as launch_descriptions
from launch_ros.actions import Node

from dexgrasp_bringup.graph import (
    GraphNode,
    HardwareOptions,
    ParameterValue,
    SimulationOptions,
)

Options = TypeVar("Options", SimulationOptions, HardwareOptions)


def declared_arguments(options: type[Options]) -> list[DeclareLaunchArgument]:
    """One launch argument for each field of an options class."""
    return [
        DeclareLaunchArgument(
            option.name,
            default_value=_text(option.default),
            description=option.metadata["description"],
            choices=_choices(option),
        )
        for option in dataclasses.fields(options)
    ]


def given_options(context: LaunchContext, options: type[Options]) -> Options:
    """The options with the values given on the command line.

    Raises:
        ValueError: a number is none.
    """
    values = {}
    for option in dataclasses.fields(options):
        text = LaunchConfiguration(option.name).perform(context)
        kind = type(option.default)
        try:
            values[option.name] = text == "true" if kind is bool else kind(text)
        except ValueError:
            raise ValueError(f"{option.name} must be a number, not {text!r}") from None
    return options(**values)


def launch_nodes(graph: Sequence[GraphNode]) -> list[Node]:
    """A launch action for each node; all stop when one ends."""
    return [
        Node(
            package=node.package,
            executable=node.executable,
            name=node.name,
            parameters=[*filter(None, [node.parameter_file]), _typed(node.parameters)],
            output="screen",
            on_exit=Shutdown(reason=f"{node.name} ended"),
        )
        for node in graph
    ]


def _typed(parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """With texts marked as such, or launch reads them as YAML: a mesh named 1, a whole URDF."""
    return {
        name: launch_descriptions.ParameterValue(value, value_type=str)
        if isinstance(value, str)
        else value
        for name, value in parameters.items()
    }


def _text(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choices(option: dataclasses.Field) -> Sequence[str] | None:
    if isinstance(option.default, bool):
        return ("true", "false")
    return option.metadata["choices"] or None
