"""Typed configuration: dataclasses whose fields carry their range, unit and meaning.

A configuration class lists its parameters with :func:`parameter` and :func:`option`, derives from
:class:`Parameters` and so checks itself; ROS nodes declare their parameters from the same metadata,
so a default, a range or a unit is written down once::

    @dataclass(frozen=True)
    class LiftConfig(Parameters):
        height: float = parameter(0.2, 0.0, 0.5, "m", "how far the object is raised")
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self


def parameter(default: Any, low: float, high: float, unit: str, description: str) -> Any:
    """A dataclass field for a number, or a tuple of numbers, within ``[low, high]``."""
    return dataclasses.field(
        default=default,
        metadata={"range": (low, high), "unit": unit, "description": description},
    )


def option(default: Any, description: str) -> Any:
    """A dataclass field for a text, or for yes or no."""
    return dataclasses.field(default=default, metadata={"unit": "", "description": description})


class Parameters:
    """Base of frozen dataclasses built from :func:`parameter`; checks them when constructed.

    Numbers must be in their range, and whole where the default is.

    Raises:
        ValueError: naming the parameter, its value and what is allowed.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    """That of the class derived from this one."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            if "range" not in item.metadata:
                continue
            low, high = item.metadata["range"]
            value = getattr(self, item.name)
            whole = all(isinstance(number, int) for number in _numbers(item.default))
            for number in _numbers(value):
                is_number = isinstance(number, int if whole else int | float)
                is_number = is_number and not isinstance(number, bool)
                if not is_number or not math.isfinite(number) or not low <= number <= high:
                    kind = "a whole number from " if whole and isinstance(number, float) else ""
                    raise ValueError(
                        f"{type(self).__name__}.{item.name} = {value!r}: expected "
                        f"{kind}{low:g} to {high:g} {item.metadata['unit']}".rstrip()
                    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from parsed YAML; what is not given keeps its default.

        Raises:
            ValueError: for a name that is no parameter, or a value out of its range.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"{cls.__name__} needs names and values, not {values!r}")
        known = {item.name: item for item in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(
                f"{cls.__name__} has no parameter {', '.join(unknown)}; it has {', '.join(known)}"
            )
        converted = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**converted)


def _numbers(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
