"""`dexgrasp train`: what it leaves, and what is said about bad input."""

from __future__ import annotations

import dataclasses
import re
import shutil
from dataclasses import replace

import pytest
import torch
import yaml
from full_disk import full_disk
from training_samples import config_file, write_sets
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_cli.train_command import Network
from dexgrasp_models.nets.ipdf import GraspIPDFConfig
from dexgrasp_models.nets.weights import load_weights
from dexgrasp_models.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dexgrasp_models.training.config import load_training, network_config
from dexgrasp_models.training.objectives import RECIPES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets")
    write_sets(path)
    config_file(path)
    return path


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(folder, out, *arguments: object, recipe: str = "ipdf", status: int = 0, **options) -> str:
    given = {"data": folder / "set", "clouds": folder / "clouds", "out": out, "threads": 1}
    given |= {"config": folder / "tiny.yaml"} | options
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    result = CliRunner().invoke(app, ["train", recipe, *words, *map(str, arguments)])
    assert result.exit_code == status, result.output
    return " ".join(result.output.split())


def test_train_and_go_on(tmp_path, folder):
    told = run(folder, tmp_path, budget="0s")
    assert "training: 3 objects, 6 scenes, 18 grasps, 12 clouds" in told
    assert "validation: 2 objects, 4 scenes, 12 grasps, 8 clouds" in told
    assert "run the same command again" in told
    told = run(folder, tmp_path, seed=0)
    assert "step 6" in told
    assert "are left" not in told
    config, _, metadata = load_weights(tmp_path / "ipdf.safetensors", GraspIPDFConfig)
    assert config.widths == (16,)
    assert metadata["data"] == "set"
    assert metadata["command"]
    assert metadata["training"]["cloud"]["object_points"] == 32
    # Another seed is another run, and has to be asked for.
    assert "--restart" in run(folder, tmp_path, seed=1, status=2)
    assert "step 6" in run(folder, tmp_path, "--restart", seed=1)


def test_only_some_grasps(tmp_path, folder):
    assert "12 grasps, 12 clouds" in run(folder, tmp_path, where="lifted>=1", steps=1)


def test_bad_input_is_told(tmp_path, folder):
    def told(**options) -> str:
        return run(folder, tmp_path / "out", status=2, **options)

    assert "no set of grasps" in told(data=tmp_path)
    assert "dexgrasp data clouds" in told(clouds=tmp_path)
    assert "is no time" in told(budget="soon")
    assert "no settings of 'ipdf'" in told(config=_yaml(tmp_path, {"glow": {}}))
    assert "no parameter pace" in told(config=_yaml(tmp_path, {"ipdf": {"pace": 1}}))
    assert "small or paper" in told(config=_yaml(tmp_path, {"ipdf": {"network": "huge"}}))
    assert "expected 1 to" in told(config=_yaml(tmp_path, {"ipdf": {"batch": 0}}))
    assert "no configuration file" in told(config="unknown")
    assert "no such file of weights" in told(recipe="joint")
    if not torch.cuda.is_available():
        assert "no CUDA device" in told(device="cuda")
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_set_without_objects_for_validation(tmp_path, folder):
    """Nothing to choose weights by: not a training that ends with a crash at its validation."""
    shutil.copytree(folder / "clouds", tmp_path / "clouds")
    from dexgrasp_models.objects.library import split_names

    for name in split_names("validation")[:2]:
        (tmp_path / "clouds" / f"{name.replace('/', '-')}.safetensors").unlink()
    told = run(folder, tmp_path / "out", clouds=tmp_path / "clouds", status=2)
    assert "none of the 12 grasps has a cloud" in told


@pytest.mark.parametrize("name", ["small", "paper"])
def test_shipped_settings(name):
    beside = {"clip", "assist", "policy", "teacher"}
    assert {str(network) for network in Network} == {*RECIPES, *beside}
    for recipe, found in RECIPES.items():
        training, network = load_training(recipe, name)
        points = training.cloud.object_points + training.cloud.table_points
        assert points == {"small": 512, "paper": 1024}[name]
        if recipe == "joint":
            continue  # its network comes with its weights
        expected = getattr(found.network_config, name)()
        assert network_config(found.network_config, network) == expected


def test_changes_reach_into_the_network():
    changed = network_config(GraspIPDFConfig, {"size": "paper", "encoder": {"head": [64]}})
    paper = GraspIPDFConfig.paper()
    assert changed == dataclasses.replace(
        paper, encoder=dataclasses.replace(paper.encoder, head=(64,))
    )


def test_papers_figures():
    """UniDexGrasp, C.2, and GraspGF, B.1."""
    figures = {name: load_training(name, "paper").training for name in RECIPES}
    primitive = figures.pop("graspgf")
    assert (primitive.learning_rate, primitive.ema) == (2e-4, 0.999)
    assert primitive.batch == pytest.approx(15_387 / 5, abs=10)
    assert all(found.learning_rate == 1e-3 for found in figures.values())
    assert all(found.schedule == "constant" for found in figures.values())
    batches = {name: figures[name].batch for name in ("ipdf", "glow", "contact", "joint")}
    assert batches == {"ipdf": 16, "glow": 64, "contact": 128, "joint": 32}
    assert (figures["glow"].steps, figures["joint"].steps) == (160_000, 8_000)
    assert figures["joint"].samples == 8


def _yaml(folder, content: dict) -> str:
    path = folder / "bad.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("largest", [100, 4_000])
def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(tmp_path, folder, largest):
    """At the curves, and at the weights or the checkpoint."""
    with full_disk(largest):
        told = run(folder, tmp_path, status=2)
    assert re.fullmatch(r".*\[Errno 27\] File too large[^.]*('.*')?", told), told
    assert not list(tmp_path.rglob(".part-*"))
    assert "step 6" in run(folder, tmp_path)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path):
    path = tmp_path / "ipdf.checkpoint"
    state = Checkpoint(1, 2.0, 3.0, {"weights": torch.zeros(10)}, {})
    save_checkpoint(path, state, {"seed": 0})
    with full_disk(10_000), pytest.raises(OSError, match=f"File too large: '{path}'"):
        save_checkpoint(path, replace(state, objective={"weights": torch.zeros(10_000)}), {})
    assert torch.equal(load_checkpoint(path, {"seed": 0}).objective["weights"], torch.zeros(10))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
