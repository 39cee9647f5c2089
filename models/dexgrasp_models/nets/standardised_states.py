"""What networks of policies do alike with the numbers that they see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_LEAST_DEVIATION = 1e-3  # of a number of the state that hardly changes, as the present wrist
_FARTHEST = 5.0  # deviations; beyond, a state is as strange as it gets
_FIRST_OUTPUTS = 0.01  # of the last layer's usual weights, so that the hand is still at first


class StandardisedStates(nn.Module):
    """A network of states that it standardises by means and deviations of earlier ones.

    Args:
        size: S, numbers of a state.
        seen: what they are of, for who gives others.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int, seen: str = "") -> None:
        super().__init__()
        self._seen = seen
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    @torch.no_grad()
    def fit_standardisation(self, states: Tensor) -> None:
        """Take means and deviations from states (M, S), before training.

        Raises:
            ValueError: they have another shape, aren't finite, or are fewer than two.
        """
        states = self._checked_states(states)
        if len(states) < 2:
            raise ValueError(f"expected two or more states, got {len(states)}")
        self.mean.copy_(states.mean(dim=0))
        self.deviation.copy_(states.std(dim=0).clamp_min(_LEAST_DEVIATION))

    def standardised(self, states: Tensor) -> Tensor:
        """(B, S) of states (B, S).

        Raises:
            ValueError: they have another shape, or aren't finite.
        """
        states = (self._checked_states(states) - self.mean) / self.deviation
        return states.clamp(-_FARTHEST, _FARTHEST)

    def _checked_states(self, states: Tensor) -> Tensor:
        if states.dim() != 2 or states.shape[1] != len(self.mean):
            raise ValueError(
                f"these weights see states (B, {len(self.mean)}){self._seen}, "
                f"and not {tuple(states.shape)}"
            )
        if not torch.isfinite(states).all():
            raise ValueError("states must be finite")
        return states


def policy_head(width: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """From so many features to outputs that are small at first, by hidden layers with ELU."""
    layers: list[nn.Module] = []
    for after in hidden:
        layers += [nn.Linear(width, after), nn.ELU()]
        width = after
    last = nn.Linear(width, outputs)
    with torch.no_grad():
        for values in last.parameters():
            values.mul_(_FIRST_OUTPUTS)
    return nn.Sequential(*layers, last)
