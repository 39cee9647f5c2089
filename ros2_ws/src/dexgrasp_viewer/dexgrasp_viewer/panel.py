"""The panel beside the scene: buttons, the choice of a proposal, and what goes on as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import viser

from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_viewer.scene import ProposalsShown

IMAGE_KINDS = ("depth", "color", "none")
LEVELS = ("OK", "WARN", "ERROR", "STALE")
"""Names of the diagnostic levels 0 to 3."""


@dataclass(frozen=True)
class Commands:
    """What the buttons do. Called in viser's threads, so these only note the wish."""

    capture: Callable[[], None]
    propose: Callable[[], None]
    grasp_best: Callable[[], None]
    grasp_picked: Callable[[], None]
    assist: Callable[[], None]
    close_hand: Callable[[], None]
    stop: Callable[[], None]
    change_choice: Callable[[], None]
    """What is to be shown was chosen anew."""


_Button = tuple[str, str, Literal["green", "red"] | None, Callable[[], None]]
"""Label, hint, colour, and what it does."""


class Panel:
    """The controls; texts are sent only when they change."""

    def __init__(self, gui: viser.GuiApi, commands: Commands, image_kind: str) -> None:
        self._proposal_count = 0
        gui.configure_theme(control_width="medium", show_logo=False, show_share_button=False)
        self._stage = gui.add_markdown("")
        self._reply = gui.add_markdown("")
        buttons: tuple[_Button, ...] = (
            ("Capture", "fuse the cameras' images now", None, commands.capture),
            ("Propose", "propose grasps of the object", None, commands.propose),
            ("Grasp", "capture, propose, and carry out the best", "green", commands.grasp_best),
            ("Grasp picked", "carry out the proposal picked below", None, commands.grasp_picked),
            (
                "Assist",
                "follow a person's wrist, lift, and let go over the box",
                None,
                commands.assist,
            ),
            ("Close hand", "close now at the object, in Assist", None, commands.close_hand),
            ("Stop", "stop the motion", "red", commands.stop),
        )
        for label, hint, color, command in buttons:
            button = gui.add_button(label, hint=hint, color=color)

            def press(_: object, command: Callable[[], None] = command) -> None:
                command()

            button.on_click(press)
        with gui.add_folder("Proposals"):
            self._shown = gui.add_dropdown("Show", get_args(ProposalsShown))
            self._rank = gui.add_slider("Rank", 1, 2, 1, 1, disabled=True)
            self._picked = gui.add_markdown("none yet")
            with gui.add_folder("Figures", expand_by_default=False):
                self._figures = gui.add_markdown("")
        with gui.add_folder("Assist", expand_by_default=False):
            self._assist = gui.add_markdown("no person's wrist is followed")
        with gui.add_folder("Cameras"):
            self._image_kind = gui.add_dropdown("Images", IMAGE_KINDS, initial_value=image_kind)
        with gui.add_folder("Diagnostics"):
            self._diagnostics = gui.add_markdown("")
        for control in (self._shown, self._rank, self._image_kind):
            control.on_update(lambda _: commands.change_choice())

    @property
    def picked(self) -> int:
        """Index of the picked proposal, from 0; below the count even while the slider moves."""
        return max(0, min(self._rank.value, self._proposal_count) - 1)

    @property
    def shown(self) -> ProposalsShown:
        """Which proposals are to be seen."""
        return self._shown.value

    @property
    def image_kind(self) -> str:
        """Which images the camera frusta hold: depth, color or none."""
        return self._image_kind.value

    def show_stage(self, text: str) -> None:
        """Where the grasp stands."""
        _write(self._stage, f"**Grasp:** {text}")

    def show_reply(self, text: str) -> None:
        """The answer to the last button."""
        _write(self._reply, text)

    def show_proposal_count(self, count: int) -> None:
        """Sets the slider's range, and back to the best."""
        self._proposal_count = count
        self._rank.disabled = count < 2
        self._rank.max = max(count, 2)
        self._rank.value = 1  # type: ignore[misc]  # viser means it to be set

    def show_picked(self, proposal: Grasp | None) -> None:
        """Score and figures of the picked proposal; None where there is none."""
        if proposal is None:
            _write(self._picked, "none")
            _write(self._figures, "")
            return
        _write(self._picked, f"{proposal.proposer}, score {proposal.score:.3g}")
        lines = [f"- {name}: {value:.3g}" for name, value in proposal.figures.items()]
        _write(self._figures, "\n".join(lines))

    def show_assist(self, text: str) -> None:
        """What the policy does that assists a person's wrist, as markdown."""
        _write(self._assist, text)

    def show_diagnostics(self, statuses: Mapping[str, tuple[int, str]]) -> None:
        """Level and message of each node, by name; the worst first."""
        ordered = sorted(statuses.items(), key=lambda item: (-item[1][0], item[0]))
        lines = [
            f"- **{name}** {LEVELS[min(level, len(LEVELS) - 1)]}: {message}"
            for name, (level, message) in ordered
        ]
        _write(self._diagnostics, "\n".join(lines) or "nothing heard yet")


def _write(markdown: viser.GuiMarkdownHandle, text: str) -> None:
    if markdown.content != text:
        markdown.content = text
