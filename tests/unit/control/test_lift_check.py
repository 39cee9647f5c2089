"""The verdicts on a lift: what the cameras see of it, and what the fingers feel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.grip import Grip
from dexgrasp_models.control.lift_check import (
    LiftCheckConfig,
    LiftedBy,
    LiftVerdict,
    Sight,
    felt_lift,
    seen_lift,
)
from dexgrasp_models.hand.spec import load_hand

CONFIG = LiftCheckConfig()
RISE = 0.2
HAND = load_hand()
THUMB = np.array(["TH" in name for name in HAND.actuators])


def bottle(rng: np.random.Generator, count: int = 800) -> np.ndarray:
    """A cylinder on the table: 60 mm across, 150 mm high, noisy."""
    angle, height = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.0, 0.15, count)
    points = np.stack([0.03 * np.cos(angle), 0.03 * np.sin(angle), height], axis=1)
    return points + rng.normal(scale=0.001, size=points.shape)


def raised(points: np.ndarray, height: float) -> np.ndarray:
    """The same higher up, and a little aside."""
    return points + np.array([0.004, 0.0, height])


def upper_half(points: np.ndarray) -> np.ndarray:
    """What a hand around the lower half leaves to be seen."""
    return points[points[:, 2] > points[:, 2].mean()]


def test_an_object_that_rose_with_the_palm_was_lifted():
    rng = np.random.default_rng(0)
    verdict = seen_lift(bottle(rng), raised(bottle(rng), RISE), RISE, CONFIG)
    assert verdict.lifted
    assert verdict.by is LiftedBy.CAMERAS
    assert f"where the palm rose {RISE:.3f} m" in verdict.reason


def test_half_hidden_or_turned_in_the_hand_it_is_seen_to_have_risen():
    rng = np.random.default_rng(1)
    held = upper_half(raised(bottle(rng), RISE))
    assert seen_lift(bottle(rng), held, RISE, CONFIG).lifted
    turn = Rotation.from_rotvec([0.0, 0.5, 0.0]).as_matrix()
    turned = (bottle(rng) - [0, 0, 0.075]) @ turn.T + [0, 0, 0.075 + RISE]
    assert seen_lift(bottle(rng), turned, RISE, CONFIG).lifted


@pytest.mark.parametrize("height", [0.0, 0.042, 0.08])
def test_an_object_that_stayed_behind_was_not(height):
    rng = np.random.default_rng(2)
    verdict = seen_lift(bottle(rng), raised(bottle(rng), height), RISE, CONFIG)
    assert not verdict.lifted


def test_an_object_that_fell_over_was_not():
    rng = np.random.default_rng(3)
    lying = bottle(rng)[:, [2, 1, 0]] + [0.05, 0.0, 0.03]
    assert not seen_lift(bottle(rng), lying, RISE, CONFIG).lifted


def test_one_end_on_the_table_is_not_lifted():
    rng = np.random.default_rng(4)
    tilted = bottle(rng)
    tilted[:, 2] *= 2.3  # from the table up to where the hand is
    assert not seen_lift(bottle(rng), tilted, RISE, CONFIG).lifted


def test_too_few_points_tell_nothing():
    rng = np.random.default_rng(5)
    assert seen_lift(bottle(rng), bottle(rng, 20), RISE, CONFIG) is None


def gripped(actuators: dict[str, float]) -> Grip:
    """A grip whose actuators stay short of their targets by some rad after the squeeze."""
    grip = Grip(HAND.reduction, THUMB)
    grip.begin(np.zeros(22), np.zeros(22))
    grip.complete(targets(actuators), np.zeros(22))
    return grip


def targets(actuators: dict[str, float]) -> np.ndarray:
    short = np.array([actuators.get(name, 0.0) for name in HAND.actuators])
    return HAND.expansion @ short


def felt(grip: Grip, now: dict[str, float], moved: float = 0.0) -> LiftVerdict:
    joints = np.zeros(22)
    joints[0] = moved
    wanted = targets(now) + joints
    return felt_lift(
        grip.now(wanted, joints),
        grip.of_thumb(wanted, joints),
        grip.full,
        grip.closed_since(joints),
        CONFIG,
    )


OPPOSED = {"rh_THJ4": 0.3, "rh_FFJ3": 0.2, "rh_MFJ3": 0.1}


def test_fingers_and_thumb_that_still_press_hold_it():
    assert gripped(OPPOSED).full == pytest.approx(0.6)
    assert felt(gripped(OPPOSED), OPPOSED).lifted


def test_fingers_that_press_on_each_other_hold_nothing():
    neighbours = {"rh_LFJ4": 0.3, "rh_RFJ4": 0.3}
    assert not felt(gripped(neighbours), neighbours).lifted


@pytest.mark.parametrize(
    ("now", "moved"),
    [({"rh_THJ4": 0.1}, 0.0), ({"rh_FFJ3": 0.3}, 0.0), (OPPOSED, 1.2)],
    ids=["weaker", "without the thumb", "closed further"],
)
def test_a_grip_that_has_changed_holds_nothing(now, moved):
    assert not felt(gripped(OPPOSED), now, moved).lifted


def test_the_first_answer_stands():
    sight, seen = Sight(), LiftVerdict(True, LiftedBy.CAMERAS, "seen")
    assert sight.pending
    sight.conclude(seen)
    sight.conclude(None, "too late")
    assert (sight.pending, sight.verdict, sight.remark) == (False, seen, "")
