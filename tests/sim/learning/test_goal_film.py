"""`dexgrasp eval policy --film`: which episodes are shown, and that they are those evaluated."""

from __future__ import annotations

from pathlib import Path

import assist_scenes as scenes
import imageio.v3 as imageio
import numpy as np
import pytest
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_learning import goal_film
from dexgrasp_learning.goal_evaluation import (
    GoalEvaluation,
    GoalJob,
    draw_goal_jobs,
    run_goal_job,
    told_goals,
)
from dexgrasp_learning.goal_film import Shot, chosen_shots, write_film
from dexgrasp_models.tasks.goal_config import GoalConfig

OBJECTS = ("can/0", "apple/0")


def job_of(rows: tuple[str, ...], seed: int) -> GoalJob:
    return GoalJob((0,), seed, GoalEvaluation(rows, "set", "goals", "0"))


def result(**lifted: str) -> dict:
    """Of rows in whose episodes the object was lifted at each 1."""
    return {"rows": {row: [{"paper": how == "1"} for how in each] for row, each in lifted.items()}}


def test_one_that_all_lift_is_shown_and_of_each_row_one_that_others_lift():
    first, second = (job_of(("a", "b", "c"), seed) for seed in (0, 1))
    found = [
        (first, result(a="01011", b="01001", c="00101")),
        (second, result(a="1110", b="1110", c="1101")),
    ]
    # All lift the last; a and b lose one that c lifts, and c one that both lift.
    assert chosen_shots(found) == [Shot(first, 4), Shot(first, 2), Shot(first, 1)]


def test_where_nobody_fails_there_is_one_shot_and_without_episodes_none():
    only = job_of(("a", "b"), 0)
    assert chosen_shots([(only, result(a="11", b="11"))]) == [Shot(only, 0)]
    assert chosen_shots([(only, result(a="00", b="00"))]) == [Shot(only, 0)]
    assert chosen_shots([]) == []
    with pytest.raises(ValueError, match="no episodes to show"):
        write_film(Path("none.gif"), [])


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(goal_film, "RATE", 2.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """The set and its file of goals, two of each of two objects."""
    return scenes.stored(tmp_path_factory.mktemp("goals"), scenes.pressing_goals())


def test_the_film_shows_the_episodes_that_were_evaluated(files, tmp_path, monkeypatch):
    data, goals = map(str, files)
    settings = GoalEvaluation(("planned", "still"), data, goals, "0", task=GoalConfig(points=256))
    (job,) = draw_goal_jobs(told_goals(settings), OBJECTS, 4, 0, settings)
    evaluated = run_goal_job(job)
    captions = []
    caption = goal_film.captioned
    monkeypatch.setattr(
        goal_film, "captioned", lambda image, text: captions.append(text) or caption(image, text)
    )
    shots = chosen_shots([(job, evaluated)])
    write_film(tmp_path / "film.gif", shots)
    images = imageio.imread(tmp_path / "film.gif")
    seconds = settings.task.horizon / settings.task.rate
    assert images.shape == (round(seconds / goal_film.SPEED * goal_film.RATE) + 1, 258, 640, 3)
    (shot,) = shots
    name = "can/0" if shot.episode < 2 else "apple/0"
    assert set(captions) == {f"{name}, planned: lifted", f"{name}, still: lost: reach"}
    assert evaluated["rows"]["planned"][shot.episode]["paper"]
    far = (np.abs(np.diff(images.astype(int), axis=0)).max(axis=3) > 40).any(axis=0)
    assert far[:, :320].mean() > 0.05, "the hand moves"
    assert far[:, 320:].mean() < 0.01, "the still one does not"


def test_the_command_films(files, tmp_path, monkeypatch):
    data, goals = files
    monkeypatch.setattr("dexgrasp_models.objects.library.split_names", lambda title: OBJECTS)
    command = ["eval", "policy", str(data), "--goals", str(goals), "--split", "training"]
    command += ["--episodes", "2", "--rows", "still", "--workers", "1"]
    refused = CliRunner().invoke(app, [*command, "--film", str(tmp_path / "film.avi")])
    assert refused.exit_code == 2
    assert "a video is an .mp4 or a .gif" in " ".join(refused.output.split())
    film = tmp_path / "film.mp4"
    ended = CliRunner().invoke(app, [*command, "--film", str(film)])
    assert ended.exit_code == 0, ended.output
    assert film.stat().st_size > 1000
