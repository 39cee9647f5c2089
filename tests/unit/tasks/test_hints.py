"""The posture that PPO (Goal) is told: another grasp's of the object, never the goal's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from grasp_samples import sample_grasps

from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.tasks.hints import drawn_hints

ALL = np.arange(7)


def known() -> Grasps:
    """Three of one object, one of it in another size, two alike of a second, one of a third."""
    found = sample_grasps(7)
    joints = found.joints.copy()
    joints[5] = joints[4]
    return replace(
        found,
        names=("can", "mug", "cup"),
        objects=np.array([0, 0, 0, 0, 1, 1, 2]),
        scales=np.array([0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1]),
        joints=joints,
    )


def drawn(grasps: Grasps, goals: np.ndarray = ALL, seed: int = 0) -> np.ndarray:
    return drawn_hints(grasps, goals, np.random.default_rng(seed))


def test_it_is_another_grasp_of_the_object_in_its_size_and_any_of_them():
    grasps = known()
    seen = set()
    for seed in range(30):
        hints = drawn(grasps, seed=seed)
        for goal in range(3):
            (owner,) = np.flatnonzero((grasps.joints == hints[goal]).all(axis=1))
            assert owner != goal
            seen.add((goal, int(owner)))
    assert seen == {(one, other) for one in range(3) for other in range(3) if one != other}


def test_where_there_is_no_other_it_tells_nothing_of_the_goal():
    grasps = known()
    mean = grasps.joints.mean(axis=0)
    assert np.allclose(drawn(grasps)[3:], mean)  # of another size, alike, and alone
    assert np.array_equal(drawn(grasps, np.array([6, 3]))[0], drawn(grasps)[6])


def test_it_is_repeated_by_its_seed():
    grasps = known()
    assert np.array_equal(drawn(grasps), drawn(grasps))
    assert any(not np.array_equal(drawn(grasps), drawn(grasps, seed=seed)) for seed in range(1, 9))
