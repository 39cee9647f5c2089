"""``dexgrasp propose``: grasps for a cloud in a file, without a ROS graph."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dexgrasp_cli.output_paths import file_to_write
from dexgrasp_cli.proposal_options import DEFAULT_PROPOSER, Proposer, Weights
from dexgrasp_cli.set_options import problems_told

if TYPE_CHECKING:
    from dexgrasp_models.synthesis.types import Grasp

_SHOWN = 10  # rows


class Up(StrEnum):
    """The axis of a cloud that points up."""

    X, Y, Z = "x", "y", "z"
    MINUS_X, MINUS_Y, MINUS_Z = "-x", "-y", "-z"


def propose(
    cloud: Annotated[
        Path,
        typer.Argument(
            help="Points of an object on the table z = 0, and normals where they are known: .ply, "
            ".pcd, .npy, .npz, .xyz, .pts, .csv (docs/grasp_proposals.md)."
        ),
    ],
    count: Annotated[int, typer.Option("-n", min=1, max=1024, help="Grasps at most.")] = 32,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the grasps, .npz: palm poses, joints, scores.", callback=file_to_write
        ),
    ] = None,
    scale: Annotated[
        float, typer.Option(help="Factor that turns the cloud's unit into metres.")
    ] = 1.0,
    up: Annotated[
        Up, typer.Option(help="The cloud's axis that points up; palm poses are in its axes, too.")
    ] = Up.Z,
    proposer: Proposer = DEFAULT_PROPOSER,
    weights: Weights = None,
    text: Annotated[
        str, typer.Option(help="How to grasp what, as in 'grasp the mug by the handle'.")
    ] = "",
    clip: Annotated[
        Path | None, typer.Option(help="Of the text: folder of CLIP's weights.")
    ] = None,
    arm: Annotated[bool, typer.Option("--arm", help="Only grasps that the UR10e reaches.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampling.")] = 0,
    rotations: Annotated[
        Path | None,
        typer.Option(
            help="Of the learned proposer: picture of p(R|X), .png; palms as circles.",
            callback=file_to_write,
        ),
    ] = None,
) -> None:
    """Ranked grasps for a cloud in a file."""
    import numpy as np

    from dexgrasp_models.arm.kinematics import ArmKinematics
    from dexgrasp_models.language.clip import NO_CLIP
    from dexgrasp_models.language.selection import LanguageConfig, LanguageSelector
    from dexgrasp_models.perception.cloud_file import UP, read_object_cloud
    from dexgrasp_models.proposals.proposer import (
        PROPOSERS,
        DrawsRotations,
        make_proposer,
        proposer_config,
    )
    from dexgrasp_models.proposals.reachability import NoProposalError
    from dexgrasp_models.synthesis.object_surface import CloudError
    from dexgrasp_sim.cameras.render import save_picture

    with problems_told() as console:
        if text and clip is None:
            raise ValueError(f"{NO_CLIP}, and give it as --clip FOLDER")
        if out is not None and out.suffix != ".npz":
            raise ValueError(f"{out}: grasps are written as .npz")
        if rotations is not None and rotations.suffix != ".png":
            raise ValueError(f"{rotations}: the picture of the rotations is written as .png")
        language = LanguageConfig(weights=str(clip or ""))
        selector = LanguageSelector(language) if text else None
        asked = max(count, language.pool) if text else count
        name = str(proposer)
        usual = getattr(PROPOSERS[name].config(), "batch", asked)
        config = proposer_config(
            name,
            weights=str(weights) if weights else None,
            batch=asked if asked > usual else None,
        )
        source = make_proposer(name, config, arm=ArmKinematics() if arm else None)
        if rotations is not None and not isinstance(source, DrawsRotations):
            raise ValueError(f"--proposer {name} has no density of rotations to draw")
        with console.status(f"reading {escape(str(cloud))}"):
            seen = read_object_cloud(cloud, scale=scale, up=str(up))
        for warning in seen.warnings:
            console.print(f"[yellow]{escape(f'{cloud}: {warning}')}", soft_wrap=True)
        in_file = np.eye(4)
        in_file[:3, :3] = UP[str(up)].T
        grasps: list[Grasp] = []
        try:
            if selector is None:
                grasps = source.propose(seen, count, seed)
            else:
                grasps = selector.propose(source, seen, text, count, seed)
        except CloudError as error:
            raise ValueError(f"{cloud}: {error}") from error
        except NoProposalError as error:
            console.print(f"[red]{escape(f'{cloud}: {error}')}", soft_wrap=True)
            raise typer.Exit(1) from error
        finally:
            # Also where no grasp is left: it may tell why.
            if rotations is not None and isinstance(source, DrawsRotations):
                save_picture(rotations, source.rotation_picture(seen, grasps))
                console.print(f"density of the rotations drawn to {rotations}", soft_wrap=True)
        grasps = [replace(grasp, palm_pose=in_file @ grasp.palm_pose) for grasp in grasps]
        console.print(_table(grasps))
        timings = source.progress.timings | (selector.timings if selector else {})
        took = ", ".join(f"{stage} {t:.2f} s" for stage, t in timings.items())
        console.print(f"seed {seed}; {took}", soft_wrap=True)
        if source.progress.remark:
            console.print(source.progress.remark, soft_wrap=True)
        if out is not None:
            _write(out, grasps)
            console.print(f"{len(grasps)} grasps written to {out}", soft_wrap=True)


def _table(grasps: list[Grasp]) -> Table:
    table = Table("", "score", "palm x, y, z (m)", "penetration, mm", title=f"{len(grasps)} grasps")
    by_text = "text_cosine" in grasps[0].figures
    if by_text:
        table.add_column("text, cosine")
    for rank, grasp in enumerate(grasps[:_SHOWN], start=1):
        x, y, z = grasp.palm_pose[:3, 3]
        depth = 1000 * grasp.figures["penetration"]
        row = [str(rank), f"{grasp.score:.2f}", f"{x:.3f} {y:.3f} {z:.3f}", f"{depth:.1f}"]
        if by_text:
            row.append(f"{grasp.figures['text_cosine']:.3f}")
        table.add_row(*row)
    return table


def _write(path: Path, grasps: list[Grasp]) -> None:
    """All grasps as arrays, with the joints' names; whole or not at all."""
    import numpy as np

    from dexgrasp_models.hand.spec import load_hand
    from dexgrasp_models.objects.meshes import save_arrays

    arrays = {
        "palm_poses": [grasp.palm_pose for grasp in grasps],
        "joints": [grasp.joints for grasp in grasps],
        "pregrasp_joints": [grasp.pregrasp_joints for grasp in grasps],
        "squeeze_joints": [grasp.squeeze_joints for grasp in grasps],
        "scores": [grasp.score for grasp in grasps],
    }
    figures = {f"figure_{name}": [g.figures[name] for g in grasps] for name in grasps[0].figures}
    save_arrays(
        path,
        joint_names=np.array(load_hand().finger_joints),
        **{name: np.array(values) for name, values in (arrays | figures).items()},
    )
