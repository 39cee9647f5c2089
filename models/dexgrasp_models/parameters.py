"""Typed configuration: dataclasses whose fields carry what they may be, their unit and meaning.

A configuration class derives from :class:`Parameters`, which checks it, and lists its fields with

- :func:`parameter`: a number, or a tuple of numbers;
- :func:`choice`: one of several texts;
- :func:`flag`: yes or no;
- :func:`text`: any text, or a tuple of texts.

ROS nodes declare their parameters from the same metadata, so a default, a range or a unit is
written down once::

    @dataclass(frozen=True)
    class LiftConfig(Parameters):
        height: float = parameter(0.2, 0.0, 0.5, "m", "how far the object is raised")
        verdict: str = choice("cameras", ("cameras", "grip"), "what tells that it was lifted")
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

Choices = tuple[str, ...] | Callable[[], tuple[str, ...]]
"""The texts, or what gives them once they are needed."""


def parameter(
    default: Any, low: float, high: float, unit: str, description: str, *, any_length: bool = False
) -> Any:
    """A dataclass field for a number, or a tuple of numbers, within ``[low, high]``.

    Args:
        default: what it is where nothing is given; where it is whole, other values have to be.
        low, high: least and greatest allowed number.
        unit: of the number; empty where it has none.
        description: what it does.
        any_length: whether a tuple may have any length from one on, and not its default's only.
    """
    return _field(default, description, unit, range=(low, high), any_length=any_length)


def choice(default: str, choices: Choices, description: str) -> Any:
    """A dataclass field for one of several texts."""
    return _field(default, description, choices=choices)


def flag(default: bool, description: str) -> Any:
    """A dataclass field for yes or no."""
    return _field(default, description)


def text(default: str | tuple[str, ...], description: str) -> Any:
    """A dataclass field for a text, or a tuple of any number of them."""
    return _field(default, description, any_length=True)


def _field(default: Any, description: str, unit: str = "", **constraints: Any) -> Any:
    metadata = {"description": description, "unit": unit, **constraints}
    return dataclasses.field(default=default, metadata=metadata)


def choices_of(item: dataclasses.Field[Any]) -> tuple[str, ...]:
    """The texts that a field made by :func:`choice` may be; empty for any other."""
    choices: Choices = item.metadata.get("choices", ())
    return choices() if callable(choices) else choices


def expected_instead(item: dataclasses.Field[Any], value: Any) -> str | None:
    """What a field made by the functions here may be, if `value` is something else; or None."""
    default: Any = item.default
    values = value
    if not isinstance(default, tuple):
        default, values = (default,), (value,)
    elif expected := _expected_length(item, default, value):
        return expected
    if choices := choices_of(item):
        return None if value in choices else f"one of: {', '.join(choices)}"
    if "range" in item.metadata:
        return _expected_numbers(item, default, values)
    if default and isinstance(default[0], bool):
        return None if isinstance(value, bool) else "true or false"
    return None if all(isinstance(each, str) for each in values) else "a text"


def _expected_length(
    item: dataclasses.Field[Any], default: tuple[Any, ...], value: Any
) -> str | None:
    kind = "number" if "range" in item.metadata else "text"
    if not isinstance(value, tuple):
        return f"a list of {kind}s"
    if not item.metadata["any_length"]:
        return None if len(value) == len(default) else f"{len(default)} {kind}s"
    return "at least one number" if kind == "number" and not value else None


def _expected_numbers(
    item: dataclasses.Field[Any], default: tuple[Any, ...], values: tuple[Any, ...]
) -> str | None:
    low, high = item.metadata["range"]
    whole = all(isinstance(number, int) for number in default)
    for number in values:
        is_number = isinstance(number, int if whole else int | float)
        is_number = is_number and not isinstance(number, bool)
        if not is_number or not math.isfinite(number) or not low <= number <= high:
            kind = "a whole number from " if whole and isinstance(number, float) else ""
            return f"{kind}{low:g} to {high:g} {item.metadata['unit']}".rstrip()
    return None


class Parameters:
    """Base of frozen dataclasses of the fields made here; checks them when constructed.

    Numbers must be in their range, and whole where the default is; a tuple must have as many as
    its default, unless any number is allowed. A text must be among its choices. Fields of other
    kinds, as parts that are configurations themselves, are not checked.

    Raises:
        ValueError: naming the class, the parameter, its value and what is allowed.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    """That of the class derived from this one."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.metadata and (expected := expected_instead(item, value)):
                raise ValueError(
                    f"{type(self).__name__}.{item.name} = {value!r}: expected {expected}"
                )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from parsed YAML, also where it has others inside; what is not given keeps its
        default.

        Raises:
            ValueError: for a name that is no parameter, or a value that it may not have.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"{cls.__name__} needs names and values, not {values!r}")
        known = {item.name: item for item in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(
                f"{cls.__name__} has no parameter {', '.join(unknown)}; it has {', '.join(known)}"
            )
        hints = typing.get_type_hints(cls)
        return cls(**{name: _converted(hints[name], value) for name, value in values.items()})


def _converted(kind: Any, value: Any) -> Any:
    """A value of parsed YAML for a field of some kind: a configuration, a tuple, or as it is."""
    if isinstance(kind, type) and issubclass(kind, Parameters):
        return value if isinstance(value, kind) else kind.from_mapping(value)
    if isinstance(value, list | tuple):
        inner = typing.get_args(kind)[:1] if typing.get_origin(kind) is tuple else ()
        return tuple(_converted(inner[0], item) if inner else item for item in value)
    return value
