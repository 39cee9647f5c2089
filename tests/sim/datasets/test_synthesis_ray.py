"""Synthesis on Ray: the same set as from one process, and trouble told in the same words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import synthesis_stubs as stubs

from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_sim.datasets.synthesis_run import run

NAMES = ("mug/0", "can/0", "box/1", "bowl/2")

# In a process of its own, as Ray leaves threads and signal handlers behind.
RUNS = """
import sys
from dataclasses import replace
from pathlib import Path

import ray
import synthesis_stubs as stubs
from dexgrasp_sim.datasets.synthesis_run import run

if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    # A file, as Ray's threads write to stdout, in the middle of a line of ours too.
    lines = Path(folder).with_name("lines").open("w")

    def say(*words):
        print(*words, file=lines, flush=True)

    def report(jobs, synthesise):
        try:
            for one in run(jobs, Path(folder), workers=2, ray=True, synthesise=synthesise):
                say(one.job.name, one.grasps, one.problem)
        except Exception as error:
            say(f"{type(error).__name__}: {error}")

    report([stubs.job(name) for name in names], stubs.some_fail)
    assert not ray.is_initialized()
    ray.init("local", num_cpus=1, num_gpus=0, include_dashboard=False, log_to_driver=False)
    say("connected")
    report([stubs.job("pear/0")], stubs.full_disk)
    report([stubs.job("pear/0")], stubs.drawn_grasps)
    report([stubs.job("pear/1", device="cuda")], stubs.drawn_grasps)
    told = Path(folder).with_name("was_killed")
    jobs = [replace(stubs.job("cup/0"), source=str(told)), stubs.job("cup/1"), stubs.job("cup/2")]
    report(jobs, stubs.killed_once)
    report([stubs.job("bad/memory")], stubs.some_are_killed)
    say(told.exists())
    assert ray.is_initialized()
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_set_as_from_one_process(tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-ray.txt")
    script = tmp_path / "runs.py"
    script.write_text(RUNS)
    paths = [str(Path(stubs.__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    subprocess.run(
        [sys.executable, script, tmp_path / "ray", *NAMES, "bad/mesh", "bad/model"],
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        check=True,
    )
    lines = (tmp_path / "lines").read_text().splitlines()
    connected = lines.index("connected")
    told, second = sorted(lines[:connected]), lines[connected + 1 :]
    assert told[:2] == [
        "bad/mesh 0 bad/mesh: the mesh is not closed",
        "bad/model 0 bad/model: mesh volume is too small",
    ]
    assert len(told) == len(NAMES) + 2
    assert second[0] == "OSError: [Errno 28] No space left on device: '/cache'"
    assert second[1].startswith("pear/0")
    assert second[2] == "ValueError: device cuda was asked for, but the Ray cluster has no GPU"

    killed = second[3:]
    assert sorted(line.split()[0] for line in killed[:3]) == ["cup/0", "cup/1", "cup/2"]
    assert killed[3].startswith("ChildProcessError: a process was killed")
    assert killed[4] == "True", "a process was killed in mid-run, and nothing was lost"

    jobs = [stubs.job(name) for name in NAMES]
    list(run(jobs, tmp_path / "alone", workers=1, synthesise=stubs.drawn_grasps))
    on_ray = {shard.path.name: shard for shard in GraspSet.open(tmp_path / "ray").shards}
    for alone in GraspSet.open(tmp_path / "alone").shards:
        found = on_ray[alone.path.name]
        assert found.provenance.notes == alone.provenance.notes
        for column in ("joints", "rotations", "translations"):
            assert found.column(column).tobytes() == alone.column(column).tobytes()
