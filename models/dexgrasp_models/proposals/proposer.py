"""What every proposer offers, and how one is made by name.

A package of one's own adds a proposer by an entry point of the group ``dexgrasp.proposers``, named
as the proposer and leading to a `ProposerKind` (see `registry`). Its settings are parameters of the
proposal node, ``<name>.<setting>``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dexgrasp_models.parameters import Parameters
from dexgrasp_models.registry import Registry
from dexgrasp_models.synthesis.execution_config import ExecutionConfig

if TYPE_CHECKING:
    import numpy as np

    from dexgrasp_models.arm.kinematics import ArmKinematics
    from dexgrasp_models.perception.fusion import FusedCloud
    from dexgrasp_models.progress import Progress
    from dexgrasp_models.synthesis.types import Grasp


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
    make: Callable[[Any, ExecutionConfig, ArmKinematics | None], Proposer]


PROPOSERS = Registry(
    "proposer",
    "dexgrasp.proposers",
    ProposerKind,
    {
        "learned": "dexgrasp_models.proposals.learned:KIND",
        "analytic": "dexgrasp_models.proposals.analytic:KIND",
    },
)


def proposer_config(name: str, **values: Any) -> Parameters:
    """Settings of a proposer; those that are None stay as they are by default.

    Raises:
        ValueError: it has no such setting, or not of this value.
    """
    given = {setting: value for setting, value in values.items() if value is not None}
    return PROPOSERS[name].config.from_mapping(given)


def make_proposer(
    name: str,
    config: Parameters | None = None,
    *,
    execution: ExecutionConfig | None = None,
    arm: ArmKinematics | None = None,
) -> Proposer:
    """The proposer of this name.

    Args:
        name: one of `PROPOSERS`.
        config: its settings; by default all as they are.
        execution: what is asked of any proposer's grasps: squeeze, limits, workspace.
        arm: the arm that carries the hand; without it the hand is free.

    Raises:
        ValueError: no such proposer; the message lists those there are.
        WeightsError: the learned proposer has no weights, or they can't be used.
    """
    kind = PROPOSERS[name]
    return kind.make(config or kind.config(), execution or ExecutionConfig(), arm)
