"""The user's best response to a commitment, with a stated answer to every tie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from stackroute.analytic.kernel import in_chunks, respond_many

if TYPE_CHECKING:
    from stackroute.analytic.game import Commitment, FloatArray, Game

TieBreaking = Literal["strong", "pessimistic"]
"""How an indifferent user chooses: for the provider ("strong", as in a strong Stackelberg equilibrium) or
against it ("pessimistic")."""


def tie_sign(tie_breaking: TieBreaking) -> float:
    """-1 when an indifferent user minimises the provider's cost, 1 when it maximises it.

    Raises:
        ValueError: The tie-breaking is neither of the two.
    """
    if tie_breaking not in get_args(TieBreaking):
        allowed = " or ".join(map(repr, get_args(TieBreaking)))
        raise ValueError(f"tie_breaking: {tie_breaking!r} is not allowed; expected {allowed}")
    return -1.0 if tie_breaking == "strong" else 1.0


def best_response(game: Game, commitment: Commitment, tie_breaking: TieBreaking = "strong") -> FloatArray:
    """The patience that maximises the user's utility (Mahmood 2026, Theorems 1 and 2).

    From model 2 the user stays exactly when xi2 > 0. From model 1 it stays when both xi are positive and leaves
    when both are negative; with xi1 < 0 < xi2 it stays above s0 and leaves below; with xi1 > 0 > xi2 it stays for
    s <= sL, leaves for s >= sH, and mixes in between. A user that is indifferent within rounding chooses, among
    its best patiences, the one that is best (`"strong"`) or worst (`"pessimistic"`) for the provider, and
    re-prompts if the provider does not care either.

    Args:
        game: One game or a batch; the paper's orders are not needed.
        commitment: One commitment or a batch; its delays lower the net values.
        tie_breaking: For (`"strong"`) or against (`"pessimistic"`) the provider.

    Returns:
        The patience r = 1 - q in [0, 1], shape (...).

    Raises:
        ValueError: The tie-breaking is neither of the two.

    Examples:
        >>> from stackroute.analytic import Commitment, Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> best_response(game, Commitment(model=1, cascade=[0.2, 0.4]))
        array([0., 1.])
    """
    sign = tie_sign(tie_breaking)
    xi, eta = game.with_delay(commitment.delay), game.net_cost
    inputs = [
        *(game.success[..., k] for k in (0, 1)),
        *(xi[..., k] for k in (0, 1)),
        *(eta[..., k] for k in (0, 1)),
        commitment.model,
        commitment.cascade,
    ]
    patience: FloatArray = in_chunks(respond_many, inputs, (sign,), [np.float64])[0]
    return patience
