"""The network of policies that assist a moving wrist (GraspGF, Wu et al., NeurIPS 2023: 3.2, 3.3).

It sees the hand and the last wrists, the object's cloud in the present wrist's frame, and the
primitive's gradient; it gives how fast each joint goes along the gradient, and what is added to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.nets.bisector_encoder import BisectorConfig
from dexgrasp_models.nets.cloud_encoders import ENCODERS, encoded, new_encoder, prepared_clouds
from dexgrasp_models.nets.graspgf import POLICY_POINTNET, QUERY_TIME, GraspGF
from dexgrasp_models.nets.pointnet import PointNetConfig
from dexgrasp_models.nets.standardised_states import StandardisedStates, policy_head
from dexgrasp_models.parameters import Parameters, choice, flag, parameter

_SMALL_QUERY = 0.4  # there the gradient leads to the mean of the grasps from an open hand too

OUTPUTS = ("residual", "only_scales", "only_residuals", "direct")
"""a^p * a^s + a^r (Eq. 2), a^p * a^s, a^p + a^r (the ablations of Figure 5), and actions alone."""


@dataclass(frozen=True)
class AssistNetworkConfig(Parameters):
    """Settings of :class:`AssistNetwork`. The defaults are those of the paper (3.3)."""

    outputs: str = choice(
        "residual",
        OUTPUTS,
        "scales and residuals of the primitive's gradient (Eq. 2) or one of them, or actions"
        " without a primitive",
    )
    pressing: bool = flag(
        False, "whether it is told how far the joint targets are beyond the joints"
    )
    hint: bool = flag(
        False, "whether it is told the posture of another grasp of the object: PPO (Goal), 4.3"
    )
    encoder: str = choice(
        "pointnet",
        ENCODERS,
        "what encodes the cloud, or the bisector surface of hand and object: IBS, 4.3",
    )
    pointnet: PointNetConfig = field(default_factory=lambda: POLICY_POINTNET)
    basis_points: BasisPointsConfig = field(default_factory=BasisPointsConfig)
    bisector: BisectorConfig = field(default_factory=BisectorConfig)
    query_time: float = parameter(
        QUERY_TIME,
        1e-5,
        1.0,
        "",
        "of the diffusion, at which the primitive is asked: the more, the farther it sees",
    )
    history: int = parameter(5, 1, 50, "", "wrists that are seen, the present one among them")
    state_features: int = parameter(
        512, 1, 65536, "", "that hand, wrists and gradient are encoded into"
    )
    widths: tuple[int, ...] = parameter(
        (512, 512), 1, 65536, "", "hidden layers of the MLP on all features", any_length=True
    )

    @classmethod
    def paper(cls) -> AssistNetworkConfig:
        """PointNet and the widths of 3.3."""
        return cls()

    @classmethod
    def small(cls) -> AssistNetworkConfig:
        """Basis points, as the primitive of this size; narrower layers; what presses is told."""
        return cls(
            pressing=True,
            encoder="basis_points",
            bisector=BisectorConfig.small(),
            query_time=_SMALL_QUERY,
            state_features=256,
            widths=(256, 256),
        )


class AssistNetwork(StandardisedStates):
    """From states, clouds and gradients to what the policy does.

    States are `dexgrasp_models.tasks.assist_observation.state_vector`; they are standardised by
    means and deviations that `fit_standardisation` takes before training.
    """

    def __init__(self, config: AssistNetworkConfig, outputs: int | None = None) -> None:
        """`outputs`: how many numbers it gives, as 1 for a value; default: those of the config."""
        hand = load_hand()
        joints = len(hand.actuators)
        size = joints * (1 + config.pressing + config.hint) + len(hand.tendons) + 7 * config.history
        told = f"{', targets' * config.pressing}{' and a hint' * config.hint}"
        super().__init__(size, f", of {config.history} wrists{told}")
        self.config = config
        self.encoder = new_encoder(config)
        self._joints, self._with_gradient = joints, config.outputs != "direct"
        inputs = size + joints * self._with_gradient
        self.of_state = nn.Sequential(nn.Linear(inputs, config.state_features), nn.ELU())
        width = self.encoder.features + config.state_features
        outputs = outputs or joints * (2 if config.outputs == "residual" else 1)
        self.head = policy_head(width, config.widths, outputs)

    def take_encoder(self, primitive: GraspGF) -> bool:
        """Begin with the encoder of a trained primitive (B.2), if it has the same kind and size."""
        if primitive.encoder.config != self.encoder.config:
            return False
        self.encoder.load_state_dict(primitive.encoder.state_dict())
        return True

    def prepared(self, clouds: Tensor) -> Tensor:
        """What of the encoder doesn't learn, for a cloud to be kept or shared by networks.

        Args:
            clouds: (B, P, 3) of the objects in the wrists' frames, m; of `bisector`, which sees the
                hand beside the object, (B, S, 13) of `HandBisector.features`.

        Returns:
            (B, K) nearness of the basis points; of others what is given.

        Raises:
            ValueError: clouds have another shape, or aren't finite.
        """
        return prepared_clouds(self.encoder, clouds)

    def of_prepared(
        self, states: Tensor, clouds: Tensor, gradients: Tensor | None = None
    ) -> Tensor:
        """As `forward`, of clouds that went through `prepared`."""
        inputs = self.standardised(states)
        if self._with_gradient:
            # Short ones as they are, of long ones little more than the size: they are up to 100.
            lengths = torch.asinh(self._checked_gradients(gradients, states))
            inputs = torch.cat((inputs, lengths), dim=-1)
        features = encoded(self.encoder, clouds)
        return self.head(torch.cat((self.of_state(inputs), features), dim=-1))

    def forward(self, states: Tensor, clouds: Tensor, gradients: Tensor | None = None) -> Tensor:
        """What the policy gives.

        Args:
            states: (B, S); 57 numbers with a history of five wrists, and 18 more with `pressing`
                and with a hint.
            clouds: as of `prepared`.
            gradients: (B, 18) of the primitive at the config's `query_time`, 1/rad; none are
                needed for `direct`.

        Returns:
            (B, 36) the scales a^s and the residuals a^r (Eq. 2), (B, 18) one of them, or (B, 18)
            actions, not bounded.

        Raises:
            ValueError: shapes don't fit, or something isn't finite.
        """
        return self.of_prepared(states, self.prepared(clouds), gradients)

    @property
    def needs_gradient(self) -> bool:
        """Whether it sees the primitive's gradient, and composes actions with it."""
        return self._with_gradient

    def actions(
        self,
        states: Tensor,
        clouds: Tensor,
        gradients: Tensor | None = None,
        *,
        residuals: bool = True,
    ) -> Tensor:
        """(B, 18) actions, not bounded, of what `of_prepared` takes.

        Without `residuals` a^r is zero: a^p * a^s alone (Table 2).
        """
        found, kind = self.of_prepared(states, clouds, gradients), self.config.outputs
        if gradients is None or not self._with_gradient:
            return found
        if not residuals and kind != "only_scales":
            scales = found[:, : self._joints]
            found = torch.ones_like(scales) if kind == "only_residuals" else scales
            kind = "only_scales"
        return composed_actions(gradients, found, kind)

    def _checked_gradients(self, gradients: Tensor | None, states: Tensor) -> Tensor:
        wanted = (len(states), self._joints)
        if gradients is None or gradients.shape != wanted:
            given = gradients if gradients is None else tuple(gradients.shape)
            raise ValueError(f"expected the primitive's gradients {wanted}, got {given}")
        if not torch.isfinite(gradients).all():
            raise ValueError("the primitive's gradients must be finite")
        return gradients


def directions(gradients: Tensor) -> Tensor:
    """(B, 18) gradients, each by its largest absolute number; zeros stay zeros."""
    largest = gradients.abs().amax(dim=-1, keepdim=True)
    return gradients / torch.where(largest > 0, largest, 1.0)


def composed_actions(gradients: Tensor, outputs: Tensor, kind: str = "residual") -> Tensor:
    """(B, 18) actions of gradients (B, 18) and outputs of one of `OUTPUTS` but `direct`.

    The same as `dexgrasp_models.tasks.assist_action.composed`, for training.
    """
    primitive = directions(gradients)
    if kind == "only_scales":
        return primitive * outputs
    if kind == "only_residuals":
        return primitive + outputs
    scales, residuals = outputs.chunk(2, dim=-1)
    return primitive * scales + residuals
