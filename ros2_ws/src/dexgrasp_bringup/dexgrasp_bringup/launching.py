"""The graph as actions of ``ros2 launch``. Only the launch files import this module."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from launch import LaunchContext
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    Shutdown,
    TimerAction,
)
from launch.events import matches_action
from launch.events.process import ProcessExited, SignalProcess
from launch.substitutions import LaunchConfiguration
from launch_ros import parameter_descriptions as launch_descriptions
from launch_ros.actions import Node

from dexgrasp_bringup.graph import (
    GraphNode,
    SimulationOptions,
    shared_environment,
)
from dexgrasp_bringup.parameter_file import ParameterValue
from dexgrasp_bringup.robot_graph import HardwareOptions

STOP_TIMEOUT = 3.0
"""Seconds that the nodes that move the robot have to stop it, before the others are ended too."""

OnExit = Callable[[ProcessExited, LaunchContext], list[Action]]
Options = TypeVar("Options", SimulationOptions, HardwareOptions)


def declared_arguments(options: type[Options]) -> list[DeclareLaunchArgument]:
    """One launch argument for each field of an options class."""
    return [
        DeclareLaunchArgument(
            option.name,
            default_value=_text(cast(ParameterValue, option.default)),
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
        kind: Any = type(option.default)
        try:
            values[option.name] = text == "true" if kind is bool else kind(text)
        except ValueError:
            raise ValueError(f"{option.name} must be a number, not {text!r}") from None
    return options(**values)


def launch_nodes(graph: Sequence[GraphNode]) -> list[Node]:
    """A launch action for each node.

    When one ends, those that move the robot are interrupted, which stops it; once they have ended,
    or after `STOP_TIMEOUT`, all are.
    """
    commanding = {
        node.name: _launch_node(node, [Shutdown(reason=f"{node.name} ended")])
        for node in graph
        if node.commands
    }
    return [
        commanding.get(node.name)
        or _launch_node(node, partial(_stop_motion_first, node.name, list(commanding.values())))
        for node in graph
    ]


def _launch_node(node: GraphNode, on_exit: list[Action] | OnExit) -> Node:
    return Node(
        package=node.package,
        executable=node.executable,
        name=node.name,
        namespace=node.namespace or None,
        remappings=list(node.remappings.items()),
        parameters=[*filter(None, [node.parameter_file]), _typed(node.parameters)],
        ros_arguments=["--log-level", node.log_level] if node.log_level else [],
        additional_env=shared_environment(),
        output="screen",
        on_exit=on_exit,
    )


def _stop_motion_first(
    name: str, commanding: Sequence[Node], _: ProcessExited, context: LaunchContext
) -> list[Action]:
    """What follows the end of a node that does not move the robot itself."""
    if context.is_shutdown:
        return []
    reason = f"{name} ended"
    interrupts = [
        EmitEvent(
            event=SignalProcess(signal_number=signal.SIGINT, process_matcher=matches_action(node))
        )
        for node in commanding
    ]
    return [
        LogInfo(msg=f"{reason}: the motion is stopped, then all nodes"),
        *interrupts,
        TimerAction(period=STOP_TIMEOUT, actions=[Shutdown(reason=reason)]),
    ]


def _typed(parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """With texts marked as such, or launch reads them as YAML: a mesh named 1, a whole URDF."""
    return {name: _marked(value) for name, value in parameters.items()}


def _marked(value: ParameterValue) -> Any:
    if isinstance(value, str):
        return launch_descriptions.ParameterValue(value, value_type=str)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return launch_descriptions.ParameterValue(value, value_type=list[str])
    return value


def _text(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choices(option: dataclasses.Field) -> Sequence[str] | None:
    if isinstance(option.default, bool):
        return ("true", "false")
    return option.metadata["choices"] or None
