from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from stackroute.analytic.markov import ChainGame, MarkovCommitment
from stackroute.analytic.markov_payoffs import chain_passes, chain_provider_cost, chain_user_utility
from stackroute.analytic.markov_response import BLOCK, chain_best_response

from stackroute.analytic import (
    Commitment,
    Game,
    InvalidGameError,
    Regime,
    best_response,
    cascade_thresholds,
    expected_passes,
    provider_cost,
    user_utility,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TIES = ("strong", "pessimistic")
FROM_FIRST = [1, 0, 0]
SPREAD = [[0.5, 0.25, 0.25], [0.125, 0.5, 0.375], [0.25, 0.5, 0.25]]


def as_chain(game: Game, commitment: Commitment) -> tuple[ChainGame, MarkovCommitment]:
    return ChainGame.from_game(game), MarkovCommitment.from_commitment(commitment)


def draw_chains(models: int, count: int, seed: int, unlikely: bool = False) -> tuple[ChainGame, MarkovCommitment]:
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
    game = ChainGame(p, cost, value[:, None] * p * worth, value, penalty)

    some = rng.dirichlet(np.full(models, 0.3), size)
    order = np.eye(models)[rng.permuted(np.tile(np.arange(models), (count, 1)), axis=1)]
    in_turn = np.tile(np.eye(models)[np.minimum(np.arange(models) + 1, models - 1)], (count, 1, 1))
    noise = rng.uniform(0, 0.2, (count, 1, 1))
    near_order, near_stay = ((1 - noise) * base + noise * some for base in (order, np.eye(models)))
    transition = np.stack([some, near_order, near_stay, in_turn])[each % 4, each]
    start = np.where(each[:, None] % 4 == 3, np.eye(models)[0], rng.dirichlet(np.full(models, 0.3), count))
    return game, MarkovCommitment(start, transition)


def draw_many_peaks(models: int, count: int, seed: int) -> tuple[ChainGame, MarkovCommitment]:
    """Each model in its turn, the later the less likely to succeed and to be left, worth a pass and not by turns."""
    rng = np.random.default_rng(seed)
    scale = np.sort(rng.uniform(0, 6, (count, models)), axis=1)
    p = 10 ** -(scale + 0.05)
    leave = 10 ** -(scale + rng.uniform(0, 0.5, (count, models)))
    leave[:, -1] = 0
    stay = np.eye(models) * (1 - leave)[:, None, :]
    transition = stay + np.eye(models, k=1) * leave[..., None]
    net = (-1.0) ** (np.arange(models) + rng.integers(0, 2, (count, 1))) * p * rng.uniform(0.2, 2, (count, models))
    return ChainGame(p, p, 3 * p - net, np.full(count, 3.0), np.ones(count)), MarkovCommitment(
        np.eye(models)[0], transition
    )


def size_of(game: ChainGame, commitment: MarkovCommitment, patience: Array) -> Array:
    """The size of the terms that a utility is the sum of."""
    return (np.abs(game.with_delay(commitment.delay)) * chain_passes(game, commitment, patience)).sum(axis=-1)


# Passes and payoffs


def test_two_models_equal_the_closed_form() -> None:
    rng = np.random.default_rng(11)
    count = 20_000
    size = (count, 2)
    p = np.select(
        [rng.random(size) < 0.3, rng.random(size) < 0.3],
        [10 ** rng.uniform(-12, -0.01, size), 1 - 10 ** rng.uniform(-12, -0.01, size)],
        rng.uniform(0.01, 0.99, size),
    )
    cost, latency, penalty = rng.uniform(0, 1, size), rng.uniform(0, 1, size), rng.uniform(0, 5, count)
    game = Game(p, cost, latency, rng.uniform(0.1, 3, count), penalty, strict=False)
    s, r = (
        np.where(rng.random(count) < 0.5, rng.random(count), rng.choice([0, 1e-12, 1 - 1e-12, 1], count))
        for _ in range(2)
    )
    commitment = Commitment.cascade(rng.integers(0, 2, count), s, rng.uniform(0, 1, size))
    chain = as_chain(game, commitment)
    np.testing.assert_allclose(chain_passes(*chain, r), expected_passes(game, commitment, r), rtol=1e-12)
    np.testing.assert_allclose(chain_provider_cost(*chain, r), provider_cost(game, commitment, r), rtol=1e-12)
    error = np.abs(chain_user_utility(*chain, r) - user_utility(game, commitment, r))
    assert (error <= 1e-12 * size_of(*chain, r)).all()


@pytest.mark.parametrize("models", [1, 2, 3, 5, 8])
def test_passes_equal_a_general_solver(models: int) -> None:
    game, commitment = draw_chains(models, 400, seed=21)
    r = np.random.default_rng(22).uniform(0, 1, 400)
    matrix = np.eye(models) - (r[:, None] * (1 - game.success))[..., None] * commitment.transition
    solved = np.linalg.solve(np.swapaxes(matrix, -1, -2), commitment.start[..., None])[..., 0]
    np.testing.assert_allclose(chain_passes(game, commitment, r), solved, rtol=1e-10, atol=1e-12)


def test_passes_equal_exact_arithmetic_where_the_matrix_is_nearly_singular() -> None:
    for p in ([1e-9, 2e-9, 3e-9], [1e-9, 0.5, 1e-6], [0.3, 1e-12, 1 - 1e-12]):
        passes = chain_passes(ChainGame(p, [0, 0, 0], [0, 0, 0], 1, 0), MarkovCommitment(FROM_FIRST, SPREAD), 1)
        rows = [
            [(i == k) - (1 - Fraction(p[i])) * Fraction(SPREAD[i][k]) for i in range(3)] + [Fraction(int(k == 0))]
            for k in range(3)
        ]
        for k in range(3):
            for other in set(range(3)) - {k}:
                share = rows[other][k] / rows[k][k]
                rows[other] = [x - share * y for x, y in zip(rows[other], rows[k], strict=True)]
        np.testing.assert_allclose(passes, [float(rows[k][3] / rows[k][k]) for k in range(3)], rtol=1e-14)


@pytest.mark.parametrize("models", [1, 2, 3, 6])
@pytest.mark.parametrize("unlikely", [False, True])
def test_occupancy_identity(models: int, unlikely: bool) -> None:
    game, commitment = draw_chains(models, 500, seed=31, unlikely=unlikely)
    for r in (0.0, 1e-9, 0.3, 0.9, 1 - 1e-9, 1.0):
        passes = chain_passes(game, commitment, r)
        assert (passes >= 0).all()
        ended = (passes * ((1 - r) + r * game.success)).sum(axis=-1)
        np.testing.assert_allclose(ended, 1, rtol=1e-13)


def test_played_chain() -> None:
    # Five means, each within 4 standard errors: another seed would fail once in about 3,000 times.
    rng = np.random.default_rng(5)
    tasks, r = 200_000, 0.8
    game = ChainGame([0.15, 0.4, 0.7], [0.1, 0.3, 0.9], [0.05, 0.2, 0.6], value=1.7, churn_penalty=2.3)
    commitment = MarkovCommitment([0.5, 0.25, 0.25], SPREAD, delay=[0.1, 0, 0.05])
    model = rng.choice(3, tasks, p=commitment.start)
    played, penalty, reward = np.zeros((tasks, 3)), np.zeros(tasks), np.zeros(tasks)
    playing = np.arange(tasks)
    while playing.size:
        played[playing, model] += 1
        solved = rng.random(playing.size) < game.success[model]
        leaves = ~solved & (rng.random(playing.size) >= r)
        reward[playing[solved]] = game.value
        penalty[playing[leaves]] = game.churn_penalty
        stays = ~solved & ~leaves
        playing, row = playing[stays], model[stays]
        model = (rng.random((row.size, 1)) > commitment.transition[row].cumsum(axis=-1)).sum(axis=-1)
    utility = reward - played @ (game.latency + commitment.delay)
    cost = played @ game.cost + penalty
    samples = np.c_[played, utility, cost]
    expected = np.r_[
        chain_passes(game, commitment, r),
        chain_user_utility(game, commitment, r),
        chain_provider_cost(game, commitment, r),
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
    commitments = [
        Commitment.cascade(1, np.zeros(count)),
        Commitment.cascade(1, np.zeros(count), delay),
    ]
    low, high = (np.nan_to_num(s, nan=0.5) for s in (thresholds.low, thresholds.high))
    # Close to a threshold there is a clear answer, however small the difference that it makes.
    for s in (rng.random(count), np.zeros(count), np.ones(count), low, low * (1 - 1e-9), low * (1 + 1e-9), high):
        commitments += [Commitment.cascade(0, s), Commitment.cascade(0, s, delay)]
    for commitment in commitments:
        for tie in TIES:
            response = chain_best_response(*as_chain(game, commitment), tie)
            np.testing.assert_allclose(response, best_response(game, commitment, tie), rtol=0, atol=1e-10)


@pytest.mark.parametrize("latency", [1.477, 1.4799, 1.47999, 1.479999])
def test_tie_at_s0_is_seen_when_s0_is_near_one(latency: float) -> None:
    # 1 - s0 carries the rounding of s0, which is large beside it.
    value = np.linspace(1.851, 2.2, 60)
    slow = value * 0.8 - (1.48 - latency)
    game = Game([0.5, 0.8], [0.05, 0.8], np.stack([slow - 0.01, slow], axis=-1), value, churn_penalty=20)
    chain = as_chain(game, Commitment.cascade(0, cascade_thresholds(game).low))
    assert (chain_best_response(*chain, "strong") == 1).all()
    assert (chain_best_response(*chain, "pessimistic") == 0).all()


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
                chain_game = ChainGame(
                    np.insert(game.success, 1, success, axis=1),
                    np.insert(game.cost, 1, game.cost[:, 0], axis=1),
                    np.insert(game.latency, 1, latency, axis=1),
                    game.value,
                    game.churn_penalty,
                )
                commitment = MarkovCommitment(FROM_FIRST, np.moveaxis(np.array(rows), -1, 0))
                response = chain_best_response(chain_game, commitment, tie)
                np.testing.assert_allclose(response, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("models", [1, 3, 4, 6])
@pytest.mark.parametrize("kind", ["likely", "unlikely", "many peaks"])
def test_no_patience_is_better_than_the_response(models: int, kind: str) -> None:
    count = 120
    if kind == "many peaks":
        game, commitment = draw_many_peaks(models, count, seed=61)
    else:
        game, commitment = draw_chains(models, count, seed=62, unlikely=kind == "unlikely")
    response = chain_best_response(game, commitment)
    if models > 1:
        assert ((response > 0) & (response < 1)).any()
    utility = chain_user_utility(game, commitment, response)
    # Fine everywhere, and near r = 1 by orders of magnitude, where unlikely successes bend the utility.
    grid = np.r_[np.linspace(0, 1, 1001), 1 - np.geomspace(1e-12, 0.1, 800)]
    for part in np.array_split(grid[:, None], 20):
        better = chain_user_utility(game, commitment, part) - utility
        assert (better <= 1e-9 * np.abs(game.with_delay(commitment.delay)).max(axis=-1)).all()


def test_inner_peak_has_its_closed_form() -> None:
    # A re-prompt goes from model 1 (xi = 0) to model 2 (xi = 1/2, p = 1/2) or 3 (xi = -1/4, p = 1/4) and stays there.
    # U is proportional to r (1/2 / (1 - r/2) - 1/4 / (1 - 3r/4)): equal at r = 0 and r = 1, greatest between.
    game = ChainGame([0.5, 0.5, 0.25], [1, 1, 1], [0.5, 0, 0.5], value=1, churn_penalty=1)
    commitment = MarkovCommitment(FROM_FIRST, [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]])
    peak = (np.sqrt(2) - 1) / (0.75 * np.sqrt(2) - 0.5)
    for tie in TIES:
        assert chain_best_response(game, commitment, tie) == pytest.approx(peak, abs=1e-14)


@pytest.mark.parametrize(("penalty", "sides"), [(9, (1, 0)), (0.25, (0, 1)), (4, (1, 1))])
def test_tie_of_both_ends(penalty: float, sides: tuple[float, float]) -> None:
    # As above with the signs exchanged: the ends are equally good and anything between is worse. The passes after a
    # re-prompt cost 1/2 / p2 + 1/2 / p3 = 4, and abandoning costs the penalty.
    game = ChainGame([0.5, 0.5, 0.25], [1, 1, 1.5], [0.5, 1, 0], value=1, churn_penalty=penalty)
    commitment = MarkovCommitment(FROM_FIRST, [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]])
    utility = chain_user_utility(game, commitment, [0, 0.5, 1])
    assert utility[0] == utility[2] > utility[1]
    assert tuple(chain_best_response(game, commitment, tie) for tie in TIES) == sides


@pytest.mark.parametrize("latency", [[1, 0.5, 1.5], [1, 1, 1], [0, 1, 1], [2, 0.9, 1.1]])
def test_a_user_that_never_cares_takes_sides(latency: list[float]) -> None:
    # Models 2 and 3 succeed alike and their net values cancel, so that U is the same at every patience.
    commitment = MarkovCommitment(FROM_FIRST, [[0, 0.5, 0.5], [0, 0.3, 0.7], [0, 0.7, 0.3]])
    if latency[1] != latency[2]:
        commitment = MarkovCommitment(FROM_FIRST, [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]])
    grid = np.linspace(0, 1, 2001)
    for penalty in (0.1, 1.5, 2.5, 3.5, 10):
        game = ChainGame([0.25, 0.5, 0.5], [0.5, 0.2, 2], latency, value=2, churn_penalty=penalty)
        np.testing.assert_allclose(np.ptp(chain_user_utility(game, commitment, grid)), 0, atol=1e-14)
        costs = chain_provider_cost(game, commitment, grid)
        strong, pessimistic = (
            chain_provider_cost(game, commitment, chain_best_response(game, commitment, tie)) for tie in TIES
        )
        assert strong == pytest.approx(costs.min(), rel=1e-6)
        assert strong <= costs.min() * (1 + 1e-12)
        assert pessimistic == pytest.approx(costs.max(), rel=1e-6)
        assert pessimistic >= costs.max() * (1 - 1e-12)


def test_provider_that_does_not_care_either_is_stayed_with() -> None:
    game = ChainGame([0.5, 0.5, 0.25], [0.5, 0.5, 0.25], [1, 1, 0.5], value=2, churn_penalty=1)
    for tie in TIES:
        assert chain_best_response(game, MarkovCommitment(FROM_FIRST, SPREAD), tie) == 1


def test_order_of_the_models_does_not_matter() -> None:
    game, commitment = draw_chains(5, 300, seed=71)
    order = np.random.default_rng(72).permutation(5)
    other = ChainGame(
        game.success[:, order], game.cost[:, order], game.latency[:, order], game.value, game.churn_penalty
    )
    moved = MarkovCommitment(commitment.start[:, order], commitment.transition[:, order][:, :, order])
    r = np.random.default_rng(73).random(300)
    np.testing.assert_allclose(chain_passes(other, moved, r), chain_passes(game, commitment, r)[:, order], rtol=1e-12)
    for tie in TIES:
        expected = chain_best_response(game, commitment, tie)
        np.testing.assert_allclose(chain_best_response(other, moved, tie), expected, rtol=0, atol=1e-10)


# Shapes and errors


def test_batches_broadcast() -> None:
    game = ChainGame([0.1, 0.4, 0.8], [0.1, 0.2, 0.9], [0.2, 0.3, 0.5], [[1], [2]], churn_penalty=[[0.5], [5]])
    commitment = MarkovCommitment(np.eye(3), SPREAD, delay=0.1)
    assert (game.shape, game.models) == ((2, 1), 3)
    assert (commitment.shape, commitment.models) == ((3,), 3)
    r = np.array([0.2, 1.0])[:, None, None]
    passes = chain_passes(game, commitment, r)
    utility, cost = (payoff(game, commitment, r) for payoff in (chain_user_utility, chain_provider_cost))
    response = chain_best_response(game, commitment)
    assert (passes.shape, utility.shape, cost.shape, response.shape) == ((2, 2, 3, 3), (2, 2, 3), (2, 2, 3), (2, 3))
    for j, k in np.ndindex(2, 3):
        one = ChainGame(game.success[j, 0], game.cost[j, 0], game.latency[j, 0], game.value[j, 0], [0.5, 5][j])
        alone = one, MarkovCommitment(np.eye(3)[k], SPREAD, delay=[0.1, 0.1, 0.1])
        for i in range(2):
            np.testing.assert_array_equal(chain_passes(*alone, r[i, 0, 0]), passes[i, j, k])
            assert chain_user_utility(*alone, r[i, 0, 0]) == utility[i, j, k]
            assert chain_provider_cost(*alone, r[i, 0, 0]) == cost[i, j, k]
        assert chain_best_response(*alone) == pytest.approx(response[j, k], abs=1e-12)


def test_blocks_and_empty_batches() -> None:
    game, commitment = draw_chains(3, 2 * BLOCK + 3, seed=81)
    response = chain_best_response(game, commitment)
    for first in (0, BLOCK - 1, 2 * BLOCK + 2):
        one = ChainGame(*(getattr(game, name)[first] for name in game.__dataclass_fields__))
        alone = chain_best_response(one, MarkovCommitment(commitment.start[first], commitment.transition[first]))
        assert alone == pytest.approx(response[first], abs=1e-10)
    empty = ChainGame(np.zeros((0, 3)) + 0.5, [1, 1, 1], [1, 1, 1], 2, 3)
    assert chain_passes(empty, MarkovCommitment(FROM_FIRST, SPREAD), 0.5).shape == (0, 3)
    assert chain_best_response(empty, MarkovCommitment(FROM_FIRST, SPREAD)).shape == (0,)


def test_distributions_are_divided_by_their_sum() -> None:
    third = [0.3333333333, 0.3333333333, 0.3333333333]
    commitment = MarkovCommitment(third, [third] * 3)
    np.testing.assert_allclose(commitment.start, [1 / 3] * 3, rtol=1e-15)
    np.testing.assert_allclose(commitment.transition, np.full((3, 3), 1 / 3), rtol=1e-15)


FINE = {"success": [0.2, 0.5], "cost": [1, 2], "latency": [1, 2], "value": 3, "churn_penalty": 4}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("success", [0.2, 1], "success[1]: 1.0 is not allowed; expected 0 < probability < 1"),
        ("success", 0.5, "success: shape () is not allowed; expected shape (..., n): models on the last axis"),
        ("success", np.zeros((3, 0)), "success: shape (3, 0) is not allowed"),
        ("success", ["a", "b"], "expected a real number or an array of real numbers"),
        ("cost", [1, 2, 3], "cost: shape (3,) is not allowed; expected shape (..., 2): models on the last axis"),
        ("cost", [1, np.inf], "cost[1]: inf is not allowed; expected a finite number >= 0"),
        ("latency", [-1, 2], "latency[0]: -1.0 is not allowed; expected a finite number >= 0"),
        ("value", 0, "value: 0.0 is not allowed; expected a finite number > 0"),
        ("churn_penalty", np.nan, "churn_penalty: nan is not allowed; expected a finite number >= 0"),
    ],
)
def test_invalid_game(name: str, value: object, message: str) -> None:
    with pytest.raises(InvalidGameError) as caught:
        ChainGame(**{**FINE, name: value})
    assert message in str(caught.value)


STAY = np.eye(2)


@pytest.mark.parametrize(
    ("start", "transition", "delay", "message"),
    [
        ([0.5, 0.4], STAY, 0, "sum of start: 0.9 is not allowed; expected 1 within 1e-09"),
        ([1.5, -0.5], STAY, 0, "start[0]: 1.5 is not allowed; expected a probability in [0, 1]"),
        ([np.nan, 1], STAY, 0, "start[0]: nan is not allowed"),
        ([1, 0], [[1, 0], [0.5, 0.25]], 0, "sum of transition[1]: 0.75 is not allowed"),
        ([1, 0], [[1, 0], [2, -1]], 0, "transition[1, 0]: 2.0 is not allowed; expected a probability in [0, 1]"),
        ([1, 0], np.eye(3), 0, "transition: shape (3, 3) is not allowed; expected shape (..., 2, 2)"),
        ([1, 0], [0, 1], 0, "transition: shape (2,) is not allowed"),
        ([1, 0], [[1, 0]], 0, "transition: shape (1, 2) is not allowed"),
        ([1, 0], STAY, [1, 2, 3], "delay: shape (3,) is not allowed; expected shape (..., 2)"),
        ([1, 0], STAY, [0, -1], "delay[1]: -1.0 is not allowed; expected a finite number >= 0"),
        ([1, 0], STAY, np.inf, "expected a finite number >= 0"),
        ([[1, 0]] * 2, [STAY] * 3, 0, "shape: start (2,), transition (3,), delay () is not allowed"),
    ],
)
def test_invalid_commitment(start: object, transition: object, delay: object, message: str) -> None:
    with pytest.raises(InvalidGameError) as caught:
        MarkovCommitment(start, transition, delay)
    assert message in str(caught.value)


def test_invalid_calls() -> None:
    with pytest.raises(InvalidGameError, match="batch shapes that broadcast together"):
        ChainGame(**{**FINE, "value": [1, 2, 3], "churn_penalty": [1, 2]})
    game = ChainGame(**FINE)
    for models in (1, 3):
        other = MarkovCommitment(np.eye(models)[0], np.eye(models))
        message = f"commitment: a chain over {models} models is not allowed; expected one over 2, as in the game"
        for call in (
            lambda other=other: chain_passes(game, other, 1),
            lambda other=other: chain_best_response(game, other),
        ):
            with pytest.raises(InvalidGameError) as caught:
                call()
            assert str(caught.value) == message
    fine = MarkovCommitment([1, 0], STAY)
    with pytest.raises(InvalidGameError, match=r"patience: 2\.0 is not allowed"):
        chain_passes(game, fine, 2)
    with pytest.raises(ValueError, match="tie_breaking: 'kind' is not allowed"):
        chain_best_response(game, fine, "kind")
