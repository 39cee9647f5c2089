"""What stands beside figures."""

from __future__ import annotations

import json
import os

import mujoco
import torch

from dexgrasp_models.evaluation.run_record import run_record


def test_says_what_ran_where():
    record = json.loads(json.dumps(run_record(7, {"digest": "abc"})))
    assert record["seed"] == 7
    assert record["notes"] == {"digest": "abc"}
    assert record["version"]
    machine = record["machine"]
    assert machine["torch"] == torch.__version__
    assert machine["mujoco"] == mujoco.__version__
    assert machine["cores"] == len(os.sched_getaffinity(0))
    assert machine["processor"]
