"""Rig files, camera geometry and the errors of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import (
    CameraModel,
    RigError,
    load_rig,
    look_at,
    save_rig,
)

INTRINSICS = {"width": 640, "height": 480, "fx": 615.0, "fy": 615.0, "cx": 319.5, "cy": 239.5}
CAMERA = {"name": "camera_1", "position": [0.4, 0.3, 0.5], "focus": [0.0, 0.0, 0.1]}


def rig_file(tmp_path, data):
    path = tmp_path / "rig.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


def test_the_four_cameras_see_the_whole_workspace():
    rig = load_rig(find_config("cameras/four_d415.yaml"))
    assert [camera.name for camera in rig] == [f"camera_{i}" for i in (1, 2, 3, 4)]
    corners = np.array([[x, y, z] for x in (-0.2, 0.2) for y in (-0.2, 0.2) for z in (0.0, 0.15)])
    for camera in rig:
        position = camera.world_T_optical[:3, 3]
        elevation = np.degrees(np.arcsin((position[2] - 0.06) / 0.65))
        assert 30.0 < elevation < 45.0
        assert 50.0 < np.degrees(camera.horizontal_fov) < 66.0
        columns, rows = camera.project(corners).T
        in_view = (columns > 0) & (columns < camera.width) & (rows > 0) & (rows < camera.height)
        # the corners nearest to a camera may leave its view; all cameras' views cover each
        assert in_view.mean() > 0.7
    seen = [
        ((camera.project(corners) > 0) & (camera.project(corners) < (640, 480))).all(axis=1)
        for camera in rig
    ]
    assert (np.sum(seen, axis=0) >= 3).all()


def test_unidexgrasps_five_cameras():
    rig = load_rig(find_config("cameras/unidexgrasp_five.yaml"))
    positions = np.array([camera.world_T_optical[:3, 3] for camera in rig])
    np.testing.assert_allclose(
        positions,
        [[0.5, 0, 0.05], [-0.5, 0, 0.05], [0, 0.5, 0.05], [0, -0.5, 0.05], [0, 0, 0.55]],
    )
    for camera in rig:
        np.testing.assert_allclose(camera.project([[0.0, 0.0, 0.05]]), [[319.5, 239.5]], atol=1e-9)


def test_look_at_has_the_focus_in_the_middle_and_up_upwards():
    pose = look_at([0.6, 0.0, 0.4], [0.0, 0.0, 0.0])
    camera = CameraModel("camera_1", **INTRINSICS, world_T_optical=pose)
    focus, above, left = camera.project([[0, 0, 0], [0, 0, 0.1], [0, -0.1, 0]])
    np.testing.assert_allclose(focus, (319.5, 239.5), atol=1e-9)
    assert above[1] < focus[1]
    assert above[0] == pytest.approx(focus[0])
    assert left[0] < focus[0]  # looking along -x with z up, -y is to the left
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)


def test_body_and_optical_frames_follow_rep_103():
    camera = CameraModel(
        "camera_1", **INTRINSICS, world_T_optical=look_at([0.6, 0.0, 0.0], [0.0, 0.0, 0.0])
    )
    link = camera.world_T_link
    np.testing.assert_allclose(link[:3, 0], [-1, 0, 0], atol=1e-12)  # x forward
    np.testing.assert_allclose(link[:3, 2], [0, 0, 1], atol=1e-12)  # z up
    np.testing.assert_allclose(link[:3, 3], camera.world_T_optical[:3, 3])
    assert camera.optical_frame == "camera_1_depth_optical_frame"


def test_points_behind_the_camera_have_no_pixel():
    camera = CameraModel("camera_1", **INTRINSICS, world_T_optical=np.eye(4))
    assert np.isnan(camera.project([[0.0, 0.0, -1.0]])).all()
    np.testing.assert_allclose(camera.project([[0.1, 0.0, 1.0]]), [[381.0, 239.5]])


def test_full_poses_and_own_intrinsics(tmp_path):
    rotation = Rotation.from_euler("xyz", [100, 20, 30], degrees=True)
    entry = {
        "name": "left",
        "position": [1.0, 2.0, 3.0],
        "quaternion_xyzw": rotation.as_quat().tolist(),
        "intrinsics": {**INTRINSICS, "fx": 500},
    }
    left, right = load_rig(
        rig_file(tmp_path, {"intrinsics": INTRINSICS, "cameras": [entry, CAMERA]})
    )
    np.testing.assert_allclose(left.world_T_optical[:3, :3], rotation.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(left.world_T_optical[:3, 3], [1.0, 2.0, 3.0])
    assert (left.fx, right.fx) == (500.0, 615.0)


def test_a_rig_survives_being_written(tmp_path):
    rig = load_rig(find_config("cameras/unidexgrasp_five.yaml"))
    save_rig(rig, tmp_path / "copy.yaml", comment="first\nsecond")
    for copy, camera in zip(load_rig(tmp_path / "copy.yaml"), rig, strict=True):
        assert copy.name == camera.name
        np.testing.assert_allclose(copy.world_T_optical, camera.world_T_optical, atol=1e-12)
        np.testing.assert_array_equal(copy.matrix, camera.matrix)
    assert (tmp_path / "copy.yaml").read_text().startswith("# first\n# second\n")


def test_a_serial_is_read_and_written(tmp_path):
    first, second = load_rig(
        rig_file(tmp_path, {**with_camera(serial="0123"), "intrinsics": INTRINSICS})
    ) + load_rig(rig_file(tmp_path, with_camera()))
    assert (first.serial, second.serial) == ("0123", None)
    save_rig([first], tmp_path / "copy.yaml")
    assert load_rig(tmp_path / "copy.yaml")[0].serial == "0123"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "rig.yaml"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_rig(load_rig(find_config("cameras/four_d415.yaml")), path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["rig.yaml"]


def with_camera(**changes):
    return {"intrinsics": INTRINSICS, "cameras": [{**CAMERA, **changes}]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("cameras: [", "not YAML"),
        ("just text", "must be a mapping"),
        ({"cameras": []}, "at least one camera"),
        ({"cameras": [CAMERA]}, "no 'intrinsics'"),
        ({"intrinsics": INTRINSICS, "cameras": [CAMERA, CAMERA]}, "more than once: camera_1"),
        ({"intrinsics": {"width": 640}, "cameras": [CAMERA]}, "lack height, fx, fy, cx, cy"),
        ({"intrinsic": {}, "cameras": [CAMERA]}, "unknown keys intrinsic"),
        (with_camera(name="1st camera"), "letters, digits"),
        (with_camera(nane="x"), "unknown keys nane"),
        (with_camera(position=[0.4, 0.3]), "list of 3 numbers"),
        (with_camera(position=[0.4, 0.3, float("nan")]), "finite number"),
        (with_camera(focus=[0.4, 0.3, 0.5]), "coincide"),
        (with_camera(focus=[0.4, 0.3, 0.0]), "another 'up'"),
        (with_camera(quaternion_xyzw=[0, 0, 0, 1]), "either 'focus' or 'quaternion_xyzw'"),
        ({"intrinsics": {**INTRINSICS, "width": 640.5}, "cameras": [CAMERA]}, "whole pixels"),
        ({"intrinsics": {**INTRINSICS, "height": 0}, "cameras": [CAMERA]}, "whole pixels"),
        ({"intrinsics": {**INTRINSICS, "fx": -1}, "cameras": [CAMERA]}, "must be positive"),
        ({"intrinsics": {**INTRINSICS, "cx": 900}, "cameras": [CAMERA]}, "outside the"),
        (with_camera(serial=821212060746), 'in quotes, as in serial: "8'),
        (with_camera(serial=" "), "in quotes"),
        (
            {
                "intrinsics": INTRINSICS,
                "cameras": [{**CAMERA, "name": name, "serial": "12"} for name in ("a", "b")],
            },
            "serials occur more than once: 12",
        ),
    ],
)
def test_bad_rigs_say_what_is_wrong(tmp_path, data, reason):
    with pytest.raises(RigError, match=reason) as raised:
        load_rig(rig_file(tmp_path, data))
    assert "rig.yaml" in str(raised.value)


def test_a_quaternion_must_have_unit_length(tmp_path):
    entry = {"name": "camera_1", "position": [0, 0, 1], "quaternion_xyzw": [0, 0, 0, 0.9]}
    with pytest.raises(RigError, match="has length"):
        load_rig(rig_file(tmp_path, {"intrinsics": INTRINSICS, "cameras": [entry]}))


def test_a_missing_rig_is_named(tmp_path):
    with pytest.raises(RigError, match=r"absent\.yaml: No such file"):
        load_rig(tmp_path / "absent.yaml")


def test_a_mirrored_pose_is_no_camera():
    camera = CameraModel("camera_1", **INTRINSICS, world_T_optical=np.eye(4))
    with pytest.raises(RigError, match="rigid"):
        replace(camera, world_T_optical=np.diag([1.0, 1.0, -1.0, 1.0]))
