"""Many grasps tried, in parallel; and controls, which are grasps made worse and have to fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from dexgrasp_models.data.grasps import GraspDataError, Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.jobs.worker_processes import outcomes
from dexgrasp_models.objects import LIBRARY_PREFIX, MeshError, ObjectModel, load_object
from dexgrasp_sim.backends import trials_at_once
from dexgrasp_sim.datasets.validation import FIGURES, GraspValidator
from dexgrasp_sim.datasets.validation_config import ValidationConfig

LoadObject = Callable[[str, float], ObjectModel]
"""The object of a name at a scale; has to be picklable."""

_AT_LEAST = 32  # grasps of one job: enough to be worth compiling the objects' models
_LEFT_OUT = -1  # in the place of an object's number


class Control(StrEnum):
    """What is done to grasps before they are tried."""

    NONE = "none"
    SHUFFLED_JOINTS = "shuffled_joints"
    WRIST_1CM = "wrist_1cm"
    WRIST_2CM = "wrist_2cm"
    WRIST_4CM = "wrist_4cm"
    REVERSED_SQUEEZE = "reversed_squeeze"


_WRIST_SHIFT = {Control.WRIST_1CM: 0.01, Control.WRIST_2CM: 0.02, Control.WRIST_4CM: 0.04}  # m


@dataclass(frozen=True)
class _Job:
    rows: np.ndarray
    grasps: Grasps
    load: LoadObject
    config: ValidationConfig
    thrifty: bool


class _Tried(NamedTuple):
    figures: dict[str, np.ndarray]
    squeezes: np.ndarray
    left_out: dict[str, MeshError | GraspDataError]


def library_object(name: str, scale: float) -> ObjectModel:
    """The library's object of a name such as `mug/3`, with a radius of ``scale`` m.

    Raises:
        ValueError: there is none.
    """
    return load_object(LIBRARY_PREFIX + name, scale)


def try_grasps(
    grasps: Grasps,
    load: LoadObject,
    config: ValidationConfig | None = None,
    *,
    control: Control = Control.NONE,
    seed: int = 0,
    thrifty: bool = False,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    left_out: dict[str, str] | None = None,
    squeezes: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """(N,) figures of all grasps, see `GraspValidator.run`.

    Args:
        grasps: of any objects.
        load: finds the objects.
        config: how they are tried.
        control: what is done to them before.
        seed: of the control.
        thrifty: whether to stop at the first trial that fails; further figures are NaN.
        workers: processes.
        progress: is called with how many grasps are done, of how many.
        left_out: takes the objects that can't be found or used, with the reason; the figures of
            their grasps are NaN. Without it they raise.
        squeezes: (N, 22) takes the joint targets, rad, that they were pressed with.

    Raises:
        MeshError, GraspDataError: an object can't be found or used.
        ChildProcessError: a process was killed, as when memory runs out.
    """
    config = config or ValidationConfig()
    grasps = perturbed(grasps, control, np.random.default_rng(seed), config.drive == "coupled")
    if control is Control.REVERSED_SQUEEZE:
        config = replace(config, gain=-config.gain)
    figures = {name: np.full(len(grasps), np.nan) for name in FIGURES}
    done = 0
    jobs = _jobs(grasps, load, config, thrifty, workers)
    with closing(outcomes(_try, jobs, workers)) as finished:
        for job, found in finished:
            for name, error in found.left_out.items():
                if left_out is None:
                    raise error
                left_out[name] = str(error)
            for name, values in found.figures.items():
                figures[name][job.rows] = values
            if squeezes is not None:
                squeezes[job.rows] = found.squeezes
            done += len(job.rows)
            if progress:
                progress(done, len(grasps))
    return figures


def perturbed(
    grasps: Grasps, control: Control, generator: np.random.Generator, coupled: bool
) -> Grasps:
    """The grasps that are tried in the place of ``grasps``.

    Args:
        grasps: as given.
        control: what to do. A reversed squeeze changes nothing here.
        generator: of permutations and directions.
        coupled: whether shuffled joints are ones that coupled fingers can have (J1 = J2).
    """
    if control is Control.SHUFFLED_JOINTS:
        hand = load_hand()
        joints = np.clip(generator.permuted(grasps.joints, axis=1), *hand.limits.T)
        joints = hand.couple(joints) if coupled else joints
        return replace(grasps, joints=joints.astype(grasps.joints.dtype))
    if control in _WRIST_SHIFT:
        directions = generator.standard_normal((len(grasps), 3))
        directions *= _WRIST_SHIFT[control] / np.linalg.norm(directions, axis=1, keepdims=True)
        return replace(grasps, translations=grasps.translations + directions)
    return grasps


def rates(figures: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Shares of grasps: those of yes-or-no figures, and of penetrations of at most 1 and 3 mm.

    NaN where nothing was measured.
    """

    def share(values: np.ndarray) -> float:
        known = values[~np.isnan(values)]
        return float(known.mean()) if len(known) else np.nan

    depth = figures["penetration"]
    return {
        "penetration_1mm": share(np.where(np.isnan(depth), np.nan, depth <= 0.001)),
        "penetration_3mm": share(np.where(np.isnan(depth), np.nan, depth <= 0.003)),
        **{
            name: share(figures[name])
            for name in ("held_contact", "held_squeezed", "stable", "lifted")
        },
    }


def _jobs(
    grasps: Grasps, load: LoadObject, config: ValidationConfig, thrifty: bool, workers: int
) -> Iterator[_Job]:
    """As many grasps in each as the simulator tries at once, if that leaves some to each worker."""
    room = min(trials_at_once(config.backend), math.ceil(len(grasps) / workers))
    count = max(room, _AT_LEAST)
    order = np.lexsort((grasps.scales, grasps.objects))  # objects' models are made for a job
    for start in range(0, len(order), count):
        rows = order[start : start + count]
        yield _Job(rows, grasps[rows], load, config, thrifty)


def _try(job: _Job) -> _Tried:
    """What was found, or what is wrong with objects."""
    grasps, count = job.grasps, len(job.grasps)
    models: list[ObjectModel] = []
    left_out: dict[str, MeshError | GraspDataError] = {}
    which = np.full(count, _LEFT_OUT)
    for index, scale in sorted(
        set(zip(grasps.objects.tolist(), grasps.scales.tolist(), strict=True))
    ):
        name = grasps.names[index]
        try:
            model = job.load(name, scale)
        except (MeshError, GraspDataError) as error:
            left_out[name] = error
            continue
        which[(grasps.objects == index) & (grasps.scales == scale)] = len(models)
        models.append(model)
    figures = {name: np.full(count, np.nan) for name in FIGURES}
    squeezes = np.full(grasps.joints.shape, np.nan)
    rows = np.flatnonzero(which != _LEFT_OUT)
    if len(rows):
        validator, some = GraspValidator(models, job.config), grasps[rows]
        results = list(validator.run_all(some, which[rows], thrifty=job.thrifty))
        for name in FIGURES:
            figures[name][rows] = [result[name] for result in results]
        squeezes[rows] = validator.squeezes(some, which[rows])
    return _Tried(figures, squeezes, left_out)
