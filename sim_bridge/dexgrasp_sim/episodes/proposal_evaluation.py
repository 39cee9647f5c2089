"""``dexgrasp eval proposals``: what each row proposes in scenes that the cameras see, and lifts.

A scene is an object of the library at some scale, at rest somewhere on the table. Its cloud is
fused from the simulated depth images, noise included, as the perception node does; the true object
only measures. A scene's result is a function of its own settings.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

from dexgrasp_models.control.approach_plan import NoApproach
from dexgrasp_models.data.closing import outer_surface
from dexgrasp_models.data.cloud_set import Scenes, placed_at_random, scenes_of
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.evaluation.figures import (
    SceneObject,
    conditional_figures,
    proposal_figures,
)
from dexgrasp_models.evaluation.networks import NetworkFolder
from dexgrasp_models.evaluation.proposers import ADAPTATION_STEPS, RowProposer, make_row
from dexgrasp_models.evaluation.summary import BEST_LOST, LOST, RATES
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.jobs.kept_results import kept_outcomes
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.objects import LIBRARY_PREFIX, MeshError, load_surface
from dexgrasp_models.objects.library import SCALES
from dexgrasp_models.perception.fusion import PerceptionError, load_fusion_config
from dexgrasp_models.proposals.learned import LearnedConfig
from dexgrasp_models.proposals.reachability import NoProposalError, first_reachable
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.object_surface import CloudError
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.training.data import derived_seed
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.datasets.cloud_data import TableView
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.episodes.grasp_cell import GraspCell
from dexgrasp_sim.episodes.lift import Lift
from dexgrasp_sim.episodes.perturbation import Perturbation, perturb
from dexgrasp_sim.episodes.resting import lying, resting_height
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.scene import load_scene


@dataclass(frozen=True)
class EvaluationSettings:
    """What is done in every scene."""

    rows: tuple[str, ...]
    """Of `evaluation.rows.ROW_NAMES`."""
    weights: str = ""
    """Folder of the networks."""
    digest: str = ""
    """Of the weights, by which results of others are told apart."""
    data: str | None = None
    """Folder of the grasp set whose grasps the log-likelihoods are of; None for no such figures."""
    data_grasps: int = 0
    """How many the set had, by which results of a smaller one are told apart."""
    proposals: int = 32
    """Grasps of each row."""
    singles: int = 4
    """How many of these are lifted for themselves, drawn at random."""
    rotations: int = 8
    """For which the spread of translations and joints is measured."""
    samples: int = 8
    """Of each of those rotations."""
    true_grasps: int = 16
    """Of the grasp set whose log-likelihood is asked for, at most."""
    adaptation_steps: int = ADAPTATION_STEPS
    learned: LearnedConfig = field(default_factory=LearnedConfig)
    """Of the row `refined`, but for its weights and its batch, which are the above."""
    control: Perturbation = Perturbation.NONE
    """What is done to all proposals before they are measured and carried out."""


@dataclass(frozen=True)
class SceneJob:
    """One scene."""

    object: str
    """Of the library."""
    scale: float
    """Radius of the sphere around it, m."""
    seed: int
    """Of its pose and place, the cameras' noise, and the proposals."""
    settings: EvaluationSettings

    @property
    def key(self) -> str:
        """Equal for equal jobs, wherever their weights lie."""
        values = asdict(self)
        if self.settings.digest:
            del values["settings"]["weights"]
        return json.dumps(values, sort_keys=True)


def draw_jobs(
    names: Sequence[str], count: int, seed: int, settings: EvaluationSettings
) -> list[SceneJob]:
    """Scenes of objects of the library: each once, in no order, before any comes again.

    The first are the same however many are asked for.

    Args:
        names: of the objects.
        count: of scenes.
        seed: of the order and of all scenes.
        settings: of the evaluation.
    """
    return [
        SceneJob(*scene, settings)
        for scene in draw_library_scenes("evaluation", names, count, seed)
    ]


def draw_library_scenes(
    purpose: str, names: Sequence[str], count: int, seed: int
) -> Iterator[tuple[str, float, int]]:
    """Name, scale (m) and seed of scenes, drawn as `draw_jobs` says, others for each purpose."""
    order = np.random.default_rng(seed).permutation(len(names))
    for index in range(count):
        name = names[order[index % len(names)]]
        scene_seed = derived_seed(purpose, seed, name, index // len(names))
        yield name, float(np.random.default_rng(scene_seed).choice(SCALES)), scene_seed


def run(
    jobs: Sequence[SceneJob], *, kept: Path | None = None, workers: int = 1
) -> Generator[tuple[SceneJob, dict[str, Any]], None, None]:
    """Evaluate scenes, and report each as it is finished, first those that are finished already.

    Args:
        jobs: all scenes.
        kept: file in which results are kept and found again.
        workers: processes.

    Raises:
        WeightsError: weights are missing or can't be used.
        ChildProcessError: a process was killed, as when memory runs out.
    """
    return kept_outcomes(evaluate_scene, jobs, kept, workers)


def evaluate_scene(job: SceneJob) -> dict[str, Any]:
    """What comes of one scene, for JSON.

    Returns:
        `object`, `scale`, `seed` of the scene; `height` (m) and `lying` (`Lying`) of the object as
        it was placed; `problem`, why there is no cloud of it, or an empty text; `rows`, the figures
        of each row by its name: those of `proposal_figures` and `conditional_figures`,
        log_likelihood (nats), seconds (of processor time), `RATES`, `LOST` and `BEST_LOST`. None
        where a row has no such figure. A row that failed has its `problem`, and like all rows of a
        scene without a cloud nothing else but lifts, none of which succeeded. Of an object that
        can't be used there is only the `problem`, and no rows.

    Raises:
        WeightsError: weights are missing or can't be used.
    """
    torch.set_num_threads(1)
    scene = {"object": job.object, "scale": job.scale, "seed": job.seed}
    try:
        placed = _Scene(job)
    except MeshError as error:
        return {**scene, "problem": str(error), "rows": {}}
    try:
        rows, problem = placed.rows(), ""
    except PerceptionError as error:
        problem = str(error)
        rows = {name: _nothing_lifted("perception", job.settings) for name in job.settings.rows}
    return {**scene, **placed.lies, "problem": problem, "rows": rows}


def _nothing_lifted(stage: str, settings: EvaluationSettings) -> dict[str, Any]:
    """What a row has that proposed nothing: all its lifts were lost there, as in the bench."""
    return {
        **dict.fromkeys(RATES, 0.0),
        LOST: [stage] * min(settings.singles, settings.proposals),
        BEST_LOST: [stage],
    }


class _Scene:
    """A scene in the simulator, and what all rows share in it.

    Attributes:
        lies: how, for JSON.
    """

    def __init__(self, job: SceneJob) -> None:
        self._job, self._settings = job, job.settings
        model = library_object(job.object, job.scale)
        simulator = make_simulator(load_scene(), model)
        simulator.reset(job.seed)
        self._cell = GraspCell(simulator)
        pose, vertices = simulator.object_pose(), model.visual.vertices
        self.lies = {
            "height": resting_height(vertices, pose),
            "lying": str(lying(vertices, pose)),
        }
        self._start = simulator.save_state()
        self._truth = SceneObject(pose, *outer_surface(model))
        self._known = _known_scene(job)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Of each row by its name.

        Raises:
            PerceptionError: there is no cloud.
        """
        self._cloud = self._cell.fuse(self._cell.depth_frames())
        proposers = _proposers(self._settings)
        return {name: self._row(proposer) for name, proposer in proposers.items()}

    def _row(self, proposer: RowProposer) -> dict[str, Any]:
        settings, seed = self._settings, self._job.seed
        started = process_time()
        try:
            grasps = proposer.propose(self._cloud, settings.proposals, seed)
        except CloudError as error:
            return {"problem": str(error), **_nothing_lifted("perception", settings)}
        except ArithmeticError as error:
            return {"problem": str(error), **_nothing_lifted("proposal", settings)}
        seconds = process_time() - started
        generator = np.random.default_rng(seed)
        limits = self._cell.hand.limits
        grasps = [perturb(grasp, settings.control, limits, generator) for grasp in grasps]
        return {
            **proposal_figures(_distance(), grasps, self._truth),
            **self._density_figures(proposer),
            "seconds": seconds,
            **self._lifts(grasps, generator),
        }

    def _density_figures(self, proposer: RowProposer) -> dict[str, float | None]:
        settings = self._settings
        spread = proposer.with_one_rotation(
            self._cloud, settings.rotations, settings.samples, self._job.seed
        )
        likelihood = self._known and proposer.log_likelihood(*self._known)
        return {
            **({} if spread is None else conditional_figures(spread, settings.rotations)),
            "log_likelihood": None if likelihood is None else float(likelihood.mean()),
        }

    def _lifts(self, grasps: list[Grasp], generator: np.random.Generator) -> dict[str, Any]:
        count = min(self._settings.singles, len(grasps))
        chosen = generator.choice(len(grasps), count, replace=False)
        singles = [self._lift([grasps[index]]) for index in chosen]
        try:
            best = self._lift(first_reachable(grasps, len(grasps), ExecutionConfig()))
        except NoProposalError as error:
            best = Lift(False, "proposal", str(error))
        return {
            "lift_single": float(np.mean([lift.success for lift in singles])),
            "lift_best": float(best.success),
            "kept_single": float(np.mean([lift.raised_and_kept for lift in singles])),
            "kept_best": float(best.raised_and_kept),
            LOST: [str(lift.lost_at) for lift in singles],
            BEST_LOST: [str(best.lost_at)],
        }

    def _lift(self, grasps: Sequence[Grasp]) -> Lift:
        """Of the first of some grasps that can be approached."""
        self._cell.simulator.restore_state(self._start)
        try:
            plan = self._cell.plan(grasps, self._cloud)
        except NoApproach as error:
            return Lift(False, "plan", str(error))
        try:
            return self._cell.carry_out(plan, self._cloud.object_points)
        except SimulatorError as error:
            return Lift(False, "simulation", str(error))


def _known_scene(job: SceneJob) -> tuple[torch.Tensor, GraspTensors] | None:
    """A cloud of the object in a scene of the grasp set, and grasps of that; None without any.

    In the table-top frame. It is a scene of the set, as true grasps are known only there.
    """
    if job.settings.data is None:
        return None
    grasps, (scenes, index) = _grasp_set(job.settings.data)
    of_object = [i for i, scene in enumerate(scenes) if scene.name == job.object]
    if not of_object:
        return None
    generator = np.random.default_rng(job.seed)
    chosen = int(generator.choice(of_object))
    scene, rows = scenes[chosen], np.flatnonzero(index == chosen)
    rows = np.sort(generator.permutation(rows)[: job.settings.true_grasps])
    config = load_scene()
    view = TableView(load_surface(LIBRARY_PREFIX + job.object), config, load_fusion_config())
    pose = placed_at_random(scene, config.placement_radius, generator)
    try:
        points, pose = view.cloud(pose, scene.scale, generator)
    except PerceptionError:
        return None
    found = grasps[rows]
    palms = torch.as_tensor(pose @ found.palm_poses, dtype=torch.float32)
    joints = torch.as_tensor(found.joints, dtype=torch.float32)
    known = GraspTensors(palms[:, :3, :3], palms[:, :3, 3], joints)
    return torch.as_tensor(points, dtype=torch.float32), known


@lru_cache(maxsize=1)
def _proposers(settings: EvaluationSettings) -> dict[str, RowProposer]:
    folder = NetworkFolder(Path(settings.weights))
    steps, learned = settings.adaptation_steps, settings.learned
    return {name: make_row(name, folder, steps=steps, learned=learned) for name in settings.rows}


@lru_cache(maxsize=1)
def _grasp_set(path: str) -> tuple[GraspSet, Scenes]:
    grasps = GraspSet.open(path)
    return grasps, scenes_of(grasps)


@lru_cache(maxsize=1)
def _distance() -> HandDistance:
    return HandDistance(HandKinematics(load_hand()))
