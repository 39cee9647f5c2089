"""``dexgrasp eval proposals``: scenes are functions of their seeds; what is worse looks worse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_samples import write_weights
from scipy.spatial import cKDTree
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps, table_plane
from dexgrasp_models.evaluation.proposers import LearnedRow
from dexgrasp_models.evaluation.rows import ROW_NAMES
from dexgrasp_models.jobs.kept_results import KeptResults
from dexgrasp_models.objects.library import split_names
from dexgrasp_models.perception.fusion import PerceptionError
from dexgrasp_models.synthesis.object_surface import CloudError
from dexgrasp_sim.backends import find_stable_poses
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.episodes import proposal_evaluation
from dexgrasp_sim.episodes.grasp_cell import GraspCell
from dexgrasp_sim.episodes.perturbation import Perturbation
from dexgrasp_sim.episodes.proposal_evaluation import (
    EvaluationSettings,
    SceneJob,
    draw_jobs,
    evaluate_scene,
    run,
)

NAME, SCALE = "can/6", 0.08


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def grasp_set(tmp_path_factory) -> GraspSet:
    """Hands in front of the standing can, in no meaningful pose, and of another object."""
    pose = find_stable_poses(library_object(NAME, SCALE))[0].placed(0.0, 0.0, 0.3)
    palms = np.tile(np.eye(4), (5, 1, 1))
    palms[:, :3, 3] = np.random.default_rng(0).normal((0, 0.15, 0), 0.02, (5, 3))
    grasps = GraspSet.open(tmp_path_factory.mktemp("set"), create=True)
    for name in (NAME, "mug/0"):
        found = Grasps.of_object(name, SCALE, palms, np.zeros((5, 22)), table_plane(pose))
        grasps.append(found, Provenance())
    return GraspSet.open(grasps.path)


@pytest.fixture(scope="module")
def job(weights, grasp_set) -> SceneJob:
    settings = EvaluationSettings(
        rows=("analytic", "full", "ddg"),
        weights=str(weights),
        data=str(grasp_set.path),
        proposals=8,
        singles=3,
        rotations=2,
        samples=2,
        adaptation_steps=2,
    )
    return SceneJob(NAME, SCALE, 1, settings)


@pytest.fixture(scope="module")
def result(job) -> dict:
    return evaluate_scene(job)


def test_a_scene_is_a_function_of_its_seed(job, result):
    def figures(found: dict) -> dict:
        return {
            row: {name: value for name, value in of_row.items() if name != "seconds"}
            for row, of_row in found["rows"].items()
        }

    assert result["problem"] == ""
    small = replace(job, settings=replace(job.settings, rows=("full",)))
    again = evaluate_scene(small)
    assert figures(again)["full"] == figures(result)["full"]  # also whatever rows are beside it
    other = evaluate_scene(replace(small, seed=2))
    assert figures(other)["full"]["sigma_keypoints"] != figures(result)["full"]["sigma_keypoints"]


def test_what_a_row_is_measured_by(result):
    rows = result["rows"]
    assert list(rows) == ["analytic", "full", "ddg"]
    assert rows["ddg"]["sigma_rotation"] == pytest.approx(0, abs=1e-6)
    assert rows["full"]["sigma_rotation"] > 0.5
    assert rows["full"]["log_likelihood"] is not None
    assert rows["analytic"]["log_likelihood"] is None
    assert rows["full"]["sigma_translation_given_rotation"] > 0
    assert "sigma_translation_given_rotation" not in rows["ddg"]
    assert rows["analytic"]["seconds"] > 0
    json.dumps(result, allow_nan=False)


def test_good_grasps_lift_and_shuffled_joints_do_not(job, result):
    """Negative control."""
    settings = replace(
        job.settings, rows=("analytic",), data=None, control=Perturbation.SHUFFLED_JOINTS
    )
    good = result["rows"]["analytic"]
    bad = evaluate_scene(replace(job, settings=settings))["rows"]["analytic"]
    assert good["lift_single"] >= 2 / 3
    assert good["lift_best"] == 1
    assert good["best_lost_at"] == [""]
    assert good["kept_best"] == 1
    assert bad["lift_single"] < good["lift_single"]
    assert bad["lift_best"] == 0
    assert bad["q1"] < 0.5 * good["q1"]


def test_true_grasps_lie_about_the_cloud_as_about_the_object(job, grasp_set):
    points, grasps = proposal_evaluation._known_scene(job)
    stored = grasp_set[np.flatnonzero(grasp_set.column("objects") == 0)]
    pose = grasps.palm_poses[0].numpy() @ np.linalg.inv(stored.palm_poses[0])
    for index, palm in enumerate(grasps.palm_poses.numpy()):
        assert np.allclose(pose @ stored.palm_poses[index], palm, atol=1e-5)
    back = np.linalg.inv(pose)
    in_object = points.numpy() @ back[:3, :3].T + back[:3, 3]
    surface = cKDTree(library_object(NAME, SCALE).visual.sample(20_000, seed=0))
    assert np.median(surface.query(in_object)[0]) < 0.002
    assert proposal_evaluation._known_scene(replace(job, object="can/7")) is None


def test_scenes_are_drawn_in_no_order_and_the_first_stay():
    settings = EvaluationSettings(("analytic",))
    names = ("mug/0", "mug/1", "can/2", "bowl/3")
    few, many = draw_jobs(names, 3, 5, settings), draw_jobs(names, 10, 5, settings)
    assert many[:3] == few
    assert {job.object for job in many[:4]} == {job.object for job in many[4:8]} == set(names)
    assert len({job.seed for job in many}) == 10
    assert draw_jobs(names, 10, 6, settings) != many


def test_objects_that_can_not_be_used_are_told(job):
    found = evaluate_scene(replace(job, scale=0.004))
    assert found["problem"]
    assert found["rows"] == {}


def test_a_scene_without_a_cloud_counts_as_not_lifted(job, monkeypatch):
    def unseen(*_):
        raise PerceptionError("nothing there")

    monkeypatch.setattr(GraspCell, "fuse", unseen)
    found = evaluate_scene(job)
    assert found["problem"] == "nothing there"
    assert found["lying"] == "high"
    assert found["height"] == pytest.approx(0.107, abs=0.001)
    assert list(found["rows"]) == list(job.settings.rows)
    for row in found["rows"].values():
        assert (row["lift_single"], row["lift_best"], row["kept_best"]) == (0, 0, 0)
        assert (row["lost_at"], row["best_lost_at"]) == (["perception"] * 3, ["perception"])


@pytest.mark.parametrize(
    ("error", "stage"), [(ArithmeticError, "proposal"), (CloudError, "perception")]
)
def test_a_row_that_proposes_nothing_counts_as_not_lifted(job, monkeypatch, error, stage):
    def fails(*_):
        raise error("not finite")

    monkeypatch.setattr(LearnedRow, "propose", fails)
    settings = replace(job.settings, rows=("analytic", "ddg"), data=None, singles=1)
    found = evaluate_scene(replace(job, settings=settings))
    assert found["problem"] == ""
    assert found["rows"]["ddg"]["problem"] == "not finite"
    assert found["rows"]["ddg"]["lift_best"] == 0
    assert found["rows"]["ddg"]["best_lost_at"] == [stage]
    assert found["rows"]["analytic"]["lift_best"] == 1


def test_jobs_are_told_apart_by_their_weights_wherever_these_lie(job):
    def with_weights(folder: str, digest: str) -> str:
        return replace(job, settings=replace(job.settings, weights=folder, digest=digest)).key

    assert with_weights("a", "1") == with_weights("b", "1") != with_weights("b", "2")
    assert with_weights("a", "") != with_weights("b", "")


def test_finished_scenes_are_not_evaluated_again(tmp_path, job, monkeypatch):
    called = []

    def evaluated(one: SceneJob) -> dict:
        called.append(one.seed)
        return {"object": one.object, "value": one.seed / 3}

    monkeypatch.setattr(proposal_evaluation, "evaluate_scene", evaluated)
    jobs = [replace(job, seed=seed) for seed in range(4)]
    kept = tmp_path / "new" / "kept.jsonl"
    first = dict(run(jobs[:2], kept=kept))
    with kept.open("a") as file:
        file.write('{"key": "cut sho')
    whole = dict(run(jobs, kept=kept))
    assert called == [0, 1, 2, 3]
    assert {one.seed: whole[one] for one in first} == {one.seed: first[one] for one in first}
    assert dict(run(jobs, kept=kept)) == whole
    assert called == [0, 1, 2, 3]
    # Other weights, other results.
    others = [replace(job, settings=replace(job.settings, digest="other"), seed=0)]
    list(run(others, kept=kept))
    assert called == [0, 1, 2, 3, 0]
    assert len(kept.read_text().splitlines()) == 5


def test_what_is_no_number_is_not_kept(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        KeptResults(tmp_path / "kept.jsonl").add("a", float("nan"))


class TestCommand:
    def told(self, *arguments: object, status: int = 0) -> str:
        words = ["eval", "proposals", *map(str, arguments)]
        result = CliRunner(env={"COLUMNS": "160"}).invoke(app, words)
        assert result.exit_code == status, result.output
        return result.output

    def test_tables_and_file(self, tmp_path):
        weights = write_weights(tmp_path / "weights", ("ipdf", "joint", "ddg"))
        out = tmp_path / "out.json"
        asked = (
            *("--weights", weights, "--objects", f"{NAME},can/7", "--scenes", 2, "-n", 4),
            *("--singles", 1, "--rows", "ddg,without_tta,full", "--workers", 1, "--out", out),
        )
        told = self.told(*asked)
        assert "full is left out" in told
        assert "no contact.safetensors; train with 'dexgrasp train contact'" in told
        for text in ("Table 1", "Table 2", "Table 9", "DDG", "w/o TTA", "no weights", "single"):
            assert text in told
        found = json.loads(out.read_text())
        assert found["missing"] == {"full": ["contact"]}
        assert found["seed"] == 0
        (title,) = found["groups"]
        group, scenes = found["groups"][title], found["scenes"][title]
        assert group["scenes"] == 2
        q1 = [scene["rows"]["ddg"]["object_penetration"] for scene in scenes]
        mean = group["rows"]["ddg"]["figures"]["object_penetration"]
        assert mean["mean"] == pytest.approx(np.mean(q1))
        assert mean["low"] <= mean["mean"] <= mean["high"]
        # Again, from what was kept: the same file.
        before = out.read_bytes()
        out.unlink()
        self.told(*asked)
        assert out.read_bytes() == before

    def test_interrupted_it_says_how_to_go_on(self, tmp_path, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt
            yield

        monkeypatch.setattr(proposal_evaluation, "run", interrupted)
        asked = ("--rows", "analytic", "--objects", NAME, "--out", tmp_path / "out.json")
        assert "run the same command again to go on" in self.told(*asked, status=130)
        assert not (tmp_path / "out.json").exists()

    def test_failures_of_a_row_are_told(self, tmp_path, monkeypatch):
        rows = {"analytic": {"problem": "samples aren't finite", "lift_best": 0.0}}
        monkeypatch.setattr(
            proposal_evaluation, "evaluate_scene", lambda job: {"problem": "", "rows": rows}
        )
        asked = ("--rows", "analytic", "--objects", NAME, "--scenes", 3, "--workers", 1)
        told = self.told(*asked)
        assert "analytic: samples aren't finite (3 scenes)" in told
        assert "0% (0% to 56%)" in told  # Wilson's interval of 0 of 3

    def test_thin_objects_are_told_apart(self, tmp_path, monkeypatch):
        def evaluated(job: SceneJob) -> dict:
            thin = job.object == "spoon/0"
            lost = "approach" if thin else ""
            row = {"lift_single": 1.0 - thin, "lift_best": 1.0 - thin}
            row |= {"lost_at": [lost], "best_lost_at": [lost], "kept_single": 1.0, "kept_best": 1.0}
            return {"problem": "", "lying": "thin" if thin else "high", "rows": {"analytic": row}}

        monkeypatch.setattr(proposal_evaluation, "evaluate_scene", evaluated)
        out = tmp_path / "out.json"
        asked = ("--rows", "analytic", "--objects", "spoon/0,mug/0", "--scenes", 4, "--out", out)
        told = self.told(*asked, "--workers", 1)
        assert "under 25 mm high: 2 scenes" in told
        assert "approach 2" in told
        assert "lifted, looked at twice only" in told
        found = json.loads(out.read_text())
        (group,) = found["groups"].values()
        assert group["rows"]["analytic"]["figures"]["lift_best"]["mean"] == 0.5
        thin = group["lying"]["thin"]["rows"]["analytic"]
        assert thin["figures"]["lift_best"]["mean"] == 0
        assert thin["figures"]["lift_best"]["high"] == pytest.approx(0.658, abs=0.001)
        assert thin["best_lost_at"] == {"approach": 2}
        assert found["machine"]["cores"] >= 1
        assert found["version"]

    def test_a_split_is_a_group(self, monkeypatch):
        asked_for = []

        def evaluated(job: SceneJob) -> dict:
            asked_for.append(job.object)
            return {"problem": "", "rows": {}}

        monkeypatch.setattr(proposal_evaluation, "evaluate_scene", evaluated)
        asked = ("--rows", "analytic", "--split", "validation", "--scenes", 70, "--workers", 1)
        assert "validation: 70 scenes" in self.told(*asked)
        assert sorted(asked_for) == sorted(split_names("validation"))
        assert "no split 'mug'" in self.told("--rows", "analytic", "--split", "mug", status=2)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--rows", "ours"), "no row ours"),
            (("--objects", "mugg"), "did you mean mug"),
            (("--out", "figures.txt"), "written as .json"),
            (("--control", "shaken"), "no control 'shaken'"),
            (("--rows", "full"), "weights for none of the rows"),
            (("--rows", "analytic", "--data", "nowhere"), "nowhere"),
            (("--rows", "full", "--learned", "temperature=1"), "refined, which isn't among --rows"),
            (("--learned", "samples_per_grasp"), "expected NAME=VALUE"),
            (("--learned", "batch=8"), "batch has an option of its own"),
            (("--learned", "samples=8"), "has no parameter samples; it has"),
            (("--learned", "samples_per_grasp=2.5"), "= 2.5: expected a whole number from 1 to 64"),
            (("--learned", "samples_per_grasp=many"), "= 'many': expected"),
            (("--learned", "temperature=nan"), "= nan: expected 0 to 2"),
            (("--learned", "temperature=1", "--learned", "temperature=2"), "temperature twice"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, tmp_path, arguments, message):
        assert message in self.told("--weights", tmp_path, *arguments, status=2)

    def test_settings_of_the_learned_proposer(self, tmp_path):
        weights = write_weights(tmp_path / "weights", ("ipdf", "joint", "contact"))
        common = ("--weights", weights, "--objects", NAME, "--scenes", 1, "-n", 2, "--singles", 1)
        settings = ("samples_per_grasp=2", "adaptation_steps=1", "refinement_steps=2")
        found = []
        for chosen in (settings, (*settings, "temperature=0.5")):
            asked = [word for setting in chosen for word in ("--learned", setting)]
            out = tmp_path / f"{len(chosen)}.json"
            self.told(*common, "--rows", "refined", "--workers", 1, *asked, "--out", out)
            found.append(json.loads(out.read_text()))
        assert found[0]["notes"]["learned"] == {
            "weights": "", "batch": 32, "samples_per_grasp": 2, "temperature": 1.0,
            "adaptation_steps": 1, "refinement_steps": 2,
        }  # fmt: skip
        seen = [of["scenes"][NAME][0]["rows"]["refined"]["sigma_keypoints"] for of in found]
        assert seen[0] != seen[1]

    def test_broken_weights_are_refused_before_anything_runs(self, tmp_path):
        write_weights(tmp_path, ("ddg",))
        file = tmp_path / "ddg.safetensors"
        file.write_bytes(file.read_bytes()[:200])
        assert "cut short" in self.told("--weights", tmp_path, "--rows", "ddg", status=2)

    def test_all_rows_are_missing_but_the_analytic_one(self, tmp_path):
        told = self.told(
            *("--weights", tmp_path, "--objects", NAME, "--scenes", 1, "-n", 2, "--singles", 1)
        )
        assert told.count("is left out") == len(ROW_NAMES) - 1
        assert "analytic" in told
