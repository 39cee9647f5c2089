"""Closed surfaces of several shells and bodies: their volume, and what can be touched of them."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from mesh_samples import block

from dexgrasp_models.objects import MeshError, load_object, load_surface
from dexgrasp_models.objects.solids import cleaned, outer, split_at_edges


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DEXGRASP_CACHE", str(tmp_path_factory.mktemp("cache")))


def ball(radius, center=(0.0, 0.0, 0.0), outward=True):
    sphere = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    sphere.apply_translation(center)
    if not outward:
        sphere.invert()
    return sphere


def bracket(inset=0.0):
    """An L, 90 mm by 90 mm by 40 mm, its arms 30 mm wide; smaller all around by an inset."""
    a, b = inset, 0.03 - inset
    return trimesh.boolean.union(
        [block((a, a, a), (0.09 - a, b, 0.04 - a)), block((a, a, a), (b, 0.09 - a, 0.04 - a))]
    )


def bracket_volume(inset=0.0):
    arm, long, height = 0.03 - 2 * inset, 0.09 - 2 * inset, 0.04 - 2 * inset
    return (2 * arm * long - arm**2) * height


def written(tmp_path, *parts, suffix="stl"):
    path = tmp_path / f"object.{suffix}"
    trimesh.util.concatenate(parts).export(path)
    return load_object(path)


def touched_volume(model):
    return sum(piece.volume for piece in model.pieces)


@pytest.mark.parametrize("suffix", ["stl", "obj", "ply"])
def test_a_hollow_concave_body_keeps_its_shape(tmp_path, suffix):
    """Its convex hull is 0.252 litres."""
    cavity = bracket(0.002)
    cavity.invert()
    model = written(tmp_path, bracket(), cavity, suffix=suffix)
    expected = bracket_volume() - bracket_volume(0.002)
    assert model.volume == pytest.approx(expected, rel=1e-4)
    assert len(model.pieces) == 2
    assert touched_volume(model) == pytest.approx(bracket_volume(), rel=0.01)
    assert outer(model.visual).volume == pytest.approx(bracket_volume(), rel=1e-4)


def test_the_winding_tells_a_cavity_from_a_core(tmp_path):
    """Also where everything is inside out, and where the outer shell alone is."""
    shell, core = ball(0.04), ball(0.03)
    full, thick = shell.volume, shell.volume - core.volume
    for outward, inward in ((True, False), (False, True)):
        model = written(tmp_path, ball(0.04, outward=outward), ball(0.03, outward=inward))
        assert model.volume == pytest.approx(thick, rel=1e-4)
        assert touched_volume(model) == pytest.approx(full, rel=1e-4)
        model = written(tmp_path, ball(0.04, outward=outward), ball(0.03, outward=outward))
        assert model.volume == pytest.approx(full, rel=1e-4)
        assert model.visual.body_count == 1


def test_a_shell_wound_both_ways_is_taken_for_a_cavity(tmp_path):
    mixed = ball(0.03)
    mixed.faces[::3] = mixed.faces[::3, ::-1].copy()
    model = written(tmp_path, ball(0.04), trimesh.Trimesh(mixed.vertices, mixed.faces))
    assert model.volume == pytest.approx(ball(0.04).volume - ball(0.03).volume, rel=1e-4)


def test_shells_in_shells(tmp_path):
    """A ball in a hollow ball, the inner one with a cavity off its centre; a second body beside."""
    off = (0.002, 0.0, 0.0)
    radii = (0.04, 0.035, 0.03, 0.02)
    shells = [ball(r, off if r == 0.02 else (0, 0, 0), i % 2 == 0) for i, r in enumerate(radii)]
    beside = block((0.06, 0.0, 0.0), (0.08, 0.02, 0.02))
    volumes = [ball(radius).volume for radius in radii]
    model = written(tmp_path, *shells[::-1], beside)
    expected = volumes[0] - volumes[1] + volumes[2] - volumes[3] + beside.volume
    assert model.volume == pytest.approx(expected, rel=1e-4)
    center = (beside.volume * 0.07 - volumes[3] * off[0]) / expected
    assert model.center_of_mass[0] == pytest.approx(center, rel=1e-3)
    assert touched_volume(model) == pytest.approx(volumes[0] + beside.volume, rel=0.01)


def test_two_cavities_in_one_body(tmp_path):
    holes = [ball(0.01, (x, 0.03, 0.02), outward=False) for x in (0.015, 0.045)]
    model = written(tmp_path, block((0, 0, 0), (0.06, 0.06, 0.04)), *holes)
    assert model.volume == pytest.approx(0.06 * 0.06 * 0.04 - 2 * ball(0.01).volume, rel=1e-4)
    assert len(model.pieces) == 1


@pytest.mark.parametrize(
    "bounds",
    [
        ((0.05, 0.0, 0.0), (0.10, 0.04, 0.09)),  # the whole face
        ((0.05, 0.01, 0.02), (0.08, 0.03, 0.05)),  # a part of it
        ((0.05, 0.0, 0.0), (0.08, 0.04, 0.05)),  # with an edge of it
        ((0.05, -0.02, -0.02), (0.06, 0.06, 0.11)),  # beyond it
        ((0.05, 0.04, 0.0), (0.10, 0.08, 0.09)),  # an edge
        ((0.05, 0.04, 0.09), (0.08, 0.06, 0.12)),  # a corner
    ],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_bodies_that_touch(tmp_path, bounds, mirrored):
    first, second = block((0, 0, 0), (0.05, 0.04, 0.09)), block(*bounds)
    if mirrored:  # the other diagonals in the faces
        second.apply_transform(np.diag((1, -1, 1, 1)))
        second.apply_translation((0, bounds[0][1] + bounds[1][1], 0))
    volume = first.volume + second.volume
    center = (first.volume * first.center_mass + second.volume * second.center_mass) / volume
    whole = np.array([first.bounds, second.bounds])
    for suffix in ("stl", "obj"):
        trimesh.util.concatenate([first, second]).export(tmp_path / f"two.{suffix}")
        surface = load_surface(tmp_path / f"two.{suffix}")
        assert surface.is_volume
        assert surface.volume == pytest.approx(volume, rel=1e-5)
        assert surface.center_mass == pytest.approx(center, rel=1e-4)
        assert surface.extents == pytest.approx(
            whole[:, 1].max(axis=0) - whole[:, 0].min(axis=0), rel=1e-5
        )
    if not mirrored:
        model = load_object(tmp_path / "two.stl")
        assert touched_volume(model) == pytest.approx(volume, rel=0.01)


def test_a_row_of_bodies_and_one_that_closes_on_itself(tmp_path):
    blocks = [
        block((0, 0, 0), (0.02, 0.06, 0.02)),
        block((0.02, 0, 0), (0.06, 0.02, 0.02)),
        block((0.02, 0.04, 0), (0.06, 0.06, 0.02)),
        block((0.06, 0, 0), (0.08, 0.06, 0.02)),
    ]
    ring = written(tmp_path, *blocks)
    assert ring.volume == pytest.approx((0.08 * 0.06 - 0.04 * 0.02) * 0.02, rel=1e-5)
    assert ring.visual.euler_number == 0  # of one ring
    assert touched_volume(ring) == pytest.approx(ring.volume, rel=0.02)


def test_bodies_that_touch_with_cavities(tmp_path):
    parts = [block((x, 0, 0), (x + 0.05, 0.05, 0.05)) for x in (0.0, 0.05)]
    holes = [ball(0.015, (x, 0.025, 0.025), outward=False) for x in (0.025, 0.075)]
    model = written(tmp_path, *parts, *holes)
    expected = 2 * (0.05**3 - ball(0.015).volume)
    assert model.volume == pytest.approx(expected, rel=1e-4)
    assert touched_volume(model) == pytest.approx(2 * 0.05**3, rel=1e-4)


def test_bodies_that_share_a_place_are_still_refused(tmp_path):
    with pytest.raises(MeshError, match="passes through itself"):
        written(
            tmp_path, block((0, 0, 0), (0.05, 0.04, 0.09)), block((0.04, 0, 0), (0.1, 0.04, 0.09))
        )


def test_faces_without_area_close_a_surface(tmp_path):
    """A side split in two beside one that isn't, the gap closed by a triangle without area."""
    box = block((0, 0, 0), (0.05, 0.04, 0.09))
    a, b, c = box.faces[0]
    middle = (box.vertices[a] + box.vertices[b]) / 2
    m = len(box.vertices)
    faces = [*box.faces[1:].tolist(), [a, m, c], [m, b, c], [b, m, a]]
    (tmp_path / "box.obj").write_text(
        "".join("v {!r} {!r} {!r}\n".format(*v) for v in [*box.vertices.tolist(), middle.tolist()])
        + "".join(f"f {i + 1} {j + 1} {k + 1}\n" for i, j, k in faces)
    )
    assert load_object(tmp_path / "box.obj").volume == pytest.approx(box.volume)


def test_split_needs_a_closed_surface():
    box = block((0, 0, 0), (1, 1, 1))
    assert split_at_edges(box.vertices, box.faces[1:]) is None
    assert split_at_edges(box.vertices, box.faces).volume == pytest.approx(1.0)
    inside_out = split_at_edges(box.vertices, box.faces[:, ::-1])
    assert inside_out.volume == pytest.approx(1.0)


def test_both_sides_told_are_one(tmp_path):
    """As for programs that hide what they see from behind."""
    box = block((0, 0, 0), (0.05, 0.04, 0.09))
    back = box.copy()
    back.invert()
    assert written(tmp_path, box, back).volume == pytest.approx(box.volume, rel=1e-5)


def test_cleaned_has_the_same_faces_where_nothing_is_wrong():
    sphere = ball(0.04)
    mesh = cleaned(sphere.vertices, sphere.faces)
    assert np.array_equal(mesh.faces, sphere.faces)
    assert outer(mesh) is mesh
