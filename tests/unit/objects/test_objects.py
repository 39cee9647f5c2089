"""Generated shapes and meshes from files, against closed forms and with bad input."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import trimesh

from dexgrasp_models.objects import SHAPES, MeshError, load_object, make_shape, meshes
from dexgrasp_models.objects import convex_pieces as decomposition


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("DEXGRASP_CACHE", str(folder))
    return folder


@pytest.fixture
def l_shape():
    """A closed mesh that is not convex: two boxes at a right angle."""
    upright = trimesh.creation.box(bounds=[(0.0, 0.0, 0.0), (0.02, 0.03, 0.10)])
    foot = trimesh.creation.box(bounds=[(0.0, 0.0, 0.0), (0.08, 0.03, 0.02)])
    return trimesh.boolean.union([upright, foot])


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_closed_graspable_and_stand_on_the_ground(name):
    mesh = make_shape(name)
    assert mesh.is_volume
    assert mesh.body_count == 1
    assert mesh.bounds[0, 2] == pytest.approx(0.0, abs=1e-9)
    assert np.sort(mesh.extents)[0] < 0.10, "the hand must get around the thinnest side"
    assert 0.05 < mesh.extents.max() < 0.25


def test_ball_has_a_sphere_s_volume_and_inertia():
    ball = load_object("ball")
    radius = 0.034
    assert ball.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)
    assert ball.center_of_mass == pytest.approx([0.0, 0.0, radius], abs=1e-6)
    assert ball.unit_inertia == pytest.approx(0.4 * radius**2 * np.eye(3), rel=0.02, abs=1e-7)


def test_scale_multiplies_lengths_volume_and_inertia():
    box = load_object("box", 0.5)
    x, y, z = 0.5 * np.array([0.060, 0.090, 0.130])
    assert box.visual.extents == pytest.approx([x, y, z])
    assert box.volume == pytest.approx(x * y * z)
    moments = np.array([y**2 + z**2, x**2 + z**2, x**2 + y**2]) / 12
    assert box.unit_inertia == pytest.approx(np.diag(moments), abs=1e-12)


@pytest.mark.parametrize("name", ["bottle", "hammer", "camera"])
def test_convex_pieces_cover_the_shape_and_little_more(name):
    item = load_object(name)
    points = item.visual.sample(500, seed=0)
    outside = np.min([_beyond_faces(piece, points) for piece in item.pieces], axis=0)
    assert outside.max() < 0.004
    assert sum(piece.volume for piece in item.pieces) < 1.15 * item.volume
    assert all(piece.is_convex for piece in item.pieces)


def _beyond_faces(convex, points):
    """How far points (N, 3) lie beyond the face they are farthest behind; negative inside."""
    offsets = np.einsum("fi,fi->f", convex.face_normals, convex.triangles[:, 0])
    return (points @ convex.face_normals.T - offsets).max(axis=1)


def test_decomposition_is_kept_and_found_again(cache, l_shape, tmp_path, monkeypatch):
    l_shape.export(tmp_path / "l.obj")
    first = load_object(tmp_path / "l.obj")
    assert len(first.pieces) >= 2
    assert [path.suffix for path in cache.rglob("*") if path.is_file()] == [".npz"]
    monkeypatch.setattr(meshes, "convex_pieces", None)  # a call would now fail
    second = load_object(tmp_path / "l.obj", 0.5)
    for a, b in zip(first.pieces, second.pieces, strict=True):
        assert np.array_equal(0.5 * a.vertices, b.vertices)


def test_a_mesh_that_coacd_aborts_on_is_decomposed_all_the_same(cache):
    """Its assertion ends the process that it runs in."""
    assert len(load_object("library:bucket/15", 0.1).pieces) > 1


def test_a_decomposition_that_aborts_is_told(cache, l_shape, tmp_path, monkeypatch):
    l_shape.export(tmp_path / "l.obj")
    aborting = [sys.executable, "-c", "import os, sys; sys.stderr.write('too odd'); os.abort()"]
    popen = subprocess.Popen
    monkeypatch.setattr(
        decomposition.subprocess, "Popen", lambda command, **options: popen(aborting, **options)
    )
    with pytest.raises(MeshError, match=r"l: can't be split .*CoACD: .*SIGABRT, too odd"):
        load_object(tmp_path / "l.obj")
    assert not list(cache.rglob("*.npz"))


def test_file_of_convex_groups_is_its_own_decomposition(tmp_path):
    boxes = [trimesh.creation.box((0.04, 0.04, 0.04)) for _ in range(2)]
    boxes[1].apply_translation((0.04, 0.0, 0.0))
    text, offset = "", 1
    for index, box in enumerate(boxes):
        text += f"o convex_{index}\n"
        text += "".join(f"v {x} {y} {z}\n" for x, y, z in box.vertices)
        text += "".join(f"f {a} {b} {c}\n" for a, b, c in box.faces + offset)
        offset += len(box.vertices)
    (tmp_path / "pair.obj").write_text(text)
    pair = load_object(tmp_path / "pair.obj")
    assert len(pair.pieces) == 2
    assert pair.volume == pytest.approx(2 * 0.04**3)
    assert pair.center_of_mass == pytest.approx([0.02, 0.0, 0.0], abs=1e-9)
    # Two cubes in a row make one bar.
    bar = np.diag([0.04**2 + 0.04**2, 0.08**2 + 0.04**2, 0.08**2 + 0.04**2]) / 12
    assert pair.unit_inertia == pytest.approx(bar, abs=1e-12)


def test_folder_shows_its_visual_and_touches_with_its_collision_pieces(tmp_path):
    folder = tmp_path / "Thing"
    folder.mkdir()
    trimesh.creation.icosphere(subdivisions=3, radius=0.05).export(folder / "visual.obj")
    trimesh.creation.box((0.08, 0.08, 0.08)).export(folder / "collision.obj")
    thing = load_object(folder)
    assert thing.name == "Thing"
    assert len(thing.visual.faces) == 1280
    assert len(thing.pieces) == 1
    assert len(thing.pieces[0].vertices) == 8


def test_flat_pieces_are_left_out_and_only_flat_ones_refused(tmp_path):
    box = trimesh.creation.box((0.08, 0.08, 0.08))
    flat = "o flat\nv 0 0 0\nv 0.01 0 0\nv 0 0.01 0\nf 1 2 3\n"
    solid = "o box\n" + "".join(f"v {x} {y} {z}\n" for x, y, z in box.vertices)
    solid += "".join(f"f {a} {b} {c}\n" for a, b, c in box.faces + 4)
    (tmp_path / "collision.obj").write_text(flat + solid)
    assert len(load_object(tmp_path).pieces) == 1
    (tmp_path / "collision.obj").write_text(flat)
    with pytest.raises(MeshError, match="all its pieces are flat"):
        load_object(tmp_path)


def test_visual_with_holes_is_welcome_beside_collision_pieces(tmp_path):
    shell = trimesh.creation.icosphere(subdivisions=2, radius=0.05)
    trimesh.Trimesh(shell.vertices, shell.faces[:-9]).export(tmp_path / "visual.obj")
    trimesh.creation.box((0.08, 0.08, 0.08)).export(tmp_path / "collision.obj")
    assert load_object(tmp_path).volume == pytest.approx(0.08**3)


def test_duplicate_and_degenerate_faces_are_cleaned_away(tmp_path):
    box = trimesh.creation.box((0.05, 0.06, 0.07))
    soup = box.triangles.reshape(-1, 3)  # no shared vertices
    faces = np.arange(len(soup)).reshape(-1, 3)
    faces = np.vstack([faces, faces[:2], [[0, 0, 1]]])
    trimesh.Trimesh(soup, faces, process=False).export(tmp_path / "soup.stl")
    assert load_object(tmp_path / "soup.stl").volume == pytest.approx(box.volume, rel=1e-5)


def _open_box():
    box = trimesh.creation.box((0.05, 0.05, 0.05))
    return trimesh.Trimesh(box.vertices, box.faces[2:])


def _not_a_number():
    box = trimesh.creation.box((0.05, 0.05, 0.05))
    return "".join(f"v nan {y} {z}\n" for _, y, z in box.vertices) + "f 1 2 3\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_open_box(), "not closed"),
        (trimesh.creation.box((1.0, 0.1, 0.1)), "1 m at its longest, too large"),
        (trimesh.creation.box((120.0, 60.0, 60.0)), "millimetres, use scale 0.001"),
        (trimesh.creation.box((0.001, 0.001, 0.001)), "too small"),
        (_not_a_number(), "NaN"),
        ("# nothing here\n", "no triangles|can't be read"),
        ("v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nf 1 2 3\n", "not closed"),
    ],
)
def test_unusable_meshes_are_refused_with_the_reason(tmp_path, content, message):
    path = tmp_path / "bad.obj"
    if isinstance(content, str):
        path.write_text(content)
    else:
        content.export(path)
    with pytest.raises(MeshError, match=message):
        load_object(path)


def test_the_suggested_scale_fits(tmp_path):
    path = tmp_path / "big.obj"
    trimesh.creation.box((3.0, 1.0, 1.0)).export(path)
    with pytest.raises(MeshError, match=r"scale 0\.05 would make it 0\.15 m"):
        load_object(path)
    assert load_object(path, 0.05).visual.extents.max() == pytest.approx(0.15)


def test_missing_files_and_empty_folders_are_named(tmp_path):
    with pytest.raises(MeshError, match="no such mesh file or folder, and no shape of that name"):
        load_object(tmp_path / "nothing.obj")
    with pytest.raises(MeshError, match=r"expected visual\.obj or collision\.obj"):
        load_object(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"no mesh")
    with pytest.raises(MeshError, match="can't be read as a mesh"):
        load_object(tmp_path / "picture.png")


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scale_must_be_positive(scale):
    with pytest.raises(MeshError, match="scale"):
        load_object("can", scale)
