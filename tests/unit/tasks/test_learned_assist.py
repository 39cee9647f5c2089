"""Learned policies: one hand as many, the primitive's own gradient, weights that don't fit."""

from __future__ import annotations

import json
from dataclasses import replace

import assist_samples as samples
import numpy as np
import pytest
import torch
from assist_toys import TINY
from safetensors import safe_open
from safetensors.torch import save_file

from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.nets.bisector_encoder import BisectorConfig
from dexgrasp_models.nets.grasp_gradient import GraspGradient
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig
from dexgrasp_models.nets.weights import WeightsError, save_weights
from dexgrasp_models.tasks.assist_action import composed
from dexgrasp_models.tasks.assist_inputs import InputMaker
from dexgrasp_models.tasks.assist_observation import (
    AssistObservation,
    assist_observation,
    state_vector,
)
from dexgrasp_models.tasks.interaction_bisector import HandBisector
from dexgrasp_models.tasks.learned_assist import LearnedAssist, NetworkPolicy, load_primitive

HAND = samples.HAND
PRIMITIVE = GraspGFConfig(
    encoder="basis_points",
    basis_points=TINY.basis_points,
    joint_features=16,
    time_features=8,
    widths=(32,),
)


@pytest.fixture(params=["shared basis", "own basis"])
def files(request, tmp_path):
    """Weights of a policy and of its primitive, whose basis is the policy's or another."""
    torch.manual_seed(0)
    config = PRIMITIVE
    if request.param == "own basis":
        config = replace(config, basis_points=BasisPointsConfig(points=16, widths=(8,), seed=1))
    primitive = GraspGF(config)
    primitive.fit_standardisation(torch.as_tensor(joints(50), dtype=torch.float32))
    network = AssistNetwork(TINY)
    with torch.no_grad():
        network.head[-1].weight *= 100
    save_weights(tmp_path / "graspgf.safetensors", primitive, config)
    save_weights(tmp_path / "assist.safetensors", network, TINY, {"seed": 3})
    return tmp_path / "assist.safetensors", tmp_path / "graspgf.safetensors"


def joints(count: int) -> np.ndarray:
    return samples.joints(count, np.random.default_rng(2))


def scenes(count: int = 5, points: int = 30) -> tuple[AssistObservation, tuple[np.ndarray, ...]]:
    """What is seen, and joints, present wrists and clouds in the world."""
    rng = np.random.default_rng(4)
    wrists = samples.poses(count * 5, rng).reshape(count, 5, 4, 4)
    wrists[..., :3, 3] *= 0.05
    angles, clouds = samples.joints(count, rng), samples.clouds(count, points, rng)
    return assist_observation(angles, wrists, clouds, HAND), (angles, wrists[:, -1], clouds)


def test_it_composes_the_primitives_gradient_with_its_network(files):
    """Against the control loop's form of the primitive, which sees the world."""
    weights, primitive = files
    policy = LearnedAssist(weights, primitive=primitive)
    seen, (angles, wrists, clouds) = scenes()
    tensors = [torch.as_tensor(v, dtype=torch.float32) for v in (clouds, wrists, angles)]
    gradients = GraspGradient(primitive).gradients(*tensors)
    states = torch.as_tensor(state_vector(seen), dtype=torch.float32)
    with torch.no_grad():
        outputs = policy.network(states, torch.as_tensor(seen.cloud).float(), gradients)
    expected = composed(gradients.numpy(), outputs.numpy()).clip(-1.0, 1.0)
    policy.begin(5)
    np.testing.assert_allclose(policy.actions(seen), expected, atol=1e-4)
    assert 0.05 < np.abs(expected).mean() < 0.95  # neither nothing nor all at its bound
    assert policy.metadata == {"seed": 3}


def test_the_primitive_is_asked_at_the_networks_time(files):
    primitive = load_primitive(files[1])
    seen, (angles, wrists, clouds) = scenes()
    for time in (0.005, 0.4):
        network = AssistNetwork(replace(TINY, query_time=time))
        found = InputMaker(network, primitive, HAND)(seen).gradients
        tensors = [torch.as_tensor(v, dtype=torch.float32) for v in (clouds, wrists, angles)]
        expected = GraspGradient(files[1], time=time).gradients(*tensors)
        assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.abs().max())


def test_a_tick_of_one_hand_is_a_row_of_many(files):
    policy = LearnedAssist(files[0], primitive=files[1])
    seen, _ = scenes()
    together = policy.actions(seen)
    threads = torch.get_num_threads()
    for row in range(5):
        one = AssistObservation(
            *(getattr(seen, name)[[row]] for name in ("actuated", "coupled", "wrists", "cloud"))
        )
        np.testing.assert_allclose(policy.actions(one)[0], together[row], atol=1e-5)
    assert torch.get_num_threads() == threads
    assert np.abs(together - together[0]).max() > 0.01  # not the same for all


def test_the_primitive_does_not_learn(files):
    primitive = load_primitive(files[1])
    assert not any(values.requires_grad for values in primitive.parameters())
    inputs = InputMaker(AssistNetwork(TINY), primitive, HAND)(scenes()[0])
    assert not any(values.requires_grad for values in inputs)


def test_a_policy_without_a_primitive_asks_for_none(tmp_path):
    config = replace(TINY, outputs="direct")
    save_weights(tmp_path / "direct.safetensors", AssistNetwork(config), config)
    policy = LearnedAssist(tmp_path / "direct.safetensors", primitive=tmp_path / "none")
    assert policy.actions(scenes()[0]).shape == (5, 18)
    with pytest.raises(ValueError, match="goes along a primitive's gradient"):
        NetworkPolicy(AssistNetwork(TINY), None)


def test_a_policy_of_the_bisector_sees_the_hand_beside_the_cloud(tmp_path):
    """And a hand alone as among many."""
    config = BisectorConfig(samples=40, widths=(8, 16))
    network = AssistNetwork(replace(TINY, outputs="direct", encoder="bisector", bisector=config))
    with torch.no_grad():
        network.head[-1].weight *= 100
    save_weights(tmp_path / "ibs.safetensors", network, network.config)
    policy = LearnedAssist(tmp_path / "ibs.safetensors", primitive=tmp_path / "none")
    seen, (angles, _, _) = scenes()
    together = policy.actions(seen)
    made = InputMaker(network, None, HAND)(seen)
    tensors = torch.as_tensor(angles).float(), torch.as_tensor(seen.cloud).float()
    expected = HandBisector(HAND, 40).features(*tensors)
    assert torch.allclose(made.clouds[..., :4], expected[..., :4], atol=1e-4)
    one = AssistObservation(
        *(getattr(seen, name)[[2]] for name in ("actuated", "coupled", "wrists", "cloud"))
    )
    np.testing.assert_allclose(policy.actions(one)[0], together[2], atol=1e-5)
    with pytest.raises(ValueError, match="with points"):
        policy.actions(replace(seen, cloud=seen.cloud[:, :0]))
    with pytest.raises(ValueError, match="joints must be finite"):
        policy.actions(replace(seen, coupled=np.full((5, 4), np.nan)))


def test_weights_of_another_hand_size_or_kind_are_refused(files, tmp_path):
    weights, primitive = files
    with safe_open(weights, framework="pt") as file:
        header = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def refused(reason: str, header: dict[str, str] = header) -> None:
        save_file(state, tmp_path / "bad.safetensors", header)
        with pytest.raises(WeightsError, match=reason):
            LearnedAssist(tmp_path / "bad.safetensors", primitive=primitive)

    refused("claw", {**header, "hand": "claw"})
    config = json.loads(header["config"])
    refused("doesn't fit its network", {**header, "config": json.dumps({**config, "history": 3})})
    refused("doesn't fit its network", {**header, "config": json.dumps({**config, "widths": [8]})})
    with pytest.raises(WeightsError, match="weights for GraspGFConfig, not AssistNetworkConfig"):
        LearnedAssist(primitive)
    with pytest.raises(WeightsError, match="no such file"):
        LearnedAssist(weights, primitive=tmp_path / "none.safetensors")


def test_what_is_seen_by_another_history_or_not_at_all_is_told(files):
    policy = LearnedAssist(files[0], primitive=files[1])
    seen, _ = scenes()
    with pytest.raises(ValueError, match=r"of 5 wrists, and not \(5, 43\)"):
        policy.actions(replace(seen, wrists=seen.wrists[:, 2:]))
    with pytest.raises(ValueError, match="with points"):
        policy.actions(replace(seen, cloud=seen.cloud[:, :0]))
    with pytest.raises(ValueError, match="finite"):
        policy.actions(replace(seen, actuated=np.full((5, 18), np.nan)))
