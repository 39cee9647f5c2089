"""Layouts of folders: how many objects there are, and that each is the right one."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from mesh_samples import block

from dexgrasp_models.objects import MeshError, find_objects, load_object

BLOCKS = [block((0, 0, 0), (0.05, 0.04, 0.02)), block((0.05, 0, 0), (0.07, 0.04, 0.06))]
VOLUME = sum(part.volume for part in BLOCKS)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DEXGRASP_CACHE", str(tmp_path_factory.mktemp("cache")))


def exported(path, mesh=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    (trimesh.boolean.union(BLOCKS) if mesh is None else mesh).export(path)
    return path


def grasp_bench_object(folder):
    """As MeshProcess leaves it, raw meshes and the URDF of the pieces included."""
    for name in ("raw", "coacd", "simplified"):
        exported(folder / "mesh" / f"{name}.obj")
    for number, part in enumerate(BLOCKS):
        exported(folder / "urdf" / "meshes" / f"convex_piece_{number:03d}.obj", part)
    (folder / "urdf" / "coacd.urdf").write_text("<robot name='a'/>")
    return folder


def urdf(folder, body, name="object.urdf"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"<?xml version='1.0'?>\n<robot name='it'>{body}</robot>")
    return folder


def link(name, kind, *shapes):
    items = "".join(
        f"<{kind}>{origin}<geometry>{what}</geometry></{kind}>" for origin, what in shapes
    )
    return f"<link name='{name}'>{items}</link>"


def mesh(name, scale="1 1 1"):
    return f"<mesh filename='{name}' scale='{scale}'/>"


class TestGraspBench:
    def test_a_folder_is_one_object(self, tmp_path):
        for name in ("core_mug_1", "core_mug_2"):
            grasp_bench_object(tmp_path / "processed_data" / name)
        found = find_objects(tmp_path)
        assert [path.name for path in found] == ["core_mug_1", "core_mug_2"]
        model = load_object(found[0])
        assert model.name == "core_mug_1"
        assert len(model.pieces) == 2
        assert model.volume == pytest.approx(VOLUME)

    def test_without_its_meshes_the_pieces_are_seen(self, tmp_path):
        folder = grasp_bench_object(tmp_path / "cup")
        (folder / "mesh" / "simplified.obj").unlink()
        model = load_object(folder)
        assert model.volume == pytest.approx(VOLUME)
        assert model.visual.extents == pytest.approx((0.07, 0.04, 0.06))


class TestUrdf:
    def test_pieces_of_one_urdf_are_one_object_at_their_places(self, tmp_path):
        folder = tmp_path / "thing"
        for i, part in enumerate(BLOCKS):
            exported(folder / "meshes" / f"piece_{i}.stl", part.copy().apply_scale(1000.0))
        exported(folder / "meshes" / "look.obj")
        turned = "<origin xyz='0.1 0 0' rpy='0 0 1.5707963267948966'/>"
        scaled = [(turned, mesh(f"meshes/piece_{i}.stl", "0.001 0.001 0.001")) for i in (0, 1)]
        look = link("a", "visual", (turned, mesh("meshes/look.obj")))
        urdf(folder, look.replace("</link>", "") + link("", "collision", *scaled).split(">", 1)[1])
        assert find_objects(tmp_path) == (folder,)
        for source in (folder, folder / "object.urdf"):
            model = load_object(source)
            assert len(model.pieces) == 2
            assert model.volume == pytest.approx(VOLUME, rel=1e-5)
            assert model.visual.bounds == pytest.approx(
                np.array([(0.06, 0.0, 0.0), (0.1, 0.07, 0.06)]), abs=1e-8
            )

    def test_primitives_and_links_joined_by_fixed_joints(self, tmp_path):
        body = link("base", "collision", ("", "<box size='0.04 0.04 0.1'/>"))
        body += link("knob", "collision", ("", "<sphere radius='0.02'/>"))
        body += link("rod", "collision", ("", "<cylinder radius='0.01' length='0.05'/>"))
        joint = "<joint name='{}' type='fixed'><parent link='{}'/><child link='{}'/>{}</joint>"
        body += joint.format("a", "base", "rod", "<origin xyz='0 0 0.075'/>")
        body += joint.format("b", "rod", "knob", "<origin xyz='0 0 0.045'/>")
        model = load_object(urdf(tmp_path / "lamp", body))
        assert len(model.pieces) == 3
        assert model.visual.bounds[:, 2] == pytest.approx((-0.05, 0.14), abs=1e-6)
        volume = 0.04**2 * 0.1 + np.pi * (0.01**2 * 0.05 + 4 / 3 * 0.02**3)
        assert model.volume == pytest.approx(volume, rel=0.01)

    def test_several_urdfs_beside_each_other_are_as_many_objects(self, tmp_path):
        for i, part in enumerate(BLOCKS):
            exported(tmp_path / "meshes" / f"{i}.obj", part)
            urdf(tmp_path, link("a", "visual", ("", mesh(f"meshes/{i}.obj"))), f"{i}.urdf")
        exported(tmp_path / "other.stl")
        assert [path.name for path in find_objects(tmp_path)] == ["0.urdf", "1.urdf", "other.stl"]

    def test_package_paths_are_found(self, tmp_path):
        exported(tmp_path / "things" / "meshes" / "a.stl")
        text = link("a", "visual", ("", mesh("package://things/meshes/a.stl")))
        model = load_object(urdf(tmp_path / "things" / "urdf", text))
        assert model.volume == pytest.approx(VOLUME, rel=1e-5)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (link("a", "visual", ("", mesh("gone.stl"))), "gone.stl: .*No such file"),
            (link("a", "visual", ("", "<box size='1 2'/>")), "box with size '1 2', not 3 numbers"),
            ("<link name='a'>", "no XML"),
            ("<link name='a'/>", "neither visual nor collision"),
            (
                "<link name='a'/><link name='b'/><joint name='lid' type='revolute'>"
                "<parent link='a'/><child link='b'/></joint>",
                "joint lid is revolute",
            ),
        ],
    )
    def test_what_is_no_rigid_object_is_refused(self, tmp_path, body, message):
        urdf(tmp_path / "bad", body)
        with pytest.raises(MeshError, match=message):
            load_object(tmp_path / "bad" / "object.urdf")


def test_the_folder_of_a_decomposition_itself_is_one_object(tmp_path):
    exported(tmp_path / "coacd" / "decomposed.obj", BLOCKS[0])
    exported(tmp_path / "coacd" / "coacd_convex_piece_0.obj", BLOCKS[0])
    assert find_objects(tmp_path / "coacd") == (tmp_path / "coacd",)


def test_hidden_files_and_links_that_lead_back_are_passed_over(tmp_path):
    exported(tmp_path / "a" / "one.stl")
    (tmp_path / "a" / "._one.stl").write_bytes(b"resource fork")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert find_objects(tmp_path) == (tmp_path / "a" / "one.stl",)


class TestCollision:
    def test_one_concave_body_is_not_its_hull(self, tmp_path):
        exported(tmp_path / "visual.obj")
        exported(tmp_path / "collision.obj")
        model = load_object(tmp_path)
        assert len(model.pieces) == 2
        assert sum(piece.volume for piece in model.pieces) == pytest.approx(VOLUME, rel=0.01)

    def test_pieces_told_by_g_are_pieces(self, tmp_path):
        text, first = "", 1
        for i, part in enumerate(BLOCKS):
            text += f"g part_{i}\n" + "".join("v {} {} {}\n".format(*v) for v in part.vertices)
            text += "".join("f {} {} {}\n".format(*(face + first)) for face in part.faces)
            first += len(part.vertices)
        (tmp_path / "collision.obj").write_text(text)
        model = load_object(tmp_path)
        assert len(model.pieces) == 2
        assert model.volume == pytest.approx(VOLUME)

    def test_a_file_cut_in_its_last_piece_is_refused(self, tmp_path):
        text, first = "", 1
        for i, part in enumerate(BLOCKS):
            text += f"o part_{i}\n" + "".join("v {} {} {}\n".format(*v) for v in part.vertices)
            text += "".join("f {} {} {}\n".format(*(face + first)) for face in part.faces)
            first += len(part.vertices)
        lines = text.splitlines(keepends=True)
        for end in range(23, len(lines) - 8):
            (tmp_path / "collision.obj").write_text("".join(lines[:end]))
            with pytest.raises(MeshError, match="cut short"):
                load_object(tmp_path)

    def test_what_is_seen_may_be_open_but_not_cut_short(self, tmp_path):
        exported(tmp_path / "collision.obj", BLOCKS[0])
        ball = trimesh.creation.icosphere(subdivisions=2, radius=0.03)
        ball.apply_translation((0.02, 0.02, 0.01))
        opened = trimesh.Trimesh(ball.vertices, ball.faces[:-20])
        content = opened.export(file_type="obj").encode()
        (tmp_path / "visual.obj").write_bytes(content.rstrip())
        assert len(load_object(tmp_path).visual.faces) == 300
        for share in (0.5, 0.7, 0.9):
            (tmp_path / "visual.obj").write_bytes(content[: int(share * len(content))].rstrip())
            with pytest.raises(MeshError, match=r"cut short|can't be read"):
                load_object(tmp_path)

    def test_another_unit_than_what_is_seen_is_told(self, tmp_path):
        exported(tmp_path / "visual.obj")
        exported(tmp_path / "collision.obj", BLOCKS[0].copy().apply_scale(1000.0))
        with pytest.raises(MeshError, match="long and what is touched 50"):
            load_object(tmp_path)
