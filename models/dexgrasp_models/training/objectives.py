"""What is minimised: each network with its loss, and what is measured of it in validation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.baselines.cvae import GraspCVAE, GraspCVAEConfig
from dexgrasp_models.nets.baselines.ddg import DDG, DDGConfig
from dexgrasp_models.nets.baselines.decoupled import DecoupledGlow
from dexgrasp_models.nets.baselines.joint_flow import JointFlowConfig
from dexgrasp_models.nets.baselines.prohmr import ProHMR
from dexgrasp_models.nets.baselines.relie import ReLie
from dexgrasp_models.nets.contact import (
    ContactNet,
    ContactNetConfig,
    canonical,
    contact_heat,
    expected_heat,
    flawed,
    heat_bins,
)
from dexgrasp_models.nets.glow import GraspGlow, GraspGlowConfig
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig, jittered, wrist_frame
from dexgrasp_models.nets.ipdf import GraspIPDF, GraspIPDFConfig
from dexgrasp_models.nets.losses import GraspLosses, HandBody, LossWeights
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.nets.weights import load_network
from dexgrasp_models.training.config import TrainingConfig

LOSS = "loss"
"""Name of the term that is minimised, and by which the best weights are chosen."""

_LEVEL = 2  # of the grid of rotations that validation normalises and samples over


class Objective(nn.Module, ABC):
    """A network and its loss. Called with clouds (B, N, 3) and B G grasps in their frames."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def prepare(self, grasps: GraspTensors) -> None:
        """Take from the training grasps what a new network has to know of them.

        Args:
            grasps: many, each in the frame of a cloud.
        """

    @abstractmethod
    def forward(self, clouds: Tensor, grasps: GraspTensors, quality: bool) -> dict[str, Tensor]:
        """Means over the batch of the loss's terms, and of all as `LOSS`.

        `quality` says whether the losses of physical quality count yet, where there are any.
        """

    def measure(self, clouds: Tensor, grasps: GraspTensors) -> dict[str, Tensor]:
        """Likewise for validation, in evaluation mode and without gradients."""
        return self(clouds, grasps, True)


class RotationDensity(Objective):
    """GraspIPDF: negative log-likelihood of the rotations (3.2.1)."""

    network: GraspIPDF

    def forward(self, clouds: Tensor, grasps: GraspTensors, quality: bool) -> dict[str, Tensor]:
        return {LOSS: self.network.nll(clouds, _rotations(clouds, grasps)).mean()}

    def measure(self, clouds: Tensor, grasps: GraspTensors) -> dict[str, Tensor]:
        densities = self.network.log_density(clouds, _rotations(clouds, grasps), level=_LEVEL)
        return {LOSS: -densities.mean()}


class Flow(Objective):
    """GraspGlow: negative log-likelihood of translations and joints (3.2.2)."""

    network: GraspGlow

    def prepare(self, grasps: GraspTensors) -> None:
        self.network.fit_standardisation(grasps)

    def forward(self, clouds: Tensor, grasps: GraspTensors, quality: bool) -> dict[str, Tensor]:
        return {LOSS: -self.network.log_prob(_repeated(clouds, grasps), grasps).mean()}


class BaselineFlow(Objective):
    """ReLie, ProHMR and the decoupled flow, whose losses are their own (B.1.2)."""

    network: ReLie | ProHMR | DecoupledGlow

    def prepare(self, grasps: GraspTensors) -> None:
        self.network.fit_standardisation(grasps)

    def forward(self, clouds: Tensor, grasps: GraspTensors, quality: bool) -> dict[str, Tensor]:
        return _means(*self.network.loss(clouds, grasps))


class ContactMaps(Objective):
    """ContactNet: the true grasp's contact map from a flawed grasp's hand (3.2.3)."""

    network: ContactNet

    def __init__(
        self, network: ContactNet, hand: HandBody, flaw_translation: float, flaw_joints: float
    ) -> None:
        """Deviations of the noise on translations (m) and joints (rad): see `flawed`."""
        super().__init__(network)
        self._hand, self._flaws = hand, (flaw_translation, flaw_joints)

    def forward(self, clouds: Tensor, grasps: GraspTensors, quality: bool) -> dict[str, Tensor]:
        points, hands, heat = self._example(clouds, grasps, self._flawed(grasps))
        return {LOSS: self.network.loss(points, hands, heat)}

    def measure(self, clouds: Tensor, grasps: GraspTensors) -> dict[str, Tensor]:
        """Adds shares of right bins, and squared errors of the map and of the flawed hand's own.

        A map that isn't nearer to the true one than the hand's own is worth nothing to adapt to.
        """
        seen = self._flawed(grasps)
        points, hands, heat = self._example(clouds, grasps, seen)
        logits = self.network(points, hands)
        bins = heat_bins(heat)
        touched = bins > 0
        right = (logits.argmax(-1) == bins).float()
        return {
            LOSS: nn.functional.cross_entropy(logits.flatten(0, 1), bins.flatten()),
            "accuracy": right.mean(),
            "accuracy_touched": right[touched].mean() if touched.any() else right.new_zeros(()),
            "error": (expected_heat(logits) - heat).square().mean(),
            "error_of_hand": (self._heat(clouds, seen) - heat).square().mean(),
        }

    @torch.no_grad()
    def _flawed(self, grasps: GraspTensors) -> GraspTensors:
        return flawed(grasps, _drawn_generator(), *self._flaws)

    @torch.no_grad()
    def _example(
        self, clouds: Tensor, grasps: GraspTensors, seen: GraspTensors
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Canonical clouds and flawed hands, and the heat of the true grasps."""
        points, rotations = _repeated(clouds, grasps), grasps.rotations
        hands = self._hand.surface(self._hand.link_poses(seen))
        return (
            canonical(points, rotations),
            canonical(hands, rotations),
            self._heat(clouds, grasps),
        )

    def _heat(self, clouds: Tensor, grasps: GraspTensors) -> Tensor:
        """(B G, N) contact maps of the grasps."""
        links = self._hand.link_poses(grasps)
        return contact_heat(self._hand.distance.to_links(_repeated(clouds, grasps), links))


class GraspScore(Objective):
    """GraspGF's primitive: denoising score matching of the joints given cloud and wrist (B.1)."""

    network: GraspGF

    def __init__(self, network: GraspGF, wrist_translation: float, wrist_rotation: float) -> None:
        """Deviations of the noise on the wrist in training, m and rad: see `jittered`."""
        super().__init__(network)
        self._jitter = (wrist_translation, wrist_rotation)

    def prepare(self, grasps: GraspTensors) -> None:
        self.network.fit_standardisation(grasps.joints)

    def forward(self, clouds: Tensor, grasps: GraspTensors, quality: bool) -> dict[str, Tensor]:
        seen = jittered(grasps, _drawn_generator(), *self._jitter)
        return {LOSS: self.network.loss(_of_wrists(clouds, seen), grasps.joints).mean()}

    def measure(self, clouds: Tensor, grasps: GraspTensors) -> dict[str, Tensor]:
        """Adds mean errors of a joint, rad, in the wrists of the grasps themselves.

        Of the posture amid the samples, of one sample, and of the training grasps' mean posture.
        """
        points = _of_wrists(clouds, grasps)

        def error(joints: Tensor) -> Tensor:
            return (joints - grasps.joints).abs().mean()

        return {
            LOSS: self.network.loss(points, grasps.joints).mean(),
            "joint_error": error(self.network.central(points)),
            "joint_error_of_sample": error(self.network.sample(points)),
            "joint_error_of_mean": error(self.network.mean_joints()),
        }


class EndToEnd(Objective):
    """GraspGlow's second stage: likelihood, and the quality of what it samples (3.2.3, Eq. 2).

    Rotations come from a GraspIPDF and contact maps from a ContactNet that don't change.
    """

    network: GraspGlow

    def __init__(
        self,
        network: GraspGlow,
        rotations: GraspIPDF,
        contact: ContactNet,
        hand: HandBody,
        samples: int,
        weights: LossWeights | None = None,
    ) -> None:
        """`samples`: grasps drawn for each cloud."""
        super().__init__(network)
        # In a tuple, as they are no part of what is trained and kept.
        self._fixed = (rotations.eval(), contact.eval())
        self._hand, self._samples = hand, samples
        self._losses = GraspLosses(hand, weights)

    def forward(self, clouds: Tensor, grasps: GraspTensors, quality: bool) -> dict[str, Tensor]:
        nll = -self.network.log_prob(_repeated(clouds, grasps), grasps).mean()
        # Samples are made as they will be used: without dropout, by the running statistics.
        training = self.network.training
        self.network.eval()
        terms, added = self._quality(clouds)
        self.network.train(training)
        return {LOSS: nll + added, "nll": nll, **terms}

    def _quality(self, clouds: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        density, contact = self._fixed
        with torch.no_grad():
            drawn = density.sample(clouds, self._samples, level=_LEVEL).rotations.flatten(0, 1)
        points = clouds.repeat_interleave(self._samples, dim=0)
        found = self.network.sample(points, drawn).grasps
        hands = self._hand.surface(self._hand.link_poses(found)).detach()
        target = contact.heat(canonical(points, drawn), canonical(hands, drawn))
        terms, total = self._losses(found, points, target)
        return {name: value.mean() for name, value in terms.items()}, total.mean()


class Regression(Objective):
    """GraspTTA's CVAE and DDG, whose losses have a second stage (B.1.2)."""

    network: GraspCVAE | DDG

    def forward(self, clouds: Tensor, grasps: GraspTensors, quality: bool) -> dict[str, Tensor]:
        return _means(*self.network.loss(clouds, grasps, quality))


@dataclass(frozen=True)
class Recipe:
    """How a kind of network is trained."""

    network_config: type[Any]
    build: Callable[[Any, TrainingConfig, torch.device, Mapping[str, Path]], Objective]
    """From the network's configuration, the training's, a device, and files of weights by the
    names in `needs`."""
    needs: tuple[str, ...] = ()
    """Recipes whose weights it goes on with."""


def _end_to_end(
    _: Any, training: TrainingConfig, device: torch.device, weights: Mapping[str, Path]
) -> Objective:
    glow, _ = load_network(weights["glow"], GraspGlowConfig, GraspGlow)
    rotations, _ = load_network(weights["ipdf"], GraspIPDFConfig, GraspIPDF)
    contact, _ = load_network(weights["contact"], ContactNetConfig, ContactNet)
    return EndToEnd(
        glow.to(device), rotations.to(device), contact.to(device), _hand(device), training.samples
    )


def _hand(device: torch.device) -> HandBody:
    return HandBody(HandKinematics(load_hand(), device=device))


RECIPES: dict[str, Recipe] = {
    "ipdf": Recipe(
        GraspIPDFConfig, lambda config, t, device, w: RotationDensity(GraspIPDF(config).to(device))
    ),
    "glow": Recipe(
        GraspGlowConfig, lambda config, t, device, w: Flow(GraspGlow(config).to(device))
    ),
    "contact": Recipe(
        ContactNetConfig,
        lambda config, t, device, w: ContactMaps(
            ContactNet(config).to(device), _hand(device), t.flaw_translation, t.flaw_joints
        ),
    ),
    "graspgf": Recipe(
        GraspGFConfig,
        lambda config, t, device, w: GraspScore(
            GraspGF(config).to(device), t.wrist_translation, t.wrist_rotation
        ),
    ),
    "joint": Recipe(GraspGlowConfig, _end_to_end, needs=("ipdf", "glow", "contact")),
    "cvae": Recipe(
        GraspCVAEConfig,
        lambda config, t, device, w: Regression(GraspCVAE(config, _hand(device)).to(device)),
    ),
    "cvae_given_rotation": Recipe(
        GraspCVAEConfig,
        lambda config, t, device, w: Regression(
            GraspCVAE(replace(config, given_rotation=True), _hand(device)).to(device)
        ),
    ),
    "ddg": Recipe(
        DDGConfig, lambda config, t, device, w: Regression(DDG(config, _hand(device)).to(device))
    ),
    "relie": Recipe(
        JointFlowConfig, lambda config, t, device, w: BaselineFlow(ReLie(config).to(device))
    ),
    "prohmr": Recipe(
        JointFlowConfig, lambda config, t, device, w: BaselineFlow(ProHMR(config).to(device))
    ),
    "decoupled": Recipe(
        GraspGlowConfig, lambda config, t, device, w: BaselineFlow(DecoupledGlow(config).to(device))
    ),
}
"""By the names that `dexgrasp train` takes."""


def _rotations(clouds: Tensor, grasps: GraspTensors) -> Tensor:
    """(B, G, 3, 3)."""
    return grasps.rotations.unflatten(0, (len(clouds), -1))


def _repeated(clouds: Tensor, grasps: GraspTensors) -> Tensor:
    """(B G, N, 3): the cloud of each grasp."""
    return clouds.repeat_interleave(grasps.count // len(clouds), dim=0)


def _of_wrists(clouds: Tensor, grasps: GraspTensors) -> Tensor:
    """(B G, N, 3): the cloud of each grasp in its wrist's frame."""
    return wrist_frame(_repeated(clouds, grasps), grasps.rotations, grasps.translations)


def _drawn_generator() -> torch.Generator:
    """A generator that PyTorch's own seeds, so that a step's seed covers it too."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, ())))


def _means(terms: Mapping[str, Tensor], total: Tensor) -> dict[str, Tensor]:
    return {LOSS: total.mean(), **{name: value.mean() for name, value in terms.items()}}
