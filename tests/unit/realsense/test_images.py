"""Depth in millimetres, and intrinsics as camera_info has them."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_realsense.depth_units import to_millimetres
from dexgrasp_realsense.lens import Lens, LensError, ros_distortion

COUNTS = np.array([[0, 1, 999], [1000, 40_000, 65_535]], np.uint16)


def test_millimetres_stay_as_they_are():
    """Devices tell their unit in single precision."""
    assert to_millimetres(COUNTS, float(np.float32(0.001))) is COUNTS


@pytest.mark.parametrize("unit", [1e-4, 1.25e-4, 2.5e-4, 1e-6, 0.0015])
def test_other_units_are_rounded_to_millimetres(unit):
    expected = np.rint(COUNTS.astype(float) * unit * 1e3)
    expected[expected > 65_535] = 0
    found = to_millimetres(COUNTS, unit)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, expected)


def test_what_does_not_fit_is_no_reading():
    """And is not the rest of a division, which would be a thing nearby."""
    assert to_millimetres(np.array([[6553, 6554, 6600]], np.uint16), 0.01).tolist() == [
        [65_530, 0, 0]
    ]


@pytest.mark.parametrize("model", ["none", "brown_conrady"])
def test_brown_and_conradys_model_is_plumb_bob(model):
    found = ros_distortion(model, [0.1, -0.2, 0.001, 0.002, 0.3])
    assert found.model == "plumb_bob"
    assert found.coefficients == (0.1, -0.2, 0.001, 0.002, 0.3)


def test_a_fisheye_is_equidistant():
    found = ros_distortion("kannala_brandt4", [0.1, 0.2, 0.3, 0.4, 0.0])
    assert (found.model, found.coefficients) == ("equidistant", (0.1, 0.2, 0.3, 0.4))


@pytest.mark.parametrize("model", ["inverse_brown_conrady", "modified_brown_conrady"])
def test_variants_count_as_long_as_they_bend_nothing(model):
    assert ros_distortion(model, [0.0] * 5).model == "plumb_bob"
    with pytest.raises(LensError, match=f"{model} distortion"):
        ros_distortion(model, [0.1, 0.0, 0.0, 0.0, 0.0])


def test_a_model_without_a_name_in_ros_is_refused():
    with pytest.raises(LensError, match="ftheta"):
        ros_distortion("ftheta", [0.0] * 5)


def test_the_matrix_of_a_lens():
    lens = Lens(640, 480, 600.0, 601.0, 319.0, 240.0, ros_distortion("none", [0.0] * 5))
    assert lens.matrix.tolist() == [[600.0, 0.0, 319.0], [0.0, 601.0, 240.0], [0.0, 0.0, 1.0]]
