"""For how long something has been at rest."""

from __future__ import annotations

import numpy as np
import pytest
from assisted_hand import pose

from dexgrasp_models.tasks.rest import joint_rest, wrist_rest


def test_a_wrist_rests_from_when_it_stopped():
    rest = wrist_rest(0.004, 0.05)
    moving = [rest.push(0.1 * k, pose(np.array([0.01 * k, 0.0, 0.0]))) for k in range(5)]
    assert moving == [0.0] * 5
    still = [rest.push(0.1 * k, pose(np.array([0.04, 0.0, 0.003]))) for k in range(5, 9)]
    assert still == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_slow_drift_is_rest_for_as_long_as_it_stays_within_the_distance():
    rest = wrist_rest(0.004, 0.05)
    found = [rest.push(0.1 * k, pose(np.array([0.001 * k, 0.0, 0.0]))) for k in range(20)]
    assert max(found) == pytest.approx(0.4)


def test_a_turning_wrist_does_not_rest():
    rest = wrist_rest(0.004, 0.05)
    turned = pose(np.zeros(3))
    turned[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    rest.push(0.0, pose(np.zeros(3)))
    assert rest.push(1.0, turned) == 0.0
    assert rest.push(2.0, turned) == 1.0


def test_what_is_forgotten_does_not_count():
    rest = joint_rest(0.1)
    assert rest.push(0.0, np.zeros(18)) == 0.0
    assert rest.push(1.0, np.full(18, 0.09)) == 1.0
    assert rest.push(2.0, np.full(18, 0.11)) == 1.0  # like that of a second ago
    rest.forget()
    assert rest.push(3.0, np.full(18, 0.11)) == 0.0
