"""Success by three rules, of poses that are known."""

from __future__ import annotations

import assist_samples as samples
import numpy as np
import pytest

from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_success import (
    Verdicts,
    Whereabouts,
    lifted,
    rises,
    whereabouts,
)

CONFIG = AssistConfig(lift_speed=1.0)
LIFT, TOP, END = 100, 120, 220
"""Steps at which the lift begins, and which are made at its end and at the hold's."""


def at(objects: list[list[float]], wrists: list[list[float]]) -> Whereabouts:
    return Whereabouts(np.array(objects), np.array(wrists))


def moved(*, rise: float, slip: float = 0.0) -> bool:
    """An object 0.2 m below a wrist that is raised by 1 m, and lets it slip down."""
    before = at([[0.3, 0.1, 0.05]], [[0.3, 0.1, 0.25]])
    now = at([[0.3, 0.1, 0.05 + rise]], [[0.3, 0.1, 0.25 + rise + slip]])
    return bool(lifted(before, now, CONFIG)[0])


def test_an_object_that_rises_with_the_hand_is_lifted():
    assert moved(rise=1.0)
    assert moved(rise=0.101)
    assert not moved(rise=0.099)
    assert not moved(rise=0.0)
    assert not moved(rise=-1.0)


def test_the_distance_from_the_hand_may_change_by_less_than_5_cm_to_either_side():
    assert moved(rise=0.9, slip=0.049)
    assert not moved(rise=0.9, slip=0.051)
    assert moved(rise=0.9, slip=-0.049)
    assert not moved(rise=0.9, slip=-0.051)


def test_an_object_left_on_the_table_or_thrown_up_is_not_lifted():
    assert not moved(rise=0.0, slip=1.0)
    assert not moved(rise=3.0, slip=-2.0)


def test_an_object_that_turns_in_the_hand_is_where_its_centre_of_mass_is():
    rng = np.random.default_rng(0)
    objects, wrists = samples.poses(4, rng), samples.poses(4, rng)
    centers = rng.uniform(-0.1, 0.1, (4, 3))
    turned = objects.copy()
    turned[:, :3, :3] = samples.poses(4, rng)[:, :3, :3]
    # About its centre of mass.
    arms = np.einsum("nij,nj->ni", objects[:, :3, :3] - turned[:, :3, :3], centers)
    turned[:, :3, 3] += arms
    before, now = (whereabouts(poses, centers, wrists) for poses in (objects, turned))
    assert now.objects == pytest.approx(before.objects)
    assert rises(before, now) == pytest.approx(np.zeros(4), abs=1e-12)
    assert np.abs(arms).max() > 0.01
    assert before.wrists == pytest.approx(wrists[:, :3, 3])


def test_an_unstable_environment_has_not_succeeded_and_spoils_no_other():
    before = at([[0.0, 0.0, 0.0]] * 3, [[0.0, 0.0, 0.2]] * 3)
    now = at([[0.0, 0.0, 1.0]] * 3, [[0.0, 0.0, 1.2]] * 3)
    now.objects[1] = np.nan
    assert lifted(before, now, CONFIG).tolist() == [True, False, True]
    before.wrists[2] = np.inf
    assert lifted(before, now, CONFIG).tolist() == [True, False, False]


def episode(*fallen: int, until: int = END) -> Verdicts:
    """One whose object is lifted from the begin of the lift on, but not after steps `fallen`."""
    verdicts = Verdicts.none(1)
    for step in range(until):
        held = np.array([step >= LIFT and step not in fallen])
        verdicts = verdicts.updated(np.array([step]), held, CONFIG)
    return verdicts


def by_rule(verdicts: Verdicts) -> tuple[bool, bool, bool]:
    return bool(verdicts.paper[0]), bool(verdicts.latched[0]), bool(verdicts.strict[0])


@pytest.mark.parametrize(
    ("fallen", "expected"),
    [
        ([], (True, True, True)),
        (range(LIFT, END), (False, False, False)),
        (range(LIFT, TOP - 1), (True, True, True)),
        ([TOP - 1], (False, True, False)),
        (range(LIFT + 1, END), (False, True, False)),
        ([TOP], (True, True, False)),
        ([END - 1], (True, True, False)),
        ([150], (True, True, False)),
    ],
)
def test_three_rules(fallen, expected):
    assert by_rule(episode(*fallen)) == expected


def test_nothing_is_decided_before_its_time():
    assert by_rule(episode(until=LIFT)) == (False, False, False)
    assert by_rule(episode(until=TOP - 1)) == (False, True, False)
    assert by_rule(episode(until=TOP)) == (True, True, False)
    assert by_rule(episode(until=END - 1)) == (True, True, False)


def test_what_happens_before_the_lift_and_after_the_hold_does_not_count():
    verdicts = Verdicts.none(1)
    for step in (0, 60, 99, 220, 300):
        verdicts = verdicts.updated(np.array([step]), np.array([True]), CONFIG)
    assert by_rule(verdicts) == (False, False, False)
    done = episode().updated(np.array([END]), np.array([False]), CONFIG)
    assert by_rule(done) == (True, True, True)


def test_environments_begin_anew_by_index_and_run_at_their_own_steps():
    alone = [episode(), episode(150), episode(TOP - 1)]
    verdicts = Verdicts.none(3)
    delays = np.array([0, 11, 40])
    for tick in range(END + 40):
        steps = np.maximum(tick - delays, 0)
        held = (steps >= LIFT) & (steps != np.array([-1, 150, TOP - 1]))
        verdicts = verdicts.updated(steps, held, CONFIG)
    for row in range(3):
        found = verdicts.paper[row], verdicts.latched[row], verdicts.strict[row]
        assert found == by_rule(alone[row])
    anew = verdicts.reset([0])
    assert (anew.paper.tolist(), anew.latched.tolist()) == ([False, True, False], [False, 1, 1])
    assert verdicts.paper.tolist() == [True, True, False]


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(N, 3\) both, not \(2, 3\) and \(3, 3\)"):
        Whereabouts(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"object poses \(N, 4, 4\), centres of mass"):
        whereabouts(np.zeros((2, 4, 4)), np.zeros(3), np.zeros((2, 4, 4)))
    with pytest.raises(ValueError, match="2 environments need as many steps"):
        Verdicts.none(2).updated(np.array([1]), np.array([True]), CONFIG)
