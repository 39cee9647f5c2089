"""Figures of the assisting task: objects as trials, paired differences, Table 3."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.evaluation.assist_summary import summarise_assist
from dexgrasp_models.evaluation.intervals import wilson


def figures(successes, **others):
    return [{"paper": bool(value), **others} for value in successes]


def test_an_object_is_one_trial():
    """Ten episodes of one object and one of another: their rates count alike."""
    objects = ["mug/0"] * 10 + ["can/0"]
    row = summarise_assist(objects, {"a": figures([1] * 10 + [0])})["a"]
    assert row["paper"]["mean"] == pytest.approx(0.5)
    assert (row["paper"]["low"], row["paper"]["high"]) == pytest.approx(tuple(wilson(0.5, 2)))
    assert row["episodes"] == 11
    assert "strict" not in row
    assert "posture" not in row


def test_means_leave_out_what_was_not_measured():
    objects = ["mug/0", "mug/0", "can/0"]
    measured = [
        {"paper": True, "posture": 0.1, "translation": 0.02},
        {"paper": False, "posture": None, "translation": 0.04},
        {"paper": True, "posture": 0.3, "translation": None},
    ]
    row = summarise_assist(objects, {"a": measured})["a"]
    assert row["posture"]["mean"] == pytest.approx(0.2)
    assert row["translation"]["mean"] == pytest.approx(0.03)
    assert row["translation"]["scenes"] == 1


def test_adaptability_is_of_objects_with_five_goals():
    objects = ["a"] * 5 + ["b"] * 5 + ["c"] * 5 + ["d"] * 2
    successes = [1, 1, 0, 0, 0] + [1] * 5 + [0] * 5 + [1, 1]
    shares = summarise_assist(objects, {"x": figures(successes)})["x"]["adaptability"]
    third = pytest.approx(1 / 3)
    assert shares == {"0": third, "1": 0.0, "2": third, "3": 0.0, "4": 0.0, "5": third}
    assert summarise_assist(["d"] * 2, {"x": figures([1, 1])})["x"]["adaptability"] == {}


def test_differences_are_paired():
    """Objects differ far more than the rows do; paired, the difference is exact all the same."""
    rng = np.random.default_rng(0)
    objects = [f"o/{index}" for index in range(40) for _ in range(5)]
    hard = np.repeat(rng.random(40) < 0.5, 5)
    second = hard & (np.arange(200) % 5 != 0)  # one of five of each that the first lifts is lost
    rows = summarise_assist(objects, {"first": figures(hard), "second": figures(second)})
    assert rows["first"]["behind_first"]["mean"] == 0.0
    behind = rows["second"]["behind_first"]
    assert behind["mean"] == pytest.approx(0.2 * hard.mean())
    assert behind["low"] > 0.0
    width = rows["second"]["paper"]["high"] - rows["second"]["paper"]["low"]
    assert behind["high"] - behind["low"] < 0.5 * width


def test_rows_are_of_the_same_episodes():
    with pytest.raises(ValueError, match="b has 1 of 2 episodes"):
        summarise_assist(["a", "a"], {"a": figures([1, 0]), "b": figures([1])})
