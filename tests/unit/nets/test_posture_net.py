"""The network that predicts postures: learns what can be seen, and the mean of what can't."""

from __future__ import annotations

import pytest
import torch

from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.nets.posture_net import PostureNetConfig, fitted

CONFIG = PostureNetConfig(
    basis_points=BasisPointsConfig(points=8), width=64, dropout=0.0, noise=0.0, steps=600
)


def seen(count: int = 400) -> torch.Tensor:
    return torch.rand(1, count, 8, generator=torch.Generator().manual_seed(0))


def test_what_can_be_seen_is_learned_and_of_what_can_not_the_mean():
    nearness = seen()
    told = nearness[0, :, :2].square()
    sides = torch.randint(2, (400, 1), generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0
    net = fitted(nearness, torch.cat((told, 0.3 + 0.2 * sides), dim=1), CONFIG, 0)
    fresh = torch.rand(100, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        found = net(fresh)
    assert (found[:, :2] - fresh[:, :2].square()).abs().mean() < 0.1
    assert float(found[:, 2].mean()) == pytest.approx(0.3, abs=0.05)


def test_a_seed_gives_the_same_and_leaves_other_randomness_alone():
    nearness, labels = seen(40), torch.rand(40, 3, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(5)
    untouched = torch.rand(1)
    torch.manual_seed(5)
    first = fitted(nearness, labels, CONFIG, 1)
    assert torch.equal(torch.rand(1), untouched)
    again, other = fitted(nearness, labels, CONFIG, 1), fitted(nearness, labels, CONFIG, 2)
    with torch.no_grad():
        assert torch.equal(first(nearness[0]), again(nearness[0]))
        assert not torch.equal(first(nearness[0]), other(nearness[0]))


def test_a_label_that_never_changes_is_no_division_by_zero():
    net = fitted(seen(40), torch.full((40, 2), 0.7), CONFIG, 0)
    with torch.no_grad():
        assert net(seen(40)[0]).numpy() == pytest.approx(0.7, abs=1e-2)
