"""A batch moves as single simulators do."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.control.types import Command
from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.backends.mujoco.batch import BatchSimulator
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.scene import SceneConfig


@pytest.mark.parametrize("threads", [1, 2])
def test_each_scene_moves_as_a_single_simulator_does(threads):
    config, item = SceneConfig(), load_object("box")
    batch = BatchSimulator(config, item, count=3, threads=threads)
    batch.reset([5, 6, 7])
    single = make_simulator(config, item)
    targets = np.tile(config.home_pose, (3, 1, 1))
    targets[:, :3, 3] = [(-0.1, 0.0, 0.25), (-0.15, 0.05, 0.2), (-0.05, 0.0, 0.3)]
    fingers = np.linspace(0.0, 0.8, 3)[:, None] * np.ones(22)
    ramps = np.linspace(0.02, 1.0, 50)
    for ramp in ramps:
        batch.set_targets(config.home_pose + ramp * (targets - config.home_pose), fingers)
        batch.step()
    for index, seed in enumerate((5, 6, 7)):
        single.reset(seed)
        for ramp in ramps:
            target = config.home_pose + ramp * (targets[index] - config.home_pose)
            single.set_targets(Command(target, fingers[index]))
            single.step()
        state = single.state()
        assert batch.joints()[index] == pytest.approx(state.joints, abs=1e-9)
        assert batch.wrist_poses()[index] == pytest.approx(state.wrist_pose, abs=1e-9)
        assert batch.object_poses()[index] == pytest.approx(single.object_pose(), abs=1e-9)


def test_batches_are_of_the_floating_hand():
    with pytest.raises(ValueError, match="floating"):
        BatchSimulator(SceneConfig(scene="arm"), load_object("box"), 2)
    with pytest.raises(ValueError, match="positive"):
        BatchSimulator(SceneConfig(), load_object("box"), 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_unstable_scene_is_an_error_until_the_reset(threads):
    config = SceneConfig()
    batch = BatchSimulator(config, load_object("box"), count=2, threads=threads)
    batch.reset([5, 6])
    fingers = np.zeros((2, 22))
    fingers[1] = 1e300
    batch.set_targets(np.tile(config.home_pose, (2, 1, 1)), fingers)
    with pytest.raises(SimulatorError, match="unstable"):
        batch.step(5)
    batch.reset([5, 6])
    batch.step()
    assert np.isfinite(batch.object_poses()).all()
