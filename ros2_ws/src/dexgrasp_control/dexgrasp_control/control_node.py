"""The node that carries out grasps: the actions /grasp and /assist, and the 50 Hz control tick.

Capture, proposal and planning happen while the robot stands still; from then on every measured
state is answered by one command with the state's own stamp, in real time and in lock-step alike.
docs/ros_graph.md tells what a controller owes to a robot in lock-step.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rclpy.action import CancelResponse, GoalResponse
from rclpy.action.server import GoalEvent, ServerGoalHandle
from std_srvs.srv import Trigger

from dexgrasp_control.assist_output import AssistOutput
from dexgrasp_control.assist_task import AssistTask
from dexgrasp_control.cloud_input import CloudInput
from dexgrasp_control.control_parameters import ControlParameters
from dexgrasp_control.grasp_task import GraspTask, TellStage, WhyStop
from dexgrasp_control.lift_sight import LiftSight
from dexgrasp_control.move_task import MoveTask
from dexgrasp_control.object_stream import ObjectStream
from dexgrasp_control.preparation import GraspEnded, Preparation
from dexgrasp_control.robot_link import RobotLink
from dexgrasp_control.service_call import Patience, ServiceCall, SignsOfLife
from dexgrasp_control.state_output import StateOutput, error_code
from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_interfaces.msg import ControlState
from dexgrasp_interfaces.srv import Capture, GenerateProposals
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.config import ControlConfig, load_control_config
from dexgrasp_models.control.controllers import CONTROLLERS
from dexgrasp_models.control.moves import HOME, OPEN_HAND
from dexgrasp_models.control.planner import GraspPlanner
from dexgrasp_models.control.types import Outcome, OutcomeKind
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_ros import contract
from dexgrasp_ros.action_server import ActionServer
from dexgrasp_ros.kinds import declare_kinds
from dexgrasp_ros.node import OK, WARN, ManagedNode, when_active
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import current_parameters, declare_parameters
from dexgrasp_ros.transforms import Transforms
from dexgrasp_ros.worker import Worker

LONGEST_LOOK = 10
"""Times `sight_timeout` that the object is held up at most, however lively perception is."""
FAREWELL = 0.5
"""Seconds of wall time for a motion to end by itself when the node is deactivated."""

CarryOut = Callable[[Any, WhyStop, TellStage], tuple[Outcome, bool]]
"""Takes a goal's request; gives its outcome, and whether an object is in the hand."""


@dataclass
class _Goal:
    """A goal that was accepted.

    Attributes:
        handle: rclpy's.
        action: whose goal it is.
        kind: of the action.
        outcome: how it ended; None while it goes on.
        concluded: its client has been told.
    """

    handle: ServerGoalHandle
    action: ActionServer
    kind: Any
    started: float = field(default_factory=time.monotonic)
    outcome: Outcome | None = None
    holding: bool = False
    concluded: bool = False


class ControlNode(ManagedNode):
    """Carries out one grasp, or one move, at a time.

    All callbacks take turns in one thread, and none of them waits. A grasp runs in a thread beside
    it, which waits for services and for the end of the motion; the tick runs with the measured
    states. rclpy's executors for several threads would cost the tick many milliseconds: they spin
    without rest while a callback is waiting for Python's lock.
    """

    parameters_type = ControlParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("control", **options)
        defaults = load_control_config()
        self._config = ControlConfig(
            approach=declare_parameters(self, defaults.approach, prefix="approach."),
            executor=declare_parameters(self, defaults.executor, prefix="executor."),
            carry=declare_parameters(self, defaults.carry, prefix="carry."),
            follow=declare_parameters(self, defaults.follow, prefix="follow."),
            lift_check=declare_parameters(self, defaults.lift_check, prefix="lift_check."),
            limits=declare_parameters(self, defaults.limits, prefix="limits."),
            others=declare_kinds(self, CONTROLLERS, leave_out=(CONTROLLERS.default,)),
        )
        self._taking = threading.Lock()
        self._busy = ""
        self._goal: _Goal | None = None
        self._done: threading.Event | None = None
        self._stop_reason: str | None = None
        self._transforms: Transforms | None = None
        self._well = (OK, "active")

    # Lifecycle

    def configure(self) -> None:
        p = self.parameters
        self._config = ControlConfig(
            approach=current_parameters(self, self._config.approach, prefix="approach."),
            executor=current_parameters(self, self._config.executor, prefix="executor."),
            carry=current_parameters(self, self._config.carry, prefix="carry."),
            follow=current_parameters(self, self._config.follow, prefix="follow."),
            lift_check=current_parameters(self, self._config.lift_check, prefix="lift_check."),
            limits=current_parameters(self, self._config.limits, prefix="limits."),
            others={
                name: current_parameters(self, settings, prefix=f"{name}.")
                for name, settings in self._config.others.items()
            },
        )
        hand = load_hand()
        arm = ArmKinematics() if p.scene == "arm" else None
        planner = GraspPlanner(self._config, arm, hand)
        self._state_output = StateOutput(self)
        self._robot = RobotLink(
            self,
            p,
            hand,
            arm.arm.joint_names if arm else (),
            on_fault=self._on_fault,
            on_stage=self._state_output.enter,
        )
        clouds = CloudInput(self)
        signs = SignsOfLife(self)

        def service(kind: Any, name: str, server: str, silence: float, total: float) -> ServiceCall:
            node_name = f"{self.get_namespace()}/{server}"
            return ServiceCall(
                self.create_client(kind, name), node_name, signs, Patience(silence, total)
            )

        perception = partial(service, server="perception")
        self._preparation = Preparation(
            hand,
            clouds,
            perception(
                Trigger, contract.CAPTURE_SERVICE, silence=p.capture_timeout, total=p.answer_timeout
            ),
            service(
                GenerateProposals,
                contract.GENERATE_SERVICE,
                "proposals",
                p.proposal_timeout,
                p.answer_timeout,
            ),
            self._transforms_at_need,
        )
        looker = None
        if self._config.lift_check.cameras:
            capture_with, capture = (
                perception(
                    kind, name, silence=p.sight_timeout, total=LONGEST_LOOK * p.sight_timeout
                )
                for kind, name in (
                    (Capture, contract.CAPTURE_WITH_SERVICE),
                    (Trigger, contract.CAPTURE_SERVICE),
                )
            )
            looker = LiftSight(capture_with, capture, clouds, self._config.lift_check)
        self._grasp = GraspTask(
            self._robot,
            self._preparation,
            planner,
            looker,
            ObjectStream(self) if self._config.follow.enabled else None,
            AssistOutput(self, hand),
            hand,
            self._config,
            p,
        )
        assist = AssistTask(self._grasp, self._preparation, self._config, p)
        self._move = MoveTask(
            self._robot, planner, self._config, p.control_period, hand, arm, clouds
        )
        self._worker = Worker("grasps")
        self.create_service(Trigger, contract.STOP_SERVICE, self._on_stop)
        self.create_service(Trigger, contract.CLOSE_HAND_SERVICE, self._on_close_hand)
        for name, stage in (
            (contract.HOME_SERVICE, HOME),
            (contract.OPEN_HAND_SERVICE, OPEN_HAND),
        ):
            self.create_waiting_service(Trigger, name, partial(self._on_move, stage))
        self._actions = [
            self._offer(ExecuteGrasp, contract.GRASP_ACTION, self._grasp.carry_out),
            self._offer(Assist, contract.ASSIST_ACTION, assist.carry_out),
        ]

    def activate(self) -> None:
        self._state_output.enter(ControlState.IDLE)

    def deactivate(self) -> None:
        self._robot.abort("the control node was deactivated")
        self._robot.end()
        # Whoever waits for an answer gets it now: in a node that ends there is no later.
        done, goal = self._done, self._goal
        if done is not None:
            done.wait(FAREWELL)
        if goal is not None:
            goal.outcome = goal.outcome or Outcome(
                OutcomeKind.ABORTED, "the control node was deactivated"
            )
            self._conclude(goal)
        self._state_output.enter(ControlState.INACTIVE)

    def cleanup(self) -> None:
        self._worker.end()
        for action in self._actions:
            action.destroy()
        self._transforms = None

    # Health

    def _on_fault(self, fault: str) -> None:
        """A measured state was bad, or is good again."""
        if fault:
            self.report(WARN, fault)
        else:
            self.report(*self._well)

    def _transforms_at_need(self) -> Transforms:
        self._transforms = self._transforms or Transforms(self)
        return self._transforms

    # Stopping

    def _why_stop(self, handle: ServerGoalHandle | None = None) -> str | None:
        if handle is not None and handle.is_cancel_requested:
            return "cancelled"
        if not self.active:
            return "the control node was deactivated"
        return self._stop_reason

    @when_active
    def _on_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._stop_reason = f"stopped by {self.resolve_service_name(contract.STOP_SERVICE)}"
        self._robot.abort(self._stop_reason)
        response.success = True
        response.message = "stopped" if self._busy else "no grasp was running"
        return response

    @when_active
    def _on_close_hand(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._grasp.ask_to_close()
        response.message = (
            "the hand closes if it is near the object"
            if response.success
            else "no person's wrist is followed now"
        )
        return response

    def _take(self, what: str) -> str | None:
        """Why something new must not begin, or None: then it has begun."""
        if not self.active:
            return "the node is not active"
        with self._taking:
            if self._busy:
                return f"{self._busy} is running"
            self._busy, self._stop_reason = what, None
        return None

    # Moves

    def _on_move(
        self, stage: str, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        """Beside the executor."""
        if (refusal := self._take(stage)) is not None:
            response.message = f"refused: {refusal}"
            return response
        self._done = done = threading.Event()
        outcome = self._move.carry_out(stage, self._state_output.holding, self._why_stop)
        if stage == OPEN_HAND and self._move.began_to_open:
            self._state_output.released()
        done.set()
        self._busy = ""
        self._state_output.enter(ControlState.IDLE if self.active else ControlState.INACTIVE)
        response.success = outcome.kind is OutcomeKind.SUCCEEDED
        response.message = outcome.reason
        return response

    # The actions

    def _offer(self, kind: Any, name: str, carry_out: CarryOut) -> ActionServer:
        def accepted(handle: ServerGoalHandle) -> None:
            self._goal = _Goal(handle, action, kind)
            self._done = self._worker.start(partial(self._carry_out, self._goal, carry_out))

        action = ActionServer(
            self,
            kind,
            name,
            execute_callback=lambda handle: None,  # goals are carried out and concluded here
            goal_callback=self._on_goal,
            handle_accepted_callback=accepted,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        return action

    def _on_goal(self, request: Any) -> GoalResponse:
        if (refusal := self._take("a grasp")) is not None:
            self.get_logger().warning(f"refused a goal: {refusal}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _carry_out(self, goal: _Goal, carry_out: CarryOut) -> None:
        """Beside the executor."""
        handle = goal.handle

        def tell_stage(stage: str, progress: float, message: str) -> None:
            if not self._robot.moving:  # the tick tells the stages of the motion
                self._state_output.enter(stage)
            if not goal.concluded:
                handle.publish_feedback(
                    goal.kind.Feedback(stage=stage, progress=progress, message=message)
                )

        try:
            outcome, goal.holding = carry_out(
                handle.request, partial(self._why_stop, handle), tell_stage
            )
        except GraspEnded as end:
            outcome, goal.holding = end.outcome, self._state_output.holding
        except Exception as error:
            self.get_logger().error(f"the grasp failed: {traceback.format_exc()}")
            self._robot.abort(f"unexpected error: {error!r}")
            outcome = Outcome(OutcomeKind.ABORTED, f"unexpected error: {error!r}")
        goal.outcome = outcome
        executor = self.executor
        if executor is not None and self.active:
            executor.create_task(self._conclude, goal)

    def _conclude(self, goal: _Goal) -> None:
        """Tells the client how its grasp ended; by the executor's thread."""
        if goal.concluded:
            return
        goal.concluded = True
        outcome = goal.outcome
        assert outcome is not None
        succeeded = outcome.kind is OutcomeKind.SUCCEEDED
        cancelled = goal.handle.is_cancel_requested
        self._busy, self._goal = "", None
        self._state_output.conclude(outcome, goal.holding)
        self._well = (
            OK if succeeded else WARN,
            f"last grasp: {outcome.kind.value}, {outcome.reason}",
        )
        self.report(*self._well)
        failure = GoalEvent.CANCELED if cancelled else GoalEvent.ABORT
        goal.action.conclude(
            goal.handle,
            GoalEvent.SUCCEED if succeeded else failure,
            goal.kind.Result(
                success=succeeded,
                error_code=error_code(outcome.kind),
                outcome=outcome.kind.value,
                reason=outcome.reason,
                lifted_by=outcome.lifted_by,
                duration=time.monotonic() - goal.started,
            ),
        )


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(ControlNode))


if __name__ == "__main__":
    run()
