"""The user's best response to any chain over any number of models, numerically (beyond the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import kernels
from stackroute.analytic.kernels import ROUNDING

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray

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

    Attributes:
        start: Shape (B, n).
        transition: Shape (B, n, n).
        success: Shape (B, n).
        payoff: The payoff x of a pass, shape (B, n).
    """

    start: FloatArray
    transition: FloatArray
    success: FloatArray
    payoff: FloatArray

    def __getitem__(self, tasks: slice | BoolArray) -> _Total:
        return _Total(self.start[tasks], self.transition[tasks], self.success[tasks], self.payoff[tasks])

    def at(self, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """U(r) - U(0), its rounding error, dU/dr and its rounding error, of shape (B, k) for q (B, k) or (1, k)."""
        models = self.success.shape[-1]
        chain = (self.start[:, None], self.transition[:, None], self.success[:, None], self.payoff[:, None])
        result: tuple[FloatArray, ...] = kernels.gain_and_slope(*chain, q, np.empty((models + 5, models)))
        gain, gain_rounding, slope, slope_rounding = result
        return gain, gain_rounding, slope, slope_rounding


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
    halvings = int(np.clip(np.ceil(np.log2(1.0 - worst) - np.log2(worst)), 0, 53))
    edges = np.r_[0.0, 0.5 ** np.arange(halvings, -1, -1)]
    nodes = (edges[1:, None] + edges[:-1, None]) / 2 + (edges[1:, None] - edges[:-1, None]) / 2 * _NODES
    _, _, slope, rounding = total.at(np.r_[0.0, nodes.ravel(), 1.0][None])
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

    gain, rounding, _, _ = total.at(points)
    gain = np.where(peaks, gain, -np.inf)
    best = gain.argmax(axis=-1)[:, None]
    gap = np.take_along_axis(gain, best, axis=-1) - gain
    return points, gap <= np.maximum(rounding, np.take_along_axis(rounding, best, axis=-1)), flat


def _respond(utility: _Total, cost: _Total) -> FloatArray:
    """The user's patience, shape (B,); where it is indifferent, the one with the greatest `cost`."""
    points, best, flat = _maximisers(utility)
    chosen = np.where(best, cost.at(points)[0], -np.inf).argmax(axis=-1)
    q: FloatArray = points[np.arange(len(points)), chosen]
    if flat.any():
        points, best, _ = _maximisers(cost[flat])
        q[flat] = points[np.arange(len(points)), best.argmax(axis=-1)]
    return 1.0 - q


def general_response(
    start: FloatArray,
    transition: FloatArray,
    success: FloatArray,
    net_value: FloatArray,
    preference: FloatArray,
    which: BoolArray | None = None,
) -> FloatArray:
    """The patience that maximises net_value . N(r), see `stackroute.analytic.best_response`.

    Args:
        start: Start distribution, shape (..., n).
        transition: Chain of the re-prompts, shape (..., n, n).
        success: Success probabilities, shape (..., n).
        net_value: The user's payoff of a pass, shape (..., n).
        preference: A user that is indifferent maximises preference . N(r), shape (..., n).
        which: The games that are to be answered, of the batch shape; the others get NaN.

    Returns:
        The patience, of the batch shape.
    """
    vectors = (start, success, net_value, preference)
    batch = np.broadcast_shapes(transition.shape[:-2], *(array.shape[:-1] for array in vectors))
    chosen = np.ones(batch, dtype=np.bool_) if which is None else np.asarray(which)
    start, success, net_value, preference = (
        np.broadcast_to(array, (*batch, array.shape[-1]))[chosen] for array in vectors
    )
    transition = np.broadcast_to(transition, (*batch, *transition.shape[-2:]))[chosen]
    utility, cost = (_Total(start, transition, success, payoff) for payoff in (net_value, preference))
    blocks = [slice(first, first + BLOCK) for first in range(0, len(start), BLOCK)]
    patience = np.full(batch, np.nan)
    if blocks:
        patience[chosen] = np.concatenate([_respond(utility[block], cost[block]) for block in blocks])
    return patience[()]
