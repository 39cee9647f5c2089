"""What every proposer offers, and how one is made by name."""

from __future__ import annotations

from typing import Protocol

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.progress import Progress
from dexgrasp_models.proposals.analytic import AnalyticProposer
from dexgrasp_models.proposals.learned import LearnedConfig, LearnedProposer
from dexgrasp_models.synthesis.energy_config import PROPOSERS, AnalyticConfig
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


def make_proposer(
    name: str,
    *,
    analytic: AnalyticConfig | None = None,
    learned: LearnedConfig | None = None,
    arm: ArmKinematics | None = None,
) -> Proposer:
    """The proposer of this name.

    Args:
        name: of `PROPOSERS`.
        analytic: settings of the analytic proposer, and of how any proposer's grasps are executed.
        learned: settings of the learned proposer.
        arm: the arm that carries the hand; without it the hand is free.

    Raises:
        ValueError: no such proposer; the message lists those there are.
        WeightsError: the learned proposer has no weights, or they can't be used.
    """
    if name == "analytic":
        return AnalyticProposer(analytic, arm=arm)
    if name == "learned":
        return LearnedProposer(learned, analytic, arm=arm)
    raise ValueError(f"no proposer {name!r}; there are: {', '.join(PROPOSERS)}")
