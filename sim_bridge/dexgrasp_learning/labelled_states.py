"""States of many rounds with the actions that an expert would have taken in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dexgrasp_models.files import written_whole
from dexgrasp_models.training.checkpoint import TrainingError

CLOUDS = "clouds"
"""The input that is kept in half precision: basis points of 0.5 kB a state."""
_ACTIONS = "actions"


@dataclass(frozen=True, eq=False)
class LabelledStates:
    """M states as a network takes them, and what the expert does."""

    kept: Mapping[str, Tensor]
    """The network's inputs by their names, each of M rows; `CLOUDS` in half precision."""
    actions: Tensor
    """(M, A) of the expert."""

    @classmethod
    def of(cls, inputs: Mapping[str, Tensor], actions: Tensor) -> LabelledStates:
        """Of one step, kept on the CPU."""
        kept = {n: (v.half() if n == CLOUDS else v).cpu() for n, v in inputs.items()}
        return cls(kept, actions.cpu())

    @classmethod
    def together(cls, parts: Iterable[LabelledStates]) -> LabelledStates:
        """All of several."""
        parts = list(parts)
        kept = {name: torch.cat([part.kept[name] for part in parts]) for name in parts[0].kept}
        return cls(kept, torch.cat([part.actions for part in parts]))

    @classmethod
    def loaded(cls, path: Path) -> LabelledStates:
        """Those that `saved` left.

        Raises:
            OSError, SafetensorError, KeyError: there are none, or the file is damaged.
        """
        found = load(path.read_bytes())
        return cls(found, found.pop(_ACTIONS))

    def saved(self, path: Path) -> None:
        """Write them, whole or not at all."""
        fields = {**self.kept, _ACTIONS: self.actions}
        with written_whole(path) as temporary:
            temporary.write_bytes(save({n: v.contiguous() for n, v in fields.items()}))

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What the network takes."""
        return {n: v.float() if n == CLOUDS else v for n, v in self.kept.items()}

    def to(self, device: torch.device) -> LabelledStates:
        """The same, where a network is."""
        kept = {name: values.to(device) for name, values in self.kept.items()}
        return LabelledStates(kept, self.actions.to(device))

    def rows(self, index: Tensor) -> LabelledStates:
        """Some of them."""
        kept = {name: values[index] for name, values in self.kept.items()}
        return LabelledStates(kept, self.actions[index])


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
        states.saved(self._file(number))
        self._rounds[number] = states
        while self._count - len(self._rounds[min(self._rounds)]) >= self._capacity:
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
                self._rounds[earlier] = LabelledStates.loaded(path)
            except (OSError, SafetensorError, KeyError) as error:
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
        return sum(len(states) for states in self._rounds.values())

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.safetensors"
