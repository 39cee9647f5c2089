"""One grasp in process and in lock-step: depth images -> cloud -> proposals -> plan -> lift.

A lock-step run of the ROS graph leaves the object in the same place, see `grasp_cell`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, Self

import numpy as np
import torch

from dexgrasp_models.control.approach_plan import ApproachPlan, NoApproach
from dexgrasp_models.control.controllers import CONTROLLERS
from dexgrasp_models.objects import load_object
from dexgrasp_models.perception.fusion import FusedCloud, PerceptionError
from dexgrasp_models.proposals.proposer import PROPOSERS, make_proposer, proposer_config
from dexgrasp_models.proposals.reachability import NoProposalError
from dexgrasp_models.synthesis.object_surface import CloudError
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.episodes.grasp_cell import GraspCell
from dexgrasp_sim.episodes.lift import Lift
from dexgrasp_sim.episodes.perturbation import Perturbation, perturb
from dexgrasp_sim.episodes.resting import Lying, lying, resting_height
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.scene import SceneConfig, load_scene
from dexgrasp_sim.simulator import Simulator


@dataclass(frozen=True)
class EpisodeSettings:
    """One attempt."""

    object: str
    """A generated shape's name, or a mesh file or folder."""
    seed: int
    """Of the object's pose, the cameras' noise and the proposals."""
    scale: float = 1.0
    scene: str = "floating"
    proposer: str = PROPOSERS.default
    weights: str = ""
    """Of the learned proposer: folder of its networks, see `LearnedConfig`."""
    controller: str = CONTROLLERS.default
    """What carries the grasp out."""
    digest: str = ""
    """Of the weights, by which results of others are told apart."""
    proposals: int = 8
    """How many ranked grasps may be tried for an approach; one is carried out."""
    mass: float = 0.1
    friction: float = 1.0
    perturbation: Perturbation = Perturbation.NONE
    backend: str = SceneConfig.backend


@dataclass(frozen=True)
class EpisodeResult:
    """What came of an attempt; lengths in metres, measured on the simulator's true poses."""

    settings: EpisodeSettings
    object: str
    """The object's name."""
    success: bool
    lost_at: str
    """Stage at which it was lost, ``""`` for a success."""
    reason: str
    lying: Lying
    """How the object was placed."""
    height: float
    """Of the object as it was placed."""
    raised: float = 0.0
    """This and the following as in `Lift`."""
    slip: float = 0.0
    knocked: float = 0.0
    clearance: float = 0.0
    raised_and_kept: bool = False
    simulated_time: float = 0.0
    seconds: Mapping[str, float] | None = None
    """Wall time by stage."""
    object_pose: tuple[float, ...] = ()
    """Final (4, 4) pose of the object's mesh frame, row by row."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """From parsed JSON, as `dataclasses.asdict` gives it."""
        values = dict(values)
        settings = dict(values.pop("settings"))
        settings["perturbation"] = Perturbation(settings["perturbation"])
        values["object_pose"] = tuple(values["object_pose"])
        values["lying"] = Lying(values["lying"])
        return cls(settings=EpisodeSettings(**settings), **values)


def run_episode(settings: EpisodeSettings) -> EpisodeResult:
    """Builds the scene, looks, proposes, plans, grasps, lifts, and judges on true poses.

    Raises:
        MeshError: the object can't be used.
        ValueError: a setting is out of range.
    """
    torch.set_num_threads(1)
    config = load_scene(
        backend=settings.backend,
        scene=settings.scene,
        object_mass=settings.mass,
        friction=settings.friction,
    )
    simulator = make_simulator(config, load_object(settings.object, settings.scale))
    simulator.reset(settings.seed)
    return _Episode(settings, simulator).run()


class _Episode:
    def __init__(self, settings: EpisodeSettings, simulator: Simulator) -> None:
        self._settings = settings
        self._cell = GraspCell(simulator, settings.controller)
        self._start_pose = simulator.object_pose()
        self._seconds: dict[str, float] = {}

    def run(self) -> EpisodeResult:
        try:
            plan, cloud = self._plan()
        except (PerceptionError, CloudError) as error:
            return self._result(Lift(False, "perception", str(error)))
        except (NoProposalError, ArithmeticError) as error:
            return self._result(Lift(False, "proposal", str(error)))
        except NoApproach as error:
            return self._result(Lift(False, "plan", str(error)))
        try:
            with self._timed("execute"):
                lift = self._cell.carry_out(plan, cloud.object_points)
        except SimulatorError as error:
            return self._result(Lift(False, "simulation", str(error)))
        return self._result(lift)

    def _plan(self) -> tuple[ApproachPlan, FusedCloud]:
        cell, settings = self._cell, self._settings
        with self._timed("depth"):
            frames = cell.depth_frames()
        with self._timed("fuse"):
            cloud = cell.fuse(frames)
        with self._timed("propose"):
            config = proposer_config(settings.proposer, weights=settings.weights or None)
            proposer = make_proposer(settings.proposer, config, arm=cell.arm)
            grasps = proposer.propose(cloud, settings.proposals, settings.seed)
        with self._timed("plan"):
            chosen = cell.plan(grasps, cloud)
            if settings.perturbation is Perturbation.NONE:
                return chosen, cloud
            # The grasp that would have been carried out is spoiled, not replaced by a better one.
            generator = np.random.default_rng(settings.seed)
            limits = cell.hand.limits
            spoiled = perturb(chosen.grasp, settings.perturbation, limits, generator)
            return cell.plan([spoiled], cloud), cloud

    def _result(self, lift: Lift) -> EpisodeResult:
        simulator = self._cell.simulator
        vertices = simulator.object_model.visual.vertices
        return EpisodeResult(
            self._settings,
            simulator.object_model.name,
            lying=lying(vertices, self._start_pose),
            height=resting_height(vertices, self._start_pose),
            simulated_time=simulator.time,
            seconds=self._seconds,
            object_pose=tuple(simulator.object_pose().ravel().tolist()),
            **asdict(lift),
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] = perf_counter() - started
