"""Patterns: what they have to be, how they are split, blended, drawn, and made of reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reach_samples import reaches_of
from scipy.spatial.transform import Rotation

from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.wrist_patterns import (
    SAMPLES,
    PatternError,
    Reach,
    WristPatterns,
    processed,
    way_frame,
)

ALL = generate(np.random.default_rng(0))
ARRAYS = ("along", "lateral", "turning", "turns")


def same(one: WristPatterns, other: WristPatterns) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)


class TestPatterns:
    def test_150_train_and_50_are_held_out_and_none_is_both(self):
        assert (len(ALL.training), len(ALL.held_out)) == (150, 50)
        assert same(ALL.training, ALL[:150])
        assert same(ALL.held_out, ALL[150:])
        assert (len(ALL[:10].training), len(ALL[:10].held_out)) == (8, 2)

    def test_too_few_to_hold_any_out(self):
        assert len(ALL[:3].training) == 3
        with pytest.raises(PatternError, match="3 patterns are too few to hold out any; 4"):
            _ = ALL[:3].held_out

    @pytest.mark.parametrize(
        ("name", "place", "value", "message"),
        [
            ("along", (2, -1), 0.9, "pattern 2 doesn't lead from the start to the grasp"),
            ("along", (1, 0), 0.1, "pattern 1 doesn't lead"),
            ("lateral", (3, -1, 1), 0.01, "pattern 3 doesn't lead"),
            ("turning", (0, -1), 0.5, "pattern 0 doesn't lead"),
            ("lateral", (1, 7, 0), np.nan, "pattern 1: lateral is not finite"),
            ("turns", (2, 1), np.inf, "pattern 2: turns is not finite"),
        ],
    )
    def test_what_is_no_pattern_is_refused(self, name, place, value, message):
        values = getattr(ALL[:4], name).copy()
        values[place] = value
        with pytest.raises(PatternError, match=message):
            replace(ALL[:4], **{name: values})

    @pytest.mark.parametrize("name", ARRAYS)
    def test_arrays_that_do_not_fit_together_are_refused(self, name):
        with pytest.raises(PatternError, match=r"need arrays along \(N, S\)"):
            replace(ALL[:4], **{name: getattr(ALL, name)[:3]})


class TestDrawing:
    def test_a_seed_gives_the_same_and_another_seed_others(self):
        for draw in (ALL.drawn, ALL.blended):
            first = draw(20, np.random.default_rng(1))
            assert same(first, draw(20, np.random.default_rng(1)))
            assert not same(first, draw(20, np.random.default_rng(2)))

    def test_evaluation_uses_patterns_as_they_are(self):
        drawn = ALL.held_out.drawn(300, np.random.default_rng(0))
        known = {row.tobytes() for row in ALL.held_out.lateral}
        assert {row.tobytes() for row in drawn.lateral} == known

    def test_training_blends_two(self):
        two = ALL[[0, 1]]
        blended = two.blended(400, np.random.default_rng(0))
        # Whatever the two are, each blend is c of one and 1 - c of the other, alike in all arrays.
        one, other = (two.along[row] - two.along[row - 1] for row in (1, 0))
        assert np.allclose(one, -other)
        shares = (blended.along - two.along[0]) @ one / (one @ one)
        assert shares.min() >= -1e-12
        assert shares.max() <= 1 + 1e-12
        expected = two.lateral[0] + shares[:, None, None] * (two.lateral[1] - two.lateral[0])
        assert np.allclose(blended.lateral, expected, atol=1e-9)
        between = shares[(shares > 1e-9) & (shares < 1 - 1e-9)]
        assert len(between) == pytest.approx(200, abs=40)  # else both were the same one
        assert between.mean() == pytest.approx(0.5, abs=0.07)

    def test_turns_come_from_a_gamma_distribution_like_that_of_all(self):
        turns = ALL.drawn(20_000, np.random.default_rng(0)).turns
        sizes = np.abs(ALL.turns)
        assert np.abs(turns).mean() == pytest.approx(sizes.mean(), rel=0.02)
        assert np.abs(turns).var() == pytest.approx(sizes.var(), rel=0.05)
        assert turns.mean() == pytest.approx(0.0, abs=0.01)
        # Of a gamma distribution the skewness is 2 / sqrt(shape).
        centred = (np.abs(turns) - np.abs(turns).mean()) / np.abs(turns).std()
        assert (centred**3).mean() == pytest.approx(2 * sizes.std() / sizes.mean(), rel=0.1)

    def test_turns_that_are_all_alike_are_kept(self):
        for size in (0.0, 0.2):
            alike = replace(ALL, turns=np.full((len(ALL), 3), size))
            assert np.abs(alike.drawn(5, np.random.default_rng(0)).turns) == pytest.approx(size)

    def test_of_none_nothing_is_drawn(self):
        for draw in (ALL[:0].drawn, ALL[:0].blended):
            with pytest.raises(PatternError, match="no patterns to draw from"):
                draw(1, np.random.default_rng(0))


def test_axes_of_a_way():
    ways = np.array([[2.0, 0, 0], [0, 0.1, 0], [0, 0, -3.0], [1, 2, 3], [0, 1e-9, -1]])
    frames = way_frame(ways)
    assert np.allclose(frames.swapaxes(1, 2) @ frames, np.eye(3))
    assert np.allclose(np.linalg.det(frames), 1.0)
    assert np.allclose(frames[:, :, 0] * np.linalg.norm(ways, axis=1)[:, None], ways)
    assert np.allclose(frames[:, 2, 1], 0.0)  # sideways is level
    assert (frames[:, 2, 2] >= 0).all()  # upwards doesn't go down
    assert np.allclose(frames[0], np.eye(3))


class TestProcessing:
    def test_reaches_anywhere_give_the_patterns_that_they_follow(self):
        found = processed(reaches_of(ALL[:40], np.random.default_rng(3)))
        expected = ALL[:40]
        assert found.along == pytest.approx(expected.along, abs=1e-9)
        assert found.lateral == pytest.approx(expected.lateral, abs=1e-9)
        assert found.turns == pytest.approx(expected.turns, abs=1e-9)
        turned = np.linalg.norm(expected.turns, axis=1) > 0.06
        assert found.turning[turned] == pytest.approx(expected.turning[turned], abs=1e-6)

    def test_the_last_175_mm_are_used(self):
        moments = 401
        distance = np.linspace(0.4, 0.0, moments)  # 1 mm a moment
        positions = np.outer(distance, (0.0, 0.6, 0.8))
        positions[:200, 0] = 0.1  # a jump before that
        turn = Rotation.from_rotvec(np.outer(np.linspace(1.0, 0.0, moments), (0, 0, 1)))
        found = processed([Reach(np.arange(moments, dtype=float), positions, turn)])
        assert found.along[0] == pytest.approx(np.linspace(0.0, 1.0, SAMPLES))
        assert found.lateral == pytest.approx(0.0, abs=1e-12)
        assert np.linalg.norm(found.turns[0]) == pytest.approx(0.175 / 0.4, rel=0.01)

    def test_a_reach_that_comes_by_before_it_ends(self):
        """Only what follows the last moment farther away counts."""
        way = np.concatenate((np.linspace(0.0, 0.5, 200), np.linspace(0.5, 0.0, 200)))
        positions = np.column_stack((way, np.zeros((400, 2))))
        found = processed([Reach(np.arange(400.0), positions, Rotation.identity(400))])
        assert (np.diff(found.along[0]) > 0).all()

    def test_moments_at_uneven_times(self):
        rng = np.random.default_rng(0)
        times = np.sort(rng.uniform(0.0, 2.0, 500))
        positions = np.column_stack((0.08 * times, np.zeros((500, 2))))
        found = processed([Reach(times, positions, Rotation.identity(500))])
        assert found.along[0] == pytest.approx(np.linspace(0.0, 1.0, SAMPLES), abs=1e-9)

    def test_a_wrist_that_hardly_turns_does_so_evenly(self):
        turns = Rotation.from_rotvec(np.random.default_rng(0).normal(0, 1e-3, (100, 3)))
        positions = np.linspace((0.0, 0, 0), (0.15, 0, 0), 100)
        found = processed([Reach(np.arange(100.0), positions, turns)])
        assert found.turning[0] == pytest.approx(np.linspace(0.0, 1.0, SAMPLES))

    def test_a_reach_with_too_few_moments_near_its_end(self):
        positions = np.linspace((1.0, 0, 0), (0.0, 0, 0), 40)
        with pytest.raises(PatternError, match=r"only 7 of its 40 moments are within 0\.175 m"):
            processed([Reach(np.arange(40.0), positions, Rotation.identity(40))])

    def test_reaches_that_cannot_be_used(self):
        good = reaches_of(ALL[:2], np.random.default_rng(0))
        still = Reach(np.arange(50.0), np.zeros((50, 3)), Rotation.identity(50))
        millimetres = replace(good[0], positions=1000 * good[0].positions)
        with pytest.raises(PatternError, match="reach 2 of 3: it ends 0 mm from where it starts"):
            processed([*good, still])
        with pytest.raises(PatternError, match=r"reach 0 of 1: it spans 1\d\d.* m; are its pos"):
            processed([millimetres])
        problems: list[str] = []
        assert len(processed([millimetres, *good, still], problems)) == 2
        assert [problem[:12] for problem in problems] == ["reach 0 of 4", "reach 3 of 4"]
        with pytest.raises(PatternError, match="no reach that can be used"):
            processed([still], [])
        with pytest.raises(PatternError, match="no reach that can be used"):
            processed([])
