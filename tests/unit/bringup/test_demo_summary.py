"""What counts as lifted in the demo, on made-up recordings."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_bringup.graph import SimulationOptions
from dexgrasp_bringup.recording import Moment, at_wall_time
from dexgrasp_bringup.summary import Interval, summarise
from dexgrasp_models.control.config import load_control_config
from dexgrasp_sim.interface import Snapshot

STAGES = [
    Interval("plan", 0.0, 1.0),
    Interval("lift", 1.0, 2.0),
    Interval("hold", 2.0, 4.0),
    Interval("release", 4.0, 5.0),
]


def moments(heights: dict[float, float], rate: float = 1.0) -> list[Moment]:
    """The object at these heights (m) at these wall times (s), simulated at `rate`."""
    result = []
    for wall_time, height in heights.items():
        pose = np.eye(4)
        pose[2, 3] = height
        result.append(Moment(Snapshot(rate * wall_time, {}, np.eye(4), pose), wall_time))
    return result


def summary(heights: dict[float, float], outcome: str = "succeeded", **options: float) -> dict:
    return summarise(SimulationOptions(), STAGES, moments(heights, **options), outcome, "")


def test_lifted_is_judged_at_the_end_of_the_hold() -> None:
    result = summary({0.0: 0.05, 2.0: 0.25, 4.0: 0.24, 5.0: 0.05})
    assert result["success"] is True
    assert result["lift_height_m"] == pytest.approx(0.19)


@pytest.mark.parametrize(
    ("heights", "outcome"),
    [
        ({0.0: 0.05, 2.0: 0.25, 4.0: 0.05}, "succeeded"),  # lost while it was held
        ({0.0: 0.05, 4.0: 0.14}, "succeeded"),  # raised too little
        ({0.0: 0.05, 4.0: 0.25}, "dropped"),  # lost when it was put back
        ({}, "succeeded"),  # nobody saw it
    ],
)
def test_not_lifted(heights: dict[float, float], outcome: str) -> None:
    assert summary(heights, outcome)["success"] is False


def test_real_time_factor_is_that_of_the_motion() -> None:
    heights = dict.fromkeys(np.linspace(0.0, 5.0, 51).tolist(), 0.0)
    assert summary(heights, rate=0.5)["real_time_factor"] == pytest.approx(0.5)


def test_a_grasp_that_never_moved_has_no_real_time_factor() -> None:
    recorded = moments({0.0: 0.05, 1.0: 0.05})
    result = summarise(SimulationOptions(), STAGES[:1], recorded, "no_cloud", "nothing seen")
    assert result["real_time_factor"] is None
    assert result["lift_height_m"] == 0.0
    assert result["reason"] == "nothing seen"


def test_moment_at_a_time_is_the_last_before_it() -> None:
    recorded = moments({1.0: 0.0, 2.0: 0.0, 3.0: 0.0})
    assert [at_wall_time(recorded, time) for time in (0.5, 1.0, 2.9, 9.0)] == [0, 0, 1, 2]


def carried(*places: tuple[float, float, float]) -> dict:
    """The summary of an assisted grasp: held up from 2 to 4 s, at these places after the end."""
    recorded = moments({0.0: 0.05, 2.0: 0.25, 4.0: 0.24})
    for tick, place in enumerate(places):
        pose = np.eye(4)
        pose[:3, 3] = place
        time = 5.0 + 0.1 * tick
        recorded.append(Moment(Snapshot(time, {}, np.eye(4), pose), time))
    options = SimulationOptions(object="ball", assist=True)
    return summarise(options, STAGES, recorded, "succeeded", "")


IN_THE_BOX = (*load_control_config().carry.box_position[:2], 0.05)


def test_an_assisted_object_has_to_come_to_rest_in_the_box() -> None:
    result = carried(IN_THE_BOX, IN_THE_BOX)
    assert (result["success"], result["in_box"]) == (True, True)


@pytest.mark.parametrize(
    "places",
    [
        ((0.0, 0.0, 0.05), (0.0, 0.0, 0.05)),  # beside the box
        ((*IN_THE_BOX[:2], 0.20), (*IN_THE_BOX[:2], 0.20)),  # above it, in the hand
        ((*IN_THE_BOX[:2], 0.06), IN_THE_BOX),  # it falls
    ],
)
def test_what_does_not_lie_in_the_box_is_no_success(places) -> None:
    result = carried(*places)
    assert (result["success"], result["in_box"]) == (False, False)


def test_without_a_box_nothing_is_said_of_it() -> None:
    assert summary({0.0: 0.05, 4.0: 0.24})["in_box"] is None
