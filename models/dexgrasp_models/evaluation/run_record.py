"""What has to stand beside a figure so that it can be measured again."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dexgrasp_models.data.grasp_set import Provenance

_LIBRARIES = ("torch", "mujoco", "numpy", "scipy", "open3d")


def run_record(seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Version, command, seed, settings (as `notes`) and machine, for JSON.

    Args:
        seed: of all that was drawn.
        settings: what was done; the weights' digest among them, where there are weights.
    """
    return {**asdict(Provenance(seed=seed, notes=settings)), "machine": machine()}


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, and versions of what computes, for JSON."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: _version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    """Its model's name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
