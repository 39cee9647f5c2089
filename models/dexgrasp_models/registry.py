"""What is chosen by name, from here or from any installed package.

A package of one's own adds an entry by an entry point of the registry's group. Parameters of the
nodes, launch arguments and command-line options know its name from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

Kind = TypeVar("Kind")


class Registry(Generic[Kind]):
    """Kinds of something, by name; each is imported when it is asked for.

    Args:
        what: is registered, a word for messages.
        group: of the entry points.
        kind: type that each leads to.
        built_in: ``module:attribute`` by name, the default first. Not entry points, so that they
            are found in sources that are not installed.
    """

    def __init__(
        self, what: str, group: str, kind: type[Kind], built_in: Mapping[str, str]
    ) -> None:
        self.what = what
        self.group = group
        self._kind = kind
        self._built_in = built_in
        self.default = next(iter(built_in))

    @cached_property
    def _sources(self) -> dict[str, EntryPoint]:
        built_in = {
            name: EntryPoint(name, value, self.group) for name, value in self._built_in.items()
        }
        return {each.name: each for each in entry_points(group=self.group)} | built_in

    @property
    def names(self) -> tuple[str, ...]:
        """Those there are, the default first."""
        return tuple(sorted(self._sources, key=lambda name: (name != self.default, name)))

    def __getitem__(self, name: str) -> Kind:
        """The kind of a name.

        Raises:
            ValueError: there is none of this name, the message lists those there are; or what its
                package offers can't be loaded, or is none.
        """
        source = self._sources.get(name)
        if source is None:
            raise ValueError(f"no {self.what} {name!r}; there are: {', '.join(self.names)}")
        try:
            kind = source.load()
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f"{self.what} {name} ({source.value}) can't be loaded: {error}"
            ) from error
        if not isinstance(kind, self._kind):
            raise ValueError(
                f"{self.what} {name}: {source.value} is a {type(kind).__name__},"
                f" no {self._kind.__name__}"
            )
        return kind
