"""Grasps about simple solids, for tests of the networks."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from dexgrasp_models.geometry.so3 import rotation_from_vector
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.clouds import CloudConfig
from dexgrasp_models.nets.contact import ContactNet, ContactNetConfig
from dexgrasp_models.nets.glow import GraspGlow, GraspGlowConfig
from dexgrasp_models.nets.ipdf import GraspIPDF, GraspIPDFConfig
from dexgrasp_models.nets.losses import HandBody
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.nets.weights import save_weights
from dexgrasp_models.proposals.learned import Networks

HAND = load_hand()


def untrained_networks(cloud: CloudConfig, height: float = 0.09) -> Networks:
    """Whose hands are about where hands are: behind the object by `height`, fingers half bent."""
    torch.manual_seed(0)
    flow = GraspGlow(GraspGlowConfig.small())
    flow.flow.mean.copy_(torch.tensor([0.0, 0.05, -height, *HAND.limits.mean(1)]))
    flow.flow.deviation.fill_(0.01)
    return Networks(
        GraspIPDF(GraspIPDFConfig.small()).eval(),
        flow.eval(),
        ContactNet(ContactNetConfig.small()).eval(),
        cloud,
    )


def save_networks(networks: Networks, folder: Path) -> None:
    """As the files that `dexgrasp train` leaves."""
    for name, network in zip(("ipdf", "glow", "contact"), networks[:3], strict=True):
        metadata = {"training": {"cloud": asdict(networks.cloud)}}
        save_weights(folder / f"{name}.safetensors", network, network.config, metadata)


def body(dtype: torch.dtype = torch.float32, surface_points: int = 256) -> HandBody:
    return HandBody(HandKinematics(HAND, dtype=dtype), surface_points)


def sphere(center: tuple[float, float, float], radius: float, count: int, dtype=None) -> Tensor:
    """(N, 3) points spread evenly over a sphere, by Fibonacci's spiral."""
    index = torch.arange(count, dtype=dtype or torch.float64) + 0.5
    z = 1 - 2 * index / count
    across, angle = (1 - z**2).sqrt(), index * math.pi * (3 - math.sqrt(5))
    unit = torch.stack((across * angle.cos(), across * angle.sin(), z), dim=-1)
    return unit * radius + torch.tensor(center, dtype=unit.dtype)


def random_grasps(
    count: int, seed: int = 0, dtype: torch.dtype = torch.float32, height: float = 0.15
) -> GraspTensors:
    """Grasps without a meaning: any rotation, palms about a place above the table."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 28, generator=generator, dtype=torch.float64)
    limits = torch.as_tensor(HAND.limits)
    share = torch.rand(count, 22, generator=generator, dtype=torch.float64)
    joints = limits[:, 0] + share * (limits[:, 1] - limits[:, 0])
    translations = 0.03 * noise[:, :3] + torch.tensor([0, 0, height])
    rotations = rotation_from_vector(2 * noise[:, 3:6])
    return GraspTensors(rotations.to(dtype), translations.to(dtype), joints.to(dtype))


def grasps_of_ball(count: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> GraspTensors:
    """Hands from above, palm down, about half closed, scattered about a ball at the origin.

    The ball of radius 3.5 cm rests on the table: its centre is 3.5 cm above the origin.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 28, generator=generator, dtype=torch.float64)
    # The palm's -y axis faces the object, its z axis runs along the fingers.
    facing = torch.tensor([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]], dtype=torch.float64)
    rotations = facing @ rotation_from_vector(0.1 * noise[:, :3])
    center = torch.tensor([0, 0, 0.035], dtype=torch.float64)
    grip = torch.tensor([0.0, -0.045, 0.085], dtype=torch.float64)  # of the palm, in its frame
    translations = center - (rotations @ grip) + 0.008 * noise[:, 3:6]
    limits = torch.as_tensor(HAND.limits)
    joints = torch.zeros(22, dtype=torch.float64)
    for index, name in enumerate(HAND.finger_joints):
        if name[3:5] in ("FF", "MF", "RF", "LF") and name[-1] in "123":
            joints[index] = 0.7
    joints[HAND.joint_index("rh_THJ4")] = 1.1
    joints = (joints + 0.05 * noise[:, 6:]).clamp(limits[:, 0], limits[:, 1])
    return GraspTensors(rotations.to(dtype), translations.to(dtype), joints.to(dtype))
