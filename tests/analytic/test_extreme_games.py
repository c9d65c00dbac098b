"""Games at the edges of what is allowed against the closed forms in 50 digits, the float64 inputs taken as exact."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from stackroute.analytic import (
    Commitment,
    Game,
    Regime,
    best_response,
    cascade_thresholds,
    expected_passes,
    misalignment,
    provider_cost,
    regime,
    solve,
    user_utility,
)
from stackroute.envs import observe

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGITS = 50
PER_REGIME = 80
ALLOWED = 1e-9

# Nearer to a switch of regime than this share of its terms, V p - t in float64 does not have the digits asked for; the
# package counts a difference below 2e-15 of them as zero.
CLEAR = 1e-5
# Routes whose costs are as near as this share are one optimum to the package, which then picks the user's favourite.
TIE = 1e-11

SUCCESSES = [(1e-9, 2e-9), (1e-9, 0.5), (1e-9, 1 - 1e-12), (0.5, 1 - 1e-12), (1 - 2e-12, 1 - 1e-12), (0.3, 0.3 + 1e-12)]
SIZES = [1e-9, 1, 1e9]
COMMITMENTS = [(0, 0), (0, 1e-12), (0, 0.3), (0, 1 - 1e-12), (0, 1), (1, 0)]
PATIENCES = [0, 1e-12, 0.5, 1 - 1e-12, 1]


@pytest.fixture(autouse=True)
def digits() -> Iterator[None]:
    with mpmath.workdps(DIGITS):
        yield


def corner_games() -> Game:
    """Every combination of the extremes, users that do not care among them."""
    latencies = [(0.0, 1e-9), (0.1, 0.2), (0.5, 1.5), (1e9, 2e9)]
    p, size, latency, value, penalty = zip(
        *itertools.product(SUCCESSES, SIZES, latencies, SIZES, [0, 1e-9, 1, 1e9]), strict=True
    )
    return Game(p, np.multiply.outer(size, [0, 1]), latency, value, penalty)


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

    passes: tuple[mpf, mpf]
    cost: mpf
    utility: mpf
    scale: mpf
    patience: float


class Exact:
    """One game in 50 digits."""

    def __init__(self, game: Game) -> None:
        (self.p1, self.p2), (self.c1, self.c2) = (map(mpf, a.tolist()) for a in (game.success, game.cost))
        self.t1, self.t2 = map(mpf, game.latency.tolist())
        self.value, self.penalty = mpf(float(game.value)), mpf(float(game.churn_penalty))
        self.a, self.b = 1 - self.p1, 1 - self.p2
        # A difference within rounding of V p and t counts as zero in the package.
        zero = game.net_value == 0
        self.xi1 = mpf(0) if zero[0] else self.value * self.p1 - self.t1
        self.xi2 = mpf(0) if zero[1] else self.value * self.p2 - self.t2

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

    def route(self, start: int, s: mpf | float, patience: float, delay2: mpf | int = 0) -> Route:
        s, r = mpf(s), mpf(patience)
        n1 = mpf(0) if start == 1 else 1 / (1 - self.a * r * (1 - s))
        n2 = (n1 * self.a * r * s + (start == 1)) / (1 - self.b * r)
        solved, waited = self.p1 * n1 + self.p2 * n2, self.t1 * n1 + (self.t2 + delay2) * n2
        cost = self.c1 * n1 + self.c2 * n2 + self.penalty * (1 - solved)
        gained = self.value * solved
        return Route((n1, n2), cost, gained - waited, gained + waited, patience)

    def routes(self, throttling: bool) -> list[Route]:
        """The finite set of Theorems 3 to 5, and what throttling adds to it."""
        standard, reasoning = int(self.xi1 > 0), int(self.xi2 > 0)
        found = [
            self.route(k, 0, r) for k, xi in enumerate((self.xi1, self.xi2)) for r in (0, 1) if xi * (2 * r - 1) >= 0
        ]
        if self.xi1 * self.xi2 < 0:
            found.append(self.route(0, 1, reasoning))
            found.append(self.route(0, self.s_low if standard else self.s0, 1))
        if throttling and reasoning:
            found.append(self.route(1, 0, 0, delay2=self.xi2))
        if throttling and standard and reasoning:
            found.append(self.route(0, 1, 0))
        return found


@pytest.mark.parametrize("throttling", [False, True])
@pytest.mark.parametrize("rule", list(Regime), ids=lambda rule: rule.name.lower())
def test_solution_has_nine_digits(rule: Regime, throttling: bool) -> None:
    games = extreme_games(rule)
    assert games.shape == (PER_REGIME,)
    found = solve(games, throttling=throttling)
    unique = 0
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


def test_corners_are_solved() -> None:
    games = corner_games()
    costs = solve(games).provider_cost
    for i, cost in enumerate(costs.tolist()):
        best = min(route.cost for route in Exact(games[i]).routes(throttling=False))
        assert abs(mpf(cost) - best) <= ALLOWED * best
    assert np.isfinite(misalignment(games).gap).all()
    for throttling, tie in itertools.product((False, True), ("strong", "pessimistic")):
        found = solve(games, throttling=throttling, tie_breaking=tie)
        for numbers in (found.user_utility, found.commitment.transition, found.commitment.delay, found.provider_cost):
            assert np.isfinite(numbers).all()
        assert ((found.patience >= 0) & (found.patience <= 1) & (found.provider_cost >= 0)).all()


@pytest.mark.parametrize("rule", [Regime.ONLY_REASONING_WORTH, Regime.ONLY_STANDARD_WORTH])
def test_thresholds_have_nine_digits(rule: Regime) -> None:
    games = extreme_games(rule)
    found = cascade_thresholds(games)
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
    for i in range(PER_REGIME):
        exact = Exact(games[i])
        # Where the thresholds are next to each other the patience hangs on the last digits of s.
        if exact.s_high - exact.s_low < CLEAR * exact.s_high:
            continue
        inside += 1
        assert abs(mpf(float(found[i])) - exact.patience(mpf(float(s[i])))) < ALLOWED
    assert inside > 20


@pytest.mark.parametrize("success", SUCCESSES)
def test_payoffs_have_thirteen_digits(success: tuple[float, float]) -> None:
    game = Game(success, (0.25, 1.5), (0.125, 3), value=2.5, churn_penalty=7)
    for (model, s), r in itertools.product(COMMITMENTS, PATIENCES):
        exact, commitment = Exact(game).route(model, s, r), Commitment.cascade(model, s)
        np.testing.assert_allclose(expected_passes(game, commitment, r), [float(n) for n in exact.passes], rtol=1e-14)
        np.testing.assert_allclose(provider_cost(game, commitment, r), float(exact.cost), rtol=1e-13)
        assert abs(user_utility(game, commitment, r) - float(exact.utility)) <= 1e-14 * float(exact.scale)


def test_user_prefers_no_other_patience() -> None:
    rng = np.random.default_rng(3)
    for game in corner_games()[::7]:
        model, s = COMMITMENTS[rng.integers(len(COMMITMENTS))]
        r = float(best_response(game, Commitment.cascade(model, s)))
        terms = [
            [
                mpf(x) * n
                for x, n in zip(game.net_value.tolist(), Exact(game).route(model, s, patience).passes, strict=True)
            ]
            for patience in (r, *PATIENCES)
        ]
        scale = max(abs(first) + abs(second) for first, second in terms)
        assert sum(terms[0]) >= max(map(sum, terms)) - 1e-13 * scale


@pytest.mark.filterwarnings("error")
def test_what_is_allowed_gives_numbers() -> None:
    p, cost, latency, value, penalty = zip(
        *itertools.product(
            [(1e-50, 2e-50), (1e-50, 0.5), (1 - 2**-52, 1 - 2**-53)],
            [(0, 1e-300), (5e-324, 1e-300), (0.1, 1e50), (1e49, 1e50)],
            [(0, 5e-324), (0.1, 0.7), (1e-40, 1e50), (1e49, 1e50)],
            [1e-50, 1, 1e50],
            [0, 5e-324, 1, 1e50],
        ),
        strict=True,
    )
    games = Game(p, cost, latency, value, penalty)
    for throttling in (False, True):
        found = solve(games, throttling=throttling)
        outcomes = (found.provider_cost, found.user_utility, found.patience, found.commitment.delay)
        assert all(np.isfinite(numbers).all() for numbers in outcomes)
    commitment = Commitment.cascade(0, 0.3, [0.1, 0.2])
    for numbers in (
        provider_cost(games, commitment, 0.5),
        user_utility(games, commitment, 1.0),
        expected_passes(games, commitment, 1.0),
        misalignment(games).gap,
        observe(games, commitment),
    ):
        assert np.isfinite(numbers).all()
