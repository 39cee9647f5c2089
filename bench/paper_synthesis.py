"""The papers' grasp synthesis, rendered plainly: the peer of this project's own.

A batch of grasps descends the energy of UniDexGrasp's appendix A (Eq. 4) on a table, by the
optimiser of DexGraspNet (arXiv 2210.02697), of which UniDexGrasp's data set is the table-top
variant: steps normalised as in RMSProp, random changes of contact points, and simulated annealing
that takes or refuses each step. It uses what the papers use: pytorch-kinematics, gradients by
autograd, distances to all triangles of the object and to all primitives of the hand. Figures that
the papers do not give are those of DexGraspNet's published settings for tables
(github.com/PKU-EPIC/DexGraspNet, branch `table`, which UniDexGrasp's authors name as their source).

    python bench/paper_synthesis.py [library:bottle/0] [--scale 0.08] [--count 64] [--steps 6000]
        [--threads 1] [--out GRASPS.npz]
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytorch_kinematics
import torch
import trimesh
from rich.progress import track
from scipy.spatial.transform import Rotation
from scipy.stats import truncnorm
from torch import Tensor

from dexgrasp_models.data.closing import outer_surface
from dexgrasp_models.files import written_whole
from dexgrasp_models.geometry.so3 import columns_from_rotation, rotation_from_columns
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.surface import contact_candidates
from dexgrasp_models.hand.urdf import hand_urdf
from dexgrasp_models.objects import ObjectModel, load_object
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_sim.backends import find_stable_poses


@dataclass(frozen=True)
class PaperSettings(Parameters):
    """Published settings; the weights multiply sums over contacts, points, links and joints."""

    contacts: int = parameter(4, 1, 20, "", "contact points of a grasp")
    object_points: int = parameter(2000, 16, 4096, "", "object points that repel the hand")

    weight_distance: float = parameter(100.0, 0, 1e6, "1/m", "weight of E_dis")
    weight_penetration: float = parameter(100.0, 0, 1e6, "1/m", "weight of E_pen")
    weight_table: float = parameter(40.0, 0, 1e6, "1/m", "weight of E_tpen")
    weight_joints: float = parameter(1.0, 0, 1e6, "1/rad", "weight of E_joints")
    weight_self: float = parameter(10.0, 0, 1e6, "1/m", "weight of E_spen")
    self_distance: float = parameter(0.02, 0, 0.1, "m", "least distance of the hand's key points")

    step_size: float = parameter(0.005, 0, 1, "m or rad", "first step")
    step_period: int = parameter(50, 1, 1_000_000, "", "iterations after which steps shrink")
    temperature: float = parameter(18.0, 0, 1e6, "", "first temperature, in units of the energy")
    temperature_period: int = parameter(30, 1, 1_000_000, "", "iterations after which it cools")
    decay: float = parameter(0.95, 0, 1, "", "factor of both, each period")
    gradient_memory: float = parameter(0.98, 0, 1, "", "mu: the newest squared gradient's weight")
    switching: float = parameter(0.5, 0, 1, "", "probability that a contact is drawn anew")

    inflation: float = parameter(0.2, 0, 1, "m", "growth of the hull about the object")
    standoff: tuple[float, float] = parameter((0.2, 0.3), 0, 1, "m", "palm's distance from it")
    cone: float = parameter(math.pi / 6, 0, math.pi, "rad", "largest tilt off the hull's normal")
    palm_tilt: float = parameter(math.pi / 3, 0, math.pi, "rad", "approach, from the fingers' axis")
    elevation: float = parameter(math.pi / 4, 0.01, math.pi, "rad", "palm's angle off the vertical")
    joint_jitter: float = parameter(0.1, 1e-6, 1, "", "deviation of joints over their range")


_DENSE = 100
"""Points on the inflated hull for each grasp, of which the farthest apart are taken."""
_CANONICAL_JOINTS = {
    "rh_FFJ4": 0.1,
    "rh_FFJ2": 0.6,
    "rh_MFJ2": 0.6,
    "rh_RFJ4": -0.1,
    "rh_RFJ2": 0.6,
    "rh_LFJ4": -0.2,
    "rh_LFJ2": 0.6,
    "rh_THJ4": 1.2,
    "rh_THJ2": -0.2,
}
"""Mean of the initial joints (rad); zero for the others. Fingers half bent, thumb opposed."""
_PADS = ("proximal", "middle", "distal")
_KEY_POINTS = {
    **{
        f"rh_{finger}{phalanx}": heights
        for finger in ("ff", "mf", "rf", "lf")
        for phalanx, heights in (("proximal", [0.024]), ("middle", [0, 0.025]), ("distal", [0.024]))
    },
    "rh_thproximal": [0.038],
    "rh_thmiddle": [0.032],
    "rh_thdistal": [0.026],
}
"""Points that keep apart, by their z in the link's frame, m."""
_ROUNDING = 1e-5
"""Length (m) below which directions between points mean nothing."""

_CACHED = 1 << 17
"""Numbers in a table that a processor works on at once, so that it stays in its cache."""
_ON_DEVICE = 1 << 25
"""The same on other devices, for the sake of their memory."""


class Synthesised(NamedTuple):
    """A batch of synthesised grasps."""

    palm_poses: np.ndarray
    """(N, 4, 4) of `rh_palm` in `world`."""
    joints: np.ndarray
    """(N, 22) rad."""
    energies: dict[str, np.ndarray]
    """(N,) of each term, unweighted, and of their weighted sum, `total`."""


def synthesise(
    model: ObjectModel,
    world_T_object: np.ndarray,
    count: int,
    steps: int = 6000,
    seed: int = 0,
    device: torch.device | str = "cpu",
    settings: PaperSettings | None = None,
    show_progress: bool = False,
) -> Synthesised:
    """Grasps of an object on the table z = 0, descended together; the valid ones among the rest.

    Args:
        model: the object.
        world_T_object: (4, 4) pose of its frame.
        count: how many grasps; they share the normalisation of the steps.
        steps: iterations.
        seed: of all random draws. The same seed gives the same grasps on the same device.
        device: where to compute.
        settings: the published ones by default.
        show_progress: a progress bar on the terminal.

    Raises:
        ValueError: `count` or `steps` is out of range, or the pose is no pose.
    """
    if count < 1 or steps < 0:
        raise ValueError(f"need count >= 1 and steps >= 0, got {count} and {steps}")
    annealing = Annealing(model, world_T_object, count, seed, device, settings)
    for _ in track(range(steps), "annealing", disable=not show_progress):
        annealing.step()
    return annealing.result()


class Annealing:
    """The optimiser of a batch of grasps (DexGraspNet).

    Attributes:
        state: (N, 31) palm position (m), first two columns of its rotation, and joints (rad).
        contacts: (N, contacts) indices of contact candidates.
        terms: (N,) of each term of the energy, unweighted, and of their weighted sum, `total`.
        gradient: (N, 31) of the total.
    """

    def __init__(
        self,
        model: ObjectModel,
        world_T_object: np.ndarray,
        count: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        settings: PaperSettings | None = None,
    ) -> None:
        world_T_object = np.asarray(world_T_object, dtype=float)
        if world_T_object.shape != (4, 4) or not np.allclose(
            world_T_object[:3, :3] @ world_T_object[:3, :3].T, np.eye(3), atol=1e-4
        ):
            raise ValueError(f"world_T_object is no (4, 4) rigid pose: {world_T_object}")
        self.settings = settings or PaperSettings()
        self.hand = Hand(device)
        self.object = Object(model, world_T_object, self.settings.object_points, device)
        self.iteration = 0
        initial = initial_states(self.object.hull, count, seed, self.settings)
        self.state = torch.as_tensor(initial, dtype=torch.float32, device=device)
        self._random = torch.Generator(device).manual_seed(seed)
        self._mean_square = torch.zeros(self.state.shape[1], device=device)
        self.contacts = self._random_contacts(count)
        self.terms, self.gradient = self._differentiated(self.state, self.contacts)

    def step(self) -> None:
        """Try one step with all grasps; each takes it or stays where it is."""
        settings = self.settings
        step_size = settings.step_size * settings.decay ** (self.iteration // settings.step_period)
        self.iteration += 1
        periods = self.iteration // settings.temperature_period
        temperature = settings.temperature * settings.decay**periods

        # One mean square for each coordinate, over the batch: the memory is short, mu near one.
        newest = self.gradient.square().mean(0)
        self._mean_square = torch.lerp(self._mean_square, newest, settings.gradient_memory)
        state = self.state - step_size * self.gradient / (self._mean_square.sqrt() + 1e-6)
        switched = self._uniform(*self.contacts.shape) < settings.switching
        contacts = torch.where(switched, self._random_contacts(len(state)), self.contacts)
        terms, gradient = self._differentiated(state, contacts)

        taken = accepted(
            self.terms["total"], terms["total"], temperature, self._uniform(len(state))
        )
        self.state = torch.where(taken[:, None], state, self.state)
        self.contacts = torch.where(taken[:, None], contacts, self.contacts)
        self.gradient = torch.where(taken[:, None], gradient, self.gradient)
        self.terms = {
            name: torch.where(taken, terms[name], old) for name, old in self.terms.items()
        }

    def result(self) -> Synthesised:
        """The grasps as they are now."""
        palm_poses, joints = unpacked(self.state.double())
        energies = {name: values.cpu().numpy() for name, values in self.terms.items()}
        return Synthesised(palm_poses.cpu().numpy(), joints.cpu().numpy(), energies)

    def energy(self, state: Tensor, contacts: Tensor) -> dict[str, Tensor]:
        """Eq. 4: (N,) of each term, unweighted, and of their weighted sum, `total`."""
        settings, hand = self.settings, self.hand
        palm_poses, joints = unpacked(state)
        link_poses = hand.link_poses(palm_poses, joints)
        points = hand.contact_points(link_poses, contacts)
        distances, normals = self.object.distance(points)
        terms = {
            "fc": force_closure_energy(points, normals, self.object.center),
            "dis": distances.sum(1),
            "pen": hand.penetration(link_poses, self.object.points),
            "tpen": hand.below_table(link_poses),
            "joints": hand.beyond_limits(joints),
            "spen": hand.self_penetration(link_poses, settings.self_distance),
        }
        terms["total"] = (
            terms["fc"]
            + settings.weight_distance * terms["dis"]
            + settings.weight_penetration * terms["pen"]
            + settings.weight_table * terms["tpen"]
            + settings.weight_joints * terms["joints"]
            + settings.weight_self * terms["spen"]
        )
        return terms

    def _differentiated(self, state: Tensor, contacts: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        state = state.detach().requires_grad_()
        terms = self.energy(state, contacts)
        (gradient,) = torch.autograd.grad(terms["total"].sum(), state)
        return {name: values.detach() for name, values in terms.items()}, gradient

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._random, device=self.state.device)

    def _random_contacts(self, count: int) -> Tensor:
        shape = (count, self.settings.contacts)
        return torch.randint(
            self.hand.candidates, shape, generator=self._random, device=self.state.device
        )


def accepted(energy: Tensor, proposed: Tensor, temperature: float, uniform: Tensor) -> Tensor:
    """(N,) bool: whether each grasp takes its step, by Metropolis' rule.

    Args:
        energy, proposed: (N,) before and after the step.
        temperature: in units of the energy; at zero only what is better is taken.
        uniform: (N,) random numbers in [0, 1).
    """
    return uniform < torch.exp((energy - proposed) / temperature)


def force_closure_energy(points: Tensor, normals: Tensor, center: Tensor) -> Tensor:
    """(N,) |G c|^2: the wrench that unit forces along the normals leave unbalanced.

    Args:
        points: (N, K, 3) contacts, m.
        normals: (N, K, 3) unit normals of the object there.
        center: (3,) about which torques are taken.
    """
    torques = torch.linalg.cross(points - center, normals)
    return normals.sum(1).square().sum(1) + torques.sum(1).square().sum(1)


def unpacked(state: Tensor) -> tuple[Tensor, Tensor]:
    """Palm poses (N, 4, 4) and joints (N, 22) of states (N, 31)."""
    rotations = rotation_from_columns(state[:, 3:9])
    upper = torch.cat([rotations, state[:, :3, None]], dim=2)
    lowest = upper.new_tensor([0, 0, 0, 1]).expand(len(state), 1, 4)
    return torch.cat([upper, lowest], dim=1), state[:, 9:]


class Hand:
    """The hand as the energy sees it: contact candidates, primitives, key points, limits."""

    def __init__(self, device: torch.device | str) -> None:
        self.spec = spec = load_hand()

        def tensor(values: object, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.as_tensor(np.array(values), dtype=dtype, device=device)

        chain = pytorch_kinematics.build_chain_from_urdf(hand_urdf(spec).encode())
        self._chain = chain.to(dtype=torch.float32, device=device)
        names = chain.get_joint_parameter_names()
        self._columns = [spec.joint_index(name) for name in names]
        self._limits = tensor(spec.limits)

        # On the pads of all phalanges but the thumb's first.
        pads = [
            link.name
            for link in spec.links
            if link.name.endswith(_PADS) and link.name != "rh_thproximal"
        ]
        rows = contact_candidates(spec, pads)
        each = rows.points.shape[1]
        self._contact_link = tensor(rows.link_index, torch.long).repeat_interleave(each)
        self._contact_point = tensor(rows.points).flatten(0, 1)
        self.candidates = len(self._contact_point)

        self._key_link = tensor(
            [spec.link_index(name) for name, heights in _KEY_POINTS.items() for _ in heights],
            torch.long,
        )
        self._key_point = tensor([(0, 0, z) for heights in _KEY_POINTS.values() for z in heights])

        # A capsule is a line, a box without width or depth, grown by its radius.
        primitives = [(i, p) for i, link in enumerate(spec.links) for p in link.primitives]
        self._primitive_link = tensor([index for index, _ in primitives], torch.long)
        self._primitive_pose = tensor([primitive.pose.matrix for _, primitive in primitives])
        boxes = [primitive.kind == "box" for _, primitive in primitives]
        sizes = [primitive.size for _, primitive in primitives]
        self._is_box = boxes
        self._half = tensor(
            [size if box else (0, 0, size[1]) for size, box in zip(sizes, boxes, strict=True)]
        )
        self._radius = tensor(
            [0 if box else size[0] for size, box in zip(sizes, boxes, strict=True)]
        )

    def link_poses(self, palm_poses: Tensor, joints: Tensor) -> Tensor:
        """(N, L, 4, 4) in the order of the hand's links, in the frame of the palm poses."""
        frames = self._chain.forward_kinematics(joints[:, self._columns])
        in_palm = torch.stack([frames[name].get_matrix() for name in self.spec.link_names], dim=1)
        return palm_poses[:, None] @ in_palm

    def contact_points(self, link_poses: Tensor, contacts: Tensor) -> Tensor:
        """(N, K, 3) points of contact candidates given by their indices (N, K)."""
        grasps = torch.arange(len(contacts), device=contacts.device)[:, None]
        poses = link_poses[grasps, self._contact_link[contacts]]
        local = self._contact_point[contacts][..., None]
        return (poses[..., :3, :3] @ local)[..., 0] + poses[..., :3, 3]

    def penetration(self, link_poses: Tensor, points: Tensor) -> Tensor:
        """E_pen: (N,) sum of the depths at which object points (M, 3) lie in the hand, m.

        As in UniDexGrasp's "Hand SDF Calculation": each primitive by itself, in its own frame, and
        for each point the deepest. Points outside, nearly all, have no gradient; they are set aside
        first, without a graph.
        """
        frames = link_poses[:, self._primitive_link] @ self._primitive_pose
        with torch.no_grad():
            rows = _rows_at_once(len(points), points.device)
            inside = torch.cat([self._contains(block, points) for block in frames.split(rows)])
        grasp, point = inside.nonzero(as_tuple=True)
        frames = frames[grasp]
        offsets = points[point, None] - frames[..., :3, 3]
        local = (offsets[..., None, :] @ frames[..., :3, :3])[..., 0, :]
        excess = local.abs() - self._half
        outside = (excess.clamp(min=0).square().sum(-1) + 1e-16).sqrt()
        depths = self._radius - outside - excess.amax(-1).clamp(max=0)
        return link_poses.new_zeros(len(inside)).index_add(0, grasp, depths.amax(1))

    def _contains(self, frames: Tensor, points: Tensor) -> Tensor:
        """(B, M) bool: whether points (M, 3) are inside any primitive at frames (B, P, 4, 4)."""
        axes = frames[..., :3, :3].transpose(-1, -2)
        into = torch.cat([axes, -axes @ frames[..., :3, 3:]], dim=-1)  # (B, P, 3, 4)
        homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], dim=1).T
        lowest = points.new_full((len(frames), len(points)), torch.inf)
        for index, is_box in enumerate(self._is_box):
            local = into[:, index].transpose(0, 1).flatten(0, 1) @ homogeneous
            x, y, z = local.abs_().view(3, len(frames), -1)
            half_x, half_y, half_z = self._half[index].unbind()
            z.sub_(half_z)
            if is_box:
                above = x.sub_(half_x).maximum(y.sub_(half_y)).maximum(z)
            else:
                z.clamp_(min=0).square_().addcmul_(x, x).addcmul_(y, y)
                above = z.sub_(self._radius[index].square())
            torch.minimum(lowest, above, out=lowest)
        return lowest < 0

    def below_table(self, link_poses: Tensor) -> Tensor:
        """E_tpen: (N,) sum over primitives of the depth of their lowest points under z = 0, m."""
        frames = link_poses[:, self._primitive_link] @ self._primitive_pose
        reach = (frames[..., 2, :3].abs() * self._half).sum(-1) + self._radius
        return (reach - frames[..., 2, 3]).clamp(min=0).sum(1)

    def beyond_limits(self, joints: Tensor) -> Tensor:
        """E_joints: (N,) sum of the angles beyond the joints' limits, rad."""
        lower, upper = self._limits.T
        return ((lower - joints).clamp(min=0) + (joints - upper).clamp(min=0)).sum(1)

    def self_penetration(self, link_poses: Tensor, least: float) -> Tensor:
        """E_spen: (N,) sum over ordered pairs of key points of what lacks to a least distance."""
        poses = link_poses[:, self._key_link]
        points = (poses[..., :3, :3] @ self._key_point[..., None])[..., 0] + poses[..., :3, 3]
        first, second = torch.triu_indices(points.shape[1], points.shape[1], 1)
        squares = (points[:, first] - points[:, second]).square().sum(-1)
        return 2 * (least - (squares + 1e-16).sqrt()).clamp(min=0).sum(1)


class Object:
    """The object as the energy sees it, in `world`.

    Attributes:
        points: (M, 3) spread over the surface.
        center: (3,) middle of its bounds, about which torques are taken.
        hull: its convex hull.
    """

    def __init__(
        self, model: ObjectModel, world_T_object: np.ndarray, count: int, device: torch.device | str
    ) -> None:
        pieces = [piece.copy().apply_transform(world_T_object) for piece in model.pieces]
        self.hull = trimesh.util.concatenate(pieces).convex_hull
        surface = torch.as_tensor(outer_surface(model)[0] @ world_T_object[:3, :3].T)
        surface += torch.as_tensor(world_T_object[:3, 3])
        first = np.random.default_rng(0).integers(len(surface))
        points = surface[farthest_points(surface, min(count, len(surface)), int(first))]
        self.points = points.to(device, torch.float32)
        self.center = torch.as_tensor(
            self.hull.bounds.mean(axis=0), dtype=torch.float32, device=device
        )
        self._triangles = Triangles(pieces, device)

    def distance(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Distance to the surface and its outward normal there, of points (N, K, 3).

        Returns:
            (N, K) m, never negative, differentiable; (N, K, 3) unit vectors, constant: that of a
            point off the surface is the gradient of the signed distance.
        """
        flat = points.flatten(0, 1)
        nearest, normals = self._triangles.nearest(flat.detach())
        distances = ((flat - nearest).square().sum(-1) + 1e-12).sqrt()
        return distances.view(points.shape[:2]), normals.view(points.shape)


class Triangles:
    """All triangles of convex pieces, for distances by brute force."""

    def __init__(self, pieces: Sequence[trimesh.Trimesh], device: torch.device | str) -> None:
        corners, normals = [], []
        for piece in pieces:
            kept = piece.area_faces > 1e-14
            corners.append(piece.triangles[kept])
            normals.append(piece.face_normals[kept])
        self._counts = [len(of_piece) for of_piece in corners]
        corner, normal = np.concatenate(corners), np.concatenate(normals)
        edge = np.roll(corner, -1, axis=1) - corner
        length = np.linalg.norm(edge, axis=2, keepdims=True)
        along = edge / length
        across = np.cross(along, normal[:, None])  # in the plane, away from the triangle
        axes = np.concatenate([normal[:, None], along, across], axis=1)  # (T, 7, 3)
        starts = np.concatenate([corner[:, :1], corner, corner], axis=1)
        offsets = -(axes * starts).sum(-1)

        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=device)

        # Homogeneous, so that one matrix product takes points into the frames of all edges.
        rows = np.concatenate([axes, offsets[..., None]], axis=2).transpose(1, 0, 2)
        self._rows = tensor(rows)  # (7, T, 4)
        self._lengths = tensor(length[..., 0].T)  # (3, T)
        self._corners, self._normals = tensor(corner), tensor(normal)

    @torch.no_grad()
    def nearest(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest point of the surface and outward normal there, each (M, 3), of points (M, 3)."""
        rows = _rows_at_once(len(self._normals), points.device)
        found = [self._nearest_triangle(block) for block in points.split(rows)]
        index, inside = (torch.cat(values) for values in zip(*found, strict=True))
        nearest = self._closest(points, index)
        outward = torch.where(inside[:, None], nearest - points, points - nearest)
        gap = outward.norm(dim=1, keepdim=True)
        return nearest, torch.where(gap > _ROUNDING, outward / gap, self._normals[index])

    def _nearest_triangle(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Index of each point's nearest triangle, and whether it is inside a piece; (M,) each."""
        homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], dim=1)
        height = homogeneous @ self._rows[0].T  # (M, T)
        to_border = torch.full_like(height, torch.inf)
        beyond = torch.full_like(height, -torch.inf)
        for edge in range(3):
            along = homogeneous @ self._rows[1 + edge].T
            across = homogeneous @ self._rows[4 + edge].T
            along.sub_(along.clamp(min=0).minimum(self._lengths[edge])).square_()
            torch.minimum(to_border, along.addcmul_(across, across), out=to_border)
            torch.maximum(beyond, across, out=beyond)
        squares = to_border.masked_fill_(beyond <= 0, 0).addcmul_(height, height)
        highest = [of_piece.amax(1) for of_piece in height.split(self._counts, dim=1)]
        return squares.argmin(1), (torch.stack(highest, dim=1) <= 0).any(1)

    def _closest(self, points: Tensor, index: Tensor) -> Tensor:
        """(M, 3) point of one triangle each that is closest to (M, 3) points."""
        corners, normals = self._corners[index], self._normals[index]
        edges = corners.roll(-1, dims=1) - corners
        offsets = points[:, None] - corners
        share = (offsets * edges).sum(-1) / edges.square().sum(-1)
        on_edges = corners + share.clamp(0, 1)[..., None] * edges
        best = (points[:, None] - on_edges).square().sum(-1).argmin(1)
        on_border = on_edges[torch.arange(len(points), device=points.device), best]
        foot = points - (offsets[:, 0] * normals).sum(-1, keepdim=True) * normals
        across = (torch.linalg.cross(edges, normals[:, None].expand_as(edges)) * offsets).sum(-1)
        return torch.where((across <= 0).all(1, keepdim=True), foot, on_border)


def _rows_at_once(columns: int, device: torch.device) -> int:
    """How many rows of a table with so many columns to work on at once."""
    return max(1, (_CACHED if device.type == "cpu" else _ON_DEVICE) // columns)


def initial_states(
    hull: trimesh.Trimesh, count: int, seed: int, settings: PaperSettings
) -> np.ndarray:
    """(N, 31) states of hands about an object's hull on the table, facing it from above.

    Palms stand off points spread over the inflated hull, look at the object but for a random tilt,
    turn at random about their approach, and are drawn anew where they do not stand over the object,
    within the cone `elevation` about the vertical.
    """
    generator = np.random.default_rng(seed)
    center = hull.bounds.mean(axis=0)
    rays = hull.vertices - center
    grown = hull.vertices + settings.inflation * rays / np.linalg.norm(rays, axis=1, keepdims=True)
    inflated = trimesh.Trimesh(grown, hull.faces).convex_hull
    dense, _ = trimesh.sample.sample_surface(inflated, _DENSE * count, seed=generator)
    dense, on_hull = torch.as_tensor(dense), Triangles([hull], "cpu")
    below = np.array([center[0], center[1], 0.0])

    palms = np.zeros((0, 3))
    rotations = np.zeros((0, 3, 3))
    while len(palms) < count:
        missing = count - len(palms)
        spread = farthest_points(dense, missing, int(generator.integers(len(dense))))
        anchors = dense[spread].numpy()
        nearest, _ = on_hull.nearest(dense[spread].float())
        inward = nearest.numpy() - anchors
        inward /= np.linalg.norm(inward, axis=1, keepdims=True)
        # The approach is each frame's z axis: first along the hull's normal, then tilted.
        facing = Rotation.from_euler(
            "ZX",
            np.stack(
                [
                    np.arctan2(inward[:, 1], inward[:, 0]) - np.pi / 2,
                    -np.arccos(inward[:, 2].clip(-1, 1)),
                ],
                axis=1,
            ),
        )
        turns = generator.uniform(0, 2 * np.pi, (2, missing))
        tilts = generator.uniform(-settings.cone, settings.cone, missing)
        frames = facing * Rotation.from_euler("ZXZ", np.stack([turns[0], tilts, turns[1]], axis=1))
        distances = generator.uniform(*settings.standoff, (missing, 1))
        found = anchors - distances * frames.apply([0, 0, 1])
        hands = frames * Rotation.from_euler("X", -settings.palm_tilt)
        upward = (found - below)[:, 2] / np.linalg.norm(found - below, axis=1)
        over = np.arccos(upward.clip(-1, 1)) < settings.elevation
        palms = np.concatenate([palms, found[over]])
        rotations = np.concatenate([rotations, hands.as_matrix()[over]])

    spec = load_hand()
    mean = np.array([_CANONICAL_JOINTS.get(name, 0.0) for name in spec.finger_joints])
    lower, upper = spec.limits.T
    deviation = settings.joint_jitter * (upper - lower)
    joints = truncnorm.rvs(
        (lower - mean) / deviation,
        (upper - mean) / deviation,
        loc=mean,
        scale=deviation,
        size=(count, len(mean)),
        random_state=generator,
    )
    columns = columns_from_rotation(torch.as_tensor(rotations)).numpy()
    return np.concatenate([palms, columns, joints], axis=1)


def farthest_points(points: Tensor, count: int, first: int) -> Tensor:
    """(count,) indices of points (M, 3), each the farthest from those before it."""
    chosen = torch.empty(count, dtype=torch.long)
    nearest = torch.full((len(points),), torch.inf, dtype=points.dtype)
    for index in range(count):
        chosen[index] = first
        nearest = torch.minimum(nearest, (points - points[first]).square().sum(1))
        first = int(nearest.argmax())
    return chosen


def main() -> int:
    """Synthesise grasps of one object in its most frequent pose; print terms and time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("object", nargs="?", default="library:bottle/0", help="as load_object's")
    parser.add_argument("--scale", type=float, default=0.08)
    parser.add_argument("--count", type=int, default=64, help="grasps at once")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the grasps to this .npz file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    model = load_object(arguments.object, arguments.scale)
    world_T_object = find_stable_poses(model)[0].placed(0.0, 0.0, 0.0)
    annealing = Annealing(model, world_T_object, arguments.count, arguments.seed, arguments.device)
    before = annealing.result().energies
    started = time.perf_counter(), time.process_time()
    for _ in track(range(arguments.steps), "annealing", disable=not sys.stdout.isatty()):
        annealing.step()
    grasps = annealing.result()  # waits for the device
    wall, processor = time.perf_counter() - started[0], time.process_time() - started[1]

    print(f"{arguments.object} at {arguments.scale:g}, {arguments.count} grasps")
    print(f"{'term':8s} {'before':>9s} {'median':>9s} {'10 %':>9s} {'90 %':>9s}")
    for name, values in grasps.energies.items():
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
        print(f"{name:8s} {np.median(before[name]):9.4f} {middle:9.4f} {low:9.4f} {high:9.4f}")
    if arguments.steps:
        each = 1000 / arguments.steps
        print(f"1000 steps: {wall * each:.1f} s, {processor * each:.1f} s of processor time")
    if arguments.out:
        with written_whole(arguments.out) as path:
            np.savez(
                path,
                palm_poses=grasps.palm_poses,
                joints=grasps.joints,
                world_T_object=world_T_object,
                **{f"E_{name}": values for name, values in grasps.energies.items()},
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
