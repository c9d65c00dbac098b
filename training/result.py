"""What every scheme of training gives: a pair of players, and how it got there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackroute.agents.learned import LearnedProvider, LearnedUser, RefinedUser
    from stackroute.agents.providers import StaticProvider
    from stackroute.training.evaluation import Evaluation
    from stackroute.training.session import Curve


@dataclass(frozen=True)
class Stage:
    """The state of affairs after a part of a training that changed the pair.

    Attributes:
        name: Of the part.
        evaluation: The pair as it then was, beside the exact equilibrium.
    """

    name: str
    evaluation: Evaluation


@dataclass(frozen=True)
class TrainedPair:
    """A trained user and provider with everything measured about them.

    Attributes:
        user: The learned user.
        provider: The learned provider; a fixed commitment where it was refined for the one game.
        network: The provider as its network alone has learned it.
        stages: The pair after each part of the training, the final one last.
        curves: The curve of each stage of learning, by name.
        certified: Whether sampled play confirmed the final commitment; None where that was not asked for.
    """

    user: LearnedUser | RefinedUser
    provider: LearnedProvider | StaticProvider
    network: LearnedProvider
    stages: tuple[Stage, ...]
    curves: dict[str, Curve]
    certified: bool | None

    @property
    def evaluation(self) -> Evaluation:
        """The final pair beside the exact equilibrium."""
        return self.stages[-1].evaluation
