"""Approximate convex decomposition by CoACD (Wei et al., SIGGRAPH 2022), in a process of its own.

On some meshes CoACD's own assertions end the process that it runs in, which must not be a run over
many objects or a node of the robot.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dexgrasp_models.jobs.parent_process import end_with_input


class DecompositionError(RuntimeError):
    """CoACD can't decompose a mesh; says why, in its words."""


def convex_pieces(
    vertices: np.ndarray, faces: np.ndarray, settings: Mapping[str, Any]
) -> list[np.ndarray]:
    """Corners (V_i, 3) of the convex pieces of a closed mesh, in its own unit.

    Args:
        vertices: (V, 3).
        faces: (F, 3) indices of vertices.
        settings: arguments of `coacd.run_coacd`.

    Raises:
        DecompositionError: there are none.
    """
    with tempfile.TemporaryDirectory(prefix="dexgrasp-") as folder:
        mesh, pieces = Path(folder) / "mesh.npz", Path(folder) / "pieces.npz"
        np.savez(mesh, vertices=vertices, faces=faces)
        # Its standard input stays open for as long as this process lives.
        with subprocess.Popen(
            [sys.executable, "-P", __file__, mesh, pieces, json.dumps(dict(settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            assert process.stderr is not None
            told = process.stderr.read().strip().splitlines()
        if process.returncode == 0:
            with np.load(pieces) as found:
                return [found[f"arr_{index}"] for index in range(len(found.files))]
    how = (
        f"it was ended by {signal.Signals(-process.returncode).name}"
        if process.returncode < 0
        else f"status {process.returncode}"
    )
    why = told[-1].rsplit(": ", 1)[-1] if told else ""
    raise DecompositionError(f"CoACD: {how}{why and f', {why}'}")


def _decompose(mesh: str, pieces: str, settings: str) -> None:
    """What the other process does."""
    end_with_input()
    import coacd

    coacd.set_log_level("error")
    with np.load(mesh) as given:
        parts = coacd.run_coacd(
            coacd.Mesh(given["vertices"], given["faces"]), **json.loads(settings)
        )
    np.savez(pieces, *(vertices for vertices, _ in parts))


if __name__ == "__main__":
    _decompose(*sys.argv[1:])
