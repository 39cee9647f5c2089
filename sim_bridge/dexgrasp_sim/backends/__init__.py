"""Simulators, a room for each, and the choice among them.

A room's module `batch` offers `make_batch`, which takes what `make_batch_physics` takes, and may
offer `check`, which says what of the simulator is installed where an import does not tell. It may
have a module `trials`, whose `make_trials` takes a `TrialScene`, and whose `AT_ONCE` says for how
many trials there is room. Nothing else of a room is for others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.interface import BatchPhysics, Physics
from dexgrasp_sim.placement import StablePose
from dexgrasp_sim.scene import BACKENDS, SceneConfig
from dexgrasp_sim.simulator import Simulator
from dexgrasp_sim.single_physics import SinglePhysics
from dexgrasp_sim.trial_physics import TrialPhysics, TrialScene


def make_simulator(config: SceneConfig, object_model: ObjectModel) -> Simulator:
    """Physics and cameras of a scene; `reset` it before use.

    Raises:
        ImportError: what the simulator needs is not installed.
        FileNotFoundError: the cameras' rig is not there.
        RigError: the rig can't be used.
    """
    return Simulator(make_physics(config, object_model), DepthCameras(config, object_model))


def make_physics(config: SceneConfig, object_model: ObjectModel) -> Physics:
    """One scene of the physics that a configuration asks for; `reset` it before use.

    Raises:
        ImportError: what the simulator needs is not installed.
    """
    return SinglePhysics(make_batch_physics(config, [object_model]))


def make_batch_physics(
    config: SceneConfig, object_models: Sequence[ObjectModel], threads: int = 1
) -> BatchPhysics:
    """Many scenes of the physics that a configuration asks for (`SceneConfig.backend`).

    Args:
        config: of all environments.
        object_models: the object of each; one that is there several times is prepared once.
        threads: that step the environments, where the simulator uses the processor's cores.

    Raises:
        ImportError: what the simulator needs is not installed.
        ValueError: there is no environment or no thread.
    """
    return _room(config.backend).make_batch(config, object_models, threads)


def make_trials(backend: str, scene: TrialScene) -> TrialPhysics:
    """Trials of grasps of some objects; `place` some before use.

    Raises:
        ImportError, ValueError: as `trials_at_once`.
    """
    return _trials(backend).make_trials(scene)


def trials_at_once(backend: str) -> int:
    """How many trials of grasps a simulator has room for.

    Raises:
        ImportError: what the simulator needs is not installed.
        ValueError: it offers no trials.
    """
    return _trials(backend).AT_ONCE


def _trials(backend: str) -> ModuleType:
    able = [name for name in BACKENDS if find_spec(f"{__name__}.{name}.trials")]
    if backend not in able:
        raise ValueError(f"{backend} tries no grasps in still hands; {', '.join(able)} do")
    return import_module(f"{__name__}.{backend}.trials")


def find_stable_poses(object_model: ObjectModel) -> tuple[StablePose, ...]:
    """Distinct poses in which an object rests on the table, the most frequent first.

    Found once, by one simulator for all, and kept in the cache folder.

    Raises:
        RuntimeError: the object came to rest in no drop.
    """
    from dexgrasp_sim.backends.mujoco import stable_pose  # loads the simulator, for this alone

    return stable_pose.find_stable_poses(object_model)


def check_backend(name: str) -> str:
    """What there is of what a simulator needs.

    Raises:
        ImportError: what is missing, and how to get it.
    """
    check: Callable[[], str] | None = getattr(_room(name), "check", None)
    return check() if check else "ready"


def _room(name: str) -> ModuleType:
    # Only the simulator that is asked for is imported.
    return import_module(f"{__name__}.{name}.batch")
