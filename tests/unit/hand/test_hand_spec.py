"""The hand's description: what it says, and how broken ones are refused."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path

import numpy as np
import pytest
import trimesh
import yaml

from dexgrasp_models.hand.spec import HAND_DESCRIPTION, load_hand, parse_hand
from dexgrasp_models.robot.links import DescriptionError, Link, Pose, Primitive, load_description

DATA = Path(os.environ.get("DEXGRASP_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture
def description() -> dict:
    return copy.deepcopy(dict(load_description(HAND_DESCRIPTION)))


def test_joint_order_is_that_of_the_contract():
    expected = [f"rh_{finger}J{i}" for finger in ("FF", "MF", "RF") for i in (4, 3, 2, 1)]
    expected += [f"rh_{digit}J{i}" for digit in ("LF", "TH") for i in (5, 4, 3, 2, 1)]
    assert list(load_hand().finger_joints) == expected


def test_papers_count_the_same_joints_from_zero():
    hand = load_hand()
    for ours, theirs in zip(hand.finger_joints, hand.paper_joints, strict=True):
        assert theirs == f"robot0:{ours[3:5]}J{int(ours[-1]) - 1}"


def test_couplings_share_the_tendon_equally():
    hand = load_hand()
    actuators = np.random.default_rng(0).uniform(0, 1, 18)
    joints = hand.expansion @ actuators
    np.testing.assert_allclose(hand.reduction @ joints, actuators)
    for tendon in hand.tendons:
        j0 = actuators[hand.actuators.index(tendon.name)]
        assert joints[hand.joint_index(tendon.distal)] == pytest.approx(j0 / 2)
        assert joints[hand.joint_index(tendon.middle)] == pytest.approx(j0 / 2)
    np.testing.assert_allclose(hand.couple(joints), joints)
    assert len(hand.actuators) == len(set(hand.actuators)) == 18


def test_hardware_limits_are_in_our_sign():
    hand = load_hand()
    thumb = hand.joint_index("rh_THJ1")
    np.testing.assert_allclose(hand.hardware_limits[thumb], [-1.5708, 0.2618])
    assert (hand.hardware_limits[:, 0] < hand.hardware_limits[:, 1]).all()


def test_mount_puts_the_palm_behind_both_wrist_joints():
    mount = load_hand().mount
    assert mount.wrist_joints == ("rh_WRJ2", "rh_WRJ1")
    np.testing.assert_allclose(mount.root_T_palm[:3, 3], [0, -0.01, 0.21301 + 0.034])
    np.testing.assert_allclose(mount.root_T_palm[:3, :3], np.eye(3))


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (lambda d: d["links"][1].update(parent="rh_nothing"), "behind its parent rh_nothing"),
        (lambda d: d["links"][1].update(mass=-1), "mass of link rh_ffknuckle must be positive"),
        (lambda d: d["links"][1].pop("joint"), "rh_ffknuckle needs a joint"),
        (
            lambda d: d["links"][1]["joint"].update(range=[1, -1]),
            "rh_FFJ4 must rise",
        ),
        (lambda d: d["links"][1]["joint"].update(axis=[0, 2, 0]), "must have length 1"),
        (lambda d: d["links"][1]["joint"].update(name="rh_FFJ3"), "described twice"),
        (lambda d: d["links"][1]["joint"]["hardware"].update(sign=2), "sign of rh_FFJ4"),
        (lambda d: d["links"][2].update(name="rh_ffknuckle"), "described twice"),
        (lambda d: d["links"][0]["primitives"][0].update(box=[1, 2]), "box size must be 3"),
        (lambda d: d["links"][0]["primitives"][0].update(box=[1, 2, -3]), "must be positive"),
        (lambda d: d["links"][0]["primitives"].append({"cone": [1]}), "one of box and capsule"),
        (lambda d: d["links"][0].update(position=[0, 0, float("nan")]), "finite"),
        (lambda d: d["tendons"][0].update(distal="rh_XXJ1"), "unknown joint rh_XXJ1"),
        (lambda d: d["tendons"][0].update(distal="rh_FFJ3"), "next one outwards"),
        (lambda d: d["actuator"].update(kp=0), "kp must be positive"),
        (lambda d: d["joint_defaults"].update(damping=-1), "damping must not be negative"),
        (lambda d: d.pop("mount"), "lacks 'mount'"),
        (lambda d: d.update(root="rh_forearm"), "root is rh_forearm"),
    ],
)
def test_broken_descriptions_are_refused_with_the_reason(description, breaking, message):
    breaking(description)
    with pytest.raises(DescriptionError, match=re.escape(message)):
        parse_hand(description)


def test_missing_and_malformed_files_are_refused(tmp_path):
    with pytest.raises(DescriptionError, match="cannot read"):
        load_hand(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text(yaml.safe_dump([1, 2]))
    with pytest.raises(DescriptionError, match="must hold a mapping"):
        load_hand(tmp_path / "list.yaml")


@pytest.mark.parametrize(
    "primitive",
    [
        Primitive("box", (0.01, 0.02, 0.03), Pose((0.1, 0, 0), (0, 0.6, 0, 0.8))),
        Primitive("capsule", (0.01, 0.03), Pose((0, 0.1, 0), (0.6, 0, 0, 0.8))),
    ],
)
def test_inertia_agrees_with_a_mesh(primitive):
    if primitive.kind == "box":
        mesh = trimesh.creation.box(2 * np.array(primitive.size))
    else:
        radius, half_length = primitive.size
        mesh = trimesh.creation.capsule(2 * half_length, radius, count=[64, 64])
    mesh.apply_transform(primitive.pose.matrix)
    mesh.density = 0.5 / mesh.volume
    inertial = Link("link", 0.5, primitives=(primitive,)).inertial()
    assert primitive.volume == pytest.approx(mesh.volume, rel=5e-3)
    np.testing.assert_allclose(inertial.centre, mesh.center_mass, atol=1e-6)
    np.testing.assert_allclose(inertial.inertia, mesh.moment_inertia, rtol=5e-3, atol=1e-7)


def test_inertia_of_several_primitives_follows_the_parallel_axes():
    half = Primitive("box", (0.01, 0.02, 0.015), Pose((0, 0, -0.015)))
    other = Primitive("box", (0.01, 0.02, 0.015), Pose((0, 0, 0.015)))
    whole = Primitive("box", (0.01, 0.02, 0.03))
    np.testing.assert_allclose(
        Link("two", 1.0, primitives=(half, other)).inertial().inertia,
        Link("one", 1.0, primitives=(whole,)).inertial().inertia,
    )


@pytest.mark.skipif(
    not (DATA / "shadow_hand_table.md").is_file(), reason=f"no hand table in {DATA} (DEXGRASP_DATA)"
)
def test_description_equals_the_published_table():
    """Every body, joint and primitive, against the table read from the papers' model."""
    hand = load_hand()
    text = (DATA / "shadow_hand_table.md").read_text().split("## Menagerie")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| body")
    ]

    def numbers(cell: str) -> list[float]:
        return [float(value) for value in cell.split()]

    bodies = [row for row in rows if len(row) == 8]
    assert [f"rh_{row[0]}" for row in bodies] == list(hand.link_names)
    for (_, parent, offset, wxyz, joint, axis, limits, mass), link in zip(
        bodies, hand.links, strict=True
    ):
        w, x, y, z = numbers(wxyz)
        assert link.parent == (None if parent == "world" else f"rh_{parent}")
        np.testing.assert_allclose(link.pose.position, numbers(offset))
        np.testing.assert_allclose(link.pose.quaternion, [x, y, z, w], atol=1e-4)
        assert link.mass == float(mass)
        if link.joint:
            assert link.joint.paper_name == f"robot0:{joint}"
            np.testing.assert_allclose(link.joint.axis, numbers(axis), atol=1e-4)
            np.testing.assert_allclose(link.joint.range, numbers(limits))

    shapes = [row for row in rows if len(row) == 5]
    ours = [(link, primitive) for link in hand.links for primitive in link.primitives]
    assert len(shapes) == len(ours) == 18
    for (body, kind, size, position, _), (link, primitive) in zip(shapes, ours, strict=True):
        assert (f"rh_{body}", kind) == (link.name, primitive.kind)
        np.testing.assert_allclose(primitive.size, numbers(size))
        np.testing.assert_allclose(primitive.pose.position, numbers(position))
