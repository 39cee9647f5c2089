"""The loop that trains any objective: Adam, checkpoints, validation, curves, a budget of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from dexgrasp_models.nets.weights import save_weights
from dexgrasp_models.training.checkpoint import Checkpoint, TrainingError
from dexgrasp_models.training.config import TrainingConfig
from dexgrasp_models.training.curves import Curves
from dexgrasp_models.training.data import (
    Batch,
    GraspScenes,
    TrainingBatches,
    derived_seed,
    validation_batches,
)
from dexgrasp_models.training.objectives import LOSS, Objective
from dexgrasp_models.training.processes import Processes
from dexgrasp_models.training.run import Progress, Run, RunState

_LAST_RATE = 0.01  # of the learning rate, at the end of a cosine schedule
_PREPARED_SCENES, _PREPARED_GRASPS = 2000, 10
"""Most scenes, and grasps of each, that a network takes its standardisation from."""


def train(
    objective: Objective,
    training: GraspScenes,
    validation: GraspScenes,
    config: TrainingConfig,
    run: Run,
    processes: Processes | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train until the last step, or until the budget is spent.

    A run that was stopped or killed goes on from its last checkpoint, and on one machine with one
    number of threads ends with the same bits as one that was never stopped.

    Args:
        objective: on the processes' device.
        training: what is learned from.
        validation: scenes of other objects, which the best weights are chosen by.
        config: how.
        run: where to, and how long.
        processes: that train together; this one alone by default.
        report: is called after each validation.

    Raises:
        TrainingError: something isn't finite, a checkpoint is of another run, or batches can't be
            shared out.
        OSError: a file can't be written.
    """
    return _Loop(objective, training, validation, config, run, processes or Processes(), report)()


class _Loop:
    def __init__(
        self,
        objective: Objective,
        training: GraspScenes,
        validation: GraspScenes,
        config: TrainingConfig,
        run: Run,
        processes: Processes,
        report: Callable[[Progress], None],
    ) -> None:
        if config.batch % processes.count:
            raise TrainingError(
                f"a batch of {config.batch} clouds can't be shared by {processes.count} processes"
            )
        self._objective, self._config, self._run = objective, config, run
        self._processes, self._report = processes, report
        self._training, self._validation = training, validation
        self._batches = TrainingBatches(training, config, run.seed, processes.rank, processes.count)
        network: Any = objective.network
        settings = {
            "training": asdict(config),
            "network": asdict(network.config),
            "seed": run.seed,
            "processes": processes.count,
            "data": [training.fingerprint(), validation.fingerprint()],
        }
        self._state = RunState(run, settings)
        self._optimiser = torch.optim.Adam(
            objective.network.parameters(), config.learning_rate, fused=True
        )
        self._average: AveragedModel | None = None

    def __call__(self) -> Progress:
        if checkpoint := self._state.resumed():
            self._restore(checkpoint)
        else:
            self._prepare()
            self._average = self._new_average()
        model = self._processes.wrapped(self._objective)
        steps = self._config.steps
        state = self._state
        progress = None
        with closing(Curves(self._run.curves, state.step, self._processes.leads)) as curves:
            for batch in self._loaded():
                if self._processes.agreed(state.out_of_time):
                    break
                terms = self._update(model, batch)
                state.step += 1
                curves.train(state.step, terms)
                progress = None
                if state.step % self._config.validate_every == 0 or state.step == steps:
                    progress = self._validated(curves)
                elif state.save_is_due:
                    self._save()
            return progress or self._validated(curves)

    def _loaded(self) -> Iterator[Batch]:
        left = range(self._state.step, self._config.steps)
        workers = self._run.loaders
        return iter(
            DataLoader(
                self._batches,
                batch_size=None,
                sampler=left,
                num_workers=workers,
                multiprocessing_context="fork" if workers else None,
            )
        )

    def _prepare(self) -> None:
        """What a new network takes from the data, alike in all processes."""
        config = self._config
        generator = torch.Generator().manual_seed(derived_seed(self._run.seed, "prepare"))
        scenes = torch.randperm(len(self._training), generator=generator)[:_PREPARED_SCENES]
        seen = self._training.batch(
            scenes, _PREPARED_GRASPS, config.cloud, generator, turn=config.turn
        )
        self._objective.prepare(seen.to(self._processes.device).grasps)
        # What a network takes from its first batch, it takes from the whole one and not from the
        # part of one process.
        self._seed_generators("first")
        first = TrainingBatches(self._training, config, self._run.seed)[0]
        self._objective.train()
        with torch.no_grad():
            self._objective(*first.to(self._processes.device), False)

    def _update(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        config, step = self._config, self._state.step
        self._seed_generators(step, self._processes.rank)
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate * _rate_share(config, step)
        self._objective.train()
        self._optimiser.zero_grad()
        quality = step >= config.quality_from * config.steps
        terms = model(*batch.to(self._processes.device), quality)
        if not torch.isfinite(terms[LOSS]):
            raise self._diverged(terms)
        terms[LOSS].backward()
        length = nn.utils.clip_grad_norm_(
            self._objective.network.parameters(), config.clip or math.inf
        )
        if not torch.isfinite(length):
            raise self._diverged(terms | {"gradient": length})
        self._optimiser.step()
        if self._average is not None:
            self._average.update_parameters(self._objective.network)
        return {name: value.detach() for name, value in terms.items()} | {"gradient": length}

    def _diverged(self, terms: Mapping[str, Tensor]) -> TrainingError:
        return self._state.diverged({name: value.item() for name, value in terms.items()})

    @torch.no_grad()
    def _validated(self, curves: Curves) -> Progress:
        state = self._state
        found: dict[str, float] = {}
        with state.validating():
            if self._processes.leads:
                with self._averaged():
                    found = self._measure()
                    if found[LOSS] < state.best:
                        state.best = found[LOSS]
                        self._export(found)
                curves.validation(state.step, found)
                self._save()
        finished = state.step == self._config.steps
        progress = Progress(state.step, state.seconds, found, state.best, finished)
        if self._processes.leads:
            self._report(progress)
        return progress

    def _measure(self) -> dict[str, float]:
        self._seed_generators("validation")
        self._objective.eval()
        sums: dict[str, float] = {}
        clouds = 0
        for batch in validation_batches(self._validation, self._config):
            measured = self._objective.measure(*batch.to(self._processes.device))
            for name, value in measured.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch.clouds)
            clouds += len(batch.clouds)
        means = {name: value / clouds for name, value in sums.items()}
        if not math.isfinite(means[LOSS]):
            raise self._diverged({f"validation {n}": torch.tensor(v) for n, v in means.items()})
        return means

    def _export(self, figures: Mapping[str, float]) -> None:
        metadata = {
            **self._run.metadata,
            "recipe": self._run.name,
            "training": asdict(self._config),
            "seed": self._run.seed,
            "step": self._state.step,
            "seconds": round(self._state.seconds, 1),
            "validation": dict(figures),
            "scenes": len(self._training),
            "grasps": self._training.grasp_count,
            "clouds": self._training.cloud_count,
        }
        network: Any = self._objective.network
        save_weights(self._run.weights, network, network.config, metadata)

    def _save(self) -> None:
        if not self._processes.leads:
            self._state.saved()
            return
        self._state.save(
            self._objective.state_dict(),
            self._optimiser.state_dict(),
            None if self._average is None else self._average.state_dict(),
        )

    def _restore(self, checkpoint: Checkpoint) -> None:
        self._objective.load_state_dict(checkpoint.objective)
        self._optimiser.load_state_dict(checkpoint.optimiser)
        self._average = self._new_average()
        if self._average is not None and checkpoint.average is not None:
            self._average.load_state_dict(checkpoint.average)

    def _new_average(self) -> AveragedModel | None:
        """The running mean of the weights, if one is asked for; it begins with the first step's."""
        if not self._config.ema:
            return None
        mean = get_ema_multi_avg_fn(self._config.ema)
        return AveragedModel(self._objective.network, multi_avg_fn=mean)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """With the running mean of the weights in the place of the network, if there is one."""
        network = self._objective.network
        if self._average is not None:
            self._objective.network = self._average.module
        try:
            yield
        finally:
            self._objective.network = network

    def _seed_generators(self, *purpose: object) -> None:
        """PyTorch's own generators, which the networks draw from."""
        torch.manual_seed(derived_seed(self._run.seed, *purpose))


def _rate_share(config: TrainingConfig, step: int) -> float:
    if config.schedule == "constant":
        return 1.0
    return _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * step / config.steps))
