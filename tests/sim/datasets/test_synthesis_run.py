"""Runs of synthesis jobs end with the same set however often they are stopped."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import synthesis_stubs as stubs
import trimesh
import yaml
from safetensors.numpy import load_file

from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import GraspDataError
from dexgrasp_models.synthesis.config import SynthesisConfig
from dexgrasp_sim.datasets.grasp_synthesis import SynthesisJob, synthesise_object
from dexgrasp_sim.datasets.synthesis_run import open_tasks, run

NAMES = ("mug/0", "can/0", "box/1", "bowl/2", "pear/0")
OBJECTS = ("mug/0", "can/0", "ball/0")
QUICK = {
    "energy": {
        "batch": 4,
        "samples_per_grasp": 4,
        "iterations": 10,
        "surface_points": 64,
        "nearest_obstacles": 32,
    }
}
"""Settings of a synthesis that is over at once; hardly any of its grasps holds."""


def contents(folder: Path) -> dict[str, dict[str, bytes]]:
    """The arrays of all shards, bit by bit."""
    return {
        path.name: {name: array.tobytes() for name, array in load_file(path).items()}
        for path in sorted(folder.glob("[!.]*.safetensors"))
    }


def jobs(*names: str, **settings) -> list[SynthesisJob]:
    return [stubs.job(name, **settings) for name in names or NAMES]


class TestJobs:
    def test_the_same_job_gives_the_same_grasps(self):
        job = stubs.job("mug/0", poses=1, keep="all", synthesis=SynthesisConfig.from_mapping(QUICK))
        first, second = synthesise_object(job), synthesise_object(job)
        assert len(first) == 4
        assert first.joints.tobytes() == second.joints.tobytes()
        assert first.has_squeeze.all()
        assert first.palm_poses.tobytes() == second.palm_poses.tobytes()
        other = synthesise_object(stubs.job("mug/0", poses=1, seed=1, keep="all",
            synthesis=SynthesisConfig.from_mapping(QUICK)))  # fmt: skip
        assert not np.allclose(first.joints, other.joints)

    def test_too_few_grasps_of_an_object_are_none(self):
        quick = {"poses": 1, "keep": "all", "synthesis": SynthesisConfig.from_mapping(QUICK)}
        assert len(synthesise_object(stubs.job("mug/0", least=4, **quick))) == 4
        assert len(synthesise_object(stubs.job("mug/0", least=5, **quick))) == 0

    def test_an_object_that_is_too_large_for_the_hand(self, tmp_path):
        """No grasps are a result: the shard is there, and nothing is left to do."""
        trimesh.creation.box((0.39, 0.39, 0.39)).export(tmp_path / "box.stl")
        quick = SynthesisConfig.from_mapping(QUICK)
        job = SynthesisJob("box", str(tmp_path / "box.stl"), (1.0,), 1, synthesis=quick)
        (finished,) = run([job], tmp_path / "set", workers=1)
        assert (finished.grasps, finished.problem) == (0, "")
        assert open_tasks([job], tmp_path / "set") == []
        assert len(GraspSet.open(tmp_path / "set")) == 0

    @pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
    def test_scales_are_checked(self, scale):
        with pytest.raises(ValueError, match="scale must be a positive number"):
            stubs.job("mug/0", scales=(0.1, scale))

    def test_shards_have_names_that_files_may_have(self):
        assert stubs.job("mug/0").shard == "mug-0"
        assert stubs.job("my mug (2)").shard == "my_mug__2_"
        assert stubs.job(".hidden").shard == "hidden"
        # Names in other scripts are told apart by a hash.
        assert stubs.job("ü").shard.startswith("_-")
        assert stubs.job("ü").shard != stubs.job("é").shard


class TestRuns:
    def test_one_process_a_pool_and_pieces_of_a_run_give_the_same(self, tmp_path):
        list(run(jobs(), tmp_path / "alone", workers=1, synthesise=stubs.drawn_grasps))
        assert len(contents(tmp_path / "alone")) == len(NAMES)
        finished = list(run(jobs(), tmp_path / "pool", workers=2, synthesise=stubs.drawn_grasps))
        assert sorted(one.job.name for one in finished) == sorted(NAMES)
        assert contents(tmp_path / "pool") == contents(tmp_path / "alone")
        for _ in NAMES:
            pieces = run(jobs(), tmp_path / "pieces", workers=1, synthesise=stubs.drawn_grasps)
            assert len(contents(tmp_path / "pieces")) < len(NAMES)
            next(pieces)
            pieces.close()
        assert contents(tmp_path / "pieces") == contents(tmp_path / "alone")
        again = run(jobs(), tmp_path / "alone", workers=1, synthesise=pytest.fail)
        assert list(again) == []

    def test_no_grasps_are_a_result(self, tmp_path):
        finished = list(run(jobs("mug/0"), tmp_path, workers=1, synthesise=stubs.no_grasps))
        assert finished[0].grasps == 0
        assert not finished[0].problem
        assert open_tasks(jobs("mug/0"), tmp_path) == []

    def test_bad_objects_are_told_and_the_others_finished(self, tmp_path):
        bad = ("bad/mesh", "bad/rest", "bad/model")
        finished = list(run(jobs(*bad, *NAMES), tmp_path, workers=1, synthesise=stubs.some_fail))
        told = {one.job.name: one.problem for one in finished if one.problem}
        assert told == {
            "bad/mesh": "bad/mesh: the mesh is not closed",
            "bad/rest": "bad/rest: came to rest in no drop",
            "bad/model": "bad/model: mesh volume is too small",
        }
        assert len(contents(tmp_path)) == len(NAMES)
        # They are no results, so they are tried again.
        assert len(open_tasks(jobs(*bad, *NAMES), tmp_path)) == len(bad)

    def test_meshes_that_cannot_be_used(self, tmp_path):
        box = trimesh.creation.box((0.05, 0.05, 0.05))
        box.export(tmp_path / "good.stl")
        box.update_faces(np.arange(12) > 1)
        box.export(tmp_path / "open.stl")
        trimesh.creation.box((30, 40, 50)).export(tmp_path / "huge.stl")
        quick = SynthesisConfig.from_mapping(QUICK)
        names = ("open", "missing", "huge", "good")
        tasks = [
            SynthesisJob(name, str(tmp_path / f"{name}.stl"), (1.0,), 1, synthesis=quick)
            for name in names
        ]
        finished = {one.job.name: one.problem for one in run(tasks, tmp_path / "set", workers=1)}
        assert "not closed" in finished["open"]
        assert "no such mesh file" in finished["missing"]
        assert "too large to grasp" in finished["huge"]
        assert finished["good"] == ""
        assert set(contents(tmp_path / "set")) == {"good.safetensors"}

    @pytest.mark.parametrize(
        "other", [{"seed": 1}, {"scales": (0.07,)}, {"poses": 1}, {"keep": "all"}]
    )
    def test_other_settings_are_refused(self, tmp_path, other):
        list(run(jobs("can/0"), tmp_path, workers=1, synthesise=stubs.drawn_grasps))
        before = contents(tmp_path)
        with pytest.raises(GraspDataError, match=r"can-0 was made with other settings or another"):
            next(run(jobs(**other), tmp_path, workers=1, synthesise=stubs.drawn_grasps))
        assert contents(tmp_path) == before
        assert open_tasks(jobs("can/0", device="cuda"), tmp_path) == []

    def test_a_setting_that_came_in_later_had_its_default(self, tmp_path):
        made = GraspSet.open(tmp_path, create=True)
        for name, notes in (
            ("mug/0", stubs.job("mug/0").notes()),
            ("can/0", stubs.job("can/0", poses=3).notes()),
        ):
            notes.pop("poses")
            made.append(
                stubs.drawn_grasps(stubs.job(name)), Provenance(0, notes=notes), f"{name[:3]}-0"
            )
        assert open_tasks(jobs("mug/0"), tmp_path) == []
        with pytest.raises(GraspDataError, match="other settings"):
            open_tasks(jobs("can/0", poses=3), tmp_path)

    def test_objects_that_would_share_a_shard_are_refused(self, tmp_path):
        with pytest.raises(GraspDataError, match="rename one"):
            open_tasks(jobs("a/b", "a-b"), tmp_path)

    def test_a_deadline_begins_nothing(self, tmp_path):
        past = time.monotonic()
        assert list(run(jobs(), tmp_path, workers=1, deadline=past, synthesise=pytest.fail)) == []
        soon = time.monotonic() + 0.5
        begun = list(run(jobs(), tmp_path, workers=1, deadline=soon, synthesise=stubs.slow_grasps))
        assert 1 <= len(begun) < len(NAMES)

    def test_a_killed_worker_ends_the_run_and_says_why(self, tmp_path):
        killed = run(jobs("bad/0", "mug/0"), tmp_path, workers=2, synthesise=stubs.some_are_killed)
        with pytest.raises(ChildProcessError, match=r"memory runs out.*fewer workers"):
            list(killed)

    def test_errors_of_the_disk_in_a_job_end_the_run(self, tmp_path):
        with pytest.raises(OSError, match="No space left on device: '/cache'"):
            list(run(jobs(), tmp_path, workers=1, synthesise=stubs.full_disk))

    def test_a_full_disk_is_named_and_the_set_stays(self, tmp_path):
        list(run(jobs("mug/0"), tmp_path, workers=1, synthesise=stubs.drawn_grasps))
        before = contents(tmp_path)
        with _file_size_limit(1000), pytest.raises(OSError, match=str(tmp_path)):
            list(run(jobs(), tmp_path, workers=1, synthesise=stubs.drawn_grasps))
        assert contents(tmp_path) == before
        assert not list(tmp_path.glob(".part*"))
        assert len(GraspSet.open(tmp_path)) > 0
        list(run(jobs(), tmp_path, workers=1, synthesise=stubs.drawn_grasps))
        assert len(contents(tmp_path)) == len(NAMES)

    def test_a_file_in_the_place_of_the_folder(self, tmp_path):
        (tmp_path / "set").write_text("")
        with pytest.raises(GraspDataError, match="is a folder, and this is a file"):
            next(run(jobs(), tmp_path / "set", workers=1, synthesise=pytest.fail))
        with pytest.raises(OSError, match="set"):
            next(run(jobs(), tmp_path / "set" / "below", workers=1, synthesise=pytest.fail))


class TestCommand:
    """The real command, killed and interrupted."""

    def start(self, folder: Path, settings: Path, workers: int) -> subprocess.Popen:
        command = (
            "from dexgrasp_cli.cli import main; main()",
            "data", "synth", folder, *OBJECTS, "--config", settings, "--scale", "0.06",
            "--poses", "1", "--keep", "all", "--workers", workers,
        )  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            # Shells start background jobs, and so these tests, with Ctrl-C ignored.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        line = process.stdout.readline()
        assert "3 objects" in line, line + process.stdout.read()
        return process

    @pytest.fixture
    def settings(self, tmp_path) -> Path:
        path = tmp_path / "quick.yaml"
        path.write_text(yaml.safe_dump(QUICK))
        return path

    @pytest.mark.slow
    @pytest.mark.timeout(400)
    def test_killed_at_random_moments(self, tmp_path, settings):
        undisturbed = tmp_path / "undisturbed"
        quick = SynthesisConfig.from_mapping(QUICK)
        tasks = [stubs.job(name, poses=1, keep="all", synthesis=quick) for name in OBJECTS]
        list(run(tasks, undisturbed, workers=1))
        assert len(GraspSet.open(undisturbed)) == 4 * len(OBJECTS)

        folder, generator = tmp_path / "killed", np.random.default_rng(0)
        for workers, longest in ((1, 0.5), (2, 5.0), (1, 1.5)):
            process = self.start(folder, settings, workers)
            time.sleep(generator.uniform(0.0, longest))
            with _all_end(process):
                process.kill()
            GraspSet.open(folder, create=True)
        process = self.start(folder, settings, workers=2)
        assert process.wait(300) == 0, process.stdout.read()
        assert contents(folder) == contents(undisturbed)

    @pytest.mark.slow
    @pytest.mark.timeout(400)
    @pytest.mark.parametrize("shards", [0, 1])
    def test_interrupted(self, tmp_path, settings, shards):
        """While the workers start, and when a shard is there."""
        folder = tmp_path / "set"
        process = self.start(folder, settings, workers=2)
        _wait_for(lambda: len(contents(folder)) >= shards)
        if not shards:
            _wait_for(lambda: len(psutil.Process(process.pid).children()) >= 2)
        with _all_end(process):
            os.killpg(process.pid, signal.SIGINT)
        told = process.stdout.read()
        assert process.wait(10) == 130, told
        assert "interrupted" in told
        assert "Traceback" not in told
        assert len(contents(folder)) >= shards
        assert not list(folder.glob(".part*"))


@contextmanager
def _all_end(process: subprocess.Popen) -> Iterator[None]:
    """All processes that this one has started are gone soon after the block."""
    children = psutil.Process(process.pid).children(recursive=True)
    yield
    process.wait(60)
    _, alive = psutil.wait_procs(children, timeout=60)
    for one in alive:
        one.kill()
    assert not alive


@contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    """Files can't grow beyond this, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
