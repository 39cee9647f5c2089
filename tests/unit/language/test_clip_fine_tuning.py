"""Fine-tuning a small CLIP on drawn grasps of bottles and hammers by their parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from language_samples import CATEGORIES, SIDE, small_clip, write_grasps
from transformers import CLIPModel
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.data.grasp_set import GraspSet, Provenance, Shard
from dexgrasp_models.language.captioned_grasps import CaptionedGrasps
from dexgrasp_models.language.clip import load_clip, save_clip
from dexgrasp_models.language.contrastive import caption_batch
from dexgrasp_models.language.fine_tuning import ClipTrainingConfig, fine_tune
from dexgrasp_models.language.judging import judge, judged_grasps
from dexgrasp_models.objects.library import split_names
from dexgrasp_models.training.checkpoint import TrainingError
from dexgrasp_models.training.data import (
    TRAINING,
    VALIDATION,
    TrainingDataError,
    split_objects,
)
from dexgrasp_models.training.run import Run

CONFIG = ClipTrainingConfig(steps=150, batch=32, learning_rate=1e-3, validate_every=50)
SHORT = replace(CONFIG, steps=6, batch=4, validate_every=3, validation_grasps=8)


@pytest.fixture(scope="module")
def grasp_set(tmp_path_factory) -> GraspSet:
    return write_grasps(tmp_path_factory.mktemp("grasps"), instances=6, each=8)


@pytest.fixture(scope="module")
def captioned(grasp_set) -> tuple[CaptionedGrasps, CaptionedGrasps]:
    """For training and for validation."""
    found = [
        CaptionedGrasps.load(grasp_set, split_objects(grasp_set.names, split), SIDE)
        for split in (TRAINING, VALIDATION)
    ]
    return found[0], found[1]


def with_any_images(grasps: CaptionedGrasps) -> CaptionedGrasps:
    """Captions each of which gets the images of any grasp of its object, others every time."""
    rng = np.random.default_rng(0)
    objects = grasps.grasps.objects
    shuffled = CaptionedGrasps(grasps.grasps, grasps.parts, grasps.surfaces, SIDE)
    shuffled.images = lambda row: grasps.images(rng.choice(np.flatnonzero(objects == objects[row])))
    return shuffled


@pytest.mark.timeout(400)
class TestLearning:
    """UniDexGrasp's sec. 4.4, with bottles and hammers as there."""

    @pytest.fixture(scope="class")
    @staticmethod
    def found(captioned, tmp_path_factory):
        """Figures of other objects: untrained, trained, and trained on shuffled pairs."""
        training, validation = captioned
        judged = judged_grasps(validation, 256)
        figures = {"untrained": judge(small_clip(), validation, judged)}
        for name, grasps in (
            ("trained", training),
            ("shuffled", with_any_images(training)),
        ):
            clip = small_clip()
            fine_tune(clip, grasps, validation, CONFIG, Run(tmp_path_factory.mktemp(name), "clip"))
            figures[name] = judge(clip, validation, judged)
        return figures

    def test_held_out_grasps_are_told_apart(self, found) -> None:
        assert found["trained"]["picked_by_chance"] < 0.5
        assert found["trained"]["picked"] > 0.65
        assert found["trained"]["accuracy"] > 0.62

    def test_without_the_right_pairs_nothing_is_learned(self, found) -> None:
        """Bottles have three parts and hammers two: 0.4 are right by chance."""
        for control in ("untrained", "shuffled"):
            assert found[control]["accuracy"] < 0.55
            assert found[control]["accuracy"] < found["trained"]["accuracy"] - 0.12
            assert found[control]["loss"] > found["trained"]["loss"] + 0.2


class TestData:
    def test_captions_are_those_of_parts_that_are_touched(self, captioned) -> None:
        training, _ = captioned
        assert training.grasps_left_out + len(training) == 6 * 8 * (3 + 2)
        assert len(training) > 120
        for row in (0, len(training) - 1):
            surface = training.surface(row)
            part = surface.parts[training.parts[row]]
            assert surface.category in CATEGORIES
            assert training.caption(row).endswith(f"grasping the {surface.category} by the {part}")
            assert training.images(row).shape == (2, SIDE, SIDE, 3)

    def test_batches_are_functions_of_seed_and_step(self, captioned) -> None:
        training, _ = captioned
        one, again = (caption_batch(training, 32, seed=0, step=4) for _ in range(2))
        assert one.texts == again.texts
        assert all(map(np.array_equal, one.images, again.images))
        assert caption_batch(training, 32, seed=0, step=5).texts != one.texts
        assert caption_batch(training, 32, seed=1, step=4).texts != one.texts

    def test_parts_come_alike_in_batches(self, captioned) -> None:
        training, _ = captioned
        batches = [caption_batch(training, 32, seed=0, step=step) for step in range(10)]
        held = [text for batch in batches for text in batch.texts if "hammer" in text]
        share = np.mean(["handle" in text for text in held])
        assert share == pytest.approx(0.5, abs=0.12)

    def test_grasps_of_other_objects_are_left_out(self, grasp_set, tmp_path) -> None:
        other = GraspSet.open(tmp_path, create=True)
        known = grasp_set[:24]
        renamed = replace(known, names=tuple(f"sem/{i}" for i in range(len(known.names))))
        other.append(renamed, Provenance())
        with pytest.raises(TrainingDataError, match=r"none of the 24 grasps .* objects of the lib"):
            CaptionedGrasps.load(other, other.names, SIDE)
        no_table = replace(known, planes=np.full((len(known), 4), np.nan))
        both = GraspSet.open(tmp_path / "both", create=True)
        both.append(known, Provenance())
        both.append(no_table, Provenance())
        found = CaptionedGrasps.load(both, both.names, SIDE)
        assert found.grasps_left_out >= 24
        assert len(found) + found.grasps_left_out == 48


class TestRuns:
    @pytest.mark.parametrize("stop", [3, 4])
    def test_an_interrupted_run_ends_with_the_same_bits(self, captioned, tmp_path, stop) -> None:
        whole, parts = (
            Run(tmp_path / "whole", "clip"),
            Run(tmp_path / "parts", "clip", checkpoint_every=0.0),
        )
        fine_tune(small_clip(), *captioned, SHORT, whole)

        def interrupt(step: int) -> None:
            # After `stop` steps, of which the last one is lost.
            if step == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fine_tune(small_clip(), *captioned, SHORT, parts, stepped=interrupt)
        ended = fine_tune(small_clip(), *captioned, SHORT, parts)
        assert ended.finished
        assert ended.step == SHORT.steps
        one, other = (load_clip(run.out / "clip").model.state_dict() for run in (whole, parts))
        assert all(torch.equal(one[name], other[name]) for name in one)

    def test_other_settings_are_another_run(self, captioned, tmp_path) -> None:
        fine_tune(small_clip(), *captioned, SHORT, Run(tmp_path, "clip", budget=0.0))
        with pytest.raises(TrainingError, match="--restart"):
            fine_tune(small_clip(), *captioned, SHORT, Run(tmp_path, "clip", seed=1))
        with pytest.raises(TrainingError, match="weights"):
            fine_tune(small_clip(seed=1), *captioned, SHORT, Run(tmp_path, "clip"))

    def test_divergence_is_told(self, captioned, tmp_path) -> None:
        clip = small_clip()
        clip.model.visual_projection.weight.data.fill_(torch.nan)
        with pytest.raises(TrainingError, match="diverged in step 0"):
            fine_tune(clip, *captioned, SHORT, Run(tmp_path, "clip"))


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path):
        grasps = write_grasps(tmp_path / "set", instances=1, each=6)
        save_clip(small_clip(), tmp_path / "small")
        settings = {"steps": 4, "batch": 4, "validate_every": 2, "validation_grasps": 8}
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"clip": settings}))

        def command(*words: object, status: int = 0, **options) -> str:
            given = {"data": grasps.path, "clip": tmp_path / "small", "out": tmp_path / "out"}
            given |= {"config": tmp_path / "tiny.yaml", "threads": 1} | options
            options = [
                word
                for name, value in given.items()
                if value is not None
                for word in (f"--{name}", str(value))
            ]
            result = CliRunner().invoke(app, ["train", "clip", *options, *map(str, words)])
            assert result.exit_code == status, result.output
            return " ".join(result.output.split())

        return command

    def test_train_and_go_on(self, run, tmp_path) -> None:
        told = run(budget="0s")
        assert "training: 2 objects" in told
        assert "4 steps are left" in told
        told = run()
        assert "step 4" in told
        assert "are left" not in told
        CLIPModel.from_pretrained(tmp_path / "out" / "clip")
        load_clip(tmp_path / "out" / "clip")
        assert "step 2" in run("--restart", steps=2)

    def test_bad_input_is_told(self, run, tmp_path) -> None:
        assert "openai/clip-vit-base-patch32" in run(clip=None, status=2)
        assert "nowhere: no config.json" in run(clip="nowhere", status=2)
        assert "no settings of 'clip'" in run(config="paper", status=2)
        assert "no set of grasps" in run(data=tmp_path / "nothing", status=2)
        for path in (tmp_path / "set").glob("*.safetensors"):
            if Shard(path).names[0] in split_names(VALIDATION):
                path.unlink()
        assert "no objects of the library's split validation" in run(status=2)
        assert not (tmp_path / "out" / "clip").exists()
