"""Pictures of patterns: curves are where their values are."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.pattern_picture import draw_patterns

PATTERNS = generate(np.random.default_rng(7), 20)


def test_a_curve_is_where_its_values_are():
    """The straight line of one pattern's progress, in the first panel."""
    straight = np.linspace(0.0, 1.0, 102)[None]
    one = PATTERNS[:1]
    still = type(one)(straight, np.zeros((1, 102, 2)), straight, np.zeros((1, 3)))
    panel = draw_patterns(still, np.random.default_rng(0))[:360, :360].astype(int)
    coloured = np.ptp(panel, axis=2) > 60
    rows, columns = np.nonzero(coloured)
    assert rows + columns == pytest.approx(360, abs=3)  # from bottom left to top right
    assert columns.min() == pytest.approx(44, abs=2)
    assert columns.max() == pytest.approx(316, abs=2)


def test_nothing_to_show():
    with pytest.raises(ValueError, match="no patterns to show"):
        draw_patterns(PATTERNS[:0], np.random.default_rng(0))
