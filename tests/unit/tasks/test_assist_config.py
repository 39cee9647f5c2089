"""The task's numbers are the paper's."""

from __future__ import annotations

import pytest

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_config import (
    AUTO_CLOSE_JOINTS,
    AssistConfig,
    AssistRewardConfig,
)


def test_defaults_are_the_papers():
    config = AssistConfig()
    assert (config.horizon, config.max_change, config.history) == (50, 0.05, 5)
    assert (config.auto_close, config.lift_height, config.points) == (0.1, 1.0, 1024)
    assert (config.least_rise, config.most_slip) == (0.1, 0.05)
    reward = AssistRewardConfig()
    assert (reward.following, reward.rise, reward.success) == (0.09, 0.5, 1.0)
    assert reward.following_every == 5


def test_the_wrist_is_raised_no_faster_than_told():
    config = AssistConfig()
    assert 0.98 * 0.3 < config.rate * config.lift_height / config.lift_steps <= 0.3


@pytest.mark.parametrize(
    ("rate", "speed", "hold", "lift_steps", "hold_steps"),
    [
        (20.0, 1.0, 5.0, 20, 100),
        (40.0, 0.5, 2.4, 80, 96),
        (7.0, 3.0, 0.1, 3, 1),
        (50.0, 1.0, 1.1, 50, 55),
    ],
)
def test_times_are_whole_steps_and_never_too_short(rate, speed, hold, lift_steps, hold_steps):
    config = AssistConfig(rate=rate, lift_speed=speed, hold_time=hold)
    assert (config.lift_steps, config.hold_steps) == (lift_steps, hold_steps)


def test_the_hand_has_all_joints_that_close():
    actuators = load_hand().actuators
    for names in AUTO_CLOSE_JOINTS.values():
        assert set(names) <= set(actuators)
        # A part of the joints of each finger (4.1).
        assert {name[3:5] for name in names} == {name[3:5] for name in actuators}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon": 50.0}, "AssistConfig.horizon"),
        ({"max_change": 0.0}, "AssistConfig.max_change"),
        ({"auto_close_joints": "all"}, "one of: j3_and_thumb, flexors"),
        ({"lift_height": 0.1}, "can't be reached by a lift of 0.1 m"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AssistConfig(**settings)
