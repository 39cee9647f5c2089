"""The library of parametric objects, its splits, folders of meshes, and ``dexgrasp objects``."""

from __future__ import annotations

import functools
import os
from itertools import combinations
from pathlib import Path
from zlib import crc32

import imageio.v3 as imageio
import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_models.objects import MeshError, find_objects, load_object, meshes, prepare_object
from dexgrasp_models.objects.library import (
    CATEGORIES,
    SCALES,
    SPLITS,
    canonicalized,
    make_instance,
    make_named,
    select_names,
    solids,
    split_names,
)
from dexgrasp_models.objects.overlap import overlap_share

SEEDS = (0, 1, 2)
DATA = Path(os.environ.get("DEXGRASP_DATA", Path(__file__).parents[4] / "shared" / "data"))

_DIRECTIONS = np.random.default_rng(0).normal(size=(200, 3))
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)

made = functools.cache(make_instance)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("DEXGRASP_CACHE", str(folder))
    return folder


def _write(path, mesh):
    path.parent.mkdir(parents=True, exist_ok=True)
    mesh.export(path)


def _difference(first, second):
    """By how much two shapes differ: in reach, over all directions, or in volume."""
    reach = [(_DIRECTIONS @ item.mesh.vertices.T).max(axis=1) for item in (first, second)]
    volume_ratio = first.mesh.volume / second.mesh.volume
    return max(np.abs(reach[0] - reach[1]).mean(), abs(np.log(volume_ratio)))


class TestInstances:
    @pytest.mark.parametrize("category", CATEGORIES)
    def test_are_closed_bodies_in_the_unit_sphere(self, category):
        for seed in SEEDS:
            mesh = made(category, seed).mesh
            assert mesh.is_volume
            assert mesh.volume > 0.01
            assert mesh.body_count == 1
            assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(1.0)
            assert mesh.bounds.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
            assert len(mesh.faces) < 10_000
        assert overlap_share(made(category, SEEDS[0]).mesh) < 0.002

    @pytest.mark.parametrize("category", CATEGORIES)
    def test_have_parts_that_cover_the_surface_once(self, category):
        for seed in SEEDS:
            item = made(category, seed)
            assert len(item.parts) >= 2
            assert len(item.face_parts) == len(item.mesh.faces)
            areas = [item.part(name).area for name in item.parts]
            assert sum(areas) == pytest.approx(item.mesh.area)
            assert min(areas) > 0.003 * item.mesh.area, "each part is to be seen"

    @pytest.mark.parametrize("category", CATEGORIES)
    def test_vary_from_seed_to_seed_only(self, category):
        items = [made(category, seed) for seed in SEEDS]
        again = make_instance(category, SEEDS[0])
        assert np.array_equal(items[0].mesh.vertices, again.mesh.vertices)
        assert np.array_equal(items[0].mesh.faces, again.mesh.faces)
        assert np.array_equal(items[0].face_parts, again.face_parts)
        assert items[0].parts == again.parts
        assert _difference(items[0], again) == 0.0
        differences = [_difference(*pair) for pair in combinations(items, 2)]
        assert min(differences) > 0.005
        assert max(differences) > 0.02

    def test_categories_differ_more_than_instances(self):
        names = ("bottle", "bowl", "hammer", "toy_airplane", "shoe")
        within = [_difference(made(name, 0), made(name, 1)) for name in names]
        between = [_difference(made(a, 0), made(b, 0)) for a, b in combinations(names, 2)]
        assert np.median(within) < 0.5 * np.median(between)

    def test_parts_are_where_their_names_say(self):
        mug = made("mug", 0)
        assert mug.part("handle").bounds[1, 0] == pytest.approx(mug.mesh.bounds[1, 0])
        bottle = made("bottle", 0)
        assert bottle.part("cap").bounds[1, 2] == pytest.approx(bottle.mesh.bounds[1, 2])
        assert bottle.part("body").bounds[0, 2] == pytest.approx(bottle.mesh.bounds[0, 2])
        hammer = made("hammer", 0)
        assert hammer.part("head").centroid[0] > hammer.part("handle").centroid[0]

    def test_attached_parts_do_not_show_inside(self):
        mug = made("mug", 0)
        axis = mug.part("body").bounds.mean(axis=0)
        reach = np.linalg.norm(mug.part("handle").vertices[:, :2] - axis[:2], axis=1)
        body = np.linalg.norm(mug.part("body").vertices[:, :2] - axis[:2], axis=1)
        assert reach.min() > 0.8 * body.max()

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("mgu/3", "no category 'mgu'.* did you mean mug"),
            ("mug", "expected <category>/<instance>, as mug/3"),
            ("mug/-1", "expected <category>/<instance>"),
            ("mug/²", "expected <category>/<instance>"),
            ("mug/3/4", "expected <category>/<instance>"),
        ],
    )
    def test_bad_names_are_refused_with_the_reason(self, name, message):
        with pytest.raises(ValueError, match=message):
            make_named(name)
        with pytest.raises(MeshError, match=message):
            load_object(f"library:{name}", 0.1)

    def test_bad_seeds_and_parts_are_refused(self):
        with pytest.raises(ValueError, match="numbered from 0"):
            make_instance("mug", -1)
        with pytest.raises(ValueError, match="no part 'lid'; it has body, handle"):
            made("mug", 0).part("lid")


class TestLoading:
    @pytest.mark.parametrize("scale", [SCALES[0], SCALES[-1]])
    def test_scale_is_the_radius(self, scale):
        item = load_object("library:cereal_box/0", scale)
        assert item.name == "cereal_box/0"
        assert np.linalg.norm(item.visual.vertices, axis=1).max() == pytest.approx(scale)
        assert item.volume == pytest.approx(made("cereal_box", 0).mesh.volume * scale**3)

    def test_faces_keep_their_parts(self):
        item = load_object("library:box/0", 0.1)
        assert np.array_equal(item.visual.faces, made("box", 0).mesh.faces)

    def test_without_a_scale_the_message_says_one(self):
        with pytest.raises(MeshError, match=r"too large to grasp.* scale 0\.1 would make it"):
            load_object("library:mug/3")

    def test_pieces_are_prepared_once_for_all_scales(self, cache, monkeypatch):
        count = prepare_object("library:wrench/0")
        kept = list(cache.rglob("*.npz"))
        assert len(kept) == 1
        assert count > 1
        monkeypatch.setattr(meshes, "convex_pieces", None)  # a call would now fail
        for scale in SCALES:
            assert len(load_object("library:wrench/0", scale).pieces) == count


def _crc(name: str) -> int:
    return crc32(name.encode())


class TestSplits:
    def test_are_disjoint_and_complete(self):
        names = [name for split in SPLITS for name in split_names(split)]
        assert len(names) == len(set(names))
        assert set(names) == {f"{category}/{i}" for category in CATEGORIES for i in range(16)}

    def test_follow_the_paper(self):
        """UniDexGrasp sec. 4.1: 3251, 754 and 1514 of 5519 objects; validation is of the first."""
        training, *sizes = (len(split_names(split)) for split in SPLITS)
        sizes[0] += training
        shares = np.array(sizes) / sum(sizes)
        assert shares == pytest.approx(np.array([3251, 754, 1514]) / 5519, abs=0.005)
        seen, chosen_by, others, unseen = (
            {name.partition("/")[0] for name in split_names(split)} for split in SPLITS
        )
        assert seen == chosen_by == others
        assert not seen & unseen
        assert seen | unseen == set(CATEGORIES)

    def test_validation_is_what_the_names_say(self):
        """The two of each category that aren't only reported whose names have the least CRC-32."""
        names = set(split_names("training") + split_names("validation"))
        for category in {name.partition("/")[0] for name in names}:
            of_category = sorted((n for n in names if n.startswith(f"{category}/")), key=_crc)
            assert set(of_category[:2]) <= set(split_names("validation"))
        assert len(split_names("validation")) == 70

    def test_selections(self):
        assert select_names("validation") == split_names("validation")
        assert select_names("mug") == tuple(f"mug/{i}" for i in range(16))
        assert select_names("mug/99") == ("mug/99",)
        with pytest.raises(ValueError, match="no split 'test'; the splits are training, valid"):
            split_names("test")
        with pytest.raises(ValueError, match=r"'spon' is no split .* did you mean spoon"):
            select_names("spon")


class TestFolders:
    layouts = (
        "coacd/decomposed.obj",
        "models/model_normalized.obj",
        "model.obj",
        "google_16k/nontextured.ply",
        "visual.obj",
        "collision.obj",
    )

    @pytest.mark.parametrize("layout", layouts)
    def test_of_known_layouts_load(self, tmp_path, layout):
        folder = tmp_path / "meshdata" / "sem" / "Thing-1"
        _write(folder / layout, trimesh.creation.box((1.0, 0.8, 0.6)))
        assert find_objects(tmp_path) == (folder,)
        item = load_object(folder, 0.1)
        assert item.name == "Thing-1"
        assert item.volume == pytest.approx(0.48e-3)

    def test_are_found_below_and_beside_files(self, tmp_path):
        box = trimesh.creation.box((0.1, 0.1, 0.1))
        _write(tmp_path / "a" / "b" / "one" / "model.obj", box)
        _write(tmp_path / "a" / "two" / "coacd" / "decomposed.obj", box)
        _write(tmp_path / "three.stl", box)
        (tmp_path / "notes.txt").write_text("no mesh")
        assert [path.name for path in find_objects(tmp_path)] == ["one", "two", "three.stl"]

    def test_without_objects_say_what_is_expected(self, tmp_path):
        with pytest.raises(ValueError, match=r"holds no objects: .*coacd/decomposed\.obj"):
            find_objects(tmp_path)

    def test_canonical_meshes_are_centred_and_of_radius_one(self):
        mesh = trimesh.creation.box(bounds=[(1.0, 2.0, 3.0), (3.0, 4.0, 4.0)])
        unit = canonicalized(mesh)
        assert unit.extents == pytest.approx(np.array([2.0, 2.0, 1.0]) / 1.5)
        assert unit.bounds.mean(axis=0) == pytest.approx(np.zeros(3))

    @pytest.mark.skipif(not DATA.is_dir(), reason="needs the published data sets (DEXGRASP_DATA)")
    def test_of_the_published_sets_load(self):
        found = find_objects(DATA)
        assert len(found) >= 14
        for path in found:
            scale = 0.1 if "meshdata" in str(path) else 1.0
            assert load_object(path, scale).volume > 0.0


class TestOverlap:
    box = trimesh.creation.box((1.0, 1.0, 1.0))

    def moved(self, x):
        return trimesh.util.concatenate(
            [self.box, self.box.copy().apply_translation((x, 0.1, 0.2))]
        )

    def test_is_none_for_sound_meshes(self):
        torus = trimesh.creation.torus(1.0, 0.3)
        for mesh in (self.box, torus, self.moved(2.0)):
            assert overlap_share(mesh) < 0.002

    def test_is_seen_where_solids_share_a_place_or_are_inside_out(self):
        inverted = self.box.copy()
        inverted.invert()
        core = self.box.copy().apply_scale(0.5)
        for mesh in (self.moved(0.5), inverted, trimesh.util.concatenate([self.box, core])):
            assert overlap_share(mesh) > 0.3

    def test_is_none_of_what_single_precision_does_not_see(self):
        needle = trimesh.creation.box((1e-12, 1e-12, 1.0))
        assert overlap_share(needle) == 0.0

    def test_files_that_pass_through_themselves_are_refused(self, tmp_path):
        across = trimesh.creation.box((0.1, 0.02, 0.02))
        crossed = trimesh.util.concatenate([across, trimesh.creation.box((0.02, 0.1, 0.02))])
        _write(tmp_path / "cross.stl", crossed)
        with pytest.raises(MeshError, match=r"passes through itself .* unite its solids"):
            load_object(tmp_path / "cross.stl")
        _write(tmp_path / "collision.obj", crossed)
        assert load_object(tmp_path / "collision.obj").pieces


class TestSolids:
    """Building blocks against closed forms."""

    def test_turned_square_and_round(self):
        """Area of a superellipse with exponent 2 and, in the limit, of the square."""
        profile = [(0.5, 0.0), (0.5, 2.0)]
        assert solids.turned(profile, facets=256).volume() == pytest.approx(np.pi / 2, rel=1e-3)
        assert solids.turned(profile, 200.0).volume() == pytest.approx(2.0, rel=0.01)

    def test_hollowed_leaves_its_wall(self):
        shell, cutter = solids.hollowed([(1.0, 0.0), (1.0, 2.0)], wall=0.2, floor=0.3)
        ratio = solids.turned([(1.0, 0.0), (1.0, 1.0)]).volume() / np.pi  # of the polygon
        assert shell.volume() == pytest.approx(np.pi * ratio * (2.0 - 0.64 * 1.7))
        assert (shell ^ cutter).volume() == pytest.approx(
            np.pi * ratio * (0.81 * 1.85 - 0.64 * 1.7), rel=1e-6
        )

    def test_swept_arc_is_a_torus_by_pappus(self):
        angle = np.linspace(0.0, np.pi, 200)
        path = np.stack([2.0 * np.cos(angle), 0.0 * angle, 2.0 * np.sin(angle)], axis=1)
        tube = solids.swept(path, np.tile([0.3, 0.5], (200, 1)), facets=128)
        assert tube.volume() == pytest.approx(np.pi * 0.15 * 2.0 * np.pi, rel=2e-3)

    def test_bevelled_slab(self):
        """A square frustum on each side of a square prism."""
        slab = solids.slab([(-1, -1), (1, -1), (1, 1), (-1, 1)], height=1.0, bevel=0.1)
        corner = 1.0 - 0.1 / np.sqrt(2.0)  # corners move in along the diagonal
        frustum = 0.1 * (4.0 + 4.0 * corner**2 + 4.0 * corner) / 3.0
        assert slab.volume() == pytest.approx(4.0 * 0.8 + 2.0 * frustum)

    def test_smooth_passes_its_points_without_overshooting(self):
        points = [(0.0, 0.0), (1.0, 1.0), (1.0, 2.0), (0.2, 3.0)]
        curve = solids.smooth(points, 400)
        near = np.linalg.norm(curve[:, None] - np.array(points), axis=2).min(axis=0)
        assert near.max() < 0.02
        assert curve[:, 0].max() <= 1.0

    def test_rings_that_enclose_nothing_are_refused(self):
        ring = np.zeros((2, 8, 3))
        ring[..., 0] = np.cos(np.arange(8))
        ring[..., 1] = np.sin(np.arange(8))
        ring[1] *= np.nan
        with pytest.raises(ValueError, match="the rings make no solid"):
            solids.lofted(ring)


class TestCommand:
    def test_list_counts_the_splits(self):
        result = CliRunner().invoke(app, ["objects", "list"])
        assert result.exit_code == 0, result.output
        for count in ("385", "70", "105", "208"):
            assert count in result.output
        assert "toy_airplane" in result.output

    def test_list_names_the_parts_of_a_selection(self):
        result = CliRunner().invoke(app, ["objects", "list", "mug/0", "kettle/1"])
        assert result.exit_code == 0, result.output
        assert "body, handle" in result.output
        assert "unseen_categories" in result.output

    def test_show_writes_a_picture(self, tmp_path):
        out = tmp_path / "some.png"
        command = ["objects", "show", "mug", "--count", "3", "--columns", "2", "--out", str(out)]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        picture = imageio.imread(out)
        assert picture.shape == (2 * 178, 2 * 160, 3)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100

    def test_build_keeps_pieces_and_reports_what_fails(self, cache, tmp_path):
        box = trimesh.creation.box((0.1, 0.1, 0.1))
        _write(tmp_path / "meshes" / "good" / "model.obj", box)
        _write(tmp_path / "meshes" / "open.obj", trimesh.Trimesh(box.vertices, box.faces[2:]))
        command = ["objects", "build", str(tmp_path / "meshes"), "box/0", "--workers", "1"]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 1, result.output
        assert "the mesh is not closed" in result.output
        assert "2 objects" in result.output
        assert len(list(cache.rglob("*.npz"))) == 1  # the good one is convex already

    def test_poses_lists_how_a_box_rests(self, cache):
        result = CliRunner().invoke(app, ["objects", "poses", "cereal_box/0", "--scale", "0.1"])
        assert result.exit_code == 0, result.output
        shares = [
            float(cells[2])
            for line in result.output.splitlines()
            if len(cells := line.split("│")) > 4 and "cereal_box" in cells[1]
        ]
        assert len(shares) >= 2
        assert sum(shares) == pytest.approx(1.0, abs=0.05)

    def test_unknown_selection_is_refused(self):
        result = CliRunner().invoke(app, ["objects", "build", "spon"])
        assert result.exit_code == 2
        assert "did you mean spoon" in result.output
