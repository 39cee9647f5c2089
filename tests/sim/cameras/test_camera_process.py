"""Images from the rendering process are those of the simulator itself, and it ends with it."""

import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import psutil
import pytest

from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends import make_simulator
from dexgrasp_sim.cameras.camera_process import CameraProcess, View
from dexgrasp_sim.scene import load_scene

PARENT = """
import sys, time
from dexgrasp_models.objects import load_object
from dexgrasp_sim.cameras.camera_process import CameraProcess
from dexgrasp_sim.scene import load_scene
if __name__ == "__main__":
    process = CameraProcess(load_scene(), load_object("box"))
    process.wait_until_idle()
    print("ready", flush=True)
    time.sleep(60)
"""


def test_images_equal_those_of_the_simulator():
    config, box = load_scene(), load_object("box")
    simulator = make_simulator(config, box)
    simulator.reset(seed=3)
    simulator.step(5)
    process = CameraProcess(config, box)
    try:
        views = [View("camera_1", True, False), View("camera_2", True, True)]
        first, second = process.submit(simulator.snapshot(), views).result(60.0)
        assert first.color is None
        np.testing.assert_array_equal(first.depth, simulator.read_depth("camera_1"))
        np.testing.assert_array_equal(second.depth, simulator.read_depth("camera_2"))
        np.testing.assert_array_equal(second.color, simulator.read_color("camera_2"))
    finally:
        process.close()


def test_cameras_that_cannot_be_built_are_an_error_not_a_hang():
    process = CameraProcess(load_scene(cameras="no such rig"), load_object("box"))
    with pytest.raises(BrokenProcessPool):
        process.wait_until_idle()
    process.close()


def test_a_killed_bridge_leaves_no_rendering_process(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "ready\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert children
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20.0
    while any(child.is_running() for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [child for child in children if child.is_running()]
