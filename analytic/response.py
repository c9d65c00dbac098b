"""The user's best response to a commitment, with a stated answer to every tie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from stackroute.analytic import kernels
from stackroute.analytic.general_response import general_response
from stackroute.analytic.payoffs import check_same_models

if TYPE_CHECKING:
    from stackroute.analytic.commitment import Commitment
    from stackroute.analytic.game import FloatArray, Game

TieBreaking = Literal["strong", "pessimistic"]
"""How an indifferent user chooses: for the provider ("strong", as in a strong Stackelberg equilibrium) or
against it ("pessimistic")."""


def tie_sign(tie_breaking: TieBreaking) -> float:
    """-1 when an indifferent user minimises the provider's cost, 1 when it maximises it; checks the value."""
    if tie_breaking not in get_args(TieBreaking):
        allowed = " or ".join(map(repr, get_args(TieBreaking)))
        raise ValueError(f"tie_breaking: {tie_breaking!r} is not allowed; expected {allowed}")
    return -1.0 if tie_breaking == "strong" else 1.0


def best_response(game: Game, commitment: Commitment, tie_breaking: TieBreaking = "strong") -> FloatArray:
    """The patience that maximises the user's utility (Mahmood 2026, Theorems 1 and 2; other chains beyond the paper).

    Cascades of two models: from the second the user stays exactly when xi2 > 0. From the first it stays when both xi
    are positive and leaves when both are negative; with xi1 < 0 < xi2 it stays above s0 and leaves below; with
    xi1 > 0 > xi2 it stays for s <= sL, leaves for s >= sH, and mixes in between. Where every re-prompt is served by the
    same lottery z, as with one model, it stays exactly when z . xi > 0. These are closed forms.

    Any other chain: U(r) = xi . N(r) is rational in r and may have several peaks. All its stationary points are found,
    as the roots of Chebyshev series of U', and compared with r = 0 and r = 1. An interior patience is found to about
    1e-11 where U has a clear peak; where U is flat within the rounding of its terms, any patience there may be
    returned. Cost: about 0.1 ms a game for two models, 0.4 ms for six and 1 ms for ten if all p >= 0.03; it grows with
    log(1 / p) of the smallest p among 128 games.

    A user that is indifferent within rounding chooses, among its best patiences, the one that is best (`"strong"`) or
    worst (`"pessimistic"`) for the provider, and re-prompts if the provider does not care either.

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
        >>> from stackroute.analytic import Commitment, Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> best_response(game, Commitment.cascade(0, [0.2, 0.4]))
        array([0., 1.])
        >>> three = Game([0.3, 0.5, 0.8], [0.1, 0.2, 0.8], [0.1, 0.7, 0.7], value=1.1, churn_penalty=5)
        >>> in_turn, skipping = [[0, 1, 0], [0, 0, 1], [0, 0, 1]], [[0, 0, 1], [0, 0, 1], [0, 0, 1]]
        >>> best_response(three, Commitment([1, 0, 0], [in_turn, skipping]))
        array([0., 1.])
    """
    sign = tie_sign(tie_breaking)
    check_same_models(game, commitment)
    net_value, net_cost = game.with_delay(commitment.delay), game.net_cost
    chain = (commitment.start, commitment.transition, game.success, net_value)
    patience: FloatArray = kernels.response(*chain, net_cost, sign)
    others = np.isnan(patience)
    if others.any():
        patience = np.where(others, general_response(*chain, sign * net_cost, others), patience)[()]
    return patience
