"""The file of parameters says what the node does without it."""

from __future__ import annotations

from dexgrasp_leap.leap_parameters import LeapParameters
from dexgrasp_models.config import load_config


def test_the_file_names_every_parameter_with_its_default():
    values = load_config("leap.yaml")["/**"]["ros__parameters"]
    assert LeapParameters.from_mapping(values) == LeapParameters()
    assert values.keys() == LeapParameters.__dataclass_fields__.keys()
