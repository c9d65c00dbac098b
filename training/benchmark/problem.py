"""What an algorithm of the benchmark is given, and what it gives back."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from stackroute.analytic import solve
from stackroute.envs.play import ODOMETER
from stackroute.training.learn.evaluation import provider_regret
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from stackroute.analytic import Commitment, Game


@dataclass
class Record:
    """An algorithm's choice against what it took.

    Attributes:
        tasks: Tasks of the game played so far, at each point.
        seconds: Processor seconds spent so far.
        regret: The exact mean regret of the choice; never shown to the algorithm.
    """

    tasks: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    regret: list[float] = field(default_factory=list)


class Problem:
    """A game to be learned by play, with a recorder that runs along.

    Args:
        game: Shape (n,); n = 1 but for algorithms that learn many games at once.
        throttling: Whether the provider can delay.
        seed: Fixes everything; derive the seeds of parts from it by `stackroute.training.learn.session.derived_seed`.

    Attributes:
        record: What has been recorded.
    """

    def __init__(self, game: Game, *, throttling: bool, seed: int) -> None:
        self.game, self.throttling, self.seed = game, throttling, seed
        self.record = Record()
        self._best_cost = solve(game, throttling=throttling).provider_cost
        self._tasks, self._seconds = ODOMETER.tasks, time.process_time()

    @property
    def single(self) -> Game:
        """The game, shape (), where there is only one.

        Raises:
            ValueError: There are several.
        """
        if self.game.shape != (1,):
            raise ValueError(f"game: shape {self.game.shape} is not allowed; this algorithm plays one game")
        return self.game[0]

    @property
    def width(self) -> int:
        """The number of entries of an action of the provider, as `stackroute.envs.encoding.commitment_from_action`."""
        return 4 if self.throttling else 2

    def sampled(self, name: str) -> SampledGame:
        """The single game as sampled play, with random numbers of its own for each name."""
        return SampledGame(self.single, derived_seed(self.seed, name))

    def choose(self, commitment: Commitment) -> None:
        """Record what the algorithm would choose now.

        Args:
            commitment: One for each game, shape () or (n,).
        """
        self.add(float(np.mean(provider_regret(self.game, commitment, self._best_cost))))

    def add(self, regret: float) -> None:
        """Record the exact regret of the present choice.

        Raises:
            ValueError: It is not a finite number.
        """
        if not math.isfinite(regret):
            raise ValueError(f"regret: {regret} is not allowed; expected a finite number")
        self.record.tasks.append(ODOMETER.tasks - self._tasks)
        self.record.seconds.append(time.process_time() - self._seconds)
        self.record.regret.append(float(regret))


@dataclass(frozen=True)
class Solution:
    """What an algorithm has learned in the end.

    Attributes:
        commitment: The provider's, shape () or (n,).
        patience: The user's answer to it in [0, 1], shape () or (n,).
        info: What else the algorithm says about its learning, by name; it is recorded beside the results.
    """

    commitment: Commitment
    patience: npt.ArrayLike
    info: Mapping[str, float | None] = field(default_factory=dict)


Algorithm: TypeAlias = "Callable[[Problem], Solution]"
"""Learns to play a problem, and returns what both players choose in the end.

It calls `Problem.choose` now and then for the regret curve; the solution is recorded by the benchmark.
"""
