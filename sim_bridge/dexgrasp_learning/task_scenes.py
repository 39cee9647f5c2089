"""What tasks with a free hand ask of their scene, and the objects in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.datasets.grasp_trials import LoadObject
from dexgrasp_sim.scene import SceneConfig, load_scene

_KEPT_OBJECTS = 1024  # so that the simulator can keep their scenes; two megabytes each with them


def task_scene(rate: float, backend: str | None = None) -> SceneConfig:
    """The scene of such a task: as `config/scene.yaml` says, but for what tasks ask of it.

    Args:
        rate: steps a second.
        backend: the simulator; default: as configured.

    Raises:
        ValueError: there is no such simulator.
    """
    scene = load_scene(scene="floating", control_period=1.0 / rate)
    return scene if backend is None else replace(scene, backend=backend)


def told_backend(backend: str) -> dict[str, str]:
    """The simulator, for settings that runs and results are told apart by.

    The one that there was before any could be chosen is not told: what was run then goes on.
    """
    return {} if backend == SceneConfig.backend else {"backend": backend}


def check_scene(scene: SceneConfig, rate: float) -> None:
    """See that a scene has a free hand and a control tick a step.

    Args:
        scene: whose.
        rate: steps a second.

    Raises:
        ValueError: it has an arm, or another control period.
    """
    if ticks_of_step(scene, rate) != 1:
        raise ValueError(_wrong_period(scene, rate))


def ticks_of_step(scene: SceneConfig, rate: float) -> int:
    """How many control ticks a step of a task takes in a scene.

    Args:
        scene: whose; with a free hand.
        rate: steps a second.

    Raises:
        ValueError: it has an arm, or a step is no whole number of ticks.
    """
    if scene.scene != "floating":
        raise ValueError(f"the task moves a free hand: its scene is floating, not {scene.scene}")
    ticks = round(1.0 / (scene.control_period * rate))
    if ticks < 1 or abs(scene.control_period * rate * ticks - 1.0) > 1e-9:
        raise ValueError(_wrong_period(scene, rate))
    return ticks


def _wrong_period(scene: SceneConfig, rate: float) -> str:
    return (
        f"{rate:g} steps a second need a control_period of {1 / rate:g} s, "
        f"not {scene.control_period:g}"
    )


def objects_of(goals: Grasps, load: LoadObject) -> Sequence[ObjectModel]:
    """The object of each of N goals.

    Raises:
        MeshError: one can't be used.
    """
    return [
        _loaded(load, goals.names[index], scale)
        for index, scale in zip(goals.objects, goals.scales.astype(float).tolist(), strict=True)
    ]


@lru_cache(_KEPT_OBJECTS)
def _loaded(load: LoadObject, name: str, scale: float) -> ObjectModel:
    return load(name, scale)
