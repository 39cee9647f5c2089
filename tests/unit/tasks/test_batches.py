"""Arrays of environments are checked, and told by the environment that is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.tasks.batches import batch


def test_what_fits_comes_back_as_floats():
    found = batch("a", np.arange(6).reshape(2, 3), None, 3)
    assert found.dtype == float
    assert np.array_equal(found, [[0, 1, 2], [3, 4, 5]])
    assert batch("none", np.zeros((0, 3)), None, 3).shape == (0, 3)


@pytest.mark.parametrize("shape", [(2,), (2, 4), (3, 3), (2, 3, 1)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"joints has the shape .* and \(2, 3\) is needed"):
        batch("joints", np.zeros(shape), 2, 3)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_the_environment_that_is_not_finite_is_named(wrong):
    values = np.zeros((4, 3))
    values[2, 1] = wrong
    with pytest.raises(ValueError, match="joints of environment 2 is not finite"):
        batch("joints", values, None, 3)
