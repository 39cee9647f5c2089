"""One grasp from the goal to the outcome, in a thread beside the executor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from dexgrasp_control.assist_output import AssistOutput
from dexgrasp_control.control_parameters import ControlParameters
from dexgrasp_control.lift_sight import LiftSight
from dexgrasp_control.motion import Motion
from dexgrasp_control.preparation import GraspEnded, Preparation
from dexgrasp_control.robot_link import RobotLink
from dexgrasp_control.service_call import PERIOD
from dexgrasp_control.wrist_input import WristInput
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_interfaces.msg import ControlState
from dexgrasp_models.control.approach_plan import ApproachPlan, NoApproach
from dexgrasp_models.control.config import ControlConfig
from dexgrasp_models.control.controllers import Need, usable_controller
from dexgrasp_models.control.lift_check import Sight
from dexgrasp_models.control.planner import GraspPlanner
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import Observation, Outcome, OutcomeKind, Phase, RobotState
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.assist_controller import AssistController
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import MessageError

_LOOK_AT = 0.5
"""Part of the hold after which the cameras are asked: an image may be some time old."""

_OFFERED = frozenset({Need.PLAN, Need.GOAL, Need.CLOUD, Need.WRIST_STREAM, Need.EFFORTS})
_GRASP = frozenset({Need.PLAN, Need.GOAL})

TellStage = Callable[[str, float, str], None]
"""Takes the stage, its progress in [0, 1], and what is waited for."""
WhyStop = Callable[[], str | None]
"""Why the grasp is not wanted any more, or None."""


class GraspTask:
    """Captures, lets propose, plans, and follows the motion.

    Args:
        robot: carries the motion out.
        preparation: gives the grasps.
        planner: plans.
        looker: asks the cameras about the lift; None: the grip alone tells.
        assist_output: tells what a policy does that follows a person's wrist.
        config: of the controller.
        parameters: of the control node.

    Raises:
        ValueError: there is no such controller, it needs what this node is not given, or it can't
            be made.
    """

    def __init__(
        self,
        robot: RobotLink,
        preparation: Preparation,
        planner: GraspPlanner,
        looker: LiftSight | None,
        assist_output: AssistOutput,
        config: ControlConfig,
        parameters: ControlParameters,
    ) -> None:
        self._robot = robot
        self._preparation = preparation
        self._planner = planner
        self._looker = looker
        self._assist_output = assist_output
        self._config = config
        self._parameters = parameters
        self._needs = usable_controller(parameters.controller, _OFFERED).needs
        self._loading = False
        if Need.PLAN not in self._needs:  # weights that are missing are told now
            config.make_controller(parameters.controller, self._setup())

    def _setup(
        self, plan: ApproachPlan | None = None, place: bool = False, sight: Sight | None = None
    ) -> ControllerSetup:
        p = self._parameters
        return ControllerSetup(
            p.control_period,
            plan,
            coupled=p.hand == "coupled",
            place=place,
            lift_check=self._config.lift_check,
            sight=sight,
        )

    def carry_out(
        self, request: ExecuteGrasp.Goal, why_stop: WhyStop, tell_stage: TellStage
    ) -> tuple[Outcome, bool]:
        """The outcome, and whether an object is in the hand.

        Raises:
            GraspEnded: it was over before the robot moved.
        """
        # While the other nodes are at work on what is planned with.
        if Need.PLAN in self._needs and not self._loading:
            self._loading = True
            threading.Thread(target=self._load_planner, name="planner", daemon=True).start()
        wrist = WristInput() if Need.WRIST_STREAM in self._needs else None
        with self._robot.listening(wrist):
            return self._carried_out(request, wrist, why_stop, tell_stage)

    def _carried_out(
        self,
        request: ExecuteGrasp.Goal,
        wrist: WristInput | None,
        why_stop: WhyStop,
        tell_stage: TellStage,
    ) -> tuple[Outcome, bool]:
        def tell(stage: str, message: str) -> None:
            if (reason := why_stop()) is not None:
                raise GraspEnded(OutcomeKind.ABORTED, f"{reason} before the robot moved")
            tell_stage(stage, 0.0, message)

        first = "capture" if request.choose else "plan"
        try:
            state = self._robot.fresh_state(partial(tell, first))
        except MessageError as error:
            raise GraspEnded(OutcomeKind.STALE_INPUT, str(error)) from None
        grasps = self._grasps(request, tell)
        goal, plan = grasps[0] if grasps else None, None
        if Need.PLAN in self._needs:
            tell("plan", f"planning the way to the best of {len(grasps)} grasps")
            plan = self._plan(grasps, state)
            goal = plan.grasp
            tell("plan", "planned")
        if wrist is not None:
            self._await_wrist(wrist, tell)
        return self._follow(goal, plan, wrist, request.place, why_stop, tell_stage)

    def _load_planner(self) -> None:
        self._planner.load()
        import torch

        torch.set_num_threads(1)  # more would cost the other nodes their processor

    def _grasps(self, request: ExecuteGrasp.Goal, tell: Callable[[str, str], None]) -> list[Grasp]:
        preparation, p = self._preparation, self._parameters
        if not _GRASP & self._needs and (request.text or not request.choose):
            raise GraspEnded(
                OutcomeKind.NO_PROPOSAL,
                f"controller {p.controller} takes neither a grasp nor a text: send choose alone",
            )
        if not request.choose:
            return [preparation.given(request, partial(tell, "plan"))]
        preparation.take_cloud(partial(tell, "capture"))
        if not _GRASP & self._needs:
            return []
        return preparation.propose(p.proposals, request.text, p.seed, partial(tell, "propose"))

    def _plan(self, grasps: list[Grasp], state: RobotState) -> ApproachPlan:
        object_points, scene_points = self._preparation.clouds.points
        try:
            return self._planner.plan(
                grasps, object_points, scene_points, state.wrist_pose, self._robot.arm_angles()
            )
        except NoApproach as error:
            raise GraspEnded(OutcomeKind.NO_APPROACH, str(error)) from None
        except MessageError as error:
            raise GraspEnded(OutcomeKind.STALE_INPUT, f"the arm's joints: {error}") from None

    def _await_wrist(self, wrist: WristInput, tell: Callable[[str, str], None]) -> None:
        """Returns once a person's wrist has come that is no older than the present state."""
        robot, p = self._robot, self._parameters
        topic = robot.resolved(contract.TELEOP_WRIST)
        tell(ControlState.WRIST, f"waiting for a person's wrist on {topic}")
        asked, since = time.monotonic(), robot.state.time
        while wrist.stamp < conversions.seconds_to_ns(since):
            why = f": the last was refused, {wrist.fault}" if wrist.fault else ""
            if not robot.publishers(contract.TELEOP_WRIST):
                why = ": nobody publishes there"
            tell(ControlState.WRIST, f"waiting for a person's wrist on {topic}{why}")
            if time.monotonic() - asked > p.wrist_timeout:
                raise GraspEnded(
                    OutcomeKind.STALE_INPUT,
                    f"no person's wrist on {topic} within {p.wrist_timeout:g} s{why}",
                )
            time.sleep(PERIOD)

    def _follow(
        self,
        goal: Grasp | None,
        plan: ApproachPlan | None,
        wrist: WristInput | None,
        place: bool,
        why_stop: WhyStop,
        tell_stage: TellStage,
    ) -> tuple[Outcome, bool]:
        p = self._parameters
        clouds = self._preparation.clouds
        before = clouds.points[0]
        sight = Sight() if self._looker else None
        controller = self._config.make_controller(p.controller, self._setup(plan, place, sight))

        def observe(state: RobotState) -> Observation:
            newest = wrist.newest if wrist else None
            ns, pose = newest or (None, None)
            moment = None if ns is None else ns / conversions.NANOSECONDS
            return Observation(state, goal, clouds.points[0], pose, moment)

        def told(state: RobotState) -> None:
            if isinstance(controller.inner, AssistController):
                self._assist_output.tell(controller.inner, state)

        motion = Motion(controller, sight, observe=observe, told=told, wrist=wrist)

        def tell(message: str) -> None:
            if (reason := why_stop()) is not None:
                self._robot.abort(reason)
            tell_stage(controller.stage, controller.progress, message)

        self._robot.start(motion)
        asked = False
        try:
            while not motion.ended.wait(PERIOD):
                tell("")
                if sight is not None and not asked and self._is_time_to_look(motion):
                    asked = True
                    self._look(motion, before, tell)
        finally:
            # Whatever went wrong here, the object is not held up for ever.
            if sight is not None:
                sight.conclude(None, "nobody looked")
        assert controller.outcome is not None
        kept = controller.outcome.kind in (
            OutcomeKind.SUCCEEDED,
            OutcomeKind.ABORTED,
            OutcomeKind.STALE_INPUT,
        )
        up = controller.phase in (Phase.LIFT, Phase.HOLD, Phase.PLACE)
        return _with_fault(controller.outcome, wrist), kept and up

    def _is_time_to_look(self, motion: Motion) -> bool:
        if self._parameters.lock_step:
            return motion.withheld is not None
        controller = motion.controller
        return controller.phase is Phase.HOLD and controller.progress >= _LOOK_AT

    def _look(self, motion: Motion, before: np.ndarray, tell: Callable[[str], None]) -> None:
        def tell_or_leave(message: str) -> None:
            tell(message)
            if motion.ended.is_set():
                raise _Over

        assert self._looker is not None
        assert motion.sight is not None
        assert motion.palm_before_lift is not None
        try:
            self._preparation.spent_stamp = self._looker.look(
                motion.sight, before, motion.palm_before_lift, self._robot.state, tell_or_leave
            )
        except _Over:
            return


def _with_fault(outcome: Outcome, wrist: WristInput | None) -> Outcome:
    """Where the person's wrist was lost, and its last pose was refused, the reason says why."""
    if wrist is None or not wrist.fault or outcome.kind is not OutcomeKind.STALE_INPUT:
        return outcome
    return replace(outcome, reason=f"{outcome.reason}; the last was refused, {wrist.fault}")


class _Over(Exception):
    """The motion has ended while the cameras were asked."""
