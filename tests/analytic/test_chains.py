from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import mpmath
import numpy as np
import pytest

from stackroute.analytic import (
    Commitment,
    Game,
    Regime,
    Route,
    best_response,
    cascade_thresholds,
    expected_passes,
    provider_cost,
    random_games,
    solve,
    success_probability,
    user_utility,
)
from stackroute.analytic.general_response import BLOCK, general_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TIES = ("strong", "pessimistic")
FROM_FIRST = [1, 0, 0]
SPREAD = [[0.5, 0.25, 0.25], [0.125, 0.5, 0.375], [0.25, 0.5, 0.25]]


def numeric_response(game: Game, commitment: Commitment, tie: str) -> Array:
    """The general numeric response, also where `best_response` has a closed form."""
    preference = game.net_cost * (-1 if tie == "strong" else 1)
    xi = game.with_delay(commitment.delay)
    return general_response(commitment.start, commitment.transition, game.success, xi, preference)


def draw_chains(models: int, count: int, seed: int, unlikely: bool = False) -> tuple[Game, Commitment]:
    """Chains of four kinds: any routing, nearly a fixed order, nearly staying, and each model in its turn."""
    rng = np.random.default_rng(seed)
    size, each = (count, models), np.arange(count)
    p = rng.uniform(0.03, 0.97, size)
    if unlikely:
        p = np.where(rng.random(size) < 0.5, p, 10 ** rng.uniform(-9, -1, size))
    worth = rng.uniform(0, 2, size)
    worth = np.where(rng.random((count, 1)) < 0.5, 1 + (worth - 1) / 10, worth)
    value = np.exp(rng.normal(0, 1, count))
    cost = rng.uniform(0.01, 1, size)
    penalty = (cost / np.maximum(p, 0.03)).max(axis=1) * np.exp(rng.normal(0, 1.2, count))
    game = Game(p, cost, value[:, None] * p * worth, value, penalty)

    some = rng.dirichlet(np.full(models, 0.3), size)
    order = np.eye(models)[rng.permuted(np.tile(np.arange(models), (count, 1)), axis=1)]
    in_turn = np.tile(np.eye(models)[np.minimum(np.arange(models) + 1, models - 1)], (count, 1, 1))
    noise = rng.uniform(0, 0.2, (count, 1, 1))
    near_order, near_stay = ((1 - noise) * base + noise * some for base in (order, np.eye(models)))
    transition = np.stack([some, near_order, near_stay, in_turn])[each % 4, each]
    start = np.where(each[:, None] % 4 == 3, np.eye(models)[0], rng.dirichlet(np.full(models, 0.3), count))
    return game, Commitment(start, transition)


def draw_many_peaks(models: int, count: int, seed: int) -> tuple[Game, Commitment]:
    """Each model in its turn, the later the less likely to succeed and to be left, worth a pass and not by turns."""
    rng = np.random.default_rng(seed)
    scale = np.sort(rng.uniform(0, 6, (count, models)), axis=1)
    p = 10 ** -(scale + 0.05)
    leave = 10 ** -(scale + rng.uniform(0, 0.5, (count, models)))
    leave[:, -1] = 0
    stay = np.eye(models) * (1 - leave)[:, None, :]
    transition = stay + np.eye(models, k=1) * leave[..., None]
    net = (-1.0) ** (np.arange(models) + rng.integers(0, 2, (count, 1))) * p * rng.uniform(0.2, 2, (count, models))
    return Game(p, p, 3 * p - net, np.full(count, 3.0), np.ones(count)), Commitment(np.eye(models)[0], transition)


def size_of(game: Game, commitment: Commitment, patience: Array) -> Array:
    """The size of the terms that a utility is the sum of."""
    return (np.abs(game.with_delay(commitment.delay)) * expected_passes(game, commitment, patience)).sum(axis=-1)


# Passes and payoffs


def test_two_models_equal_the_paper_s_formulas() -> None:
    rng = np.random.default_rng(11)
    count = 20_000
    size = (count, 2)
    p = np.select(
        [rng.random(size) < 0.3, rng.random(size) < 0.3],
        [10 ** rng.uniform(-12, -0.01, size), 1 - 10 ** rng.uniform(-12, -0.01, size)],
        rng.uniform(0.01, 0.99, size),
    )
    cost, latency, penalty = rng.uniform(0, 1, size), rng.uniform(0, 1, size), rng.uniform(0, 5, count)
    game = Game(p, cost, latency, rng.uniform(0.1, 3, count), penalty)
    s, r = (
        np.where(rng.random(count) < 0.5, rng.random(count), rng.choice([0, 1e-12, 1 - 1e-12, 1], count))
        for _ in range(2)
    )
    model = rng.integers(0, 2, count)
    (p1, p2), q = p.T, 1 - r
    n1 = np.where(model == 0, 1 / (q + r * (s + p1 * (1 - s))), 0)
    n2 = (n1 * (1 - p1) * r * s + (model == 1)) / (q + r * p2)
    passes = np.stack([n1, n2], axis=-1)
    commitment = Commitment.cascade(model, s, rng.uniform(0, 1, size))
    np.testing.assert_allclose(expected_passes(game, commitment, r), passes, rtol=2e-15)
    np.testing.assert_allclose(success_probability(game, commitment, r), (p * passes).sum(axis=-1), rtol=1e-14)
    abandoned = q * ((1 - p) * passes).sum(axis=-1)
    expected = (cost * passes).sum(axis=-1) + penalty * abandoned
    np.testing.assert_allclose(provider_cost(game, commitment, r), expected, rtol=2e-15)
    error = np.abs(user_utility(game, commitment, r) - (game.with_delay(commitment.delay) * passes).sum(axis=-1))
    assert (error <= 2e-15 * size_of(game, commitment, r)).all()


@pytest.mark.parametrize("models", [1, 2, 3, 5, 8])
def test_patience_by_model_equals_a_general_solver(models: int) -> None:
    game, commitment = draw_chains(models, 400, seed=23)
    r = np.random.default_rng(24).uniform(0, 1, (400, models))
    matrix = np.eye(models) - (r * (1 - game.success))[..., None] * commitment.transition
    solved = np.linalg.solve(np.swapaxes(matrix, -1, -2), commitment.start[..., None])[..., 0]
    passes = expected_passes(game, commitment, r, by_model=True)
    np.testing.assert_allclose(passes, solved, rtol=1e-10, atol=1e-12)
    loss = game.cost + game.churn_penalty[:, None] * (1 - r) * (1 - game.success)
    np.testing.assert_allclose(provider_cost(game, commitment, r, by_model=True), (loss * solved).sum(-1), rtol=1e-9)
    for payoff in (expected_passes, success_probability, user_utility, provider_cost):
        same = np.broadcast_to(r[:, :1], r.shape)
        np.testing.assert_array_equal(
            payoff(game, commitment, same, by_model=True), payoff(game, commitment, r[:, 0]), strict=True
        )


@pytest.mark.parametrize("p", [[1e-9, 2e-9, 3e-9], [1e-9, 0.5, 1e-6], [0.3, 1e-12, 1 - 1e-12]])
def test_passes_are_exact_where_the_matrix_is_nearly_singular(p: list[float]) -> None:
    passes = expected_passes(Game(p, [0, 0, 0], [0, 0, 0], 1, 0), Commitment(FROM_FIRST, SPREAD), 1)
    with mpmath.workdps(50):
        chain = mpmath.eye(3) - mpmath.diag([1 - mpmath.mpf(x) for x in p]) * mpmath.matrix(SPREAD)
        exact = mpmath.lu_solve(chain.T, mpmath.matrix(FROM_FIRST))
        np.testing.assert_allclose(passes, [float(x) for x in exact], rtol=1e-14)


@pytest.mark.parametrize("models", [1, 2, 3, 6])
@pytest.mark.parametrize("unlikely", [False, True])
def test_occupancy_identity(models: int, unlikely: bool) -> None:
    game, commitment = draw_chains(models, 500, seed=31, unlikely=unlikely)
    for r in (0.0, 1e-9, 0.3, 0.9, 1 - 1e-9, 1.0):
        passes = expected_passes(game, commitment, r)
        assert (passes >= 0).all()
        ended = (passes * ((1 - r) + r * game.success)).sum(axis=-1)
        np.testing.assert_allclose(ended, 1, rtol=1e-13)


def test_played_chain() -> None:
    # Five means, each within 4 standard errors: another seed would fail once in about 3,000 times.
    rng = np.random.default_rng(5)
    tasks, r = 200_000, np.array([0.8, 0.6, 0.9])
    game = Game([0.15, 0.4, 0.7], [0.1, 0.3, 0.9], [0.05, 0.2, 0.6], value=1.7, churn_penalty=2.3)
    commitment = Commitment([0.5, 0.25, 0.25], SPREAD, delay=[0.1, 0, 0.05])
    model = rng.choice(3, tasks, p=commitment.start)
    played, penalty, reward = np.zeros((tasks, 3)), np.zeros(tasks), np.zeros(tasks)
    playing = np.arange(tasks)
    while playing.size:
        played[playing, model] += 1
        solved = rng.random(playing.size) < game.success[model]
        leaves = ~solved & (rng.random(playing.size) >= r[model])
        reward[playing[solved]] = game.value
        penalty[playing[leaves]] = game.churn_penalty
        stays = ~solved & ~leaves
        playing, row = playing[stays], model[stays]
        model = (rng.random((row.size, 1)) > commitment.transition[row].cumsum(axis=-1)).sum(axis=-1)
    utility = reward - played @ (game.latency + commitment.delay)
    cost = played @ game.cost + penalty
    samples = np.c_[played, utility, cost]
    expected = np.r_[
        expected_passes(game, commitment, r, by_model=True),
        user_utility(game, commitment, r, by_model=True),
        provider_cost(game, commitment, r, by_model=True),
    ]
    error = samples.std(axis=0) / np.sqrt(tasks)
    assert (np.abs(samples.mean(axis=0) - expected) < 4 * error).all()


# The response


@pytest.mark.parametrize("rule", list(Regime))
@pytest.mark.parametrize("strict", [True, False])
def test_response_equals_that_of_two_models(random_games: Callable[..., Game], rule: Regime, strict: bool) -> None:
    rng = np.random.default_rng(41 + rule)
    count = 150
    game = random_games(rule, count, seed=42 + rule, strict=strict)
    thresholds = cascade_thresholds(game)
    # Delays that make the user indifferent to one model, or to both.
    delay = np.maximum(game.net_value, 0) * (rng.random((count, 2)) < 0.4)
    commitments = [Commitment.static(1), Commitment.static(1, delay)]
    low, high = (np.nan_to_num(s, nan=0.5) for s in (thresholds.low, thresholds.high))
    # Close to a threshold there is a clear answer, however small the difference that it makes.
    for s in (rng.random(count), np.zeros(count), np.ones(count), low, low * (1 - 1e-9), low * (1 + 1e-9), high):
        commitments += [Commitment.cascade(0, s), Commitment.cascade(0, s, delay)]
    for commitment in commitments:
        for tie in TIES:
            response = numeric_response(game, commitment, tie)
            np.testing.assert_allclose(response, best_response(game, commitment, tie), rtol=0, atol=1e-10)


@pytest.mark.parametrize("latency", [1.477, 1.4799, 1.47999, 1.479999])
def test_tie_at_s0_is_seen_when_s0_is_near_one(latency: float) -> None:
    # 1 - s0 carries the rounding of s0, which is large beside it.
    value = np.linspace(1.851, 2.2, 60)
    slow = value * 0.8 - (1.48 - latency)
    game = Game([0.5, 0.8], [0.05, 0.8], np.stack([slow - 0.01, slow], axis=-1), value, churn_penalty=20)
    s0 = cascade_thresholds(game).low
    assert (s0 > 0.98).all()
    np.testing.assert_array_equal(solve(game).commitment.cascade_probability[:, 0], s0)
    for tie, expected in (("strong", 1), ("pessimistic", 0)):
        for response in (best_response, numeric_response):
            assert (response(game, Commitment.cascade(0, s0), tie) == expected).all()


@pytest.mark.parametrize("tie", TIES)
def test_response_with_a_model_never_used_or_a_model_in_two_copies(random_games: Callable[..., Game], tie: str) -> None:
    rng = np.random.default_rng(51)
    count = 250
    for rule in (Regime.ONLY_REASONING_WORTH, Regime.ONLY_STANDARD_WORTH):
        game = random_games(rule, count, seed=52 + rule)
        low = cascade_thresholds(game).low
        for s in (low, low * rng.random(count), low + (1 - low) * rng.random(count)):
            expected = best_response(game, Commitment.cascade(0, s), tie)
            zero, share = np.zeros(count), rng.random(count)
            unused = [[1 - s, zero, s], [zero + 0.2, zero + 0.5, zero + 0.3], [zero, zero, zero + 1]]
            copies = [[(1 - s) * share, (1 - s) * (1 - share), s]] * 2 + [[zero, zero, zero + 1]]
            for rows, success, latency in (
                (unused, 0.01, 0.7),
                (copies, game.success[:, 0], game.latency[:, 0]),
            ):
                wider = Game(
                    np.insert(game.success, 1, success, axis=1),
                    np.insert(game.cost, 1, game.cost[:, 0], axis=1),
                    np.insert(game.latency, 1, latency, axis=1),
                    game.value,
                    game.churn_penalty,
                )
                commitment = Commitment(FROM_FIRST, np.moveaxis(np.array(rows), -1, 0))
                response = best_response(wider, commitment, tie)
                np.testing.assert_allclose(response, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("models", [1, 3, 4, 6])
@pytest.mark.parametrize("kind", ["likely", "unlikely", "many peaks"])
def test_no_patience_is_better_than_the_response(models: int, kind: str) -> None:
    count = 120
    if kind == "many peaks":
        game, commitment = draw_many_peaks(models, count, seed=61)
    else:
        game, commitment = draw_chains(models, count, seed=62, unlikely=kind == "unlikely")
    response = best_response(game, commitment)
    if models > 1:
        assert ((response > 0) & (response < 1)).any()
    utility = user_utility(game, commitment, response)
    # Fine everywhere, and near r = 1 by orders of magnitude, where unlikely successes bend the utility.
    grid = np.r_[np.linspace(0, 1, 1001), 1 - np.geomspace(1e-12, 0.1, 800)]
    for part in np.array_split(grid[:, None], 20):
        better = user_utility(game, commitment, part) - utility
        assert (better <= 1e-9 * np.abs(game.with_delay(commitment.delay)).max(axis=-1)).all()


def test_inner_peak_has_its_closed_form() -> None:
    # A re-prompt goes from model 1 (xi = 0) to model 2 (xi = 1/2, p = 1/2) or 3 (xi = -1/4, p = 1/4) and stays there.
    # U is proportional to r (1/2 / (1 - r/2) - 1/4 / (1 - 3r/4)): equal at r = 0 and r = 1, greatest between.
    game = Game([0.5, 0.5, 0.25], [1, 1, 1], [0.5, 0, 0.5], value=1, churn_penalty=1)
    commitment = Commitment(FROM_FIRST, [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]])
    peak = (np.sqrt(2) - 1) / (0.75 * np.sqrt(2) - 0.5)
    for tie in TIES:
        assert best_response(game, commitment, tie) == pytest.approx(peak, abs=1e-14)


@pytest.mark.parametrize(("penalty", "sides"), [(9, (1, 0)), (0.25, (0, 1)), (4, (1, 1))])
def test_tie_of_both_ends(penalty: float, sides: tuple[float, float]) -> None:
    # As above with the signs exchanged: the ends are equally good and anything between is worse. The passes after a
    # re-prompt cost 1/2 / p2 + 1/2 / p3 = 4, and abandoning costs the penalty.
    game = Game([0.5, 0.5, 0.25], [1, 1, 1.5], [0.5, 1, 0], value=1, churn_penalty=penalty)
    commitment = Commitment(FROM_FIRST, [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]])
    utility = user_utility(game, commitment, [0, 0.5, 1])
    assert utility[0] == utility[2] > utility[1]
    assert tuple(best_response(game, commitment, tie) for tie in TIES) == sides


@pytest.mark.parametrize("latency", [[1, 0.5, 1.5], [1, 1, 1], [0, 1, 1], [2, 0.9, 1.1]])
def test_a_user_that_never_cares_takes_sides(latency: list[float]) -> None:
    # Models 2 and 3 succeed alike and their net values cancel, so that U is the same at every patience.
    commitment = Commitment(FROM_FIRST, [[0, 0.5, 0.5], [0, 0.3, 0.7], [0, 0.7, 0.3]])
    if latency[1] != latency[2]:
        commitment = Commitment(FROM_FIRST, [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]])
    grid = np.linspace(0, 1, 2001)
    for penalty in (0.1, 1.5, 2.5, 3.5, 10):
        game = Game([0.25, 0.5, 0.5], [0.5, 0.2, 2], latency, value=2, churn_penalty=penalty)
        np.testing.assert_allclose(np.ptp(user_utility(game, commitment, grid)), 0, atol=1e-14)
        costs = provider_cost(game, commitment, grid)
        strong, pessimistic = (provider_cost(game, commitment, best_response(game, commitment, tie)) for tie in TIES)
        assert strong == pytest.approx(costs.min(), rel=1e-6)
        assert strong <= costs.min() * (1 + 1e-12)
        assert pessimistic == pytest.approx(costs.max(), rel=1e-6)
        assert pessimistic >= costs.max() * (1 - 1e-12)


def test_provider_that_does_not_care_either_is_stayed_with() -> None:
    game = Game([0.5, 0.5, 0.25], [0.5, 0.5, 0.25], [1, 1, 0.5], value=2, churn_penalty=1)
    for tie in TIES:
        assert best_response(game, Commitment(FROM_FIRST, SPREAD), tie) == 1


def test_order_of_the_models_does_not_matter() -> None:
    game, commitment = draw_chains(5, 300, seed=71)
    order = np.random.default_rng(72).permutation(5)
    other = Game(game.success[:, order], game.cost[:, order], game.latency[:, order], game.value, game.churn_penalty)
    moved = Commitment(commitment.start[:, order], commitment.transition[:, order][:, :, order])
    r = np.random.default_rng(73).random(300)
    np.testing.assert_allclose(
        expected_passes(other, moved, r), expected_passes(game, commitment, r)[:, order], rtol=1e-12
    )
    for tie in TIES:
        expected = best_response(game, commitment, tie)
        np.testing.assert_allclose(best_response(other, moved, tie), expected, rtol=0, atol=1e-10)


# Shapes


def test_blocks_and_empty_batches() -> None:
    game, commitment = draw_chains(3, 2 * BLOCK + 3, seed=81)
    response = best_response(game, commitment)
    for first in (0, BLOCK - 1, 2 * BLOCK + 2):
        alone = best_response(game[first], commitment[first])
        assert alone == pytest.approx(response[first], abs=1e-10)
    empty = Game(np.zeros((0, 3)) + 0.5, [1, 1, 1], [1, 1, 1], 2, 3)
    assert expected_passes(empty, Commitment(FROM_FIRST, SPREAD), 0.5).shape == (0, 3)
    assert best_response(empty, Commitment(FROM_FIRST, SPREAD)).shape == (0,)


# One model, and equal models


@pytest.mark.parametrize("tie", TIES)
@pytest.mark.parametrize("throttling", [False, True])
def test_one_model_is_solved_as_a_search_finds(throttling: bool, tie: str) -> None:
    rng = np.random.default_rng(91)
    p = np.r_[rng.uniform(0.01, 0.99, 300), np.full(50, 1e-9), np.full(50, 1 - 1e-12)]
    cost, value, penalty = rng.uniform(0, 1, 400), rng.uniform(0.1, 3, 400), rng.uniform(0, 3, 400)
    penalty[:300:3] = rng.uniform(0.5, 1.5, 100) * (cost / p)[:300:3]
    latency = value * p * rng.uniform(0, 2, 400)
    game = Game(p[:, None], cost[:, None], latency[:, None], value, penalty)
    found = solve(game, throttling=throttling, tie_breaking=tie)
    stays, leaves, xi = cost / p, cost + penalty * (1 - p), value * p - latency
    expected = np.where(xi > 0, np.minimum(stays, leaves) if throttling else stays, leaves)
    np.testing.assert_allclose(found.provider_cost, expected, rtol=1e-12)
    kept = (found.patience == 1) & (xi > 0)
    np.testing.assert_array_equal(found.patience, kept)
    np.testing.assert_array_equal(found.route == Route.LEAVE_BY_DELAY, (xi > 0) & ~kept)
    np.testing.assert_array_equal(found.route == Route.STATIC, (xi <= 0) | kept)
    np.testing.assert_array_equal(found.regime == Regime.BOTH_WORTH, xi > 0)
    np.testing.assert_array_equal(found.patience, best_response(game, found.commitment, tie))
    np.testing.assert_allclose(found.user_utility, user_utility(game, found.commitment, found.patience), atol=1e-15)
    assert (found.user_utility_worst <= found.user_utility).all()
    assert found.user_utility[(xi > 0) & ~kept] == pytest.approx(0, abs=1e-8)


def test_ties_of_one_model() -> None:
    # xi = 0 and kappa = 1/2: the user stays for the provider where P > kappa, and does not care at P = kappa.
    game = Game([0.5], [0.25], [1], value=2, churn_penalty=[0.25, 0.5, 1])
    assert solve(game).patience.tolist() == [0, 1, 1]
    assert solve(game, tie_breaking="pessimistic").patience.tolist() == [1, 1, 0]
    np.testing.assert_array_equal(solve(game).provider_cost, [0.375, 0.5, 0.5])
    # xi = 1/2 > 0: at P = kappa throttling gains nothing, and the user is served.
    game = Game([0.5], [0.25], [0.5], value=2, churn_penalty=[0.25, 0.5, 1])
    slow = solve(game, throttling=True)
    assert slow.patience.tolist() == [0, 1, 1]
    assert slow.commitment.delay[:, 0].tolist() == [0.5, 0, 0]
    assert slow.user_utility_worst.tolist() == [-1.5, -1.5, 0]


def test_equal_models_are_one_model() -> None:
    rng = np.random.default_rng(92)
    one = Game(*rng.uniform(0.05, 0.95, (3, 200, 1)), *rng.uniform(0.2, 2, (2, 200)))
    two = Game(
        *(np.repeat(array, 2, axis=-1) for array in (one.success, one.cost, one.latency)), one.value, one.churn_penalty
    )
    for throttling in (False, True):
        for tie in TIES:
            alone, both = (solve(game, throttling=throttling, tie_breaking=tie) for game in (one, two))
            np.testing.assert_allclose(both.provider_cost, alone.provider_cost, rtol=1e-14)
            np.testing.assert_array_equal(both.patience, alone.patience)
    assert (solve(two).commitment.first_model == 0).all()
    assert (solve(two).route == Route.STATIC).all()
    for commitment in (Commitment.static(0), Commitment.cascade(0, 0.3), Commitment.lottery([0.2, 0.8], [0.6, 0.4])):
        np.testing.assert_array_equal(
            best_response(two, commitment), best_response(one, Commitment.static(0, models=1))
        )


# Routes


def test_routes() -> None:
    free, slow = (solve(random_games(3000, seed=93), throttling=throttling) for throttling in (False, True))
    for found in (free, slow):
        s, first = found.commitment.cascade_probability[:, 0], found.commitment.first_model
        own = np.take_along_axis(found.game.net_value, first[:, None], axis=-1)[:, 0]
        stays = found.patience > 0
        np.testing.assert_array_equal(found.route == Route.CASCADE, stays & (first == 0) & (s > 0))
        sent = (found.route == Route.LEAVE_BY_DELAY) | (found.route == Route.LEAVE_BY_THREAT)
        np.testing.assert_array_equal(sent, ~stays & (own > 0))
        assert (found.commitment.cascade_probability[found.route == Route.LEAVE_BY_THREAT] == 1).all()
    assert not np.isin(free.route, [Route.LEAVE_BY_DELAY, Route.LOTTERY]).any()
    assert set(np.unique(slow.route)) == {Route.STATIC, Route.CASCADE, Route.LEAVE_BY_DELAY, Route.LEAVE_BY_THREAT}
    lottery = dataclasses.replace(free, commitment=Commitment.lottery([1, 0], [0.5, 0.5]).broadcast_to((3000,)))
    assert ((lottery.route == Route.LOTTERY) == (free.patience > 0)).all()
