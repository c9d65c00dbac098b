"""What an algorithm of the benchmark is given, and what it gives back."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from stackroute.analytic import default_routing, solve
from stackroute.envs import tasks as engine
from stackroute.training.learn.evaluation import provider_regret
from stackroute.training.learn.lines import provider_actions
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import FloatArray

_LEAST_COST = 1e-12


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

    def reached(self, target: float) -> tuple[int, float] | tuple[None, None]:
        """The tasks and seconds from which on the regret stayed at or below a target; None if it did not in the end."""
        above = np.flatnonzero(np.asarray(self.regret) > target)
        first = int(above[-1]) + 1 if len(above) else 0
        return (self.tasks[first], self.seconds[first]) if first < len(self.regret) else (None, None)

    def area(self, horizon: int) -> float:
        """The mean regret, cut off at 1, over the tasks up to the horizon.

        Before the first point the regret counts as 1, after the last it stays as it is.
        """
        tasks = np.minimum(np.array([0, *self.tasks, horizon], dtype=np.float64), horizon)
        regret = np.minimum(np.array([1.0, *self.regret]), 1.0)
        return float((np.diff(tasks) * regret).sum() / horizon)

    def thinned(self, most: int) -> Record:
        """At most so many of the points, evenly spread, with the first and the last."""
        count = len(self.tasks)
        kept = np.linspace(0, count - 1, min(count, most)).round().astype(int)
        return Record(*([values[k] for k in kept] for values in (self.tasks, self.seconds, self.regret)))


class Problem:
    """A game to be learned by play, with a recorder that runs along.

    Args:
        game: Shape (n,); n = 1 but for algorithms that learn many games at once.
        throttling: Whether the provider can delay.
        seed: Fixes everything; derive the seeds of parts from it by `stackroute.training.learn.session.derived_seed`.
        routing: What the provider may commit to; None for `stackroute.analytic.default_routing`.

    Attributes:
        actions: The provider's actions.
        record: What has been recorded.
    """

    def __init__(self, game: Game, *, throttling: bool, seed: int, routing: Routing | None = None) -> None:
        self.game, self.throttling, self.seed = game, throttling, seed
        self.routing: Routing = routing or default_routing(game)
        self.actions = provider_actions(game, self.routing, throttling)
        self.record = Record()
        self._best_cost = solve(game, self.routing, throttling).provider_cost
        self._tasks, self._seconds = engine.tasks_played, time.process_time()

    @property
    def single(self) -> Game:
        """The game, shape (), where there is only one.

        Raises:
            ValueError: There are several.
        """
        if self.game.shape != (1,):
            raise ValueError(f"game: shape {self.game.shape} is not allowed; this algorithm plays one game")
        return self.game[0]

    def commitment(self, actions: npt.ArrayLike) -> Commitment:
        """What actions of the provider commit to in the single game: numbers in [0, 1], shape (..., actions.width)."""
        return self.actions.commitment(self.single, actions)

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
        self.record.tasks.append(engine.tasks_played - self._tasks)
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


def log_cost(cost: FloatArray) -> FloatArray:
    """The logarithm of the mean over the last axis of costs, which may be 0."""
    logarithm: FloatArray = np.log(np.maximum(cost.mean(axis=-1), _LEAST_COST))
    return logarithm


Algorithm: TypeAlias = "Callable[[Problem], Solution]"
"""Learns to play a problem, and returns what both players choose in the end.

It calls `Problem.choose` now and then for the regret curve; the solution is recorded by the benchmark.
"""
