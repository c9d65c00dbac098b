"""What a commitment and a patience are worth to both players: the paper's linear payoffs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import formulas
from stackroute.analytic.game import probability

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import Commitment, FloatArray, Game


def expected_passes(game: Game, commitment: Commitment, patience: npt.ArrayLike) -> FloatArray:
    """The expected number of passes of one task on each model (Mahmood 2026, section 3).

    From model 2: N1 = 0, N2 = 1 / (1 - b r). From model 1: N1 = 1 / (1 - a r (1 - s)) and
    N2 = N1 a r s / (1 - b r), with a = 1 - p1, b = 1 - p2.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch that broadcasts against the games.
        patience: Probability r of re-prompting after a failed pass, the paper's 1 - q, in [0, 1], shape (...).

    Returns:
        N, shape (..., 2).

    Raises:
        InvalidGameError: A patience lies outside [0, 1].

    Examples:
        >>> from stackroute.analytic import Commitment, Game
        >>> game = Game([0.5, 0.8], [0.2, 0.6], [0.1, 0.3], value=2, churn_penalty=3)
        >>> expected_passes(game, Commitment(model=1, cascade=0), patience=1)
        array([2., 0.])
    """
    r = probability("patience", patience)
    starts_standard = (commitment.model == 1).astype(np.float64)
    n = formulas.passes(game.success[..., 0], game.success[..., 1], starts_standard, commitment.cascade, r)
    return np.stack(np.broadcast_arrays(*n), axis=-1)


def success_probability(game: Game, commitment: Commitment, patience: npt.ArrayLike) -> FloatArray:
    """The probability that a task is solved, S = p1 N1 + p2 N2 (Mahmood 2026, section 3).

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch.
        patience: Probability of re-prompting after a failed pass, in [0, 1], shape (...).

    Returns:
        S in (0, 1], shape (...).
    """
    solved: FloatArray = (game.success * expected_passes(game, commitment, patience)).sum(axis=-1)
    return np.minimum(solved, 1.0)[()]


def user_utility(game: Game, commitment: Commitment, patience: npt.ArrayLike) -> FloatArray:
    """The user's expected utility of one task, U = V S - L = xi1 N1 + xi2 N2 (Mahmood 2026, section 3).

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch; its delays add to the latency.
        patience: Probability of re-prompting after a failed pass, in [0, 1], shape (...).

    Returns:
        U in the unit of value and latency, shape (...).
    """
    passes = expected_passes(game, commitment, patience)
    utility: FloatArray = (game.with_delay(commitment.delay) * passes).sum(axis=-1)
    return utility[()]


def provider_cost(game: Game, commitment: Commitment, patience: npt.ArrayLike) -> FloatArray:
    """The provider's expected cost of one task, J = C + P (1 - S) (Mahmood 2026, section 3).

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch.
        patience: Probability of re-prompting after a failed pass, in [0, 1], shape (...).

    Returns:
        J in the unit of cost and churn penalty, shape (...).
    """
    r = probability("patience", patience)
    n1, n2 = np.moveaxis(expected_passes(game, commitment, r), -1, 0)
    p1, p2 = np.moveaxis(game.success, -1, 0)
    c1, c2 = np.moveaxis(game.cost, -1, 0)
    cost: FloatArray = formulas.cost(p1, p2, c1, c2, game.churn_penalty, r, n1, n2)
    return cost[()]
