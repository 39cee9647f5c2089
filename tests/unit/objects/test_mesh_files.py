"""Mesh files as the field's programs write them: the right shape, or a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from mesh_samples import BRACKET, BRACKET_AREA, block, obj_text, ply_bytes, prism

from dexgrasp_models.objects import MeshError, load_object
from dexgrasp_models.objects.mesh_files import read_groups
from dexgrasp_models.objects.obj_text import plain_obj

HEIGHT = 0.08
VERTICES, FACES = prism(BRACKET, HEIGHT)
VOLUME = BRACKET_AREA * HEIGHT
BOX = block((0.0, 0.0, 0.0), (0.05, 0.04, 0.09))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DEXGRASP_CACHE", str(tmp_path_factory.mktemp("cache")))


def surface_of(path):
    """All triangles of a file as one mesh."""
    return trimesh.util.concatenate([trimesh.Trimesh(*g, process=False) for g in read_groups(path)])


def is_bracket(path):
    mesh = surface_of(path)
    mesh.merge_vertices()
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(VOLUME, rel=1e-5)
    assert mesh.extents == pytest.approx((0.06, 0.06, HEIGHT), rel=1e-5)


def relative(text):
    """The same OBJ with indices that count back from the vertices so far."""
    lines, so_far = [], 0
    for line in text.splitlines():
        word, *rest = line.split()
        so_far += word == "v"
        if word == "f":
            line = "f " + " ".join(str(int(corner) - 1 - so_far) for corner in rest)
        lines.append(line)
    return "\n".join(lines) + "\n"


def interleaved():
    """Each face after its own vertices, told by relative indices."""
    text = ""
    for face in FACES:
        text += "".join("v {!r} {!r} {!r}\n".format(*VERTICES[corner].tolist()) for corner in face)
        text += "f " + " ".join(str(i - len(face)) for i in range(len(face))) + "\n"
    return text


TEXT = obj_text(VERTICES, FACES)
OBJ_TEXTS = {
    "plain": TEXT,
    "relative": relative(TEXT),
    "interleaved": interleaved(),
    "rotated faces": obj_text(VERTICES, [face[3:] + face[:3] for face in FACES]),
    "byte-order mark": "\ufeff" + TEXT,
    "Windows": TEXT.replace("\n", "\r\n"),
    "old Macintosh": TEXT.replace("\n", "\r"),
    "no newline at the end": TEXT.rstrip(),
    "indented, with tabs": TEXT.replace("v ", "  v\t").replace("f ", "\tf\t"),
    "comments": "# f 1 2 3\n# ends in C:\\\n" + TEXT.replace("\n", " # here\n"),
    "continued": TEXT.replace("f 8 7 6", "f 8 7 \\\n6").replace("f 9 10", "f 9\\\r\n10"),
    "weights of one": TEXT.replace("\nf", " 1.0\nf", 1).replace("\nv", " 1\nv"),
    "colours of some": TEXT.replace("\nv", " 0.1 0.2 0.3\nv", 5),
    "colours of all": TEXT.replace("\nv", " 1 0 1\nv").replace("\nf", " 0 0 1\nf", 1),
    "slashes of some": TEXT.replace("f 1 2 10 9", "vt 0 0\nvn 0 0 1\nf 1/1/1 2/1/1 10/1/1 9/1/1"),
    "corner told twice": TEXT.replace("f 1 2 10 9", "f 1 2 2 10 9"),
    "lines and points": TEXT + "l 1 2\np 3\nf 1 2\n",
    "Chinese names": "# 杯子\no 杯子\n" + TEXT + "usemtl 木\n",
    "a quad after hexagon-like corners": "vt 0 0\n"
    + TEXT.replace("f 1 2 10 9", "f 1/1 2/1 10/1 9/1"),
}


@pytest.mark.parametrize("text", OBJ_TEXTS.values(), ids=OBJ_TEXTS)
def test_an_obj_of_concave_faces_has_its_volume_however_it_is_written(tmp_path, text):
    (tmp_path / "c.obj").write_bytes(text.encode())
    is_bracket(tmp_path / "c.obj")


def test_plain_text_is_left_as_it_is():
    """Whatever else is put into plain form, and nothing is taken for plain that isn't."""
    ball = trimesh.creation.icosphere(subdivisions=1)
    ball.vertex_normals  # noqa: B018  they are exported once they are known
    for text in (ball.export(file_type="obj"), obj_text(*prism(BRACKET[:3], HEIGHT))):
        content = text.encode() + b"\n"
        assert plain_obj(content) is content
        assert plain_obj(content.replace(b"\n", b"\r\n")) == content.replace(b"\n", b"\r\n")
        for change in ((b"\nf ", b"\n f "), (b"\nv ", b"\nv\t"), (b"\nf ", b"\nf\\\n ")):
            changed = plain_obj(content.replace(*change))
            assert changed.count(b"\nf ") >= content.count(b"\nf ")
            assert changed != content.replace(*change)


def test_utf_16_is_read(tmp_path):
    (tmp_path / "c.obj").write_bytes(TEXT.encode("utf-16"))
    is_bracket(tmp_path / "c.obj")


def test_columns_are_of_each_face_and_not_of_the_first(tmp_path):
    """Six numbers: three corners with textures, or a hexagon."""
    angle = np.arange(6) * np.pi / 3
    vertices, faces = prism(0.04 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.05)
    sides = [part for a, b, c, d in faces[2:] for part in ((a, b, c), (a, c, d))]
    text = obj_text(vertices, []) + "vt 0 0\n"
    text += "".join("f {}/1 {}/1 {}/1\n".format(*(np.array(side) + 1)) for side in sides)
    text += "".join("f " + " ".join(str(i + 1) for i in face) + "\n" for face in faces[:2])
    (tmp_path / "hexagon.obj").write_text(text)
    area = 3 * np.sqrt(3) / 2 * 0.04**2
    assert load_object(tmp_path / "hexagon.obj").volume == pytest.approx(area * 0.05)


def test_several_corners_on_a_line_leave_no_hole(tmp_path):
    """As exporters write the face beside two smaller ones."""
    outline = 1e-3 * np.array([(0, 0), (10, 0), (20, 0), (50, 0), (50, 40), (20, 40), (0, 40)])
    vertices, faces = prism(outline, 0.03)
    (tmp_path / "box.obj").write_text(obj_text(vertices, faces))
    assert load_object(tmp_path / "box.obj").volume == pytest.approx(0.05 * 0.04 * 0.03)


def test_a_face_with_a_bridge_to_its_hole(tmp_path):
    """A frame: faces with holes are told by one outline that goes to the hole and back."""
    outer = 1e-3 * np.array([(0, 0), (60, 0), (60, 60), (0, 60)])
    hole = 1e-3 * np.array([(20, 20), (20, 40), (40, 40), (40, 20)])
    points = np.vstack([outer, hole])
    vertices = np.vstack([np.c_[points, np.full(8, z)] for z in (0.0, 0.03)])
    ring = [0, 1, 2, 3, 0, 4, 5, 6, 7, 4]
    faces = [ring[::-1], [8 + i for i in ring]]
    for loop in ([0, 1, 2, 3], [4, 5, 6, 7]):
        for a, b in zip(loop, loop[1:] + loop[:1], strict=True):
            faces.append([a, b, 8 + b, 8 + a])
    (tmp_path / "frame.obj").write_text(obj_text(vertices, faces))
    frame = load_object(tmp_path / "frame.obj")
    assert frame.volume == pytest.approx((60 * 60 - 20 * 20) * 30e-9)
    assert len(frame.pieces) > 1


def test_a_dent_that_hardly_counts_is_seen_all_the_same(tmp_path):
    outline = 1e-3 * np.array(
        [(0, 0), (30, 0), (30, 10), (32, 10), (32, 0), (60, 0), (60, 50), (0, 50)]
    )
    (tmp_path / "notched.obj").write_text(obj_text(*prism(outline, 0.08)))
    model = load_object(tmp_path / "notched.obj")
    assert model.volume == pytest.approx((60 * 50 - 2 * 10) * 80e-9)
    assert model.visual.volume == pytest.approx(model.volume)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            TEXT[: TEXT.index("\nf") - 30],
            "line 1.: a vertex of . numbers instead of 3|no triangles",
        ),
        (TEXT.replace("f 1 2 10 9", "f 1 2 10 99"), "the vertex 99, and the file has 16"),
        (TEXT.replace("f 1 2 10 9", "f 1 2 10 0"), "line 19: .* vertex 0"),
        (TEXT.replace("f 1 2 10 9", "f 1 2 10 -17"), "vertex -17, before the first"),
        (TEXT.replace("f 1 2 10 9", "f 1 2 x 9"), "line 19: .* corner 'x'"),
        (TEXT.replace("v 0.06", "v nan", 1), "line 2: a vertex that is NaN or infinite"),
        (TEXT.replace("v 0.06", "v 0,06", 1), "line 2: a vertex that is no numbers"),
        (TEXT.replace("v 0.06", "v 1e30", 1), "vertex at 1e.30, farther than any object's"),
        (TEXT.replace("v 0.06 0.0 0.0", "v 0.06 0.0 0.0 2"), "weight 2, which some programs"),
        (TEXT + "o second\nv 0 0 0\nv 1 0 0\nv 0 1 0\n", "last 3 vertices are in no face"),
        (obj_text(VERTICES[[0, 2, 1, 3]], [[0, 1, 2, 3]]), "crosses itself|not closed"),
        ("", "no triangles|no vertices"),
    ],
)
def test_a_damaged_obj_is_told_with_its_line(tmp_path, text, message):
    (tmp_path / "bad.obj").write_text(text)
    with pytest.raises(MeshError, match=message):
        load_object(tmp_path / "bad.obj")


@pytest.mark.parametrize("suffix", ["obj", "stl", "ply", "off"])
def test_a_file_cut_anywhere_is_refused_and_nothing_worse(tmp_path, suffix):
    whole = tmp_path / f"whole.{suffix}"
    trimesh.boolean.difference([BOX, block((0.02, -1, 0.02), (0.03, 1, 1))]).export(whole)
    content = whole.read_bytes()
    path = tmp_path / f"cut.{suffix}"
    for end in np.linspace(0, len(content) - 40, 40).astype(int):
        path.write_bytes(content[:end])
        with pytest.raises(MeshError):
            load_object(path)


KINDS = ("ascii", "binary_little_endian", "binary_big_endian")


@pytest.mark.parametrize("kind", KINDS)
def test_ply_of_faces_of_several_lengths(tmp_path, kind):
    (tmp_path / "c.ply").write_bytes(ply_bytes(VERTICES, FACES, kind))
    is_bracket(tmp_path / "c.ply")


@pytest.mark.parametrize("kind", KINDS)
def test_ply_of_quads_alone_and_with_triangles(tmp_path, kind):
    vertices, faces = prism(np.array([(0, 0), (0.05, 0), (0.05, 0.04), (0, 0.04)]), 0.09)
    for some in (faces, [*faces[:5], faces[5][:3], [faces[5][i] for i in (0, 2, 3)]]):
        (tmp_path / "box.ply").write_bytes(ply_bytes(vertices, some, kind) + b"\n\n")
        assert load_object(tmp_path / "box.ply").volume == pytest.approx(BOX.volume, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_ply_cut_short_is_told(tmp_path, kind):
    content = ply_bytes(VERTICES, FACES, kind)
    (tmp_path / "cut.ply").write_bytes(content[:-25])
    with pytest.raises(MeshError, match="cut short"):
        load_object(tmp_path / "cut.ply")


@pytest.mark.parametrize("tail", [b"\0", b"made by a slicer" * 20, bytes(50)])
def test_binary_stl_with_a_tail(tmp_path, tail):
    for header in (b"", b"solid of a CAD program"):
        content = BOX.export(file_type="stl")
        content = header.ljust(80) + content[80:] + tail
        (tmp_path / "tail.stl").write_bytes(content)
        assert load_object(tmp_path / "tail.stl").volume == pytest.approx(BOX.volume, rel=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.upper(),
        lambda text: text.replace("solid", "solid vertex normal of a", 1),
        lambda text: text[: text.rindex("endsolid")],
        lambda text: text.replace(" ", "   "),
        lambda text: "\ufeff" + text,
    ],
)
def test_stl_text_however_it_is_written(tmp_path, change):
    text = change(BOX.export(file_type="stl_ascii"))
    (tmp_path / "box.stl").write_text(text, newline="")
    assert load_object(tmp_path / "box.stl").volume == pytest.approx(BOX.volume, rel=1e-5)


def test_stl_text_of_several_solids(tmp_path):
    parts = [block((x, 0, 0), (x + 0.03, 0.04, 0.05)) for x in (0.0, 0.05)]
    text = "\n".join(part.export(file_type="stl_ascii") for part in parts)
    (tmp_path / "two.stl").write_text(text)
    assert len(read_groups(tmp_path / "two.stl")) == 2
    assert load_object(tmp_path / "two.stl").volume == pytest.approx(2 * 0.03 * 0.04 * 0.05)


@pytest.mark.parametrize("header", ["OFF\n", "OFF ", "# made by hand\nOFF # version\n"])
def test_off_of_concave_faces(tmp_path, header):
    text = f"{header}{len(VERTICES)} {len(FACES)} 0\n"
    text += "".join("{!r} {!r} {!r}\n".format(*row) for row in VERTICES.tolist())
    text += "\n".join(" ".join(map(str, (len(face), *face))) + " 255 0 0" for face in FACES)
    (tmp_path / "c.off").write_text(text)
    is_bracket(tmp_path / "c.off")


@pytest.mark.parametrize("suffix", ["obj", "stl", "ply", "off"])
def test_plain_files_are_read_as_trimesh_reads_them(tmp_path, suffix):
    """Decompositions that are kept go by the order of vertices and faces."""
    path = tmp_path / f"ball.{suffix}"
    trimesh.creation.icosphere(subdivisions=2, radius=0.04).export(path)
    ((vertices, faces),) = read_groups(path)
    expected = trimesh.load_mesh(path, process=False)
    assert np.array_equal(vertices, expected.vertices)
    assert np.array_equal(faces, expected.faces)


NAMES = ["杯子", "чашка", "tasse à café", "\U0001f600", "a b'c\"d"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_path(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    triangles = [(0, 1, 2), (0, 2, 3), (0, 3, 7), (7, 3, 4), (7, 4, 6), (4, 5, 6)]
    mesh = trimesh.creation.extrude_triangulation(BRACKET, np.array(triangles), HEIGHT)
    for suffix in ("obj", "stl", "ply", "off", "glb"):
        mesh.export(folder / f"{name}.{suffix}")
        is_bracket(folder / f"{name}.{suffix}")
    model = load_object(folder / f"{name}.stl")
    assert model.name == name
    assert len(model.pieces) > 1
