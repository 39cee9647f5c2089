"""Fine-tuning of CLIP on images of grasps and captions that name the part they hold.

UniDexGrasp (sec. 4.4) fine-tunes for ten minutes and doesn't say how; here it is CLIP's own
contrastive loss, where grasps in a batch whose captions mean the same don't count as different.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import torch

from dexgrasp_models.language.captioned_grasps import CaptionedGrasps
from dexgrasp_models.language.clip import Clip, save_clip
from dexgrasp_models.language.contrastive import caption_batch, contrastive_loss
from dexgrasp_models.language.judging import judge, judged_grasps
from dexgrasp_models.objects.meshes import content_hash
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.training.config import recipe_values
from dexgrasp_models.training.curves import Curves
from dexgrasp_models.training.data import derived_seed
from dexgrasp_models.training.objectives import LOSS
from dexgrasp_models.training.run import Progress, Run, RunState

_GREATEST_LOGIT_SCALE = math.log(100)  # as CLIP was trained


@dataclass(frozen=True)
class ClipTrainingConfig(Parameters):
    """How CLIP is fine-tuned, by AdamW."""

    steps: int = parameter(500, 1, 1_000_000, "", "updates of the weights")
    batch: int = parameter(32, 2, 4096, "", "images of a step")
    learning_rate: float = parameter(1e-5, 1e-9, 1, "", "of AdamW")
    weight_decay: float = parameter(0.01, 0, 1, "", "of AdamW")
    clip: float = parameter(1.0, 1e-3, 1e9, "", "longest gradient")
    validate_every: int = parameter(50, 1, 1_000_000, "", "steps")
    validation_grasps: int = parameter(256, 2, 65_536, "", "grasps for validation, about")


def load_clip_training(name: str = "small", **overrides: Any) -> ClipTrainingConfig:
    """What a file of `config/training/` says of CLIP, or any YAML file by its path.

    `overrides` that are not None replace parameters.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it says nothing of `clip`, or has an unknown name or a bad value.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    return ClipTrainingConfig.from_mapping(recipe_values("clip", name) | given)


def fine_tune(
    clip: Clip,
    training: CaptionedGrasps,
    validation: CaptionedGrasps,
    config: ClipTrainingConfig,
    run: Run,
    report: Callable[[Progress], None] = lambda progress: None,
    stepped: Callable[[int], None] = lambda step: None,
) -> Progress:
    """Train until the last step or until the budget is spent; the best weights are `run.out/clip`.

    A run that was stopped or killed goes on from its last checkpoint.

    Args:
        clip: what is trained, on its device; begun with as it is.
        training: what is learned from.
        validation: grasps of other objects, which the best weights are chosen by.
        config: how.
        run: where to, and how long.
        report: is called after each validation.
        stepped: is told the number of steps done.

    Raises:
        TrainingError: something isn't finite, or a checkpoint is of another run.
        OSError: a file can't be written.
    """
    clip.model.train().requires_grad_(True)
    loop = _Loop(clip, training, validation, config, run)
    state, progress = loop.state, None
    with closing(Curves(run.curves, state.step)) as curves:
        while state.step < config.steps and not state.out_of_time:
            curves.train(state.step, {LOSS: loop.update()})
            stepped(state.step)
            progress = None
            if state.step % config.validate_every == 0 or state.step == config.steps:
                progress = loop.validated(curves)
                report(progress)
            elif state.save_is_due:
                loop.save()
        if progress is None:
            progress = loop.validated(curves)
            report(progress)
    return progress


class _Loop:
    """The steps of a fine-tuning, and how far it is."""

    def __init__(
        self,
        clip: Clip,
        training: CaptionedGrasps,
        validation: CaptionedGrasps,
        config: ClipTrainingConfig,
        run: Run,
    ) -> None:
        self._clip, self._grasps, self._config, self._run = clip, training, config, run
        self._validation = validation
        self._judged = judged_grasps(validation, config.validation_grasps)
        self._optimiser = torch.optim.AdamW(
            clip.model.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        settings = {
            "training": asdict(config),
            "seed": run.seed,
            "data": [training.fingerprint(), validation.fingerprint()],
            "network": clip.model.config.to_dict(),
            "weights": content_hash(clip.model.visual_projection.weight.detach().cpu().numpy()),
        }
        self.state = RunState(run, settings)
        if checkpoint := self.state.resumed():
            clip.model.load_state_dict(checkpoint.objective)
            self._optimiser.load_state_dict(checkpoint.optimiser)

    def update(self) -> float:
        """Does a step; gives its loss."""
        clip, config, state = self._clip, self._config, self.state
        batch = caption_batch(self._grasps, config.batch, self._run.seed, state.step)
        torch.manual_seed(derived_seed(self._run.seed, state.step))  # of dropout, if there is any
        self._optimiser.zero_grad()
        loss = contrastive_loss(
            clip.image_features(batch.images),
            clip.text_features(batch.texts),
            batch.meanings.to(clip.model.device),
            clip.scale,
        )
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(clip.model.parameters(), config.clip)
        if not torch.isfinite(loss) or not torch.isfinite(length):
            raise state.diverged({LOSS: loss.item(), "gradient": length.item()})
        self._optimiser.step()
        clip.model.logit_scale.data.clamp_(max=_GREATEST_LOGIT_SCALE)
        state.step += 1
        return loss.item()

    def validated(self, curves: Curves) -> Progress:
        """Judges, keeps the weights if they are the best, and saves the state."""
        state = self.state
        with state.validating():
            self._clip.model.eval()
            found = judge(self._clip, self._validation, self._judged)
            self._clip.model.train()
            curves.validation(state.step, found)
            if found[LOSS] < state.best:
                state.best = found[LOSS]
                save_clip(self._clip, self._run.out / self._run.name, self._notes(found))
            self.save()
        finished = state.step == self._config.steps
        return Progress(state.step, state.seconds, found, state.best, finished)

    def save(self) -> None:
        """Writes the checkpoint."""
        self.state.save(self._clip.model.state_dict(), self._optimiser.state_dict())

    def _notes(self, found: Mapping[str, float]) -> dict[str, object]:
        return {
            **self._run.metadata,
            "training": asdict(self._config),
            "seed": self._run.seed,
            "step": self.state.step,
            "seconds": round(self.state.seconds, 1),
            "validation": dict(found),
            "grasps": len(self._grasps),
            "objects": len(self._grasps.surfaces),
        }
