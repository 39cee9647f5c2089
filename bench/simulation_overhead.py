"""What stepping a batch of floating-hand scenes costs beyond MuJoCo's own step.

Compares `MujocoBatch` with a bare loop of `mj_step` over the same scenes, tick by tick, from the
same states with the same controls, on one thread. Hands are closed around their objects, so that
there are contacts.

    python bench/simulation_overhead.py [--object can] [--scenes 32] [--ticks 50] [--out FILE.json]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import process_time

import mujoco
import numpy as np
from reports import write_report

from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends.mujoco.batch import MujocoBatch
from dexgrasp_sim.scene import SceneConfig

REPEATS = 5
AIM = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--object", default="can")
    parser.add_argument("--scenes", type=int, default=32)
    parser.add_argument("--ticks", type=int, default=50)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    config = SceneConfig(placement_radius=0.0)
    batch = MujocoBatch(config, [load_object(options.object)] * options.scenes)
    every = range(options.scenes)
    _reach(batch)
    saved = batch.save(every)
    model = batch.models[0]
    contacts = float(np.mean([data.ncon for data in batch.data]))
    raw, ours = [], []
    for _ in range(REPEATS):  # interleaved, so that both see the same load of the machine
        batch.restore(every, saved)
        start = process_time()
        for _ in range(options.ticks):
            for data in batch.data:
                for _ in range(config.steps_per_tick):
                    mujoco.mj_step(model, data)
        raw.append(process_time() - start)
        batch.restore(every, saved)
        start = process_time()
        for _ in range(options.ticks):
            batch.step()
        ours.append(process_time() - start)
    steps = options.ticks * config.steps_per_tick * options.scenes
    rates = {
        "mj_step_per_s": steps / min(raw),
        "batch_step_per_s": steps / min(ours),
        "share": min(raw) / min(ours),
        "contacts_per_scene": contacts,
    }
    print(f"object {options.object}, {options.scenes} scenes, {contacts:.1f} contacts in each")
    print(f"mj_step alone     {rates['mj_step_per_s']:10.0f} steps/s")
    print(f"MujocoBatch       {rates['batch_step_per_s']:10.0f} steps/s")
    print(f"share             {rates['share']:10.2f}   (aim: at least {AIM})")
    write_report(options.out, rates)


def _reach(batch: MujocoBatch) -> None:
    """Bring the hands down onto the objects and half close them."""
    count = len(batch.data)
    batch.reset(range(count), range(count))
    home = batch.config.home_pose
    above = np.tile(home, (count, 1, 1))
    above[:, :3, 3] = (-0.10, 0.0, 0.11)
    fingers = np.zeros((count, 22))
    for part in np.linspace(0.02, 1.0, 60):
        batch.set_targets(home + part * (above - home), fingers)
        batch.step()
    batch.set_targets(above, fingers + 0.8)
    batch.step(40)


if __name__ == "__main__":
    main()
