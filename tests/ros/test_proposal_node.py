"""The proposal node over DDS: from a cloud to ranked grasps, and what it refuses."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from control_cell import CLOUD_NS, can_cloud
from language_samples import small_clip
from nets_samples import save_networks, untrained_networks
from proposal_requests import FAST, generate
from rclpy.lifecycle import TransitionCallbackReturn
from ros_graph import eventually, graph

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.language.clip import save_clip
from dexgrasp_models.nets.clouds import CloudConfig
from dexgrasp_proposals import proposal_node
from dexgrasp_proposals.proposal_node import ProposalNode
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.parameters import ParameterError

JOINTS = load_hand().finger_joints


@pytest.fixture(scope="module")
def ros():
    with graph() as opened:
        opened.start(ProposalNode, **FAST)
        opened.cloud = opened.tester.create_publisher(
            contract.OBJECT_CLOUD.type, contract.OBJECT_CLOUD.name, contract.OBJECT_CLOUD.qos
        )
        yield opened


def test_without_a_cloud_it_says_so(ros):
    response = generate(ros, count=1)
    assert not response.success
    assert "call /perception/capture first" in response.message


def test_ranked_grasps_of_the_named_cloud(ros):
    published = ros.collect(contract.GRASPS)
    poses, markers = ros.collect(contract.GRASP_POSES), ros.collect(contract.GRASP_MARKERS)
    ros.cloud.publish(can_cloud())
    response = generate(ros, count=3, seed=1, cloud_stamp=Time(sec=5))
    assert response.success, response.message
    grasps = response.proposals.grasps
    assert 1 <= len(grasps) <= 3
    assert [grasp.score for grasp in grasps] == sorted((g.score for g in grasps), reverse=True)
    for message in grasps:
        grasp = conversions.grasp_from_message(message, JOINTS)
        assert np.linalg.norm(grasp.palm_pose[:3, 3] - [0.0, 0.0, 0.05]) < 0.2
        assert message.header.stamp.sec == 5
    assert eventually(lambda: published and poses and markers)
    assert published[-1] == response.proposals
    assert poses[-1].poses == [grasp.palm_pose for grasp in grasps]
    assert len(markers[-1].markers) == 1 + len(grasps)


def test_the_learned_proposer_shows_its_rotations_also_later(tmp_path):
    save_networks(untrained_networks(CloudConfig(192, 32), height=0.35), tmp_path)
    learned = {
        "proposer": "learned",
        "learned__weights": str(tmp_path),
        "learned__batch": 16,
        "learned__adaptation_steps": 2,
        "learned__refinement_steps": 2,
        "analytic__max_penetration": 0.05,
        "analytic__workspace_radius": 2.0,
        "analytic__workspace_height": 2.0,
    }
    with graph() as ros:
        ros.start(ProposalNode, **learned)
        cloud = ros.tester.create_publisher(
            contract.OBJECT_CLOUD.type, contract.OBJECT_CLOUD.name, contract.OBJECT_CLOUD.qos
        )
        cloud.publish(can_cloud())
        response = generate(ros, count=4, seed=1, cloud_stamp=Time(sec=5))
        assert response.success, response.message
        pictures = ros.collect(contract.ROTATION_DENSITY)  # after it was published
        assert eventually(lambda: pictures)
        (message,) = pictures
        assert message.encoding == "rgb8"
        assert message.header.frame_id == conversions.WORLD
        assert message.header.stamp.sec == 5
        assert message.width > message.height > 100
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        assert np.ptp(pixels.astype(int), axis=2).max() > 100  # something in colours


def test_one_seed_gives_the_same_grasps(ros):
    ros.cloud.publish(can_cloud())
    first, second, other = (generate(ros, count=2, seed=seed).proposals for seed in (3, 3, 4))
    assert first == second
    assert first != other


def test_a_text_without_weights_is_refused_with_what_to_get(ros):
    ros.cloud.publish(can_cloud())
    response = generate(ros, text="the handle")
    assert not response.success
    for word in ("model.safetensors", "openai/clip-vit-base-patch32", "language.weights"):
        assert word in response.message


def test_a_text_ranks_the_grasps(tmp_path):
    save_clip(small_clip(), tmp_path)
    with graph() as ros:
        node = ros.start(ProposalNode, **FAST, language__weights=str(tmp_path))
        cloud = ros.tester.create_publisher(
            contract.OBJECT_CLOUD.type, contract.OBJECT_CLOUD.name, contract.OBJECT_CLOUD.qos
        )
        cloud.publish(can_cloud())
        texts = ("grasp the can by the lid", "the body of the can", "")
        named = Time(sec=5)
        responses = [
            generate(ros, count=16, seed=1, text=text, cloud_stamp=named) for text in texts
        ]
        assert all(response.success for response in responses), responses[0].message
        lid, body, any_way = responses
        figures = [dict(zip(g.figure_names, g.figures, strict=True)) for g in lid.proposals.grasps]
        assert all("text_cosine" in one for one in figures)
        scores = [grasp.score for grasp in lid.proposals.grasps]
        assert scores == sorted(scores, reverse=True)
        # The same grasps, put in another order.
        palms = [
            {str(grasp.palm_pose) for grasp in response.proposals.grasps} for response in responses
        ]
        assert palms[0] == palms[1] == palms[2]
        assert scores != [grasp.score for grasp in body.proposals.grasps]
        assert "text_cosine" not in any_way.proposals.grasps[0].figure_names
        assert node.failure is None


def test_weights_that_are_none_are_refused_at_the_start(tmp_path):
    with graph() as ros:
        node = ros.create(ProposalNode, language__weights=str(tmp_path))
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert f"{tmp_path}: no config.json" in node.failure


def test_an_object_out_of_reach_has_no_proposals(ros):
    ros.cloud.publish(can_cloud(CLOUD_NS + 1, center=(1.5, 0.0, 0.05)))
    response = generate(ros, count=1, cloud_stamp=Time(sec=5, nanosec=1))
    assert not response.success
    assert "workspace" in response.message


def test_a_cloud_that_never_came_is_not_replaced_by_another(ros, monkeypatch):
    monkeypatch.setattr(proposal_node, "NAMED_CLOUD_TIMEOUT", 0.5)
    ros.cloud.publish(can_cloud())
    response = generate(ros, count=1, cloud_stamp=Time(sec=77))
    assert not response.success
    assert "no cloud" in response.message


def test_a_cloud_that_comes_late_is_waited_for(ros):
    """To a node that was just started a busy machine takes seconds to deliver it; one that it has
    may be of a later time, from before a reset."""
    ros.cloud.publish(can_cloud(CLOUD_NS + 3))
    assert generate(ros, count=1, cloud_stamp=Time(sec=5, nanosec=3)).success
    late = threading.Timer(4.0, ros.cloud.publish, [can_cloud(CLOUD_NS + 2)])
    late.start()
    response = generate(ros, count=1, seed=1, cloud_stamp=Time(sec=5, nanosec=2))
    assert response.success, response.message


def test_before_activation_it_refuses():
    with graph() as ros:
        node = ros.create(ProposalNode)
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        response = generate(ros)
        assert not response.success
        assert "not active" in response.message


def test_the_learned_proposer_looks_for_weights_where_it_is_told(tmp_path):
    with graph() as ros:
        node = ros.create(ProposalNode, proposer="learned", learned__weights=str(tmp_path))
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert f"{tmp_path}: no ipdf.safetensors" in node.failure


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("proposer", "oracle", "must be one of: learned, analytic"),
        ("count", 0, "must be between 1 and 256"),
        ("count", 2.5, "must be a whole number"),
        ("analytic__friction", -1.0, "must be between 0.05 and 2"),
    ],
)
def test_bad_parameters_are_refused(name, value, complaint):
    with graph() as ros, pytest.raises(ParameterError, match=complaint):
        ros.create(ProposalNode, **{name: value})
