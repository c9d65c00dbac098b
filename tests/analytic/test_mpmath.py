"""Extreme games against the closed forms in 50 digits, the float64 inputs taken as exact."""

from __future__ import annotations

from dataclasses import dataclass

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from stackroute.analytic import Commitment, Game, Regime, best_response, cascade_thresholds, regime, solve

DIGITS = 50
PER_REGIME = 80
ALLOWED = 1e-9

# Nearer to a switch of regime than this share of its terms, V p - t in float64 does not have the digits asked for; the
# package counts a difference below 2e-15 of them as zero.
CLEAR = 1e-5
# Routes whose costs are as near as this share are one optimum to the package, which then picks the user's favourite.
TIE = 1e-11


def extreme_games(rule: Regime) -> Game:
    """p from 1e-9 to 1 - 1e-12, the rest from 1e-9 to 1e9, in the paper's orders."""
    rng = np.random.default_rng(rule)
    draws = 200_000
    tiny, huge = 10 ** rng.uniform(-9, -0.3, (draws, 2)), 1 - 10 ** rng.uniform(-12, -0.3, (draws, 2))
    p = np.sort(np.where(rng.random((draws, 2)) < 0.5, tiny, huge), axis=1)
    cost = np.sort(10 ** rng.uniform(-9, 9, (draws, 2)), axis=1)
    value, penalty = 10 ** rng.uniform(-9, 9, (2, draws))
    worth = np.where(
        rng.random((draws, 2)) < 0.5, 10 ** rng.uniform(-4, 4, (draws, 2)), rng.uniform(0.5, 1.5, (draws, 2))
    )
    # Half of the costs and penalties of the order of each other: otherwise one term swallows the rest.
    near = rng.random(draws) < 0.5
    cost[near, 0] = cost[near, 1] * rng.uniform(0, 1, near.sum())
    penalty[near] = np.clip(cost[near, 1] / p[near, 1] * rng.lognormal(size=near.sum()), 1e-9, 1e9)
    latency = value[:, None] * p * worth
    usable = (
        (p[:, 0] < p[:, 1])
        & (cost[:, 0] < cost[:, 1])
        & (latency[:, 0] < latency[:, 1])
        & ((latency > 1e-9) & (latency < 1e9) & (np.abs(worth - 1) > CLEAR)).all(axis=1)
    )
    game = Game(p[usable], cost[usable], latency[usable], value[usable], penalty[usable])
    return game[regime(game) == rule][:PER_REGIME]


@dataclass
class Route:
    """What a commitment leads to."""

    cost: mpf
    utility: mpf
    scale: mpf
    patience: int


class Exact:
    """One game in 50 digits."""

    def __init__(self, game: Game) -> None:
        (self.p1, self.p2), (self.c1, self.c2) = (map(mpf, a.tolist()) for a in (game.success, game.cost))
        self.t1, self.t2 = map(mpf, game.latency.tolist())
        self.value, self.penalty = mpf(float(game.value)), mpf(float(game.churn_penalty))
        self.a, self.b = 1 - self.p1, 1 - self.p2
        self.xi1, self.xi2 = self.value * self.p1 - self.t1, self.value * self.p2 - self.t2

    @property
    def s0(self) -> mpf:
        return -self.xi1 / (self.xi2 / self.p2 - self.xi1)

    @property
    def s_low(self) -> mpf:
        square, constant = self.a * self.b * self.xi2, self.xi1 * self.p2**2
        linear = self.xi2 * (1 - self.a * self.b) - self.xi1 * self.p2**2
        return max((-linear + sign * mpmath.sqrt(linear**2 - 4 * square * constant)) / (2 * square) for sign in (-1, 1))

    @property
    def s_high(self) -> mpf:
        return self.xi1 / (self.xi1 - self.xi2)

    def patience(self, s: mpf) -> mpf:
        """Theorem 2 between sL and sH: the root in (0, 1)."""
        al, k = self.a * (1 - s), self.a * s * self.xi2 - self.b * self.xi1
        square, half = -al * self.b * k, -al * self.b * self.xi1
        root = mpmath.sqrt(half**2 - square * (k + self.xi1 * (al + self.b)))
        (inside,) = (r for r in ((-half + root) / square, (-half - root) / square) if 0 < r < 1)
        return inside

    def route(self, start: int, s: mpf, patience: int, delay2: mpf | int = 0) -> Route:
        n1 = mpf(0) if start == 1 else 1 / (1 - self.a * patience * (1 - s))
        n2 = (n1 * self.a * patience * s + (start == 1)) / (1 - self.b * patience)
        solved, waited = self.p1 * n1 + self.p2 * n2, self.t1 * n1 + (self.t2 + delay2) * n2
        cost = self.c1 * n1 + self.c2 * n2 + self.penalty * (1 - solved)
        gained = self.value * solved
        return Route(cost, gained - waited, gained + waited, patience)

    def routes(self, throttling: bool) -> list[Route]:
        """The finite set of Theorems 3 to 5, and what throttling adds to it."""
        zero = mpf(0)
        standard, reasoning = int(self.xi1 > 0), int(self.xi2 > 0)
        found = [self.route(0, zero, standard), self.route(1, zero, reasoning)]
        if standard != reasoning:
            found.append(self.route(0, mpf(1), reasoning))
            found.append(self.route(0, self.s_low if standard else self.s0, 1))
        if throttling and reasoning:
            found.append(self.route(1, zero, 0, delay2=self.xi2))
        if throttling and standard and reasoning:
            found.append(self.route(0, mpf(1), 0))
        return found


@pytest.mark.parametrize("throttling", [False, True])
@pytest.mark.parametrize("rule", list(Regime), ids=lambda rule: rule.name.lower())
def test_solution_has_nine_digits(rule: Regime, throttling: bool) -> None:
    games = extreme_games(rule)
    assert games.shape == (PER_REGIME,)
    found = solve(games, throttling=throttling)
    unique = 0
    with mpmath.workdps(DIGITS):
        for i in range(PER_REGIME):
            routes = sorted(Exact(games[i]).routes(throttling), key=lambda route: route.cost)
            best = routes[0]
            assert abs(mpf(float(found.provider_cost[i])) / best.cost - 1) < ALLOWED
            optimal = [route for route in routes if route.cost <= best.cost * (1 + TIE)]
            utility = mpf(float(found.user_utility[i]))
            assert any(abs(utility - route.utility) < ALLOWED * route.scale for route in optimal)
            if len(optimal) == 1:
                unique += 1
                assert found.patience[i] == best.patience
    assert unique > PER_REGIME / 2


@pytest.mark.parametrize("rule", [Regime.ONLY_REASONING_WORTH, Regime.ONLY_STANDARD_WORTH])
def test_thresholds_have_nine_digits(rule: Regime) -> None:
    games = extreme_games(rule)
    found = cascade_thresholds(games)
    with mpmath.workdps(DIGITS):
        for i in range(PER_REGIME):
            exact = Exact(games[i])
            low, high = (exact.s0,) * 2 if rule == Regime.ONLY_REASONING_WORTH else (exact.s_low, exact.s_high)
            assert abs(mpf(float(found.low[i])) / low - 1) < ALLOWED
            assert abs(mpf(float(found.high[i])) / high - 1) < ALLOWED


def test_interior_patience_has_nine_digits() -> None:
    games = extreme_games(Regime.ONLY_STANDARD_WORTH)
    thresholds = cascade_thresholds(games)
    s = (thresholds.low + thresholds.high) / 2
    found = best_response(games, Commitment.cascade(0, s))
    inside = 0
    with mpmath.workdps(DIGITS):
        for i in range(PER_REGIME):
            exact = Exact(games[i])
            # Where the thresholds are next to each other the patience hangs on the last digits of s.
            if exact.s_high - exact.s_low < CLEAR * exact.s_high:
                continue
            inside += 1
            assert abs(mpf(float(found[i])) - exact.patience(mpf(float(s[i])))) < ALLOWED
    assert inside > 20


@pytest.mark.parametrize("churn_penalty", [1, 1 - 2**-20, 1 + 2**-20])
def test_penalty_at_the_end_of_throttling_of_both(churn_penalty: float) -> None:
    # kappa1 = 1 < kappa2 = 1.5, so throttling pays below P* = 1; at P* itself the user is kept, without delay.
    game = Game([0.25, 0.5], [0.25, 0.75], [0.25, 1], value=4, churn_penalty=churn_penalty)
    found = solve(game, throttling=True)
    assert found.commitment.first_model == 0
    if churn_penalty < 1:
        assert (found.patience, found.user_utility) == (0, 0.75)
        assert found.provider_cost == 0.25 + churn_penalty * 0.75
    else:
        assert (found.patience, found.user_utility, found.provider_cost) == (1, 3, 1)
        assert not found.commitment.delay.any()


def test_penalty_at_the_ends_of_throttling_of_the_reasoning_model() -> None:
    # kappa1 = 2 > kappa2 = 1.5, slope (c2 - c1) / (p2 - p1) = 1: throttling pays for P strictly between 1 and 1.5.
    game = Game([0.25, 0.5], [0.5, 0.75], [1.25, 1.5], value=4, churn_penalty=[1, 1.25, 1.5])
    assert (game.net_value == [-0.25, 0.5]).all()
    free, slow = solve(game), solve(game, throttling=True)
    np.testing.assert_array_equal(slow.provider_cost, [1.25, 1.375, 1.5])
    np.testing.assert_array_equal(slow.provider_cost < free.provider_cost, [False, True, False])
    # At the lower end the costs tie, and the user prefers a slow second model (0) to the first (-0.25).
    np.testing.assert_array_equal(slow.commitment.delay, [[0, 0.5], [0, 0.5], [0, 0]])
    np.testing.assert_array_equal(slow.user_utility[:2], [0, 0])
    assert slow.patience[2] == 1
    assert slow.user_utility[2] == 1


@pytest.mark.parametrize("throttling", [False, True])
def test_solution_of_games_with_a_net_value_of_zero(throttling: bool) -> None:
    # kappa = (0.5, 1) and P = 4: the provider wants an indifferent user to stay, and such a user does.
    latencies = {Regime.ONLY_REASONING_WORTH: [1, 1.25], Regime.ONLY_STANDARD_WORTH: [0.5, 1.5]}
    for rule, latency in latencies.items():
        game = Game([0.5, 0.75], [0.25, 0.75], latency, value=2, churn_penalty=4)
        assert (game.net_value == 0).sum() == 1
        found = solve(game, throttling=throttling)
        assert found.regime == rule
        assert (found.commitment.first_model, found.commitment.cascade_probability[0], found.patience) == (0, 0, 1)
        assert found.provider_cost == 0.5
        assert found.user_utility == (0 if rule == Regime.ONLY_REASONING_WORTH else 1)
