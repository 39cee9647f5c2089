"""Files of patterns and reaches: read as they are, or refused with the reason."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from full_disk import full_disk
from reach_samples import AXES, HEADER, csv_text, pickled, reaches_of, stamped, trajectory

from dexgrasp_models.data.object_arrays import write_npz
from dexgrasp_models.tasks.pattern_files import (
    load_patterns,
    read_handover,
    read_reaches,
    read_recording,
    read_recordings,
    save_patterns,
)
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.wrist_patterns import PatternError, processed

PATTERNS = generate(np.random.default_rng(0), 8)
REACHES = reaches_of(PATTERNS, np.random.default_rng(1))
TRAJECTORIES = [trajectory(reach) for reach in REACHES]
BY_NAME = {f"2020-{number}": each for number, each in enumerate(TRAJECTORIES)}
BY_AXIS = {axis: [each[axis] for each in TRAJECTORIES] for axis in AXES}


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def written(folder, name: str, content: object):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else pickled(content))
    return path


def assert_same_reaches(found, expected=REACHES):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.positions == pytest.approx(other.positions, abs=1e-12)
        assert (one.rotations.inv() * other.rotations).magnitude() == pytest.approx(0, abs=1e-7)


class TestPatterns:
    def test_they_come_back_to_the_bit(self, folder):
        save_patterns(folder / "new" / "p.npz", PATTERNS)
        found = load_patterns(folder / "new" / "p.npz")
        for name in ("along", "lateral", "turning", "turns"):
            assert np.array_equal(getattr(found, name), getattr(PATTERNS, name))

    def test_a_full_disk_leaves_what_was_there(self, folder):
        path = folder / "p.npz"
        save_patterns(path, PATTERNS)
        before = path.read_bytes()
        with full_disk(10_000), pytest.raises(OSError, match=r"p\.npz"):
            save_patterns(path, generate(np.random.default_rng(1)))
        assert path.read_bytes() == before
        assert [each.name for each in folder.iterdir()] == ["p.npz"]

    def test_cut_short_at_any_place(self, folder):
        path = folder / "p.npz"
        save_patterns(path, PATTERNS)
        content = path.read_bytes()
        for length in [*range(0, len(content), 997), len(content) - 1]:
            path.write_bytes(content[:length])
            with pytest.raises(PatternError, match=r"p.npz: is cut short or no \.npz file"):
                load_patterns(path)

    def test_damaged_at_any_place(self, folder):
        path = folder / "p.npz"
        save_patterns(path, PATTERNS)
        content = path.read_bytes()
        for place in range(0, len(content), 499):
            flipped = bytes([content[place] ^ 0x55])
            path.write_bytes(content[:place] + flipped + content[place + 1 :])
            try:
                found = load_patterns(path)
            except PatternError as error:
                assert "p.npz" in str(error)  # noqa: PT017
            else:  # nothing that is read depends on that byte
                assert np.array_equal(found.along, PATTERNS.along)

    def test_other_files(self, folder):
        path = folder / "p.npz"
        arrays = {name: getattr(PATTERNS, name) for name in ("along", "lateral", "turning")}
        write_npz(path, arrays)
        with pytest.raises(PatternError, match="holds no wrist patterns; `dexgrasp assist import`"):
            load_patterns(path)
        write_npz(path, {"format": np.array("dexgrasp wrist patterns 9"), **arrays})
        with pytest.raises(PatternError, match="its format is dexgrasp wrist patterns 9, not"):
            load_patterns(path)
        arrays["format"] = np.array("dexgrasp wrist patterns 1")
        write_npz(path, arrays)
        with pytest.raises(PatternError, match="has no turns"):
            load_patterns(path)
        write_npz(path, {**arrays, "turns": np.full((8, 3), np.nan)})
        with pytest.raises(PatternError, match=r"p\.npz: pattern 0: turns is not finite"):
            load_patterns(path)
        write_npz(path, {**arrays, "turns": np.array(["a"] * 8)})
        with pytest.raises(PatternError, match=r"p\.npz: could not convert"):
            load_patterns(path)
        with pytest.raises(FileNotFoundError):
            load_patterns(folder / "absent.npz")


class TestHandover:
    @pytest.mark.parametrize("content", [BY_NAME, BY_AXIS], ids=["by name", "by axis"])
    def test_both_layouts_are_read(self, folder, content):
        found = read_handover(written(folder, "h.npy", content))
        assert_same_reaches(found)
        assert processed(found).along == pytest.approx(PATTERNS.along, abs=1e-9)

    def test_what_numpy_saves_is_read(self, folder):
        arrays = {name: {k: np.array(v) for k, v in one.items()} for name, one in BY_NAME.items()}
        np.save(folder / "h.npy", arrays, allow_pickle=True)
        assert_same_reaches(read_reaches(folder / "h.npy"))

    def test_angles_are_about_fixed_axes(self, folder):
        moments = 3
        lists = {axis: [0.0] * moments for axis in AXES} | {
            "roll_pos": [0.3] * moments,
            "pitch_pos": [0.5] * moments,
            "yaw_pos": [0.7] * moments,
        }
        found = read_handover(written(folder, "h.npy", {"a": lists}))[0]
        sin, cos = np.sin([0.3, 0.5, 0.7]), np.cos([0.3, 0.5, 0.7])
        x = np.array([[1, 0, 0], [0, cos[0], -sin[0]], [0, sin[0], cos[0]]])
        y = np.array([[cos[1], 0, sin[1]], [0, 1, 0], [-sin[1], 0, cos[1]]])
        z = np.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])
        assert found.rotations[0].as_matrix() == pytest.approx(z @ y @ x)

    def test_cut_short_at_any_place(self, folder):
        content = pickled(BY_NAME)
        for length in [*range(0, len(content), 499), len(content) - 1]:
            path = written(folder, "h.npy", content[:length])
            with pytest.raises(PatternError, match=r"h.npy: is cut short or no NumPy file"):
                read_handover(path)

    def test_a_file_that_would_run_something_is_refused_unrun(self, folder):
        class Evil:
            def __reduce__(self):
                return os.system, (f"touch {folder / 'trace'}",)

        for content in (Evil(), {"a": Evil()}, {"a": {"x_pos": Evil()}}, {"x_pos": [Evil()]}):
            with pytest.raises(
                PatternError, match=r"h.npy: it names posix.system, and only arrays"
            ):
                read_handover(written(folder, "h.npy", content))
        assert not (folder / "trace").exists()

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ([1, 2, 3], "holds no dict of trajectories"),
            ({}, "holds no dict of trajectories"),
            ({"a": [1.0, 2.0]}, "trajectory a is a list, and no dict of x_pos"),
            ({"a": {"x_pos": [0.0]}}, "trajectory a has no y_pos and no z_pos and no roll_pos"),
            ({"x_pos": [[0.0]], "y_pos": [[0.0]]}, "has no z_pos and no roll_pos"),
            (BY_AXIS | {"yaw_pos": 3.0}, "yaw_pos is a float, and no list"),
            (BY_AXIS | {"yaw_pos": BY_AXIS["yaw_pos"][:5]}, "x_pos 8, .* yaw_pos 5"),
            ({axis: [] for axis in AXES}, "holds no trajectory"),
            ({"a": {axis: [] for axis in AXES}}, "trajectory a is empty"),
        ],
    )
    def test_other_content(self, folder, content, message):
        with pytest.raises(PatternError, match=message):
            read_handover(written(folder, "h.npy", content))

    @pytest.mark.parametrize(
        ("axis", "values", "message"),
        [
            ("z_pos", [0.0] * 101, r"is cut short: .* \(x_pos 102, y_pos 102, z_pos 101"),
            ("roll_pos", [0.0] * 7 + [np.nan] + [0.0] * 94, "roll_pos that is nan at moment 7"),
            ("x_pos", [np.inf] * 102, "x_pos that is inf at moment 0"),
            ("x_pos", ["a"] * 102, "x_pos that is no list of numbers"),
            ("x_pos", None, "x_pos of shape"),
            ("x_pos", [[0.0, 1.0]] * 102, "x_pos of shape"),
            ("x_pos", [[0.0], [1.0, 2.0]], "x_pos that is no list of numbers"),
        ],
    )
    def test_a_bad_list_is_told_with_its_trajectory(self, folder, axis, values, message):
        content = {"a": TRAJECTORIES[0], "b": TRAJECTORIES[1] | {axis: values}}
        with pytest.raises(PatternError, match=f"trajectory b .*{message}"):
            read_handover(written(folder, "h.npy", content))
        other = {name: [*BY_AXIS[name][:3], values] for name in (axis,)}
        lists = {name: BY_AXIS[name][:4] for name in AXES} | other
        with pytest.raises(PatternError, match=f"trajectory 3 .*{message}"):
            read_handover(written(folder, "h.npy", lists))


class TestRecordings:
    def test_text(self, folder):
        (folder / "r.csv").write_text(csv_text(REACHES[0]))
        found = read_recording(folder / "r.csv")
        assert np.array_equal(found.times, REACHES[0].times)
        assert_same_reaches([found], REACHES[:1])

    def test_arrays(self, folder):
        arrays = {f"reach_{row}": stamped(reach) for row, reach in enumerate(REACHES)}
        np.savez_compressed(folder / "r.npz", **arrays)
        assert_same_reaches(read_recordings(folder / "r.npz"))

    def test_all_files_of_a_folder(self, folder):
        (folder / "a.csv").write_text(csv_text(REACHES[0]))
        np.savez(folder / "b.npz", stamped(REACHES[1]), stamped(REACHES[2]))
        written(folder, "c.npy", {"x": TRAJECTORIES[3]})
        (folder / "notes.txt").write_text("not a reach")
        assert_same_reaches(read_reaches(folder), REACHES[:4])

    def test_text_that_is_cut_short_inside_a_line(self, folder):
        text = csv_text(REACHES[0])
        path = folder / "r.csv"
        for length in [*range(0, len(text), 97), len(text) - 1]:
            path.write_text(text[:length])
            if length > len(HEADER) and text[length - 1] == "\n":
                continue  # whole lines are a shorter recording
            with pytest.raises(PatternError, match=r"r.csv: (its first line|is cut short)"):
                read_recording(path)

    def test_arrays_that_are_cut_short_or_damaged(self, folder):
        path = folder / "r.npz"
        for save in (np.savez, np.savez_compressed):
            save(path, stamped(REACHES[0]))
            content = path.read_bytes()
            for length in range(0, len(content), 499):
                path.write_bytes(content[:length])
                with pytest.raises(PatternError, match=r"is cut short or no \.npz file"):
                    read_recordings(path)
            for place in range(60, len(content) - 200, 211):
                flipped = bytes([content[place] ^ 0x55])
                path.write_bytes(content[:place] + flipped + content[place + 1 :])
                with pytest.raises(PatternError, match=r"r\.npz"):
                    read_recordings(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "its first line is not t,x,y,z,qx,qy,qz,qw"),
            ("t,x,y,z\n0,0,0,0\n", "its first line is not"),
            (HEADER, "holds no pose"),
            (HEADER + "0,0,0,0,0,0,0,1\n1,0,0,0\n", "line 3 has 4 numbers, not 8"),
            (HEADER + "0,0,0,zero,0,0,0,1\n", "line 2: could not convert"),
            (HEADER + "0,0,0,0,0,0,0,1\n\n1,0,0,0,0,0,0,1\n", "line 3: could not convert"),
            (HEADER + "0,0,nan,0,0,0,0,1\n", "pose 0: y is nan"),
            (HEADER + "0,0,0,0,0,0,0,0.9\n", "pose 0: its quaternion's length is 0.9, not 1"),
            (HEADER + "0,0,0,0,0,0,0,1\n0,0,0,0,0,0,0,1\n", r"pose 1: its time 0\.0 is not after"),
            (HEADER + "1,0,0,0,0,0,0,1\n0,0,0,0,0,0,0,1\n", r"pose 1: its time 0\.0 is not after"),
        ],
    )
    def test_text_that_makes_no_sense(self, folder, text, message):
        (folder / "r.csv").write_text(text)
        with pytest.raises(PatternError, match=rf"r\.csv: {message}"):
            read_recording(folder / "r.csv")

    def test_other_files(self, folder):
        (folder / "r.csv").write_bytes(b"\xff\xfe\x00\x80")
        with pytest.raises(PatternError, match="is no text"):
            read_recording(folder / "r.csv")
        with pytest.raises(PatternError, match="no such file or folder"):
            read_reaches(folder / "absent.csv")
        (folder / "r.bag").touch()
        with pytest.raises(PatternError, match=r"reaches are read from \.npy, \.npz, \.csv"):
            read_reaches(folder / "r.bag")
        (folder / "empty").mkdir()
        with pytest.raises(PatternError, match="has no files of reaches"):
            read_reaches(folder / "empty")
        for array in (np.zeros((5, 7)), np.zeros(8), np.array([["a"] * 8])):
            np.savez(folder / "r.npz", first=array)
            with pytest.raises(PatternError, match=r"r\.npz: first is .* not numbers \(M, 8\)"):
                read_recordings(folder / "r.npz")
        np.savez(folder / "r.npz", first=np.full((5, 8), np.nan))
        with pytest.raises(PatternError, match=r"r\.npz: first: pose 0: t is nan"):
            read_recordings(folder / "r.npz")
        np.savez(folder / "r.npz")
        with pytest.raises(PatternError, match=r"r\.npz: holds no recording"):
            read_recordings(folder / "r.npz")
        save_patterns(folder / "p.npz", PATTERNS)
        with pytest.raises(PatternError, match="holds patterns already, not recordings"):
            read_recordings(folder / "p.npz")


def test_a_short_recording_is_no_pattern(folder):
    short = replace(
        REACHES[0],
        times=REACHES[0].times[:1],
        positions=REACHES[0].positions[:1],
        rotations=REACHES[0].rotations[:1],
    )
    (folder / "r.csv").write_text(csv_text(short))
    with pytest.raises(PatternError, match="only 1 of its 1 moments"):
        processed(read_reaches(folder / "r.csv"))
