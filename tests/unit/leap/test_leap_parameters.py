"""The file of parameters says what the node does without it."""

from __future__ import annotations

from parameter_files import own_parameters

from dexgrasp_leap.leap_parameters import LeapParameters


def test_the_file_names_every_parameter_with_its_default():
    values = own_parameters("leap.yaml", "leap")
    assert LeapParameters.from_mapping(values) == LeapParameters()
    assert values.keys() == LeapParameters.__dataclass_fields__.keys()
