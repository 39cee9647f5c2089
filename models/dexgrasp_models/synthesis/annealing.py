"""The papers' synthesis: grasps descend Eq. 4 of UniDexGrasp as DexGraspNet anneals it.

Each step goes down the gradient, normalised as in RMSProp, and draws some contacts anew; a grasp
takes it or stays where it was, by Metropolis' rule at a temperature that falls (arXiv 2210.02697).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.geometry.so3 import columns_from_rotation, rotation_from_columns
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.synthesis.config import AnnealingConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface
from dexgrasp_models.synthesis.paper_energy import PALM_NUMBERS, PaperEnergy

_MEAN_JOINTS = {
    **{f"rh_{finger}J2": 0.6 for finger in ("FF", "MF", "RF", "LF")},
    "rh_FFJ4": 0.1,
    "rh_RFJ4": -0.1,
    "rh_LFJ4": -0.2,
    "rh_THJ4": 1.2,
    "rh_THJ2": -0.2,
}
"""Of initial hands, rad; zero for the others (DexGraspNet): fingers half bent, thumb opposed."""


class Annealing:
    """The optimiser of a batch of grasps, as many of each object.

    The grasps of an object share the normalisation of their steps, and nothing with other objects'.

    Attributes:
        states: (B, 9 + K), see `PaperEnergy`.
        contacts: (B, C) indices of contact candidates.
        totals: (B,) energy.
        gradients: (B, 9 + K) of the energy, the contacts' normals held.
        iteration: how many steps have been tried.

    Args:
        energy: of the grasps.
        states: (B, 9 + K) initial ones.
        generator: of contacts and of what is taken, on the states' device.
    """

    def __init__(self, energy: PaperEnergy, states: Tensor, generator: torch.Generator) -> None:
        self.energy = energy
        self.config = energy.config
        self.states = states.clone()  # changed in place
        self.iteration = 0
        self._generator = generator
        self.contacts = self._random_contacts()
        self._mean_square = states.new_zeros(len(energy.surface.points), states.shape[1])
        self._search()

    def step(self) -> Tensor:
        """Try one step with all grasps; (B,) bool, which of them took it."""
        config, energy = self.config, self.energy
        step_size = config.step_size * config.decay ** (self.iteration // config.step_period)
        self.iteration += 1
        periods = self.iteration // config.temperature_period
        temperature = config.temperature * config.decay**periods
        self._travelled += step_size
        if self._travelled > config.search_distance:
            self._search()

        objects, grasps = len(self._mean_square), len(self.states)
        newest = self.gradients.square().view(objects, -1, self.states.shape[1]).mean(1)
        self._mean_square.lerp_(newest, config.gradient_memory)
        scale = energy.surface.of_each_grasp(self._mean_square.sqrt() + 1e-6, grasps)
        states = self.states - step_size * self.gradients / scale
        switched = self._uniform(*self.contacts.shape) < config.switching
        contacts = torch.where(switched, self._random_contacts(), self.contacts)

        # Metropolis' rule: a step is taken that stays below this. Most don't by their contacts
        # alone, and as all terms are positive, the others need not be looked at.
        allowed = self.totals - temperature * (1 - self._uniform(grasps)).log()
        with torch.no_grad():
            points = energy.contact_points(energy.link_poses(states), contacts)
            nearest = energy.nearest_samples(points)
            least = energy.total(energy.contact_terms(points, nearest))
        taken = torch.zeros(grasps, dtype=torch.bool, device=states.device)
        rows = (least < allowed).nonzero()[:, 0]
        if not len(rows):
            return taken
        totals, gradients = self._differentiated(
            states[rows], contacts[rows], nearest[rows], self._obstacles[rows]
        )
        below = totals < allowed[rows]
        rows = rows[below]
        self.states[rows] = states[rows]
        self.contacts[rows] = contacts[rows]
        self.totals[rows] = totals[below]
        self.gradients[rows] = gradients[below]
        taken[rows] = True
        return taken

    def _search(self) -> None:
        """Find the object's points near the hands anew, and what they make of the energy."""
        self._travelled = 0.0
        energy = self.energy
        self._obstacles = energy.nearest_obstacles(self.states)
        with torch.no_grad():
            points = energy.contact_points(energy.link_poses(self.states), self.contacts)
            nearest = energy.nearest_samples(points)
        self.totals, self.gradients = self._differentiated(
            self.states, self.contacts, nearest, self._obstacles
        )

    def _differentiated(
        self, states: Tensor, contacts: Tensor, nearest: Tensor, obstacles: Tensor
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            states = states.detach().requires_grad_()
            totals = self.energy.terms(states, contacts, nearest, obstacles)["total"]
            (gradients,) = torch.autograd.grad(totals.sum(), states)
        return totals.detach(), gradients

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self.states.device)

    def _random_contacts(self) -> Tensor:
        return torch.randint(
            self.energy.candidates,
            (len(self.states), self.config.contacts),
            generator=self._generator,
            device=self.states.device,
        )


def anneal(
    hand: PlanningHand,
    surface: ObjectSurface,
    count: int,
    config: AnnealingConfig,
    generator: np.random.Generator,
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Synthesise grasps of the objects on the table z = 0.

    Args:
        hand: whose coordinates are planned.
        surface: G objects.
        count: grasps of each.
        config: how.
        generator: of all that is drawn.

    Returns:
        (G * count, 4, 4) palm poses in `world`, (G * count, K) coordinates within their limits, and
        the (G * count,) unweighted terms of the energy.
    """
    device = surface.points.device
    random = torch.Generator(device).manual_seed(int(generator.integers(2**63)))
    energy = PaperEnergy(hand, surface, config)
    run = Annealing(energy, initial_states(hand, surface, count, config, random), random)
    for _ in range(config.steps):
        run.step()
    states = run.states
    states[:, PALM_NUMBERS:] = states[:, PALM_NUMBERS:].clamp(hand.lower, hand.upper)
    with torch.no_grad():
        terms = energy(states, run.contacts)
        poses = energy.palm_poses(states)
    del terms["total"]
    return poses, states[:, PALM_NUMBERS:], terms


def initial_states(
    hand: PlanningHand,
    surface: ObjectSurface,
    count: int,
    config: AnnealingConfig,
    generator: torch.Generator,
) -> Tensor:
    """(G * count, 9 + K) states of hands in an area above their objects, facing them.

    Each palm stands off a point of the object's inflated hull whose normal is within the cone
    `elevation` about the vertical, and approaches along that normal but for a random tilt; its turn
    about the approach is random. Joints are normal about a half-open hand, within their limits.
    """
    total = count * len(surface.points)
    device, dtype = surface.points.device, surface.points.dtype

    def uniform(low: float = 0.0, high: float = 1.0) -> Tensor:
        drawn = torch.rand(total, 1, generator=generator, device=device, dtype=dtype)
        return low + (high - low) * drawn

    def normal(*shape: int) -> Tensor:
        return torch.randn(total, *shape, generator=generator, device=device, dtype=dtype)

    heights = uniform(np.cos(config.elevation), 1.0)
    sideways = torch.nn.functional.normalize(normal(2), dim=1)
    outward = torch.cat([(1 - heights.square()).clamp_min(0).sqrt() * sideways, heights], dim=1)
    # The point of a hull with a given normal is the one farthest along it.
    along = outward.view(len(surface.points), count, 3) @ surface.points.mT
    anchors = surface.points.gather(1, along.argmax(-1)[..., None].expand(-1, -1, 3)).flatten(0, 1)
    anchors = anchors + config.inflation * outward

    # The first columns of these frames: the hull's normal inwards, and the approach.
    inward = rotation_from_columns(torch.cat([-outward, normal(3)], dim=1))
    tilts = uniform(-config.cone, config.cone)
    approach = tilts.cos() * inward[..., 0] + tilts.sin() * inward[..., 1]
    turned = rotation_from_columns(torch.cat([approach, normal(3)], dim=1))
    facing = approach.new_tensor([0, -np.sin(config.palm_tilt), np.cos(config.palm_tilt), 1, 0, 0])
    rotations = turned @ rotation_from_columns(facing).T
    positions = anchors - uniform(*config.standoff) * approach

    mean = hand.coordinates(
        approach.new_tensor([[_MEAN_JOINTS.get(name, 0.0) for name in hand.spec.finger_joints]])
    )
    deviation = config.joint_jitter * (hand.upper - hand.lower)
    lowest, highest = (
        torch.special.ndtr((limit - mean) / deviation) for limit in (hand.lower, hand.upper)
    )
    shares = torch.rand(total, mean.shape[1], generator=generator, device=device, dtype=dtype)
    drawn = mean + deviation * torch.special.ndtri(lowest + shares * (highest - lowest))
    coordinates = drawn.clamp(hand.lower, hand.upper)
    return torch.cat([positions, columns_from_rotation(rotations), coordinates], dim=1)
