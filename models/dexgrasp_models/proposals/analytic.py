"""The analytic proposer: from a fused cloud to ranked grasps, by sampling and gradient alone."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import HandSpec, load_hand
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.progress import Progress, Report
from dexgrasp_models.proposals.proposer import ProposerKind
from dexgrasp_models.proposals.rank import Ranker
from dexgrasp_models.proposals.ranked import ranked_grasps
from dexgrasp_models.proposals.reachability import ArmReach, first_reachable
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface
from dexgrasp_models.synthesis.refine import refine
from dexgrasp_models.synthesis.sampling import sample_grasps
from dexgrasp_models.synthesis.types import Grasp


class AnalyticProposer:
    """Samples hand poses around the object, refines them in one batch, rejects and ranks them.

    Args:
        config: settings.
        execution: what is asked of grasps that are carried out: squeeze, limits, workspace.
        hand: the hand to plan for; by default the Shadow Hand.
        ranker: model of success; by default the fitted one that comes with the package.
        arm: the arm that carries the hand; without it the hand is free and has no forearm.

    Attributes:
        progress: of the last proposal, and whether it was cut short.
        report: is told of a proposal's progress; none by default.
    """

    name = "analytic"

    def __init__(
        self,
        config: EnergyConfig | None = None,
        execution: ExecutionConfig | None = None,
        hand: HandSpec | None = None,
        ranker: Ranker | None = None,
        arm: ArmKinematics | None = None,
    ) -> None:
        self.config = config or EnergyConfig()
        self.execution = execution or ExecutionConfig()
        self._hand = PlanningHand(
            hand or load_hand(), self.execution.coupled, forearm=arm is not None
        )
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

    def candidates(self, cloud: FusedCloud, seed: int) -> list[Grasp]:
        """All refined grasps of a batch, best first, before any is rejected.

        Raises:
            CloudError: the cloud cannot be planned on.
        """
        self.progress = progress = Progress(self.execution.time_budget, self.report)
        progress.begin("surface")
        surface = ObjectSurface.from_cloud(cloud.object_points, cloud.object_normals, self.config)
        energy = GraspEnergy(self._hand, surface, self.config)
        progress.begin("sample")
        batch = sample_grasps(energy, self.config, np.random.default_rng(seed))
        progress.begin("refinement")
        batch = refine(energy, batch, self.config, progress)
        progress.begin("rank")
        grasps = ranked_grasps(energy, batch, self.execution, self._ranker, self.name)
        progress.end()
        return grasps


KIND = ProposerKind(
    EnergyConfig, lambda config, execution, arm: AnalyticProposer(config, execution, arm=arm)
)
