"""Providers: how a commitment is chosen, exactly, by rule or at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment, Ladders, solve
from stackroute.envs.actions import ProviderActions

if TYPE_CHECKING:
    from stackroute.analytic import Game
    from stackroute.analytic.equilibrium import Routing as CommittedRouting
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.envs.observations import Routing
    from stackroute.envs.policies import Waiting


class EquilibriumProvider:
    """The provider of the theory: the exact optimal commitment (Mahmood 2026, Theorems 3 to 5; free routing beyond it).

    Where the optimum leaves the user indifferent it relies on the strong tie-breaking of `RationalUser`. It plays the
    paper's game under every option of an environment: against a user that sees the history, or not the commitment, it
    is not the optimum.

    Args:
        throttling: Whether it may delay.
        routing: What it may commit to: `"cascade"`, or `"free"` for a lottery of any number of models.
    """

    def __init__(self, throttling: bool = False, routing: CommittedRouting = "cascade") -> None:
        self.throttling, self.routing = throttling, routing

    def commit(self, game: Game, random_numbers: FloatArray) -> Commitment:
        """The equilibrium commitment, shape (...)."""
        return solve(game, self.routing, self.throttling).commitment


class StaticProvider:
    """A provider that makes the same commitment in every game.

    Args:
        commitment: The commitment, shape (); delays are in the games' unit of utility.

    Raises:
        TypeError: It is no commitment.
        ValueError: It is a batch of them.

    Examples:
        >>> from stackroute.analytic import Commitment
        >>> StaticProvider(Commitment.cascade(0, 0.3)).commitment.cascade_probability
        array([0.3])
    """

    def __init__(self, commitment: Commitment) -> None:
        if not isinstance(commitment, Commitment):
            raise TypeError(f"commitment: {commitment!r} is not allowed; expected a Commitment")
        if commitment.shape:
            raise ValueError(f"commitment: a batch of shape {commitment.shape} is not allowed; expected a single one")
        self.commitment = commitment

    def commit(self, game: Game, random_numbers: FloatArray) -> Commitment:
        """The fixed commitment, shape ()."""
        return self.commitment


class LadderProvider:
    """A provider that serves each task by a ladder, for `routing="pass"` (beyond the paper).

    Args:
        ladders: The ladders, and with which probability each is drawn for a task by its group and context.

    Raises:
        TypeError: They are no `stackroute.analytic.Ladders`.

    Examples:
        >>> from stackroute.analytic import Ladders
        >>> provider = LadderProvider(Ladders.switch(first=0, then=1, after=2))
    """

    def __init__(self, ladders: Ladders) -> None:
        if not isinstance(ladders, Ladders):
            raise TypeError(f"ladders: {ladders!r} is not allowed; expected Ladders")
        self.ladders = ladders

    def route(self, waiting: Waiting) -> tuple[IntArray, FloatArray]:
        """The model and the delay of the next pass of each task, shape (n,)."""
        ladders = self.ladders
        ends = np.cumsum(ladders.chances(waiting.group, waiting.context), axis=-1)[:, :-1]
        ladder = (waiting.random_numbers[:, None] >= ends).sum(axis=1)
        model = ladders.models[ladder, np.minimum(waiting.passes, ladders.models.shape[1] - 1)]
        return model, ladders.delays(waiting.group, waiting.passes)


class RandomProvider:
    """A provider that commits at random, uniformly over the action space.

    Args:
        throttling: Whether it delays.
        routing: What its actions route: `"cascade"` or `"lottery"`.
    """

    def __init__(self, throttling: bool = False, routing: Routing = "cascade") -> None:
        self.throttling, self.routing = throttling, routing

    def commit(self, game: Game, random_numbers: FloatArray) -> Commitment:
        """A commitment uniform over the action space, shape (...)."""
        actions = ProviderActions(game.models, self.routing, self.throttling)
        return actions.decoded(game, np.asarray(random_numbers)[..., : actions.width])
