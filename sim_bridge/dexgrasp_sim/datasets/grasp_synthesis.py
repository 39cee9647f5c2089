"""Grasp data of an object: resting poses, synthesis and validation, as one job.

A job is a function of its own settings alone: the same one gives the same grasps wherever, whenever
and beside whatever it runs. So sets are made job by job, in any order, and go on after a kill.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal
from zlib import crc32

import numpy as np
import torch

from dexgrasp_models.data.grasps import Grasps, concatenate
from dexgrasp_models.objects import load_object
from dexgrasp_models.synthesis.config import SynthesisConfig
from dexgrasp_models.synthesis.scene import TableScene
from dexgrasp_models.synthesis.synthesise import SynthesisedGrasps, Synthesiser
from dexgrasp_sim.backends import find_stable_poses
from dexgrasp_sim.datasets.validation import FIGURES, GraspValidator
from dexgrasp_sim.datasets.validation_config import ValidationConfig
from dexgrasp_sim.placement import StablePose

Keep = Literal["lifted", "stable", "both", "all"]

ENERGIES = ("closure", "distance")
"""Terms of the energy that are kept with the grasps, as `energy_<name>`."""
STARTED = "started"
"""Figure with the number of grasps that were started in a grasp's scene."""


@dataclass(frozen=True)
class SynthesisJob:
    """One object at all scales.

    Raises:
        ValueError: a scale is not positive or not finite, there is none, or fewer than one pose.
    """

    name: str
    """In the set."""
    source: str
    """As `load_object` takes it."""
    scales: tuple[float, ...]
    """Factors on the mesh."""
    poses: int = 2
    """Resting poses at each scale, drawn by how often they occur."""
    seed: int = 0
    keep: Keep = "lifted"
    """Which grasps: those lifted, those that resist all directions, both, or all with all
    figures. Of what is not kept not everything is measured."""
    least: int = 2
    """Of an object with fewer grasps none is kept: they show one way of holding it, by chance."""
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.scales or self.poses < 1:
            raise ValueError(f"{self.name}: at least one scale and one pose are needed")
        for scale in self.scales:
            if not 0.0 < scale < math.inf:
                raise ValueError(f"scale must be a positive number, not {scale}")

    @property
    def shard(self) -> str:
        """Name of the shard that the grasps are stored in."""
        plain = re.sub(r"[^A-Za-z0-9_.-]", "_", self.name.replace("/", "-"))
        plain = plain.lstrip(".-") or "_"
        # What is left of names in other scripts is alike.
        return plain if self.name.isascii() else f"{plain}-{crc32(self.name.encode()):08x}"

    def notes(self) -> dict[str, Any]:
        """What it was made with, for the shard's provenance."""
        return asdict(self)


def synthesise_object(job: SynthesisJob) -> Grasps:
    """The grasps of a job, with `FIGURES`, energies and `STARTED`; there may be none.

    Raises:
        MeshError: the object can't be used.
        RuntimeError: it comes to rest in no pose.
    """
    generator = np.random.default_rng([crc32(job.name.encode()), job.seed])
    scenes = table_scenes(job, generator)
    synthesiser = Synthesiser(job.synthesis, job.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # jobs run side by side
    try:
        found = synthesiser(scenes, generator)
    finally:
        torch.set_num_threads(threads)
    return validated(job, scenes, found)


def table_scenes(job: SynthesisJob, generator: np.random.Generator) -> list[TableScene]:
    """The object at each scale in some of its resting poses.

    Raises:
        MeshError, RuntimeError: as `synthesise_object`.
    """
    scenes = []
    resting: tuple[StablePose, ...] = ()
    for scale in job.scales:
        model = load_object(job.source, scale)
        # A larger object rests as a smaller one does.
        resting = resting or find_stable_poses(model)
        frequencies = np.array([pose.frequency for pose in resting])
        chosen = generator.choice(
            len(resting),
            min(job.poses, len(resting)),
            replace=False,
            p=frequencies / frequencies.sum(),
        )
        for index in chosen:
            pose = resting[index].scaled(scale / job.scales[0])
            scenes.append(TableScene(model, pose.placed(0.0, 0.0, generator.uniform(0, 2 * np.pi))))
    return scenes


def validated(
    job: SynthesisJob, scenes: list[TableScene], found: list[SynthesisedGrasps]
) -> Grasps:
    """The synthesised grasps that a job keeps, tried in simulation."""
    models = {scene.model.scale: scene.model for scene in scenes}
    parts, counts = [_none(job)], [len(made.joints) for made in found]
    for scene, made, count in zip(scenes, found, counts, strict=True):
        figures = {f"energy_{name}": made.energies[name] for name in ENERGIES}
        figures[STARTED] = np.full(count, count)
        joints = made.joints.astype(np.float32)  # what is stored is what is tried
        parts.append(
            Grasps.of_object(
                job.name, scene.model.scale, made.palm_poses, joints, scene.plane, figures
            )
        )
    grasps = concatenate(parts)
    sizes = list(models)
    which = np.repeat([sizes.index(scene.model.scale) for scene in scenes], counts)
    validator = GraspValidator(list(models.values()), job.validation)
    tried = list(validator.run_all(grasps, which, thrifty=job.keep in ("lifted", "both")))
    measured = {name: np.array([result[name] for result in tried]) for name in FIGURES}
    kept = _kept(measured, job.keep)
    if kept.sum() < job.least:
        return _none(job)
    grasps = replace(grasps, figures={**grasps.figures, **measured})[kept]
    of_scenes = np.split(kept, np.cumsum(counts)[:-1])
    return replace(
        grasps,
        numbers=np.concatenate([np.arange(own.sum()) for own in of_scenes]),
        squeezes=validator.squeezes(grasps, which[kept]),
    )


def _kept(figures: dict[str, np.ndarray], keep: Keep) -> np.ndarray:
    lifted, stable = figures["lifted"] == 1, figures["stable"] == 1
    choices = {
        "lifted": lifted,
        "stable": stable,
        "both": lifted & stable,
        "all": np.ones(len(lifted), dtype=bool),
    }
    return choices[keep]


def _none(job: SynthesisJob) -> Grasps:
    names = (*FIGURES, *(f"energy_{name}" for name in ENERGIES), STARTED)
    return Grasps.of_object(
        job.name,
        1.0,
        np.zeros((0, 4, 4)),
        np.zeros((0, 22), dtype=np.float32),
        figures={name: np.zeros(0) for name in names},
    )
