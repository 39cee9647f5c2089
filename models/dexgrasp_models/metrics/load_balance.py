"""How well fingertips can balance a small load: DexGraspBench's `qp` force closure metric.

The contacts press with at most one each and at least one in all. The metric is the net wrench that
they cannot avoid, averaged over loads along both directions of each axis: zero is good. It needs no
more than fingertips that oppose each other, where Q1 asks for every wrench to be resisted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.mechanics.force_closure import friction_cone, wrench_matrix
from dexgrasp_models.metrics.contacts import LinkContacts
from dexgrasp_models.parameters import Parameters, parameter

NO_CONTACT = 2.0
"""The error of a grasp without contacts, as in the benchmark; worse than any with one."""

_COLUMNS = 6
"""Wrenches of a contact: four edges of the friction pyramid, and torsion both ways."""
_LIMIT_WEIGHT = 1e4
"""Weight of the limits on pressures against the balance."""


@dataclass(frozen=True)
class LoadBalanceConfig(Parameters):
    """Settings; the benchmark's own, friction being half of what it simulates."""

    friction: float = parameter(0.3, 0, 5, "", "Coulomb coefficient, as a cone of four edges")
    torsional_friction: float = parameter(
        0.01, 0, 1, "m", "torque about the contact's normal that a unit of pressure holds"
    )
    contact_distance: float = parameter(
        0.005, 0, 0.1, "m", "a fingertip within this distance is in contact"
    )
    load: float = parameter(0.1, 0, 1, "", "weight of the object relative to one contact's limit")


def load_balance_error(
    spec: HandSpec, contacts: LinkContacts, config: LoadBalanceConfig | None = None
) -> np.ndarray:
    """(B,) mean net wrench of the fingertips' best balance of six loads; see the module.

    Each fingertip within the contact distance touches at its nearest point, where the benchmark
    averages MuJoCo's contacts.
    """
    config = config or LoadBalanceConfig()
    tips = [spec.link_index(name) for name in spec.distal_links]
    touching = (contacts.gaps[:, tips].abs() <= config.contact_distance).cpu().numpy()
    points = contacts.points[:, tips].cpu().double().numpy()
    normals = contacts.normals[:, tips].cpu().double().numpy()
    forces = config.load * np.vstack([np.eye(3), -np.eye(3)])
    errors = np.full(len(touching), NO_CONTACT)
    for grasp, near in enumerate(touching):
        if near.any():
            wrenches = _wrenches(points[grasp, near], normals[grasp, near], config)
            errors[grasp] = np.mean([_least_net_wrench(wrenches, force) for force in forces])
    return errors


def net_wrench(
    points: np.ndarray,
    normals: np.ndarray,
    force: np.ndarray,
    config: LoadBalanceConfig | None = None,
) -> float:
    """Least norm of force and torque (in m) left when contacts balance a force at their mean.

    Args:
        points: (C, 3) m, at least one.
        normals: (C, 3) outward unit normals of the object.
        force: (3,) on the object.
        config: friction.
    """
    return _least_net_wrench(_wrenches(points, normals, config or LoadBalanceConfig()), force)


def _least_net_wrench(wrenches: np.ndarray, force: np.ndarray) -> float:
    """Norm of the least net wrench with a force, of (6, 6 C) wrenches of C limited contacts."""
    load = np.concatenate([force, np.zeros(3)])
    total = wrenches.shape[1]
    count = total // _COLUMNS
    # Non-negative least squares with slack variables; the limits are equations of great weight.
    equations = np.zeros((count + 1, total + count + 1))
    equations[:count, :total] = np.kron(np.eye(count), np.ones(_COLUMNS))
    equations[:count, total:-1] = np.eye(count)  # each presses with one at most
    equations[count, :total] = 1
    equations[count, -1] = -1  # all together with one at least
    balance = np.hstack([wrenches, np.zeros((6, count + 1))])
    weights, _ = nnls(
        np.vstack([balance, _LIMIT_WEIGHT * equations]),
        np.concatenate([-load, np.full(count + 1, _LIMIT_WEIGHT)]),
    )
    return float(np.linalg.norm(balance @ weights + load))


def _wrenches(points: np.ndarray, normals: np.ndarray, config: LoadBalanceConfig) -> np.ndarray:
    """(6, 6 C) wrenches about the points' mean; those of a contact follow each other."""
    places, outward = torch.from_numpy(points)[None], torch.from_numpy(normals)[None]
    pressing = -outward[:, :, None].expand(-1, -1, 2, -1)
    cone = torch.cat([friction_cone(outward, config.friction), pressing], dim=2)
    matrix = wrench_matrix(places, cone, places.mean(1), torque_length=1.0)[0].numpy()
    matrix = matrix.reshape(6, len(points), _COLUMNS)
    matrix[3:, :, 4] += config.torsional_friction * normals.T
    matrix[3:, :, 5] -= config.torsional_friction * normals.T
    return matrix.reshape(6, -1)
