"""States of many rounds with the actions that an expert would have taken in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dexgrasp_models.files import written_whole
from dexgrasp_models.tasks.assist_inputs import AssistInputs
from dexgrasp_models.training.checkpoint import TrainingError


class LabelledStates(NamedTuple):
    """M states as a network takes them, and what the expert does."""

    states: Tensor
    clouds: Tensor
    """In half precision: basis points of 0.5 kB a state."""
    gradients: Tensor
    """(M, 18), or (M, 0) without a primitive."""
    actions: Tensor
    """(M, 18) of the expert."""

    @classmethod
    def of(cls, inputs: AssistInputs, actions: Tensor) -> LabelledStates:
        """Of one step."""
        gradients = inputs.gradients
        if gradients is None:
            gradients = actions.new_empty(len(actions), 0)
        return cls(inputs.states, inputs.clouds.half(), gradients, actions)

    @classmethod
    def together(cls, parts: Iterable[LabelledStates]) -> LabelledStates:
        """All of several."""
        return cls(*(torch.cat(field) for field in zip(*parts, strict=True)))

    @property
    def inputs(self) -> AssistInputs:
        """What the network takes."""
        gradients = self.gradients if self.gradients.shape[1] else None
        return AssistInputs(self.states, self.clouds.float(), gradients)

    def rows(self, index: Tensor) -> LabelledStates:
        """Some of them."""
        return LabelledStates(*(field[index] for field in self))


class KeptRounds:
    """The states of the latest rounds, in memory and each round in a file to go on from."""

    def __init__(self, folder: Path, capacity: int) -> None:
        """
        Args:
            folder: of the files.
            capacity: states; the oldest rounds go when the others have as many.
        """
        self._folder, self._capacity = folder, capacity
        self._rounds: dict[int, LabelledStates] = {}
        self._all: LabelledStates | None = None
        self._oldest_needed = 0

    def add(self, number: int, states: LabelledStates) -> None:
        """Keep a round's."""
        with written_whole(self._file(number)) as temporary:
            temporary.write_bytes(save({k: v.contiguous() for k, v in states._asdict().items()}))
        self._rounds[number] = states
        while self._count - len(self._rounds[min(self._rounds)].states) >= self._capacity:
            del self._rounds[min(self._rounds)]
        self._all = None

    def checkpointed(self) -> None:
        """Remove the files of rounds that neither this checkpoint nor the last one needs."""
        for file in self._folder.glob("*.safetensors"):
            if file.stem.isdigit() and int(file.stem) < self._oldest_needed:
                file.unlink()
        self._oldest_needed = min(self._rounds, default=0)

    def restore(self, number: int) -> None:
        """Be as before the round `number`.

        Raises:
            TrainingError: a file of an earlier round is missing or can't be read.
        """
        self._rounds, self._all, self._oldest_needed = {}, None, 0
        for earlier in reversed(range(number)):
            if self._count >= self._capacity:
                break
            path = self._file(earlier)
            try:
                self._rounds[earlier] = LabelledStates(**load(path.read_bytes()))
            except (OSError, SafetensorError, TypeError) as error:
                raise TrainingError(
                    f"{path}: is missing or cut short ({error}), and the training can't go on "
                    "without it; begin anew with --restart"
                ) from error

    def all(self) -> LabelledStates:
        """Of all rounds that are kept, the oldest first."""
        if self._all is None:
            self._all = LabelledStates.together(self._rounds[n] for n in sorted(self._rounds))
        return self._all

    @property
    def _count(self) -> int:
        return sum(len(states.states) for states in self._rounds.values())

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.safetensors"
