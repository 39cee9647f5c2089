"""Typed node parameters, declared from a frozen dataclass with range, unit and description.

Its fields are those of :mod:`dexgrasp_models.parameters`: a core's configuration class is declared
as it stands, and a node's own class is written the same way::

    @dataclass(frozen=True)
    class ProposalParameters(Parameters):
        count: int = parameter(16, 1, 256, "", "how many grasps to return")

    parameters = declare_parameters(node, ProposalParameters)
    executor = declare_parameters(node, ExecutorConfig, prefix="executor.")

Unless it is made by :func:`settable_while_active` a parameter is fixed while the node is active.
Set before, it takes effect when the node is configured or activated next: a node reads what
:func:`current_parameters` gives in its ``configure``.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection
from typing import Any, Literal, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.parameter import Parameter

from dexgrasp_models.parameters import Parameters, choices_of, expected_instead

Declared = TypeVar("Declared", bound=Parameters)

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


def settable_while_active(field: Any) -> Any:
    """The same field, for a parameter that is not fixed while the node is active."""
    metadata = {**field.metadata, "settable_while_active": True}
    return dataclasses.field(default=field.default, metadata=metadata)


def declare_parameters(
    node: Node,
    defaults: Declared | type[Declared],
    prefix: str = "",
    leave_out: Collection[str] = (),
) -> Declared:
    """Declares the fields of a dataclass on ``node`` and returns the present values.

    Args:
        node: gets the parameters.
        defaults: the dataclass, or an instance of it whose values are the defaults.
        prefix: of the parameters' names.
        leave_out: names of fields that are no parameters, and keep their default.

    Neither are fields without metadata. Values out of range are refused: at the start by raising,
    at runtime by an unsuccessful set.

    Raises:
        ParameterError: naming the node, the parameter, its value and what is allowed.
    """
    if isinstance(defaults, type):
        defaults = defaults()
    types = typing.get_type_hints(type(defaults))
    fields = {prefix + f.name: f for f in _parameter_fields(defaults) if f.name not in leave_out}
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


def current_parameters(node: Node, declared: Declared, prefix: str = "") -> Declared:
    """The present values of parameters declared by :func:`declare_parameters`.

    Args:
        node: has the parameters.
        declared: what `declare_parameters` took, or returned.
        prefix: of the parameters' names.

    Raises:
        ParameterError: if the values are allowed one by one, but not together.
    """
    values = {
        f.name: _plain(node.get_parameter_or(prefix + f.name).value, f)
        for f in _parameter_fields(declared)
        if node.has_parameter(prefix + f.name)
    }
    return _replaced(node, declared, values)


def _replaced(node: Node, parameters: Declared, values: dict[str, Any]) -> Declared:
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


def _parameter_fields(parameters: Parameters) -> list[dataclasses.Field]:
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
    if typing.get_origin(python_type) is Literal:
        return _SCALARS[str]
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
    if choices := choices_of(field):
        text += f"; one of: {', '.join(choices)}"
    descriptor = ParameterDescriptor(
        name=name,
        type=ros_type.value,
        description=text,
    )
    constraints = [] if about.get("settable_while_active") else [_FIXED]
    if "range" in about:
        low, high = about["range"]
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


def _problem(value: Any, field: dataclasses.Field) -> str | None:
    """Why ``value`` is not allowed, or None."""
    expected = expected_instead(field, _plain(value, field))
    if expected is None:
        return None
    about = field.metadata
    if "range" in about and isinstance(value, (int, float)):
        (low, high), unit = about["range"], f" {about['unit']}".rstrip()
        return f"is {value:g}{unit}, must be between {low:g} and {high:g}{unit}"
    return f"is {value!r}, must be {expected}"


def _plain(value: Any, field: dataclasses.Field) -> Any:
    if isinstance(field.default, tuple):
        return tuple(value) if value is not None else ()
    return value


def _sentence(node: Node, name: str, problem: str, field: dataclasses.Field) -> str:
    about = field.metadata["description"]
    return f"parameter '{name}' of {node.get_fully_qualified_name()} {problem} ({about})"
