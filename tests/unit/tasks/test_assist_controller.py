"""The controller that assists a person: its stages, and all that can be wrong with a wrist."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from assisted_hand import AT_BALL, HAND, PERIOD, START, AssistedHand, Closing, late, pose, reach

from dexgrasp_models.control.carry import CarryConfig, CarryPlanner
from dexgrasp_models.control.config import ControlConfig
from dexgrasp_models.control.controllers import CONTROLLERS, Need
from dexgrasp_models.control.lift_check import LiftedBy, LiftVerdict, Sight
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import Observation, OutcomeKind, Phase, RobotState
from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig
from dexgrasp_models.nets.weights import save_weights
from dexgrasp_models.tasks import learned_assist
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_controller import GOES_BY_ITSELF, Stage
from dexgrasp_models.tasks.assist_controller_config import AssistControllerConfig, make_policy

TASK = AssistConfig()
CLOSED = (TASK.close_steps + TASK.settle_steps) / TASK.rate


def ended(hand: AssistedHand) -> tuple[OutcomeKind, str]:
    outcome = hand.controller.outcome
    return outcome.kind, outcome.reason


def test_a_grasp_goes_through_all_stages_and_follows_the_person():
    hand = AssistedHand()
    phases = []
    while hand.controller.outcome is None:
        command = hand.tick()
        phases.append(hand.controller.phase)
        if hand.controller.outcome is None:
            assert np.array_equal(command.wrist_target, reach(hand.log[-1][1]))
    assert ended(hand)[0] is OutcomeKind.SUCCEEDED
    assert hand.controller.outcome.lifted_by == "grip"
    stages = [name for name, _ in itertools.groupby(stage for stage, _, _ in hand.log)]
    assert stages == list(Stage)
    assert [p for p, _ in itertools.groupby(phases)] == [
        Phase.REACH,
        Phase.CLOSE,
        Phase.LIFT,
        Phase.HOLD,
    ]
    assert hand.began("close") == pytest.approx(2.5, abs=0.05)  # the wrist rested for 0.5 s
    assert hand.began("lift") == pytest.approx(5.0 + 2.0 * 0.02 / 0.3, abs=0.05)
    assert hand.began("hold") == pytest.approx(5.0 + 2.0 * 0.15 / 0.3, abs=0.05)


def test_far_from_the_object_the_hand_opens_and_the_policy_does_not_act():
    hand = AssistedHand()
    hand.joints = np.full(22, 0.3)
    hand.until(0.4)
    assert hand.controller.stage == "follow"
    assert not hand.policy.seen
    assert np.abs(hand.joints).max() < 1e-9


def test_the_policys_steps_are_a_rate_apart_and_held_between():
    hand = AssistedHand(reach=1.0, rest_time=10.0)
    hand.stops = None
    hand.until(1.0)
    assert hand.policy.begun == 1
    assert len(hand.policy.seen) == 20  # 20 Hz, though 0.05 s are no whole number of ticks
    targets = np.array([command.finger_targets for _, _, command in hand.log])
    steps = np.abs(np.diff(targets, axis=0)).max(axis=1)
    assert np.count_nonzero(steps) in (19, 20)
    assert steps.max() <= TASK.max_change + 1e-9
    actuated = HAND.reduction @ (targets[-1] - targets[0])
    moved = np.where(HAND.actuator_limits[:, 1] > 1.2, 19 * TASK.max_change, 0.0)
    assert np.all(actuated >= moved - 1e-9)


def test_lost_states_are_not_made_up_for():
    hand = AssistedHand(reach=1.0)
    hand.until(0.5)
    before = len(hand.policy.seen)
    hand.time += 0.08
    hand.until(0.68)
    assert len(hand.policy.seen) - before == 2


def test_the_policy_sees_what_environments_show():
    hand = AssistedHand(reach=1.0)
    hand.until(1.0)
    seen = hand.policy.seen[-1]
    assert seen.cloud.shape == (1, TASK.points, 3)
    assert seen.wrists.shape == (1, TASK.history, 7)
    # The wrist goes straight, 50 ms a step, and isn't turned.
    step = (AT_BALL - START) / 2.0 / TASK.rate
    ways = np.diff(seen.wrists[0, :, :3], axis=0)
    assert ways.mean(axis=0) == pytest.approx(step, abs=0.2 * np.abs(step).max())
    assert seen.wrists[0, -1] == pytest.approx([0, 0, 0, 0, 0, 0, 1])
    # Fingers that are stopped fall behind their targets, by a step's change more each step.
    behind = np.stack([each.pressing[0] for each in hand.policy.seen[-3:]])
    stopped = HAND.actuators.index("rh_FFJ3")
    assert np.diff(behind[:, stopped]) == pytest.approx(TASK.max_change)


def test_the_hand_closes_by_itself_as_in_the_task():
    hand = AssistedHand(Closing(0.0), auto_close=0.2)
    hand.until(2.5 + CLOSED + 0.1)
    closed = HAND.reduction @ hand.log[-1][2].finger_targets
    names = [name for name, angle in zip(HAND.actuators, closed, strict=True) if abs(angle) > 1e-9]
    assert names == ["rh_FFJ3", "rh_MFJ3", "rh_RFJ3", "rh_LFJ3", "rh_THJ1"]
    assert np.abs(closed).max() == pytest.approx(0.2)
    half = next(
        command for _, time, command in hand.log if time >= hand.began("close") + 0.75 - 1e-9
    )
    assert np.abs(HAND.reduction @ half.finger_targets).max() == pytest.approx(0.1, abs=0.005)


def test_fingers_that_still_move_put_the_closing_off_but_not_for_ever():
    hand = AssistedHand(most_rest=1.5)
    hand.stops = None
    hand.until(2.6)
    assert hand.controller.stage == "assist"
    hand.until(3.6)
    assert hand.controller.stage == "close"
    assert hand.began("close") == pytest.approx(3.5, abs=0.05)


def test_a_wrist_that_pauses_far_from_the_object_closes_nothing():
    hand = AssistedHand(person=lambda time: reach(min(time, 1.2)))
    hand.until(8.0)
    assert hand.controller.stage == "assist"


def test_a_wrist_that_is_raised_at_once_lifts_at_once():
    def person(time: float) -> np.ndarray:
        return reach(min(time, 2.0)) if time < 2.1 else reach(5.0 + time - 2.1)

    hand = AssistedHand(person=person)
    hand.finish()
    assert hand.began("lift") - hand.began("close") < 0.05
    assert hand.began("close") == pytest.approx(2.1 + 2.0 * 0.02 / 0.3, abs=0.05)


def test_it_lifts_by_itself_where_that_is_asked_for():
    hand = AssistedHand(person=lambda time: reach(min(time, 4.9)), lift="itself")
    hand.until(hand_lifts := 2.5 + CLOSED + 0.1)
    assert hand.controller.stage == "lift", hand_lifts
    hand.change = late(60.0)  # the person isn't followed any more
    hand.finish()
    assert ended(hand)[0] is OutcomeKind.SUCCEEDED
    heights = [command.wrist_target[2, 3] for stage, _, command in hand.log if stage == "hold"]
    assert heights == pytest.approx([AT_BALL[2] + 0.15] * len(heights))
    speeds = np.diff([command.wrist_target[2, 3] for _, _, command in hand.log]) / PERIOD
    assert speeds.max() <= 0.2 + 1e-6


def test_what_is_to_be_carried_is_raised_by_itself_once_the_person_begins_to():
    planner = CarryPlanner(np.zeros(3), CarryConfig(), SafetyLimits(), HAND, np.zeros((0, 3)), bool)
    hand = AssistedHand(setup={"carry": planner})
    hand.until(4.9)
    assert (hand.controller.stage, hand.controller.follows_wrist) == ("close", True)
    hand.until(hand_lifts := 5.3)
    assert (hand.controller.stage, hand.controller.follows_wrist) == ("lift", False), hand_lifts
    assert hand.controller.report.remark == GOES_BY_ITSELF
    assert np.array_equal(hand.controller.report.wanted, hand.log[-1][2].wrist_target)
    elsewhere = pose(np.add(START, (0.3, 0.3, 0.3)))
    hand.change = lambda o: replace(o, wrist_wanted=elsewhere)  # whatever the person does
    hand.finish()
    assert ended(hand)[0] is OutcomeKind.SUCCEEDED
    assert hand.wrist[:3, 3] == pytest.approx(np.add(AT_BALL, (0.0, 0.0, 0.15)))


def test_a_hand_that_is_never_raised_is_given_up():
    hand = AssistedHand(person=lambda time: reach(min(time, 4.9)), time_limit=6.0)
    hand.finish()
    assert ended(hand) == (OutcomeKind.ABORTED, "the hand was not raised within 6 s")


def test_the_cameras_word_is_waited_for_and_decides():
    sight = Sight()
    hand = AssistedHand(setup={"sight": sight})
    hand.until(12.0)
    assert (hand.controller.stage, sight.due, hand.controller.outcome) == ("hold", True, None)
    sight.conclude(LiftVerdict(False, LiftedBy.CAMERAS, "it is on the table"))
    hand.finish()
    assert ended(hand) == (
        OutcomeKind.SLIPPED,
        "the object was not lifted: it is on the table",
    )


def test_an_empty_hand_is_told():
    hand = AssistedHand()
    hand.stops = None
    hand.finish()
    assert ended(hand) == (OutcomeKind.SLIPPED, "the fingers closed on nothing")


@pytest.mark.parametrize(("time", "kind"), [(5.6, OutcomeKind.SLIPPED), (7.0, OutcomeKind.DROPPED)])
def test_an_object_that_is_lost_ends_the_grasp(time, kind):
    hand = AssistedHand()
    hand.until(time)
    assert hand.controller.outcome is None
    hand.stops = None
    hand.finish()
    assert ended(hand)[0] is kind
    assert hand.time < time + 0.4


# The person's wrist


@pytest.mark.parametrize("time", [0.5, 1.5, 3.0, 5.6])
def test_a_wrist_that_is_late_for_a_moment_holds_all_and_goes_on(time):
    """Lost for 200 ms, in the stages follow, assist, close and lift."""
    hand = AssistedHand(rest_time=0.5)
    hand.until(time)
    stage, held, seen = hand.controller.stage, hand.log[-1][2], len(hand.policy.seen)
    frozen = hand.person(hand.time - PERIOD), 3.0 + hand.time - PERIOD
    hand.change = lambda o: replace(o, wrist_wanted=frozen[0], wrist_time=frozen[1])
    hand.until(time + 0.1)  # not too old yet
    hand.until(time + 0.2)
    commands = [command for _, at, command in hand.log if at > time + 0.1 + 1e-9]
    assert commands
    for command in commands:
        assert np.array_equal(command.wrist_target, held.wrist_target)
        assert np.array_equal(command.finger_targets, commands[0].finger_targets)
    assert hand.controller.report.remark == "the person's wrist is 0.20 s old"
    assert len(hand.policy.seen) - seen <= 3
    hand.change = lambda observation: observation
    hand.tick()
    assert hand.controller.report.remark == ""
    assert hand.controller.stage in (stage, "lift", "hold")
    hand.finish()
    assert ended(hand)[0] is OutcomeKind.SUCCEEDED


def test_a_wrist_that_is_lost_is_no_wrist_at_rest():
    hand = AssistedHand(lost_after=30.0, rest_time=0.5)
    hand.until(1.9)
    hand.change = late(20.0)
    hand.until(6.0)
    assert hand.controller.stage == "assist"


def test_a_wrist_that_is_lost_for_longer_ends_the_grasp():
    hand = AssistedHand()
    hand.until(1.0)
    stamp = 3.0 + hand.time
    hand.change = lambda o: replace(o, wrist_time=stamp)
    hand.finish()
    kind, reason = ended(hand)
    assert kind is OutcomeKind.STALE_INPUT
    assert "could not be followed for 1.0" in reason
    assert hand.time == pytest.approx(1.0 + 0.1 + 1.0, abs=0.1)
    last = hand.log[-1][2]
    assert np.array_equal(hand.tick().finger_targets, last.finger_targets)


def spoiled(wanted: np.ndarray | None = None, **changes: float):
    return lambda o: replace(
        o, wrist_wanted=o.wrist_wanted if wanted is None else wanted, **changes
    )


NAN = np.full((4, 4), np.nan)
SQUASHED = np.diag([1.0, 1.0, 0.5, 1.0])
TURNED = pose(START)
TURNED[:3, :3] = np.diag([1.0, -1.0, -1.0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (spoiled(NAN), "is no finite rigid transform"),
        (spoiled(SQUASHED), "is no finite rigid transform"),
        (spoiled(pose(np.add(START, (0.0, 0.3, 0.0)))), "jumped by 0."),
        (spoiled(TURNED), "jumped by"),
        (spoiled(wrist_time=np.nan), "time of the person's wrist is not finite"),
        (spoiled(wrist_time=3.1), "is out of order: 0."),
        (lambda o: replace(o, wrist_time=o.state.time + 0.5), "is stamped 0.50 s ahead"),
    ],
)
def test_what_no_wrist_does_is_not_followed_and_ends_the_grasp_if_it_stays(change, reason):
    hand = AssistedHand()
    hand.until(0.5)
    hand.change = change
    hand.until(0.54)  # two bad ones: the last good one is followed on
    hand.change = lambda observation: observation
    hand.until(0.6)
    assert hand.controller.outcome is None
    assert np.array_equal(hand.wrist, reach(hand.log[-1][1]))
    hand.change = change
    hand.finish()
    kind, told = ended(hand)
    assert kind is OutcomeKind.STALE_INPUT
    assert reason in told
    assert np.linalg.norm(hand.wrist[:3, 3] - reach(0.6)[:3, 3]) < 0.01
    assert np.isfinite(hand.log[-1][2].finger_targets).all()


def test_the_first_pose_has_to_be_at_the_robots_wrist():
    hand = AssistedHand(person=lambda time: pose(np.add(START, (0.2, 0.0, 0.0))))
    hand.finish()
    kind, reason = ended(hand)
    assert kind is OutcomeKind.STALE_INPUT
    assert "is off the robot's by 0.200 m" in reason
    assert np.array_equal(hand.wrist, pose(START))


def test_a_robot_that_does_not_follow_ends_the_grasp():
    hand = AssistedHand()
    stuck = RobotState(0.0, pose(START), np.zeros(22), np.zeros(22))
    hand.change = lambda o: replace(o, state=replace(stuck, time=o.state.time))
    hand.finish()
    kind, reason = ended(hand)
    assert kind is OutcomeKind.STALE_INPUT
    assert "behind the person's" in reason


def test_stopping_stops_the_fingers():
    hand = AssistedHand()
    hand.until(1.8)
    last = hand.log[-1][2]
    hand.controller.abort("enough")
    for _ in range(3):
        command = hand.tick()
        assert np.array_equal(command.finger_targets, last.finger_targets)
        assert np.array_equal(command.wrist_target, last.wrist_target)
    assert ended(hand) == (OutcomeKind.ABORTED, "enough")
    hand.controller.abort("again")
    assert ended(hand)[1] == "enough"


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.full((5, 3), np.nan)])
def test_without_a_cloud_it_ends(points):
    hand = AssistedHand()
    hand.change = lambda o: replace(o, object_points=points)
    hand.finish()
    assert ended(hand) == (OutcomeKind.NO_CLOUD, "there is no finite cloud of the object")


# By its name


def test_behind_the_same_gate_as_others():
    """Its wrist is bounded by the safety limits, and it is stopped where nobody moves the wrist."""
    kind = CONTROLLERS["graspgf"]
    assert kind.needs == {Need.CLOUD, Need.WRIST_STREAM}
    guarded = ControlConfig().make_controller("graspgf", ControllerSetup(PERIOD))
    state = RobotState(1.0, pose(START), np.zeros(22), np.zeros(22))
    cloud = np.zeros((5, 3))
    near = pose(np.add(START, (0.05, 0.0, 0.0)))
    command = guarded.step(Observation(state, None, cloud, near, 1.0), 1.0)
    assert np.linalg.norm(command.wrist_target[:3, 3] - START) == pytest.approx(0.6 * PERIOD)
    guarded.step(Observation(replace(state, time=1.02), None, cloud), 1.02)
    assert guarded.outcome.reason == "the controller lacks a person's wrist"


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"lost_after = 0\.1 s has to be more than hold_after"):
        AssistControllerConfig(hold_after=0.1, lost_after=0.1)
    with pytest.raises(ValueError, match="policy = 'clever'"):
        AssistControllerConfig(policy="clever")
    for policy in ("gated", "gradient", "learned"):
        with pytest.raises(ValueError, match="nowhere"):
            make_policy(AssistControllerConfig(policy=policy, weights="/nowhere"), TASK, HAND)


def test_a_trained_policy_that_is_nowhere_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(learned_assist, "ASSIST_WEIGHTS", tmp_path / "assist.safetensors")
    with pytest.raises(ValueError, match=r"no trained one comes with this package: name its file"):
        make_policy(AssistControllerConfig(policy="learned"), TASK, HAND)


def test_a_trained_policy_closes_the_fingers(tmp_path):
    """With the weights that it is initialised with."""
    file = tmp_path / "assist.safetensors"
    config = AssistNetworkConfig.small()
    save_weights(file, AssistNetwork(config), config)
    settings = AssistControllerConfig(policy="learned", weights=str(file))
    hand = AssistedHand(make_policy(settings, TASK, HAND), reach=1.0)
    hand.until(0.5)
    assert hand.controller.outcome is None
    report = hand.controller.report
    assert 0.0 < np.abs(report.action).max() < 1.0
    assert np.abs(report.gradient).max() > 0.0


def test_a_policy_of_the_bisector_surface_closes_the_fingers(tmp_path):
    file = tmp_path / "assist.safetensors"
    config = replace(AssistNetworkConfig.small(), outputs="direct", encoder="bisector")
    save_weights(file, AssistNetwork(config), config)
    settings = AssistControllerConfig(policy="learned", weights=str(file))
    hand = AssistedHand(make_policy(settings, TASK, HAND), reach=1.0)
    hand.until(0.5)
    assert hand.controller.outcome is None
    assert 0.0 < np.abs(hand.controller.report.action).max() < 1.0


def test_a_policy_that_has_to_be_told_a_posture_is_refused(tmp_path):
    file = tmp_path / "assist.safetensors"
    config = replace(AssistNetworkConfig.small(), outputs="direct", hint=True)
    save_weights(file, AssistNetwork(config), config)
    settings = AssistControllerConfig(policy="learned", weights=str(file))
    with pytest.raises(ValueError, match="has to be told a posture"):
        make_policy(settings, TASK, HAND)
