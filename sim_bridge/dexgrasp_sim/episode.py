"""One grasp in process and in lock-step: depth images -> cloud -> proposals -> plan -> lift.

The cores of the ROS graph run here in the same order and on the same rounded inputs, so that a
lock-step run of the graph and this function leave the object in the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Self

import numpy as np
import torch
import trimesh

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.approach import ApproachPlan, NoApproach
from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.control.executor import Stage
from dexgrasp_models.control.limits import GuardedController
from dexgrasp_models.control.planner import GraspPlanner
from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.grasp.object_surface import CloudError
from dexgrasp_models.grasp.proposer import make_proposer
from dexgrasp_models.grasp.reachability import NoProposalError
from dexgrasp_models.grasp.types import Grasp
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import load_object
from dexgrasp_models.perception.cameras import DepthFrame
from dexgrasp_models.perception.fusion import (
    FusedCloud,
    PerceptionError,
    fuse,
    load_fusion_config,
)
from dexgrasp_models.perception.robot_mask import robot_distance
from dexgrasp_models.poses import through_quaternion
from dexgrasp_sim.interface import Simulator, make_simulator
from dexgrasp_sim.perturbation import Perturbation, perturb
from dexgrasp_sim.scene import load_scene

LIFT_HEIGHT = 0.10
"""Metres the object must have been raised at the end of the lift, and still be after the hold."""
SLIP_LIMIT = 0.05
"""Metres the object may have moved in the palm's frame from before the lift to the hold's end."""
KNOCK_DISTANCE = 0.02
"""Metres the object may move before the fingers close; beyond, it counts as knocked."""
TIME_LIMIT = 60.0
"""Seconds of simulated time after which an execution is given up."""


@dataclass(frozen=True)
class EpisodeSettings:
    """One attempt."""

    object: str
    """A generated shape's name, or a mesh file or folder."""
    seed: int
    """Of the object's pose, the cameras' noise and the proposals."""
    scale: float = 1.0
    scene: str = "floating"
    proposer: str = "analytic"
    proposals: int = 8
    """How many ranked grasps may be tried for an approach; one is carried out."""
    mass: float = 0.1
    friction: float = 1.0
    perturbation: Perturbation = Perturbation.NONE


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
    flat: bool
    """The object lies: less than half as high as its footprint is wide."""
    raised: float = 0.0
    """How far the object was raised at the end of the hold."""
    slip: float = 0.0
    """How far the object moved in the palm's frame from before the lift to the end of the hold."""
    knocked: float = 0.0
    """How far the object moved before the fingers closed."""
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
        return cls(settings=EpisodeSettings(**settings), **values)


def run_episode(settings: EpisodeSettings) -> EpisodeResult:
    """Builds the scene, looks, proposes, plans, grasps, lifts, and judges on true poses.

    Raises:
        MeshError: the object can't be used.
        ValueError: a setting is out of range.
    """
    torch.set_num_threads(1)
    config = load_scene(scene=settings.scene, object_mass=settings.mass, friction=settings.friction)
    simulator = make_simulator(config, load_object(settings.object, settings.scale))
    simulator.reset(settings.seed)
    return _Episode(settings, simulator).run()


class _Episode:
    def __init__(self, settings: EpisodeSettings, simulator: Simulator) -> None:
        self._settings = settings
        self._simulator = simulator
        self._hand = load_hand()
        self._arm = ArmKinematics() if settings.scene == "arm" else None
        self._planner = GraspPlanner(load_control_config(), self._arm, self._hand)
        self._start_pose = simulator.object_pose()
        self._seconds: dict[str, float] = {}

    def run(self) -> EpisodeResult:
        try:
            plan = self._plan()
        except (PerceptionError, CloudError) as error:
            return self._lost("perception", str(error))
        except NoProposalError as error:
            return self._lost("proposal", str(error))
        except NoApproach as error:
            return self._lost("plan", str(error))
        with self._timed("execute"):
            return self._execute(plan)

    def _plan(self) -> ApproachPlan:
        simulator, settings = self._simulator, self._settings
        with self._timed("depth"):
            frames = [
                DepthFrame(camera, simulator.read_depth(name), simulator.time)
                for name, camera in simulator.cameras.items()
            ]
        with self._timed("fuse"):
            state = _state_as_received(simulator.state())
            robot = robot_distance(
                HandDistance(HandKinematics(self._hand)),
                state.wrist_pose,
                state.joints,
                self._arm.capsules(self._arm_joints()) if self._arm else (),
            )
            cloud = fuse(frames, load_fusion_config(), robot_distance=robot)
        with self._timed("propose"):
            proposer = make_proposer(settings.proposer, arm=self._arm)
            grasps = proposer.propose(cloud, settings.proposals, settings.seed)
        with self._timed("plan"):
            chosen = self._plan_best(map(_grasp_as_received, grasps), cloud)
            if settings.perturbation is Perturbation.NONE:
                return chosen
            # The grasp that would have been carried out is spoiled, not replaced by a better one.
            generator = np.random.default_rng(settings.seed)
            limits = self._hand.limits
            spoiled = perturb(chosen.grasp, settings.perturbation, limits, generator)
            return self._plan_best([spoiled], cloud)

    def _plan_best(self, grasps: Iterable[Grasp], cloud: FusedCloud) -> ApproachPlan:
        return self._planner.plan(
            list(grasps),
            cloud.object_points,
            cloud.scene_points,
            _state_as_received(self._simulator.state()).wrist_pose,
            self._arm_joints(),
        )

    def _arm_joints(self) -> np.ndarray | None:
        """(6,) the arm's joints, rad, where there is an arm."""
        if self._arm is None:
            return None
        positions = self._simulator.joint_positions()
        return np.array([positions[name] for name in self._arm.arm.joint_names])

    def _execute(self, plan: ApproachPlan) -> EpisodeResult:
        simulator = self._simulator
        controller = self._planner.controller(plan, simulator.config.control_period)
        entered: dict[str, _Truth] = {}
        while simulator.time < TIME_LIMIT:
            state = _state_as_received(simulator.state())
            command = controller.step(state, state.time)
            if controller.stage not in entered:
                entered[controller.stage] = _Truth(simulator.object_pose(), state.wrist_pose)
            if controller.outcome is not None or controller.stage == Stage.PLACE:
                break  # once the hold is over the attempt is decided
            simulator.set_targets(_command_as_received(command))
            simulator.step()
        return self._judge(controller, entered)

    def _judge(self, controller: GuardedController, entered: Mapping[str, _Truth]) -> EpisodeResult:
        """Success by the object's true poses; the executor's own word gives the reason only."""
        start = self._start_pose[:3, 3]
        end = _Truth(self._simulator.object_pose(), self._simulator.state().wrist_pose)
        reason = "" if controller.outcome is None else controller.outcome.reason
        measured: dict[str, Any] = {"raised": float((end.object_pose[:3, 3] - start)[2])}
        if Stage.CLOSE in entered:
            moved = entered[Stage.CLOSE].object_pose[:3, 3] - start
            measured["knocked"] = float(np.linalg.norm(moved))
        if Stage.LIFT in entered:
            slip = end.in_palm[:3, 3] - entered[Stage.LIFT].in_palm[:3, 3]
            measured["slip"] = float(np.linalg.norm(slip))
        lifted = False
        if Stage.HOLD in entered:
            lifted = (entered[Stage.HOLD].object_pose[:3, 3] - start)[2] >= LIFT_HEIGHT
        held = (
            lifted
            and controller.stage == Stage.PLACE
            and measured["raised"] >= LIFT_HEIGHT
            and measured["slip"] <= SLIP_LIMIT
        )
        if held:
            lost_at = ""
        elif measured.get("knocked", 0.0) > KNOCK_DISTANCE:
            lost_at = "approach"
        elif lifted:
            lost_at = "hold"
        else:
            lost_at = "lift" if Stage.LIFT in entered else controller.stage
        return self._result(bool(held), lost_at, reason, **measured)

    def _lost(self, stage: str, reason: str) -> EpisodeResult:
        return self._result(False, stage, reason)

    def _result(self, success: bool, lost_at: str, reason: str, **measured: float) -> EpisodeResult:
        simulator = self._simulator
        return EpisodeResult(
            self._settings,
            simulator.object_model.name,
            success,
            lost_at,
            reason,
            flat=_lies_flat(simulator.object_model.visual.vertices, self._start_pose),
            simulated_time=simulator.time,
            seconds=self._seconds,
            object_pose=tuple(simulator.object_pose().ravel().tolist()),
            **measured,
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] = perf_counter() - started


def _grasp_as_received(grasp: Grasp) -> Grasp:
    return replace(grasp, palm_pose=through_quaternion(grasp.palm_pose))


def _state_as_received(state: RobotState) -> RobotState:
    return replace(state, wrist_pose=through_quaternion(state.wrist_pose))


def _command_as_received(command: Command) -> Command:
    return replace(command, wrist_target=through_quaternion(command.wrist_target))


@dataclass(frozen=True)
class _Truth:
    object_pose: np.ndarray
    palm_pose: np.ndarray

    @property
    def in_palm(self) -> np.ndarray:
        """(4, 4) the object's pose in the palm's frame."""
        return np.linalg.inv(self.palm_pose) @ self.object_pose


def _lies_flat(vertices: np.ndarray, pose: np.ndarray) -> bool:
    """Whether the object is less than half as high as its footprint is wide."""
    placed = vertices @ pose[:3, :3].T
    _, sides = trimesh.bounds.oriented_bounds_2D(placed[:, :2])
    return bool(np.ptp(placed[:, 2]) < 0.5 * min(sides))
