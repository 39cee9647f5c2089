"""CLIP from a folder, captions of grasps, and the choice by a text."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from grasp_clouds import seen, standing
from language_samples import PINCHING, SCALE, SIDE, palm_pose, small_clip
from nets_samples import random_grasps
from transformers import BertConfig, BertModel, CLIPModel

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.language.captions import UNCLEAR, caption, touched_parts
from dexgrasp_models.language.clip import Clip, load_clip, save_clip
from dexgrasp_models.language.contrastive import contrastive_loss
from dexgrasp_models.language.selection import LanguageConfig, LanguageSelector
from dexgrasp_models.nets.weights import WeightsError
from dexgrasp_models.objects.library import make_named
from dexgrasp_models.synthesis.types import Grasp

TEXTS = ["grasp the mug by the handle", "the neck of the bottle", "head"]


@pytest.fixture(scope="module")
def clip() -> Clip:
    made = small_clip()
    made.model.requires_grad_(False)
    return made


@pytest.fixture
def folder(clip, tmp_path):
    save_clip(clip, tmp_path / "clip", {"step": 3})
    return tmp_path / "clip"


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


class TestClip:
    def test_similarities_are_those_of_the_model(self, clip) -> None:
        images = noise(4)
        pixels = clip.image_processor(list(images), return_tensors="pt")
        tokens = clip.tokenizer(TEXTS, padding=True, return_tensors="pt")
        with torch.no_grad():
            expected = clip.model(**pixels, **tokens).logits_per_image
            found = clip.scale * clip.image_features(images) @ clip.text_features(TEXTS).T
        assert torch.allclose(found, expected, atol=1e-5)

    def test_a_grasp_has_the_mean_of_its_views(self, clip) -> None:
        images = noise(45 * 2).reshape(45, 2, SIDE, SIDE, 3)
        with torch.no_grad():
            text = clip.text_features(TEXTS[:1])[0]
            expected = [(clip.image_features(views) @ text).mean() for views in images]
            # More than are computed at once, from a source that can be read once.
            found = clip.grasp_features(iter(images)) @ text
        assert torch.allclose(found, torch.stack(expected), atol=1e-6)

    def test_long_texts_are_cut(self, clip) -> None:
        with torch.no_grad():
            assert clip.text_features(["handle " * 100]).isfinite().all()

    def test_what_is_written_is_read(self, clip, folder) -> None:
        save_clip(clip, folder)  # in the place of the first
        read = load_clip(folder)
        with torch.no_grad():
            for one, other in ((clip, read), (clip, read_by_others(read, folder))):
                assert torch.equal(one.image_features(noise(2)), other.image_features(noise(2)))
                assert torch.equal(one.text_features(TEXTS), other.text_features(TEXTS))
        assert not [path for path in folder.iterdir() if path.name.startswith(".part")]

    def test_published_names_of_files_are_read_too(self, clip, folder) -> None:
        torch.save(clip.model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        with torch.no_grad():
            assert torch.equal(load_clip(folder).scale, clip.scale)

    def test_no_weights(self, tmp_path) -> None:
        with pytest.raises(WeightsError, match="openai/clip-vit-base-patch32"):
            load_clip("")
        with pytest.raises(WeightsError, match=r"nowhere: no config.json.*model.safetensors"):
            load_clip(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        "name", ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"]
    )
    def test_a_missing_file_is_named(self, folder, name) -> None:
        (folder / name).unlink()
        expected = "no vocab.json and merges.txt" if name.startswith("tokenizer") else f"no {name}"
        with pytest.raises(WeightsError, match=expected):
            load_clip(folder)

    def test_other_models_are_refused(self, folder) -> None:
        sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
        BertModel(BertConfig(vocab_size=9, intermediate_size=8, **sizes)).save_pretrained(folder)
        with pytest.raises(WeightsError, match="'bert', not CLIP"):
            load_clip(folder)

    def test_weights_cut_short_are_refused(self, folder) -> None:
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
        with pytest.raises(WeightsError, match="can't be used"):
            load_clip(folder)

    def test_weights_of_a_part_are_refused(self, clip, folder) -> None:
        """What isn't there would be random without a word."""
        state = clip.model.state_dict()
        del state["visual_projection.weight"]
        torch.save(state, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        with pytest.raises(WeightsError, match=r"lack 1 .* visual_projection.weight"):
            load_clip(folder)

    def test_a_config_that_is_none(self, folder) -> None:
        (folder / "config.json").write_text("{")
        with pytest.raises(WeightsError, match="can't be used"):
            load_clip(folder)


def read_by_others(read: Clip, folder) -> Clip:
    """As anyone else's program reads the folder."""
    assert json.loads((folder / "training.json").read_text()) == {}
    return Clip(CLIPModel.from_pretrained(folder).eval(), read.tokenizer, read.image_processor)


class TestContrastiveLoss:
    @torch.no_grad()
    def test_of_different_captions_is_clips_own(self, clip) -> None:
        images = noise(len(TEXTS))
        pixels = clip.image_processor(list(images), return_tensors="pt")
        tokens = clip.tokenizer(TEXTS, padding=True, return_tensors="pt")
        expected = clip.model(**pixels, **tokens, return_loss=True).loss
        features = clip.image_features(images), clip.text_features(TEXTS)
        found = contrastive_loss(*features, torch.arange(len(TEXTS)), clip.scale)
        assert float(found) == pytest.approx(float(expected), abs=1e-5)

    def test_captions_that_mean_the_same_are_no_contrast(self) -> None:
        """Told apart perfectly, each of n images with one meaning has a share of 1 / n."""
        meanings = torch.tensor([0, 0, 0, 1])
        features = torch.eye(2)[meanings]
        found = contrastive_loss(features, features, meanings, torch.tensor(100.0))
        assert float(found) == pytest.approx(3 / 4 * math.log(3), abs=1e-5)
        wrong = contrastive_loss(features, features, torch.arange(4), torch.tensor(100.0))
        shuffled = contrastive_loss(features, features[[3, 0, 1, 2]], meanings, torch.tensor(100.0))
        assert float(wrong) == pytest.approx(float(found), abs=1e-5)  # the same similarities
        assert shuffled > 10


class _Gaps:
    """Distances that are given: of two points to four links."""

    def __init__(self, *of_links: tuple[float, float]) -> None:
        self._gaps = torch.tensor(of_links).T[None]

    def by_link(self, points, link_poses) -> torch.Tensor:
        return self._gaps


class TestTouchedParts:
    @pytest.mark.parametrize(
        ("gaps", "expected"),
        [
            (((0.0, 0.1), (0.0, 0.1), (0.1, 0.0), (0.1, 0.1)), 0),
            (((0.0, 0.1), (0.0, 0.1), (0.1, 0.0), (0.1, 0.0)), UNCLEAR),
            (((0.0, 0.1), (0.002, -0.001), (0.1, 0.004), (0.1, 0.006)), 1),
            (((0.01, 0.1),) * 4, UNCLEAR),
        ],
    )
    def test_most_of_the_links_decide(self, gaps, expected) -> None:
        found = touched_parts(_Gaps(*gaps), None, None, np.array([0, 1]))
        assert found.tolist() == [expected]

    def test_hands_around_a_hammers_handle_and_head(self) -> None:
        made = make_named("hammer/0")
        distance = HandDistance(HandKinematics(load_hand()))
        points, faces = made.mesh.sample(4096, return_index=True, seed=0)
        handle, head = (SCALE * made.part(part).vertices for part in ("handle", "head"))
        end = handle[:, 0] < handle[:, 0].min() + 0.05
        places = handle[end].mean(axis=0), head.mean(axis=0)
        turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        palms = [palm_pose(place, np.pi / 2, turn) for place in places for turn in turns]
        poses, joints = (torch.as_tensor(np.array(v)).float() for v in (palms, [PINCHING] * 24))
        links = distance.kinematics.link_poses(poses, joints)
        scaled = torch.as_tensor(SCALE * points).float()
        found = touched_parts(distance, links, scaled, made.face_parts[faces])
        meant = np.repeat([0, 1], 12)
        clear = found != UNCLEAR
        assert clear.mean() > 0.5
        assert (found == meant)[clear].mean() > 0.85
        # The control: hands that are elsewhere.
        poses[:, 2, 3] += 0.3
        links = distance.kinematics.link_poses(poses, joints)
        assert (touched_parts(distance, links, scaled, made.face_parts[faces]) == UNCLEAR).all()

    def test_captions(self) -> None:
        assert caption("toy_car", "wheels") == "a robot hand grasping the toy car by the wheels"


class _Proposer:
    """Proposes given grasps, best first."""

    name = "given"

    def __init__(self, scores: Sequence[float]) -> None:
        drawn = random_grasps(len(scores))
        self.asked: list[int] = []
        self._grasps = [
            Grasp(pose.numpy(), joints.numpy(), *[joints.numpy()] * 2, score, {}, self.name)
            for pose, joints, score in zip(drawn.palm_poses, drawn.joints, scores, strict=True)
        ]

    def propose(self, cloud, n, seed) -> list[Grasp]:
        self.asked.append(n)
        return self._grasps[:n]


@pytest.fixture(scope="module")
def cloud():
    return seen(standing("cylinder"))


class TestSelection:
    SCORES = (4.0, 2.5, 1.0, 0.0, -1.0, -3.0)

    def propose(self, clip, cloud, n: int = 6, text: str = TEXTS[0], **settings) -> list[Grasp]:
        self.proposer = _Proposer(self.SCORES)
        selector = LanguageSelector(LanguageConfig(**settings), clip)
        return selector.propose(self.proposer, cloud, text, n, seed=0)

    def test_score_is_log_p_of_success_and_of_the_grasp_by_the_text(self, clip, cloud) -> None:
        found = self.propose(clip, cloud, weight=2.0)
        assert [g.score for g in found] == sorted((g.score for g in found), reverse=True)
        cosines = np.array([grasp.figures["text_cosine"] for grasp in found])
        odds = np.array([grasp.figures["success_log_odds"] for grasp in found])
        assert sorted(odds) == sorted(self.SCORES)
        logits = float(clip.scale) * cosines
        shares = np.exp(logits) / np.exp(logits).sum()
        expected = np.log(1 / (1 + np.exp(-odds))) + 2.0 * np.log(shares)
        assert [grasp.score for grasp in found] == pytest.approx(expected.tolist())

    def test_weight_goes_from_the_proposers_order_to_the_texts(self, clip, cloud) -> None:
        by_success = self.propose(clip, cloud, weight=0.0)
        assert [g.figures["success_log_odds"] for g in by_success] == list(self.SCORES)
        by_text = self.propose(clip, cloud, weight=100.0)
        cosines = [grasp.figures["text_cosine"] for grasp in by_text]
        assert np.diff(cosines).max() < 1e-3  # by the text, but where that hardly differs
        assert sorted(cosines, reverse=True) != [g.figures["text_cosine"] for g in by_success]
        other = self.propose(clip, cloud, text=TEXTS[1], weight=100.0)
        assert [g.figures["text_cosine"] for g in other] != cosines

    def test_the_text_chooses_among_more_than_are_asked_for(self, clip, cloud) -> None:
        assert len(self.propose(clip, cloud, n=2, pool=5)) == 2
        assert self.proposer.asked == [5]
        assert len(self.propose(clip, cloud, n=6, pool=5)) == 6

    def test_the_same_input_gives_the_same_grasps(self, clip, cloud) -> None:
        first, again = self.propose(clip, cloud), self.propose(clip, cloud)
        assert [dataclasses.astuple(g)[4:6] for g in first] == [
            dataclasses.astuple(g)[4:6] for g in again
        ]

    @pytest.mark.parametrize(("text", "n", "message"), [(" ", 1, "blank"), ("mug", 0, "at least")])
    def test_refused(self, clip, cloud, text, n, message) -> None:
        with pytest.raises(ValueError, match=message):
            self.propose(clip, cloud, n=n, text=text)
