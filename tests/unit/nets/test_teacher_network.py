"""The teacher's network: what its parts are of, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.nets.bisector_encoder import BisectorConfig
from dexgrasp_models.nets.pointnet import PointNetConfig
from dexgrasp_models.nets.teacher_network import TeacherNetwork, TeacherNetworkConfig

TINY = TeacherNetworkConfig(
    encoder="basis_points",
    basis_points=BasisPointsConfig(points=16, centre=(0.0, 0.0, 0.0), widths=(8,)),
    features=(6,),
    widths=(16,),
    categories=3,
)
POINTS = PointNetConfig(widths=(8, 16), align_input=False, batch_norm=False)
BISECTOR = replace(TINY, encoder="bisector", bisector=BisectorConfig(widths=(8,)))
CONFIGS = [TINY, replace(TINY, encoder="pointnet", pointnet=POINTS), BISECTOR]


def network(config: TeacherNetworkConfig = TINY) -> TeacherNetwork:
    torch.manual_seed(0)
    return TeacherNetwork(config, 10, 4)


@pytest.mark.parametrize("config", CONFIGS)
def test_all_ways_to_the_actions_are_the_same(config):
    net = network(config)
    states, clouds = torch.randn(5, 10), torch.randn(5, 20, 13 if config is BISECTOR else 3) * 0.05
    prepared = net.prepared(clouds)
    features = net.features(prepared)
    assert features.shape == (5, 6)
    expected = net(states, clouds)
    assert expected.shape == (5, 4)
    assert torch.equal(net.actions(states, prepared), expected)
    assert torch.equal(net.of_features(states, features), expected)
    shuffled = clouds[:, torch.randperm(20)]
    assert torch.allclose(net(states, shuffled), expected, atol=1e-6)
    assert not torch.allclose(net(states, 2.0 * clouds), expected, atol=1e-6)
    assert net.categories(prepared).shape == (5, 3)


def test_the_papers_has_its_widths():
    config = TeacherNetworkConfig.paper()
    net = TeacherNetwork(config, 232, 24)
    linear = [m.out_features for m in net.modules() if isinstance(m, torch.nn.Linear)]
    assert linear[-7:] == [512, 64, 1024, 1024, 512, 512, 24]
    assert net.encoder.features == 1024


def test_what_does_not_fit_is_refused():
    net = network(replace(TINY, categories=0))
    clouds = net.prepared(torch.zeros(2, 5, 3))
    with pytest.raises(ValueError, match="tells no categories"):
        net.categories(clouds)
    with pytest.raises(ValueError, match="see states"):
        net.actions(torch.zeros(2, 9), clouds)
    with pytest.raises(ValueError, match="finite"):
        net.actions(torch.full((2, 10), torch.nan), clouds)
