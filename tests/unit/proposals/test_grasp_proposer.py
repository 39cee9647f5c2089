"""The analytic proposer end to end on synthetic clouds; squeeze, ranking, rejection, registry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from grasp_clouds import SOLIDS, seen, standing
from own_package import code_of, look_again, write_package

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.proposals.analytic import AnalyticProposer
from dexgrasp_models.proposals.proposer import PROPOSERS, make_proposer, proposer_config
from dexgrasp_models.proposals.rank import Ranker
from dexgrasp_models.proposals.reachability import (
    ArmReach,
    NoProposalError,
    first_reachable,
    rejection,
)
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.execution_config import ExecutionConfig
from dexgrasp_models.synthesis.object_surface import CloudError, ObjectSurface
from dexgrasp_models.synthesis.squeeze import squeeze_targets
from dexgrasp_models.synthesis.types import Grasp

SMALL = EnergyConfig(batch=16, samples_per_grasp=16)
SPEC = load_hand()


def pose_tensors(grasp: Grasp) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(grasp.palm_pose)[None], torch.from_numpy(grasp.joints)[None]


@pytest.mark.parametrize("name", list(SOLIDS))
def test_proposals_are_sound(name: str) -> None:
    cloud = seen(standing(name), noise=0.001)
    grasps = AnalyticProposer().propose(cloud, 5, seed=0)
    assert len(grasps) == 5
    assert [g.score for g in grasps] == sorted((g.score for g in grasps), reverse=True)
    kinematics = HandKinematics(SPEC, dtype=torch.float64)
    distance = HandDistance(kinematics)
    exact = seen(standing(name), count=3000, seed=1)
    points = torch.from_numpy(exact.object_points.astype(np.float64))
    tips = [SPEC.link_index(link) for link in SPEC.distal_links]
    for grasp in grasps:
        palm, joints = pose_tensors(grasp)
        poses = kinematics.link_poses(palm, joints)
        assert distance.to_links(points, poses).min() > -0.004
        by_link = distance.by_link(points, poses)[0].amin(0)
        assert (by_link[tips] < 0.008).sum() >= 3
        assert grasp.figures["table_clearance"] >= 0
        for angles in (grasp.joints, grasp.pregrasp_joints):
            assert (angles >= SPEC.limits[:, 0] - 1e-5).all()
            assert (angles <= SPEC.limits[:, 1] + 1e-5).all()
            assert np.allclose(angles, SPEC.couple(angles), atol=1e-6)
        rotation = grasp.palm_pose[:3, :3]
        assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        assert grasp.proposer == "analytic"


def test_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    cloud = seen(standing("cylinder"), noise=0.001)
    proposer = AnalyticProposer(SMALL)
    first, again = (proposer.propose(cloud, 4, seed=3) for _ in range(2))
    for one, two in zip(first, again, strict=True):
        for name in ("palm_pose", "joints", "pregrasp_joints", "squeeze_joints", "score"):
            assert np.array_equal(getattr(one, name), getattr(two, name))
    other = proposer.propose(cloud, 4, seed=4)
    assert not np.array_equal(first[0].palm_pose, other[0].palm_pose)


def test_independent_fingers_use_their_freedom() -> None:
    cloud = seen(standing("cylinder"))
    grasp = AnalyticProposer(SMALL, ExecutionConfig(coupled=False)).propose(cloud, 1, seed=0)[0]
    assert not np.allclose(grasp.joints, SPEC.couple(grasp.joints), atol=1e-3)


def test_bad_clouds_end_in_clear_errors() -> None:
    proposer = AnalyticProposer(SMALL)
    cloud = seen(standing("sphere"))
    empty = replace(
        cloud, object_points=cloud.object_points[:0], object_normals=cloud.object_normals[:0]
    )
    with pytest.raises(CloudError, match="0 object points"):
        proposer.propose(empty, 1, seed=0)
    flat = replace(cloud, object_points=cloud.object_points * np.float32([1, 1, 0.05]))
    with pytest.raises(CloudError, match="too flat"):
        proposer.propose(flat, 1, seed=0)
    with pytest.raises(ValueError, match="n = 0"):
        proposer.propose(cloud, 0, seed=0)


def test_object_out_of_the_workspace_is_refused_with_the_count() -> None:
    cloud = seen(standing("sphere"))
    away = replace(cloud, object_points=cloud.object_points + np.float32([3.0, 0, 0]))
    with pytest.raises(NoProposalError, match=r"none of 16 .* leave the workspace") as caught:
        AnalyticProposer(SMALL).propose(away, 1, seed=0)
    assert sum(caught.value.reasons.values()) == 16


def grasp_with(score: float = 0.0, **figures: float) -> Grasp:
    figures = {"penetration": 0.0, "table_clearance": 0.02} | figures
    pose = np.eye(4)
    pose[2, 3] = 0.2
    zeros = np.zeros(22)
    return Grasp(pose, zeros, zeros, zeros, score, figures, "test")


def test_rejections_and_their_reasons() -> None:
    config = ExecutionConfig()
    assert rejection(grasp_with(), config) is None
    assert "penetrate" in rejection(grasp_with(penetration=0.05), config)
    assert "table" in rejection(grasp_with(table_clearance=-0.01), config)
    assert rejection(grasp_with(), config, lambda pose: "are out of reach") == "are out of reach"


def test_reach_is_asked_by_rank_and_only_until_enough_are_found() -> None:
    asked: list[np.ndarray] = []

    def reach(pose: np.ndarray) -> str | None:
        asked.append(pose)
        return "are out of reach" if len(asked) == 1 else None

    grasps = [grasp_with(score=-float(i)) for i in range(6)]
    kept = first_reachable(grasps, 2, ExecutionConfig(), reach)
    assert [g.score for g in kept] == [-1.0, -2.0]
    assert len(asked) == 3


def test_arm_reach_names_what_is_wrong() -> None:
    reach = ArmReach(ArmKinematics())
    down = np.array([[0.0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, -1, 0.25], [0, 0, 0, 1]])
    assert reach(down) is None
    away = down.copy()
    away[0, 3] = 2.0
    assert reach(away) == "are out of the arm's reach"
    # Fingers up, so that the forearm would stand in the table.
    up = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0.15], [0, 0, 0, 1]])
    assert reach(up) is not None


def test_forearm_keeps_off_the_table() -> None:
    flat = torch.tensor([[[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0.03], [0, 0, 0, 1]]])
    joints = torch.zeros(1, 22)
    lowest = []
    for forearm in (False, True):
        hand = PlanningHand(SPEC, forearm=forearm)
        lowest.append(hand.heights(hand.link_poses(flat, joints)).amin().item())
    assert lowest[0] > 0
    assert lowest[1] < -0.02


def test_squeeze_presses_the_pads_towards_the_object() -> None:
    config = SMALL
    cloud = seen(standing("box"))
    hand = PlanningHand(SPEC)
    surface = ObjectSurface.from_cloud(cloud.object_points, cloud.object_normals, config)
    energy = GraspEnergy(hand, surface, config)
    grasps = AnalyticProposer(config).propose(cloud, 8, seed=0)
    palm = torch.tensor(np.stack([g.palm_pose for g in grasps]), dtype=torch.float32)
    joints = torch.tensor(np.stack([g.joints for g in grasps]), dtype=torch.float32)
    poses = hand.link_poses(palm, joints)
    result = energy(poses, joints, joints)
    targets = squeeze_targets(
        hand, poses, joints, result.contacts, result.forces, ExecutionConfig()
    )
    moved = hand.pads(hand.link_poses(palm, targets)).points
    digits = torch.arange(5)
    pads = torch.stack([m[digits, p] for m, p in zip(moved, result.contacts.pads, strict=True)])
    inwards = ((pads - result.contacts.hand_points) * result.forces).sum(-1)
    assert (inwards.sum(1) > 0).all()
    assert (
        (targets - joints) @ torch.tensor(SPEC.reduction.T, dtype=torch.float32)
    ).abs().max() < 2


def test_tendon_squeeze_is_the_mean_torque_of_its_joints() -> None:
    hand = PlanningHand(SPEC)
    torques = torch.zeros(1, 22)
    middle, distal = SPEC.joint_index("rh_FFJ2"), SPEC.joint_index("rh_FFJ1")
    torques[0, middle], torques[0, distal] = 0.3, 0.1
    spread = hand.spread_torques(torques)[0]
    assert spread[middle] + spread[distal] == pytest.approx(0.2)
    assert spread[middle] == pytest.approx(spread[distal].item())
    other = SPEC.joint_index("rh_FFJ3")
    torques[0, other] = 0.5
    assert hand.spread_torques(torques)[0, other] == pytest.approx(0.5)


def test_ranker_is_linear_in_standard_figures(tmp_path: Path) -> None:
    file = tmp_path / "ranker.yaml"
    file.write_text(
        "intercept: 0.5\nfigures:\n  a: {mean: 1.0, scale: 2.0, coefficient: -1.0}\n"
        "  b: {mean: 0.0, scale: 0.1, coefficient: 2.0}\n"
    )
    ranker = Ranker.load(file)
    figures = {"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([0.1, -0.05])}
    assert ranker.score(figures).tolist() == pytest.approx([0.5 - 1 + 2, 0.5 - 1])
    with pytest.raises(KeyError):
        ranker.score({"a": figures["a"]})


@pytest.mark.parametrize(
    "text", ["", "figures: 3", "intercept: 0\nfigures: {a: {mean: 0, scale: 0, coefficient: 1}}"]
)
def test_broken_ranker_files_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ranker.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"ranker\.yaml"):
        Ranker.load(file)


def test_proposers_are_made_by_name() -> None:
    assert make_proposer("analytic", SMALL).name == "analytic"
    with pytest.raises(ValueError, match="there are: learned, analytic"):
        make_proposer("oracle")
    assert proposer_config("analytic", batch=3, iterations=None) == EnergyConfig(batch=3)
    with pytest.raises(ValueError, match="no parameter weights"):
        proposer_config("analytic", weights="folder")


def test_an_installed_package_brings_a_proposer(tmp_path, monkeypatch) -> None:
    code = code_of("A proposer") + "\nSOMETHING = 3\n"
    offers = ("mine = own_proposer:KIND", "absent = nowhere:KIND", "wrong = own_proposer:SOMETHING")
    write_package(tmp_path, "own_proposer", code, PROPOSERS.group, offers)
    monkeypatch.syspath_prepend(tmp_path)
    look_again(PROPOSERS, monkeypatch)
    assert PROPOSERS.names == ("learned", "absent", "analytic", "mine", "wrong")
    assert make_proposer("mine", proposer_config("mine", batch=3)).config.batch == 3
    assert make_proposer("mine").execution == ExecutionConfig()
    with pytest.raises(ValueError, match=r"absent .* can't be loaded: No module"):
        make_proposer("absent")
    with pytest.raises(ValueError, match=r"wrong: .* is a int, no ProposerKind"):
        make_proposer("wrong")


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="friction"):
        EnergyConfig(friction=-1.0)
    with pytest.raises(ValueError, match="no parameter"):
        EnergyConfig.from_mapping({"frction": 0.5})
