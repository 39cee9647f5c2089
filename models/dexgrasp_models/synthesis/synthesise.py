"""Grasps of many scenes at once, on any device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.geometry.poses import nearest_proper
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.annealing import anneal
from dexgrasp_models.synthesis.config import SynthesisConfig
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.object_surface import CloudError, ObjectSurface, stacked
from dexgrasp_models.synthesis.refine import evaluate, refine
from dexgrasp_models.synthesis.sampling import sample_grasps
from dexgrasp_models.synthesis.scene import TableScene

_GRASPS_AT_ONCE_ON_GPU = 16384  # about 10 GB of its memory


@dataclass(frozen=True, eq=False)
class SynthesisedGrasps:
    """N grasps of one scene."""

    palm_poses: np.ndarray
    """(N, 4, 4) of `rh_palm` in the frame of the scaled object, m."""
    joints: np.ndarray
    """(N, 22) rad."""
    energies: dict[str, np.ndarray]
    """(N,) unweighted terms of the energy."""


class Synthesiser:
    """Synthesises grasps for the coupled hand.

    Args:
        config: how.
        device: where the optimisation runs.

    Raises:
        ValueError: there is no such device.
    """

    def __init__(self, config: SynthesisConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError("device cuda was asked for, but PyTorch finds no GPU; use cpu")
        self._hand = PlanningHand(load_hand(), config.coupled, device=self.device)

    def __call__(
        self, scenes: Sequence[TableScene], generator: np.random.Generator
    ) -> list[SynthesisedGrasps]:
        """Grasps of each scene, in order; none of a scene whose object is too flat.

        Args:
            scenes: any number; `scenes_at_once` of them are optimised together, on a GPU as many
                as fill it.
            generator: of samples and initial poses.
        """
        config = self.config
        empty = SynthesisedGrasps(np.zeros((0, 4, 4)), np.zeros((0, 22)), {})
        results = [empty] * len(scenes)
        surfaces: dict[int, ObjectSurface] = {}
        for index, scene in enumerate(scenes):
            try:
                surfaces[index] = scene.surface(config.surface_samples, config.energy, generator)
            except CloudError:
                continue
        graspable = list(surfaces)
        at_once = config.scenes_at_once
        if self.device.type == "cuda":
            at_once = max(at_once, _GRASPS_AT_ONCE_ON_GPU // config.energy.batch)
        for start in range(0, len(graspable), at_once):
            some = graspable[start : start + at_once]
            surface = stacked([surfaces[index] for index in some]).to(self.device)
            found = self._optimised(surface, generator)
            for index, (poses, joints, energies) in zip(some, found, strict=True):
                object_T_world = np.linalg.inv(scenes[index].world_T_object)
                results[index] = SynthesisedGrasps(object_T_world @ poses, joints, energies)
        return results

    def _optimised(
        self, surface: ObjectSurface, generator: np.random.Generator
    ) -> list[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
        """Palm poses in `world`, joints and energies of the grasps of each object."""
        if self.config.method == "annealing":
            annealing, count = self.config.annealing, self.config.energy.batch
            found = anneal(self._hand, surface, count, annealing, generator)
        else:
            found = self._refined(surface, generator)
        return self._by_object(len(surface.points), *found)

    def _refined(
        self, surface: ObjectSurface, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        config = self.config.energy
        energy = GraspEnergy(self._hand, surface, config)
        batch = refine(energy, sample_grasps(energy, config, generator), config)
        return batch.palm_poses, batch.coordinates, evaluate(energy, batch).terms

    def _by_object(
        self, objects: int, palm_poses: Tensor, coordinates: Tensor, terms: dict[str, Tensor]
    ) -> list[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
        poses = nearest_proper(palm_poses.double().cpu().numpy()).reshape(objects, -1, 4, 4)
        joints = self._hand.joints(coordinates).double().cpu().numpy().reshape(objects, -1, 22)
        columns = {k: v.double().cpu().numpy().reshape(objects, -1) for k, v in terms.items()}
        return [
            (poses[row], joints[row], {name: values[row] for name, values in columns.items()})
            for row in range(objects)
        ]
