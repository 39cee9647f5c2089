"""One grasp from the goal to the outcome, in a thread beside the executor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from dexgrasp_control.assist_output import AssistOutput
from dexgrasp_control.control_parameters import ControlParameters
from dexgrasp_control.lift_sight import LiftSight
from dexgrasp_control.motion import Motion
from dexgrasp_control.object_stream import ObjectStream, ended_after_a_moment
from dexgrasp_control.preparation import GraspEnded, Preparation
from dexgrasp_control.robot_link import RobotLink
from dexgrasp_control.service_call import PERIOD
from dexgrasp_control.wrist_input import WristInput
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_interfaces.msg import ControlState
from dexgrasp_models.control.approach_plan import ApproachPlan, NoApproach
from dexgrasp_models.control.carry import CarryPlanner, HeldObject
from dexgrasp_models.control.config import ControlConfig
from dexgrasp_models.control.controllers import Need, usable_controller
from dexgrasp_models.control.delivery import Delivery
from dexgrasp_models.control.following import Following
from dexgrasp_models.control.lift_check import Sight
from dexgrasp_models.control.limits import GuardedController
from dexgrasp_models.control.planner import GraspPlanner
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import Observation, Outcome, OutcomeKind, Phase, RobotState
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.assist_controller import GOES_BY_ITSELF, AssistController
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import MessageError

_LOOK_AT = 0.5
"""Part of the hold after which the cameras are asked: an image may be some time old."""

_OFFERED = frozenset({Need.PLAN, Need.GOAL, Need.CLOUD, Need.WRIST_STREAM, Need.EFFORTS})
_GRASP = frozenset({Need.PLAN, Need.GOAL})
_NOTHING = np.zeros((0, 3))

TellStage = Callable[[str, float, str], None]
"""Takes the stage, its progress in [0, 1], and what is waited for."""
WhyStop = Callable[[], str | None]
"""Why the grasp is not wanted any more, or None."""


@dataclass(frozen=True)
class Means:
    """What carries a grasp out."""

    controller: str
    """Its name."""
    config: ControlConfig
    """Its settings, and the limits."""
    box: np.ndarray | None = None
    """(3,) middle of a box's opening in `world`, m, over which the object is carried and released;
    None: it is held only."""

    @property
    def needs(self) -> frozenset[Need]:
        """Of the controller.

        Raises:
            ValueError: there is none of the name, or it needs what this node is not given.
        """
        return usable_controller(self.controller, _OFFERED).needs


class GraspTask:
    """Captures, lets propose, plans, and follows the motion.

    Args:
        robot: carries the motion out.
        preparation: gives the grasps.
        planner: plans.
        looker: asks the cameras about the lift; None: the grip alone tells.
        stream: tells where the object goes, for goals to go along; None: they stay.
        assist_output: tells what a policy does that follows a person's wrist.
        hand: that grasps.
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
        stream: ObjectStream | None,
        assist_output: AssistOutput,
        hand: HandSpec,
        config: ControlConfig,
        parameters: ControlParameters,
    ) -> None:
        self._robot = robot
        self._preparation = preparation
        self._planner = planner
        self._looker = looker
        self._stream = stream
        self._assist_output = assist_output
        self._hand = hand
        self._parameters = parameters
        self._means = Means(parameters.controller, config)
        self._loading = False
        self._wrist: WristInput | None = None  # while a person's is listened to
        if Need.PLAN not in self._means.needs:  # weights that are missing are told now
            config.make_controller(parameters.controller, self._setup(self._means))

    def _setup(
        self,
        means: Means,
        plan: ApproachPlan | None = None,
        place: bool = False,
        sight: Sight | None = None,
        obstacles: np.ndarray = _NOTHING,
        following: Following | None = None,
    ) -> ControllerSetup:
        p = self._parameters
        return ControllerSetup(
            p.control_period,
            plan,
            coupled=p.hand == "coupled",
            place=place,
            carry=None if means.box is None else self._carry_planner(means, obstacles),
            following=following,
            lift_check=means.config.lift_check,
            sight=sight,
        )

    def _carry_planner(self, means: Means, obstacles: np.ndarray) -> CarryPlanner:
        assert means.box is not None
        return CarryPlanner(
            means.box,
            means.config.carry,
            means.config.limits,
            self._hand,
            obstacles,
            lambda way: self._planner.is_reachable(self._robot.arm_angles(), way),
        )

    def carry_out(
        self,
        request: ExecuteGrasp.Goal,
        why_stop: WhyStop,
        tell_stage: TellStage,
        means: Means | None = None,
    ) -> tuple[Outcome, bool]:
        """The outcome, and whether an object is in the hand.

        Args:
            request: what is to be grasped, and how.
            why_stop: asked while it goes on.
            tell_stage: told of all that it does.
            means: other ones than those of the parameters.

        Raises:
            GraspEnded: it was over before the robot moved.
        """
        means = means or self._means
        # While the other nodes are at work on what is planned with.
        if Need.PLAN in means.needs and not self._loading:
            self._loading = True
            threading.Thread(target=self._load_planner, name="planner", daemon=True).start()
        wrist = None
        if Need.WRIST_STREAM in means.needs:
            wrist = WristInput(self._parameters.close_button)
        self._wrist = wrist
        try:
            with self._robot.listening(wrist):
                return self._carried_out(request, means, wrist, why_stop, tell_stage)
        finally:
            self._wrist = None

    def ask_to_close(self) -> bool:
        """Has the hand close now, as a person's button does; False where no wrist is followed."""
        wrist = self._wrist
        if wrist is not None:
            wrist.ask_to_close()
        return wrist is not None

    def _carried_out(
        self,
        request: ExecuteGrasp.Goal,
        means: Means,
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
        grasps = self._grasps(request, means, tell)
        goal, plan = grasps[0] if grasps else None, None
        if Need.PLAN in means.needs:
            tell("plan", f"planning the way to the best of {len(grasps)} grasps")
            plan = self._plan(grasps, state)
            goal = plan.grasp
            tell("plan", "planned")
        sight = Sight() if self._looker else None
        obstacles = self._preparation.clouds.points[1]
        following = self._following(means, plan)
        setup = self._setup(means, plan, request.place, sight, obstacles, following)
        controller = self._make_controller(means, setup, state)
        if wrist is not None:
            self._await_wrist(wrist, tell)
        if self._stream is None or following is None:
            return self._follow(controller, sight, goal, wrist, None, why_stop, tell_stage)
        with self._stream.followed(following, self._preparation.clouds.stamp):
            self._stream.await_first(partial(tell, "plan"), self._parameters.capture_timeout)
            return self._follow(controller, sight, goal, wrist, following, why_stop, tell_stage)

    def _following(self, means: Means, plan: ApproachPlan | None) -> Following | None:
        """Of the object of a plan, where goals go along; a person's wrist leads by itself."""
        if self._stream is None or plan is None or Need.WRIST_STREAM in means.needs:
            return None
        cloud = self._preparation.clouds.points[0]
        try:
            return Following(cloud, plan.grasp.palm_pose, means.config.follow)
        except ValueError as error:
            raise GraspEnded(OutcomeKind.NO_CLOUD, str(error)) from None

    def _make_controller(
        self, means: Means, setup: ControllerSetup, state: RobotState
    ) -> GuardedController:
        """The controller, whose object can be carried from where the hand is now, if it is to."""
        try:
            if setup.carry is not None:
                nothing = HeldObject(np.zeros((1, 3)))
                setup.carry.way(state.wrist_pose, state.joints, nothing)
            return means.config.make_controller(means.controller, setup)
        except NoApproach as error:
            raise GraspEnded(OutcomeKind.NO_APPROACH, str(error)) from None
        except ValueError as error:
            kind = OutcomeKind.ABORTED if means is self._means else OutcomeKind.BAD_GOAL
            raise GraspEnded(kind, str(error)) from None

    def _load_planner(self) -> None:
        self._planner.load()
        import torch

        torch.set_num_threads(1)  # more would cost the other nodes their processor

    def _grasps(
        self, request: ExecuteGrasp.Goal, means: Means, tell: Callable[[str, str], None]
    ) -> list[Grasp]:
        preparation, p = self._preparation, self._parameters
        if not _GRASP & means.needs and (request.text or not request.choose):
            raise GraspEnded(
                OutcomeKind.NO_PROPOSAL,
                f"controller {means.controller} takes neither a grasp nor a text:"
                " send choose alone",
            )
        if not request.choose:
            return [preparation.given(request, partial(tell, "plan"))]
        preparation.take_cloud(partial(tell, "capture"))
        if not _GRASP & means.needs:
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
        controller: GuardedController,
        sight: Sight | None,
        goal: Grasp | None,
        wrist: WristInput | None,
        following: Following | None,
        why_stop: WhyStop,
        tell_stage: TellStage,
    ) -> tuple[Outcome, bool]:
        clouds = self._preparation.clouds
        before = clouds.points[0]
        lifts = controller.inner
        if isinstance(lifts, Delivery):
            lifts = lifts.grasp

        def observe(state: RobotState) -> Observation:
            newest = wrist.newest if wrist else None
            ns, pose = newest or (None, None)
            moment = None if ns is None else ns / conversions.NANOSECONDS
            close = wrist is not None and wrist.close_wanted
            return Observation(state, goal, clouds.points[0], pose, moment, close)

        def told(state: RobotState) -> None:
            if isinstance(lifts, AssistController):
                self._assist_output.tell(lifts.report, controller, state)

        motion = Motion(controller, sight, observe=observe, told=told, wrist=wrist)

        def tell(message: str) -> None:
            if (reason := why_stop()) is not None:
                self._robot.abort(reason)
            tell_stage(controller.stage, controller.progress, message)

        stream = self._stream if following is not None else None
        self._robot.start(motion)
        asked = False
        try:
            while not ended_after_a_moment(motion.ended, stream):
                alone = wrist is not None and not controller.follows_wrist
                doubt = stream.look() if stream is not None else ""
                tell(GOES_BY_ITSELF if alone else doubt)
                if sight is not None and not asked and self._is_time_to_look(motion):
                    asked = True
                    there = before if following is None else following.moved(before)
                    self._look(motion, there, tell)
        finally:
            # Whatever went wrong here, the object is not held up for ever.
            if sight is not None:
                sight.conclude(None, "nobody looked")
        assert controller.outcome is not None
        kept = controller.outcome.kind not in (OutcomeKind.SLIPPED, OutcomeKind.DROPPED)
        up = controller.phase in (Phase.LIFT, Phase.HOLD, Phase.CARRY, Phase.PLACE)
        outcome = _with_fault(controller.outcome, wrist)
        return (following.explained(outcome) if following else outcome), kept and up

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
