"""Rendering of a task for every environment: as text, as an image, in a window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from math import fsum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import DependencyNotInstalled

from stackroute._extras import install
from stackroute.configs.text import one_line

if TYPE_CHECKING:
    from stackroute.analytic import Commitment
    from stackroute.configs.games import DisplayUnits


MODES = ("ansi", "human", "rgb_array")
"""The render modes that all environments have."""

FRAMES_PER_SECOND = 2
"""Frames of videos and windows; one pass of a task is one frame."""

Image: TypeAlias = npt.NDArray[np.uint8]

Status: TypeAlias = Literal["provider", "user", "solved", "abandoned", "truncated"]
"""How a task stands: which player is to move, or how it ended."""


@dataclass(frozen=True)
class Pass:
    """A pass that was played.

    Attributes:
        model: The model that served it, counted from 0.
        service_cost: What it cost the provider, money.
        latency: What the user waited without delay, utility.
        delay: What the provider added, utility.
        solved: Whether it solved the task.
    """

    model: int
    service_cost: float
    latency: float
    delay: float
    solved: bool


@dataclass(frozen=True)
class Episode:
    """A task as far as it has been played: all that is rendered.

    Attributes:
        number: The number of the task.
        labels: What the n models are called.
        passes: The passes played.
        status: How the task stands.
        commitment: The commitment in force, shape (); None before the provider has moved, or where it never commits.
        value: What a solved task is worth to the user, utility.
        churn_penalty: What an abandoned task costs the provider, money.
        per_pass: Whether the provider chooses a model before every pass.
        units: What money, utility and time are counted in.
    """

    number: int
    labels: tuple[str, ...]
    passes: tuple[Pass, ...]
    status: Status
    commitment: Commitment | None
    value: float
    churn_penalty: float
    per_pass: bool
    units: DisplayUnits

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The labels, each on one line."""
        return tuple(one_line(label) for label in self.labels)

    @cached_property
    def totals(self) -> dict[str, float]:
        """What both players have paid and gained so far: "service", "churn penalty", "value" and "waiting"."""
        return {
            "service": fsum(one.service_cost for one in self.passes),
            "churn penalty": self.churn_penalty if self.status == "abandoned" else 0.0,
            "value": self.value if self.status == "solved" else 0.0,
            "waiting": fsum(one.latency + one.delay for one in self.passes),
        }

    def standing_in_words(self) -> str:
        """Who is to move, or how the task ended."""
        return {
            "provider": f"the provider is to {'choose' if self.per_pass else 'commit'}",
            "user": "the user is to answer",
            "solved": f"solved, worth {self.units.in_utility(self.value)}",
            "abandoned": f"the user left, churn penalty {self.units.in_money(self.churn_penalty)}",
            "truncated": f"truncated after {len(self.passes)} pass{'es' if len(self.passes) > 1 else ''}",
        }[self.status]

    def totals_in_words(self) -> tuple[str, str]:
        """The provider's cost and the user's utility so far."""
        service, penalty, value, waiting = self.totals.values()
        cost, utility = self.units.in_money(service + penalty), self.units.in_utility(value - waiting)
        return f"provider's cost {cost}", f"user's utility {utility}"

    def commitment_in_words(self) -> str:
        """Where a task starts, where re-prompts go and which models are slowed; before that, which models there are."""
        commitment, names = self.commitment, self.names
        if commitment is None:
            return f"models: {' or '.join(names)}{', chosen before every pass' if self.per_pass else ''}"
        start, transition = commitment.start, commitment.transition
        reached = start > 0
        for _ in names:
            reached = reached | (transition[reached] > 0).any(axis=0)
        moves = [(j, k) for j, k in np.argwhere(transition > 0).tolist() if reached[j] and j != k]
        said = [f"starts {self._mixture(start)}"]
        if not moves:
            said.append("keeps a re-prompted task there")
        elif np.ptp(transition[reached], axis=0).any():
            ways = [f"{number(transition[j, k])} from {names[j]} to {names[k]}" for j, k in moves]
            said.append(f"moves a re-prompted task with probability {', '.join(ways)}")
        else:
            said.append(f"serves a re-prompted task {self._mixture(transition[moves[0][0]])}")
        slowed = [
            f"{names[k]} by {self.units.in_time(delay)}"
            for k, delay in enumerate(commitment.delay.tolist())
            if delay > 0
        ]
        if slowed:
            said.append(f"slows {', '.join(slowed)}")
        return f"commitment: {', '.join(said)}"

    def _mixture(self, probability: npt.NDArray[np.float64]) -> str:
        positive = [(name, p) for name, p in zip(self.names, probability.tolist(), strict=True) if p > 0]
        if len(positive) == 1:
            return f"on {positive[0][0]}"
        return f"with probability {', '.join(f'{number(p)} on {name}' for name, p in positive)}"


def number(value: float) -> str:
    """A number to four digits."""
    return f"{value:.4g}"


def transcript(episode: Episode) -> str:
    """A task so far: the commitment, every pass, how it stands, and both players' totals, on lines of their own."""
    lines = [f"task {episode.number}, {episode.commitment_in_words()}"]
    for index, one in enumerate(episode.passes, start=1):
        delay = f", delay {episode.units.in_time(one.delay)}" if one.delay > 0 else ""
        lines.append(
            f"pass {index} on {episode.names[one.model]}: cost {episode.units.in_money(one.service_cost)}, "
            f"latency {episode.units.in_time(one.latency)}{delay}, {'solved' if one.solved else 'failed'}"
        )
    return "\n".join([*lines, episode.standing_in_words(), ", ".join(episode.totals_in_words())])


def checked_mode(mode: Any) -> str | None:
    """Validate a render mode: one of `MODES`, or None for no rendering.

    Raises:
        ValueError: It is none of these.
    """
    if mode is None or (isinstance(mode, str) and mode in MODES):
        return mode
    raise ValueError(f"render_mode: {mode!r} is not allowed; expected None or one of {', '.join(MODES)}")


class Window:
    """A window of the screen, opened when the first frame is shown.

    pygame has one window in a process: environments that are shown at the same time share it. A copy of a window,
    pickled or deep, has not been opened.
    """

    def __init__(self) -> None:
        self._clock: Any = None

    def __reduce__(self) -> tuple[type[Window], tuple[()]]:
        return type(self), ()

    def show(self, frame: Image) -> None:
        """Show an image, and wait so long that `FRAMES_PER_SECOND` is not exceeded.

        Args:
            frame: The image, shape (height, width, 3).

        Raises:
            gymnasium.error.DependencyNotInstalled: pygame is missing.
        """
        pygame = _of_the_extra("pygame")
        height, width, _ = frame.shape
        if self._clock is None:
            pygame.display.init()
            pygame.display.set_caption("stackroute")
            self._clock = pygame.time.Clock()
        # Asked for anew each time: another environment may have closed the window that both share.
        screen = pygame.display.get_surface()
        if screen is None or screen.get_size() != (width, height):
            screen = pygame.display.set_mode((width, height))
        screen.blit(pygame.image.frombuffer(frame.tobytes(), (width, height), "RGB"), (0, 0))
        pygame.display.flip()
        # Without it the desktop takes the window for hung.
        pygame.event.pump()
        self._clock.tick(FRAMES_PER_SECOND)

    def close(self) -> None:
        """Close the window if it is open."""
        if self._clock is not None:
            _of_the_extra("pygame").display.quit()
            self._clock = None


class Rendered:
    """Rendering of the environments of a single task, which say what there is to see in `_episode`.

    Attributes:
        render_mode: One of `MODES`, or None.
    """

    render_mode: str | None

    def _set_up_rendering(self, mode: Any) -> None:
        self.render_mode = checked_mode(mode)
        self._window = Window()

    def render(self) -> Any:
        """Render the task as it stands.

        Returns:
            A text (`"ansi"`), an image of shape (height, width, 3) (`"rgb_array"`), or None (`"human"`: it is shown in
            a window; without a render mode there is a warning, as from the environments of the libraries).

        Raises:
            ResetNeeded: There is no task yet.
            gymnasium.error.DependencyNotInstalled: matplotlib or pygame is needed and missing.
        """
        episode = self._episode()
        if self.render_mode is None:
            gymnasium.logger.warn(
                "You are calling render method without specifying any render mode. "
                f"You can specify the render_mode at initialization: one of {', '.join(MODES)}."
            )
            return None
        if self.render_mode == "ansi":
            return transcript(episode)
        # matplotlib is an extra, and slow to import for those who draw nothing.
        image: Image = _of_the_extra("stackroute.envs.timeline").draw(episode)
        return image if self.render_mode == "rgb_array" else self._window.show(image)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._window.close()

    def _episode(self) -> Episode:
        """The task as far as it has been played; ResetNeeded where there is none."""
        raise NotImplementedError

    def _show(self) -> None:
        """Show the task after a reset or a move, where a human watches."""
        if self.render_mode == "human":
            self.render()


def _of_the_extra(module: str) -> Any:
    """Import a module that needs the [render] extra."""
    try:
        return import_module(module)
    except ImportError as error:
        missing = str(error.name).partition(".")[0]
        raise DependencyNotInstalled(f"{missing} is not installed: {install('render')}") from error
