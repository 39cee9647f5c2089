"""What every proposer offers, and how one is made by name.

A package of one's own adds a proposer by an entry point of the group `GROUP`, named as the proposer
and leading to a `ProposerKind`. Parameters of the proposal node (``<name>.<setting>``), launch
arguments and command-line options know it from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dexgrasp_models.parameters import Parameters
from dexgrasp_models.synthesis.energy_config import AnalyticConfig

if TYPE_CHECKING:
    import numpy as np

    from dexgrasp_models.arm.kinematics import ArmKinematics
    from dexgrasp_models.perception.fusion import FusedCloud
    from dexgrasp_models.progress import Progress
    from dexgrasp_models.synthesis.types import Grasp

GROUP = "dexgrasp.proposers"
"""Of the entry points."""
DEFAULT = "learned"
"""What proposes where nothing is asked for."""
_BUILT_IN = {
    DEFAULT: "dexgrasp_models.proposals.learned:KIND",
    "analytic": "dexgrasp_models.proposals.analytic:KIND",
}
"""Not entry points, so that they are found in sources that are not installed."""


class Proposer(Protocol):
    """Source of ranked grasps for an object cloud."""

    @property
    def name(self) -> str:
        """Name it is registered under."""

    @property
    def progress(self) -> Progress:
        """Of the last proposal: what its stages took, and what a time budget cut short."""

    def propose(self, cloud: FusedCloud, n: int, seed: int) -> list[Grasp]:
        """At most ``n`` grasps that can be carried out, best first.

        The same cloud, ``n`` and ``seed`` give the same grasps to the bit on one machine.

        Raises:
            CloudError: the cloud cannot be planned on.
            NoProposalError: no grasp is left.
        """


@runtime_checkable
class DrawsRotations(Protocol):
    """A proposer that has a density of rotations to show."""

    def rotation_picture(self, cloud: FusedCloud, grasps: list[Grasp]) -> np.ndarray:
        """(H, W, 3) uint8 picture of p(R|X), with the palms of some grasps in it."""


@dataclass(frozen=True)
class ProposerKind:
    """How the proposers of a name are made.

    Attributes:
        config: type of their settings, all of which have defaults.
        make: gives a proposer for settings, what is asked of grasps that are carried out, and the
            arm, None where the hand is free. Raises ValueError where they can't be used.
    """

    config: type[Parameters]
    make: Callable[[Any, AnalyticConfig, ArmKinematics | None], Proposer]


@cache
def _sources() -> dict[str, EntryPoint]:
    built_in = {name: EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()}
    return {each.name: each for each in entry_points(group=GROUP)} | built_in


def proposer_names() -> tuple[str, ...]:
    """The proposers there are, the default first."""
    return tuple(sorted(_sources(), key=lambda name: (name != DEFAULT, name)))


def proposer_kind(name: str) -> ProposerKind:
    """How proposers of a name are made.

    Raises:
        ValueError: there is none of this name, the message lists those there are; or what its
            package offers can't be loaded, or is none.
    """
    source = _sources().get(name)
    if source is None:
        raise ValueError(f"no proposer {name!r}; there are: {', '.join(proposer_names())}")
    try:
        kind = source.load()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"proposer {name} ({source.value}) can't be loaded: {error}") from error
    if not isinstance(kind, ProposerKind):
        raise ValueError(f"proposer {name}: {source.value} is a {type(kind).__name__}, no kind")
    return kind


def proposer_config(name: str, **values: Any) -> Parameters:
    """Settings of a proposer; those that are None stay as they are by default.

    Raises:
        ValueError: it has no such setting, or not of this value.
    """
    given = {setting: value for setting, value in values.items() if value is not None}
    return proposer_kind(name).config.from_mapping(given)


def make_proposer(
    name: str,
    config: Parameters | None = None,
    *,
    execution: AnalyticConfig | None = None,
    arm: ArmKinematics | None = None,
) -> Proposer:
    """The proposer of this name.

    Args:
        name: of `proposer_names`.
        config: its settings; by default all as they are.
        execution: what is asked of any proposer's grasps: squeeze, limits, workspace.
        arm: the arm that carries the hand; without it the hand is free.

    Raises:
        ValueError: no such proposer; the message lists those there are.
        WeightsError: the learned proposer has no weights, or they can't be used.
    """
    kind = proposer_kind(name)
    return kind.make(config or kind.config(), execution or AnalyticConfig(), arm)
