"""What changes if later passes succeed more or less often than the first (beyond the paper).

The paper's attempts are independent. Real second attempts are not: they succeed more often where the model sees why it
failed, and less often where only hard tasks are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.analytic import Commitment, Game, best_response, provider_cost
from stackroute.training.market.market import ANNOUNCED, CASCADE, REASONING, STANDARD

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.8)
"""Success of a later pass relative to that of the first; between these lie the benchmarks that we know of."""

_CASCADES = np.linspace(0.0, 1.0, 51)
_MOST = 0.999
_SAME = 1e-9


class Best(NamedTuple):
    """The best route, an index of `ROUTES`, the cascade probability, if the user re-prompts, and the cost of a task."""

    route: int
    cascade: float
    stays: bool
    cost: float


def routes(game: Game, ratios: npt.ArrayLike = RATIOS) -> list[Best]:
    """The provider's best route without delays in a game where later passes succeed more or less often.

    A game of four models, of which two serve first passes and two the later ones; the best of 51 cascade
    probabilities and of a start on the reasoning model, each against the user's exact best response.

    The ratios, shape (k,), or (k, 2) with one for each model, are of the success of later passes to that of first
    passes, which is the game's; a success is cut off at 0.999.
    """
    first, s = game.success, _CASCADES
    asked = np.asarray(ratios, dtype=np.float64)
    later = np.minimum(first * (asked if asked.ndim == 2 else asked[:, None]), _MOST)
    both = np.concatenate([np.broadcast_to(first, later.shape), later], axis=1)
    cost, latency = np.tile(game.cost, 2), np.tile(game.latency, 2)
    four = Game(both[:, None], cost, latency, game.value, game.churn_penalty)
    two = Commitment.cascade([0] * len(s) + [1], np.append(s, 0.0))
    # From the two models of first passes and from those of later ones alike, to those of later ones.
    moves = np.concatenate([np.zeros_like(two.transition), two.transition], axis=-1)
    commitment = Commitment(np.pad(two.start, ((0, 0), (0, 2))), np.concatenate([moves, moves], axis=-2))
    patience = best_response(four, commitment)
    paid = provider_cost(four, commitment, patience)
    return [_best(one, answer) for one, answer in zip(paid, patience, strict=True)]


def _best(cost: FloatArray, patience: FloatArray) -> Best:
    # Where no re-prompt is made several commitments cost the same: a model alone counts before a threat.
    last = len(_CASCADES)
    same = np.flatnonzero(cost <= cost.min() * (1 + _SAME)).tolist()
    best = next((k for k in (0, last, last - 1) if k in same), same[0])
    route = {0: STANDARD, last: REASONING, last - 1: ANNOUNCED}.get(best, CASCADE)
    cascade = 0.0 if best == last else float(_CASCADES[best])
    return Best(route, cascade, bool(patience[best] > 0), float(cost[best]))
