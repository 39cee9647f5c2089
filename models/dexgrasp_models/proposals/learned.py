"""The learned proposer: UniDexGrasp's first stage on a fused cloud (sec. 3.2), and a refinement.

Rotations are drawn from GraspIPDF, translations and joints for them from GraspGlow, and the grasps
are adapted until they touch the object as ContactNet says. Two things are not the paper's, and can
be turned off: of more samples than are asked for those with the least energy go on, and after the
adaptation they are refined as the analytic proposer's are, since touching is not yet holding. What
follows, the joints before and after the grasp, the rejection and the ranking, is alike in both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import HandSpec, load_hand
from dexgrasp_models.nets.adaptation import (
    Adaptation,
    AdaptationConfig,
    Adapted,
    ContactTarget,
    Diverged,
)
from dexgrasp_models.nets.clouds import CloudConfig, horizontal_centre, table_top_cloud
from dexgrasp_models.nets.contact import ContactNet, ContactNetConfig
from dexgrasp_models.nets.glow import GraspGlow, GraspGlowConfig
from dexgrasp_models.nets.ipdf import GraspIPDF, GraspIPDFConfig
from dexgrasp_models.nets.losses import HandBody
from dexgrasp_models.nets.rotation_picture import draw_rotation_density
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.nets.weights import WEIGHTS, WeightsError, load_network
from dexgrasp_models.parameters import Parameters, parameter, text
from dexgrasp_models.perception.fusion import FusedCloud
from dexgrasp_models.progress import Progress
from dexgrasp_models.proposals.batch_proposer import BatchProposer
from dexgrasp_models.proposals.proposer import ProposerKind
from dexgrasp_models.proposals.rank import Ranker
from dexgrasp_models.proposals.ranked import ranked_grasps
from dexgrasp_models.proposals.reachability import NoProposalError
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface
from dexgrasp_models.synthesis.refine import GraspBatch, evaluate, refine
from dexgrasp_models.synthesis.sampling import selected
from dexgrasp_models.synthesis.types import Grasp


@dataclass(frozen=True)
class LearnedConfig(Parameters):
    """Settings of :class:`LearnedProposer`."""

    weights: str = text(
        "",
        "folder with the files that `dexgrasp train` leaves: `ipdf`, `contact`, and `joint` or, "
        "before the end-to-end training, `glow`; by default those that come with the package",
    )
    batch: int = parameter(32, 1, 1024, "", "grasps that are adapted and refined together")
    samples_per_grasp: int = parameter(8, 1, 64, "", "samples that each is the best of")
    temperature: float = parameter(
        1.0, 0, 2, "", "deviation of the flow's noise; less keeps to the likely grasps"
    )
    adaptation_steps: int = parameter(
        50, 0, 10_000, "", "of the adaptation (3.2.4, where it has 300)"
    )
    refinement_steps: int = parameter(150, 0, 10_000, "", "of the refinement; the paper has none")


class Networks(NamedTuple):
    """The three networks, and the cloud that they were trained on."""

    rotation: GraspIPDF
    flow: GraspGlow
    contact: ContactNet
    cloud: CloudConfig


class LearnedProposer(BatchProposer):
    """Samples grasps from trained networks, adapts and refines a batch, rejects and ranks.

    Args:
        config: settings.
        execution: what is asked of grasps that are carried out: squeeze, limits, workspace.
        hand: the hand to plan for; by default the Shadow Hand.
        ranker: model of success; by default the fitted one that comes with the package.
        arm: the arm that carries the hand; without it the hand is free and has no forearm.
        networks: in the place of those in `config.weights`.
        energy: what the selection and the refinement minimise; `config` has batch and steps.

    Attributes: those of `BatchProposer`.

    Raises:
        WeightsError: a file of weights is missing or can't be used.
    """

    name = "learned"

    def __init__(
        self,
        config: LearnedConfig | None = None,
        execution: ExecutionConfig | None = None,
        hand: HandSpec | None = None,
        ranker: Ranker | None = None,
        arm: ArmKinematics | None = None,
        networks: Networks | None = None,
        energy: EnergyConfig | None = None,
    ) -> None:
        spec = hand or load_hand()
        super().__init__(spec, execution, ranker, arm)
        self.config = config or LearnedConfig()
        self._energy = replace(
            energy or EnergyConfig(),
            batch=self.config.batch,
            iterations=self.config.refinement_steps,
        )
        self._networks = networks or load_networks(self.config.weights)
        self._body = HandBody(HandKinematics(spec))
        self._adaptation = Adaptation(
            self._body,
            config=AdaptationConfig(
                coupled=self.execution.coupled, steps=self.config.adaptation_steps
            ),
        )

    def candidates(self, cloud: FusedCloud, seed: int) -> list[Grasp]:
        """All grasps of a batch, best first, before any is rejected.

        Their figures have log p(R|X) + log p(t, q|X, R) of the samples, `log_likelihood`, and what
        the adaptation left of each term of its loss, `adaptation_<term>`.

        Raises:
            CloudError: the cloud cannot be planned on.
            NoProposalError: the adaptation of all of them diverged.
        """
        self.progress = progress = Progress(self.execution.time_budget, self.report)
        progress.begin("surface")
        # First, as it says what is wrong with a cloud.
        surface = ObjectSurface.from_cloud(cloud.object_points, cloud.object_normals, self._energy)
        energy = GraspEnergy(self._hand, surface, self._energy)
        points, centre = self._seen(cloud)
        grasps, likelihood = self._samples(points, seed)
        progress.begin("selection")
        scores = evaluate(energy, self._planned(grasps, centre)).total
        kept = selected(scores, self._energy)
        grasps, figures = grasps.select(kept), {"log_likelihood": likelihood[kept]}
        if self.config.adaptation_steps:
            progress.begin("adaptation")
            adapted, kept = self._adapted(grasps, points, progress)
            grasps = adapted.grasps
            figures = {name: values[kept] for name, values in figures.items()}
            figures |= {f"adaptation_{name}": v for name, v in adapted.after.terms.items()}
        batch = self._planned(grasps, centre)
        progress.begin("refinement")
        batch = refine(energy, batch, self._energy, progress)
        progress.begin("rank")
        ranked = ranked_grasps(energy, batch, self.execution, self._ranker, self.name, figures)
        progress.end()
        return ranked

    def _adapted(
        self, grasps: GraspTensors, points: Tensor, progress: Progress
    ) -> tuple[Adapted, Tensor]:
        """The adapted grasps, and the indices of those whose adaptation did not diverge."""
        kept = torch.arange(grasps.count)
        target = ContactTarget(self._networks.contact, self._body, points)
        while True:
            try:
                return self._adaptation(grasps.select(kept), points, target, progress), kept
            except Diverged as error:
                kept = kept[~error.grasps]
                if not len(kept):
                    raise NoProposalError(Counter({"diverged": grasps.count})) from error

    def _samples(self, points: Tensor, seed: int) -> tuple[GraspTensors, Tensor]:
        """Grasps in the table-top frame, and their log densities."""
        networks = self._networks
        count = self.config.batch * self.config.samples_per_grasp
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.progress.begin("rotations")
            rotations = networks.rotation.sample(points[None], count, generator=generator)
            self.progress.begin("translations and joints")
            clouds = points.expand(count, *points.shape)
            samples = networks.flow.sample(
                clouds, rotations.rotations[0], 1, self.config.temperature, generator
            )
        return samples.grasps, rotations.log_densities[0] + samples.log_densities[:, 0]

    def _planned(self, grasps: GraspTensors, centre: Tensor) -> GraspBatch:
        """Of grasps in the table-top frame: as the planned hand can take them, in ``world``."""
        moved = grasps._replace(translations=grasps.translations + centre)
        return GraspBatch.planned(self._hand, moved.palm_poses, moved.joints)

    def rotation_picture(self, cloud: FusedCloud, grasps: Sequence[Grasp] = ()) -> np.ndarray:
        """p(R|X) as a picture (H, W, 3) uint8, the palms of grasps as circles.

        See :func:`~dexgrasp_models.nets.rotation_picture.draw_rotation_density`.
        """
        points, _ = self._seen(cloud)
        density = self._networks.rotation.density_map(points[None])
        return draw_rotation_density(
            density.rotations[0].numpy(),
            density.log_densities[0].numpy(),
            np.array([grasp.palm_pose[:3, :3] for grasp in grasps]).reshape(-1, 3, 3),
        )

    def _seen(self, cloud: FusedCloud) -> tuple[Tensor, Tensor]:
        """The cloud that the networks see, in the table-top frame, and that frame's origin."""
        points = torch.as_tensor(cloud.object_points, dtype=torch.float32)
        centre = horizontal_centre(points)
        return table_top_cloud(points - centre, self._networks.cloud), centre


def network_files(folder: str | Path = "") -> dict[str, Path]:
    """Files of the networks in a folder, by default those that come with the package.

    Returns:
        By the names of their recipes: for rotations, the rest, and contact maps.

    Raises:
        WeightsError: one is missing.
    """
    path = Path(folder) if folder else WEIGHTS
    flow = "joint" if (path / "joint.safetensors").is_file() else "glow"
    files = {name: path / f"{name}.safetensors" for name in ("ipdf", flow, "contact")}
    missing = [file.name for file in files.values() if not file.is_file()]
    if missing:
        raise WeightsError(
            f"{path}: no {', '.join(missing)}; train with 'dexgrasp train', or name another "
            "folder of weights"
        )
    return files


def load_networks(folder: str | Path = "") -> Networks:
    """The networks in a folder, by default those that come with the package; for inference.

    Raises:
        WeightsError: a file is missing or can't be used, or they were trained on different clouds.
    """
    files = network_files(folder)
    kinds: tuple[tuple[Callable[[Any], nn.Module], type[Parameters]], ...] = (
        (GraspIPDF, GraspIPDFConfig),
        (GraspGlow, GraspGlowConfig),
        (ContactNet, ContactNetConfig),
    )
    networks: list[Any] = []
    clouds = []
    for file, (kind, config_type) in zip(files.values(), kinds, strict=True):
        network, metadata = load_network(file, config_type, kind)
        networks.append(network.eval().requires_grad_(False))
        clouds.append(metadata.get("training", {}).get("cloud", {}))
    if any(cloud != clouds[0] for cloud in clouds):
        raise WeightsError(f"{files['ipdf'].parent}: its networks were trained on different clouds")
    rotation, glow, contact = networks
    return Networks(rotation, glow, contact, CloudConfig.from_mapping(clouds[0]))


KIND = ProposerKind(
    LearnedConfig, lambda config, execution, arm: LearnedProposer(config, execution, arm=arm)
)
