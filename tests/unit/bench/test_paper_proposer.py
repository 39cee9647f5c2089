"""The learned proposer's peer: that what it is timed with is right."""

import pytest
import torch
from bench_scripts import bench_script
from nets_samples import HAND, body, grasps_of_ball, sphere, untrained_networks

from dexgrasp_models.nets.clouds import CloudConfig

PaperProposer = bench_script("paper_proposer").PaperProposer

BALL = sphere((0, 0, 0.035), 0.035, 128, torch.float32)


@pytest.fixture(scope="module")
def peer():
    return PaperProposer(untrained_networks(CloudConfig(96, 32)))


def test_depths_are_those_of_the_hand(peer):
    grasps, hand = grasps_of_ball(3), body()
    own = hand.link_poses(grasps)
    theirs = peer._hand.link_poses(grasps.palm_poses, grasps.joints)
    assert torch.allclose(theirs, own, atol=1e-5)
    assert torch.allclose(peer.depths(theirs, BALL), -hand.distance.to_links(BALL, own), atol=1e-5)


def test_adaptation_lowers_the_energy_of_each_grasp_alike_alone_and_together(peer):
    grasps = grasps_of_ball(2)
    target = peer._target(grasps, BALL)
    before = peer.energy(grasps, BALL, target)
    together = peer.adapted(grasps, BALL, steps=30)
    assert (peer.energy(together, BALL, target) < before).all()
    alone = peer.adapted(grasps.select(slice(1, 2)), BALL, steps=30)
    assert torch.allclose(alone.joints[0], together.joints[1], atol=1e-3)
    assert together.joints.shape == (2, len(HAND.finger_joints))


def test_rotations_and_samples_are_of_the_networks(peer):
    rotations = peer.rotations(BALL, 5)
    grasps = peer.samples(BALL, rotations)
    assert torch.equal(grasps.rotations, rotations)
    assert grasps.checked().count == 5
