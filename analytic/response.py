"""The user's best response to a commitment, with a stated answer to every tie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from stackroute.analytic.game import BoolArray, Commitment, FloatArray, Game

TieBreaking = Literal["strong", "pessimistic"]
"""How an indifferent user chooses: for the provider ("strong", as in a strong Stackelberg equilibrium) or
against it ("pessimistic")."""

_ROUNDING = 8 * np.finfo(np.float64).eps


def best_response(game: Game, commitment: Commitment, tie_breaking: TieBreaking = "strong") -> FloatArray:
    """The patience that maximises the user's utility (Mahmood 2026, Theorems 1 and 2).

    From model 2 the user stays exactly when xi2 > 0. From model 1 it stays when both xi are positive and leaves
    when both are negative; with xi1 < 0 < xi2 it stays exactly when s >= s0; with xi1 > 0 > xi2 it stays for
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

    Example:
        >>> from stackroute.analytic import Commitment, Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> best_response(game, Commitment(model=1, cascade=[0.2, 0.4]))
        array([0., 1.])
    """
    if tie_breaking not in get_args(TieBreaking):
        allowed = " or ".join(map(repr, get_args(TieBreaking)))
        raise ValueError(f"tie_breaking: {tie_breaking!r} is not allowed; expected {allowed}")
    patience, anything, ends = _maximiser(game, commitment, game.with_delay(commitment.delay))
    if not (anything.any() or ends.any()):
        return patience[()]
    sign = -1.0 if tie_breaking == "strong" else 1.0
    preferred, indifferent, between_ends = _maximiser(game, commitment, sign * game.net_cost)
    preferred = np.where(indifferent | between_ends, 1.0, preferred)
    gain = sign * _gain_of_staying(game, commitment, game.net_cost)
    preferred_end = np.where(gain >= 0, 1.0, 0.0)
    return np.where(anything, preferred, np.where(ends, preferred_end, patience))[()]


def _gain_of_staying(game: Game, commitment: Commitment, per_pass: FloatArray) -> FloatArray:
    """A positive multiple of (payoff at r = 1) - (payoff at r = 0), for a payoff linear in the passes."""
    x1, x2 = per_pass[..., 0], per_pass[..., 1]
    s, p2 = commitment.cascade, game.success[..., 1]
    return np.where(commitment.model == 1, x1 * (1 - s) + x2 * s / p2, x2)


def _maximiser(game: Game, commitment: Commitment, per_pass: FloatArray) -> tuple[FloatArray, BoolArray, BoolArray]:
    """The patience that maximises x1 N1 + x2 N2, and where it is not unique.

    Returns:
        The maximiser; whether every patience attains the maximum; whether exactly r = 0 and r = 1 do.
    """
    x1, x2 = per_pass[..., 0], per_pass[..., 1]
    p1, p2, s = game.success[..., 0], game.success[..., 1], commitment.cascade
    from_standard = commitment.model == 1

    # What counts of each model: a start on model 2 never sees model 1, and with s = 0 (s = 1) a re-prompt never
    # (always) moves on.
    x1_counts = np.where(from_standard, np.sign(x1 * (1 - s)), 0.0)
    x2_counts = np.where(from_standard, np.sign(x2 * s), np.sign(x2))
    anything = (x1_counts == 0) & (x2_counts == 0)

    gain = _gain_of_staying(game, commitment, per_pass)
    # Not |x1| (1 - s): the rounding of s itself moves the gain by its share of |x1|.
    scale = np.abs(x1) + np.abs(x2) * s / p2
    convex = (x1_counts < 0) & (x2_counts > 0)
    ends = convex & (np.abs(gain) <= _ROUNDING * scale)
    stays = (x1_counts >= 0) & (x2_counts >= 0)

    patience = np.where(stays | (convex & (gain > 0)), 1.0, 0.0)
    concave = (x1_counts > 0) & (x2_counts < 0)
    if concave.any():
        patience = np.where(concave, _interior(x1, x2, p1, p2, s), patience)
    return patience, anything, ends


def _interior(x1: FloatArray, x2: FloatArray, p1: FloatArray, p2: FloatArray, s: FloatArray) -> FloatArray:
    """The maximiser for x1 > 0 > x2, where the payoff has one peak (Mahmood 2026, Theorem 2).

    The derivative has the sign of f(r) = m (1 - b r)^2 - n (1 - al b r^2) with al = a (1 - s), m = al x1 and
    n = -a s x2; its root is taken in the form that does not cancel, 2C / (-B + sqrt(B^2 - 4 A C)).
    """
    a, b = 1 - p1, 1 - p2
    al = a * (1 - s)
    # The clips only silence entries outside x1 > 0 > x2, which the caller discards.
    m, n = np.maximum(al * x1, 0.0), np.maximum(-a * s * x2, 0.0)
    one_minus_al_b = p2 + b * (p1 + s * (1 - p1))
    at_one = m * p2**2 - n * one_minus_al_b
    # As above, a in place of al: s is rounded.
    stays = at_one >= -_ROUNDING * (a * np.maximum(x1, 0.0) * p2**2 + n * one_minus_al_b)
    root_of_discriminant = np.sqrt(np.maximum(n * b * (m * b - al * (m - n)), 0.0))
    denominator = m * b + root_of_discriminant
    root = (m - n) / np.where(denominator > 0, denominator, 1.0)
    return np.where(stays, 1.0, np.clip(root, 0.0, 1.0))
