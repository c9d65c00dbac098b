"""Games at the edges of what is allowed, against the same formulas in exact and in 60-digit arithmetic."""

from __future__ import annotations

import itertools
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from stackroute.analytic import (
    Commitment,
    Game,
    best_response,
    expected_passes,
    misalignment,
    provider_cost,
    solve,
    user_utility,
)

SUCCESSES = [(1e-9, 2e-9), (1e-9, 0.5), (1e-9, 1 - 1e-12), (0.5, 1 - 1e-12), (1 - 2e-12, 1 - 1e-12), (0.3, 0.3 + 1e-12)]
SIZES = [1e-9, 1, 1e9]
COMMITMENTS = [(0, 0), (0, 1e-12), (0, 0.3), (0, 1 - 1e-12), (0, 1), (1, 0)]
PATIENCES = [0, 1e-12, 0.5, 1 - 1e-12, 1]


def extreme_games() -> list[Game]:
    latencies = [(0.0, 1e-9), (0.1, 0.2), (0.5, 1.5), (1e9, 2e9)]
    penalties = [0, 1e-9, 1, 1e9]
    return [
        Game(p, (0.0, size), latency, value, penalty)
        for p, size, latency, value, penalty in itertools.product(SUCCESSES, SIZES, latencies, SIZES, penalties)
    ]


GAMES = extreme_games()


def test_everything_is_finite() -> None:
    for game in GAMES[::2]:
        for throttling, tie in itertools.product((False, True), ("strong", "pessimistic")):
            found = solve(game, throttling=throttling, tie_breaking=tie)
            for number in (
                found.patience,
                found.provider_cost,
                found.user_utility,
                found.commitment.cascade_probability[..., 0],
            ):
                assert np.isfinite(number)
            assert np.isfinite(found.commitment.delay).all()
            assert 0 <= found.patience <= 1
            assert found.provider_cost >= 0
        assert np.isfinite(misalignment(game).gap)


def exact_passes(success: tuple, model: int, s: Fraction, r: Fraction) -> tuple[Fraction, Fraction]:
    a, b = (1 - p for p in success)
    if model == 1:
        return Fraction(0), 1 / (1 - b * r)
    first = 1 / (1 - a * r * (1 - s))
    return first, first * a * r * s / (1 - b * r)


@pytest.mark.parametrize("success", SUCCESSES)
def test_payoffs_equal_exact_arithmetic(success: tuple[float, float]) -> None:
    game = Game(success, (0.25, 1.5), (0.125, 3), value=2.5, churn_penalty=7)
    p = tuple(map(Fraction, success))
    for (model, s), r in itertools.product(COMMITMENTS, PATIENCES):
        n1, n2 = exact_passes(p, model, Fraction(s), Fraction(r))
        passes = expected_passes(game, Commitment.cascade(model, s), r)
        np.testing.assert_allclose(passes, [float(n1), float(n2)], rtol=1e-14)
        service = Fraction(0.25) * n1 + Fraction(1.5) * n2
        cost = service + 7 * (1 - p[0] * n1 - p[1] * n2)
        np.testing.assert_allclose(provider_cost(game, Commitment.cascade(model, s), r), float(cost), rtol=1e-13)
        gained, waited = Fraction(2.5) * (p[0] * n1 + p[1] * n2), Fraction(0.125) * n1 + 3 * n2
        error = user_utility(game, Commitment.cascade(model, s), r) - float(gained - waited)
        assert abs(error) <= 1e-14 * float(gained + waited)


def exact_least_cost(game: Game) -> Decimal:
    """Theorems 3 to 5 of the paper in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        (p1, p2), (c1, c2), (t1, t2) = (map(Decimal, a.tolist()) for a in (game.success, game.cost, game.latency))
        value, penalty = Decimal(float(game.value)), Decimal(float(game.churn_penalty))
        a, b = 1 - p1, 1 - p2
        # A difference within rounding of V p and t counts as zero in the package.
        zero = game.net_value == 0
        xi1, xi2 = 0 if zero[0] else value * p1 - t1, 0 if zero[1] else value * p2 - t2

        def cascade(s: Decimal) -> Decimal:
            return (c1 + c2 * a * s / p2) / (p1 + a * s)

        leave = [c1 + penalty * a, c2 + penalty * b]
        if xi1 >= 0 and xi2 >= 0:
            stay = [c1 / p1, c2 / p2]
            return min(stay + [j for xi, j in ((xi1, leave[0]), (xi2, leave[1])) if xi == 0])
        if xi1 <= 0 and xi2 <= 0:
            return min(leave + [k for xi, k in ((xi1, c1 / p1), (xi2, c2 / p2)) if xi == 0])
        if xi1 < 0:
            return min(leave[0], cascade(-xi1 / (xi2 / p2 - xi1)), cascade(Decimal(1)), c2 / p2)
        square, linear, constant = a * b * xi2, xi2 * (1 - a * b) - xi1 * p2**2, xi1 * p2**2
        root = (-linear - (linear**2 - 4 * square * constant).sqrt()) / (2 * square)
        return min(c1 / p1, cascade(root), *leave)


def test_least_cost_equals_60_digit_arithmetic() -> None:
    worst = max(
        abs(float(Decimal(float(solve(game).provider_cost)) / exact_least_cost(game)) - 1)
        for game in GAMES
        if exact_least_cost(game) > 0
    )
    assert worst < 1e-9


def test_user_never_prefers_another_patience_in_exact_arithmetic() -> None:
    rng = np.random.default_rng(3)
    for game in GAMES[::7]:
        model, s = COMMITMENTS[rng.integers(len(COMMITMENTS))]
        r = best_response(game, Commitment.cascade(model, s))
        p = tuple(map(Fraction, game.success.tolist()))
        xi = [Fraction(x) for x in game.net_value.tolist()]
        utility, scale = {}, 0.0
        for patience in [float(r), *PATIENCES]:
            passes = exact_passes(p, model, Fraction(s), Fraction(patience))
            utility[patience] = float(sum(x * n for x, n in zip(xi, passes, strict=True)))
            scale = max(scale, float(sum(abs(x) * n for x, n in zip(xi, passes, strict=True))))
        assert utility[float(r)] >= max(utility.values()) - 1e-13 * scale
