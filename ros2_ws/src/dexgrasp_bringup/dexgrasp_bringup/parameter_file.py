"""A user's ROS parameter file, for several nodes of the graph at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

ParameterValue = bool | int | float | str | list[bool] | list[int] | list[float] | list[str]

_VALUES = "ros__parameters"


class ParameterFileError(ValueError):
    """A parameter file can't be used; the message says why."""


@dataclass(frozen=True)
class ParameterFile:
    """The sections of a file, in order.

    A section's title is a node's name, or ROS's pattern for many (`/**`, `/cell1/*`). Unlike ROS a
    name without a leading slash is a node of the graph's namespace, whichever that is: ROS looks
    for it in the root only, and ignores the section otherwise.
    """

    path: Path
    sections: tuple[tuple[str, Mapping[str, ParameterValue]], ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file.

        Raises:
            ParameterFileError: it can't be read, or is no ROS parameter file.
        """
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ParameterFileError(f"parameter file {path} can't be read: {error}") from None
        except yaml.YAMLError as error:
            raise ParameterFileError(f"{path} is not valid YAML: {error}") from None
        try:
            return cls(path, tuple(_sections(content)))
        except ParameterFileError as error:
            raise ParameterFileError(f"parameter file {path}: {error}") from None

    def values_for(self, name: str, namespace: str = "") -> dict[str, ParameterValue]:
        """What it sets for a node; of two sections the later wins.

        Args:
            name: of the node.
            namespace: of the graph, without slashes at its ends.
        """
        values: dict[str, ParameterValue] = {}
        for title, section in self.sections:
            if _matches(title, name, namespace):
                values |= section
        return values

    def refuse_unused(self, names: Iterable[str], namespace: str = "") -> None:
        """Checks that each section is for one of the nodes `names` at least.

        Raises:
            ParameterFileError: naming a section that is for none.
        """
        names = list(names)
        for title, _ in self.sections:
            if not any(_matches(title, name, namespace) for name in names):
                known = ", ".join(_full_name(name, namespace) for name in names)
                raise ParameterFileError(
                    f"parameter file {self.path}: section '{title}' is for no node of this graph:"
                    f" {known}"
                )


def _sections(content: Any, title: str = "") -> Iterator[tuple[str, dict[str, ParameterValue]]]:
    """The sections in a mapping, where namespaces may be nested."""
    if not isinstance(content, dict):
        raise ParameterFileError(
            f"'{title}' holds no mapping" if title else f"expected a node's name: {_VALUES}: ..."
        )
    for key, value in content.items():
        if key == _VALUES:
            if not title:
                raise ParameterFileError(f"{_VALUES} stands under no node's name")
            yield title, dict(_flat(value, ""))
        else:
            yield from _sections(value, f"{title}/{str(key).strip('/')}" if title else str(key))


def _flat(values: Any, prefix: str) -> Iterator[tuple[str, ParameterValue]]:
    """Parameters by their full names: groups become prefixes with a dot."""
    if not isinstance(values, dict):
        raise ParameterFileError(f"{prefix or _VALUES} must hold names and values")
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str | list):
            yield f"{prefix}{key}", value
        else:
            raise ParameterFileError(f"parameter '{prefix}{key}' has no value")


def _full_name(name: str, namespace: str) -> str:
    return f"/{namespace}/{name}" if namespace else f"/{name}"


def _matches(title: str, name: str, namespace: str) -> bool:
    if not title.startswith("/"):
        title = _full_name(title, namespace)
    tokens = {"**": r"(/\w+)*", "*": r"/\w+"}
    pattern = "".join(tokens.get(token, "/" + re.escape(token)) for token in title[1:].split("/"))
    return re.fullmatch(pattern, _full_name(name, namespace)) is not None
