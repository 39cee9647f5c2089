"""UniDexGrasp's first stage, rendered plainly: the peer of this project's learned proposer.

The same networks with the same weights, and what the paper says of how they are used (3.2.1 to
3.2.4): rotations from all of a grid of SO(3), one sample of GraspGlow for each, and 300 steps of
Adam on each grasp for the contact map that ContactNet predicts. It uses what the papers use:
pytorch-kinematics, gradients by autograd, a hand of points for contacts, distances from each point
of the cloud to each point and each primitive of the hand. `bench/learned_proposer.py` times it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from paper_synthesis import Hand
from torch import Tensor

from dexgrasp_models.geometry.so3 import rotation_from_vector
from dexgrasp_models.geometry.so3_grid import so3_grid
from dexgrasp_models.hand.kinematics import points_on_links
from dexgrasp_models.hand.surface import sample_surface
from dexgrasp_models.nets.contact import canonical, contact_heat
from dexgrasp_models.nets.losses import ADAPTATION_WEIGHTS
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.proposals.learned import Networks

HAND_POINTS = 1024
STEP_SIZE = 0.001
"""Of Adam, m or rad (Table 6)."""
_GRID_LEVEL = 3
_LEAST_DISTANCE = 0.02  # m, of the hand's key points from one another


class PaperProposer:
    """Samples grasps of a cloud, and adapts them in batches of any size."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._hand = Hand("cpu")
        surface = sample_surface(self._hand.spec, HAND_POINTS, seed=0)
        self._links = torch.as_tensor(surface.link_index)
        self._points = torch.as_tensor(surface.points, dtype=torch.float32)
        primitives = [
            (i, p) for i, link in enumerate(self._hand.spec.links) for p in link.primitives
        ]
        self._primitives = [
            (
                index,
                torch.as_tensor(primitive.pose.matrix, dtype=torch.float32),
                # A capsule is a line, a box without width or depth, grown by its radius.
                torch.tensor(
                    primitive.size if primitive.kind == "box" else (0.0, 0.0, primitive.size[1])
                ),
                0.0 if primitive.kind == "box" else primitive.size[0],
            )
            for index, primitive in primitives
        ]

    @torch.no_grad()
    def rotations(self, points: Tensor, count: int) -> Tensor:
        """(K, 3, 3) drawn from p(R|X) over a grid, for a cloud (N, 3)."""
        network, grid = self._networks.rotation, torch.as_tensor(so3_grid(_GRID_LEVEL)).float()
        with torch.enable_grad():  # all of the grid through each layer at once
            scores = network.scores(network.encode(points[None]), grid)[0].detach()
        return grid[torch.multinomial(scores.softmax(dim=0), count, replacement=True)]

    @torch.no_grad()
    def samples(self, points: Tensor, rotations: Tensor) -> GraspTensors:
        """A grasp for each of K rotations."""
        clouds = points.expand(len(rotations), *points.shape)
        return self._networks.flow.sample(clouds, rotations).grasps

    def adapted(
        self,
        grasps: GraspTensors,
        points: Tensor,
        steps: int = 300,
        stepped: Callable[[], object] = lambda: None,
    ) -> GraspTensors:
        """All grasps after some steps of Adam on the weighted sum of losses (Eq. 3, Table 6).

        Args:
            grasps: B of them, in the cloud's frame.
            points: (N, 3) cloud in the table-top frame.
            steps: how many.
            stepped: is called after each.
        """
        target = self._target(grasps, points)
        turns = torch.zeros(grasps.count, 3, requires_grad=True)
        translations = grasps.translations.clone().requires_grad_()
        joints = grasps.joints.clone().requires_grad_()
        optimiser = torch.optim.Adam((turns, translations, joints), STEP_SIZE)

        def current() -> GraspTensors:
            rotations = grasps.rotations @ rotation_from_vector(turns)
            return GraspTensors(rotations, translations, joints)

        for _ in range(steps):
            optimiser.zero_grad()
            self.energy(current(), points, target).sum().backward()
            optimiser.step()
            stepped()
        return GraspTensors(*(field.detach() for field in current()))

    def energy(self, grasps: GraspTensors, points: Tensor, target: Tensor) -> Tensor:
        """(B,) the weighted sum of the four losses, with a contact map (B, N) to have."""
        poses = self._hand.link_poses(grasps.palm_poses, grasps.joints)
        surface = points_on_links(poses, self._links, self._points)
        nearest = torch.cdist(points.expand(len(surface), -1, -1), surface).amin(dim=2)
        terms = {
            "cmap": (contact_heat(nearest) - target).square().sum(dim=1),
            "pen": self.depths(poses, points).clamp_min(0).square().sum(dim=1),
            "tpen": self._hand.below_table(poses),
            "spen": self._hand.self_penetration(poses, _LEAST_DISTANCE),
        }
        return sum(getattr(ADAPTATION_WEIGHTS, name) * value for name, value in terms.items())

    def depths(self, link_poses: Tensor, points: Tensor) -> Tensor:
        """(B, N) how deep points (N, 3) are in the hand; negative outside, m."""
        found = []
        for index, pose, half, radius in self._primitives:
            frames = link_poses[:, index] @ pose
            local = (points - frames[:, None, :3, 3]) @ frames[:, :3, :3]
            excess = local.abs() - half
            outside = (excess.clamp_min(0).square().sum(dim=-1) + 1e-16).sqrt()
            found.append(radius - outside - excess.amax(dim=-1).clamp_max(0))
        return torch.stack(found).amax(dim=0)

    @torch.no_grad()
    def _target(self, grasps: GraspTensors, points: Tensor) -> Tensor:
        poses = self._hand.link_poses(grasps.palm_poses, grasps.joints)
        hands = points_on_links(poses, self._links, self._points)
        return self._networks.contact.heat(
            canonical(points, grasps.rotations), canonical(hands, grasps.rotations)
        )
