"""A reach becomes a whole file, or none; the file is read back as it was."""

from __future__ import annotations

import numpy as np
import pytest
from full_disk import full_disk
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.control.teleoperation import TeleoperationState
from dexgrasp_models.tasks.pattern_files import load_patterns, read_recording
from dexgrasp_models.tasks.reach_recorder import ReachRecorder

RELEASED, ENGAGED, STOPPING, LOST = TeleoperationState


def wrist(time: float) -> np.ndarray:
    """(4, 4) 0.3 m in 1 s, with a turn."""
    share = float(np.clip(time, 0.0, 1.0))
    share = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec([0.2, 0.3 * share, 0.8 * share]).as_matrix()
    pose[:3, 3] = [0.3 * share, 0.05 * np.sin(np.pi * share), 0.4 - 0.2 * share]
    return pose


def record(recorder: ReachRecorder, end=STOPPING, fault: str = "", last=RELEASED):
    """What the recorder gives at the end of a reach of 1.2 s, on a clock that began long before."""
    for tick in range(60):
        time = 0.02 * tick
        state = ENGAGED if tick < 55 else end
        assert recorder.take(state, fault if tick >= 55 else "", 500.0 + time, wrist(time)) is None
    return recorder.take(last, fault, 501.2, wrist(1.2))


def test_a_recorded_reach_is_read_back(tmp_path):
    path = record(ReachRecorder(tmp_path / "reaches"))
    assert path == tmp_path / "reaches" / "reach_0001.csv"
    assert path.read_text().startswith("t,x,y,z,qx,qy,qz,qw\n0.000000,")
    reach = read_recording(path)
    assert reach.times == pytest.approx(0.02 * np.arange(60), abs=1e-6)
    expected = np.array([wrist(time) for time in reach.times])
    assert reach.positions == pytest.approx(expected[:, :3, 3], abs=1e-6)
    assert reach.rotations.as_matrix() == pytest.approx(expected[:, :3, :3], abs=1e-6)


def test_the_importer_makes_patterns_of_recorded_reaches(tmp_path):
    recorder = ReachRecorder(tmp_path / "reaches")
    paths = [record(recorder) for _ in range(4)]
    assert [path.name for path in paths] == [f"reach_{n:04d}.csv" for n in (1, 2, 3, 4)]
    out = tmp_path / "patterns.npz"
    result = CliRunner().invoke(
        app, ["assist", "import", str(tmp_path / "reaches"), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert len(load_patterns(out)) == 4


def test_files_that_are_there_stay(tmp_path):
    (tmp_path / "reach_0001.csv").write_text("mine")
    assert record(ReachRecorder(tmp_path)).name == "reach_0002.csv"
    assert (tmp_path / "reach_0001.csv").read_text() == "mine"


@pytest.mark.parametrize(("end", "last"), [(STOPPING, LOST), (LOST, LOST), (STOPPING, RELEASED)])
def test_a_lost_reach_leaves_no_file(tmp_path, end, last):
    recorder = ReachRecorder(tmp_path)
    assert record(recorder, end, "the hand is out of sight", last) is None
    assert list(tmp_path.iterdir()) == []
    assert record(recorder).name == "reach_0001.csv"


def test_a_reach_that_does_not_end_leaves_no_file(tmp_path):
    recorder = ReachRecorder(tmp_path)
    for tick in range(20):
        recorder.take(ENGAGED, "", 0.02 * tick, wrist(0.02 * tick))
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_comes_again_counts_once(tmp_path):
    recorder = ReachRecorder(tmp_path)
    for time in (0.0, 0.02, 0.02, 0.04):
        recorder.take(ENGAGED, "", time, wrist(time))
    assert len(read_recording(recorder.take(RELEASED, "", 0.06, wrist(0.06))).times) == 3


def test_nothing_is_left_of_what_cannot_be_written(tmp_path):
    recorder = ReachRecorder(tmp_path)
    with full_disk(1000), pytest.raises(OSError, match="reach_0001"):
        record(recorder)
    assert list(tmp_path.iterdir()) == []
    assert record(recorder).name == "reach_0001.csv"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        ReachRecorder(tmp_path / "file")
