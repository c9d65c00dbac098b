"""What changes if later passes succeed more or less often than the first (beyond the paper).

The paper's attempts are independent. Real second attempts are not: they succeed more often where the model sees why it
failed, and less often where only hard tasks are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.analytic import ChainGame, MarkovCommitment, chain_best_response, chain_provider_cost
from stackroute.training.market.market import ANNOUNCED, CASCADE, REASONING, STANDARD

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.8)
"""Success of a later pass relative to that of the first; between these lie the benchmarks that we know of."""

_CASCADES = np.linspace(0.0, 1.0, 51)
_MOST = 0.999
_SAME = 1e-9


class Best(NamedTuple):
    """The provider's best route.

    Attributes:
        route: An index of `stackroute.training.market.market.ROUTES`.
        cascade: The cascade probability, on a grid of 51.
        stays: Whether the user re-prompts.
        cost: The provider's cost of a task, money.
    """

    route: int
    cascade: float
    stays: bool
    cost: float


def routes(game: Game, ratios: npt.ArrayLike = RATIOS) -> list[Best]:
    """The provider's best route without delays where later passes succeed more or less often.

    A chain of four models, of which two serve first passes and two the later ones; the best of 51 cascade
    probabilities and of a start on model 1, each against the user's exact best response.

    Args:
        game: A single game; its success is that of first passes.
        ratios: Success of later passes relative to it, shape (k,), or (k, 2) with a ratio for each model; a success is
            cut off at 0.999.

    Returns:
        For each ratio.
    """
    first, s = game.success, _CASCADES
    asked = np.asarray(ratios, dtype=np.float64)
    later = np.minimum(first * (asked if asked.ndim == 2 else asked[:, None]), _MOST)
    both = np.concatenate([np.broadcast_to(first, later.shape), later], axis=1)
    cost, latency = np.tile(game.cost, 2), np.tile(game.latency, 2)
    chain = ChainGame(both[:, None], cost, latency, game.value, game.churn_penalty)
    start = np.eye(4)[[0] * len(s) + [1]]
    commitment = MarkovCommitment(start, _transitions(np.append(s, 0.0)))
    patience = chain_best_response(chain, commitment)
    paid = chain_provider_cost(chain, commitment, patience)
    return [_best(one, answer) for one, answer in zip(paid, patience, strict=True)]


def _transitions(cascade: FloatArray) -> FloatArray:
    transition = np.zeros((len(cascade), 4, 4))
    # The two models on a first pass, then on later ones.
    for row in (0, 2):
        transition[:, row, 2], transition[:, row, 3] = 1 - cascade, cascade
    for row in (1, 3):
        transition[:, row, 3] = 1
    return transition


def _best(cost: FloatArray, patience: FloatArray) -> Best:
    # Where no re-prompt is made several commitments cost the same: a model alone counts before a threat.
    last = len(_CASCADES)
    same = np.flatnonzero(cost <= cost.min() * (1 + _SAME)).tolist()
    best = next((k for k in (0, last, last - 1) if k in same), same[0])
    route = {0: STANDARD, last: REASONING, last - 1: ANNOUNCED}.get(best, CASCADE)
    cascade = 0.0 if best == last else float(_CASCADES[best])
    return Best(route, cascade, bool(patience[best] > 0), float(cost[best]))
