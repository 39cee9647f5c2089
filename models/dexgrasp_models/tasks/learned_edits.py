"""Edits of plans that a network has learned of what is seen of the object, and of the goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.basis_points import BasisPoints
from dexgrasp_models.nets.posture_net import PostureNet, PostureNetConfig
from dexgrasp_models.nets.weights import load_network
from dexgrasp_models.parameters import Parameters
from dexgrasp_models.tasks.assist_observation import as_many
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.plan_edits import EditConfig, edit_stages, edited

CLOUD_POINTS = 256
"""Of an object, that are looked at."""


@dataclass(frozen=True)
class EditNetConfig(Parameters):
    """What a file of weights is of."""

    net: PostureNetConfig = field(default_factory=PostureNetConfig)
    edit: EditConfig = field(default_factory=EditConfig)


def new_edit_net(config: EditNetConfig) -> PostureNet:
    """One that has learned nothing."""
    hand = load_hand()
    return PostureNet(config.net, edit_stages(hand)[-1].stop, len(hand.actuators))


def seen_for_edits(clouds: np.ndarray, goals: Grasps, config: PostureNetConfig) -> Tensor:
    """(N, K + 18) what edits are learned of: of N clouds the nearness of basis points in the
    palm's frame at the grasp, and of the grasp the actuators' angles, rad.

    Args:
        clouds: (N, P, 3) in the objects' frames, m.
        goals: N.
        config: of the network.
    """
    palms, angles = goals.palm_poses, goals.joints.astype(float) @ load_hand().reduction.T
    held = (clouds - palms[:, None, :3, 3]) @ palms[:, :3, :3]
    nearness = BasisPoints(config.basis_points).nearness(torch.as_tensor(held).float())
    return torch.cat((nearness, torch.as_tensor(angles).float()), dim=1)


class LearnedEdits:
    """Edits the goals of episodes before they begin.

    Args:
        file: of weights.

    Raises:
        WeightsError: it can't be used.
    """

    def __init__(self, file: str | Path) -> None:
        self._config: EditNetConfig

        def build(config: EditNetConfig) -> PostureNet:
            self._config = config
            return new_edit_net(config)

        net, _ = load_network(file, EditNetConfig, build)
        self._net = net.eval()

    def edits(self, episodes: ToldEpisodes) -> np.ndarray:
        """(N, 24) in [-1, 1], see `edited`; of what plans are made with, no true pose else."""
        clouds = np.array([as_many(cloud, CLOUD_POINTS) for cloud in episodes.object_clouds])
        seen = seen_for_edits(clouds, episodes.goals, self._config.net)
        with torch.no_grad():
            return self._net(seen).clamp(-1.0, 1.0).double().numpy()

    def goals(self, episodes: ToldEpisodes) -> Grasps:
        """Those of N episodes, edited."""
        return edited(episodes.goals, self.edits(episodes), self._config.edit, load_hand())
