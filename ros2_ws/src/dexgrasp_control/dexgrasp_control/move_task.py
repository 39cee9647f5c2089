"""The moves beside the grasp, in a thread beside the executor: the wrist home, the hand open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from dexgrasp_control.cloud_input import CloudInput
from dexgrasp_control.motion import Motion
from dexgrasp_control.robot_link import RobotLink
from dexgrasp_control.service_call import PERIOD
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.arm_home import WayHome, arm_way_home
from dexgrasp_models.control.config import ControlConfig
from dexgrasp_models.control.limits import GuardedController
from dexgrasp_models.control.moves import HOME, PlannedMove, clear_height, home_pose, way_home
from dexgrasp_models.control.planner import GraspPlanner
from dexgrasp_models.control.types import Outcome, OutcomeKind, RobotState
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_ros.conversions import MessageError


class MoveTask:
    """Plans a move from where the robot is, and follows it.

    Args:
        robot: carries the motion out.
        planner: tells what is within reach.
        config: speeds and limits.
        period: of control, s.
        hand: the hand.
        arm: carries it; None where it is free.
        clouds: what stands around, as far as perception has told.
    """

    def __init__(
        self,
        robot: RobotLink,
        planner: GraspPlanner,
        config: ControlConfig,
        period: float,
        hand: HandSpec,
        arm: ArmKinematics | None,
        clouds: CloudInput,
    ) -> None:
        self._robot = robot
        self._planner = planner
        self._config = config
        self._period = period
        self._hand = hand
        self._clouds = clouds
        self._arm = arm
        self._home = home_pose(arm)
        self.began_to_open = False

    def carry_out(
        self,
        stage: str,
        holding: bool,
        why_stop: Callable[[], str | None],
    ) -> Outcome:
        """The outcome of a move.

        Args:
            stage: `HOME` or `OPEN_HAND`.
            holding: whether an object is in the hand.
            why_stop: why the move is not wanted any more, or None.
        """
        with self._robot.listening():
            return self._carried_out(stage, holding, why_stop)

    def _carried_out(
        self, stage: str, holding: bool, why_stop: Callable[[], str | None]
    ) -> Outcome:
        self.began_to_open = False
        try:
            state = self._robot.fresh_state(lambda _: None)
            arm_angles = self._robot.arm_angles()
        except MessageError as error:
            return Outcome(OutcomeKind.STALE_INPUT, str(error))
        if stage == HOME:
            way = self._way_home(state, arm_angles)
        else:
            way = self._fitting(arm_angles, [state.wrist_pose])
        if way is None:
            return Outcome(
                OutcomeKind.NO_APPROACH,
                f"the way {stage} leaves the workspace of the parameters, or the arm's reach: move"
                " the arm by its pendant, then ask again",
            )
        # The open hand is the flat one.
        fingers = None if stage == HOME else np.zeros(len(self._hand.finger_joints))
        move = PlannedMove(
            stage,
            way.stops,
            fingers,
            self._config.executor,
            self._hand.limits,
            way.passed,
        )
        controller = GuardedController(move, self._config.limits, self._hand.limits, self._period)
        motion = Motion(controller, held_targets=self._robot.finger_targets if holding else None)
        self._robot.start(motion)
        while not motion.ended.wait(PERIOD):
            if (reason := why_stop()) is not None:
                self._robot.abort(reason)
        self.began_to_open = stage != HOME and controller.progress > 0.0
        assert controller.outcome is not None
        return controller.outcome

    def _way_home(self, state: RobotState, arm_angles: np.ndarray | None) -> WayHome | None:
        obstacles = np.zeros((0, 3))
        if self._clouds.stamp >= 0:
            obstacles = np.concatenate(self._clouds.points)
        margin = self._config.approach.travel_margin
        highest = self._config.limits.workspace_high[2]
        straight = way_home(state.wrist_pose, self._home, obstacles, margin, highest)
        if self._arm is None or arm_angles is None:
            return self._fitting(arm_angles, straight)
        return arm_way_home(
            self._arm,
            arm_angles,
            straight,
            clear_height(obstacles, margin, highest),
            partial(self._planner.is_reachable, arm_angles),
        )

    def _fitting(
        self, arm_angles: np.ndarray | None, waypoints: Sequence[np.ndarray]
    ) -> WayHome | None:
        fits = self._planner.is_reachable(arm_angles, waypoints)
        return WayHome(waypoints) if fits else None
