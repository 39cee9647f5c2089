"""Command limits and stale-state guard, against whatever may come in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.controllers import Need
from dexgrasp_models.control.limits import (
    CommandLimiter,
    GuardedController,
    SafetyLimits,
    StaleGuard,
    is_pose,
    moved_towards,
)
from dexgrasp_models.control.trajectory import pose_distance
from dexgrasp_models.control.types import (
    Command,
    Observation,
    Outcome,
    OutcomeKind,
    Phase,
    RobotState,
)
from dexgrasp_models.hand.spec import load_hand

PERIOD = 0.02
LIMITS = SafetyLimits()
JOINT_LIMITS = load_hand().limits
ROUNDING = 1e-9


def make_pose(position, rotation_vector=(0.0, 0.0, 0.0)) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(rotation_vector).as_matrix()
    pose[:3, 3] = position
    return pose


def make_state(time=0.0, position=(0.0, 0.0, 0.4), joints=None) -> RobotState:
    joints = JOINT_LIMITS.mean(1) if joints is None else joints
    return RobotState(time, make_pose(position), joints, np.zeros(22))


anything = st.one_of(st.floats(allow_nan=True, allow_infinity=True, width=64), st.floats(-4.0, 4.0))
mostly_sane = st.floats(-4.0, 4.0)


@st.composite
def commands(draw) -> Command:
    number = draw(st.sampled_from([mostly_sane, mostly_sane, mostly_sane, anything]))
    position = [draw(number) for _ in range(3)]
    turn = [draw(mostly_sane) for _ in range(3)]
    fingers = np.array([draw(number) for _ in range(22)])
    pose = make_pose(position, turn)
    if draw(st.integers(0, 9)) == 0:
        pose[:3, :3] *= draw(st.floats(0.0, 3.0))
    return Command(pose, fingers)


@settings(max_examples=60, deadline=None)
@given(st.lists(commands(), min_size=1, max_size=8))
def test_no_command_exceeds_the_bounds_whatever_comes_in(sequence):
    limiter = CommandLimiter(LIMITS, JOINT_LIMITS, PERIOD)
    limiter.reset(make_state())
    before = limiter.previous
    for command in sequence:
        out = limiter.limit(command)
        assert is_pose(out.wrist_target)
        position = out.wrist_target[:3, 3]
        assert np.all(position >= np.array(LIMITS.workspace_low) - ROUNDING)
        assert np.all(position <= np.array(LIMITS.workspace_high) + ROUNDING)
        moved, turned = pose_distance(before.wrist_target, out.wrist_target)
        assert moved <= LIMITS.wrist_speed * PERIOD + ROUNDING
        assert turned <= LIMITS.wrist_angular_speed * PERIOD + 1e-7
        assert np.all(out.finger_targets >= JOINT_LIMITS[:, 0] - ROUNDING)
        assert np.all(out.finger_targets <= JOINT_LIMITS[:, 1] + ROUNDING)
        step = np.abs(out.finger_targets - before.finger_targets).max()
        assert step <= LIMITS.joint_speed * PERIOD + ROUNDING
        before = out


@settings(max_examples=30, deadline=None)
@given(commands())
def test_a_steady_command_is_reached_and_one_within_the_bounds_is_not_changed(command):
    limiter = CommandLimiter(LIMITS, JOINT_LIMITS, PERIOD)
    limiter.reset(make_state())
    for _ in range(400):
        reached = limiter.limit(command)
    if limiter.refused is not None:
        assert pose_distance(reached.wrist_target, make_state().wrist_pose) == (0.0, 0.0)
        return
    inside = np.clip(command.wrist_target[:3, 3], LIMITS.workspace_low, LIMITS.workspace_high)
    assert np.allclose(reached.wrist_target[:3, 3], inside, atol=1e-9)
    assert np.allclose(reached.wrist_target[:3, :3], command.wrist_target[:3, :3], atol=1e-3)
    again = limiter.limit(reached)
    assert np.allclose(again.wrist_target, reached.wrist_target, atol=1e-9)


def test_from_outside_the_box_it_returns_at_bounded_speed():
    limiter = CommandLimiter(LIMITS, JOINT_LIMITS, PERIOD)
    start = make_state(position=(0.0, 0.0, 1.2))
    limiter.reset(start)
    out = limiter.limit(Command(start.wrist_pose, start.joints))
    assert out.wrist_target[2, 3] == pytest.approx(1.2 - LIMITS.wrist_speed * PERIOD)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Command(make_pose((0, 0, np.nan)), np.zeros(22)), "wrist target"),
        (Command(np.diag([1.0, 1.0, -1.0, 1.0]), np.zeros(22)), "wrist target"),
        (Command(make_pose((0, 0, 0.4)), np.full(22, np.inf)), "finger targets"),
        (Command(make_pose((0, 0, 0.4)), np.zeros(18)), "22 finite"),
    ],
)
def test_a_broken_command_is_refused_whole_and_the_last_one_held(command, reason):
    limiter = CommandLimiter(LIMITS, JOINT_LIMITS, PERIOD)
    limiter.reset(make_state())
    held = limiter.previous
    assert limiter.limit(command) is held
    assert reason in limiter.refused


def test_limiter_must_know_where_the_robot_is():
    limiter = CommandLimiter(LIMITS, JOINT_LIMITS, PERIOD)
    with pytest.raises(RuntimeError, match="reset"):
        limiter.limit(Command(np.eye(4), np.zeros(22)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wrist_speed": -1.0}, "wrist_speed = -1.0: expected 0.01 to 2 m/s"),
        ({"joint_speed": float("nan")}, "joint_speed"),
        ({"workspace_low": (0.6, 0.0, 0.0)}, "must be below"),
    ],
)
def test_limits_check_themselves(changes, message):
    with pytest.raises(ValueError, match=message):
        SafetyLimits(**changes)


def test_guard_accepts_fresh_states_and_repeated_stamps():
    guard = StaleGuard(LIMITS)
    assert guard.fault(make_state(1.0), now=1.0) is None
    assert guard.fault(make_state(1.0), now=1.02) is None
    assert guard.fault(make_state(1.04), now=1.05) is None


@pytest.mark.parametrize(
    ("state", "now", "reason"),
    [
        (make_state(1.0), 1.5, "old"),
        (make_state(0.9), 1.0, "back"),
        (make_state(np.nan), 1.0, "stamp"),
        (make_state(1.0, position=(np.nan, 0, 0)), 1.0, "wrist pose"),
        (make_state(1.0, joints=np.full(22, np.nan)), 1.0, "joint angles"),
        (RobotState(1.0, np.eye(4), np.zeros(22), np.full(22, np.inf)), 1.0, "velocities"),
    ],
)
def test_guard_names_what_is_wrong(state, now, reason):
    guard = StaleGuard(LIMITS)
    assert guard.fault(make_state(1.0), now=1.0) is None
    assert reason in guard.fault(state, now)


class Drifting:
    """A controller that drives away as fast as it is let."""

    phase, stage, progress = Phase.REACH, "drift", 0.5

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.broken = False

    def step(self, observation: Observation) -> Command:
        state = observation.state
        position = state.wrist_pose[:3, 3] + (np.nan if self.broken else 1.0)
        return Command(make_pose(position), state.joints + 1.0)

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        self.outcome = self.outcome or Outcome(kind, reason)


def guarded(*needs: Need) -> tuple[Drifting, GuardedController]:
    inner = Drifting()
    return inner, GuardedController(inner, LIMITS, JOINT_LIMITS, PERIOD, needs)


def test_guarded_controller_bounds_what_its_controller_asks_for():
    _, controller = guarded()
    command = controller.step(Observation(make_state(0.0)), now=0.0)
    moved, _ = pose_distance(make_state().wrist_pose, command.wrist_target)
    assert moved == pytest.approx(LIMITS.wrist_speed * PERIOD)


@pytest.mark.parametrize("bad", [make_state(1.0), make_state(1.4, (np.nan, 0, 0))])
def test_bad_input_ends_the_grasp_and_holds_the_last_command(bad):
    _, controller = guarded()
    held = controller.step(Observation(make_state(1.0)), now=1.0)
    assert controller.step(Observation(bad), now=1.4) is held
    assert controller.outcome.kind is OutcomeKind.STALE_INPUT
    assert controller.step(Observation(make_state(1.5)), now=1.5) is held


def test_without_any_good_state_there_is_no_command():
    _, controller = guarded()
    assert controller.step(Observation(make_state(np.nan)), now=0.0) is None
    assert controller.outcome.kind is OutcomeKind.STALE_INPUT


def test_a_controller_that_commands_nonsense_is_aborted():
    inner, controller = guarded()
    held = controller.step(Observation(make_state(0.0)), now=0.0)
    inner.broken = True
    assert controller.step(Observation(make_state(0.02)), now=0.02) is held
    assert controller.outcome.kind is OutcomeKind.ABORTED
    assert "refused" in controller.outcome.reason


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "lacks a cloud, contact forces"),
        ({"object_points": np.zeros((5, 3))}, "lacks contact forces"),
        ({"object_points": np.zeros((5, 3)), "tactile": {"rh_thdistal": np.nan}}, "not finite"),
    ],
)
def test_an_observation_without_what_the_controller_needs_stops_it(given, reason):
    _, controller = guarded(Need.CLOUD, Need.TACTILE)
    whole = {"object_points": np.zeros((5, 3)), "tactile": {}}
    held = controller.step(Observation(make_state(0.0), **whole), now=0.0)
    assert controller.outcome is None
    assert controller.step(Observation(make_state(0.02), **given), now=0.02) is held
    assert controller.outcome.kind is OutcomeKind.STALE_INPUT
    assert reason in controller.outcome.reason


def test_efforts_are_heeded_where_they_are_needed():
    _, controller = guarded(Need.EFFORTS)
    state = make_state(0.0)
    controller.step(Observation(replace(state, efforts=np.zeros(22))), now=0.0)
    assert controller.outcome is None
    controller.step(Observation(replace(state, efforts=np.full(22, np.nan))), now=0.0)
    assert controller.outcome.reason == "the measured joint efforts are not finite"


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.3, 2.0, 3.1415, np.pi - 1e-7, np.pi])
def test_the_distance_of_poses_is_that_of_their_rotation_vector(angle):
    rng = np.random.default_rng(0)
    for start in Rotation.random(10, random_state=rng):
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        first, second = np.eye(4), np.eye(4)
        first[:3, :3] = start.as_matrix()
        second[:3, :3] = (start * Rotation.from_rotvec(angle * axis)).as_matrix()
        second[:3, 3] = 0.2 * axis
        assert pose_distance(first, second) == pytest.approx((0.2, angle), abs=1e-12)


def test_a_pose_that_is_near_enough_is_given_unchanged():
    first, second = np.eye(4), np.eye(4)
    second[:3, :3] = Rotation.from_rotvec([0.0, 0.1, 0.0]).as_matrix()
    second[:3, 3] = (0.01, 0.0, 0.0)
    assert np.array_equal(moved_towards(first, second, 0.011, 0.11), second)
    part = moved_towards(first, second, 0.005, 0.05)
    assert pose_distance(first, part) == pytest.approx((0.005, 0.05))
