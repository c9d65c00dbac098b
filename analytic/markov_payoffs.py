"""What a Markov commitment and a patience are worth to both players (beyond the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.game import InvalidGameError, probability

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray
    from stackroute.analytic.markov import ChainGame, MarkovCommitment


@dataclass(frozen=True, eq=False)
class Elimination:
    """The triangular factors of M = I - r diag(1 - p) R; see `eliminate`. The models come first, the batch last.

    Attributes:
        flow: Below the diagonal the lower factor, above it minus the upper one, shape (n, n, ...).
        pivot: The diagonal of the upper factor, shape (n, ...).
    """

    flow: FloatArray
    pivot: FloatArray

    def passes(self, start: FloatArray) -> FloatArray:
        """N = start^T M^-1, shape (n, ...), for a start of shape (n, ...)."""
        passes = np.zeros_like(self.pivot)
        for k in range(len(passes)):
            passes[k] = (start[k] + (passes[:k] * self.flow[:k, k]).sum(axis=0)) / self.pivot[k]
        for k in reversed(range(len(passes))):
            passes[k] += (passes[k + 1 :] * self.flow[k + 1 :, k]).sum(axis=0)
        return passes

    def values(self, payoff: FloatArray) -> FloatArray:
        """M^-1 payoff: what a task on each model is worth from now on, shape (n, ...), for a payoff of a pass."""
        values = np.zeros_like(self.pivot) + payoff
        for k in range(len(values)):
            values[k + 1 :] += self.flow[k + 1 :, k] * values[k]
        for k in reversed(range(len(values))):
            values[k] = (values[k] + (self.flow[k, k + 1 :] * values[k + 1 :]).sum(axis=0)) / self.pivot[k]
        return values


def eliminate(success: FloatArray, transition: FloatArray, r: FloatArray, q: FloatArray) -> Elimination:
    """Gaussian elimination of M = I - r diag(1 - p) R without a subtraction.

    The row of model k sums to q + r p_k with q = 1 - r. With these sums carried along in place of the diagonal
    (Grassmann, Taksar and Heyman 1985) only non-negative terms are added, so that each number of passes is exact to
    rounding even at r = 1 with tiny p, where M is nearly singular and a general solver loses a factor 1 / p.

    Args:
        success: Shape (n, ...).
        transition: Shape (n, n, ...).
        r: Patience, shape (...).
        q: 1 - r, shape (...): given as well, for each has digits near 0 that the other has lost.

    Returns:
        The factors, of the inputs' common batch shape.
    """
    flow = r * (1.0 - success)[:, None] * transition
    leave = q + r * success
    pivot = np.zeros_like(leave)
    for k in range(len(pivot)):
        pivot[k] = leave[k] + flow[k, k + 1 :].sum(axis=0)
        flow[k + 1 :, k] /= pivot[k]
        flow[k + 1 :, k + 1 :] += flow[k + 1 :, k, None] * flow[k, k + 1 :]
        leave[k + 1 :] += flow[k + 1 :, k] * leave[k]
    return Elimination(flow, pivot)


def models_first(array: FloatArray, axes: int, batch: tuple[int, ...]) -> FloatArray:
    """The array, broadcast to a batch shape, with its last `axes` axes moved to the front."""
    own = array.shape[array.ndim - axes :]
    return np.moveaxis(np.broadcast_to(array, (*batch, *own)), range(-axes, 0), range(axes))


def common_batch(game: ChainGame, commitment: MarkovCommitment, *others: FloatArray) -> tuple[int, ...]:
    """The batch shape of a game, a commitment and further arrays.

    Raises:
        InvalidGameError: The game and the commitment have different numbers of models.
    """
    if commitment.models != game.models:
        allowed = f"one over {game.models}, as in the game"
        raise InvalidGameError("commitment", f"a chain over {commitment.models} models", allowed)
    return np.broadcast_shapes(game.shape, commitment.shape, *(array.shape for array in others))


def chain_passes(game: ChainGame, commitment: MarkovCommitment, patience: npt.ArrayLike) -> FloatArray:
    """The expected number of passes of one task on each model, N(r) = start^T (I - r diag(1 - p) R)^-1.

    Beyond the paper; for its two models this is `expected_passes`. See `eliminate` for the accuracy.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch that broadcasts against the games.
        patience: Probability r of re-prompting after a failed pass, in [0, 1], shape (...).

    Returns:
        N, shape (..., n).

    Raises:
        InvalidGameError: A patience lies outside [0, 1], or the numbers of models differ.

    Examples:
        >>> from stackroute.analytic import ChainGame, MarkovCommitment
        >>> game = ChainGame([0.5, 0.5, 0.5], [0.1, 0.2, 0.6], [0.1, 0.2, 0.4], value=2, churn_penalty=3)
        >>> in_turn = MarkovCommitment([1, 0, 0], [[0, 1, 0], [0, 0, 1], [0, 0, 1]])
        >>> chain_passes(game, in_turn, patience=1)
        array([1. , 0.5, 0.5])
    """
    r = probability("patience", patience)
    batch = common_batch(game, commitment, r)
    success = models_first(game.success, 1, batch)
    transition, start = models_first(commitment.transition, 2, batch), models_first(commitment.start, 1, batch)
    return np.moveaxis(eliminate(success, transition, r, 1.0 - r).passes(start), 0, -1)


def chain_user_utility(game: ChainGame, commitment: MarkovCommitment, patience: npt.ArrayLike) -> FloatArray:
    """The user's expected utility of one task, U = xi . N with xi = V p - t - d (beyond the paper).

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch; its delays add to the latency.
        patience: Probability of re-prompting after a failed pass, in [0, 1], shape (...).

    Returns:
        U in the unit of value and latency, shape (...).
    """
    passes = chain_passes(game, commitment, patience)
    utility: FloatArray = (game.with_delay(commitment.delay) * passes).sum(axis=-1)
    return utility[()]


def chain_provider_cost(game: ChainGame, commitment: MarkovCommitment, patience: npt.ArrayLike) -> FloatArray:
    """The provider's expected cost of one task, J = C + P (1 - S) (beyond the paper).

    Computed as c . N + P (1 - r) (1 - p) . N: each failed pass is abandoned with probability 1 - r.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch.
        patience: Probability of re-prompting after a failed pass, in [0, 1], shape (...).

    Returns:
        J in the unit of cost and churn penalty, shape (...).
    """
    r = probability("patience", patience)
    passes = chain_passes(game, commitment, r)
    service = (game.cost * passes).sum(axis=-1)
    failed = ((1.0 - game.success) * passes).sum(axis=-1)
    cost: FloatArray = service + game.churn_penalty * (1.0 - r) * failed
    return cost[()]
