"""Fitting the ranker: its scenes, its file of trials, and a fit whose truth is known."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from bench_scripts import bench_script

from dexgrasp_models.objects.library import split_names
from dexgrasp_models.proposals.rank import Ranker

fit_ranker = bench_script("fit_ranker")


def made_up(job) -> dict:
    """Trials whose odds rise with the one figure `gap`, and with nothing else."""
    rng = np.random.default_rng(job.seed)
    trials = []
    for _ in range(job.per_proposer):
        figures = {name: float(rng.normal()) for name in fit_ranker.FIGURES}
        ok = bool(rng.random() < 1 / (1 + np.exp(-3 * figures["gap"])))
        trials.append({"object": job.object, "proposer": "learned", "ok": ok, "figures": figures})
    return {"problem": "", "trials": trials}


def test_scenes_are_of_the_split_and_the_first_stay():
    jobs = fit_ranker.draw_scenes("training", 400, 3, 12)
    assert {job.object for job in jobs[:385]} == set(split_names("training"))
    assert len({job.key for job in jobs}) == 400
    assert fit_ranker.draw_scenes("training", 5, 3, 12) == jobs[:5]
    assert fit_ranker.draw_scenes("training", 5, 4, 12) != jobs[:5]


def test_an_interrupted_run_goes_on_and_unreadable_lines_are_told(tmp_path, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(fit_ranker, "run_scene", lambda job: ran.append(job) or made_up(job))
    jobs = fit_ranker.draw_scenes("training", 4, 0, 3)
    file = tmp_path / "trials.jsonl"
    fit_ranker.collect(jobs[:3], file, 1)
    lines = file.read_text().splitlines()
    damaged = lines[0].replace("{", "", 1)
    file.write_text("\n".join([damaged, lines[1], lines[2][:-9]]))
    capsys.readouterr()
    found = fit_ranker.collect(jobs, file, 1)
    assert "2 lines of" in capsys.readouterr().out
    assert ran == [*jobs[:3], jobs[0], jobs[2], jobs[3]]
    assert found == [made_up(job) for job in jobs]
    aside = fit_ranker.unreadable(file).read_text().splitlines()
    assert aside == [damaged, lines[2][:-9]]
    assert fit_ranker.collect(jobs, file, 1) == found
    assert len(ran) == 6


def test_the_fit_finds_what_decides_and_its_file_says_what_it_is_of(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fit_ranker, "run_scene", made_up)
    to = tmp_path / "ranker.yaml"
    words = ["--scenes", "60", "--workers", "1", "--trials", str(tmp_path / "t.jsonl")]
    monkeypatch.setattr(sys, "argv", ["fit_ranker.py", *words, "--write", "--to", str(to)])
    fit_ranker.main()
    ranker = Ranker.load(to)
    weights = dict(zip(ranker.names, ranker.coefficients, strict=True))
    others = [abs(weight) for name, weight in weights.items() if name != "gap"]
    assert weights["gap"] > 1
    assert max(others) < 0.3
    text = to.read_text()
    for part in ("split: training", "scenes: 60", "trials: 480", "seed: 0", "machine"):
        assert part in text
    told = capsys.readouterr().out
    assert "first choice, fitted, unseen objects:" in told
    # Of twelve trials the one of the greatest gap nearly always lifts.
    scenes = [made_up(job)["trials"] for job in fit_ranker.draw_scenes("training", 60, 0, 12)]
    assert np.mean(fit_ranker.cross_validated(scenes, 30.0)) > 0.9
    assert np.mean([row["ok"] for rows in scenes for row in rows]) < 0.6


def test_other_splits_only_judge(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fit_ranker, "run_scene", made_up)
    words = ["fit_ranker.py", "--split", "validation", "--scenes", "3", "--workers", "1"]
    words += ["--trials", str(tmp_path / "t.jsonl")]
    monkeypatch.setattr(sys, "argv", words)
    fit_ranker.main()
    told = capsys.readouterr().out
    assert "ranker in use" in told
    assert "fitted" not in told
    for line in (tmp_path / "t.jsonl").read_text().splitlines():
        assert json.loads(json.loads(line)["key"])["object"] in split_names("validation")
    monkeypatch.setattr(sys, "argv", [*words, "--write"])
    with pytest.raises(SystemExit):
        fit_ranker.main()
    assert "fitted on training" in capsys.readouterr().err
