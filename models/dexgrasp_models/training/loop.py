"""The loop that trains any objective: Adam, checkpoints, validation, curves, a budget of time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from dexgrasp_models.nets.weights import save_weights
from dexgrasp_models.training.checkpoint import (
    Checkpoint,
    TrainingError,
    load_checkpoint,
    save_checkpoint,
)
from dexgrasp_models.training.config import TrainingConfig
from dexgrasp_models.training.data import (
    Batch,
    GraspScenes,
    TrainingBatches,
    derived_seed,
    validation_batches,
)
from dexgrasp_models.training.objectives import LOSS, Objective
from dexgrasp_models.training.processes import Processes

_LAST_RATE = 0.01  # of the learning rate, at the end of a cosine schedule
_CURVE_EVERY = 20  # steps
_PREPARED_SCENES, _PREPARED_GRASPS = 2000, 10
"""Most scenes, and grasps of each, that a network takes its standardisation from."""


@dataclass(frozen=True)
class Run:
    """Where a training leaves what it makes, and for how long it runs."""

    out: Path
    name: str
    """Of the files: `<name>.safetensors` with the best weights, `<name>.checkpoint`."""
    seed: int = 0
    budget: float | None = None
    """Seconds after which it stops, to be resumed; None: not before the last step."""
    checkpoint_every: float = 300.0
    """Seconds."""
    resume: bool = True
    """Go on from the checkpoint, if there is one."""
    loaders: int = 0
    """Processes that prepare batches; 0: this one does. Results don't depend on it."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What is stored with the weights: data, command."""

    @property
    def weights(self) -> Path:
        """File of the weights that were best in validation."""
        return self.out / f"{self.name}.safetensors"

    @property
    def checkpoint(self) -> Path:
        """File that a run goes on from."""
        return self.out / f"{self.name}.checkpoint"

    @property
    def curves(self) -> Path:
        """Folder of TensorBoard's files."""
        return self.out / "curves" / self.name


@dataclass(frozen=True)
class Progress:
    """Where a training is."""

    step: int
    """Steps done."""
    seconds: float
    """Spent on them, in all runs."""
    validation: Mapping[str, float]
    """Means over the objects for validation."""
    best: float
    """Least validation loss so far."""
    finished: bool = False
    """All steps are done."""


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
        self._settings = {
            "training": asdict(config),
            "network": asdict(network.config),
            "seed": run.seed,
            "processes": processes.count,
            "data": [training.fingerprint(), validation.fingerprint()],
        }
        self._optimiser = torch.optim.Adam(
            objective.network.parameters(), config.learning_rate, fused=True
        )
        self._average: AveragedModel | None = None
        self._step, self._earlier, self._best = 0, 0.0, math.inf
        self._started = self._saved = time.monotonic()
        self._validation_took = 0.0

    def __call__(self) -> Progress:
        if self._run.resume and self._run.checkpoint.is_file():
            self._restore(load_checkpoint(self._run.checkpoint, self._settings))
        else:
            self._prepare()
            self._average = self._new_average()
        model = self._processes.wrapped(self._objective)
        steps = self._config.steps
        progress = None
        with closing(_Curves(self._run.curves, self._step, self._processes)) as curves:
            for batch in self._loaded():
                if self._processes.agreed(self._out_of_time()):
                    break
                terms = self._update(model, batch)
                self._step += 1
                curves.train(self._step, terms)
                progress = None
                if self._step % self._config.validate_every == 0 or self._step == steps:
                    progress = self._validated(curves)
                elif time.monotonic() - self._saved > self._run.checkpoint_every:
                    self._save()
            return progress or self._validated(curves)

    def _loaded(self) -> Iterator[Batch]:
        left = range(self._step, self._config.steps)
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
        config, step = self._config, self._step
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
        values = ", ".join(f"{name} {value.item():.4g}" for name, value in terms.items())
        kept = self._run.checkpoint if self._run.checkpoint.is_file() else "there is none yet"
        return TrainingError(
            f"training diverged in step {self._step}: {values}. Lower the learning rate or clip "
            f"gradients, and begin anew; the last checkpoint is from before ({kept})"
        )

    @torch.no_grad()
    def _validated(self, curves: _Curves) -> Progress:
        started = time.monotonic()
        found: dict[str, float] = {}
        if self._processes.leads:
            with self._averaged():
                found = self._measure()
                if found[LOSS] < self._best:
                    self._best = found[LOSS]
                    self._export(found)
            curves.validation(self._step, found)
            self._save()
        self._validation_took = time.monotonic() - started
        finished = self._step == self._config.steps
        progress = Progress(self._step, self._seconds, found, self._best, finished)
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
            "step": self._step,
            "seconds": round(self._seconds, 1),
            "validation": dict(figures),
            "scenes": len(self._training),
            "grasps": self._training.grasp_count,
            "clouds": self._training.cloud_count,
        }
        network: Any = self._objective.network
        save_weights(self._run.weights, network, network.config, metadata)

    def _save(self) -> None:
        if self._processes.leads:
            checkpoint = Checkpoint(
                self._step,
                self._seconds,
                self._best,
                self._objective.state_dict(),
                self._optimiser.state_dict(),
                None if self._average is None else self._average.state_dict(),
            )
            save_checkpoint(self._run.checkpoint, checkpoint, self._settings)
        self._saved = time.monotonic()

    def _restore(self, checkpoint: Checkpoint) -> None:
        self._objective.load_state_dict(checkpoint.objective)
        self._optimiser.load_state_dict(checkpoint.optimiser)
        self._average = self._new_average()
        if self._average is not None and checkpoint.average is not None:
            self._average.load_state_dict(checkpoint.average)
        self._step, self._best = checkpoint.step, checkpoint.best
        self._earlier = checkpoint.seconds

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

    @property
    def _seconds(self) -> float:
        return self._earlier + time.monotonic() - self._started

    def _out_of_time(self) -> bool:
        """Whether the budget is spent, but for what the last validation will take."""
        if self._run.budget is None:
            return False
        left = self._run.budget - (time.monotonic() - self._started)
        return left < self._validation_took


class _Curves:
    """Curves for TensorBoard, from the leading process."""

    def __init__(self, folder: Path, step: int, processes: Processes) -> None:
        self._writer = None
        if processes.leads:
            from torch.utils.tensorboard import SummaryWriter

            _leave_telling_to_callers()
            # What a killed run wrote beyond its checkpoint is told anew.
            self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def train(self, step: int, terms: Mapping[str, Tensor]) -> None:
        if self._writer is not None and (step % _CURVE_EVERY == 0 or step == 1):
            for name, value in terms.items():
                self._writer.add_scalar(f"training/{name}", float(value), step)

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(f"validation/{name}", value, step)
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _leave_telling_to_callers() -> None:
    """TensorBoard's writing threads print no traceback: this one's next call raises their error."""
    told = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not type(args.thread).__module__.startswith("tensorboard."):
            told(args)

    threading.excepthook = hook


def _rate_share(config: TrainingConfig, step: int) -> float:
    if config.schedule == "constant":
        return 1.0
    return _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * step / config.steps))
