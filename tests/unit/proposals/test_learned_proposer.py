"""The learned proposer around untrained networks: frames, seeds, limits and messages."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from grasp_clouds import seen, standing
from nets_samples import save_networks, untrained_networks

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.adaptation import Diverged
from dexgrasp_models.nets.clouds import CloudConfig
from dexgrasp_models.nets.glow import GraspGlow
from dexgrasp_models.nets.weights import WeightsError, save_weights
from dexgrasp_models.proposals.learned import (
    LearnedConfig,
    LearnedProposer,
    Networks,
    load_networks,
)
from dexgrasp_models.proposals.proposer import make_proposer
from dexgrasp_models.proposals.reachability import NoProposalError
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.object_surface import CloudError
from dexgrasp_models.synthesis.types import Grasp

CONFIG = LearnedConfig(batch=6, samples_per_grasp=2, adaptation_steps=4, refinement_steps=2)
CLOUD = CloudConfig(object_points=192, table_points=32)
ANYTHING = ExecutionConfig(max_penetration=0.05, workspace_radius=2.0, workspace_height=2.0)


@pytest.fixture(scope="module")
def networks() -> Networks:
    return untrained_networks(CLOUD)


@pytest.fixture(scope="module")
def proposer(networks: Networks) -> LearnedProposer:
    return LearnedProposer(CONFIG, ANYTHING, networks=networks)


@pytest.fixture(scope="module")
def cloud():
    return seen(standing("cylinder"))


def _moved(cloud, offset):
    return replace(cloud, object_points=cloud.object_points + np.float32(offset))


_PLACE = [3, 7, 11]  # columns of what follows with the palm's place


def _numbers(grasps: list[Grasp]) -> np.ndarray:
    """(N, 38) palm poses and joints, in the order of the samples' likelihood."""
    ordered = sorted(grasps, key=lambda grasp: grasp.figures["log_likelihood"])
    return np.array([[*grasp.palm_pose.flat, *grasp.joints] for grasp in ordered])


def test_grasps_move_with_the_object(networks, cloud) -> None:
    config = replace(CONFIG, refinement_steps=0)
    proposer = LearnedProposer(config, ANYTHING, networks=networks)
    here = _numbers(proposer.candidates(cloud, seed=3))
    there = _numbers(proposer.candidates(_moved(cloud, (0.125, -0.25, 0.0)), seed=3))
    here[:, [3, 7]] += (0.125, -0.25)
    assert there[:, _PLACE] == pytest.approx(here[:, _PLACE], abs=1e-5)
    assert there == pytest.approx(here, abs=1e-4)


def test_a_raised_object_is_another_cloud(cloud) -> None:
    """The table stays at z = 0, so that height matters where place doesn't.

    To trained networks: what untrained ones make of another height is within the rounding.
    """
    config = replace(CONFIG, adaptation_steps=0, refinement_steps=0)
    proposer = LearnedProposer(config, ANYTHING)
    here, aside, above = (
        np.mean([*_likelihoods(proposer.candidates(_moved(cloud, offset), seed=3))])
        for offset in ((0.0, 0.0, 0.0), (0.125, -0.25, 0.0), (0.0, 0.0, 0.05))
    )
    assert aside == pytest.approx(here, abs=0.01)
    assert abs(above - here) > 0.5


def _likelihoods(grasps: list[Grasp]) -> set[float]:
    return {grasp.figures["log_likelihood"] for grasp in grasps}


def test_same_seed_same_grasps_other_seed_others(proposer, cloud) -> None:
    one, two, other = (_numbers(proposer.candidates(cloud, seed)) for seed in (5, 5, 6))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_best_of_the_samples_go_on(networks, cloud) -> None:
    few, many = (
        LearnedProposer(
            LearnedConfig(batch=4, samples_per_grasp=each, adaptation_steps=0, refinement_steps=0),
            ANYTHING,
            networks=networks,
            energy=EnergyConfig(diverse_fraction=0.0),
        ).candidates(cloud, 1)
        for each in (1, 16)
    )
    assert len(few) == len(many) == 4
    depths = [np.mean([grasp.figures["penetration"] for grasp in found]) for found in (few, many)]
    assert depths[1] < depths[0]


def test_the_adaptation_is_optional_and_moves_the_samples(networks, cloud) -> None:
    found = [
        LearnedProposer(
            replace(CONFIG, adaptation_steps=steps, refinement_steps=0), ANYTHING, networks=networks
        ).candidates(cloud, 1)
        for steps in (0, 30)
    ]
    raw, adapted = found
    assert not any(name.startswith("adaptation") for name in raw[0].figures)
    terms = {"adaptation_cmap", "adaptation_pen", "adaptation_tpen", "adaptation_spen"}
    assert terms <= set(adapted[0].figures)
    assert _likelihoods(raw) == _likelihoods(adapted)  # of the samples
    moved = np.linalg.norm((_numbers(raw) - _numbers(adapted))[:, _PLACE], axis=1)
    assert 1e-4 < moved.max() < 0.05


def test_what_diverges_is_dropped_and_the_rest_goes_on(networks, cloud, monkeypatch) -> None:
    proposer = LearnedProposer(CONFIG, ANYTHING, networks=networks)
    whole, adapt = _numbers(proposer.candidates(cloud, seed=3)), proposer._adaptation

    def unlucky(grasps, *rest):
        if grasps.count == len(whole):
            raise Diverged(torch.arange(grasps.count) == 2, 1)
        return adapt(grasps, *rest)

    monkeypatch.setattr(proposer, "_adaptation", unlucky)
    rest = _numbers(proposer.candidates(cloud, seed=3))
    assert len(rest) == len(whole) - 1
    missing = [row for row in whole if not np.isclose(rest, row, atol=1e-6).all(1).any()]
    assert len(missing) == 1

    def hopeless(grasps, *_):
        raise Diverged(torch.ones(grasps.count, dtype=torch.bool), 1)

    monkeypatch.setattr(proposer, "_adaptation", hopeless)
    with pytest.raises(NoProposalError, match="6 diverged"):
        proposer.propose(cloud, 3, seed=3)


def test_the_refinement_lowers_the_energy(networks, cloud) -> None:
    loose, firm = (
        LearnedProposer(
            replace(CONFIG, refinement_steps=steps), ANYTHING, networks=networks
        ).candidates(cloud, 1)
        for steps in (0, 60)
    )
    before, after = (
        np.mean([grasp.figures["energy"] for grasp in found]) for found in (loose, firm)
    )
    assert after < 0.7 * before, (before, after)


def test_proposals_are_coupled_within_limits_and_explain_themselves(networks, cloud) -> None:
    far = copy.deepcopy(networks)
    far.flow.flow.mean[2] = -0.35  # where about half of the hands are clear of the table
    proposer = LearnedProposer(CONFIG, ANYTHING, networks=far)
    grasps = proposer.propose(cloud, 6, seed=0)
    hand = load_hand()
    for grasp in grasps:
        assert grasp.proposer == "learned"
        assert grasp.joints == pytest.approx(hand.couple(grasp.joints), abs=1e-5)
        low, high = hand.limits.T
        assert (grasp.joints >= low - 1e-6).all()
        assert (grasp.joints <= high + 1e-6).all()
        assert {"log_likelihood", "adaptation_cmap", "penetration"} <= set(grasp.figures)
    scores = [grasp.score for grasp in grasps]
    assert scores == sorted(scores, reverse=True)
    stages = {"rotations", "translations and joints", "selection", "adaptation", "refinement"}
    assert stages <= set(proposer.timings)


def test_the_rotations_are_drawn_with_the_grasps(proposer, cloud) -> None:
    plain = proposer.rotation_picture(cloud)
    again = proposer.rotation_picture(_moved(cloud, (0.125, -0.25, 0.0)))
    assert plain.dtype == np.uint8
    assert (plain != again).mean() < 0.01  # but for rounding
    palm = np.eye(4)
    grasp = Grasp(palm, *3 * (np.zeros(22),), 0.0, {}, "learned")
    marked = proposer.rotation_picture(cloud, [grasp])
    assert 1e-4 < (marked != plain).mean() < 0.02


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 3)), "0 object points"),
        (np.zeros((1, 3)), "1 object points"),
        (np.full((500, 3), np.nan), "not finite"),
    ],
)
def test_bad_clouds_are_refused(proposer, cloud, points, message) -> None:
    bad = replace(cloud, object_points=points.astype(np.float32), object_normals=points)
    with pytest.raises(CloudError, match=message):
        proposer.propose(bad, 1, seed=0)


class TestWeights:
    @pytest.fixture
    def folder(self, tmp_path: Path, networks: Networks) -> Path:
        save_networks(networks, tmp_path)
        return tmp_path

    def test_a_folder_gives_the_same_grasps(self, folder, proposer, cloud) -> None:
        stored = make_proposer("learned", replace(CONFIG, weights=str(folder)), execution=ANYTHING)
        one, two = (_numbers(source.candidates(cloud, 2)) for source in (proposer, stored))
        assert np.array_equal(one, two)

    def test_end_to_end_trained_flow_comes_first(self, folder, networks) -> None:
        other = GraspGlow(networks.flow.config)
        metadata = {"training": {"cloud": asdict(CLOUD)}}
        save_weights(folder / "joint.safetensors", other, other.config, metadata)
        found = load_networks(folder).flow.flow.mean
        assert torch.equal(found, other.flow.mean)
        assert not torch.equal(found, networks.flow.flow.mean)

    def test_missing_files_are_named(self, folder) -> None:
        (folder / "glow.safetensors").unlink()
        with pytest.raises(WeightsError, match=r"no glow\.safetensors; train with"):
            load_networks(folder)

    def test_foreign_files_are_refused(self, folder) -> None:
        (folder / "glow.safetensors").write_bytes((folder / "ipdf.safetensors").read_bytes())
        with pytest.raises(WeightsError, match="holds weights for GraspIPDFConfig"):
            load_networks(folder)

    def test_networks_of_different_clouds_are_refused(self, folder, networks) -> None:
        metadata = {"training": {"cloud": asdict(replace(CLOUD, table_points=0))}}
        save_weights(
            folder / "contact.safetensors", networks.contact, networks.contact.config, metadata
        )
        with pytest.raises(WeightsError, match="different clouds"):
            load_networks(folder)
