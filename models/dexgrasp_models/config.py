"""Where configuration files are found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


def find_config(name: str) -> Path:
    """Path of the configuration file `name`, e.g. ``"scene.yaml"``.

    Looked for in ``$DEXGRASP_CONFIG_DIR``, then in the repository's ``config/``, then in the
    installed share folder of `dexgrasp_bringup` in each prefix of ``$AMENT_PREFIX_PATH``. The first
    that has it wins.

    Raises:
        FileNotFoundError: no folder has it; the message lists the folders.
    """
    folders = list(_config_folders())
    for folder in folders:
        if (path := folder / name).is_file():
            return path
    searched = ", ".join(map(str, folders))
    raise FileNotFoundError(
        f"no configuration file {name!r} in {searched}; "
        "set DEXGRASP_CONFIG_DIR to the folder that has it"
    )


def load_config(name: str) -> dict[str, Any]:
    """The mapping in the configuration file `name` (see `find_config`).

    Raises:
        FileNotFoundError: as `find_config`.
        ValueError: the file is not a YAML mapping.
    """
    path = find_config(name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a mapping, not {type(content).__name__}")
    return content


def load_node_parameters(name: str, node: str) -> dict[str, Any]:
    """What the ROS parameter file `name` (see `find_config`) sets for a node.

    Sections for every node (``/**``) count, and those of `node`; of two, the later wins.

    Raises:
        FileNotFoundError: as `find_config`.
        ValueError: the file is not a YAML mapping, or has no such section.
    """
    sections = [
        section
        for title, section in load_config(name).items()
        if title in ("/**", node, f"/{node}", f"/**/{node}")
    ]
    values: dict[str, Any] = {}
    for section in sections:
        if not isinstance(section, dict) or not isinstance(section.get("ros__parameters"), dict):
            raise ValueError(f"{name} must hold a mapping {node}: ros__parameters: ...")
        values = _merged(values, section["ros__parameters"])
    if not sections:
        raise ValueError(f"{name} must hold a mapping /**: ros__parameters: ...")
    return values


def _merged(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`values` with those of `more` in their place, groups of values one by one."""
    merged = dict(values)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(values.get(key), dict)
        merged[key] = _merged(values[key], value) if both else value
    return merged


def _config_folders() -> Iterator[Path]:
    if configured := os.environ.get("DEXGRASP_CONFIG_DIR"):
        yield Path(configured)
    yield _REPOSITORY_ROOT / "config"
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        yield Path(prefix) / "share" / "dexgrasp_bringup" / "config"
