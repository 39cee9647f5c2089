"""A row's networks, ready to turn a fused cloud into grasps that can be carried out.

What follows the networks' grasps is alike in all rows, and as of the proposers on the robot:
fingers coupled and within their limits, joints before and after the grasp, the ranker.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from dexgrasp_models.evaluation.networks import NetworkFolder
from dexgrasp_models.evaluation.rows import ANALYTIC, ROWS, check_rows
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.adaptation import AdaptationConfig, ContactTarget
from dexgrasp_models.nets.clouds import horizontal_centre, table_top_cloud
from dexgrasp_models.nets.losses import HandBody
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.proposals.analytic import AnalyticProposer
from dexgrasp_models.proposals.learned import LearnedConfig, LearnedProposer, Networks
from dexgrasp_models.proposals.rank import Ranker
from dexgrasp_models.proposals.ranked import ranked_grasps
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface
from dexgrasp_models.synthesis.refine import GraspBatch
from dexgrasp_models.synthesis.types import Grasp

ADAPTATION_STEPS = AdaptationConfig().steps
ENERGY = EnergyConfig()
"""What the ranker's figures of networks' grasps are of."""


class RowProposer(ABC):
    """A row, ready to propose."""

    @abstractmethod
    def propose(self, cloud: FusedCloud, count: int, seed: int) -> list[Grasp]:
        """`count` grasps in `world`, the best-ranked first; none is rejected.

        The same cloud, `count` and `seed` give the same grasps to the bit on one machine.

        Raises:
            CloudError: the cloud can't be planned on.
            ArithmeticError: samples or their adaptation aren't finite.
        """

    def with_one_rotation(
        self, cloud: FusedCloud, rotations: int, count: int, seed: int
    ) -> GraspTensors | None:
        """`count` samples, not adapted, for each of some rotations; None where there is no such.

        In the table-top frame, those of the first rotation first.
        """
        return None

    def log_likelihood(self, points: Tensor, grasps: GraspTensors) -> Tensor | None:
        """(G,) log p(R, t, q|X) of grasps; None where a row has no density.

        Args:
            points: (N, 3) of an object, in the table-top frame, m.
            grasps: G, in the same frame.
        """
        return None


class AnalyticRow(RowProposer):
    """The analytic proposer, whose batch is what is asked for.

    Args:
        energy: its settings, but for the batch.
    """

    def __init__(self, energy: EnergyConfig | None = None) -> None:
        self._energy = energy or EnergyConfig()

    def propose(self, cloud: FusedCloud, count: int, seed: int) -> list[Grasp]:
        """See the base."""
        return AnalyticProposer(replace(self._energy, batch=count)).candidates(cloud, seed)


class LearnedRow(RowProposer):
    """Samples of networks, adapted or not.

    Args:
        name: of `ROWS`.
        folder: of the weights.
        execution: of what any proposer's grasps are carried out with.
        steps: of the adaptation.

    Raises:
        WeightsError: weights are missing or can't be used.
    """

    def __init__(
        self,
        name: str,
        folder: NetworkFolder,
        execution: ExecutionConfig | None = None,
        steps: int = ADAPTATION_STEPS,
    ) -> None:
        row = ROWS[name]
        self._networks, self._cloud = folder.load(row.needs)
        self.name = name
        self._source = row.source(self._networks)
        self._execution = execution or ExecutionConfig()
        spec = load_hand()
        self._hand = PlanningHand(spec, self._execution.coupled)
        self._ranker = Ranker.load()
        self._contact = self._networks.get("contact")
        self._body = HandBody(HandKinematics(spec))
        config = AdaptationConfig(coupled=self._execution.coupled, steps=steps)
        self._adaptation = row.adaptation(self._body, config) if row.adaptation else None

    def propose(self, cloud: FusedCloud, count: int, seed: int) -> list[Grasp]:
        """See the base."""
        # First, as it says what is wrong with a cloud.
        surface = ObjectSurface.from_cloud(cloud.object_points, cloud.object_normals, ENERGY)
        points = torch.as_tensor(cloud.object_points, dtype=torch.float32)
        centre = horizontal_centre(points)
        found = self.adapted(points - centre, count, seed)
        moved = found._replace(translations=found.translations + centre)
        energy = GraspEnergy(self._hand, surface, ENERGY)
        batch = GraspBatch.planned(self._hand, moved.palm_poses, moved.joints)
        return ranked_grasps(energy, batch, self._execution, self._ranker, self.name)

    def with_one_rotation(
        self, cloud: FusedCloud, rotations: int, count: int, seed: int
    ) -> GraspTensors | None:
        """See the base."""
        points = torch.as_tensor(cloud.object_points, dtype=torch.float32)
        seen = table_top_cloud(points - horizontal_centre(points), self._cloud)
        generator = torch.Generator().manual_seed(seed)
        return self._source.with_one_rotation(seen, rotations, count, generator)

    def log_likelihood(self, points: Tensor, grasps: GraspTensors) -> Tensor | None:
        """See the base."""
        return self._source.log_likelihood(table_top_cloud(points, self._cloud), grasps)

    def adapted(self, points: Tensor, count: int, seed: int) -> GraspTensors:
        """`count` samples, adapted, of an object's points (N, 3) in the table-top frame.

        Raises:
            ArithmeticError: samples or their adaptation aren't finite.
        """
        seen = table_top_cloud(points, self._cloud)
        grasps = self._source.sample(seen, count, torch.Generator().manual_seed(seed))
        if not all(torch.isfinite(values).all() for values in grasps):
            raise ArithmeticError(f"samples of {self.name} aren't finite")
        if self._adaptation is None:
            return grasps
        assert self._contact is not None  # what adapts needs it
        target = ContactTarget(self._contact, self._body, seen)
        return self._adaptation(grasps, seen, target).grasps


class RefinedRow(LearnedRow):
    """The learned proposer, whose batch is what is asked for.

    Args:
        name, folder, execution: as of `LearnedRow`.
        config: of the proposer, but for weights and batch.
    """

    def __init__(
        self,
        name: str,
        folder: NetworkFolder,
        execution: ExecutionConfig | None = None,
        config: LearnedConfig | None = None,
    ) -> None:
        super().__init__(name, folder, execution)
        self._config = config or LearnedConfig()

    def propose(self, cloud: FusedCloud, count: int, seed: int) -> list[Grasp]:
        """See the base."""
        found = (self._networks[recipe] for recipe in ("ipdf", "joint", "contact"))
        rotation, flow, contact = found
        networks = Networks(rotation, flow, contact, self._cloud)
        config = replace(self._config, batch=count)
        proposer = LearnedProposer(config, self._execution, networks=networks)
        return proposer.candidates(cloud, seed)


def make_row(
    name: str,
    folder: NetworkFolder,
    energy: EnergyConfig | None = None,
    steps: int = ADAPTATION_STEPS,
    learned: LearnedConfig | None = None,
) -> RowProposer:
    """The row of a name.

    Args:
        name, folder, steps: as of `LearnedRow`.
        energy: of `AnalyticRow`.
        learned: `config` of `RefinedRow`.

    Raises:
        ValueError: there is no such row.
        WeightsError: its weights are missing or can't be used.
    """
    check_rows([name])
    if name == ANALYTIC:
        return AnalyticRow(energy)
    if ROWS[name].refined:
        return RefinedRow(name, folder, config=learned)
    return LearnedRow(name, folder, steps=steps)
