"""Exact evaluation of what was learned: the closed forms evaluate, they never teach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import Commitment, best_response, default_routing, provider_cost, solve, user_utility
from stackroute.envs.actions import from_symmetric
from stackroute.training.learn.lines import provider_actions

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Equilibrium, Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import BoolArray, FloatArray

RIGHT = 0.01
"""The regret up to which a random commitment counts as right."""

NO_EVIDENCE = 0.1
"""Where more of the random commitments are right, a right choice is no evidence that anything was learned."""

_RANDOM = 1_000


@dataclass(frozen=True)
class Outcome:
    """A commitment and a patience in one game, and what they are worth.

    Attributes:
        first_model: The model of the first pass, counted from 0.
        cascade: Probability of moving from the first model to the second on a re-prompt, 0 with one model; None with
            free routing.
        lottery: Probability that each model serves the first re-prompt, and with a lottery every other; None with
            cascades.
        delay: Delay of each model, utility.
        patience: The user's probability of re-prompting.
        provider_cost: The provider's expected cost of a task, money.
        user_utility: The user's expected utility of a task.
        throttled: Whether the delays turn the exact response from re-prompting to abandoning.
    """

    first_model: int
    cascade: float | None
    lottery: list[float] | None
    delay: list[float]
    patience: float
    provider_cost: float
    user_utility: float
    throttled: bool

    @property
    def commitment(self) -> Commitment:
        """The commitment, shape ()."""
        models = len(self.delay)
        if self.lottery is not None:
            return Commitment.lottery(np.eye(models)[self.first_model], self.lottery, self.delay)
        cascade = np.array(self.cascade) if models > 1 else np.zeros(0)
        return Commitment.cascade(self.first_model, cascade, self.delay, models=models)


@dataclass(frozen=True)
class Evaluation:
    """What was learned, beside the equilibrium.

    Attributes:
        learned: The learned commitment with the learned user.
        equilibrium: The exact Stackelberg equilibrium.
        provider_regret: Relative excess of the cost of the learned commitment, against the exact best response, over
            the equilibrium's, an indifferent user choosing for the provider.
        provider_regret_pessimistic: The same with an indifferent user choosing against the provider.
        user_regret: What the learned patience loses against the exact best response, relative to the largest of
            |xi| and V p.
        on_path_regret: Relative excess of the cost of the learned commitment, with the learned patience, over the
            equilibrium's.
        start_model_right: Whether the learned commitment starts on the equilibrium's model.
        routing_error: Largest distance of a learned probability of being served by a model on the first re-prompt from
            the equilibrium's, which both have an effect: with cascades the distance of the cascade probabilities; None
            where one has none.
        throttling_right: Whether the learned commitment throttles exactly if the equilibrium does.
        random_regret: The median provider's regret of random commitments, as of `random_regrets`.
        random_right: The share of them with a regret of at most 1 %. Where it is above 10 %, a right choice is no
            evidence that anything was learned.
    """

    learned: Outcome
    equilibrium: Outcome
    provider_regret: float
    provider_regret_pessimistic: float
    user_regret: float
    on_path_regret: float
    start_model_right: bool
    routing_error: float | None
    throttling_right: bool
    random_regret: float
    random_right: float


def throttled(game: Game, commitment: Commitment) -> BoolArray:
    """Whether delays turn the exact patience from above 1/2, without them, to below 1/2, shape (...)."""
    without = best_response(game, commitment.without_delay())
    return (without > 0.5) & (best_response(game, commitment) < 0.5)


def provider_regret(
    game: Game, commitment: Commitment, best_cost: npt.ArrayLike, *, pessimistic: bool = False
) -> FloatArray:
    """The relative excess cost of a commitment against the exact best response.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch.
        best_cost: The provider's cost at the equilibrium, shape (...).
        pessimistic: Whether an indifferent user chooses against the provider.

    Returns:
        `(J - J*) / J*`, shape (...); where `J*` is 0, relative to the largest cost plus the churn penalty.
    """
    response = best_response(game, commitment, "pessimistic" if pessimistic else "strong")
    return relative_excess(game, commitment, response, np.asarray(best_cost))


def relative_excess(game: Game, commitment: Commitment, patience: FloatArray, best: FloatArray) -> FloatArray:
    """As `provider_regret`, of a commitment with a patience, shape (...)."""
    scale = np.where(best > 0, best, game.cost.max(axis=-1) + game.churn_penalty)
    excess: FloatArray = (provider_cost(game, commitment, patience) - best) / scale
    return excess


def random_regrets(game: Game, equilibrium: Equilibrium) -> FloatArray:
    """The provider's regret of 1,000 random commitments, the same ones for all games of a kind.

    They are drawn uniformly from the actions in [-1, 1] among which a learner chooses, `stackroute.envs.sb3.VecEnv`.

    Args:
        game: One game or a batch.
        equilibrium: Of the games.

    Returns:
        Shape (1000, ...).
    """
    actions = provider_actions(game, equilibrium.routing, equilibrium.throttling)
    drawn = np.random.default_rng(0).uniform(-1.0, 1.0, (_RANDOM, *[1] * len(game.shape), actions.width))
    commitments = actions.commitment(game, from_symmetric(drawn, actions.delays))
    return provider_regret(game, commitments, equilibrium.provider_cost)


def user_regret(game: Game, commitment: Commitment, patience: FloatArray) -> FloatArray:
    """The utility that a patience loses against the exact best response.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch.
        patience: In [0, 1], shape (...).

    Returns:
        (max_r U - U) / the largest of |xi| and V p, shape (...).
    """
    best = user_utility(game, commitment, best_response(game, commitment))
    regret: FloatArray = (best - user_utility(game, commitment, patience)) / unit_of_utility(game)
    return regret


def unit_of_utility(game: Game) -> FloatArray:
    """What the user's losses are measured in: the largest of |xi| and V p over the models, shape (...)."""
    unit: FloatArray = np.maximum(np.abs(game.net_value).max(axis=-1), game.value * game.success.max(axis=-1))
    return unit


def outcomes(
    game: Game, commitment: Commitment, patience: FloatArray, routing: Routing
) -> dict[str, npt.NDArray[Any] | None]:
    """What commitments and patiences are worth: the numbers of an `Outcome`, shape (...), by model (..., n)."""
    free = routing == "free"
    return {
        "first_model": commitment.first_model,
        "cascade": None if free else commitment.cascade_probability.sum(axis=-1),
        "lottery": next_models(commitment) if free else None,
        "delay": commitment.delay,
        "patience": patience,
        "provider_cost": provider_cost(game, commitment, patience),
        "user_utility": user_utility(game, commitment, patience),
        "throttled": throttled(game, commitment),
    }


def next_models(commitment: Commitment) -> FloatArray:
    """Probability that each model serves the first re-prompt, shape (..., n)."""
    first = commitment.first_model[..., None, None]
    moves: FloatArray = np.take_along_axis(commitment.transition, first, axis=-2)[..., 0, :]
    return moves


def measure(game: Game, commitment: Commitment, patience: FloatArray, equilibrium: Equilibrium) -> dict[str, Any]:
    """Evaluate learned commitments and patiences in one game or a batch.

    Args:
        game: Shape (...).
        commitment: The learned commitments, shape (...).
        patience: The learned users' patience under them, shape (...).
        equilibrium: Of the games.

    Returns:
        The numbers of an `Evaluation`, each of shape (...), "routing_error" with NaN for None; "learned" and
        "equilibrium" are those of `outcomes`.
    """
    best, routing = equilibrium.provider_cost, equilibrium.routing
    learned = outcomes(game, commitment, patience, routing)
    exact = outcomes(game, equilibrium.commitment, equilibrium.patience, routing)
    # A cascade of two models has an effect where the first one starts.
    moves = [(made.first_model == 0) | (routing == "free") for made in (commitment, equilibrium.commitment)]
    both_move = moves[0] & moves[1] & (patience > 0) & (equilibrium.patience > 0)
    distance = np.abs(next_models(commitment) - next_models(equilibrium.commitment)).max(axis=-1)
    by_chance = random_regrets(game, equilibrium)
    return {
        "learned": learned,
        "equilibrium": exact,
        "provider_regret": provider_regret(game, commitment, best),
        "provider_regret_pessimistic": provider_regret(game, commitment, best, pessimistic=True),
        "user_regret": user_regret(game, commitment, patience),
        "on_path_regret": relative_excess(game, commitment, patience, best),
        "start_model_right": commitment.first_model == equilibrium.commitment.first_model,
        "routing_error": np.where(both_move, distance, np.nan),
        "throttling_right": learned["throttled"] == exact["throttled"],
        "random_regret": np.median(by_chance, axis=0),
        "random_right": (by_chance <= RIGHT).mean(axis=0),
    }


def evaluate(
    game: Game, commitment: Commitment, patience: FloatArray, *, throttling: bool, routing: Routing | None = None
) -> Evaluation:
    """Evaluate a learned commitment and the learned patience under it.

    Args:
        game: A single game.
        commitment: The learned commitment, shape ().
        patience: The learned user's patience under it.
        throttling: Whether the provider could delay: decides the equilibrium.
        routing: What it could commit to: likewise; None for `stackroute.analytic.default_routing`.

    Returns:
        What was learned beside the equilibrium, with the regrets of both players.

    Raises:
        ValueError: The commitment delays, and the provider could not.
    """
    if not throttling and np.any(commitment.delay):
        raise ValueError(f"commitment: delays {commitment.delay} are not allowed; expected none without throttling")
    equilibrium = solve(game, routing or default_routing(game), throttling)
    found = measure(game, commitment, patience, equilibrium)
    learned, exact = (Outcome(**_plain(found.pop(side))) for side in ("learned", "equilibrium"))
    numbers = _plain(found)
    if math.isnan(numbers["routing_error"]):
        numbers["routing_error"] = None
    return Evaluation(learned, exact, **numbers)


def _plain(numbers: dict[str, Any]) -> dict[str, Any]:
    """Those of a single game as Python's own."""
    return {name: None if value is None else np.asarray(value).tolist() for name, value in numbers.items()}
