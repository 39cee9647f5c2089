"""A simulator and what the graph's nodes compute on it: perception, planning, execution.

The cores of the nodes run here in the same order and on the same rounded inputs, so that a
lock-step run of the graph leaves the object in the same place. Once the cameras have looked nothing
is planned anew: lifts are open-loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.approach_plan import ApproachPlan
from dexgrasp_models.control.carry import CarryPlanner
from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.control.controllers import CONTROLLERS, Need, usable_controller
from dexgrasp_models.control.limits import GuardedController
from dexgrasp_models.control.planner import GraspPlanner
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import Command, Observation, OutcomeKind, Phase, RobotState
from dexgrasp_models.geometry.poses import through_quaternion
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import DepthFrame
from dexgrasp_models.perception.fusion import FusedCloud, fuse, load_fusion_config
from dexgrasp_models.perception.robot_mask import robot_distance
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_sim.episodes.lift import Lift, LiftWatch
from dexgrasp_sim.simulator import Simulator

TIME_LIMIT = 60.0
"""Seconds of simulated time after which an execution is given up."""

OFFERED = frozenset({Need.PLAN, Need.GOAL, Need.CLOUD, Need.EFFORTS, Need.TACTILE})
"""What a controller is given here by itself; a person's wrist where the caller has one."""


class GraspCell:
    """Looks, plans and carries out in a simulator that was reset.

    Args:
        simulator: starts where it is.
        controller: name of what carries grasps out.
        offered: what that is given.

    Attributes:
        simulator: it; starts and ends where it is left.
        hand: the hand in it.
        arm: the arm, where the scene has one.
        control: settings of planning, controllers and limits.

    Raises:
        ValueError: there is no such controller, or it needs what is not offered here.
    """

    def __init__(
        self,
        simulator: Simulator,
        controller: str = CONTROLLERS.default,
        offered: Collection[Need] = OFFERED,
    ) -> None:
        self.simulator = simulator
        self.hand = load_hand()
        self.arm = ArmKinematics() if simulator.config.scene == "arm" else None
        self.control = load_control_config()
        self._controller = controller
        self._needs = usable_controller(controller, offered).needs
        self._planner = GraspPlanner(self.control, self.arm, self.hand)

    def depth_frames(self) -> list[DepthFrame]:
        """What the cameras measure now."""
        simulator = self.simulator
        return [
            DepthFrame(camera, simulator.read_depth(name), simulator.time)
            for name, camera in simulator.cameras.items()
        ]

    def fuse(self, frames: Sequence[DepthFrame]) -> FusedCloud:
        """The cloud of the object, without the robot as it is now.

        Raises:
            PerceptionError: too little is seen.
        """
        state = self._state()
        arm_joints = self._arm_joints()
        robot = robot_distance(
            self.hand,
            state.wrist_pose,
            state.joints,
            self.arm.capsules(arm_joints) if self.arm and arm_joints is not None else (),
        )
        return fuse(frames, load_fusion_config(), robot_distance=robot)

    def plan(self, grasps: Sequence[Grasp], cloud: FusedCloud) -> ApproachPlan:
        """The plan for the first of some grasps that can be approached.

        Raises:
            NoApproach: none can.
        """
        return self._planner.plan(
            [_grasp_as_received(grasp) for grasp in grasps],
            cloud.object_points,
            cloud.scene_points,
            self._state().wrist_pose,
            self._arm_joints(),
        )

    def carry_out(
        self,
        plan: ApproachPlan | None,
        object_points: np.ndarray | None = None,
        observe: Callable[[RobotState, GuardedController], None] | None = None,
        wrist: Callable[[float], np.ndarray] | None = None,
        carry_above: np.ndarray | None = None,
    ) -> Lift:
        """Approach, close, squeeze, lift and hold; success by the object's true poses.

        Args:
            plan: from `plan`; to a controller without need of a plan, the goal. None where it
                needs no goal either.
            object_points: (N, 3) cloud of the object in `world`, m, that the controller sees.
            observe: shown each measured state, and the controller after it was stepped with it.
            wrist: gives a person's wrist, (4, 4) in `world`, at a time of the simulator, s.
            carry_above: (N, 3) points in `world`, m, of what stands around: the object is carried
                above it to the box of the settings, and released. None: it is held only.
        """
        simulator = self.simulator
        watch = LiftWatch(simulator.object_model, simulator.object_pose())
        setup = ControllerSetup(
            simulator.config.control_period,
            plan,
            self.hand,
            coupled=simulator.config.hand == "coupled",
            place=False,
            carry=None if carry_above is None else self._carry_planner(carry_above),
            lift_check=self.control.lift_check,
        )
        controller = self.control.make_controller(self._controller, setup)
        while simulator.time < TIME_LIMIT:
            state = self._state()
            if Need.EFFORTS in self._needs:
                state = replace(state, efforts=self._efforts())
            tactile = simulator.hand_contacts() if Need.TACTILE in self._needs else None
            observation = Observation(
                state,
                plan.grasp if plan else None,
                object_points,
                through_quaternion(wrist(state.time)) if wrist else None,
                tactile=tactile,
            )
            command = controller.step(observation, state.time)
            if observe is not None:
                observe(state, controller)
            watch.see(controller.phase, simulator.object_pose(), state.wrist_pose)
            if controller.outcome is not None:
                break
            assert command is not None
            simulator.set_targets(_command_as_received(command))
            simulator.step()
        # At the end of the hold the controller gives its verdict; what is true does not depend on
        # it, and its own word gives the reason only.
        held_out = controller.phase in (Phase.CARRY, Phase.RELEASE) or (
            controller.phase is Phase.HOLD and controller.progress >= 1.0
        )
        outcome = controller.outcome
        failed = outcome is not None and outcome.kind is not OutcomeKind.SUCCEEDED
        return watch.judged(
            held_out, controller.stage, outcome.reason if outcome is not None and failed else ""
        )

    def _carry_planner(self, obstacles: np.ndarray) -> CarryPlanner:
        config = self.control.carry
        return CarryPlanner(
            np.array(config.box_position),
            config,
            self.control.limits,
            self.hand,
            obstacles,
            lambda way: self._planner.is_reachable(self._arm_joints(), way),
        )

    def _state(self) -> RobotState:
        state = self.simulator.state()
        return replace(state, wrist_pose=through_quaternion(state.wrist_pose))

    def _efforts(self) -> np.ndarray:
        """(22,) of the finger joints, N m."""
        efforts = self.simulator.efforts()
        return np.array([efforts[name] for name in self.hand.finger_joints])

    def _arm_joints(self) -> np.ndarray | None:
        """(6,) the arm's joints, rad, where there is an arm."""
        if self.arm is None:
            return None
        positions = self.simulator.joint_positions()
        return np.array([positions[name] for name in self.arm.arm.joint_names])


def _grasp_as_received(grasp: Grasp) -> Grasp:
    return replace(grasp, palm_pose=through_quaternion(grasp.palm_pose))


def _command_as_received(command: Command) -> Command:
    return replace(command, wrist_target=through_quaternion(command.wrist_target))
