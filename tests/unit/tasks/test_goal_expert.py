"""The expert: what it does follows from where the hand is, and leads from anywhere to the lift."""

from __future__ import annotations

from dataclasses import replace

import assist_samples as samples
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.approach_plan import ApproachPlan
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.goal_expert import (
    Doing,
    ExpertConfig,
    ToldPlans,
    wanted_next,
)
from dexgrasp_models.tasks.goal_frame import first_hands
from dexgrasp_models.tasks.goal_observation import GoalState

HAND = samples.HAND
RATE, LIFT = 20.0, 0.3
CONFIG = ExpertConfig()
START = first_hands(np.array([0.5]), 0.35)

_FLEXED = np.array([name.endswith("J3") and "TH" not in name for name in HAND.finger_joints])
OPEN = np.zeros(22)
CLOSED = OPEN + 0.6 * _FLEXED
PRESSED = CLOSED + 0.2 * _FLEXED

_PALM = np.eye(4)
_PALM[:3, :3] = Rotation.from_euler("zx", [-2.0, 2.2]).as_matrix()
_PALM[:3, 3] = 0.05, -0.1, 0.12
_BACK = _PALM.copy()
_BACK[:3, 3] += 0.12 * np.array([0.0, -0.6, 0.8])
PLAN = ApproachPlan(
    Grasp(_PALM, CLOSED, OPEN, PRESSED, 0.0, {}, "told"),
    open_joints=OPEN,
    pregrasp_pose=_BACK,
    travel_height=0.4,
    clearance=0.0,
    cost=0.0,
)
PLANS = ToldPlans.of([PLAN], START, HAND)


def state(wrist: np.ndarray, joints: np.ndarray = OPEN, velocities=None) -> GoalState:
    """At rest where it is told to be, if not said otherwise."""
    return GoalState(
        joints=joints[None],
        joint_velocities=np.zeros((1, 22)),
        efforts=np.zeros((1, 22)),
        wrists=wrist[None],
        wrist_velocities=np.zeros((1, 6)) if velocities is None else velocities,
        wrist_targets=wrist[None],
        fingertip_forces=np.zeros((1, 5)),
        objects=np.eye(4)[None],
        object_velocities=np.zeros((1, 6)),
    )


def moved(wrist: np.ndarray, *shift: float) -> np.ndarray:
    shifted = wrist.copy()
    shifted[:3, 3] += shift
    return shifted


def wanted(given: GoalState, targets: np.ndarray, plans: ToldPlans = PLANS):
    return wanted_next(given, targets[None], plans, LIFT, RATE, HAND, CONFIG)


@pytest.mark.parametrize(
    ("wrist", "targets", "joints", "expected"),
    [
        (START[0], OPEN, OPEN, Doing.RISE),
        (moved(START[0], 0.0, 0.0, 0.05), OPEN, OPEN, Doing.ACROSS),
        (moved(_BACK, 0.0, 0.0, 0.1), OPEN, OPEN, Doing.DOWN),
        (_BACK, OPEN, OPEN, Doing.APPROACH),
        (_PALM, OPEN, OPEN, Doing.CLOSE),
        (moved(_PALM, 0.01, 0.0, 0.0), (OPEN + CLOSED) / 2, OPEN, Doing.CLOSE),
        (moved(_PALM, 0.04, 0.0, 0.0), (OPEN + CLOSED) / 2, OPEN, Doing.OPEN),
        (_PALM, CLOSED, CLOSED, Doing.SQUEEZE),
        (_PALM, PRESSED, CLOSED, Doing.LIFT),
        (moved(_PALM, 0.0, 0.0, 0.2), PRESSED, CLOSED, Doing.LIFT),
        (moved(_PALM, 0.1, 0.0, 0.2), PRESSED, CLOSED, Doing.RISE),
    ],
)
def test_what_is_done_follows_from_the_state(wrist, targets, joints, expected):
    assert wanted(state(wrist, joints), targets).doing == [expected]


def test_the_goals_joints_are_reached_before_it_presses():
    moving = state(_PALM, 0.5 * (OPEN + CLOSED))
    speeds = np.where(_FLEXED, 1.0, 0.0)[None]
    assert wanted(replace(moving, joint_velocities=speeds), CLOSED).doing == [Doing.CLOSE]
    # What is stopped by an object presses.
    assert wanted(moving, CLOSED).doing == [Doing.SQUEEZE]


def test_the_wrist_is_corrected_while_it_closes_and_goes_up_afterwards():
    off = state(moved(_PALM, 0.01, 0.0, 0.0))
    closing = wanted(off, 0.5 * (OPEN + CLOSED))
    assert closing.wrists[0, 0, 3] < off.wrists[0, 0, 3]
    lifting = wanted(state(_PALM, CLOSED), PRESSED)
    assert lifting.wrists[0, 2, 3] > _PALM[2, 3]
    assert lifting.wrists[0, :2, 3] == pytest.approx(_PALM[:2, 3])
    assert lifting.joints[0] == pytest.approx(PRESSED)
    up = moved(_PALM, 0.0, 0.0, LIFT)
    held = wanted(state(up, CLOSED), PRESSED)
    assert held.wrists[0] == pytest.approx(up, abs=1e-9)


def test_a_press_that_opens_some_fingers_is_no_opening():
    """As of fingers whose squeeze goes against the way on which they closed."""
    grasp = replace(PLAN.grasp, squeeze_joints=CLOSED - 0.2 * _FLEXED)
    plans = ToldPlans.of([replace(PLAN, grasp=grasp)], START, HAND)
    thumb = HAND.joint_index("rh_THJ4")
    beside = grasp.squeeze_joints.copy()
    beside[thumb] += 0.3
    aside = replace(PLAN, grasp=replace(grasp, squeeze_joints=beside))
    assert wanted(state(_PALM, CLOSED), beside, ToldPlans.of([aside], START, HAND)).doing == [
        Doing.LIFT
    ]
    # What goes back exactly the way that it came can't be told from a hand that opens.
    assert wanted(state(_PALM, CLOSED), grasp.squeeze_joints, plans).doing == [Doing.CLOSE]


def heights_with_late_commands(share: float) -> np.ndarray:
    """m above the lift's end, on the way there, as each command comes a step late."""
    config = replace(CONFIG, way_share=share)
    wrist, late, heights = moved(_PALM, 0.0, 0.0, 0.2), np.zeros(3), []
    for _ in range(100):
        given = state(wrist, CLOSED, np.concatenate((RATE * late, np.zeros(3)))[None])
        next_ = wanted_next(given, PRESSED[None], PLANS, LIFT, RATE, HAND, config)
        wrist = moved(wrist, *late)
        late = next_.velocities[0, :3] / RATE
        heights.append(wrist[2, 3] - _PALM[2, 3] - LIFT)
    return np.array(heights)


def test_late_commands_come_to_rest_with_a_quarter_of_the_way_in_a_step():
    calm, swinging = (heights_with_late_commands(share) for share in (0.25, 1.0))
    assert calm.max() < 1e-6
    assert calm[-1] == pytest.approx(0.0, abs=1e-4)
    # Negative control: all of the way in a step goes beyond, and back.
    assert swinging.max() > 1e-3


def test_where_there_is_no_plan_the_hand_stays():
    plans = ToldPlans.of([None], START, HAND)
    stays = wanted(state(START[0], CLOSED), CLOSED, plans)
    assert stays.wrists[0] == pytest.approx(START[0])
    assert stays.joints[0] == pytest.approx(CLOSED)


def test_it_lifts_from_wherever_the_hand_is():
    rng = np.random.default_rng(0)
    starts = [START[0], moved(_PALM, 0.03, 0.03, 0.05)]
    for _ in range(4):
        start = samples.poses(1, rng)[0]
        start[:3, 3] = rng.uniform([-0.3, -0.3, 0.1], [0.3, 0.3, 0.5])
        starts.append(start)
    for start in starts:
        found = followed(start, rng.uniform(*HAND.limits.T))
        assert found[-1].wrists[0] == pytest.approx(moved(_PALM, 0.0, 0.0, LIFT), abs=2e-3)
        doing = [each.doing[0] for each in found]
        assert doing[-1] == Doing.LIFT
        # Once it lifts it goes on lifting.
        assert set(doing[doing.index(Doing.LIFT) :]) == {Doing.LIFT}


def followed(wrist: np.ndarray, joints: np.ndarray, steps: int = 250):
    """A hand that is where it is told to be, step by step."""
    targets, velocities, found = HAND.couple(joints), np.zeros((1, 6)), []
    for _ in range(steps):
        found.append(wanted(state(wrist, targets, velocities), targets))
        after = found[-1].wrists[0]
        turned = Rotation.from_matrix(after[:3, :3] @ wrist[:3, :3].T).as_rotvec()
        velocities = RATE * np.concatenate((after[:3, 3] - wrist[:3, 3], turned))[None]
        assert np.linalg.norm(velocities[0, :3]) <= CONFIG.transit_speed + 1e-9
        assert np.linalg.norm(velocities[0, 3:]) <= CONFIG.angular_speed + 1e-9
        if found[-1].doing[0] == Doing.LIFT:
            assert np.linalg.norm(velocities[0, :3]) <= CONFIG.lift_speed + 1e-9
        wrist, targets = after, found[-1].joints[0]
    return found
