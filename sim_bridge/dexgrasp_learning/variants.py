"""What is trained beside GraspGF's policy, by name: its ablations (5.2) and baselines (4.3, C)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dexgrasp_learning.imitation import ImitationConfig
from dexgrasp_models.nets.assist_network import AssistNetworkConfig
from dexgrasp_models.tasks.assist_config import AssistRewardConfig


@dataclass(frozen=True)
class Variant:
    """What is different from GraspGF's policy."""

    network: Mapping[str, Any] = field(default_factory=dict)
    """Of `AssistNetworkConfig`; weights are of the variant where they have this."""
    reward: Mapping[str, Any] = field(default_factory=dict)
    """Of `AssistRewardConfig`."""
    demonstrated: int = 0
    """Most transitions of demonstrations that PPO learns from as well (`imitation.py`)."""

    @property
    def imitates(self) -> bool:
        """Whether there are any."""
        return self.demonstrated > 0

    @property
    def needs_reward(self) -> bool:
        """Whether it is nothing that DAgger's expert could teach."""
        return self.imitates or bool(self.reward)

    def network_of(self, config: AssistNetworkConfig) -> AssistNetworkConfig:
        """A network of the variant, otherwise as `config` says."""
        return replace(config, **self.network)

    def reward_of(self, config: AssistRewardConfig) -> AssistRewardConfig:
        """Its reward, likewise."""
        return replace(config, **self.reward)

    def imitation_of(self, config: ImitationConfig) -> ImitationConfig:
        """How it imitates, likewise."""
        return replace(config, transitions=min(config.transitions, self.demonstrated))

    def has(self, config: AssistNetworkConfig) -> bool:
        """Whether a network is one of the variant."""
        return self.network_of(config) == config


# In the place of r_sim (4.3). A hand that stays open has -0.2 an episode by this, and by the hint.
_DISTANCE = {"fingertips": 0.2}

OURS = "ours"
VARIANTS: Mapping[str, Variant] = {
    OURS: Variant(),
    "without_gf": Variant({"outputs": "direct"}),
    "without_scales": Variant({"outputs": "only_residuals"}),
    "without_residuals": Variant({"outputs": "only_scales"}),
    "without_r_sim": Variant(reward={"following": 0.0}),
    "ppo": Variant({"outputs": "direct"}, _DISTANCE),
    "ppo_goal": Variant({"outputs": "direct", "hint": True}, {**_DISTANCE, "hint": 0.05}),
    # Their numbers of demonstrations are those of appendix C.
    "ilad": Variant({"outputs": "direct"}, _DISTANCE, 125_000),
    "ibs": Variant({"outputs": "direct", "encoder": "bisector"}, _DISTANCE, 15_000),
}
"""By the names that `dexgrasp train assist --variant` takes."""
