"""What the proposers have in common: of a batch of candidates, those that can be carried out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.progress import Progress, Report
from dexgrasp_models.proposals.rank import Ranker
from dexgrasp_models.proposals.reachability import ArmReach, first_reachable
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.types import Grasp


class BatchProposer(ABC):
    """Makes a batch of ranked candidates, and rejects those that can't be carried out.

    Args:
        hand: the hand to plan for.
        execution: what is asked of grasps that are carried out: squeeze, limits, workspace.
        ranker: model of success; by default the fitted one that comes with the package.
        arm: the arm that carries the hand; without it the hand is free and has no forearm.

    Attributes:
        execution: as given.
        progress: of the last proposal, and whether it was cut short.
        report: is told of a proposal's progress; none by default.
    """

    name: ClassVar[str]

    def __init__(
        self,
        hand: HandSpec,
        execution: ExecutionConfig | None,
        ranker: Ranker | None,
        arm: ArmKinematics | None,
    ) -> None:
        self.execution = execution or ExecutionConfig()
        self._hand = PlanningHand(hand, self.execution.coupled, forearm=arm is not None)
        self._ranker = ranker or Ranker.load()
        self._reach = ArmReach(arm) if arm else None
        self.progress = Progress()
        self.report: Report | None = None

    @property
    def timings(self) -> dict[str, float]:
        """Seconds that each stage of the last proposal took."""
        return self.progress.timings

    def propose(self, cloud: FusedCloud, n: int, seed: int) -> list[Grasp]:
        """At most ``n`` grasps that can be carried out, best first.

        Args:
            cloud: object points and normals in ``world``.
            n: how many, at most the configured batch.
            seed: of the sampling; the same input gives the same grasps to the bit on one machine.

        Raises:
            CloudError: the cloud cannot be planned on.
            NoProposalError: no grasp is left; its message counts the reasons.
            ValueError: ``n`` is not positive.
        """
        if n < 1:
            raise ValueError(f"n = {n}: ask for at least one grasp")
        grasps = self.candidates(cloud, seed)
        self.progress.begin("reachability")
        reachable = first_reachable(grasps, n, self.execution, self._reach)
        self.progress.end()
        return reachable

    @abstractmethod
    def candidates(self, cloud: FusedCloud, seed: int) -> list[Grasp]:
        """All grasps of a batch, best first, before any is rejected; begins a new `progress`.

        Raises:
            CloudError: the cloud cannot be planned on.
        """
