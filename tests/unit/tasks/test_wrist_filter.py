"""The filter of noisy wrists: a Kalman filter's gains, nothing lost where there is no noise."""

from __future__ import annotations

import assist_samples as samples
import numpy as np
import pytest
from scipy.linalg import solve_discrete_are
from scipy.spatial.transform import Rotation

from dexgrasp_models.tasks.wrist_filter import WristFilter, WristFilterConfig

RATE = 20.0


def through(paths: np.ndarray, config: WristFilterConfig | None = None) -> np.ndarray:
    """What a filter makes of (N, T, 4, 4)."""
    smoothed = WristFilter(len(paths), RATE, config)
    smoothed.reset(range(len(paths)), paths[:, 0])
    rest = [smoothed.filtered(paths[:, step]) for step in range(1, paths.shape[1])]
    return np.stack([paths[:, 0], *rest], axis=1)


def moving(count: int, steps: int, velocity: float = 0.0) -> np.ndarray:
    """Poses that go along x by so many m a step, and turn by so many rad about z."""
    paths = np.tile(np.eye(4), (count, steps, 1, 1))
    along = velocity * np.arange(steps)
    paths[:, :, 0, 3] = along
    paths[:, :, :3, :3] = Rotation.from_rotvec(along[:, None] * [0.0, 0.0, 1.0]).as_matrix()
    return paths


def noisy(paths: np.ndarray, shift: float, turn: float = 0.0, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(2, *paths.shape[:2], 3))
    measured = paths.copy()
    measured[..., :3, 3] += shift * noise[0]
    turns = Rotation.from_rotvec(turn * noise[1].reshape(-1, 3)).as_matrix()
    measured[..., :3, :3] @= turns.reshape(*paths.shape[:2], 3, 3)
    return measured


def off(found: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Root mean squares along an axis, m, and about one, rad."""
    places = found[..., :3, 3] - true[..., :3, 3]
    turns = found[..., :3, :3].swapaxes(-1, -2) @ true[..., :3, :3]
    turned = Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_rotvec()
    return float(np.sqrt(np.square(places).mean())), float(np.sqrt(np.square(turned).mean()))


def test_a_wrist_without_noise_passes_to_the_bit_however_it_is_swung():
    times = np.arange(60) / RATE
    swung = moving(2, 60)
    swung[0, :, 0, 3] = 0.3 * np.sin(5.0 * times)  # 7.5 m/s^2
    turns = np.outer(1.5 * np.sin(4.0 * times), [0.6, 0.0, 0.8])
    swung[1, :, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    np.testing.assert_allclose(through(swung), swung, rtol=0.0, atol=1e-15)


def test_noise_is_halved_of_a_wrist_that_moves_and_of_one_that_rests():
    for velocity in (0.0, 0.005):
        true = moving(200, 80, velocity)
        measured = noisy(true, 0.015, 0.03)
        found = through(measured)[:, 40:]
        places, turns = off(found, true[:, 40:])
        assert places < 0.5 * 0.015
        assert turns < 0.65 * 0.03
        # As far to the one side as to the other: it doesn't lag.
        assert np.abs((found - true[:, 40:])[..., 0, 3].mean()) < 0.0005


def test_gains_are_those_of_a_kalman_filter_at_rest():
    """Of the noise that the filter found."""
    config = WristFilterConfig()
    measured = noisy(moving(1, 200), 0.01)
    smoothed = WristFilter(1, RATE, config)
    smoothed.reset([0], measured[:, 0])
    coordinates = smoothed._place
    for step in range(1, 199):
        smoothed.filtered(measured[:, step])
    before = coordinates.velocity.copy()
    missing = np.array([[1.0, -2.0, 3.0]])
    gain = coordinates.correct(missing)[0]
    of_velocity = ((coordinates.velocity - before) / missing)[0]

    change = config.acceleration / RATE**2 * np.array([0.5, 1.0])
    transition, seen = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    noise = coordinates._noise[0]
    assert 0.007**2 < noise < 0.014**2
    ahead = solve_discrete_are(transition.T, seen.T, np.outer(change, change), [[noise]])
    expected = ahead[:, 0] / (ahead[0, 0] + noise)
    assert gain == pytest.approx(expected[0], rel=1e-6)
    assert of_velocity == pytest.approx(expected[1], rel=1e-6)


def test_each_wrist_is_filtered_by_itself():
    measured = noisy(moving(3, 30, 0.004), 0.01, 0.02)
    together = through(measured)
    for row in range(3):
        assert np.array_equal(through(measured[row : row + 1])[0], together[row])
    smoothed = WristFilter(2, RATE)
    smoothed.reset([0, 1], measured[:2, 0])
    for step in range(1, 10):
        smoothed.filtered(measured[:2, step])
    smoothed.reset([1], measured[2:, 0])
    for step in range(1, 30):
        found = smoothed.filtered(np.stack((measured[0, min(step + 9, 29)], measured[2, step])))
        assert np.array_equal(found[1], together[2, step])


def test_it_does_not_matter_how_the_room_is_turned():
    room = samples.poses(1, np.random.default_rng(4))[0]
    measured = noisy(moving(4, 40, 0.004), 0.01, 0.02)
    np.testing.assert_allclose(through(room @ measured), room @ through(measured), atol=1e-9)


def test_what_can_not_be_filtered_is_refused():
    smoothed = WristFilter(2, RATE)
    smoothed.reset([0], np.eye(4)[None])
    with pytest.raises(ValueError, match="filter of wrist 1 was never reset"):
        smoothed.filtered(np.tile(np.eye(4), (2, 1, 1)))
    with pytest.raises(ValueError, match="wrist of environment 1 is not finite"):
        smoothed.filtered(np.stack((np.eye(4), np.full((4, 4), np.nan))))
