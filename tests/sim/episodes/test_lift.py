"""When an object counts as lifted, on made-up motions of object and palm."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from dexgrasp_models.control.types import Phase
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.episodes import grasp_cell
from dexgrasp_sim.episodes.grasp_cell import GraspCell
from dexgrasp_sim.episodes.lift import Lift, LiftWatch
from dexgrasp_sim.scene import load_scene

RISES = (0.0, 0.05, 0.1, 0.15, 0.2)
HOLD = 10


@pytest.fixture(scope="module")
def rod():
    """A lying box 30 cm long, 4 cm high."""
    box = trimesh.creation.box((0.3, 0.04, 0.04))
    found = load_object("box")
    return type(found)("rod", box, (box,), 1.0, box.volume, np.zeros(3), np.eye(3))


def at(z: float, x: float = 0.0, tilt: float = 0.0) -> np.ndarray:
    pose = trimesh.transformations.rotation_matrix(tilt, (0, 1, 0))
    pose[:3, 3] = (x, 0, z)
    return pose


def judged(
    rod, *, slips=(0.0,) * HOLD, falls=(0.0,) * HOLD, tilt=0.0, knock=0.0, held_out=True
) -> Lift:
    """A lift by 0.2 m and a hold in which the object moves in the hand as is said."""
    start = at(0.02)
    watch = LiftWatch(rod, start)
    watch.see(Phase.REACH, start, at(0.3))
    watch.see(Phase.CLOSE, at(0.02, x=knock), at(0.1))
    for rise in RISES:
        watch.see(Phase.LIFT, at(0.02 + rise, x=knock, tilt=tilt), at(0.1 + rise))
    for slip, fall in zip(slips, falls, strict=True):
        watch.see(Phase.HOLD, at(0.22 - fall, x=knock + slip, tilt=tilt), at(0.3 - fall))
    return watch.judged(held_out, "hold", "it says so")


def test_what_is_kept_up_is_lifted(rod):
    found = judged(rod)
    assert found.success
    assert found.raised_and_kept
    assert (found.lost_at, found.reason) == ("", "")
    assert found.raised == pytest.approx(0.2)
    assert found.clearance == pytest.approx(0.2)
    assert (found.slip, found.knocked) == pytest.approx((0, 0))


def test_an_end_that_stays_on_the_table_is_not_lifted(rod):
    """The middle rises by 0.2 m as it should, but the rod hangs down to the table."""
    lowest = 0.22 - 0.15 * np.sin(1.4) - 0.02 * np.cos(1.4)
    assert judged(rod, tilt=1.4).clearance == pytest.approx(lowest)
    dangling = judged(rod, tilt=1.4, falls=(0.08,) * HOLD)  # raised by 0.12 m
    assert dangling.clearance < 0
    assert not dangling.success
    assert dangling.raised_and_kept
    assert dangling.lost_at == "lift"
    assert dangling.reason == "it says so"


def test_what_comes_back_to_the_same_place_was_not_held_meanwhile(rod):
    """Two instants, at the start of the hold and at its end, don't see it."""
    there_and_back = (0.0, *(0.06,) * (HOLD - 2), 0.0)
    for moved in ({"slips": there_and_back}, {"falls": tuple(2 * s for s in there_and_back)}):
        found = judged(rod, **moved)
        assert not found.success
        assert found.raised_and_kept
        assert found.lost_at == "hold"


@pytest.mark.parametrize(
    ("moved", "lost_at"),
    [
        ({"slips": np.linspace(0, 0.06, HOLD)}, "hold"),
        ({"falls": np.linspace(0, 0.2, HOLD)}, "hold"),
        ({"falls": (0.15,) * HOLD}, "lift"),
        ({"slips": (0.06,) * HOLD}, "lift"),
        ({"falls": (0.15,) * HOLD, "knock": 0.03}, "approach"),
        ({"held_out": False}, "hold"),
    ],
)
def test_both_rules_see_what_is_lost_at_the_end(rod, moved, lost_at):
    found = judged(rod, **moved)
    assert not found.success
    assert not found.raised_and_kept
    assert found.lost_at == lost_at


def test_a_grasp_that_ends_before_the_lift_is_lost_where_it_ends(rod):
    watch = LiftWatch(rod, at(0.02))
    watch.see(Phase.CLOSE, at(0.02), at(0.1))
    found = watch.judged(False, "squeeze", "nothing in the hand")
    assert (found.success, found.raised_and_kept, found.lost_at) == (False, False, "squeeze")


@pytest.mark.parametrize("hand", ["coupled", "independent"])
def test_the_controller_moves_the_hand_of_the_scene(hand, monkeypatch):
    class Asked(Exception):
        pass

    def setup(*_, coupled, **__):
        raise Asked(coupled)

    monkeypatch.setattr(grasp_cell, "ControllerSetup", setup)
    simulator = make_simulator(load_scene(hand=hand), load_object("can"))
    simulator.reset(0)
    with pytest.raises(Asked) as asked:
        GraspCell(simulator).carry_out(None)
    assert asked.value.args == (hand == "coupled",)
