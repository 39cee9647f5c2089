"""MuJoCo's warnings are errors: a simulation that went wrong is not believed.

By itself MuJoCo puts a scene that has become unstable back to its start and goes on, and writes a
file of warnings into the working directory.
"""

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np

from dexgrasp_sim.interface import SimulatorError

_MEANINGS = {
    mujoco.mjtWarning.mjWARN_INERTIA: "an inertia matrix can't be inverted",
    mujoco.mjtWarning.mjWARN_CONTACTFULL: "there are too many contacts",
    mujoco.mjtWarning.mjWARN_CNSTRFULL: "there are too many constraints",
    mujoco.mjtWarning.mjWARN_BADQPOS: "a position is not finite or huge",
    mujoco.mjtWarning.mjWARN_BADQVEL: "a speed is not finite or huge",
    mujoco.mjtWarning.mjWARN_BADQACC: "an acceleration is not finite or huge",
    mujoco.mjtWarning.mjWARN_BADCTRL: "a control is not finite or huge",
}

NO_SILENT_RESET = mujoco.mjtDisableBit.mjDSBL_AUTORESET
"""To be disabled in every model."""

mujoco.set_mju_user_warning(lambda _: None)  # no file; they are counted in the data, see `check`


def step(model: mujoco.MjModel, data: mujoco.MjData, count: int = 1) -> None:
    """Advances by `count` steps of the physics.

    Raises:
        SimulatorError: as `check`.
    """
    mujoco.mj_step(model, data, count)
    check(data)


def check(data: mujoco.MjData) -> None:
    """Sees to it that MuJoCo has not warned since the data was reset.

    Raises:
        SimulatorError: it has; the message says of what. The data has to be reset before use.
    """
    if problem := fault(data):
        raise SimulatorError(problem)


def fault(data: mujoco.MjData) -> str:
    """What MuJoCo has warned of since the data was reset; empty if of nothing."""
    counts = data.warning.number
    if not np.count_nonzero(counts):  # in a tenth of the time that any() takes
        return ""
    return unstable(text for warning, text in _MEANINGS.items() if counts[int(warning)])


def unstable(reasons: Iterable[str]) -> str:
    """What is told of an environment that has become unstable."""
    return f"the simulation has become unstable: {'; '.join(reasons)}"
