"""Episodes of the human-assisting task against MuJoCo alone, on the same states, on one core.

    python bench/assist_throughput.py --scenes 64 --objects 16

In each step of the approach the environments (physics, actions, observation) are timed, and then
`mj_step` alone, from the same saved states, with the same inputs, as often; in seconds of the core.
Actions are random about an expert's, which closes its hand: the contacts are those that matter.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import process_time

import mujoco
import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_episodes import draw_episodes
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_sim.backends.mujoco.batch import MujocoBatch
from dexgrasp_sim.datasets.grasp_trials import library_object
from dexgrasp_sim.scene import load_scene

SET = Path(__file__).resolve().parents[1] / "datasets" / "table_top"
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class Bare:
    """MuJoCo's models and states of a batch, and nothing else."""

    def __init__(self, batch: MujocoBatch) -> None:
        self.models = batch.models
        self.data = [mujoco.MjData(model) for model in self.models]
        self._sizes = [mujoco.mj_stateSize(model, _STATE) for model in self.models]

    def follow(self, batch: MujocoBatch) -> None:
        """The batch's states, inputs and warm starts included."""
        for model, data, size, source in zip(
            self.models, self.data, self._sizes, batch.data, strict=True
        ):
            state = np.empty(size)
            mujoco.mj_getState(model, source, state, _STATE)
            mujoco.mj_setState(model, data, state, _STATE)

    def step(self, times: int) -> None:
        """`mj_step`, with MuJoCo's own loop."""
        step = mujoco.mj_step
        for model, data in zip(self.models, self.data, strict=True):
            step(model, data, times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=64)
    parser.add_argument("--objects", type=int, default=16)
    parser.add_argument("--episodes", type=int, default=2, help="of each scene")
    options = parser.parse_args()

    grasps = GraspSet.open(SET)
    categories: dict[str, str] = {}
    for name in grasps.names:
        categories.setdefault(name.split("/")[0], name)
    chosen = list(categories.values())[: options.objects]
    each = options.scenes // options.objects
    rows = np.concatenate([grasps.select({"lifted": (1.0, 1.0)}, [name])[:each] for name in chosen])
    goals, config, hand = grasps[rows], AssistConfig(), load_hand()
    patterns, clouds = generate(np.random.default_rng(0)), FullClouds()
    environments = AssistEnvironments(
        config, load_scene(control_period=1.0 / config.rate), library_object
    )
    spent, spent_bare, steps = 0.0, 0.0, 0
    for episode in range(options.episodes + 1):
        rng = np.random.default_rng(episode)
        episodes = draw_episodes(goals, patterns.training, clouds, rng, config, blended=True)
        environments.begin(episodes)
        batch = environments.physics
        assert isinstance(batch, MujocoBatch)
        bare = Bare(batch)
        wanted = goals.joints.astype(float) @ hand.reduction.T
        for _ in range(config.horizon):
            change = (wanted - environments.targets @ hand.reduction.T) / config.max_change
            actions = np.clip(change + rng.normal(scale=0.3, size=change.shape), -1.0, 1.0)
            bare.follow(batch)
            begun = process_time()
            environments.step(actions)
            whole = process_time() - begun
            for data, source in zip(bare.data, batch.data, strict=True):
                data.ctrl[:] = source.ctrl
                data.mocap_pos[:], data.mocap_quat[:] = source.mocap_pos, source.mocap_quat
            begun = process_time()
            bare.step(batch.config.steps_per_tick)
            alone = process_time() - begun
            if episode:  # the first warms up
                spent, spent_bare = spent + whole, spent_bare + alone
                steps += len(episodes)
        assert not environments.faults
    print(f"{len(goals)} scenes of {len(chosen)} objects, {steps} control steps")
    print(f"environments: {steps / spent:7.0f} control steps/s")
    print(f"mj_step:      {steps / spent_bare:7.0f} control steps/s")
    print(f"share:        {spent_bare / spent:7.1%}")


if __name__ == "__main__":
    main()
