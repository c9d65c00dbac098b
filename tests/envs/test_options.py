"""What the options that all environments share promise; `test_one_set_of_rules.py` plays them by the documentation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from stackroute import Game, load_game
from stackroute.agents import CountingUser
from stackroute.analytic import random_games as drawn_uniformly
from stackroute.analytic import stratified_games
from stackroute.envs import ProviderEnv, RoutingBatch, Variant, observe, raw_env

NAMES = ["g1", "g2", "g3", "g4b", "g5"]


def test_relative_games_look_the_same() -> None:
    games = drawn_uniformly(5000, seed=2)
    relative = Variant.of(games, reward_unit="relative")
    # In float64 they differ by rounding, which float32 hides but for about one entry in a billion.
    np.testing.assert_array_equal(relative.encoded_games, observe(games, blocks=["game"]))
    np.testing.assert_allclose(relative.games.cost[:, 1] + relative.games.churn_penalty, 1, rtol=1e-15)
    assert (relative.games.value == 1).all()


def test_money_keeps_its_unit_where_there_is_none() -> None:
    free = Game([0.5, 0.8], [0, 0], [0.1, 0.3], value=4, churn_penalty=0)
    games = Variant.of(free, reward_unit="relative").games
    assert games.cost.tolist() == [[0, 0]]
    assert (games.churn_penalty.tolist(), games.latency.tolist()) == ([0], [[0.025, 0.075]])


def test_a_user_is_shown_what_it_observes(cascade_game: Game) -> None:
    seen = []

    class Curious(CountingUser):
        def stay(self, state: Any, now: Any) -> Any:
            seen.append(now)
            return super().stay(state, now)

    for blocks in (["game", "commitment"], ["history"]):
        env = ProviderEnv(cascade_game, Curious(3), observe={"user": blocks})
        for seed in range(9):
            env.reset(seed=seed)
            env.step(np.array([1.0, 0.0, 0.0, 0.5]))
        now = seen[-1]
        if "game" in blocks:
            assert now.game.value.tolist() == [1.1]
            assert now.commitment.delay.tolist() == [[0.0, 0.55]]
            assert now.model is None
        else:
            assert (now.game, now.commitment, now.model.tolist()) == (None, None, [1])
    assert {int(now.passes[0]) for now in seen} >= {1, 2}


@pytest.mark.parametrize("kind", ["names", "batch", "strata"])
def test_games_are_drawn_uniformly(kind: str, random_games: Game) -> None:
    # Three chi-square tests with fixed seeds; a correct program fails one of them with probability 3e-4.
    games = {"names": NAMES, "batch": random_games[:37], "strata": stratified_games(60, seed=1)}[kind]
    several, rows = len(games), []
    batch = RoutingBatch(games, 100, seed=500)
    while len(rows) < 200 * several:
        rows += batch.tasks.rows["game"][batch.awaits_commitment].tolist()
        batch.step(np.zeros((100, 4)), np.ones(100, dtype=int))
    counts = np.bincount(rows, minlength=several)
    assert len(counts) == several
    assert stats.chisquare(counts).pvalue > 1e-4


def test_a_list_is_its_games_in_order_with_their_labels() -> None:
    both = Variant.of(["g1", load_game("gpt-4.1-o3-dev"), stratified_games(3, seed=0)])
    assert both.games.shape == (5,)
    assert both.labels[1] == load_game("gpt-4.1-o3-dev").labels
    assert both.games.value[0] == 2
    np.testing.assert_array_equal(both.games.cost[2:], stratified_games(3, seed=0).cost)
    env = raw_env(["g1", "gpt-4.1-o3-dev"], render_mode="ansi")
    for number in range(8):
        env.reset(seed=3 if number == 0 else None)
        config = load_game(["g1", "gpt-4.1-o3-dev"][env.tasks.rows["game"][0]])
        assert " or ".join(config.labels) in env.render()
        np.testing.assert_array_equal(env.observe("provider_0"), observe(config.game, blocks=["game"]))
