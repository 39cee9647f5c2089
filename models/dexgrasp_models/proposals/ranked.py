"""From optimised hand poses to ranked grasps: what every proposer does last."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dexgrasp_models.geometry.poses import nearest_proper
from dexgrasp_models.proposals.rank import Ranker, grasp_figures, rank_order
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.refine import GraspBatch
from dexgrasp_models.synthesis.squeeze import pregrasp_joints, squeeze_targets
from dexgrasp_models.synthesis.types import Grasp


@torch.no_grad()
def ranked_grasps(
    energy: GraspEnergy,
    batch: GraspBatch,
    execution: ExecutionConfig,
    ranker: Ranker,
    proposer: str,
    extra: Mapping[str, Tensor] | None = None,
) -> list[Grasp]:
    """Grasps of one object with the joints before and after them, best first.

    Args:
        energy: of the object.
        batch: hand poses.
        execution: how they are carried out.
        ranker: model of success.
        proposer: name of what made them.
        extra: (B,) further figures by name.
    """
    hand = energy.hand
    joints = hand.joints(batch.coordinates)
    poses = hand.link_poses(batch.palm_poses, joints)
    result = energy(poses, joints, hand.joints(batch.preshape))
    opened = pregrasp_joints(hand, poses, batch.coordinates, result.contacts, execution)
    squeezed = squeeze_targets(hand, poses, joints, result.contacts, result.forces, execution)
    figures = grasp_figures(energy, result, poses, joints, opened)
    scores = ranker.score(figures)
    figures |= extra or {}
    palms = nearest_proper(batch.palm_poses.double().numpy())
    return [
        Grasp(
            palm_pose=palms[index],
            joints=joints[index].double().numpy(),
            pregrasp_joints=opened[index].double().numpy(),
            squeeze_joints=squeezed[index].double().numpy(),
            score=float(scores[index]),
            figures={name: float(values[index]) for name, values in figures.items()},
            proposer=proposer,
        )
        for index in rank_order(scores)
    ]
