"""How a tracker stands, from known places: exact, with noise, and where it can't be told."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.teleoperation import TeleoperationConfig
from dexgrasp_models.control.tracker_calibration import (
    TrackerCalibrationError,
    calibrate_tracker,
    load_places,
    parameters_of,
)

PLACES = np.array(
    [[0.3, 0.1, 0.2], [0.3, -0.1, 0.2], [0.5, 0.1, 0.2], [0.5, -0.1, 0.3], [0.4, 0.0, 0.4]]
)
TURN = Rotation.from_euler("xyz", [0.05, -0.1, 2.0])
POSITION = np.array([0.4, -0.6, 0.02])


def seen(places: np.ndarray = PLACES) -> np.ndarray:
    return TURN.inv().apply(places - POSITION)


def test_exact_places_tell_exactly():
    found = calibrate_tracker(PLACES, seen())
    assert np.allclose(found.world_T_tracker[:3, :3], TURN.as_matrix())
    assert np.allclose(found.world_T_tracker[:3, 3], POSITION)
    assert np.allclose(found.rpy, [0.05, -0.1, 2.0])
    assert found.residuals.max() < 1e-12
    assert found.angle_error < 1e-9


def test_a_hand_held_beside_the_places_changes_the_position_alone():
    offset = np.array([0.0, 0.02, 0.06])
    found = calibrate_tracker(PLACES, seen(PLACES + offset))
    assert np.allclose(found.world_T_tracker[:3, :3], TURN.as_matrix())
    assert np.allclose(found.world_T_tracker[:3, 3], POSITION - offset)
    assert found.residuals.max() < 1e-12


def test_noise_turns_it_by_what_the_places_moment_of_inertia_says():
    """To first order the turn is the inverse of the places' inertia times their noise's moment."""
    rng, noise = np.random.default_rng(3), 0.002
    errors, told = [], []
    for _ in range(400):
        found = calibrate_tracker(PLACES, seen() + rng.normal(0.0, noise, PLACES.shape))
        turn = Rotation.from_matrix(found.world_T_tracker[:3, :3]) * TURN.inv()
        errors.append(turn.as_rotvec())
        told.append(found.angle_error)
    centred = PLACES - PLACES.mean(axis=0)
    inertia = (centred**2).sum() * np.eye(3) - centred.T @ centred
    expected = noise**2 * np.linalg.inv(inertia)
    assert np.allclose(np.cov(np.transpose(errors)), expected, atol=0.2 * expected.max())
    worst = np.sqrt(np.linalg.eigvalsh(expected)[-1])
    assert np.sqrt(np.mean(np.square(told))) == pytest.approx(worst, rel=0.1)


LINE = np.outer(np.arange(5) * 0.1, [1.0, 0.2, 0.0])


@pytest.mark.parametrize(
    ("places", "tracked", "complaint"),
    [
        (PLACES[:3], seen()[:3], "too few"),
        (LINE, seen(LINE), "on a line"),
        (0.1 * PLACES, seen(0.1 * PLACES), "too near"),
        (PLACES, np.tile([0.0, 0.0, 0.2], (5, 1)), "seen places are on a line"),
        (PLACES, seen() * np.nan, "not finite"),
        (PLACES, seen()[:4], "were seen"),
        (PLACES, seen() + np.outer(np.eye(5)[2], [0.08, 0.0, 0.0]), "place 3 is"),
        (PLACES, seen() * [1.0, 1.0, -1.0], "off the others"),  # a mirror is no motion
    ],
)
def test_what_tells_nothing_is_refused(places, tracked, complaint):
    with pytest.raises(TrackerCalibrationError, match=complaint):
        calibrate_tracker(places, tracked)


def test_the_file_has_parameters_of_teleop():
    text = parameters_of(calibrate_tracker(PLACES, seen()))
    values = yaml.safe_load(text)["teleop"]["ros__parameters"]
    config = TeleoperationConfig(**values)
    angles = [config.tracker_roll, config.tracker_pitch, config.tracker_yaw]
    assert np.allclose(angles, [0.05, -0.1, 2.0], atol=1e-5)


def test_files_of_places():
    assert np.allclose(load_places("places: [[1, 2, 3], [4, 5, 6]]"), [[1, 2, 3], [4, 5, 6]])
    for text, complaint in (
        ("{", "no file of places"),
        ("a: 1", "no file"),
        ("places: [1]", "three c"),
    ):
        with pytest.raises(TrackerCalibrationError, match=complaint):
            load_places(text)
