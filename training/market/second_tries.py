"""Attempts that are not independent: second tries that succeed more or less often, and tasks of hidden difficulty.

The paper's attempts are independent. Real second attempts are not (beyond the paper): they succeed more often where the
model sees why it failed, and less often where only hard tasks are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

from stackroute.analytic import (
    Commitment,
    Game,
    Traffic,
    TrafficEquilibrium,
    counting_response,
    solve,
    solve_traffic,
    solved_share,
)
from stackroute.analytic.ladders import MOST_MODELS
from stackroute.training.market.alternatives import never_needed

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray

CORRELATION = 0.5
"""Of attempts at a task: then a retry succeeds half as often as a first attempt."""

MEASURED_RATIOS = (0.1, 0.6)
"""Between these a retry succeeds as often as a first attempt, by the model, in the outcomes of METR and EvalPerf."""

HORIZON = 12
_MOST = 0.999
_TIE = 1e-12
_TYPES = 24
_CERTAIN = 1e-9


class Retried(NamedTuple):
    """The optimum where later passes differ from first ones, of shape (k,).

    Attributes:
        start: The model of the first answer, as shares, shape (k, n).
        lottery: By whom retries are served, shape (k, n).
        stays: Whether users re-prompt.
        provider_cost: The provider's expected cost of a task, money.
    """

    start: FloatArray
    lottery: FloatArray
    stays: BoolArray
    provider_cost: FloatArray


def retries_differ(game: Game, ratio: npt.ArrayLike) -> Retried:
    """The optimum over all commitments where every later pass succeeds in a ratio to the first one (beyond the paper).

    After the first failure the game is one in itself, whose optimum continues at a cost K: `solve` gives
    J' = c_f + (1 - p'_f) K for the later successes p' and the model f that would start it. The first answer is then by
    the model i with the least c_i + (1 - p_i) K. A task that has failed twice is as hard as one that has failed once.

    Args:
        game: One game; its successes are of first passes.
        ratio: Of the success of later passes to that of the first, shape (k, 1) or (k, n) by model; a success is cut
            off at 0.999.
    """
    p, c = game.success, game.cost
    later = np.minimum(p * np.asarray(ratio, dtype=np.float64), _MOST)
    best = solve(game.broadcast_to(later.shape[:1]).with_valid(success=later), "free")
    one, starts = best.commitment, best.commitment.first_model[:, None]
    missed = 1.0 - np.take_along_axis(later, starts, axis=1)[:, 0]
    after = (best.provider_cost - c[starts[:, 0]]) / missed
    by_start = c + (1.0 - p) * after[:, None]
    least = by_start.min(axis=1)
    # Of models that cost the same, the one that users like best.
    near = by_start <= least[:, None] + _TIE * np.abs(by_start).max(axis=1, keepdims=True)
    gained = (best.user_utility - (game.value * later - game.latency)[np.arange(len(later)), starts[:, 0]]) / missed
    utility = game.net_value + (1.0 - p) * gained[:, None]
    first = np.where(near, utility, -np.inf).argmax(axis=1)
    moves = one.transition[np.arange(len(later)), starts[:, 0]]
    start = (np.arange(game.models) == first[:, None]).astype(np.float64)
    return Retried(start, moves, best.patience > 0.0, least)


@dataclass(frozen=True, eq=False)
class Correlated:
    """The optimum where tasks differ in a difficulty that nobody sees.

    Attributes:
        models: Which models were looked at, at most 4.
        best: The optimum.
        abandoned: The share of tasks that is abandoned there.
        cost_of_independent: What the answer for independent attempts would then cost, money.
        abandoned_by_independent: The share of tasks that would be abandoned.
    """

    models: tuple[int, ...]
    best: TrafficEquilibrium
    abandoned: float
    cost_of_independent: float
    abandoned_by_independent: float


def correlated(game: Game, commitment: Commitment) -> Correlated:
    """What is best where attempts at a task have a correlation of .5 (beyond the paper).

    The success of a model is distributed over tasks by Beta(p, 1 - p), whose intra-class correlation is 1/2: after j
    failures the next attempt succeeds with probability p / (1 + j). What is hard for one model is hard for all, which
    is the least that escalating can help.

    Args:
        game: One game.
        commitment: The answer for independent attempts.

    Returns:
        The optimum over ladders of up to 12 attempts.
    """
    served = np.flatnonzero(commitment.start + commitment.transition[commitment.first_model])
    useful = np.flatnonzero(~never_needed(game))
    others = useful[np.argsort(game.cost_of_pass[useful], kind="stable")]
    models = tuple(dict.fromkeys([*served.tolist(), *others.tolist()]))[:MOST_MODELS]
    kept = list(models)
    traffic = beta_types(
        game.with_valid(**{name: getattr(game, name)[kept] for name in ("success", "cost", "latency")})
    )
    best = solve_traffic(traffic, HORIZON)
    mine = Commitment(commitment.start[kept], commitment.transition[np.ix_(kept, kept)])
    (stop,), found = counting_response(traffic, mine, HORIZON)
    return Correlated(
        models,
        best,
        1.0 - float(solved_share(traffic, best.policy, HORIZON)[0, best.stop[0] - 1]),
        float(found.provider_cost[0, stop - 1]),
        1.0 - float(solved_share(traffic, mine, HORIZON)[0, stop - 1]),
    )


def beta_types(game: Game, correlation: float = CORRELATION, types: int = _TYPES) -> Traffic:
    """Equally likely types of tasks, in which all models have the same quantile of their successes.

    Args:
        game: One game: the mean successes.
        correlation: The intra-class correlation of attempts at a task, in (0, 1).
        types: How many; each has the mean of a part of the Beta distribution, so that the means over all are exact.
    """
    size = 1.0 / correlation - 1.0
    a, b = size * game.success, size * (1.0 - game.success)
    edges = scipy.special.betaincinv(a, b, np.linspace(0.0, 1.0, types + 1)[:, None])
    success = types * game.success * np.diff(scipy.special.betainc(a + 1.0, b, edges), axis=0)
    return Traffic(
        Game(np.clip(success, _CERTAIN, 1.0 - _CERTAIN), game.cost, game.latency, game.value, game.churn_penalty)
    )
