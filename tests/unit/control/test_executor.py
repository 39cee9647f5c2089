"""The planned executor on a small model of hand and wrist: first-order wrist, stopped fingers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.approach_plan import ApproachPlan
from dexgrasp_models.control.executor import ExecutorConfig, PlannedExecutor, Stage
from dexgrasp_models.control.lift_check import LiftedBy, LiftVerdict, Sight
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.trajectory import (
    JointMotion,
    MotionBounds,
    PosePath,
    interpolate_pose,
    pose_distance,
)
from dexgrasp_models.control.types import Observation, OutcomeKind, Phase, RobotState
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp

PERIOD = 0.02
HAND = load_hand()


def pose(position, rotation_vector=(0.0, 0.0, 0.0)) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3] = Rotation.from_rotvec(rotation_vector).as_matrix()
    result[:3, 3] = position
    return result


def make_plan() -> ApproachPlan:
    flexed = HAND.couple(np.clip(np.full(22, 0.6), *HAND.limits.T))
    grasp = Grasp(
        palm_pose=pose((0.05, 0.02, 0.12), (2.0, 0.5, 0.0)),
        joints=flexed,
        pregrasp_joints=0.5 * flexed,
        squeeze_joints=1.3 * flexed,
        score=0.0,
        figures={},
        proposer="test",
    )
    pregrasp = grasp.palm_pose.copy()
    pregrasp[:3, 3] += (0.0, 0.05, 0.1)
    return ApproachPlan(grasp, 0.4 * flexed, pregrasp, 0.35, clearance=0.01, cost=0.0)


def planned(
    plan: ApproachPlan | None, config: ExecutorConfig | None = None, **setup: Any
) -> PlannedExecutor:
    return PlannedExecutor(config or ExecutorConfig(), ControllerSetup(PERIOD, plan, **setup))


class Model:
    """Wrist and fingers that follow their targets; an object stops the fingers at the grasp."""

    def __init__(self, plan: ApproachPlan, period: float = PERIOD) -> None:
        self.plan, self.period = plan, period
        self.time = 3.0
        self.wrist = pose((-0.3, 0.0, 0.3))
        self.joints = np.zeros(22)
        self.in_hand = True
        self.wrist_jammed = False
        self.floor = -np.inf

    def state(self) -> RobotState:
        return RobotState(self.time, self.wrist.copy(), self.joints.copy(), np.zeros(22))

    def follow(self, command) -> None:
        if not self.wrist_jammed:
            self.wrist = interpolate_pose(self.wrist, command.wrist_target, 0.8)
        self.wrist[2, 3] = max(self.wrist[2, 3], self.floor)
        target = command.finger_targets
        if self.in_hand:
            target = np.minimum(target, np.maximum(self.plan.grasp.joints, 0.0))
        self.joints = self.joints + 0.8 * (target - self.joints)
        self.time += self.period


def run(executor, model, at_stage=None, then=None, ticks=2000):
    """Steps until the outcome; ``then(model)`` once, half way through ``at_stage``."""
    log = []
    for _ in range(ticks):
        if at_stage is not None and executor.stage == at_stage and executor.progress > 0.5:
            then(model)
            at_stage = None
        command = executor.step(Observation(model.state()))
        log.append((executor.stage, model.time, command))
        if executor.outcome is not None:
            return log
        model.follow(command)
    pytest.fail(f"no outcome; still in {executor.stage}")


@pytest.fixture
def plan() -> ApproachPlan:
    return make_plan()


def test_a_grasp_goes_through_all_stages_in_order_and_in_good_time(plan):
    executor = planned(plan)
    log = run(executor, Model(plan))
    assert executor.outcome.kind is OutcomeKind.SUCCEEDED
    assert [name for name, _ in itertools.groupby(stage for stage, _, _ in log)] == list(Stage)
    times = [time for stage, time, _ in log if stage in ("pregrasp", "hold")]
    assert 7.0 < times[-1] - times[0] < 12.0


def test_its_stages_are_about_the_phases_of_a_grasp_in_order(plan):
    executor, model = planned(plan), Model(plan)
    phases = []
    while executor.outcome is None:
        model.follow(executor.step(Observation(model.state())))
        phases.append(executor.phase)
    own = [phase for phase in Phase if phase is not Phase.CARRY]  # that is a delivery's
    assert [phase for phase, _ in itertools.groupby(phases)] == own


def test_commands_respect_the_configured_speeds_and_never_jump(plan):
    config = ExecutorConfig()
    model = Model(plan)
    before = model.wrist, model.joints
    for stage, _, command in run(planned(plan, config), model):
        moved, turned = pose_distance(before[0], command.wrist_target)
        near = stage in ("approach", "close", "squeeze", "lift", "hold", "place", "release")
        speed = config.approach_speed if near else config.transit_speed
        assert moved <= speed * PERIOD * 1.001
        assert turned <= config.angular_speed * PERIOD * 1.001
        before = command.wrist_target, command.finger_targets


def test_wrist_passes_above_before_it_comes_down(plan):
    model = Model(plan)
    for stage, _, command in run(planned(plan), model):
        if stage != "pregrasp":
            break
        target = command.wrist_target
        sideways = np.linalg.norm(target[:2, 3] - plan.pregrasp_pose[:2, 3])
        turned = np.abs(target[:3, :3] - plan.pregrasp_pose[:3, :3]).max()
        has_moved = np.linalg.norm(target[:2, 3] - (-0.3, 0.0)) > 1e-6
        if has_moved and (sideways > 1e-6 or turned > 1e-6):
            assert target[2, 3] == pytest.approx(plan.travel_height)


def test_fingers_take_the_planned_shapes_and_the_lift_is_straight_up(plan):
    config = ExecutorConfig()
    log = run(planned(plan, config), Model(plan))
    last = {stage: command for stage, _, command in log}
    tolerance = 5e-3
    assert np.allclose(last["approach"].finger_targets, plan.open_joints, atol=tolerance)
    assert np.allclose(last["approach"].wrist_target, plan.grasp.palm_pose, atol=1e-4)
    assert np.allclose(last["close"].finger_targets, plan.grasp.joints, atol=tolerance)
    rise = last["lift"].wrist_target[:3, 3] - plan.grasp.palm_pose[:3, 3]
    assert np.allclose(rise, (0.0, 0.0, config.lift_height), atol=1e-3)
    assert np.allclose(last["place"].wrist_target, plan.grasp.palm_pose, atol=1e-3)
    assert last["release"].wrist_target[2, 3] == pytest.approx(plan.travel_height)


@pytest.mark.parametrize("coupled", [True, False])
def test_targets_never_lead_the_measured_actuators_by_more_than_allowed(plan, coupled):
    config = ExecutorConfig(target_lead=0.1)
    model = Model(plan)
    executor = planned(plan, config, coupled=coupled)
    reduction = HAND.reduction if coupled else np.eye(22)
    greatest = 0.0
    while executor.outcome is None:
        state = model.state()
        command = executor.step(Observation(state))
        lead = np.abs(reduction @ (command.finger_targets - state.joints)).max()
        greatest = max(greatest, lead)
        model.follow(command)
    assert greatest == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("stage", "kind"), [("lift", OutcomeKind.SLIPPED), ("hold", OutcomeKind.DROPPED)]
)
def test_an_object_lost_is_noticed_by_the_fingers_reaching_their_targets(plan, stage, kind):
    def lose(model):
        model.in_hand = False

    executor = planned(plan)
    log = run(executor, Model(plan), stage, lose)
    assert executor.outcome.kind is kind
    assert stage in executor.outcome.reason
    assert log[-1][0] == stage


def test_closing_on_nothing_is_noticed_before_the_lift(plan):
    model = Model(plan)
    model.in_hand = False
    executor = planned(plan)
    log = run(executor, model)
    assert executor.outcome.kind is OutcomeKind.SLIPPED
    assert "nothing" in executor.outcome.reason
    assert log[-1][0] == "squeeze"


def test_a_wrist_that_does_not_follow_ends_the_grasp(plan):
    def jam(model):
        model.wrist_jammed = True

    executor = planned(plan)
    run(executor, Model(plan), "pregrasp", jam)
    assert executor.outcome.kind is OutcomeKind.ABORTED
    assert "wrist" in executor.outcome.reason


def test_placing_stops_when_the_table_carries_early(plan):
    def raise_floor(model):
        model.floor = plan.grasp.palm_pose[2, 3] + 0.04

    executor = planned(plan)
    log = run(executor, Model(plan), "hold", raise_floor)
    assert executor.outcome.kind is OutcomeKind.SUCCEEDED
    lowest = min(c.wrist_target[2, 3] for stage, _, c in log if stage == "place")
    assert lowest > plan.grasp.palm_pose[2, 3] + 0.005


def test_without_cameras_the_grip_tells_that_it_was_lifted(plan):
    executor = planned(plan, place=False)
    log = run(executor, Model(plan))
    assert executor.outcome.kind is OutcomeKind.SUCCEEDED
    assert executor.outcome.lifted_by == "grip"
    assert log[-1][0] == "hold"


def test_fingers_that_press_on_something_without_the_thumb_are_no_success(plan):
    """As neighbours do that meet: the object stayed on the table."""
    free = np.array(["TH" in name for name in HAND.finger_joints])
    model = Model(plan)
    follow = model.follow

    def thumb_meets_nothing(command):
        reached = model.joints + 0.8 * (command.finger_targets - model.joints)
        follow(command)
        model.joints = np.where(free, reached, model.joints)

    model.follow = thumb_meets_nothing
    executor = planned(plan)
    log = run(executor, model)
    assert executor.outcome.kind is OutcomeKind.SLIPPED
    assert "not lifted" in executor.outcome.reason
    assert log[-1][0] == "hold"


@pytest.mark.parametrize("lifted", [True, False])
def test_the_cameras_word_outweighs_the_grip_and_is_waited_for(plan, lifted):
    sight = Sight()
    executor = planned(plan, sight=sight)
    model = Model(plan)
    while not sight.due:
        model.follow(executor.step(Observation(model.state())))
    due = model.time
    for _ in range(100):
        model.follow(executor.step(Observation(model.state())))
    assert executor.stage == Stage.HOLD
    assert model.time > due
    sight.conclude(LiftVerdict(lifted, LiftedBy.CAMERAS, "seen"))
    run(executor, model)
    wanted = OutcomeKind.SUCCEEDED if lifted else OutcomeKind.SLIPPED
    assert executor.outcome.kind is wanted
    assert executor.outcome.lifted_by == ("cameras" if lifted else "")


@pytest.mark.parametrize("stage", list(Stage))
def test_in_every_stage_an_abort_holds_the_last_command(plan, stage):
    def stop(model):
        executor.abort("asked to stop")

    model = Model(plan)
    executor = planned(plan)
    log = run(executor, model, stage, stop)
    assert executor.outcome.kind is OutcomeKind.ABORTED
    assert executor.step(Observation(model.state())) is log[-1][2]


def test_abort_holds_the_last_command_and_the_first_outcome_stands(plan):
    model = Model(plan)
    executor = planned(plan)
    command = executor.step(Observation(model.state()))
    for _ in range(20):
        model.follow(command)
        command = executor.step(Observation(model.state()))
    executor.abort("asked to stop")
    executor.abort("again", OutcomeKind.DROPPED)
    model.follow(command)
    assert executor.step(Observation(model.state())) is command
    assert executor.outcome.kind is OutcomeKind.ABORTED
    assert executor.outcome.reason == "asked to stop"


def test_aborted_before_the_first_step_it_holds_where_it_is(plan):
    model = Model(plan)
    executor = planned(plan)
    executor.abort("not wanted")
    assert np.array_equal(executor.step(Observation(model.state())).wrist_target, model.wrist)


def test_the_same_states_give_the_same_commands_to_the_bit(plan):
    logs = [run(planned(plan), Model(plan)) for _ in range(2)]
    for (_, _, first), (_, _, second) in zip(*logs, strict=True):
        assert np.array_equal(first.wrist_target, second.wrist_target)
        assert np.array_equal(first.finger_targets, second.finger_targets)


def test_when_states_come_late_the_motion_waits_instead_of_jumping(plan):
    model = Model(plan)
    executor = planned(plan)
    command = executor.step(Observation(model.state()))
    for _ in range(30):
        model.follow(command)
        command = executor.step(Observation(model.state()))
    before = command
    model.time += 0.5
    model.follow(command)
    late = executor.step(Observation(model.state()))
    moved, _ = pose_distance(before.wrist_target, late.wrist_target)
    assert 0.0 < moved <= 2.0 * PERIOD * ExecutorConfig().transit_speed


def test_states_that_are_to_come_seldom_are_not_waited_for(plan):
    took = []
    for period in (PERIOD, 0.05):
        executor = PlannedExecutor(ExecutorConfig(), ControllerSetup(period, plan))
        log = run(executor, Model(plan, period))
        took.append(log[-1][1] - log[0][1])
    assert took[1] == pytest.approx(took[0], rel=0.1)


def test_a_path_keeps_its_bounds_and_reaches_its_waypoints():
    bounds = MotionBounds(0.3, 1.0, 1.5, 6.0)
    way = [pose((0, 0, 0)), pose((0, 0, 0)), pose((0.2, 0, 0.1), (0, 3.0, 0)), pose((0.2, 0.01, 0))]
    path = PosePath(way, bounds)
    step = 1e-3
    poses = [path.pose(t) for t in np.arange(-step, path.duration + 2 * step, step)]
    speeds = np.array([pose_distance(a, b) for a, b in itertools.pairwise(poses)]) / step
    assert np.all(speeds.max(0) <= np.array([0.3, 1.5]) * 1.001)
    accelerations = np.abs(np.diff(speeds, axis=0)) / step
    assert np.all(accelerations.max(0) <= np.array([1.0, 6.0]) * 1.02)
    assert speeds.max(0)[1] == pytest.approx(1.5, rel=1e-3)  # one bound is reached: no slower
    assert np.allclose(poses[0], way[0])
    assert np.array_equal(poses[-1], way[-1])
    assert min(pose_distance(p, way[2])[0] for p in poses) < 1e-5


def test_finger_motion_keeps_its_speed_and_its_least_duration():
    motion = JointMotion(np.zeros(22), np.linspace(-1.0, 1.5, 22), max_speed=2.0)
    times = np.arange(0.0, motion.duration + 2e-3, 1e-3)
    joints = np.array([motion.joints(t) for t in times])
    assert np.abs(np.diff(joints, axis=0)).max() / 1e-3 == pytest.approx(2.0, rel=1e-3)
    assert np.allclose(joints[-1], motion.end)
    assert JointMotion(motion.start, motion.end, 2.0, min_duration=9.0).duration == 9.0
    still = JointMotion(motion.end, motion.end, 2.0)
    assert np.array_equal(still.joints(0.0), motion.end)
