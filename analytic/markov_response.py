"""The user's best response to a Markov commitment over any number of models (beyond the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.formulas import ROUNDING
from stackroute.analytic.markov_payoffs import common_batch, eliminate, models_first
from stackroute.analytic.response import tie_sign

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray
    from stackroute.analytic.markov import ChainGame, MarkovCommitment
    from stackroute.analytic.markov_payoffs import Elimination
    from stackroute.analytic.response import TieBreaking

BLOCK = 128
"""How many games are answered at once, so that memory does not grow with the batch."""

DEGREE = 20
"""The degree of the Chebyshev series of U' on each piece of the patiences."""

NEARLY_REAL = 1e-3
"""Roots of a series that lie this close to its piece, which has length 2, are tried."""

_ANGLES = np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1)
_NODES = np.cos(_ANGLES)
_SERIES_OF_VALUES = np.cos(np.outer(_ANGLES, np.arange(DEGREE + 1))) * np.r_[1, np.full(DEGREE, 2)] / (DEGREE + 1)


@dataclass(frozen=True, eq=False)
class _Total:
    """The total payoff U(r) = x . N(r) of B tasks, as a function of the paper's q = 1 - r.

    Written in q because q keeps its digits where the payoff bends most, near r = 1 when a success is unlikely.
    Methods take q of shape (B, k) or (1, k) and return shape (B, k).

    Attributes:
        success: Shape (n, B, 1).
        start: Shape (n, B, 1).
        transition: Shape (n, n, B, 1).
        payoff: The payoff x of a pass, shape (n, B, 1).
    """

    success: FloatArray
    start: FloatArray
    transition: FloatArray
    payoff: FloatArray

    def __getitem__(self, tasks: IntArray | BoolArray) -> _Total:
        return _Total(self.success[:, tasks], self.start[:, tasks], self.transition[:, :, tasks], self.payoff[:, tasks])

    def gain(self, q: FloatArray) -> tuple[FloatArray, FloatArray]:
        """U(r) - U(0) = r start^T A M(r)^-1 x with A = diag(1 - p) R and M = I - r A, and its rounding error."""
        gain, rounding = self._after_a_failure(self.start, self._eliminate(q))
        return (1.0 - q) * gain, (1.0 - q) * rounding

    def slope(self, q: FloatArray) -> tuple[FloatArray, FloatArray]:
        """dU/dr = N(r)^T A M(r)^-1 x and its rounding error."""
        solved = self._eliminate(q)
        return self._after_a_failure(solved.passes(self.start), solved)

    def _eliminate(self, q: FloatArray) -> Elimination:
        return eliminate(self.success, self.transition, 1.0 - q, q)

    def _after_a_failure(self, weights: FloatArray, solved: Elimination) -> tuple[FloatArray, FloatArray]:
        failed = weights * (1.0 - self.success)
        flows = failed[:, None] * self.transition
        size = solved.values(np.abs(self.payoff))
        # The rounding of a row's other entries moves the probability to stay by its share of their sum.
        stays = np.einsum("kk...->k...", self.transition)
        rounding = (flows * size).sum(axis=(0, 1)) + (failed * (1.0 - stays) * size).sum(axis=0)
        total: FloatArray = (flows * solved.values(self.payoff)).sum(axis=(0, 1))
        return total, len(size) * ROUNDING * rounding


def _roots(series: FloatArray) -> npt.NDArray[np.complex128]:
    """The roots of Chebyshev series: the eigenvalues of their colleague matrices (Good 1961), scaled to symmetry.

    Args:
        series: Coefficients, the largest of each series 1 in size, shape (k, DEGREE + 1).

    Returns:
        Shape (k, DEGREE).
    """
    leading = series[:, -1:]
    leading = np.where(np.abs(leading) < ROUNDING, ROUNDING, leading)
    beside = np.r_[np.sqrt(0.5), np.full(DEGREE - 2, 0.5)]
    colleague = np.tile(np.diag(beside, 1) + np.diag(beside, -1), (len(series), 1, 1))
    colleague[:, :, -1] -= series[:, :-1] / leading * np.r_[np.sqrt(0.5), np.full(DEGREE - 1, 0.5)]
    # In reverse order, as in numpy's chebroots, the eigenvalues come out more accurately.
    return np.linalg.eigvals(colleague[:, ::-1, ::-1]).astype(np.complex128)


def _turns(slope: FloatArray, edges: FloatArray) -> tuple[IntArray, FloatArray]:
    """The stationary points of U.

    Args:
        slope: dU/dr at the nodes of each piece, shape (B, pieces, DEGREE + 1).
        edges: Where the pieces of q begin and end, shape (pieces + 1,).

    Returns:
        The task, in ascending order, and the q of each point.
    """
    series = slope @ _SERIES_OF_VALUES
    size = np.abs(series).max(axis=-1)
    may_vanish = (size > 0.0) & (np.abs(series[..., 0]) <= np.abs(series[..., 1:]).sum(axis=-1))
    task, piece = np.nonzero(may_vanish)
    roots = _roots(series[may_vanish] / size[may_vanish][:, None])
    which = (np.abs(roots.imag) < NEARLY_REAL) & (np.abs(roots.real) < 1.0 + NEARLY_REAL)
    tried, _ = np.nonzero(which)
    task, low, high = task[tried], edges[piece[tried]], edges[piece[tried] + 1]
    return task, np.clip((low + high) / 2 + (high - low) / 2 * roots.real[which], low, high)


def _maximisers(total: _Total) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Where U is greatest, among both ends and the stationary points between them.

    As a function of complex r, U has no pole inside the circle of radius 1 / (1 - p) for the smallest p. On pieces that
    halve towards r = 1 down to a length of p / (1 - p), the poles are at least 3 half lengths from a piece's middle, so
    that the Chebyshev series of U' converges like 5.8^-degree, whatever n and p.

    Args:
        total: The payoffs of B tasks.

    Returns:
        Points q, the first 0, shape (B, k); which of them attain the maximum, shape (B, k); where all of [0, 1] does,
        shape (B,).
    """
    worst = total.success.min()
    halvings = int(np.clip(np.ceil(np.log2((1.0 - worst) / worst)), 0, 53))
    edges = np.r_[0.0, 0.5 ** np.arange(halvings, -1, -1)]
    nodes = (edges[1:, None] + edges[:-1, None]) / 2 + (edges[1:, None] - edges[:-1, None]) / 2 * _NODES
    slope, rounding = total.slope(np.r_[0.0, nodes.ravel(), 1.0][None])
    flat: BoolArray = np.logical_and.reduce(np.abs(slope) <= rounding, axis=-1)

    task, q = _turns(slope[:, 1:-1].reshape(-1, *nodes.shape), edges)
    column = 1 + np.arange(len(task)) - np.searchsorted(task, task)
    points = np.ones((len(slope), 2 + column.max(initial=0)))
    points[:, 0] = 0.0
    points[task, column] = q
    # An end from which U rises inwards is no maximum, even where the rise is too small to be seen in U.
    peaks = np.zeros(points.shape, dtype=np.bool_)
    peaks[task, column] = True
    peaks[:, 0] = slope[:, 0] >= -rounding[:, 0]
    peaks[:, -1] = slope[:, -1] <= rounding[:, -1]

    gain, rounding = total.gain(points)
    gain = np.where(peaks, gain, -np.inf)
    best = gain.argmax(axis=-1)[:, None]
    gap = np.take_along_axis(gain, best, axis=-1) - gain
    return points, gap <= np.maximum(rounding, np.take_along_axis(rounding, best, axis=-1)), flat


def _respond(utility: _Total, cost: _Total) -> FloatArray:
    """The user's patience, shape (B,); where it is indifferent, the one with the greatest `cost`."""
    points, best, flat = _maximisers(utility)
    chosen = np.where(best, cost.gain(points)[0], -np.inf).argmax(axis=-1)
    q: FloatArray = points[np.arange(len(points)), chosen]
    if flat.any():
        points, best, _ = _maximisers(cost[flat])
        q[flat] = points[np.arange(len(points)), best.argmax(axis=-1)]
    return 1.0 - q


def chain_best_response(
    game: ChainGame, commitment: MarkovCommitment, tie_breaking: TieBreaking = "strong"
) -> FloatArray:
    """The patience that maximises the user's utility against any chain (beyond the paper).

    U(r) = xi . N(r) is rational in r and may have several peaks. All its stationary points are found, as the roots of
    Chebyshev series of U', and compared with r = 0 and r = 1. Ties are broken as in `best_response`, to which this is
    equal for the paper's chains.

    Accuracy: an interior patience is found to about 1e-11 where U has a clear peak; where U is flat within the rounding
    of its terms, any patience there may be returned. Cost: about 0.1 ms a game for two models, 0.4 ms for six and 1 ms
    for ten if all p >= 0.03; it grows with log(1 / p) of the smallest p among 128 games.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch that broadcasts against the games; its delays lower the net values.
        tie_breaking: For (`"strong"`) or against (`"pessimistic"`) the provider.

    Returns:
        The patience r = 1 - q in [0, 1], shape (...).

    Raises:
        InvalidGameError: The numbers of models differ.
        ValueError: The tie-breaking is neither of the two.

    Examples:
        >>> from stackroute.analytic.markov import ChainGame, MarkovCommitment
        >>> game = ChainGame([0.3, 0.5, 0.8], [0.1, 0.2, 0.8], [0.1, 0.7, 0.7], value=1.1, churn_penalty=5)
        >>> in_turn, skipping = [[0, 1, 0], [0, 0, 1], [0, 0, 1]], [[0, 0, 1], [0, 0, 1], [0, 0, 1]]
        >>> chain_best_response(game, MarkovCommitment([1, 0, 0], [in_turn, skipping]))
        array([0., 1.])
    """
    sign = tie_sign(tie_breaking)
    batch = common_batch(game, commitment)
    success, start, net_value, net_cost = (
        models_first(array, 1, batch).reshape(game.models, -1, 1)
        for array in (game.success, commitment.start, game.with_delay(commitment.delay), game.net_cost)
    )
    transition = models_first(commitment.transition, 2, batch).reshape(game.models, game.models, -1, 1)
    utility = _Total(success, start, transition, net_value)
    cost = _Total(success, start, transition, sign * net_cost)
    patience = np.empty(success.shape[1])
    for first in range(0, len(patience), BLOCK):
        block = np.arange(first, min(first + BLOCK, len(patience)))
        patience[block] = _respond(utility[block], cost[block])
    return patience.reshape(batch)[()]
