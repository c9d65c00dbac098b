"""What a commitment and a patience are worth to both players."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import kernels
from stackroute.analytic.game import InvalidGameError, over_models, probability

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.commitment import Commitment
    from stackroute.analytic.game import FloatArray, Game


def check_same_models(game: Game, commitment: Commitment) -> None:
    """Check that a commitment is one over the models of a game."""
    if commitment.models != game.models:
        raise InvalidGameError("commitment", f"{commitment.models} models", f"{game.models} models, as in the game")


def _patience(game: Game, patience: npt.ArrayLike, by_model: bool) -> FloatArray:
    """The validated patience after a failure on each model, its last axis n or 1."""
    r = probability("patience", patience)
    return over_models("patience", r, game.models) if by_model else r[..., None]


def _passes(game: Game, commitment: Commitment, r: FloatArray) -> FloatArray:
    check_same_models(game, commitment)
    models = game.models
    r = np.broadcast_to(r, (*r.shape[:-1], models))
    work = np.empty((models, models))
    passes: FloatArray = kernels.expected_passes(
        commitment.start, commitment.transition, game.success, r, 1.0 - r, work
    )
    return passes


def _total(per_pass: FloatArray, passes: FloatArray) -> FloatArray:
    """What all passes of a task come to."""
    total: FloatArray = np.einsum("...k,...k->...", per_pass, passes)
    return total[()]


def expected_passes(
    game: Game, commitment: Commitment, patience: npt.ArrayLike, *, by_model: bool = False
) -> FloatArray:
    """The expected number of passes of one task on each model, N = start^T (I - diag(r (1 - p)) R)^-1.

    For the paper's two models and cascades (Mahmood 2026, section 3), with a = 1 - p1 and b = 1 - p2, these are, from
    the second, N1 = 0 and N2 = 1 / (1 - b r), and from the first N1 = 1 / (1 - a r (1 - s)) and
    N2 = N1 a r s / (1 - b r). Any chain R of any number of models, and a patience by model, are beyond the paper. No
    subtraction is made, so that each number of passes is exact to rounding even for tiny p.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch that broadcasts against the games.
        patience: Probability r of re-prompting after a failed pass, the paper's 1 - q, in [0, 1], shape (...).
        by_model: The patience has shape (..., n) and depends on the model that failed.

    Returns:
        N, shape (..., n).

    Raises:
        InvalidGameError: A patience lies outside [0, 1] or has no axis of models, or the numbers of models differ.

    Examples:
        >>> from stackroute.analytic import Commitment, Game
        >>> game = Game([0.5, 0.8], [0.2, 0.6], [0.1, 0.3], value=2, churn_penalty=3)
        >>> expected_passes(game, Commitment.static(0), patience=1)
        array([2., 0.])
        >>> expected_passes(game, Commitment.cascade(0, 1), patience=[1, 0], by_model=True)
        array([1. , 0.5])
    """
    return _passes(game, commitment, _patience(game, patience, by_model))


def success_probability(
    game: Game, commitment: Commitment, patience: npt.ArrayLike, *, by_model: bool = False
) -> FloatArray:
    """The probability that a task is solved, S = p . N (Mahmood 2026, section 3).

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch.
        patience: Probability of re-prompting after a failed pass, in [0, 1], shape (...).
        by_model: The patience has shape (..., n) and depends on the model that failed.

    Returns:
        S in (0, 1], shape (...).

    Raises:
        InvalidGameError: As for `expected_passes`.
    """
    passes = expected_passes(game, commitment, patience, by_model=by_model)
    return np.minimum(_total(game.success, passes), 1.0)


def user_utility(game: Game, commitment: Commitment, patience: npt.ArrayLike, *, by_model: bool = False) -> FloatArray:
    """The user's expected utility of one task, U = V S - L = xi . N (Mahmood 2026, section 3).

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch; its delays add to the latency.
        patience: Probability of re-prompting after a failed pass, in [0, 1], shape (...).
        by_model: The patience has shape (..., n) and depends on the model that failed.

    Returns:
        U in the unit of value and latency, shape (...).

    Raises:
        InvalidGameError: As for `expected_passes`.
    """
    passes = expected_passes(game, commitment, patience, by_model=by_model)
    return _total(game.with_delay(commitment.delay), passes)


def provider_cost(game: Game, commitment: Commitment, patience: npt.ArrayLike, *, by_model: bool = False) -> FloatArray:
    """The provider's expected cost of one task, J = C + P (1 - S) (Mahmood 2026, section 3).

    Computed as (c + P (1 - r) (1 - p)) . N: each failed pass is abandoned with probability 1 - r.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch.
        patience: Probability of re-prompting after a failed pass, in [0, 1], shape (...).
        by_model: The patience has shape (..., n) and depends on the model that failed.

    Returns:
        J in the unit of cost and churn penalty, shape (...).

    Raises:
        InvalidGameError: As for `expected_passes`.
    """
    r = _patience(game, patience, by_model)
    passes = _passes(game, commitment, r)
    abandoned = game.churn_penalty[..., None] * (1.0 - r) * (1.0 - game.success)
    return _total(game.cost + abandoned, passes)
