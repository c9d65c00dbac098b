"""How the literature compares routers: by the quality and the cost of single answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import ConvexHull, QhullError

if TYPE_CHECKING:
    from stackroute.agents.routers import Prediction, Router
    from stackroute.analytic.game import FloatArray

KNOBS = np.linspace(0.0, 1.0, 21)
"""At which routers are compared."""


class SingleAnswers(NamedTuple):
    """Single answers of a router over `KNOBS`, and what the literature reads off them.

    Attributes:
        cost: Mean cost of an answer at each knob, money, shape (K,).
        quality: Mean success at each knob, shape (K,).
        strong_share: The share of tasks that the best single model answers at each knob, shape (K,).
        improvement: Average improvement in quality, AIQ (Hu et al. 2024, arXiv:2403.12031): the mean quality of the
            upper convex hull between the cost of the cheapest and the dearest single model.
        relative_cost: Query-normalised cost, QNC (Jitkrittum et al. 2025, arXiv:2502.08773): the least cost at which
            the quality is that of the best single model, as a share of that model's; NaN where it is not reached.
        deferral_area: The area under the deferral curve (ibid.): as `improvement`, of the curve without its hull.
        knob: The knob of the least cost whose quality is that of the best single model; else of the best quality.
    """

    cost: FloatArray
    quality: FloatArray
    strong_share: FloatArray
    improvement: float
    relative_cost: float
    deferral_area: float
    knob: float


def single_answers(router: Router, features: FloatArray, truth: Prediction) -> SingleAnswers:
    """Compare a router's single answers with those of single models.

    Args:
        router: The router, fitted.
        features: Those of the tasks, shape (N, F).
        truth: What each model does on each of them.
    """
    rows = np.stack([router.route(features, float(knob)) for knob in KNOBS])
    cost, quality = ((rows * array).sum(axis=-1).mean(axis=-1) for array in (truth.cost, truth.success))
    model_cost, model_quality = truth.cost.mean(axis=0), truth.success.mean(axis=0)
    cheapest, best = int(np.lexsort((-model_quality, model_cost))[0]), int(np.lexsort((model_cost, -model_quality))[0])
    low, high = float(model_cost.min()), float(model_cost.max())
    order = np.lexsort((quality, cost))
    # The cheapest model can always serve alone, and more money never hurts.
    points = np.array([[model_cost[cheapest], model_quality[cheapest]], *np.c_[cost, quality][order]])
    reaching = quality >= model_quality[best]
    at = int(np.where(reaching, cost, np.inf).argmin()) if reaching.any() else int(quality.argmax())
    return SingleAnswers(
        cost,
        quality,
        rows[:, :, best].mean(axis=-1),
        _mean_over(_upper_hull(points), low, high),
        float(cost[at] / model_cost[best]) if reaching.any() and model_cost[best] > 0.0 else float("nan"),
        _mean_over(points, low, high),
        float(KNOBS[at]),
    )


def _upper_hull(points: FloatArray) -> FloatArray:
    """The corners of the upper convex hull of points of cost and quality, by cost."""
    ends = np.array([[points[:, 0].max() + 1.0, points[:, 1].max()], [points[:, 0].min(), points[:, 1].min() - 1.0]])
    around = np.concatenate([points, ends, [[ends[0, 0], ends[1, 1]]]])
    try:
        corners = np.sort(ConvexHull(around).vertices)
    except QhullError:
        return points
    return points[[k for k in corners if k < len(points)]]


def _mean_over(points: FloatArray, low: float, high: float) -> float:
    """The mean over costs of the best quality so far, interpolated between points by cost."""
    best = np.maximum.accumulate(points[:, 1])
    if high <= low:
        return float(best[-1])
    grid = np.union1d(np.linspace(low, high, 1001), np.clip(points[:, 0], low, high))
    return float(np.trapezoid(np.interp(grid, points[:, 0], best), grid) / (high - low))
