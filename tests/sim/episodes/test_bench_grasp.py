"""The grasp bench: what it finds, how it counts, how it goes on after an interruption."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.files import files_digest, written_whole
from dexgrasp_models.jobs.kept_results import KeptResults
from dexgrasp_models.objects.shapes import SHAPES
from dexgrasp_models.proposals.learned import network_files
from dexgrasp_sim.episodes import bench_grasp
from dexgrasp_sim.episodes.bench_grasp import find_objects, run_bench, summarise, write_summary
from dexgrasp_sim.episodes.episode import EpisodeResult, EpisodeSettings
from dexgrasp_sim.episodes.resting import Lying


def result(
    name: str, seed: int, lost_at: str = "", lying: Lying = Lying.HIGH, **settings: str
) -> EpisodeResult:
    asked = EpisodeSettings(name, seed, **settings)
    return EpisodeResult(asked, name, not lost_at, lost_at, "", lying, 0.1, seconds={"plan": 0.1})


def test_objects_are_shapes_names_files_or_folders(tmp_path):
    assert find_objects(None) == list(SHAPES)
    assert find_objects("can, mug") == ["can", "mug"]
    (tmp_path / "Banana").mkdir()
    (tmp_path / "Banana" / "collision.obj").touch()
    (tmp_path / "part.stl").touch()
    (tmp_path / "notes.txt").touch()
    assert find_objects(str(tmp_path)) == [str(tmp_path / "Banana"), str(tmp_path / "part.stl")]
    assert find_objects(str(tmp_path / "Banana")) == [str(tmp_path / "Banana")]


def test_folder_without_objects_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no objects"):
        find_objects(str(tmp_path))


def test_summary_counts_by_object_and_stage_with_flat_and_thin_ones_apart():
    results = [
        result("can", 0),
        result("can", 1, "lift"),
        result("plate", 0, "lift", Lying.FLAT),
        result("fork", 0, "plan", Lying.THIN),
        result("fork", 1, "plan", Lying.THIN),
    ]
    summary = summarise(results)
    everything = summary["all"]
    assert (everything["attempts"], everything["successes"]) == (5, 1)
    assert everything["success_rate"] == 0.2
    assert everything["low"] < 0.2 < everything["high"]
    assert everything["lost_at"] == {"lift": 2, "plan": 2}
    counts = {name: (row["successes"], row["attempts"]) for name, row in summary["objects"].items()}
    assert counts == {"can": (1, 2), "plate": (0, 1), "fork": (0, 2)}
    lying = summary["lying"]
    assert list(lying) == ["thin", "flat", "high"]
    assert lying["thin"]["attempts"] == 2
    assert lying["thin"]["lost_at"] == {"plan": 2}
    assert lying["flat"]["lost_at"] == {"lift": 1}
    assert lying["high"]["success_rate"] == 0.5
    assert list(summarise(results[:2])["lying"]) == ["high"]


def test_a_split_of_the_library():
    assert find_objects(None, "validation")[0].startswith("library:bottle/")
    assert len(find_objects(None, "validation")) == 70
    with pytest.raises(ValueError, match="give one of them"):
        find_objects("can", "validation")
    with pytest.raises(ValueError, match="no split 'test'"):
        find_objects(None, "test")


def test_attempts_with_other_weights_are_run_again_and_with_moved_ones_not(tmp_path, monkeypatch):
    ran = []

    def run_episode(asked: EpisodeSettings) -> EpisodeResult:
        ran.append((asked.weights, asked.digest))
        return result("can", 0, weights=asked.weights, digest=asked.digest)

    monkeypatch.setattr(bench_grasp, "run_episode", run_episode)
    file = tmp_path / "attempts.jsonl"
    for weights, digest in (("a", "1"), ("b", "1"), ("b", "2")):
        asked = EpisodeSettings("can", 0, weights=weights, digest=digest)
        run_bench([asked], kept=KeptResults(file), workers=1)
    assert ran == [("a", "1"), ("b", "2")]


def test_the_file_tells_weights_seeds_and_machine(tmp_path, monkeypatch):
    def run_episode(asked: EpisodeSettings) -> EpisodeResult:
        return result(asked.object, asked.seed, "lift" * (asked.seed == 4), Lying.THIN)

    monkeypatch.setattr(bench_grasp, "run_episode", run_episode)
    out = tmp_path / "bench.json"
    command = ["bench", "grasp", "--objects", "can", "--seed", "3", "--poses", "2", "--out"]
    told = CliRunner(env={"COLUMNS": "160"}).invoke(app, [*command, str(out), "--workers", "1"])
    assert told.exit_code == 0, told.output
    for text in ("seeds 3 to 4", "50% (9% to 91%)", "under 25 mm high", "lift 1", "twice only"):
        assert text in told.output
    found = json.loads(out.read_text())
    assert found["notes"]["digest"] == files_digest(network_files())
    assert found["seed"] == 3
    assert (found["all"]["successes"], found["all"]["raised_and_kept"]) == (1, 0)
    assert found["machine"]["torch"]


def test_finished_attempts_are_read_back_and_torn_lines_run_again(tmp_path, monkeypatch):
    results = [result("can", 0), result("can", 1, "lift"), result("mug", 0)]
    settings = [item.settings for item in results]
    ran = []

    def run_episode(asked: EpisodeSettings) -> EpisodeResult:
        ran.append(asked)
        return results[settings.index(asked)]

    monkeypatch.setattr(bench_grasp, "run_episode", run_episode)
    file = tmp_path / "attempts.jsonl"
    assert run_bench(settings[:2], kept=KeptResults(file), workers=1) == results[:2]
    assert ran == settings[:2]
    whole = file.read_text()
    file.write_text(whole[:-40])
    shown: list[EpisodeResult] = []
    assert run_bench(settings, kept=KeptResults(file), workers=1, on_result=shown.append) == results
    assert ran == [*settings[:2], *settings[1:]]
    assert shown == results
    assert file.read_text().startswith(whole)


def test_other_files_are_not_taken_for_attempts(tmp_path):
    file = tmp_path / "bench.attempts.jsonl"
    file.write_text('{"settings": {}}\n')
    command = ["bench", "grasp", "--objects", "can", "--out", str(tmp_path / "bench.json")]
    result = CliRunner().invoke(app, [*command, "--resume"])
    assert result.exit_code == 2
    assert "holds no results of this version" in " ".join(result.output.split())
    assert file.read_text() == '{"settings": {}}\n'


def fail_half_way(path: Path) -> None:
    with written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError


def test_summary_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "new" / "summary.json"
    write_summary(path, {"seed": 1})
    assert json.loads(path.read_text()) == {"seed": 1}
    with pytest.raises(TypeError):
        write_summary(path, {"seed": object()})
    with pytest.raises(RuntimeError):
        fail_half_way(path)
    assert json.loads(path.read_text()) == {"seed": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_file_of_results_is_told_and_a_torn_last_line_is_not(tmp_path) -> None:
    file = tmp_path / "kept.jsonl"
    kept = KeptResults(file)
    for key in ("a", "b"):
        kept.add(key, 1.0)
    whole = file.read_text()
    file.write_text(whole + '{"key": "c", "res')
    assert "b" in KeptResults(file)
    assert file.read_text() == whole
    file.write_text(whole.replace('"key": "a"', '"key: "a"'))
    with pytest.raises(ValueError, match=r"kept\.jsonl: line 1 is damaged"):
        KeptResults(file)
