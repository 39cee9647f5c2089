"""What the browser viewer draws, without ROS: against the kinematics, closed forms and viser."""

from __future__ import annotations

import contextlib
import dataclasses
import socket

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.arm.mounting import load_mounting
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.config import find_config
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_models.robot.link_meshes import link_mesh, posed, primitive_mesh
from dexgrasp_models.robot.links import Pose, Primitive, link_poses
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_viewer.assist_figure import action_text
from dexgrasp_viewer.images import colored_depth, thumbnail
from dexgrasp_viewer.panel import Commands, Panel
from dexgrasp_viewer.scene import OTHER_COLOR, PICKED_COLOR, GraspScene
from dexgrasp_viewer.web_server import AddressError, start_server

HAND, ARM = load_hand(), load_arm()


def random_pose(rng):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=rng).as_matrix()
    pose[:3, 3] = rng.uniform(-0.3, 0.3, 3)
    return pose


def random_angles(rng):
    return rng.uniform(HAND.limits[:, 0], HAND.limits[:, 1])


def grasp(rng):
    joints = random_angles(rng)
    return Grasp(random_pose(rng), joints, joints, joints, 1.0, {}, "test")


@contextlib.contextmanager
def running_server():
    server = start_server("localhost", 0, "test")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server():
    with running_server() as server:
        yield server


@pytest.fixture
def scene(server):
    rig = load_rig(find_config("cameras/four_d415.yaml"))
    return GraspScene(server.scene, HAND, ARM, load_mounting(), rig)


def node(server, name):
    return server.scene.get_handle_by_name(name)


def node_pose(handle):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(handle.wxyz, scalar_first=True).as_matrix()
    pose[:3, 3] = handle.position
    return pose


# Link poses


def test_hand_links_stand_where_the_kinematics_say():
    rng = np.random.default_rng(1)
    joints = np.array([random_angles(rng) for _ in range(50)])
    expected = HandKinematics(HAND, dtype=torch.float64).link_poses(
        torch.eye(4, dtype=torch.float64).repeat(50, 1, 1), torch.from_numpy(joints)
    )
    for row, poses in zip(joints, expected.numpy(), strict=True):
        angles = dict(zip(HAND.finger_joints, row, strict=True))
        np.testing.assert_allclose(link_poses(HAND.links, angles), poses, atol=1e-9)


def test_arm_and_forearm_meet_at_the_palm():
    """The arm's last link leads to the palm that the inverse kinematics put there."""
    mounting, rng = load_mounting(), np.random.default_rng(2)
    kinematics = ArmKinematics(ARM, HAND, mounting)
    for _ in range(20):
        joints = rng.uniform(-2.0, 2.0, 6)
        last = link_poses(ARM.links, dict(zip(ARM.joint_names, joints, strict=True)))[-1]
        tool = mounting.world_T_base @ last @ ARM.tool_pose.matrix
        palm = tool @ mounting.tool_T_forearm @ HAND.mount.root_T_palm
        np.testing.assert_allclose(palm, kinematics.fk(joints), atol=1e-9)


# Meshes


@pytest.mark.parametrize(
    ("primitive", "reach", "tolerance"),
    [
        (Primitive("box", (0.01, 0.02, 0.03)), (0.01, 0.02, 0.03), 1e-9),
        (Primitive("capsule", (0.01, 0.03)), (0.01, 0.01, 0.04), 0.06),
    ],
)
def test_primitive_meshes_have_their_size_and_volume(primitive, reach, tolerance):
    mesh = primitive_mesh(primitive)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), reach, atol=1e-9)
    np.testing.assert_allclose(mesh.vertices.min(axis=0), np.negative(reach), atol=1e-9)
    a, b, c = mesh.vertices[mesh.faces].swapaxes(0, 1)
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert volume == pytest.approx(primitive.volume, rel=tolerance)


def test_primitives_are_placed_in_their_link():
    turned = Pose((0.1, 0.2, 0.3), (0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5)))  # z to x
    vertices = primitive_mesh(Primitive("capsule", (0.01, 0.03), turned)).vertices
    np.testing.assert_allclose(vertices.max(axis=0), (0.14, 0.21, 0.31), atol=1e-9)


def test_posed_links_are_one_mesh():
    meshes = [link_mesh(link) for link in HAND.links]
    poses = link_poses(HAND.links, {})
    whole = posed(meshes, poses)
    drawn = [mesh for mesh in meshes if mesh is not None]
    assert len(whole.vertices) == sum(len(mesh.vertices) for mesh in drawn)
    assert whole.faces.max() == len(whole.vertices) - 1
    last = max(index for index, mesh in enumerate(meshes) if mesh is not None)
    expected = meshes[last].vertices @ poses[last][:3, :3].T + poses[last][:3, 3]
    np.testing.assert_allclose(whole.vertices[-len(expected) :], expected)


# The scene


def test_hand_is_hidden_until_posed_and_then_follows(server, scene):
    assert not node(server, "/hand").visible
    rng = np.random.default_rng(3)
    palm, joints = random_pose(rng), random_angles(rng)
    angles = dict(zip(HAND.finger_joints, joints, strict=True))
    scene.show_hand(palm, angles)
    assert node(server, "/hand").visible
    np.testing.assert_allclose(node_pose(node(server, "/hand")), palm, atol=1e-6)
    tip = HAND.distal_links[0]
    expected = link_poses(HAND.links, angles)[HAND.link_index(tip)]
    np.testing.assert_allclose(node_pose(node(server, f"/hand/{tip}")), expected, atol=1e-6)


def test_only_what_moved_is_sent(server, scene):
    rng = np.random.default_rng(4)
    palm, angles = random_pose(rng), dict.fromkeys(HAND.finger_joints, 0.3)
    scene.show_hand(palm, angles)
    sent = []
    server.scene._queue_scene_message = sent.append
    scene.show_hand(palm + 1e-6, angles)
    assert not sent
    tip = HAND.joints[HAND.link_index(HAND.distal_links[0]) - 1].name
    scene.show_hand(palm, {**angles, tip: 0.5})
    assert {message.name for message in sent} == {f"/hand/{HAND.distal_links[0]}"}


def test_arm_is_drawn_only_where_there_is_one(server, scene):
    palm, angles = np.eye(4), dict.fromkeys(HAND.finger_joints, 0.0)
    scene.show_arm(palm, angles)
    assert not node(server, "/arm").visible
    scene.show_arm(palm, angles | dict.fromkeys(ARM.joint_names, 0.1))
    assert node(server, "/arm").visible
    forearm = node_pose(node(server, "/forearm"))
    np.testing.assert_allclose(forearm @ HAND.mount.root_T_palm, palm, atol=1e-6)


def test_cloud_leaves_out_points_that_are_not_finite(server, scene):
    points = np.random.default_rng(5).uniform(-0.1, 0.1, (100, 3)).astype(np.float32)
    points[3] = np.nan
    scene.show_object_cloud(points)
    np.testing.assert_array_equal(node(server, "/clouds/object").points, np.delete(points, 3, 0))


def test_empty_cloud_is_shown_as_nothing(server, scene):
    scene.show_object_cloud(np.zeros((0, 3), np.float32))
    assert len(node(server, "/clouds/object").points) == 0


def test_proposals_replace_one_another_and_one_is_picked(server, scene):
    rng = np.random.default_rng(6)
    scene.show_proposals([grasp(rng) for _ in range(5)], 0, "picked")
    scene.show_proposals([grasp(rng) for _ in range(3)], 1, "picked")
    handles = [node(server, f"/proposals/{rank}") for rank in range(3)]
    assert node(server, "/proposals/3") is None
    assert [handle.visible for handle in handles] == [False, True, False]
    scene.pick_proposal(2, "all")
    assert [handle.color for handle in handles] == [OTHER_COLOR, OTHER_COLOR, PICKED_COLOR]
    assert handles[2].opacity > handles[0].opacity
    scene.pick_proposal(2, "none")
    assert not any(handle.visible for handle in handles)


def test_cameras_look_at_the_object(server, scene):
    for camera in load_rig(find_config("cameras/four_d415.yaml")):
        frustum = node(server, f"/cameras/{camera.name}")
        np.testing.assert_allclose(node_pose(frustum), camera.world_T_optical, atol=1e-6)
        assert 2 * np.tan(frustum.fov / 2) * camera.fy == pytest.approx(camera.height)


# The panel


def make_panel(server, pressed):
    names = [each.name for each in dataclasses.fields(Commands)]
    commands = {name: lambda name=name: pressed.append(name) for name in names}
    return Panel(server.gui, Commands(**commands), "depth")


def test_picked_proposal_stays_below_the_count(server):
    panel = make_panel(server, [])
    panel.show_proposal_count(8)
    panel._rank.value = 8
    assert panel.picked == 7
    panel.show_proposal_count(3)
    assert panel.picked == 0
    panel._rank.value = 8  # the slider of a page that has not heard of the new ones yet
    assert panel.picked == 2


def test_diagnostics_show_the_worst_first(server):
    panel = make_panel(server, [])
    panel.show_diagnostics({"a": (0, "fine"), "b": (2, "broken"), "c": (1, "hm")})
    rows = panel._diagnostics.content.splitlines()
    assert rows == ["- **b** ERROR: broken", "- **c** WARN: hm", "- **a** OK: fine"]


# Images


def test_depth_colours_run_from_near_to_far_and_leave_gaps_black():
    depth = np.tile(np.linspace(400, 900, 100), (10, 1)).astype(np.uint16)
    depth[:, 50] = 0
    colors = colored_depth(depth)
    assert not colors[:, 50].any()
    red, _, blue = colors[0, 2].astype(int)
    assert red > blue
    red, _, blue = colors[0, 97].astype(int)
    assert blue > red
    metres = np.where(depth > 0, depth / 1000, np.nan)
    np.testing.assert_allclose(colored_depth(metres), colors, atol=8)


@pytest.mark.parametrize("value", [0, 700])
def test_depth_without_contrast_is_no_error(value):
    assert colored_depth(np.full((4, 5), value, np.uint16)).shape == (4, 5, 3)


def test_thumbnail_keeps_the_shape_and_never_enlarges():
    image = np.zeros((480, 640, 3), np.uint8)
    assert thumbnail(image, 213).shape == (160, 214, 3)
    assert thumbnail(image, 1000).shape == image.shape


# The server


def test_busy_port_is_refused():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AddressError, match=f"port {port} is taken"):
            start_server("localhost", port, "test")


def test_foreign_address_is_refused():
    with pytest.raises(AddressError, match="set the parameters 'host' and 'port'"):
        start_server("192.0.2.1", 8080, "test")


def test_port_can_be_used_again_after_a_stop():
    with running_server() as server:
        port = server.get_port()
    start_server("localhost", port, "test").stop()


# A person's wrist, and what assists it


def test_the_trail_is_the_way_the_wrist_came(server, scene):
    way = np.linspace([0.0, 0.0, 0.3], [0.1, 0.0, 0.2], 11)
    for position in way:
        pose = np.eye(4)
        pose[:3, 3] = position
        scene.assist.show_wrist(pose)
        scene.assist.show_wrist(pose)  # a wrist at rest adds nothing
    assert np.array_equal(node_pose(node(server, "/assist/wrist")), pose)
    points = node(server, "/assist/trail").points
    assert points == pytest.approx(np.stack((way[:-1], way[1:]), axis=1), abs=1e-6)
    scene.assist.begin()
    assert not node(server, "/assist/trail").visible


def test_arrows_lead_from_the_fingertips_along_the_actuators(server, scene):
    rng = np.random.default_rng(0)
    palm, joints = random_pose(rng), HAND.couple(random_angles(rng))
    action = np.zeros(len(HAND.actuators))
    action[HAND.actuators.index("rh_MFJ3")] = 1.0
    angles = dict(zip(HAND.finger_joints, joints, strict=True))
    scene.assist.show_policy(palm, angles, action, None)
    arrows = node(server, "/assist/action").points
    assert not node(server, "/assist/gradient").visible
    kinematics = HandKinematics(HAND, dtype=torch.float64)
    moved = joints.copy()
    moved[HAND.joint_index("rh_MFJ3")] += 0.3
    for end, at in enumerate((joints, moved)):
        poses = kinematics.link_poses(torch.tensor(palm)[None], torch.tensor(at)[None])[0].numpy()
        for finger, name in enumerate(HAND.distal_links):
            link = HAND.link_index(name)
            tip = poses[link] @ [*HAND.links[link].primitives[0].segment[1], 1.0]
            assert arrows[finger, end] == pytest.approx(tip[:3], abs=1e-5)
    lengths = np.linalg.norm(arrows[:, 1] - arrows[:, 0], axis=1)
    assert np.flatnonzero(lengths > 1e-6).tolist() == [1]


def test_bars_tell_the_fastest_actuator_of_each_finger():
    action = np.zeros(len(HAND.actuators))
    action[HAND.actuators.index("rh_FFJ3")], action[HAND.actuators.index("rh_FFJ0")] = 0.2, -0.5
    text = action_text("assist", "the person's wrist is 0.20 s old", HAND.actuators, action)
    lines = text.splitlines()
    assert lines[0] == "**assist**: the person's wrist is 0.20 s old"
    assert lines[1] == "- `FF -0.50 #####     `"
    assert [line.split()[1] for line in lines[1:]] == ["`FF", "`MF", "`RF", "`LF", "`TH"]
