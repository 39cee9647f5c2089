"""The node that carries out grasps: the /grasp action and the 50 Hz control tick.

Capture, proposal and planning happen while the robot stands still; from then on every measured
state is answered by one command with the state's own stamp, in real time and in lock-step alike.
docs/ros_graph.md tells what a controller owes to a robot in lock-step.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.client import Client
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_control.cloud_input import CloudInput
from dexgrasp_control.robot_state_input import RobotStateInput
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.approach import ApproachPlan, NoApproach
from dexgrasp_models.control.config import ControlConfig, load_control_config
from dexgrasp_models.control.executor import Stage
from dexgrasp_models.control.limits import GuardedController
from dexgrasp_models.control.planner import GraspPlanner
from dexgrasp_models.control.types import Command, Outcome, OutcomeKind, RobotState
from dexgrasp_models.grasp.types import Grasp
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import MessageError
from dexgrasp_ros.node import OK, WARN, ManagedNode, main, when_active
from dexgrasp_ros.parameters import current_parameters, declare_parameters, parameter

FEEDBACK_PERIOD = 0.05
"""Seconds of wall time between two looks at a running grasp."""
WATCHDOG_PERIOD = 0.02


@dataclass(frozen=True)
class ControlParameters:
    """Parameters of the control node beside those of approach, executor and limits."""

    controller: str = parameter("planned", "what carries grasps out", choices=("planned",))
    scene: str = parameter(
        "floating",
        "whether the hand is free, or an arm carries it",
        choices=("floating", "arm"),
    )
    hand: str = parameter(
        "coupled", "whether tendons couple the outer joints", choices=("coupled", "independent")
    )
    proposals: int = parameter(8, "ranked grasps to ask for and to choose from", low=1, high=256)
    seed: int = parameter(0, "of the proposals", low=0, high=2**31 - 1)
    control_period: float = parameter(
        1.0 / contract.CONTROL_RATE,
        "from one measured state to the next",
        unit="s",
        low=0.001,
        high=0.1,
    )
    state_timeout: float = parameter(
        0.5,
        "without a measured state for this long the motion stops",
        unit="s of wall time",
        low=0.02,
        high=60.0,
    )
    stamp_tolerance: float = parameter(
        0.005,
        "greatest difference between the stamps of joints and wrist",
        unit="s",
        low=0.0,
        high=0.1,
    )
    capture_timeout: float = parameter(
        10.0, "longest wait for the cloud", unit="s of wall time", low=0.1, high=600.0
    )
    proposal_timeout: float = parameter(
        60.0, "longest wait for the proposals", unit="s of wall time", low=0.1, high=600.0
    )


class GraspEnded(Exception):
    """The grasp is over before the robot moved.

    Attributes:
        outcome: how it ended.
    """

    def __init__(self, kind: OutcomeKind, reason: str) -> None:
        super().__init__(reason)
        self.outcome = Outcome(kind, reason)


class ControlNode(ManagedNode):
    """Carries out one grasp at a time.

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
            limits=declare_parameters(self, defaults.limits, prefix="limits."),
        )
        self._goal_taken = False
        self._stop_reason: str | None = None
        self._run: _Run | None = None

    # Lifecycle

    def configure(self) -> None:
        p = self.parameters
        self._config = ControlConfig(
            approach=current_parameters(self, self._config.approach, prefix="approach."),
            executor=current_parameters(self, self._config.executor, prefix="executor."),
            limits=current_parameters(self, self._config.limits, prefix="limits."),
        )
        torch.set_num_threads(1)
        self._hand = load_hand()
        arm = ArmKinematics() if p.scene == "arm" else None
        self._arm_joints = arm.arm.joint_names if arm else ()
        self._planner = GraspPlanner(self._config, arm, self._hand)
        self._state_input = RobotStateInput(
            self._hand.finger_joints, conversions.seconds_to_ns(p.stamp_tolerance)
        )
        self._state: RobotState | None = None
        self._state_heard = -float("inf")
        self._clouds = CloudInput(self)
        self._hand_command = self.create_lifecycle_publisher(
            JointTrajectory, contract.HAND_COMMAND.name, contract.HAND_COMMAND.qos
        )
        self._wrist_target = self.create_lifecycle_publisher(
            PoseStamped, contract.WRIST_TARGET.name, contract.WRIST_TARGET.qos
        )
        for topic, callback in (
            (contract.JOINT_STATES, partial(self._on_state, self._state_input.put_joints)),
            (contract.WRIST_POSE, partial(self._on_state, self._state_input.put_wrist)),
        ):
            self.create_subscription(topic.type, topic.name, callback, topic.qos)
        self.create_timer(WATCHDOG_PERIOD, self._watch, clock=self.steady_clock)
        self._capture = self.create_client(Trigger, contract.CAPTURE_SERVICE)
        self._generate = self.create_client(GenerateProposals, contract.GENERATE_SERVICE)
        self.create_service(Trigger, contract.STOP_SERVICE, self._on_stop)
        self._action = ActionServer(
            self,
            ExecuteGrasp,
            contract.GRASP_ACTION,
            execute_callback=self._conclude,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def deactivate(self) -> None:
        self._abort("the control node was deactivated")
        run = self._run
        if run is not None:
            self._end(run)

    def cleanup(self) -> None:
        self._action.destroy()

    # The control tick

    def _on_state(self, put: Callable[[Any], None], message: JointState | PoseStamped) -> None:
        try:
            put(message)
        except MessageError as error:
            self._abort(f"bad measured state: {error}", OutcomeKind.STALE_INPUT)
            self.report(WARN, f"bad measured state: {error}")
            return
        pair = self._state_input.newest()
        if pair is None:
            return
        ns, self._state = pair
        self._state_heard = time.monotonic()
        run = self._run
        # An earlier stamp is not skipped: that time went back ends the grasp.
        if run is not None and ns != run.answered_ns:
            self._tick(run, ns, self._state)

    def _tick(self, run: _Run, ns: int, state: RobotState) -> None:
        """Answers a measured state; the first after the outcome is known is left to the robot."""
        now = self.get_clock().now().nanoseconds / conversions.NANOSECONDS
        command = run.controller.step(state, now)
        run.answered_ns = ns
        if run.outcome is not None or command is None:
            self._end(run)
            return
        self._send(command, ns)

    def _send(self, command: Command, ns: int) -> None:
        self._wrist_target.publish(
            conversions.pose_stamped(command.wrist_target, ns, conversions.WORLD)
        )
        self._hand_command.publish(
            conversions.joint_trajectory(self._hand.finger_joints, command.finger_targets, ns)
        )

    def _end(self, run: _Run) -> None:
        """Lets go: a trajectory without points says that the last targets are to be held."""
        if self._run is run:
            self._run = None
            self._hand_command.publish(
                JointTrajectory(header=conversions.header(run.answered_ns, ""))
            )
            run.ended.set()

    def _watch(self) -> None:
        """Stops a motion whose measured states no longer come."""
        run = self._run
        silence = time.monotonic() - self._state_heard
        if run is not None and silence > self.parameters.state_timeout:
            run.controller.abort(f"no measured state for {silence:.2f} s", OutcomeKind.STALE_INPUT)
            self._end(run)

    # Stopping

    def _abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        run = self._run
        if run is not None:
            run.controller.abort(reason, kind)

    @when_active
    def _on_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._stop_reason = f"stopped by {self.resolve_service_name(contract.STOP_SERVICE)}"
        self._abort(self._stop_reason)
        response.success = True
        response.message = "stopped" if self._goal_taken else "no grasp was running"
        return response

    # The action

    def _on_goal(self, request: ExecuteGrasp.Goal) -> GoalResponse:
        if not self.active or self._goal_taken:
            why = "a grasp is running" if self.active else "the node is not active"
            self.get_logger().warning(f"refused a goal: {why}")
            return GoalResponse.REJECT
        self._goal_taken = True
        self._stop_reason = None
        return GoalResponse.ACCEPT

    def _on_accepted(self, goal: ServerGoalHandle) -> None:
        threading.Thread(target=self._execute, args=(goal,), name="grasp", daemon=True).start()

    def _execute(self, goal: ServerGoalHandle) -> None:
        started = time.monotonic()
        try:
            outcome = self._carry_out(goal)
        except GraspEnded as end:
            outcome = end.outcome
        except Exception as error:
            self.get_logger().error(f"the grasp failed: {error!r}")
            outcome = Outcome(OutcomeKind.ABORTED, f"unexpected error: {error!r}")
        self._ended = outcome, time.monotonic() - started
        goal.execute()

    def _conclude(self, goal: ServerGoalHandle) -> ExecuteGrasp.Result:
        """Tells the client how its grasp ended."""
        outcome, duration = self._ended
        self._goal_taken = False
        succeeded = outcome.kind is OutcomeKind.SUCCEEDED
        if succeeded:
            goal.succeed()
        elif goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        self.report(
            OK if succeeded else WARN, f"last grasp: {outcome.kind.value}, {outcome.reason}"
        )
        return ExecuteGrasp.Result(
            success=succeeded,
            outcome=outcome.kind.value,
            reason=outcome.reason,
            duration=duration,
        )

    def _carry_out(self, goal: ServerGoalHandle) -> Outcome:
        state = self._fresh_state(goal)
        if goal.request.choose:
            self._feedback(goal, "capture")
            self._take_cloud(goal)
            self._feedback(goal, "propose")
            grasps = self._propose(goal)
        else:
            grasps = [self._given_grasp(goal.request)]
        self._feedback(goal, "plan")
        plan = self._plan(grasps, state)
        return self._follow(goal, plan)

    def _fresh_state(self, goal: ServerGoalHandle) -> RobotState:
        """A state measured after now."""
        asked = time.monotonic()
        while self._state_heard < asked:
            self._check_not_cancelled(goal)
            if time.monotonic() - asked > self.parameters.state_timeout:
                raise GraspEnded(
                    OutcomeKind.STALE_INPUT,
                    f"no measured state on {self.resolve_topic_name(contract.JOINT_STATES.name)}"
                    f" and {self.resolve_topic_name(contract.WRIST_POSE.name)}"
                    f" within {self.parameters.state_timeout:g} s",
                )
            time.sleep(WATCHDOG_PERIOD)
        return self._state

    def _take_cloud(self, goal: ServerGoalHandle) -> None:
        timeout = self.parameters.capture_timeout
        before = self._clouds.received
        response = self._call(goal, self._capture, Trigger.Request(), timeout, OutcomeKind.NO_CLOUD)
        if not response.success:
            raise GraspEnded(OutcomeKind.NO_CLOUD, response.message)
        if not self._clouds.wait_for_newer(before, timeout):
            raise GraspEnded(
                OutcomeKind.NO_CLOUD,
                f"{self._capture.service_name} succeeded, but no cloud came",
            )

    def _propose(self, goal: ServerGoalHandle) -> list[Grasp]:
        p = self.parameters
        request = GenerateProposals.Request(
            count=p.proposals,
            text=goal.request.text,
            seed=p.seed,
            cloud_stamp=conversions.ns_to_stamp(self._clouds.stamp),
        )
        response = self._call(
            goal, self._generate, request, p.proposal_timeout, OutcomeKind.NO_PROPOSAL
        )
        if not response.success:
            raise GraspEnded(OutcomeKind.NO_PROPOSAL, response.message)
        try:
            return [
                conversions.grasp_from_message(grasp, self._hand.finger_joints)
                for grasp in response.proposals.grasps
            ]
        except MessageError as error:
            raise GraspEnded(OutcomeKind.NO_PROPOSAL, f"bad proposal: {error}") from None

    def _given_grasp(self, request: ExecuteGrasp.Goal) -> Grasp:
        if self._clouds.stamp < 0:
            raise GraspEnded(
                OutcomeKind.NO_CLOUD, f"call {self._capture.service_name} before giving a grasp"
            )
        try:
            return conversions.grasp_from_message(request.grasp, self._hand.finger_joints)
        except MessageError as error:
            raise GraspEnded(OutcomeKind.NO_PROPOSAL, f"bad grasp: {error}") from None

    def _plan(self, grasps: list[Grasp], state: RobotState) -> ApproachPlan:
        object_points, scene_points = self._clouds.points
        try:
            arm_joints = self._state_input.angles(self._arm_joints) if self._arm_joints else None
            return self._planner.plan(
                grasps, object_points, scene_points, state.wrist_pose, arm_joints
            )
        except NoApproach as error:
            raise GraspEnded(OutcomeKind.NO_APPROACH, str(error)) from None
        except MessageError as error:
            raise GraspEnded(OutcomeKind.STALE_INPUT, f"the arm's joints: {error}") from None

    def _follow(self, goal: ServerGoalHandle, plan: ApproachPlan) -> Outcome:
        self._check_not_cancelled(goal)
        p = self.parameters
        controller = self._planner.controller(plan, p.control_period, p.hand == "coupled")
        run = self._run = _Run(controller, goal.request.place)
        # Whoever asked for a stop since the check above found nothing to stop.
        if self._stop_reason is not None or not self.active:
            controller.abort(self._stop_reason or "the control node was deactivated")
        if not self.active:
            self._end(run)
        while not run.ended.wait(FEEDBACK_PERIOD):
            if goal.is_cancel_requested:
                controller.abort("cancelled")
            self._feedback(goal, controller.stage, controller.progress)
        return run.outcome

    def _call(
        self,
        goal: ServerGoalHandle,
        client: Client,
        request: Any,
        timeout: float,
        failure: OutcomeKind,
    ) -> Any:
        """The response of a service; the grasp ends if there is none, or on cancelling."""
        deadline = time.monotonic() + timeout
        while not client.service_is_ready():
            self._check_not_cancelled(goal)
            if time.monotonic() > deadline:
                raise GraspEnded(
                    failure, f"{client.service_name} is not there (waited {timeout:g} s)"
                )
            time.sleep(FEEDBACK_PERIOD)
        future = client.call_async(request)
        while not future.done():
            self._check_not_cancelled(goal)
            if time.monotonic() > deadline or not client.service_is_ready():
                client.remove_pending_request(future)
                raise GraspEnded(
                    failure,
                    f"{client.service_name} did not answer in {timeout:g} s"
                    if time.monotonic() > deadline
                    else f"{client.service_name} went away",
                )
            time.sleep(FEEDBACK_PERIOD)
        return future.result()

    def _check_not_cancelled(self, goal: ServerGoalHandle) -> None:
        if goal.is_cancel_requested:
            raise GraspEnded(OutcomeKind.ABORTED, "cancelled before the robot moved")
        if self._stop_reason is not None:
            raise GraspEnded(OutcomeKind.ABORTED, self._stop_reason)
        if not self.active:
            raise GraspEnded(OutcomeKind.ABORTED, "the control node was deactivated")

    def _feedback(self, goal: ServerGoalHandle, stage: str, progress: float = 0.0) -> None:
        goal.publish_feedback(ExecuteGrasp.Feedback(stage=stage, progress=progress))


class _Run:
    """A grasp that is being carried out.

    Attributes:
        controller: steps with the measured states.
        answered_ns: stamp of the last state that was answered.
        ended: set once the robot has been let go.
    """

    def __init__(self, controller: GuardedController, place: bool) -> None:
        self.controller = controller
        self.answered_ns = -1
        self.ended = threading.Event()
        self._place = place

    @property
    def outcome(self) -> Outcome | None:
        """The controller's, or success after the hold where nothing is to be put down."""
        outcome = self.controller.outcome
        if outcome is None and not self._place and self.controller.stage == Stage.PLACE:
            return Outcome(OutcomeKind.SUCCEEDED, "the object was lifted and held")
        return outcome


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(ControlNode))


if __name__ == "__main__":
    run()
