"""The user that sees which model served its failed pass: its patience, both payoffs and the provider's optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import formulas
from stackroute.analytic.game import MODELS, Commitment, InvalidGameError, probability
from stackroute.analytic.kernel import TIE
from stackroute.analytic.response import tie_sign

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, Game
    from stackroute.analytic.response import TieBreaking


@dataclass(frozen=True, eq=False)
class InformedEquilibrium:
    """A Stackelberg equilibrium of each game against a user that sees which model served (beyond the paper).

    Attributes:
        commitment: The provider's optimal commitment, shape (...).
        patience: The user's probability to re-prompt after a failure on each model, 0 or 1, shape (..., 2).
        provider_cost: The provider's expected cost of a task, money, shape (...).
        user_utility: The user's expected utility of a task, shape (...).
    """

    commitment: Commitment
    patience: FloatArray
    provider_cost: FloatArray
    user_utility: FloatArray


def _after_standard(game: Game, s: FloatArray, payoff: FloatArray, stays_on_reasoning: BoolArray) -> FloatArray:
    """A positive multiple of what a re-prompt after a failure on model 1 gains, exactly 0 within rounding.

    With W2 = x2 / p2 for a user that stays on model 2 and x2 for one that leaves it, re-prompting after every failure
    on model 1 gains G = s W2 + (1 - s)(x1 + a G), so that G has the sign of (1 - s) x1 + s W2.
    """
    x1, x2 = payoff[..., 0], payoff[..., 1]
    moved_on = s * x2 / np.where(stays_on_reasoning, game.success[..., 1], 1.0)
    gain = (1.0 - s) * x1 + moved_on
    # Not |x1| (1 - s): the rounding of s itself moves the gain by its share of |x1|.
    rounding = formulas.ROUNDING * (np.abs(x1) * (s < 1.0) + np.abs(moved_on))
    certain: FloatArray = gain * (np.abs(gain) > rounding)
    return certain


def informed_response(game: Game, commitment: Commitment, tie_breaking: TieBreaking = "strong") -> FloatArray:
    """The best response of a user that sees which model served its failed pass (beyond the paper).

    Its patience may depend on the model, which makes its task an optimal stopping problem. After a failure on model 2
    it stays exactly when xi2 > 0. With W2 = xi2 / p2 if it stays there and xi2 if not, it stays after a failure on
    model 1 exactly when (1 - s) xi1 + s W2 > 0. A user that is indifferent within rounding after a failure chooses the
    answer that is best (`"strong"`) or worst (`"pessimistic"`) for the provider, and re-prompts if the provider does
    not care either. Ties on both models are resolved from model 2 backwards: whatever happens on model 1, the
    provider's cost is least when what follows on model 2 costs least.

    An answer after a failure that never happens is that of a task which gets there all the same: model 1 after a start
    on model 2; model 2 after a start on model 1 with s = 0 or with a user that leaves.

    Args:
        game: One game or a batch; the paper's orders are not needed.
        commitment: One commitment or a batch; its delays lower the net values.
        tie_breaking: For (`"strong"`) or against (`"pessimistic"`) the provider.

    Returns:
        The probability to re-prompt after a failure on model 1 and on model 2, 0 or 1, shape (..., 2).

    Raises:
        ValueError: The tie-breaking is neither of the two.

    Examples:
        >>> from stackroute.analytic import Commitment, Game
        >>> game = Game([0.22, 0.7], [0.09, 0.11], [0.04, 0.51], value=0.64, churn_penalty=4.83)
        >>> informed_response(game, Commitment(model=1, cascade=[0.5, 0.7]))
        array([[1., 0.],
               [0., 0.]])
    """
    sign, s = tie_sign(tie_breaking), commitment.cascade
    xi, eta = game.with_delay(commitment.delay), sign * game.net_cost
    on_reasoning = np.where(xi[..., 1] == 0.0, eta[..., 1] >= 0.0, xi[..., 1] > 0.0)
    user, provider = (_after_standard(game, s, payoff, on_reasoning) for payoff in (xi, eta))
    on_standard = np.where(user == 0.0, provider >= 0.0, user > 0.0)
    return np.stack(np.broadcast_arrays(on_standard, on_reasoning), axis=-1).astype(np.float64)


def _per_model_patience(patience: npt.ArrayLike) -> FloatArray:
    r = probability("patience", patience)
    if r.ndim == 0 or r.shape[-1] != MODELS:
        raise InvalidGameError("patience", f"shape {r.shape}", f"shape (..., {MODELS}): models on the last axis")
    return r


def informed_passes(game: Game, commitment: Commitment, patience: npt.ArrayLike) -> FloatArray:
    """The expected passes of one task on each model for a patience that depends on the model (beyond the paper).

    From model 2: N1 = 0, N2 = 1 / (1 - b r2). From model 1: N1 = 1 / (1 - a r1 (1 - s)) and
    N2 = N1 a r1 s / (1 - b r2), with a = 1 - p1, b = 1 - p2. For r1 = r2 these are those of `expected_passes`.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch that broadcasts against the games.
        patience: Probability r_k of re-prompting after a failed pass on model k, in [0, 1], shape (..., 2).

    Returns:
        N, shape (..., 2).

    Raises:
        InvalidGameError: A patience lies outside [0, 1], or the last axis does not hold one for each model.

    Examples:
        >>> from stackroute.analytic import Commitment, Game
        >>> game = Game([0.5, 0.8], [0.2, 0.6], [0.1, 0.3], value=2, churn_penalty=3)
        >>> informed_passes(game, Commitment(model=1, cascade=1), patience=[1, 0])
        array([1. , 0.5])
    """
    r = _per_model_patience(patience)
    p1, p2 = game.success[..., 0], game.success[..., 1]
    starts_standard, s = (commitment.model == 1).astype(np.float64), commitment.cascade
    n1, _ = formulas.passes(p1, p2, starts_standard, s, r[..., 0])
    _, visit = formulas.passes(p1, p2, 0.0, s, r[..., 1])
    n2 = (n1 * (1.0 - p1) * r[..., 0] * s + (1.0 - starts_standard)) * visit
    return np.stack(np.broadcast_arrays(n1, n2), axis=-1)


def informed_user_utility(game: Game, commitment: Commitment, patience: npt.ArrayLike) -> FloatArray:
    """The user's expected utility of one task, U = xi1 N1 + xi2 N2 (beyond the paper).

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch; its delays add to the latency.
        patience: Probability of re-prompting after a failed pass on each model, in [0, 1], shape (..., 2).

    Returns:
        U in the unit of value and latency, shape (...).

    Raises:
        InvalidGameError: As for `informed_passes`.
    """
    passes = informed_passes(game, commitment, patience)
    utility: FloatArray = (game.with_delay(commitment.delay) * passes).sum(axis=-1)
    return utility[()]


def informed_provider_cost(game: Game, commitment: Commitment, patience: npt.ArrayLike) -> FloatArray:
    """The provider's expected cost of one task (beyond the paper).

    J = sum over k of N_k (c_k + P (1 - p_k)(1 - r_k)): each failed pass on model k is abandoned with probability
    1 - r_k.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch.
        patience: Probability of re-prompting after a failed pass on each model, in [0, 1], shape (..., 2).

    Returns:
        J in the unit of cost and churn penalty, shape (...).

    Raises:
        InvalidGameError: As for `informed_passes`.
    """
    r = _per_model_patience(patience)
    abandoned = (1.0 - game.success) * (1.0 - r)
    per_pass = game.cost + game.churn_penalty[..., None] * abandoned
    cost: FloatArray = (per_pass * informed_passes(game, commitment, r)).sum(axis=-1)
    return cost[()]


def solve_informed(game: Game) -> InformedEquilibrium:
    """The provider's optimum, without delays, against a user that sees which model served (beyond the paper).

    The user's answer on model 2 does not depend on s, and that on model 1 changes at most once, where
    (1 - s) xi1 + s W2 = 0. On either side J is a Moebius function of s, hence monotone, and at the change the user
    takes the provider's side. So the optimum lies among (1, 0), (2, 0), (1, 1) and the change (1, s). With
    xi1 <= 0 < xi2 the change is s0, and the equilibrium is that of `solve`: a user that sees which model served learns
    nothing it would act on. With xi1 > 0 >= xi2 it is sH, the user leaves after a failure on model 2, and a true
    cascade is never strictly optimal: while the user stays on model 1, J goes monotonically from kappa1 towards
    c1 + (1 - p1) A2, which is below kappa1 only if A2, the cost of (2, 0), is lower still.

    Among commitments of the same least cost the one that is best for the user is returned, then the first in this
    order.

    Args:
        game: One game or a batch; the paper's orders are not needed.

    Returns:
        The equilibrium under strong tie-breaking, of the game's batch shape.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> equilibrium = solve_informed(game)
        >>> equilibrium.commitment.cascade.round(5).item(), equilibrium.patience
        (0.30769, array([1., 1.]))
    """
    xi1, xi2 = game.net_value[..., 0], game.net_value[..., 1]
    against, moved_on = np.abs(xi1), np.abs(xi2) / np.where(xi2 > 0.0, game.success[..., 1], 1.0)
    changes = (xi1 > 0.0) != (xi2 > 0.0)
    change = np.divide(against, against + moved_on, where=changes & (against > 0.0), out=np.zeros(game.shape))
    tried = Commitment(
        model=np.stack([np.full(game.shape, model) for model in (1, 2, 1, 1)]),
        cascade=np.stack([np.zeros(game.shape), np.zeros(game.shape), np.ones(game.shape), change]),
    )
    patience = informed_response(game, tried)
    cost = informed_provider_cost(game, tried, patience)
    utility = informed_user_utility(game, tried, patience)

    welcome = np.where(cost <= cost.min(axis=0) * (1.0 + TIE), utility, -np.inf)
    rounding = TIE * (game.value + game.latency.sum(axis=-1))
    at = (welcome >= welcome.max(axis=0) - rounding).argmax(axis=0)[None]

    def chosen(array: npt.NDArray[Any]) -> Any:
        return np.take_along_axis(array, at, axis=0)[0]

    return InformedEquilibrium(
        commitment=Commitment(chosen(tried.model), chosen(tried.cascade)),
        patience=np.take_along_axis(patience, at[..., None], axis=0)[0],
        provider_cost=chosen(cost),
        user_utility=chosen(utility),
    )
