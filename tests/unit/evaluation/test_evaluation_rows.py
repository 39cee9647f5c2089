"""Rows of the evaluation: each runs, is what it says, and sees the cloud in the right frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_samples import CLOUD, write_weights
from grasp_clouds import seen, standing
from nets_samples import random_grasps

from dexgrasp_models.evaluation.networks import NetworkFolder
from dexgrasp_models.evaluation.proposers import LearnedRow, make_row
from dexgrasp_models.evaluation.rows import ROW_NAMES, ROWS, check_rows, missing_weights, needs
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.metrics.penetration import object_penetration
from dexgrasp_models.nets.clouds import CloudConfig, horizontal_centre, table_top_cloud
from dexgrasp_models.nets.contact import ContactNet
from dexgrasp_models.nets.weights import WeightsError
from dexgrasp_models.proposals.learned import LearnedConfig, LearnedProposer
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.training.objectives import RECIPES

STEPS = 4
FACTORISED = ("full", "refined", "glow", "without_tta", "decoupled", "r_c_t")
WITH_DENSITY = ("full", "refined", "glow", "without_tta", "decoupled", "relie", "prohmr")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> NetworkFolder:
    return NetworkFolder(write_weights(tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def cloud():
    return seen(standing("cylinder"), count=300)


def row(name: str, folder: NetworkFolder) -> LearnedRow:
    return make_row(name, folder, steps=STEPS)


def points_of(cloud) -> torch.Tensor:
    points = torch.as_tensor(cloud.object_points)
    return points - horizontal_centre(points)


@pytest.mark.parametrize("name", ROWS)
def test_each_row_proposes_what_the_hand_can_take(folder, cloud, name):
    found, again, other = (row(name, folder).propose(cloud, 3, seed) for seed in (5, 5, 6))
    assert len(found) == 3
    hand = load_hand()
    for grasp in found:
        assert grasp.joints == pytest.approx(hand.couple(grasp.joints), abs=1e-5)
        assert (grasp.joints >= hand.limits[:, 0] - 1e-6).all()
        assert (grasp.joints <= hand.limits[:, 1] + 1e-6).all()
    scores = [grasp.score for grasp in found]
    assert scores == sorted(scores, reverse=True)
    assert all(np.array_equal(a.palm_pose, b.palm_pose) for a, b in zip(found, again, strict=True))
    same = np.array_equal(found[0].palm_pose, other[0].palm_pose)
    assert same == (name == "ddg")  # which knows one grasp only


@pytest.mark.parametrize("name", ["full", "relie", "grasptta", "ddg"])
def test_grasps_move_with_the_object(folder, cloud, name):
    offset = np.float32((0.125, -0.25, 0.0))
    here = row(name, folder).propose(cloud, 2, 1)
    moved = replace(cloud, object_points=cloud.object_points + offset)
    there = row(name, folder).propose(moved, 2, 1)
    for one, other in zip(here, there, strict=True):
        assert other.palm_pose[:3, 3] == pytest.approx(one.palm_pose[:3, 3] + offset, abs=1e-4)
        assert other.joints == pytest.approx(one.joints, abs=1e-3)


def test_full_is_the_learned_proposer_in_the_papers_way(folder, cloud):
    """Two programs: a row of the tables, and what proposes on the robot."""
    config = LearnedConfig(
        weights=str(folder.path),
        batch=4,
        samples_per_grasp=1,
        adaptation_steps=STEPS,
        refinement_steps=0,
    )
    expected = LearnedProposer(config).candidates(cloud, seed=3)
    for one, other in zip(row("full", folder).propose(cloud, 4, seed=3), expected, strict=True):
        assert one.palm_pose == pytest.approx(other.palm_pose, abs=1e-7)
        assert np.array_equal(one.joints, other.joints)


def test_refined_does_what_its_settings_say(folder, cloud):
    def proposed(**settings: int) -> list[Grasp]:
        config = LearnedConfig(batch=99, samples_per_grasp=1, **settings)
        return make_row("refined", folder, learned=config).propose(cloud, 6, seed=3)

    samples = proposed(adaptation_steps=0, refinement_steps=0)
    assert len(samples) == 6
    assert not [name for name in samples[0].figures if "adaptation" in name]
    refined = proposed(adaptation_steps=0, refinement_steps=40)
    assert mean_depth(refined, cloud) < 0.2 * mean_depth(samples, cloud)
    adapted = proposed(adaptation_steps=3, refinement_steps=0)
    assert [name for name in adapted[0].figures if "adaptation" in name]


def test_the_analytic_row_descends_with_as_many_as_are_asked_for(folder, cloud):
    def proposed(iterations: int) -> list[Grasp]:
        config = EnergyConfig(iterations=iterations, batch=99)
        return make_row("analytic", folder, config).propose(cloud, 5, 2)

    started, descended = proposed(1), proposed(60)
    assert len(descended) == 5
    assert mean_depth(descended, cloud) < 0.2 * mean_depth(started, cloud)


def mean_depth(grasps: list[Grasp], cloud) -> float:
    """How deep (m) the deepest seen point is in the hand, on average."""
    kinematics = HandKinematics(load_hand())
    poses = torch.as_tensor(np.array([grasp.palm_pose for grasp in grasps])).float()
    joints = torch.as_tensor(np.array([grasp.joints for grasp in grasps])).float()
    links = kinematics.link_poses(poses, joints)
    points = torch.as_tensor(cloud.object_points)
    return float(object_penetration(HandDistance(kinematics), links, points).mean())


def test_without_adaptation_the_same_samples_stay_as_they_are(folder, cloud):
    points = points_of(cloud)
    raw, adapted = (row(name, folder).adapted(points, 4, 1) for name in ("without_tta", "full"))
    apart = (raw.translations - adapted.translations).norm(dim=1)
    assert 1e-4 < apart.max() < STEPS * 0.001 * 3**0.5 + 1e-6  # Adam's steps of 1 mm
    end_to_end, before = (row(name, folder).adapted(points, 4, 1) for name in ("full", "glow"))
    assert not torch.allclose(end_to_end.joints, before.joints, atol=0.02)  # other weights


@pytest.mark.parametrize(("name", "times"), [("grasptta", STEPS), ("full", 1), ("ddg", 0)])
def test_grasptta_predicts_its_target_anew_in_every_step(folder, cloud, monkeypatch, name, times):
    calls = []
    heat = ContactNet.heat
    monkeypatch.setattr(ContactNet, "heat", lambda *a: calls.append(1) or heat(*a))
    row(name, folder).adapted(points_of(cloud), 2, 0)
    assert len(calls) == times


@pytest.mark.parametrize("name", ROW_NAMES)
def test_spread_for_one_rotation(folder, cloud, name):
    found = row(name, folder).with_one_rotation(cloud, 3, 2, 0)
    if name not in FACTORISED:
        assert found is None
        return
    assert found.count == 6
    rotations = found.rotations.view(3, 2, 3, 3)
    assert torch.equal(rotations[:, 0], rotations[:, 1])
    assert not torch.equal(rotations[0], rotations[1])
    joints = found.joints.view(3, 2, 22)
    assert not torch.equal(joints[:, 0], joints[:, 1])


@pytest.mark.parametrize("name", ROW_NAMES)
def test_only_flows_and_densities_have_a_likelihood(folder, cloud, name):
    found = row(name, folder).log_likelihood(points_of(cloud), random_grasps(3))
    assert (found is not None) == (name in WITH_DENSITY)
    if found is not None:
        assert found.shape == (3,)
        assert torch.isfinite(found).all()


@pytest.mark.parametrize("name", ["full", "glow", "decoupled"])
def test_likelihood_has_a_part_of_the_rotation_and_a_part_of_the_rest(folder, cloud, name):
    """The density of rotations made even: its part is then known in closed form."""
    proposer = row(name, folder)
    flow = proposer._networks[ROWS[name].needs[1]]
    points, grasps = points_of(cloud), random_grasps(3)
    rotation = proposer._networks["ipdf"]
    for module in rotation.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.data.zero_()  # the same score for all rotations
    found = proposer.log_likelihood(points, grasps)
    clouds = table_top_cloud(points, CLOUD)[None].expand(3, -1, -1)
    rest = flow.log_prob(clouds, grasps)
    # Even over SO(3), whose volume is pi^2 as UniDexGrasp's Eq. 1 measures it.
    assert found - rest == pytest.approx(torch.full((3,), -np.log(np.pi**2)), abs=1e-3)


class TestWeights:
    def test_missing_ones_are_named_and_the_others_go_on(self, tmp_path: Path):
        folder = NetworkFolder(write_weights(tmp_path, ("ipdf", "glow", "contact", "ddg")))
        missing = missing_weights(ROW_NAMES, folder)
        assert missing["full"] == ["joint"]
        assert missing["r_c_t"] == ["cvae_given_rotation"]
        assert set(ROW_NAMES) - set(missing) == {"ddg", "glow", "analytic"}
        with pytest.raises(WeightsError, match="no such file"):
            make_row("full", folder)

    def test_the_rows_use_all_that_can_be_trained(self):
        # GraspGF's primitive proposes no grasps: it is no row of UniDexGrasp's tables.
        assert needs(ROW_NAMES) == sorted(set(RECIPES) - {"graspgf"})

    @pytest.mark.parametrize("names", [["full", "mine"], []])
    def test_unknown_rows_are_refused(self, names):
        with pytest.raises(ValueError, match="the rows are"):
            check_rows(names)

    def test_networks_of_different_clouds_are_refused(self, tmp_path: Path):
        write_weights(tmp_path, ("ipdf", "joint"))
        write_weights(tmp_path, ("contact",), CloudConfig(object_points=64, table_points=16))
        folder = NetworkFolder(tmp_path)
        with pytest.raises(WeightsError, match="different clouds"):
            make_row("full", folder)
        assert make_row("without_tta", folder)

    def test_weights_of_another_network_are_refused(self, tmp_path: Path):
        write_weights(tmp_path, ("ipdf",))
        (tmp_path / "ddg.safetensors").write_bytes((tmp_path / "ipdf.safetensors").read_bytes())
        with pytest.raises(WeightsError, match="not DDGConfig"):
            make_row("ddg", NetworkFolder(tmp_path))

    def test_the_digest_tells_weights_apart(self, tmp_path: Path):
        folder = NetworkFolder(write_weights(tmp_path, ("ipdf", "glow")))
        first = folder.digest(["ipdf", "glow"])
        assert first == NetworkFolder(tmp_path).digest(["glow", "ipdf"])
        assert first != folder.digest(["ipdf"])
        (tmp_path / "glow.safetensors").write_bytes(b"other")
        assert first != folder.digest(["ipdf", "glow"])


def test_samples_that_are_not_finite_are_named(tmp_path: Path, cloud):
    folder = NetworkFolder(write_weights(tmp_path, ("ddg",)))
    networks, _ = folder.load(["ddg"])
    networks["ddg"].head[-1].bias.data.fill_(torch.nan)
    with pytest.raises(ArithmeticError, match="samples of ddg aren't finite"):
        make_row("ddg", folder).propose(cloud, 2, 0)
