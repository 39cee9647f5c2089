"""What is particular to mujoco-warp: it follows MuJoCo, and says when its buffers are too small."""

from __future__ import annotations

import importlib
import re
import sys

import numpy as np
import pytest
import torch
from simulator_comparison import OBJECTS, differences, grope

from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_batch_physics
from dexgrasp_sim.backends.mujoco_warp.settings import MujocoWarpSettings
from dexgrasp_sim.interface import SimulatorError
from dexgrasp_sim.scene import SceneConfig
from dexgrasp_sim.single_physics import SinglePhysics

ROOM = "dexgrasp_sim.backends.mujoco_warp.batch"

SHIFT, TURN = 1e-4, 1e-3
"""m, and rad of joints or in rotation matrices, by which 200 ticks in contact may differ."""


@pytest.fixture
def room(warp_batch):
    return importlib.import_module("dexgrasp_sim.backends.mujoco_warp.room")


@pytest.fixture
def warp_batch():
    return pytest.importorskip(ROOM, exc_type=ImportError).MujocoWarpBatch


def test_it_moves_hands_and_different_objects_in_contact_as_mujoco_does(warp_batch):
    expected, pressed = grope("mujoco")
    assert (pressed > 100).all(), "hands press on objects"
    found, _ = grope("mujoco_warp")
    shift, turn = differences(found, expected)
    assert shift < SHIFT
    assert turn < TURN
    assert found.hand_contacts().sum(axis=1) == pytest.approx(
        expected.hand_contacts().sum(axis=1), rel=0.01
    )


def test_an_object_half_as_heavy_again_moves_otherwise():
    shift, turn = differences(grope("mujoco")[0], grope("mujoco", object_mass=0.15)[0])
    assert shift > SHIFT or turn > TURN


def test_objects_of_many_and_of_few_pieces_come_to_rest_as_in_mujoco(warp_batch):
    objects = [load_object(name) for name in ("mug", "ball", "hammer")]
    found = []
    for backend in ("mujoco", "mujoco_warp"):
        batch = make_batch_physics(SceneConfig(backend=backend), objects)
        batch.reset(range(3), [1, 2, 3])
        poses = batch.object_poses()
        poses[:, 2, 3] += 0.002
        batch.place(range(3), object_poses=poses)
        batch.step(40)
        found.append(batch.object_poses())
    assert found[1][:, :3, 3] == pytest.approx(found[0][:, :3, 3], abs=5e-4)
    assert found[1][:, :3, :3] == pytest.approx(found[0][:, :3, :3], abs=0.01)


def test_too_many_contacts_are_a_fault_and_not_a_warning(warp_batch):
    settings = MujocoWarpSettings(contacts=1)
    batch = warp_batch(SceneConfig(), [load_object("box")], settings=settings)
    batch.reset([0], [0], np.eye(4)[None])  # stands on four corners
    with pytest.raises(
        SimulatorError, match="too many contacts, with room for 1: raise contacts in"
    ):
        SinglePhysics(batch).step()
    batch.step()
    assert batch.ticks.tolist() == [1], "it stands still"
    air = np.eye(4)[None].copy()
    air[0, 2, 3] = 0.5
    batch.reset([0], [0], air)
    batch.step()
    assert not batch.faults


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(warp_batch):
    with pytest.raises(ValueError, match="sees no GPU: set device to cpu in config/mujoco_warp"):
        warp_batch(SceneConfig(), OBJECTS[:1], settings=MujocoWarpSettings(device="cuda"))


def test_too_little_memory_says_how_many_worlds_fit(warp_batch, room, monkeypatch):
    def refused(worlds: int) -> tuple[int, ...]:
        with pytest.raises(MemoryError, match=r"environments need .* GB on ") as error:
            warp_batch(SceneConfig(), OBJECTS[:1] * worlds)
        return tuple(
            int(re.search(pattern, str(error.value))[1])
            for pattern in (r"^(\d+) environments", r"there is room for (\d+): ask")
        )

    batch = warp_batch(SceneConfig(), OBJECTS[:1] * 3)
    needed = room.bytes_of((batch._stepped.model, batch._stepped.data))
    monkeypatch.setattr(room, "free_memory", lambda device: needed - 1)
    assert refused(3) == (3, 2)
    assert refused(5) == (5, 2)
    monkeypatch.setattr(room, "free_memory", lambda device: 1000)
    assert refused(3) == (3, 0)
    monkeypatch.setattr(room, "free_memory", lambda device: needed)
    assert warp_batch(SceneConfig(), OBJECTS[:1] * 3).ticks.tolist() == [0, 0, 0]


@pytest.mark.parametrize("absurd", [1e300, np.nan])
def test_an_absurd_target_is_a_fault(warp_batch, absurd):
    batch = warp_batch(SceneConfig(), OBJECTS[:1])
    batch.reset([0], [7])
    batch.set_targets(batch.wrist_poses(), np.full((1, 22), absurd))
    batch.step(5)
    assert "a control is not finite or huge" in batch.faults[0]


def test_without_its_packages_it_says_how_to_get_them(monkeypatch):
    for module in (ROOM, ROOM.replace("batch", "stepping")):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "warp", None)
    with pytest.raises(ImportError, match=r"mujoco_warp lacks .*requirements-warp\.txt"):
        make_batch_physics(SceneConfig(backend="mujoco_warp"), OBJECTS)
    with pytest.raises(ImportError):
        importlib.import_module(ROOM)
