"""Typed node parameters: one frozen dataclass per node, declared with range, unit, description.

Example::

    @dataclass(frozen=True)
    class ProposalParameters:
        count: int = parameter(16, "How many grasps to return.", low=1, high=256)

    parameters = declare_parameters(node, ProposalParameters)
"""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.parameter import Parameter

Parameters = TypeVar("Parameters")

_ROS_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
    tuple[str, ...]: Parameter.Type.STRING_ARRAY,
    tuple[float, ...]: Parameter.Type.DOUBLE_ARRAY,
}

_WRITTEN_AS = {
    bool: "true or false",
    int: "a whole number, as in 3",
    float: "a number with a decimal point, as in 3.0",
    str: "a text",
    tuple[str, ...]: "a list of texts, as in [a, b]",
    tuple[float, ...]: "a list of numbers with decimal points, as in [1.0, 2.0]",
}


class ParameterError(ValueError):
    """A parameter has a value that it must not have; the message says which are allowed."""


@dataclasses.dataclass(frozen=True)
class _Limits:
    description: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    read_only: bool

    def describe(self) -> str:
        """The description with its unit and what is allowed, for the parameter's descriptor."""
        parts = [self.description]
        if self.unit:
            parts.append(f"Unit: {self.unit}.")
        if self.choices:
            parts.append(f"One of: {', '.join(self.choices)}.")
        return " ".join(parts)

    def problem(self, value: Any) -> str | None:
        """Why ``value`` is not allowed, or None."""
        unit = f" {self.unit}" if self.unit else ""
        if self.choices:
            chosen = value if isinstance(value, (tuple, list)) else (value,)
            for item in chosen:
                if item not in self.choices:
                    return f"is '{item}', must be one of: {', '.join(self.choices)}"
        if self.low is not None:
            numbers = value if isinstance(value, (tuple, list)) else (value,)
            for number in numbers:
                if not (self.low <= number <= self.high) or not math.isfinite(number):
                    return f"is {number}{unit}, must be between {self.low} and {self.high}{unit}"
        return None


def parameter(
    default: Any,
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = True,
) -> Any:
    """A dataclass field that is a node parameter.

    Args:
        default: the value where none is given.
        description: what it does, a sentence.
        unit: SI unit where it has one.
        low, high: the allowed range of a number, both or neither.
        choices: the allowed texts.
        read_only: whether it is fixed once the node has started.
    """
    if (low is None) != (high is None):
        raise TypeError("give both low and high, or neither")
    limits = _Limits(description, unit, low, high, choices, read_only)
    return dataclasses.field(default=default, metadata={"parameter": limits})


def declare_parameters(node: Node, parameters_type: type[Parameters]) -> Parameters:
    """Declares every field of ``parameters_type`` on ``node`` and returns the present values.

    Values out of range are refused: at the start by raising, at runtime by an unsuccessful set.

    Raises:
        ParameterError: naming the node, the parameter, its value and what is allowed.
    """
    types = typing.get_type_hints(parameters_type)
    limits = {f.name: f.metadata["parameter"] for f in dataclasses.fields(parameters_type)}
    for field in dataclasses.fields(parameters_type):
        _declare(node, field, types[field.name])

    def refuse_forbidden(changed: list[Parameter]) -> SetParametersResult:
        for each in changed:
            problem = limits[each.name].problem(each.value) if each.name in limits else None
            if problem:
                return SetParametersResult(
                    successful=False, reason=_sentence(node, each.name, problem, limits[each.name])
                )
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(refuse_forbidden)
    return current_parameters(node, parameters_type)


def current_parameters(node: Node, parameters_type: type[Parameters]) -> Parameters:
    """The present values of parameters declared by :func:`declare_parameters`."""
    return parameters_type(
        **{f.name: _present_value(node, f) for f in dataclasses.fields(parameters_type)}
    )


def _declare(node: Node, field: dataclasses.Field, python_type: Any) -> None:
    limits: _Limits = field.metadata["parameter"]
    ros_type = _ROS_TYPES[python_type]
    override = node._parameter_overrides.get(field.name)
    if override is not None and override.type_ == ros_type:
        # Checked before declaring, as rclpy's own message has neither unit nor description.
        problem = limits.problem(override.value)
        if problem:
            raise ParameterError(_sentence(node, field.name, problem, limits))
    descriptor = ParameterDescriptor(
        name=field.name,
        type=ros_type.value,
        description=limits.describe(),
        read_only=limits.read_only,
    )
    if limits.low is not None and python_type is int:
        descriptor.integer_range = [
            IntegerRange(from_value=int(limits.low), to_value=int(limits.high))
        ]
    if limits.low is not None and python_type is float:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(limits.low), to_value=float(limits.high))
        ]
    # An empty list has no element type: it is declared by its type alone, and reads as empty.
    default = ros_type if field.default == () else field.default
    try:
        node.declare_parameter(field.name, default, descriptor)
    except InvalidParameterTypeException:
        problem = f"is {override.value!r}, must be {_WRITTEN_AS[python_type]}"
        raise ParameterError(_sentence(node, field.name, problem, limits)) from None


def _present_value(node: Node, field: dataclasses.Field) -> Any:
    value = node.get_parameter_or(field.name).value
    if isinstance(field.default, tuple):
        return tuple(value) if value is not None else ()
    return value


def _sentence(node: Node, name: str, problem: str, limits: _Limits) -> str:
    return (
        f"parameter '{name}' of {node.get_fully_qualified_name()} {problem}"
        f" ({limits.description.rstrip('.')})"
    )
