"""The analytic proposer: from a fused cloud to ranked grasps, by sampling and gradient alone."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.spec import HandSpec, load_hand
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.progress import Progress
from dexgrasp_models.proposals.batch_proposer import BatchProposer
from dexgrasp_models.proposals.proposer import ProposerKind
from dexgrasp_models.proposals.rank import Ranker
from dexgrasp_models.proposals.ranked import ranked_grasps
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface
from dexgrasp_models.synthesis.refine import refine
from dexgrasp_models.synthesis.sampling import sample_grasps
from dexgrasp_models.synthesis.types import Grasp


class AnalyticProposer(BatchProposer):
    """Samples hand poses around the object, refines them in one batch, rejects and ranks them.

    Args:
        config: settings.
        execution: what is asked of grasps that are carried out: squeeze, limits, workspace.
        hand: the hand to plan for; by default the Shadow Hand.
        ranker: model of success; by default the fitted one that comes with the package.
        arm: the arm that carries the hand; without it the hand is free and has no forearm.

    Attributes: those of `BatchProposer`.
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
        super().__init__(hand or load_hand(), execution, ranker, arm)
        self.config = config or EnergyConfig()

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
