"""`dexgrasp train` of policies on a set of one object to train on and one for validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import assist_scenes as scenes
import numpy as np
import torch
import yaml
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.data.grasp_set import GraspSet, Provenance


def set_and_settings(folder: Path, recipe: str, settings: Mapping[str, Any]) -> Path:
    """The folder, with the set and `tiny.yaml` for `command`."""
    grasps = GraspSet.open(folder / "set", create=True)
    first = scenes.pressing_goals()
    first = first[np.flatnonzero(first.objects == first.names.index("can/0"))]
    for name in ("can/0", "can/2"):
        grasps.append(replace(first, names=(name,), objects=0 * first.objects), Provenance(seed=0))
    (folder / "tiny.yaml").write_text(yaml.safe_dump({recipe: settings}))
    return folder


def words(recipe: str, folder: Path, out: Path, **options: object) -> list[str]:
    """Of the command, for one round."""
    given = {"data": folder / "set", "out": out, "config": folder / "tiny.yaml", "threads": 1}
    given |= {"steps": 1, "batch": 4} | options
    told = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return ["train", recipe, *told]


def command(recipe: str, folder: Path, out: Path, status: int = 0, **options: object) -> str:
    """What a round of it says, in one line."""
    threads = torch.get_num_threads()
    result = CliRunner().invoke(app, words(recipe, folder, out, **options))
    torch.set_num_threads(threads)
    assert result.exit_code == status, result.output
    return " ".join(result.output.split())
