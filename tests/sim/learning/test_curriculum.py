"""The stages of the object curriculum: which objects, when, and which are left out."""

from __future__ import annotations

import pytest

from dexgrasp_learning.curriculum import CurriculumConfig, category_of, stage_at, stages_of

NAMES = [f"{category}/{i}" for category in ("can", "mug", "ball", "pan", "key") for i in range(3)]
ALL = CurriculumConfig(object_rounds=2, category_rounds=3, categories_rounds=4)


def test_stages_grow_from_one_object_to_all():
    stages = stages_of(ALL, NAMES[::-1], seed=1)
    assert [stage.begin for stage in stages] == [0, 2, 5, 9]
    one, category, three, everything = (set(stage.objects) for stage in stages)
    assert len(one) == 1
    assert len(category) == 3
    assert len({category_of(name) for name in category}) == 1
    assert len({category_of(name) for name in three}) == 3
    assert len(three) == 9
    assert one < category < three < everything == set(NAMES)
    assert [stage_at(stages, n).begin for n in (0, 1, 2, 4, 5, 8, 9, 1000)] == [
        0, 0, 2, 2, 5, 5, 9, 9,
    ]  # fmt: skip


def test_the_seed_draws_and_repeats_them():
    assert stages_of(ALL, NAMES, seed=1) == stages_of(ALL, NAMES + NAMES, seed=1)
    firsts = {stages_of(ALL, NAMES, seed=seed)[0].objects for seed in range(20)}
    assert len(firsts) > 3


@pytest.mark.parametrize(("count", "begins"), [(0, [0]), (1, [0, 2]), (2, [0, 2, 5])])
def test_an_ablation_has_the_first_ones_alone(count, begins):
    stages = stages_of(ALL.with_stages(count), NAMES, seed=1)
    assert [stage.begin for stage in stages] == begins
    assert set(stages[-1].objects) == set(NAMES)
    assert stages[:-1] == stages_of(ALL, NAMES, seed=1)[:count]


def test_fewer_categories_than_three_and_none_at_all():
    stages = stages_of(ALL, ["cup", "can/1"], seed=0)  # a mesh of one's own is its own category
    assert set(stages[2].objects) == {"cup", "can/1"}
    with pytest.raises(ValueError, match="no objects"):
        stages_of(ALL, [], seed=0)
    with pytest.raises(ValueError, match="0 to 3 stages"):
        ALL.with_stages(4)
