"""What is particular to MuJoCo: its model's numbers, and its warnings."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends.mujoco.batch import MujocoBatch
from dexgrasp_sim.scene import SceneConfig

CAN = load_object("can")


def test_mass_and_friction_are_parameters():
    (model,) = MujocoBatch(SceneConfig(object_mass=0.35, friction=0.4), [CAN]).models
    assert model.body("object").mass[0] == pytest.approx(0.35)
    assert model.geom_friction[:, 0] == pytest.approx(0.4)


def test_environments_of_one_object_share_its_model():
    first, other, again = MujocoBatch(SceneConfig(), [CAN, load_object("box"), CAN]).models
    assert first is again
    assert first is not other
    assert MujocoBatch(SceneConfig(), [CAN]).models[0] is first, "compiled once for all batches"
    assert MujocoBatch(SceneConfig(friction=0.9), [CAN]).models[0] is not first


def test_an_object_that_is_put_somewhere_is_not_dropped_first(monkeypatch):
    monkeypatch.setattr("dexgrasp_sim.backends.mujoco.scene_model.find_stable_poses", None)
    batch = MujocoBatch(SceneConfig(), [load_object("can")])
    batch.reset([0], [0], np.eye(4)[None])


def test_the_palm_s_servos_have_bounded_force():
    batch = MujocoBatch(SceneConfig(), [CAN])
    batch.reset([0], [0])
    down = batch.wrist_poses()
    down[:, 2, 3] -= 1.0
    batch.set_targets(down, np.zeros((1, 22)))
    batch.step(100)
    forces = np.abs(batch.data[0].actuator_force[:3])
    assert 50.0 < forces.max() <= 60.0 + 1e-9


def test_contacts_bear_what_the_palm_pushes_with():
    batch = MujocoBatch(SceneConfig(home_position=(0.0, 0.0, 0.6)), [load_object("box")])
    batch.reset([0], [0])
    batch.place([0], object_poses=np.eye(4)[None])  # on its base
    palm = batch.wrist_poses()
    for height in np.linspace(0.20, 0.135, 80):
        palm[0, :3, 3] = (-0.05, 0.0, height)
        batch.set_targets(palm, np.zeros((1, 22)))
        batch.step()
    batch.step(150)
    # At rest; the hand's weight is compensated.
    pushed = np.linalg.norm(batch.data[0].actuator_force[:3])
    assert pushed > 1.0
    assert batch.hand_contacts().sum() == pytest.approx(pushed, rel=0.01)


@pytest.mark.parametrize("absurd", [1e300, np.nan])
def test_a_warning_is_a_fault_that_says_of_what_and_writes_no_file(absurd, tmp_path):
    folder = Path.cwd()
    os.chdir(tmp_path)
    try:
        batch = MujocoBatch(SceneConfig(), [CAN])
        batch.reset([0], [7])
        batch.set_targets(batch.wrist_poses(), np.full((1, 22), absurd))
        batch.step(5)
        assert "is not finite or huge" in batch.faults[0]
    finally:
        os.chdir(folder)
    assert not list(tmp_path.iterdir())  # no MUJOCO_LOG.TXT
