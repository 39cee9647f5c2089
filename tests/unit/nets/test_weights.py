"""Files of weights: what was saved comes back, and nothing else is taken for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.ipdf import GraspIPDF, GraspIPDFConfig
from dexgrasp_models.nets.pointnet import PointNet2Config, PointNetConfig, SetAbstractionConfig
from dexgrasp_models.nets.weights import (
    WeightsError,
    load_network,
    load_weights,
    save_weights,
)

LEVELS = (SetAbstractionConfig(8, 0.1, 4, (8,)), SetAbstractionConfig(4, 0.2, 4, (8, 8)))
CONFIG = GraspIPDFConfig(PointNet2Config(LEVELS, (16,), (8,)), widths=(16,), grid_level=0)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    network = GraspIPDF(CONFIG)
    network.encode(torch.randn(2, 20, 3))  # moves the running figures of the normalisation
    path = tmp_path / "folder" / "ipdf.safetensors"
    save_weights(path, network, CONFIG, {"steps": 7, "data": ["a", "b"]})
    return path, network


def test_network_comes_back(saved):
    path, network = saved
    config, state, metadata = load_weights(path, GraspIPDFConfig)
    assert config == CONFIG
    assert metadata == {"steps": 7, "data": ["a", "b"]}
    assert set(state) == set(network.state_dict())
    loaded, metadata = load_network(path, GraspIPDFConfig, GraspIPDF)
    assert metadata == {"steps": 7, "data": ["a", "b"]}
    clouds = torch.randn(3, 20, 3)
    found, expected = loaded.eval().encode(clouds), network.eval().encode(clouds)
    assert torch.equal(found.features, expected.features)


def test_the_file_is_whole_or_as_before(saved):
    path, network = saved
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_weights(path, network, CONFIG, {"not json": object()})
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_weights_of_another_network_are_refused(saved):
    path, _ = saved
    with pytest.raises(WeightsError, match=r"ipdf\.safetensors: doesn't fit its network"):
        load_network(path, GraspIPDFConfig, lambda config: GraspIPDF(replace(config, widths=(8,))))


def test_missing_and_foreign_files_are_refused(saved, tmp_path):
    path, network = saved
    with pytest.raises(WeightsError, match="no such file"):
        load_weights(tmp_path / "none.safetensors", GraspIPDFConfig)
    with pytest.raises(WeightsError, match="no such file"):
        load_weights(tmp_path, GraspIPDFConfig)
    with pytest.raises(WeightsError, match="weights for GraspIPDFConfig, not PointNetConfig"):
        load_weights(path, PointNetConfig)
    for name, content in {
        "text": b"not weights at all",
        "empty": b"",
        "cut": path.read_bytes()[:-100],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match="cut short or no file of weights"):
            load_weights(tmp_path / name, GraspIPDFConfig)
    save_file(network.state_dict(), tmp_path / "other")
    with pytest.raises(WeightsError, match="format is None"):
        load_weights(tmp_path / "other", GraspIPDFConfig)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"widhts": [16]}, "no parameter widhts"),
        ({"grid_level": 99}, "grid_level = 99"),
        ({"encoder": {"levels": [{"radius": -1.0}]}}, "radius = -1.0"),
        ([1], "can't be used"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(saved, tmp_path, config, reason):
    _, network = saved
    header = {
        "format": "dexgrasp weights 1",
        "config_type": "GraspIPDFConfig",
        "config": json.dumps(config),
        "metadata": "{}",
    }
    save_file(network.state_dict(), tmp_path / "header", header)
    with pytest.raises(WeightsError, match=reason):
        load_weights(tmp_path / "header", GraspIPDFConfig)
    save_file(network.state_dict(), tmp_path / "less", {"format": header["format"]})
    with pytest.raises(WeightsError):
        load_weights(tmp_path / "less", GraspIPDFConfig)


def test_the_hand_is_named_and_another_one_refused(saved, tmp_path):
    path, network = saved
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    assert header.pop("hand") == load_hand().name
    save_file(network.state_dict(), tmp_path / "unnamed", header)  # as before hands were named
    assert load_weights(tmp_path / "unnamed", GraspIPDFConfig).config == CONFIG
    save_file(network.state_dict(), tmp_path / "other", header | {"hand": "left_claw"})
    with pytest.raises(WeightsError, match=r"hand left_claw, .* is shadow_hand_right"):
        load_weights(tmp_path / "other", GraspIPDFConfig)


def test_configurations_inside_configurations_may_be_partial():
    config = GraspIPDFConfig.from_mapping({"encoder": {"levels": [{"centres": 9}], "head": [5]}})
    assert config.encoder.levels == (SetAbstractionConfig(centres=9),)
    assert config.encoder.head == (5,)
    assert config.widths == GraspIPDFConfig().widths


def test_values_of_plain_tuples_stay():
    @dataclass(frozen=True)
    class Named(PointNetConfig):
        label: str = ""

    assert Named.from_mapping({"widths": [3, 4], "label": "x"}) == Named((3, 4), label="x")
