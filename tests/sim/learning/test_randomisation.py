"""What is random is drawn by the seed, within its bounds, and is really there."""

from __future__ import annotations

from dataclasses import fields, replace

import assist_scenes as scenes
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_learning.randomisation import Randomisation, RandomisationConfig

EPISODES = scenes.episodes(scenes.goals())
ALL = RandomisationConfig(
    mass=0.5,
    friction=0.4,
    gain=0.3,
    action_delay=2,
    joint_noise=0.02,
    wrist_shift=0.01,
    wrist_turn=0.05,
    least_wrist_noise=0.2,
    wrist_delay=1,
    wrist_gap=2,
    cloud_noise=0.002,
)
MANY = 4000


def run(randomisation, seed):
    environments = scenes.environments(randomisation=randomisation)
    seen = [environments.begin(EPISODES, seed)]
    for actions in np.random.default_rng(0).uniform(-1, 1, (scenes.SHORT.horizon, 4, 18)):
        seen.append(environments.step(actions))
    seen.append(environments.finish())
    return [getattr(each, item.name) for each in seen for item in fields(each)[:4]]


def test_a_seed_repeats_all_of_it_to_the_bit():
    first, again, other = run(ALL, 3), run(ALL, 3), run(ALL, 4)
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(first[16:20], other[16:20], strict=True))
    nothing, seeded = run(None, 3), run(RandomisationConfig(), 4)
    assert all(np.array_equal(*pair) for pair in zip(nothing, seeded, strict=True))


@pytest.mark.parametrize("item", fields(RandomisationConfig), ids=lambda item: item.name)
def test_each_setting_changes_what_is_seen(item):
    of_noise = item.name == "least_wrist_noise"  # a share of it
    without = RandomisationConfig(wrist_shift=ALL.wrist_shift if of_noise else 0.0)
    only = replace(without, **{item.name: getattr(ALL, item.name)})
    pairs = zip(run(only, 3), run(without, 3), strict=True)
    assert not all(np.array_equal(*pair) for pair in pairs)


def test_the_physics_is_varied_as_far_as_told():
    environments = scenes.environments(randomisation=replace(ALL, friction=0.0))
    environments.begin(EPISODES, seed=1)
    masses = [model.body("object").mass[0] for model in environments.physics.models]
    assert len(set(masses)) == 4
    assert min(masses) >= 0.05
    assert max(masses) <= 0.15
    assert all((model.geom_friction[:, 0] == 1.0).all() for model in environments.physics.models)


def test_late_actions_arrive_whole_and_in_order():
    random = Randomisation(RandomisationConfig(action_delay=3), 40, 50, 0)
    sent = np.random.default_rng(0).normal(size=(12, 40, 18))
    arrived = np.stack([random.arriving(each) for each in sent])
    delays = set()
    for row in range(40):
        (delay,) = (
            late
            for late in range(4)
            if np.array_equal(arrived[late:, row], sent[: 12 - late, row])
            and not arrived[:late, row].any()
        )
        delays.add(delay)
    assert delays == {0, 1, 2, 3}


def test_a_wrist_is_late_and_lost_once():
    """What is seen is the number of the step, in the place of a position."""
    horizon, count = 12, 200
    shown = np.tile(np.eye(4), (horizon + 1, count, 1, 1))
    shown[:, :, 0, 3] = np.arange(horizon + 1)[:, None]

    def seen(**settings):
        random = Randomisation(RandomisationConfig(**settings), count, horizon, 0)
        return np.stack([random.seen_wrists(each)[:, 0, 3] for each in shown])

    late = seen(wrist_delay=2)
    assert np.array_equal(
        late, np.maximum(np.arange(horizon + 1) - 2, 0)[:, None] + np.zeros(count)
    )
    steps = seen(wrist_gap=4)
    ages = np.arange(horizon + 1)[:, None] - steps
    assert (ages.max(axis=0) == 4).all()
    assert ((ages > 0).sum(axis=0) == 4).all()
    assert len(np.unique(ages.argmax(axis=0))) == horizon - 4
    both = seen(wrist_gap=4, wrist_delay=2)
    assert np.array_equal(both, np.maximum(steps - 2, 0))


def test_noise_has_its_deviation_and_bound():
    still = replace(ALL, wrist_delay=0, wrist_gap=0, least_wrist_noise=1.0)
    random = Randomisation(still, MANY, 50, 0)
    assert random.seen_joints(np.zeros((MANY, 22))).std() == pytest.approx(0.02, rel=0.02)
    assert random.seen_clouds(np.zeros((MANY, 9, 3))).std() == pytest.approx(0.002, rel=0.02)
    wrist = np.eye(4)
    wrist[:3, :3] = Rotation.from_euler("xyz", (0.3, -0.5, 2.0)).as_matrix()
    wrist[:3, 3] = 1.0, 2.0, 3.0
    seen = random.seen_wrists(np.tile(wrist, (MANY, 1, 1)))
    shifts = seen[:, :3, 3] - wrist[:3, 3]
    turns = Rotation.from_matrix(wrist[:3, :3].T @ seen[:, :3, :3]).as_rotvec()
    for found, bound in ((shifts, ALL.wrist_shift), (turns, ALL.wrist_turn)):
        assert np.abs(found).max() == pytest.approx(bound)
        # A third of a normal deviate is beyond its deviation, and cut.
        assert (np.abs(found) > 0.999 * bound).mean() == pytest.approx(0.317, abs=0.02)
        assert found.mean(axis=0) == pytest.approx(0.0, abs=0.05 * bound)


def test_an_episode_keeps_its_share_of_the_wrists_noise():
    some = RandomisationConfig(wrist_shift=0.01, wrist_turn=0.05, least_wrist_noise=0.25)
    random = Randomisation(some, MANY, 50, 0)
    wrists = np.tile(np.eye(4), (MANY, 1, 1))
    seen = np.stack([random.seen_wrists(wrists) for _ in range(40)])  # all reach their bounds
    shares = np.abs(seen[:, :, :3, 3]).max(axis=(0, 2)) / some.wrist_shift
    turns = Rotation.from_matrix(seen[:, :, :3, :3].reshape(-1, 3, 3)).as_rotvec()
    turns = np.abs(turns.reshape(40, MANY, 3)).max(axis=(0, 2)) / some.wrist_turn
    assert shares == pytest.approx(turns, abs=1e-9)
    assert shares.min() == pytest.approx(0.25, abs=0.005)
    assert shares.max() == pytest.approx(1.0, abs=0.005)
    assert shares.mean() == pytest.approx(0.625, abs=0.02)
