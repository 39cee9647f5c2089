"""``dexgrasp data show``: the grasps of a set as a picture, or to leaf through in the browser."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.set_options import (
    Meshes,
    Objects,
    SetFolder,
    Where,
    drawn,
    objects_told,
    of_usable_objects,
)

if TYPE_CHECKING:
    import trimesh
    from rich.console import Console

    from dexgrasp_models.data.grasps import Grasps
    from dexgrasp_models.perception.ray_casting import Body
    from dexgrasp_viewer.grasp_browser import LoadSurface

_TILE = 240  # px
_COLUMNS = 4
_PICTURES = (".png", ".jpg", ".jpeg")
_OBJECT, _HAND, _TABLE = (0.94, 0.55, 0.20), (0.80, 0.76, 0.70), (0.78, 0.82, 0.86)
_HAND_AZIMUTH = 0.3  # rad: to the right of the sheet's camera, so that neither hides the other
_MARGIN = 1.05


def show(
    grasp_set: SetFolder,
    where: Where = None,
    objects: Objects = None,
    count: Annotated[int, typer.Option(min=1, help="Grasps in the picture, drawn at random.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing.")] = 0,
    out: Annotated[Path, typer.Option(help="Picture to write.", callback=file_to_write)] = Path(
        "out/grasps.png"
    ),
    viewer: Annotated[
        bool, typer.Option("--viewer", help="Leaf through all of them in a web browser instead.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the viewer; 0: any.")] = 8080,
    meshes: Meshes = None,
) -> None:
    """A picture of random grasps on their table, or all of them in the browser.

    Objects that can't be found or used are told and left out; then it ends with status 1.
    """
    from functools import partial

    from dexgrasp_models.data.grasp_set import GraspSet
    from dexgrasp_models.data.grasps import GraspDataError
    from dexgrasp_models.objects.meshes import MeshError
    from dexgrasp_sim.cameras.render import save_picture
    from dexgrasp_sim.pictures.contact_sheet import contact_sheet

    with objects_told() as (console, left_out):
        if out.suffix.lower() not in _PICTURES:
            raise ValueError(f"{out}: a picture is one of *{', *'.join(_PICTURES)}")
        source = GraspSet.open(grasp_set)
        grasps = drawn(source, where, objects, None if viewer else count, seed)
        load = partial(_surface, meshes)
        if viewer:
            _serve(grasps, load, port, console)
            return
        samples = []
        for row in range(len(grasps)):
            name, scale = grasps.names[grasps.objects[row]], float(grasps.scales[row])
            if name in left_out:
                continue
            try:
                surface = load(name, scale)
            except (MeshError, GraspDataError) as error:
                left_out[name] = str(error)
            else:
                samples.append((f"{name}, {scale:.3g}", grasp_bodies(grasps[[row]], surface)))
        shown, _ = of_usable_objects(console, grasps, {}, left_out)
        save_picture(out, contact_sheet(samples, _COLUMNS, _TILE))
        console.print(f"{len(shown)} of {len(source)} grasps, written to {out}", soft_wrap=True)


def grasp_bodies(grasp: Grasps, surface: trimesh.Trimesh) -> list[Body]:
    """Object, hand and, where there is one, table, within the unit sphere as on contact sheets.

    Args:
        grasp: one.
        surface: of the object, in its frame at the grasp's scale, m.
    """
    import numpy as np
    import trimesh
    from scipy.spatial.transform import Rotation

    from dexgrasp_models.data.grasps import table_pose
    from dexgrasp_models.hand.spec import load_hand
    from dexgrasp_models.perception.ray_casting import Body
    from dexgrasp_models.robot.link_meshes import link_mesh, posed
    from dexgrasp_models.robot.links import link_poses

    hand = load_hand()
    on_table = bool(grasp.has_table[0])
    world_T_object = table_pose(grasp.planes[0]) if on_table else np.eye(4)
    angles = dict(zip(hand.finger_joints, grasp.joints[0], strict=True))
    links = world_T_object @ grasp.palm_poses[0] @ link_poses(hand.links, angles)
    joined = posed([link_mesh(link) for link in hand.links], links)
    held = surface.copy().apply_transform(world_T_object)
    shapes = [held, trimesh.Trimesh(joined.vertices, joined.faces, process=False)]

    # A grasp leaves the turn about the vertical open.
    x, y = (shapes[1].bounds.mean(axis=0) - held.bounds.mean(axis=0))[:2]
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", _HAND_AZIMUTH - np.arctan2(y, x)).as_matrix()
    for shape in shapes:
        shape.apply_transform(turn)
    center = trimesh.util.concatenate(shapes).bounds.mean(axis=0)
    radius = max(np.linalg.norm(shape.vertices - center, axis=1).max() for shape in shapes)
    for shape in shapes:
        shape.apply_translation(-center).apply_scale(1.0 / (_MARGIN * radius))
    bodies = [Body(shapes[0], _OBJECT), Body(shapes[1], _HAND)]
    if on_table:
        table = trimesh.creation.cylinder(radius=1.0, height=0.02, sections=64)
        table.apply_translation((0.0, 0.0, -center[2] / (_MARGIN * radius) - 0.01))
        bodies.append(Body(table, _TABLE))
    return bodies


def _surface(meshes: Path | None, name: str, scale: float) -> trimesh.Trimesh:
    """What is seen of the object of a name at a scale."""
    from dexgrasp_models.data.dexgraspbench import find_object
    from dexgrasp_models.objects import LIBRARY_PREFIX, load_surface

    if meshes is not None:
        return find_object(meshes, name, scale).visual
    return load_surface(LIBRARY_PREFIX + name).copy().apply_scale(scale)


def _serve(grasps: Grasps, load: LoadSurface, port: int, console: Console) -> None:
    from dexgrasp_viewer.grasp_browser import GraspBrowser
    from dexgrasp_viewer.web_server import start_server

    server = start_server("localhost", port, "dexgrasp")
    try:
        GraspBrowser(server, grasps, load)
        console.print(
            f"{len(grasps)} grasps at http://localhost:{server.get_port()}; Ctrl-C ends it",
            soft_wrap=True,
        )
        while True:
            time.sleep(1.0)
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()
