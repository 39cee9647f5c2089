"""Clouds of objects as people have them: the right points and normals, or a sentence."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import trimesh
from cloud_files import pcd, ply, text, write
from grasp_clouds import seen, standing
from scipy.spatial import cKDTree

from dexgrasp_models.open3d_import import import_open3d
from dexgrasp_models.perception.cloud_file import CloudFileError, read_object_cloud

_CYLINDER_RADIUS = 0.033


@pytest.fixture(scope="module")
def cylinder() -> np.ndarray:
    """(N, 6) points and normals of what cameras see, float32 as files have them."""
    cloud = seen(standing("cylinder"))
    return np.hstack([cloud.object_points, cloud.object_normals])


@pytest.fixture(scope="module")
def right(cylinder, tmp_path_factory) -> np.ndarray:
    """What is read of the points in the plainest of files."""
    path = tmp_path_factory.mktemp("clouds") / "a.npy"
    np.save(path, cylinder[:, :3])
    return read_object_cloud(path).object_points


def outward_share(path: Path) -> float:
    """Part of the normals of a cylinder that point out of it."""
    cloud = read_object_cloud(path)
    side = cloud.object_points[:, 2] < 0.1
    outward = cloud.object_points[side] * (1.0, 1.0, 0.0) / _CYLINDER_RADIUS
    return float(np.mean((cloud.object_normals[side] * outward).sum(1) > 0.9))


FILES = {
    "a.ply": lambda p: ply(p, "ascii"),
    "b.ply": lambda p: ply(p, "binary_little_endian", extra="scalar_Intensity"),
    "c.ply": lambda p: ply(p, "binary_big_endian"),
    "d.ply": lambda p: ply(p, "ascii").replace(b"\n", b"\r\n"),
    "a.pcd": lambda p: pcd(p, "ascii"),
    "b.pcd": lambda p: pcd(p, "binary"),
    "c.pcd": lambda p: pcd(p, "binary_compressed"),
    "a.xyz": text,
    "b.xyz": lambda p: text(p, ","),
    "c.xyz": lambda p: text(p, ";", ","),
    "d.xyz": lambda p: "\ufeff" + text(p, "\t"),
    "e.xyz": lambda p: "# by a scanner\n// X Y Z\n" + text(p, ", ") + "\n\n",
    "f.xyz": lambda p: text(p, " ", ",").replace("\n", "\r\n"),
    "a.csv": lambda p: '"x","y","z"\n' + text(p, ","),
    "a.pts": lambda p: f"{len(p)}\n" + text(np.c_[p, np.full((len(p), 4), 7)]),
    "a.xyzrgb": lambda p: text(np.c_[p, np.full((len(p), 3), 0.57735)]),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_points_from_every_kind_of_file(cylinder, right, tmp_path, name) -> None:
    path = write(tmp_path / name, FILES[name](cylinder[:, :3]))
    cloud = read_object_cloud(path)
    assert cloud.object_points == pytest.approx(right, abs=1e-7)
    assert outward_share(path) > 0.95


def test_compressed_points_are_those_that_open3d_writes(cylinder, right, tmp_path) -> None:
    o3d = import_open3d()
    points = o3d.utility.Vector3dVector(cylinder[:, :3].astype(np.float64))
    path = tmp_path / "a.pcd"
    o3d.io.write_point_cloud(str(path), o3d.geometry.PointCloud(points), compressed=True)
    assert b"binary_compressed" in path.read_bytes()
    assert read_object_cloud(path).object_points == pytest.approx(right, abs=1e-7)


def test_columns_go_by_their_names(cylinder, right, tmp_path) -> None:
    rgb_first = np.c_[np.full((len(cylinder), 3), 200), cylinder]
    header = "r g b x y z nx ny nz\n"
    cloud = read_object_cloud(write(tmp_path / "a.xyz", header + text(rgb_first)))
    assert cloud.object_points == pytest.approx(right, abs=1e-7)
    assert outward_share(tmp_path / "a.xyz") == 1.0


def test_arrays_of_the_field(cylinder, right, tmp_path) -> None:
    points = cylinder[:, :3]
    fields = [("rgb", "u4"), ("x", "f4"), ("y", "f4"), ("z", "f8"), ("normal_x", "f4")]
    structured = np.zeros(len(points), fields)
    for axis, name in enumerate("xyz"):
        structured[name] = points[:, axis]
    np.save(tmp_path / "structured.npy", structured)
    np.save(tmp_path / "organised.npy", points[: 32 * 32].reshape(32, 32, 3))
    np.savez(tmp_path / "named.npz", points=points, normals=cylinder[:, 3:], gray=np.zeros(7))
    np.savez_compressed(tmp_path / "only.npz", points)
    np.save(tmp_path / "homogeneous.npy", np.c_[points, np.ones(len(points))])
    for name in ("structured.npy", "organised.npy", "named.npz", "only.npz", "homogeneous.npy"):
        cloud = read_object_cloud(tmp_path / name)
        assert cloud.object_points == pytest.approx(right, abs=1e-7), name
        assert outward_share(tmp_path / name) > 0.95


@pytest.mark.parametrize("name", [name for name in FILES if name[1:] in (".ply", ".pcd", ".pts")])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(cylinder, tmp_path, name, part) -> None:
    whole = FILES[name](cylinder[:, :3])
    whole = whole if isinstance(whole, bytes) else whole.encode()
    path = write(tmp_path / name, whole[: int(part * len(whole))])
    with pytest.raises(CloudFileError, match=r"cut short|no whole header|holds no numbers"):
        read_object_cloud(path)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
def test_an_array_that_is_cut_short_is_refused(cylinder, tmp_path, part) -> None:
    np.save(tmp_path / "a.npy", cylinder)
    np.savez(tmp_path / "a.npz", points=cylinder)
    for name in ("a.npy", "a.npz"):
        data = (tmp_path / name).read_bytes()
        path = write(tmp_path / f"cut_{name}", data[: int(part * len(data))])
        with pytest.raises(CloudFileError, match="holds no array"):
            read_object_cloud(path)


def test_sizes_beyond_the_file_are_not_believed(cylinder, tmp_path) -> None:
    points = cylinder[:, :3]
    count = str(len(points)).encode()
    for name, data in (("a.ply", ply(points)), ("a.pcd", pcd(points)), ("b.ply", ply(points[:0]))):
        path = write(tmp_path / name, data.replace(count, b"99999999999", 3))
        with pytest.raises(CloudFileError):
            read_object_cloud(path)
    packed = bytearray(pcd(points, "binary_compressed"))
    start = packed.index(b"binary_compressed\n") + 18
    for at in (start, start + 4, start + 9, len(packed) - 3):
        damaged = packed.copy()
        damaged[at] ^= 0xFF
        path = write(tmp_path / "c.pcd", bytes(damaged))
        try:
            found = read_object_cloud(path).object_points
        except CloudFileError:
            continue
        # A literal may be another number, but what is no part of the file never is a point.
        assert np.abs(found).max() < 1.0


def test_any_damage_ends_in_a_sentence(cylinder, tmp_path) -> None:
    """Bytes of headers changed at random: a cloud, or a sentence."""
    rng = np.random.default_rng(0)
    points = cylinder[:200, :3]
    np.save(tmp_path / "whole.npy", points)
    kinds = {name: make(points) for name, make in FILES.items()}
    kinds["a.npy"] = (tmp_path / "whole.npy").read_bytes()
    for name, data in kinds.items():
        whole = bytearray(data if isinstance(data, bytes) else data.encode())
        for _ in range(12):
            damaged = whole.copy()
            for at in rng.integers(0, min(len(whole), 330), 3):
                damaged[at] = rng.integers(0, 256)
            path = write(tmp_path / name, bytes(damaged[: rng.integers(1, len(whole))]))
            # Any other exception fails here.
            with contextlib.suppress(CloudFileError):
                assert np.isfinite(read_object_cloud(path).object_normals).all()


@pytest.mark.parametrize("scale", [1.0, 1.0 / 255.0])
@pytest.mark.parametrize("colour", [(200, 40, 30), (255, 0, 0), (147, 147, 147), (0, 0, 0)])
def test_colours_are_no_normals(cylinder, right, tmp_path, colour, scale) -> None:
    rng = np.random.default_rng(0)
    colours = np.clip(colour + rng.integers(-9, 10, (len(cylinder), 3)), 0, 255) * scale
    if max(colour) == 255:
        colours = np.tile(np.multiply(colour, scale), (len(cylinder), 1))  # of unit length, then
    np.save(tmp_path / "a.npy", np.hstack([cylinder[:, :3], colours]))
    write(tmp_path / "a.xyz", text(np.hstack([cylinder[:, :3], colours])))
    np.save(tmp_path / "b.npy", np.hstack([cylinder[:, :3], colours, cylinder[:, 3:]]))
    for name in ("a.npy", "a.xyz", "b.npy"):
        cloud = read_object_cloud(tmp_path / name)
        assert cloud.object_points == pytest.approx(right, abs=1e-7)
        assert np.linalg.norm(cloud.object_normals, axis=1) == pytest.approx(1.0, abs=1e-5)
        assert outward_share(tmp_path / name) > 0.95
        assert ("colours" in " ".join(cloud.warnings)) == (name[0] == "a")


class TestNormals:
    def test_right_ones_stay_to_the_bit(self, cylinder, tmp_path) -> None:
        np.save(tmp_path / "a.npy", cylinder)
        cloud = read_object_cloud(tmp_path / "a.npy")
        rows = cKDTree(cylinder[:, :3]).query(cloud.object_points)[1]
        assert np.array_equal(cloud.object_normals, cylinder[rows, 3:])
        assert cloud.warnings == ()

    @pytest.mark.parametrize("kind", ["inward", "both", "half"])
    def test_inward_ones_are_turned(self, cylinder, tmp_path, kind) -> None:
        signs = {
            "inward": -np.ones(len(cylinder)),
            "both": np.random.default_rng(1).choice([-1.0, 1.0], len(cylinder)),
            "half": np.where(cylinder[:, 0] > 0.0, 1.0, -1.0),
        }[kind]
        turned = np.hstack([cylinder[:, :3], cylinder[:, 3:] * signs[:, None]])
        np.save(tmp_path / "a.npy", turned)
        write(tmp_path / "a.ply", ply(turned))
        for name in ("a.npy", "a.ply"):
            cloud = read_object_cloud(tmp_path / name)
            assert "point inward: they are turned" in cloud.warnings[0]
            assert outward_share(tmp_path / name) > 0.99

    def test_those_of_a_thin_wall_are_believed(self, tmp_path) -> None:
        cup = trimesh.creation.annulus(r_min=0.0385, r_max=0.04, height=0.09, sections=64)
        cup.apply_translation((0.0, 0.0, 0.045))
        points, faces = trimesh.sample.sample_surface(cup, 4000, seed=0)
        both = np.hstack([points, cup.face_normals[faces]]).astype(np.float32)
        np.save(tmp_path / "a.npy", both)
        cloud = read_object_cloud(tmp_path / "a.npy")
        rows = cKDTree(both[:, :3]).query(cloud.object_points)[1]
        assert np.array_equal(cloud.object_normals, both[rows, 3:])
        np.save(tmp_path / "b.npy", both * (1, 1, 1, -1, -1, -1))
        assert np.array_equal(
            read_object_cloud(tmp_path / "b.npy").object_normals, cloud.object_normals
        )

    @pytest.mark.parametrize("how", ["ascii", "binary_big_endian"])
    @pytest.mark.parametrize("value", [0.0, np.nan])
    @pytest.mark.parametrize("share", [0.05, 1.0])
    def test_those_that_are_none(self, cylinder, tmp_path, how, value, share) -> None:
        damaged = cylinder.copy()
        damaged[np.random.default_rng(0).random(len(cylinder)) < share, 3:] = value
        path = write(tmp_path / "a.ply", ply(damaged, how))
        cloud = read_object_cloud(path)
        assert "normals are zero or not finite" in cloud.warnings[0]
        assert np.linalg.norm(cloud.object_normals, axis=1) == pytest.approx(1.0, abs=1e-5)
        assert outward_share(path) > 0.95

    def test_those_of_another_surface_are_estimated_anew(self, cylinder, tmp_path) -> None:
        swapped = cylinder[:, [0, 1, 2, 5, 5, 3]] + (0, 0, 0, 1, 0, 0)
        path = write(tmp_path / "a.ply", ply(swapped))
        assert "don't fit" in read_object_cloud(path).warnings[0]
        assert outward_share(path) > 0.95

    def test_any_length_will_do(self, cylinder, tmp_path) -> None:
        path = write(tmp_path / "a.ply", ply(cylinder * (1, 1, 1, 40, 40, 40)))
        cloud = read_object_cloud(path)
        assert np.linalg.norm(cloud.object_normals, axis=1) == pytest.approx(1.0, abs=1e-5)
        assert outward_share(path) == 1.0

    def test_the_inside_of_a_bowl_seen_from_above_faces_up(self, tmp_path) -> None:
        points = trimesh.creation.icosphere(subdivisions=5, radius=0.07).vertices
        points = points[points[:, 2] < -0.005] + (0.0, 0.0, 0.08)
        np.save(tmp_path / "a.npy", points)
        cloud = read_object_cloud(tmp_path / "a.npy")
        towards_axis = (cloud.object_normals * (cloud.object_points - (0.0, 0.0, 0.08))).sum(1)
        assert (towards_axis < 0.0).all()


class TestDenseClouds:
    @staticmethod
    def box(count: int, noise: float) -> np.ndarray:
        mesh = trimesh.creation.box((0.06, 0.06, 0.06))
        mesh.apply_translation((0.0, 0.0, 0.03))
        points = trimesh.sample.sample_surface(mesh, count, seed=0)[0]
        return points + np.random.default_rng(0).normal(scale=noise, size=points.shape)

    @pytest.mark.parametrize(("count", "noise"), [(12_000, 0.0), (30_000, 0.0), (400_000, 0.0005)])
    def test_flat_faces_have_their_normals(self, tmp_path, count, noise) -> None:
        np.save(tmp_path / "a.npy", self.box(count, noise).astype(np.float32))
        cloud = read_object_cloud(tmp_path / "a.npy")
        middle = cloud.object_points - (0.0, 0.0, 0.03)
        face = np.abs(middle).argmax(1)
        flat = np.sort(np.abs(middle), axis=1)[:, 1] < 0.024  # off the edges
        rows = np.arange(len(middle))
        cosines = (cloud.object_normals[rows, face] * np.sign(middle[rows, face]))[flat]
        assert flat.sum() > 500
        assert cosines.min() > 0.97
        assert ("thinned" in " ".join(cloud.warnings)) == (count > 20_000)

    def test_what_is_computed_of_each_point_is_bounded(self, tmp_path, monkeypatch) -> None:
        """However many points a file has, so many are oriented and spread at most."""
        from dexgrasp_models.perception import cloud_file

        oriented = []
        outward_normals = cloud_file.outward_normals

        def counted(points, given):
            oriented.append(len(points))
            return outward_normals(points, given)

        monkeypatch.setattr(cloud_file, "outward_normals", counted)
        for count in (100_000, 1_500_000):
            np.save(tmp_path / "a.npy", self.box(count, 0.0005).astype(np.float32))
            assert len(read_object_cloud(tmp_path / "a.npy").object_points) == 1024
        assert max(oriented) <= 20_000

    def test_given_normals_are_kept(self, tmp_path) -> None:
        points = self.box(60_000, 0.0)
        middle = points - (0.0, 0.0, 0.03)
        axis = np.abs(middle).argmax(1)
        normals = np.zeros_like(points)
        rows = np.arange(len(points))
        normals[rows, axis] = np.sign(middle[rows, axis])
        np.save(tmp_path / "a.npy", np.hstack([points, normals]))
        cloud = read_object_cloud(tmp_path / "a.npy")
        found = cKDTree(points).query(cloud.object_points)[1]
        assert np.array_equal(cloud.object_normals, normals[found].astype(np.float32))


def test_points_that_are_not_finite_are_left_out_and_counted(cylinder, right, tmp_path) -> None:
    holes = np.full((3, 1024, 3), np.nan, dtype=np.float32)
    holes[1, : len(cylinder)] = cylinder[:, :3]
    np.save(tmp_path / "a.npy", holes)
    flat = holes.reshape(-1, 3)
    write(tmp_path / "a.pcd", pcd(flat, "binary_compressed", height=3))
    write(tmp_path / "a.ply", ply(np.where(np.isnan(flat), np.inf, flat)))
    write(tmp_path / "a.xyz", text(flat, ","))
    dropped = 3 * 1024 - len(cylinder)
    for name in ("a.npy", "a.pcd", "a.ply", "a.xyz"):
        cloud = read_object_cloud(tmp_path / name)
        assert cloud.object_points == pytest.approx(right, abs=1e-7)
        assert cloud.warnings[0] == f"{dropped} of 3072 points are not finite: they are left out"


class TestPlace:
    @pytest.mark.parametrize(
        ("up", "axes"),
        [
            ("y", lambda p: np.c_[p[:, 0], p[:, 2], -p[:, 1]]),
            ("x", lambda p: np.c_[p[:, 2], p[:, 1], -p[:, 0]]),
            ("-y", lambda p: np.c_[p[:, 0], -p[:, 2], p[:, 1]]),
            ("-z", lambda p: p * (1.0, -1.0, -1.0)),
        ],
    )
    def test_another_axis_may_point_up(self, cylinder, right, tmp_path, up, axes) -> None:
        both = np.hstack([axes(cylinder[:, :3]), axes(cylinder[:, 3:])])
        np.save(tmp_path / "a.npy", both)
        with pytest.raises(CloudFileError, match=f"--up={up}"):
            read_object_cloud(tmp_path / "a.npy")
        cloud = read_object_cloud(tmp_path / "a.npy", up=up)
        assert cloud.object_points == pytest.approx(right, abs=1e-6)
        side = cloud.object_points[:, 2] < 0.1
        outward = cloud.object_points[side] * (1.0, 1.0, 0.0) / _CYLINDER_RADIUS
        assert (cloud.object_normals[side] * outward).sum(1).min() > 0.9

    def test_another_unit_may_be_a_metre(self, cylinder, right, tmp_path) -> None:
        np.save(tmp_path / "a.npy", cylinder * (1000, 1000, 1000, 1, 1, 1))
        with pytest.raises(CloudFileError, match=r"--scale 0\.001 for millimetres"):
            read_object_cloud(tmp_path / "a.npy")
        cloud = read_object_cloud(tmp_path / "a.npy", scale=0.001)
        assert cloud.object_points == pytest.approx(right, abs=1e-6)
        for scale in (0.0, -1.0, np.nan, np.inf):
            with pytest.raises(ValueError, match="scale"):
                read_object_cloud(tmp_path / "a.npy", scale=scale)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.ply", b"solid cup\nfacet", "no whole header of a PLY"),
        ("a.ply", b"ply\nformat ascii 2.0 x\nend_header\n", "not of a PLY header"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement face 1\nproperty list uchar int v\n"
         b"end_header\n3 0 1 2\n", "no vertices"),
        ("a.ply", ply(np.zeros((99, 3))).replace(b"float z", b"float w"), "without x, y and z"),
        ("a.pcd", pcd(np.zeros((99, 3))).replace(b"F F F", b"F F Q"), "TYPE Q"),
        ("a.pcd", pcd(np.zeros((99, 3))).replace(b"WIDTH 99", b"WIDTH 98"), "WIDTH and HEIGHT"),
        ("a.pcd", pcd(np.zeros((99, 3))).replace(b"DATA binary", b"DATA zipped"), "DATA zipped"),
        ("a.xyz", "1 2\n3 4\n", "2 numbers a line"),
        ("a.xyz", "x y z\nno numbers here\n", "holds no numbers"),
        ("a.xyz", "1 2 3\n4 5\n", "no table of numbers, or is cut short"),
        ("a.xyz", b"\xff\xfe1\x002\x00", "not the text"),
        ("a.xyzn", "1 2 3\n4 5 6\n", "not x y z nx ny nz"),
        ("a.las", b"LASF", "clouds are read from"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_files_name(tmp_path, name, data, message) -> None:
    path = write(tmp_path / name, data)
    with pytest.raises(CloudFileError, match=message) as caught:
        read_object_cloud(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 500)), "expected points"),
        (np.zeros((480, 640)), "expected points"),
        (np.zeros(500), "expected points"),
        (np.zeros((99, 3), dtype=complex), "no array of numbers"),
        (np.zeros((99, 3), dtype=bool), "no array of numbers"),
        (np.array(["a", "b"]), "no array of numbers"),
        (np.zeros(99, dtype=[("a", "f4"), ("b", "f4")]), "without x, y and z; there is a, b"),
    ],
)
def test_arrays_that_are_no_clouds(tmp_path, values, message) -> None:
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(CloudFileError, match=message):
        read_object_cloud(tmp_path / "a.npy")


def test_a_folder_is_no_file(tmp_path) -> None:
    (tmp_path / "a.ply").mkdir()
    with pytest.raises(CloudFileError, match="is a folder"):
        read_object_cloud(tmp_path / "a.ply")


def test_any_character_in_a_path(cylinder, right, tmp_path) -> None:
    for name in ("杯子.ply", "🥤.ply", "[bold] cup.ply"):
        cloud = read_object_cloud(write(tmp_path / name, ply(cylinder[:, :3])))
        assert cloud.object_points == pytest.approx(right, abs=1e-7)
