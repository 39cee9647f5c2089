"""GraspGF's primitive: the score of the joints for a cloud and a wrist (Wu et al., 3.1 and B.1).

The network sees the object's cloud in the wrist's frame, here that of `rh_palm`, and noisy joints;
it gives the gradient of their log density, the direction in which the fingers are more likely to
hold the object. Joints are the angles of the hand's 18 actuators (`HandSpec.reduction`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from dexgrasp_models.geometry.so3 import rotation_from_vector
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.basis_points import BasisPoints, BasisPointsConfig
from dexgrasp_models.nets.pointnet import PointNet, PointNet2, PointNet2Config, PointNetConfig
from dexgrasp_models.nets.score_matching import (
    VarianceSchedule,
    denoising_loss,
    probability_flow,
)
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.parameters import Parameters, choice, flag, parameter

QUERY_TIME = 0.005
"""At which the score is the primitive's action (Eq. 10)."""

POLICY_POINTNET = PointNetConfig(widths=(64, 128, 512), align_input=False, batch_norm=False)
"""Of the residual policy, for a primitive that is trained to begin its encoder with (B.2)."""

_LEAST_DEVIATION = 1e-3  # of what is standardised, where all grasps are alike
_TIME_SCALE = 16.0  # deviation of the frequencies of the time's encoding


@dataclass(frozen=True)
class GraspGFConfig(Parameters):
    """Settings of :class:`GraspGF`. The defaults are those of the paper (3.3, B.1)."""

    encoder: str = choice(
        "pointnet2", ("pointnet2", "pointnet", "basis_points"), "what encodes the cloud"
    )
    pointnet2: PointNet2Config = field(default_factory=lambda: PointNet2Config(head=(512,)))
    pointnet: PointNetConfig = field(default_factory=lambda: POLICY_POINTNET)
    basis_points: BasisPointsConfig = field(default_factory=BasisPointsConfig)
    joint_features: int = parameter(1024, 1, 65536, "", "that the joints are encoded into")
    time_features: int = parameter(512, 2, 65536, "", "that the time is encoded into")
    widths: tuple[int, ...] = parameter(
        (1024,), 1, 65536, "", "hidden layers of the MLP on all features", any_length=True
    )
    circular: bool = flag(False, "joints as sines and cosines, 36 numbers for 18")
    schedule: VarianceSchedule = field(default_factory=VarianceSchedule)

    @classmethod
    def paper(cls) -> GraspGFConfig:
        """PointNet++ and the widths of 3.3."""
        return cls()

    @classmethod
    def small(cls) -> GraspGFConfig:
        """Basis points and narrower layers, for training in minutes on a CPU core."""
        return cls(encoder="basis_points", joint_features=256, time_features=64, widths=(512, 256))


class GraspGF(nn.Module):
    """s(J | o, b, t), the score of noisy joints.

    Noise is added to standardised coordinates: the joints, or their sines and cosines, less their
    mean in the training grasps, by one deviation for all. So noise is alike in all joints, and a
    gradient leads to a posture and not first of all along the joints that vary least.
    """

    mean: Tensor
    deviation: Tensor
    _reduction: Tensor
    _expansion: Tensor
    _limits: Tensor

    def __init__(self, config: GraspGFConfig) -> None:
        super().__init__()
        self.config = config
        hand = load_hand()
        for name, values in (
            ("_reduction", hand.reduction),
            ("_expansion", hand.expansion),
            ("_limits", hand.actuator_limits),
        ):
            tensor = torch.as_tensor(values, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)
        size = len(hand.actuators) * (2 if config.circular else 1)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.tensor(1.0))
        self.encoder: BasisPoints | PointNet | PointNet2
        if config.encoder == "pointnet2":
            self.encoder = PointNet2(config.pointnet2)
        elif config.encoder == "pointnet":
            self.encoder = PointNet(config.pointnet)
        else:
            self.encoder = BasisPoints(config.basis_points)
        self.of_joints = nn.Sequential(nn.Linear(size, config.joint_features), nn.ReLU())
        self.of_time = _TimeEncoding(config.time_features)
        width = self.encoder.features + config.joint_features + config.time_features
        layers: list[nn.Module] = []
        for after in config.widths:
            layers += [nn.Linear(width, after), nn.ReLU()]
            width = after
        self.head = nn.Sequential(*layers, nn.Linear(width, size))

    # Coordinates

    @torch.no_grad()
    def fit_standardisation(self, joints: Tensor) -> None:
        """Take means and the deviation from the joints (M, 22) of grasps, before training.

        Raises:
            ValueError: fewer than two grasps.
        """
        if len(joints) < 2:
            raise ValueError(f"expected the joints of two or more grasps, got {len(joints)}")
        found = self._embedded(self.actuator_angles(joints))
        self.mean.copy_(found.mean(dim=0))
        self.deviation.copy_((found - self.mean).square().mean().sqrt().clamp_min(_LEAST_DEVIATION))

    def actuator_angles(self, joints: Tensor) -> Tensor:
        """(B, 18) of joints (B, 22), rad: J0 = J1 + J2 of the coupled ones.

        Raises:
            ValueError: there are other numbers of joints, or they aren't finite.
        """
        count = self._reduction.shape[1]
        if joints.dim() != 2 or joints.shape[1] != count:
            raise ValueError(f"expected joints (B, {count}), got {tuple(joints.shape)}")
        if not torch.isfinite(joints).all():
            raise ValueError("joints must be finite")
        return joints @ self._reduction.T

    def mean_joints(self) -> Tensor:
        """(22,) the mean posture of the training grasps, rad."""
        return self._decoded(torch.zeros_like(self.mean)[None])[0]

    def _embedded(self, angles: Tensor) -> Tensor:
        """(B, D) coordinates of actuator angles (B, 18), not yet standardised."""
        return torch.cat((angles.sin(), angles.cos()), -1) if self.config.circular else angles

    def _decoded(self, coordinates: Tensor) -> Tensor:
        """(B, 22) joints, within their limits, of standardised coordinates (B, D)."""
        found = self.mean + self.deviation * coordinates
        if self.config.circular:
            sines, cosines = found.chunk(2, dim=-1)
            found = torch.atan2(sines, cosines)
        return found.clamp(self._limits[:, 0], self._limits[:, 1]) @ self._expansion.T

    # The score

    def forward(self, coordinates: Tensor, features: Tensor, times: Tensor) -> Tensor:
        """Scores (B, D) of noisy standardised coordinates (B, D), with respect to these.

        `features` (B, C) are the encoder's of the clouds, `times` (B,) in (0, 1].
        """
        parts = (self.of_joints(coordinates), features, self.of_time(times))
        # Divided by the deviation, as the score is about that of the noise.
        return self.head(torch.cat(parts, -1)) / self.config.schedule.deviation(times)[:, None]

    def loss(self, clouds: Tensor, joints: Tensor) -> Tensor:
        """(B,) denoising losses (Eq. 8); PyTorch's own generator draws times and noise.

        Args:
            clouds: (B, N, 3) of the objects in the wrists' frames, m; see :func:`wrist_frame`.
            joints: (B, 22) of grasps, rad.

        Raises:
            ValueError: shapes don't fit, or something isn't finite.
        """
        data = (self._embedded(self.actuator_angles(joints)) - self.mean) / self.deviation
        features = self._features(clouds, len(joints))
        return denoising_loss(partial(self._conditioned, features), data, self.config.schedule)

    def gradient(self, clouds: Tensor, joints: Tensor, time: float = QUERY_TIME) -> Tensor:
        """(B, 18) gradients of the log density in the actuators' angles, 1/rad (Eq. 10).

        Args:
            clouds, joints: as `loss`.
            time: of the noise that the density is smoothed with, in (0, 1].

        Raises:
            ValueError: as `loss`.
        """
        features = self._features(clouds, len(joints))
        return self.gradient_of_angles(features, self.actuator_angles(joints), time)

    def gradient_of_angles(
        self, features: Tensor, angles: Tensor, time: float = QUERY_TIME
    ) -> Tensor:
        """As `gradient`, of the encoder's features (B, C) and actuator angles (B, 18), rad."""
        coordinates = (self._embedded(angles) - self.mean) / self.deviation
        times = angles.new_full((len(angles),), time)
        # Noisy data are about mean(t) times the data.
        mean = self.config.schedule.mean(times)[:, None]
        scores = mean * self(mean * coordinates, features, times) / self.deviation
        if not self.config.circular:
            return scores
        of_sines, of_cosines = scores.chunk(2, dim=-1)
        return of_sines * angles.cos() - of_cosines * angles.sin()

    def sample(
        self, clouds: Tensor, generator: torch.Generator | None = None, steps: int = 16
    ) -> Tensor:
        """(B, 22) joints by the probability-flow ODE, one posture for each cloud, within limits.

        Args:
            clouds: as `loss`.
            generator: draws the noise; None: PyTorch's own.
            steps: as :func:`~dexgrasp_models.nets.score_matching.probability_flow`.

        Raises:
            ValueError: as `loss`.
        """
        device = generator.device if generator else clouds.device
        noise = torch.randn(len(clouds), len(self.mean), generator=generator, device=device)
        return self._flowed(clouds, noise.to(clouds), steps)

    def central(self, clouds: Tensor, steps: int = 16) -> Tensor:
        """(B, 22) joints that the probability-flow ODE makes of no noise: amid the samples.

        Arguments and errors as `sample`; always the same.
        """
        return self._flowed(clouds, clouds.new_zeros(len(clouds), len(self.mean)), steps)

    @torch.no_grad()
    def _flowed(self, clouds: Tensor, noise: Tensor, steps: int) -> Tensor:
        score = partial(self._conditioned, self.encoder(clouds))
        return self._decoded(probability_flow(score, noise, self.config.schedule, steps))

    def _conditioned(self, features: Tensor, coordinates: Tensor, times: Tensor) -> Tensor:
        return self(coordinates, features, times)

    def _features(self, clouds: Tensor, count: int) -> Tensor:
        if len(clouds) != count:
            raise ValueError(f"expected as many clouds as joints, got {len(clouds)}, {count}")
        return self.encoder(clouds)


class _TimeEncoding(nn.Module):
    """Sines and cosines of the time at fixed random frequencies, and a layer (Song et al.)."""

    frequencies: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", _TIME_SCALE * torch.randn(features // 2))
        self.layer = nn.Sequential(nn.Linear(features // 2 * 2, features), nn.ReLU())

    def forward(self, times: Tensor) -> Tensor:
        """(B, C) of times (B,)."""
        phases = 2 * torch.pi * times[:, None] * self.frequencies
        return self.layer(torch.cat((phases.sin(), phases.cos()), dim=-1))


def wrist_frame(clouds: Tensor, rotations: Tensor, translations: Tensor) -> Tensor:
    """Points as the wrist sees them: R^-1 (x - t).

    Args:
        clouds: (B, N, 3), m.
        rotations: (B, 3, 3) of the wrists in the clouds' frame.
        translations: (B, 3), m.

    Returns:
        (B, N, 3).
    """
    return (clouds - translations[:, None]) @ rotations


def jittered(
    grasps: GraspTensors, generator: torch.Generator, translation: float, rotation: float
) -> GraspTensors:
    """Grasps whose wrist is off by normal noise, for the primitive to see through.

    Args:
        grasps: B of them.
        generator: draws the noise.
        translation: deviation of each coordinate, m.
        rotation: deviation of each coordinate of a rotation vector, rad.
    """
    noise = torch.randn(grasps.count, 6, generator=generator, device=generator.device)
    noise = noise.to(grasps.translations)
    turns = rotation_from_vector(rotation * noise[:, 3:])
    return GraspTensors(
        grasps.rotations @ turns, grasps.translations + translation * noise[:, :3], grasps.joints
    )
