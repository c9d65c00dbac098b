from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

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
    success_probability,
    user_utility,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PAYOFFS = [expected_passes, success_probability, user_utility, provider_cost]


@pytest.fixture(scope="module")
def games(random_games: Callable[..., Game]) -> Game:
    """Eight games of each regime in a batch of shape (4, 8)."""
    return Game.stack([random_games(rule, 8, seed=11 + rule) for rule in Regime])


@pytest.fixture(scope="module")
def commitments() -> Commitment:
    rng = np.random.default_rng(5)
    return Commitment.cascade(rng.integers(0, 2, (4, 8)), rng.random((4, 8)), rng.random((4, 8, 2)))


@pytest.mark.parametrize("throttling", [False, True])
@pytest.mark.parametrize("tie_breaking", ["strong", "pessimistic"])
def test_solve_of_a_batch_equals_a_loop(games: Game, throttling: bool, tie_breaking: str) -> None:
    batch = solve(games, throttling=throttling, tie_breaking=tie_breaking)
    for index in np.ndindex(games.shape):
        single = solve(games[index], throttling=throttling, tie_breaking=tie_breaking)
        for name in ("patience", "provider_cost", "user_utility", "user_utility_worst", "regime", "route"):
            assert getattr(batch, name)[index] == getattr(single, name)
        for name in ("start", "transition", "delay"):
            np.testing.assert_array_equal(getattr(batch.commitment, name)[index], getattr(single.commitment, name))


@pytest.mark.parametrize("tie_breaking", ["strong", "pessimistic"])
def test_response_and_payoffs_of_a_batch_equal_a_loop(games: Game, commitments: Commitment, tie_breaking: str) -> None:
    r = best_response(games, commitments, tie_breaking)
    results = [function(games, commitments, r) for function in PAYOFFS]
    gaps, candidates, codes = misalignment(games), cascade_thresholds(games).low, regime(games)
    for index in np.ndindex(games.shape):
        game, commitment = games[index], commitments[index]
        assert best_response(game, commitment, tie_breaking) == r[index]
        for function, result in zip(PAYOFFS, results, strict=True):
            np.testing.assert_array_equal(function(game, commitment, r[index]), result[index])
        assert misalignment(game).gap == gaps.gap[index]
        assert misalignment(game).preferred_model == gaps.preferred_model[index]
        np.testing.assert_array_equal(cascade_thresholds(game).low, candidates[index])
        assert regime(game) == codes[index]


TWO = Game([0.3, 0.8], [0.1, 0.8], [0.2, 0.7], value=[[0.5], [0.9], [2.0]], churn_penalty=5)
THREE = Game([0.1, 0.4, 0.8], [0.1, 0.2, 0.9], [0.2, 0.3, 0.5], value=[[1], [2]], churn_penalty=[[0.5], [5]])
SPREAD = [[0.5, 0.25, 0.25], [0.125, 0.5, 0.375], [0.25, 0.5, 0.25]]


@pytest.mark.parametrize(
    ("game", "commitment"),
    [
        (TWO, Commitment.cascade([0, 0, 0, 1], [0, 0.5, 1, 0])),
        (TWO, Commitment.stack([Commitment.cascade(0, 0.4), Commitment.lottery([0.5, 0.5], [0.7, 0.3])])),
        (THREE, Commitment(np.eye(3), SPREAD, delay=0.1)),
    ],
    ids=["cascades", "a cascade and a lottery", "three models"],
)
def test_games_broadcast_against_commitments_and_patience(game: Game, commitment: Commitment) -> None:
    shape = (*game.shape[:1], *commitment.shape)
    response = best_response(game, commitment)
    assert response.shape == shape
    patience = np.stack([response, np.full(shape, 0.2)])
    results = [function(game, commitment, patience) for function in PAYOFFS]
    assert [result.shape for result in results] == [(2, *shape, game.models), *[(2, *shape)] * 3]
    for j, k in np.ndindex(shape):
        alone = game[j, 0], commitment[k]
        assert best_response(*alone) == pytest.approx(response[j, k], abs=1e-12)
        for i in range(2):
            for function, result in zip(PAYOFFS, results, strict=True):
                np.testing.assert_array_equal(function(*alone, patience[i, j, k]), result[i, j, k])


def test_fields_of_a_game_broadcast() -> None:
    game = Game([0.3, 0.8], np.full((2, 1, 2), [0.1, 0.8]), [0.2, 0.7], value=[1, 2, 3], churn_penalty=5)
    assert game.shape == (2, 3)
    assert game.success.shape == game.net_value.shape == game.net_cost.shape == game.cost_of_pass.shape == (2, 3, 2)
    assert solve(game).provider_cost.shape == (2, 3)
    assert game[0].shape == (3,)
    assert game[1, 2].shape == ()
    assert game.reshape(6).shape == (6,)
    np.testing.assert_array_equal(game.reshape(6).value, [1, 2, 3, 1, 2, 3])


@pytest.mark.parametrize("throttling", [False, True])
def test_an_empty_batch_has_an_empty_solution(throttling: bool) -> None:
    game = Game(np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2)), np.empty(0), np.empty(0))
    assert solve(game, throttling=throttling).provider_cost.shape == (0,)


def test_single_results_are_scalars() -> None:
    game = Game([0.3, 0.8], [0.1, 0.8], [0.2, 0.7], value=2, churn_penalty=5)
    found = solve(game)
    for value in (found.patience, found.provider_cost, found.user_utility, found.regime, cascade_thresholds(game).low):
        assert np.ndim(value) == 0
        assert isinstance(value, np.generic)


def test_a_commitment_broadcasts_to_a_shape() -> None:
    commitment = Commitment.cascade(0, 0.3, [0.1, 0.2]).broadcast_to((2, 3))
    assert commitment.shape == (2, 3)
    assert commitment.delay.shape == (2, 3, 2)
    np.testing.assert_array_equal(commitment.first_model, np.zeros((2, 3)))


def test_an_ellipsis_selects_games_not_models() -> None:
    game = Game(np.array([[[0.3, 0.6], [0.4, 0.7]]] * 5), [0.1, 0.8], [0.2, 0.7], value=2, churn_penalty=5)
    np.testing.assert_array_equal(game[..., 0].success[0], [0.3, 0.6])
    np.testing.assert_array_equal(game[..., 0].success, game[:, 0].success)
    commitment = Commitment.cascade(np.ones((5, 2)), 0.5, np.arange(20.0).reshape(5, 2, 2))
    np.testing.assert_array_equal(commitment[..., 1].delay, commitment[:, 1].delay)


def test_batches_are_sequences_along_their_first_axis() -> None:
    game = Game([[0.3, 0.6], [0.4, 0.7], [0.5, 0.8]], [0.1, 0.8], [0.2, 0.7], value=2, churn_penalty=5)
    assert len(game) == 3
    assert [single.success[0] for single in game] == [0.3, 0.4, 0.5]
    with pytest.raises(TypeError, match="a single Game has no length"):
        list(game[0])


def test_batches_are_put_together() -> None:
    game = Game([[0.3, 0.6], [0.4, 0.7], [0.5, 0.8]], [0.1, 0.8], [0.2, 0.7], value=2, churn_penalty=5)
    for whole in (Game.concatenate([game[:1], game[1:]]), Game.stack(list(game))):
        for name in ("success", "cost", "latency", "value", "churn_penalty"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(game, name))
    commitment = Commitment.stack(
        [Commitment.static(1, 0.5), Commitment.cascade(0, 0.25), Commitment.lottery(*[[0.5, 0.5]] * 2)]
    )
    assert commitment.shape == (3,)
    assert commitment.first_model.tolist() == [1, 0, 0]
    assert commitment.is_cascade.tolist() == [True, True, False]
    assert commitment.cascade_probability[:, 0].tolist() == [0, 0.25, 0.5]
    assert not commitment.without_delay().delay.any()
    assert commitment.delay.any()
