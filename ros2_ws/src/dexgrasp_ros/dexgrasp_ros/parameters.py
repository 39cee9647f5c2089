"""Typed node parameters, declared from a frozen dataclass with range, unit and description.

The fields carry the metadata of :mod:`dexgrasp_models.parameters`, so a core's configuration class
is declared as it stands, and a node's own class is written the same way with :func:`parameter`::

    @dataclass(frozen=True)
    class ProposalParameters:
        count: int = parameter(16, "how many grasps to return", low=1, high=256)

    parameters = declare_parameters(node, ProposalParameters)
    executor = declare_parameters(node, ExecutorConfig, prefix="executor.")

Unless it is marked with ``read_only=False`` a parameter is fixed while the node is active. Set
before, it takes effect when the node is configured or activated next: a node reads what
:func:`current_parameters` gives in its ``configure``.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import TYPE_CHECKING, Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.parameter import Parameter

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Parameters = TypeVar("Parameters", bound="DataclassInstance")

_FIXED = "fixed while the node is active"
"""Among the constraints in a parameter's description."""

_SCALARS = {
    bool: (Parameter.Type.BOOL, "true or false"),
    int: (Parameter.Type.INTEGER, "a whole number, as in 3"),
    float: (Parameter.Type.DOUBLE, "a number with a decimal point, as in 3.0"),
    str: (Parameter.Type.STRING, "a text"),
}
_LISTS = {
    float: (Parameter.Type.DOUBLE_ARRAY, "a list of numbers with points, as in [1.0, 2.0]"),
    str: (Parameter.Type.STRING_ARRAY, "a list of texts, as in [a, b]"),
}


class ParameterError(ValueError):
    """A parameter has a value that it must not have; the message says which are allowed."""


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
    """A dataclass field that is a parameter of a node.

    Args:
        default: the value where none is given.
        description: what it does.
        unit: SI unit where it has one.
        low, high: the allowed range of a number, both or neither.
        choices: the allowed texts.
        read_only: whether it is fixed while the node is active.
    """
    metadata = {
        "description": description,
        "unit": unit,
        "choices": choices,
        "read_only": read_only,
    }
    if low is not None and high is not None:
        metadata["range"] = (low, high)
    return dataclasses.field(default=default, metadata=metadata)


def declare_parameters(
    node: Node, defaults: Parameters | type[Parameters], prefix: str = ""
) -> Parameters:
    """Declares the fields of a dataclass on ``node`` and returns the present values.

    Args:
        node: gets the parameters.
        defaults: the dataclass, or an instance of it whose values are the defaults.
        prefix: of the parameters' names.

    Fields without metadata are no parameters and keep their default. Values out of range are
    refused: at the start by raising, at runtime by an unsuccessful set.

    Raises:
        ParameterError: naming the node, the parameter, its value and what is allowed.
    """
    if isinstance(defaults, type):
        defaults = defaults()
    types = typing.get_type_hints(type(defaults))
    fields = {prefix + f.name: f for f in _parameter_fields(defaults)}
    for name, field in fields.items():
        _declare(node, name, field, types[field.name], getattr(defaults, field.name))

    def refuse_forbidden(changed: list[Parameter]) -> SetParametersResult:
        ours = {each.name: each.value for each in changed if each.name in fields}
        for name, value in ours.items():
            if problem := _problem(value, fields[name]):
                return _refused(_sentence(node, name, problem, fields[name]))
        values = {fields[name].name: _plain(value, fields[name]) for name, value in ours.items()}
        try:
            _replaced(node, current_parameters(node, defaults, prefix), values)
        except ParameterError as error:
            return _refused(str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(refuse_forbidden)
    return current_parameters(node, defaults, prefix)


def current_parameters(node: Node, declared: Parameters, prefix: str = "") -> Parameters:
    """The present values of parameters declared by :func:`declare_parameters`.

    Args:
        node: has the parameters.
        declared: what `declare_parameters` took, or returned.
        prefix: of the parameters' names.

    Raises:
        ParameterError: if the values are allowed one by one, but not together.
    """
    values = {f.name: _present_value(node, prefix + f.name, f) for f in _parameter_fields(declared)}
    return _replaced(node, declared, values)


def _replaced(node: Node, parameters: Parameters, values: dict[str, Any]) -> Parameters:
    try:
        return dataclasses.replace(parameters, **values)
    except ValueError as error:
        raise ParameterError(f"parameters of {node.get_fully_qualified_name()}: {error}") from None


def is_fixed_while_active(node: Node, name: str) -> bool:
    """Whether a parameter of ``node`` can't be set while it is active."""
    return (
        node.has_parameter(name) and _FIXED in node.describe_parameter(name).additional_constraints
    )


def refuse_while_active(node: Node, changed: list[Parameter]) -> SetParametersResult:
    """What an active node answers to a change of parameters."""
    fixed = [each.name for each in changed if is_fixed_while_active(node, each.name)]
    if not fixed:
        return SetParametersResult(successful=True)
    return _refused(
        f"parameter '{fixed[0]}' of {node.get_fully_qualified_name()} is fixed while the node is"
        " active: deactivate the node, set it, and activate again"
    )


def _refused(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)


def _parameter_fields(parameters: Any) -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(parameters) if field.metadata]


def _declare(
    node: Node, name: str, field: dataclasses.Field, python_type: Any, default: Any
) -> None:
    ros_type, written_as = _ros_type(python_type)
    override = node._parameter_overrides.get(name)
    if override is not None and override.type_ == ros_type:
        # Checked before declaring, as rclpy's own message has neither unit nor description.
        problem = _problem(override.value, field)
        if problem:
            raise ParameterError(_sentence(node, name, problem, field))
    # An empty list has no element type: it is declared by its type alone, and reads as empty.
    value = ros_type if default == () else default
    try:
        node.declare_parameter(name, value, _descriptor(name, ros_type, field))
    except InvalidParameterTypeException:
        assert override is not None  # the default has the type
        problem = f"is {override.value!r}, must be {written_as}"
        raise ParameterError(_sentence(node, name, problem, field)) from None


def _ros_type(python_type: Any) -> tuple[Parameter.Type, str]:
    if typing.get_origin(python_type) is tuple:
        return _LISTS[typing.get_args(python_type)[0]]
    return _SCALARS[python_type]


def _descriptor(
    name: str, ros_type: Parameter.Type, field: dataclasses.Field
) -> ParameterDescriptor:
    about = field.metadata
    text = about["description"]
    if about["unit"]:
        text += f" [{about['unit']}]"
    if about.get("choices"):
        text += f"; one of: {', '.join(about['choices'])}"
    descriptor = ParameterDescriptor(
        name=name,
        type=ros_type.value,
        description=text,
    )
    constraints = [_FIXED] if about.get("read_only", True) else []
    if allowed := _range(field):
        low, high = allowed
        if ros_type == Parameter.Type.INTEGER:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        elif ros_type == Parameter.Type.DOUBLE:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
        else:  # ROS knows ranges of single numbers only
            constraints.insert(0, f"each between {low:g} and {high:g}")
    descriptor.additional_constraints = "; ".join(constraints)
    return descriptor


def _range(field: dataclasses.Field) -> tuple[float, float] | None:
    about = field.metadata
    return about.get("range") or ((about["low"], about["high"]) if "low" in about else None)


def _problem(value: Any, field: dataclasses.Field) -> str | None:
    """Why ``value`` is not allowed, or None."""
    about = field.metadata
    unit = f" {about['unit']}" if about["unit"] else ""
    items = value if isinstance(value, (tuple, list)) else [value]
    for item in items:
        if about.get("choices") and item not in about["choices"]:
            return f"is '{item}', must be one of: {', '.join(about['choices'])}"
        if allowed := _range(field):
            low, high = allowed
            if not (math.isfinite(item) and low <= item <= high):
                return f"is {item:g}{unit}, must be between {low:g} and {high:g}{unit}"
    return None


def _present_value(node: Node, name: str, field: dataclasses.Field) -> Any:
    return _plain(node.get_parameter_or(name).value, field)


def _plain(value: Any, field: dataclasses.Field) -> Any:
    if isinstance(field.default, tuple):
        return tuple(value) if value is not None else ()
    return value


def _sentence(node: Node, name: str, problem: str, field: dataclasses.Field) -> str:
    about = field.metadata["description"]
    return f"parameter '{name}' of {node.get_fully_qualified_name()} {problem} ({about})"
