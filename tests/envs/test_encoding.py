"""The one codec of actions and commitments, and the one encoder of observations."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackroute import Commitment, Game
from stackroute.envs import ProviderActions, observation_space, observe
from stackroute.envs.actions import PATIENCE_LEVELS, from_symmetric, patience_from
from stackroute.envs.observations import decoded_delay, feature_space, with_features

UNIT = st.floats(0, 1)
CODECS = [
    ProviderActions(models, routing, throttling, kind)  # type: ignore[arg-type]
    for models, routing, throttling, kind in product(
        (1, 2, 3, 5), ("cascade", "lottery", "pass"), (False, True), ("box", "grid")
    )
]


def some_game(models: int, value: float = 1.5, seed: int = 0) -> Game:
    generator = np.random.default_rng([models, seed])
    success, (cost, latency) = generator.uniform(0.01, 0.99, models), generator.uniform(0.01, 9, (2, models))
    return Game(success, cost, latency, value, generator.uniform(0, 4))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(codec=st.sampled_from(CODECS), value=st.floats(1e-3, 1e3), data=st.data())
def test_actions_and_commitments_are_inverse(codec: ProviderActions, value: float, data: st.DataObject) -> None:
    if codec.routing == "pass":
        codec = ProviderActions(codec.models, "lottery", codec.throttling, codec.kind)
    game = some_game(codec.models, value)
    if codec.kind == "grid":
        action: Any = data.draw(st.integers(0, len(codec.grid) - 1))
    else:
        action = np.array(data.draw(st.lists(UNIT, min_size=codec.width, max_size=codec.width)))
    commitment = codec.commitment(game, action)
    again = ProviderActions(codec.models, codec.routing, codec.throttling).commitment(
        game, codec.action(game, commitment)
    )
    assert commitment.shape == ()
    np.testing.assert_array_equal(again.start, commitment.start)
    np.testing.assert_allclose(again.transition, commitment.transition, rtol=1e-12)
    np.testing.assert_allclose(again.delay, commitment.delay, rtol=1e-14)
    assert codec.throttling or not commitment.delay.any()


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_the_grid_has_distinct_actions_of_the_box_and_samples_are_allowed(codec: ProviderActions) -> None:
    assert len(np.unique(codec.grid, axis=0)) == len(codec.grid)
    assert (np.unique(codec.grid[:, 0]) == np.arange(codec.models) / max(codec.models - 1, 1)).all()
    assert codec.box.shape == (codec.width,)
    assert all(codec.box.contains(row) for row in codec.grid)
    codec.space.seed(3)
    batch = np.array([codec.space.sample() for _ in range(5)])
    assert codec.rows(batch, (5,)).shape == (5, codec.width)
    # As commitments of a game the grid's actions differ as well.
    if codec.routing != "pass":
        made = codec.decoded(some_game(codec.models), codec.grid)
        flat = np.concatenate(
            [array.reshape(len(codec.grid), -1) for array in (made.start, made.transition, made.delay)], 1
        )
        assert len(np.unique(flat, axis=0)) == len(codec.grid)


def test_commitments_broadcast_over_games_and_actions(random_games: Game) -> None:
    actions = np.random.default_rng(3).random((5, 1, 4))
    commitment = ProviderActions().commitment(random_games, actions)
    assert commitment.shape == (5, 300)
    one = ProviderActions().commitment(random_games[7], actions[2, 0])
    np.testing.assert_array_equal(commitment[2, 7].transition, one.transition)
    np.testing.assert_array_equal(one.delay, actions[2, 0, 2:] * random_games.value[7])


def test_without_throttling_a_commitment_with_delays_has_no_action() -> None:
    with pytest.raises(ValueError, match="without throttling"):
        ProviderActions(throttling=False).action(some_game(2), Commitment.cascade(0, 0.5, [0, 0.1]))


@pytest.mark.parametrize(
    ("kind", "bad_ones", "message"),
    [
        ("box", [[0.5], [0.5, 0.5, 0.5], 0.5], "shape"),
        ("box", [[[0.5], [0.5, 0.5]]], "expected a regular array"),
        ("box", [["a", "b"], [0.5, 1.0000001], [-1e-300, 0.5], [np.nan, 0.5]], "numbers in"),
        ("grid", [22, -1, 0.5], "a whole number from 0 to 21"),
    ],
)
def test_actions_that_are_not_in_the_space_are_errors(kind: Any, bad_ones: list[Any], message: str) -> None:
    for bad in bad_ones:
        with pytest.raises(ValueError, match=message):
            ProviderActions(2, throttling=False, kind=kind).commitment(some_game(2), bad)


def test_patiences_come_from_the_box_or_the_list() -> None:
    assert patience_from([[0.25], [1.0]], "box", (2,)).tolist() == [0.25, 1]
    assert patience_from(np.arange(10), "grid", (10,)).tolist() == list(PATIENCE_LEVELS)
    assert (len(PATIENCE_LEVELS), PATIENCE_LEVELS[0], PATIENCE_LEVELS[-1]) == (10, 0, 1)
    for kind, action in (("box", [1.5]), ("box", 0.5), ("box", [np.nan]), ("grid", 10), ("grid", -1)):
        with pytest.raises(ValueError, match="action: "):
            patience_from(action, kind, ())  # type: ignore[arg-type]


def test_symmetric_actions_reach_all_numbers_and_both_ends() -> None:
    assert from_symmetric([-7, -0.95, -0.9, 0, 0.9, 0.95, 7]).tolist() == [0, 0, 0, 0.5, 1, 1, 1]
    assert from_symmetric([-7, -1, 0, 0.1, 0.9, 0.95, 7], 7).tolist() == [0, 0, 0, 0, 1, 1, 1]
    for delays in (0, 20_001):
        numbers = from_symmetric(np.linspace(-1, 1, 20_001), delays)
        assert (np.diff(numbers) >= 0).all()
        assert np.diff(numbers).max() < 5e-4
        assert (numbers[0], numbers[-1]) == (0, 1)


@pytest.mark.parametrize("routing", ["cascade", "lottery", "pass"])
def test_a_learner_whose_action_is_centred_does_not_delay(routing: Any) -> None:
    codec = ProviderActions(3, routing)
    half, delays = codec.width - codec.delays, codec.delays
    assert delays == (1 if routing == "pass" else 3)
    assert from_symmetric(np.zeros(codec.width), delays).tolist() == [*[0.5] * half, *[0] * delays]
    for action, share in ((-1, 0), (0.1, 0), (0.5, 1 / 8), (0.9, 1), (1, 1)):
        found = from_symmetric(np.full((2, codec.width), action), delays)
        np.testing.assert_allclose(found[:, half:], share, atol=1e-15)
    # Numbers that are no delays are as without any.
    actions = np.random.default_rng(0).uniform(-1, 1, (9, codec.width))
    np.testing.assert_array_equal(from_symmetric(actions, delays)[:, :half], from_symmetric(actions)[:, :half])


@settings(derandomize=True, deadline=None)
@given(models=st.sampled_from([1, 2, 3, 5]), routing=st.sampled_from(["cascade", "lottery"]), data=st.data())
def test_observations_are_the_documented_table(models: int, routing: Any, data: st.DataObject) -> None:
    codec = ProviderActions(models, routing)
    game = some_game(models, seed=data.draw(st.integers(0, 99)))
    action = np.array(data.draw(st.lists(UNIT, min_size=codec.width, max_size=codec.width)))
    commitment = codec.commitment(game, action)
    relative = game.latency / game.value
    money = game.cost.max() + game.churn_penalty
    block = [*game.success, *np.where(relative <= 1, relative, 2 - 1 / relative), *game.cost / money]
    block.append(game.churn_penalty / money)
    routed = np.diag(commitment.transition, 1) if routing == "cascade" else commitment.transition[0, 1:]
    share = action[-models:]
    committed = [*commitment.start[1:], *routed, *9 * share / (8 * share + 1)]
    seen = observe(game, commitment, routing=routing, blocks=("history", "game", "commitment"))
    np.testing.assert_allclose(seen, [*block, *committed, *commitment.start[1:], 1 / 6], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(decoded_delay(seen[5 * models - 1 : 6 * models - 1]), share, rtol=1e-5, atol=1e-6)
    assert observation_space(models, ("game", "commitment", "history")).contains(seen)
    np.testing.assert_array_equal(observe(game), [*seen[: 3 * models + 1], *[0.0] * (3 * models - 2)])


def test_observations_of_extreme_games_lie_in_the_space() -> None:
    for scale in (1e-9, 1.0, 1e9):
        game = Game([1e-9, 1 - 1e-9], [0, scale], [scale, 2 * scale], value=1e-9, churn_penalty=1e9)
        for commitment in (None, Commitment.cascade(1, 1.0, [0.0, 1e9])):
            assert observation_space().contains(observe(game, commitment))
            assert feature_space().contains(with_features(observe(game, commitment)))
    free = observe(Game([0.5, 0.6], [0, 0], [0, 0], value=1, churn_penalty=0))
    assert free[:7].tolist() == [np.float32(0.5), np.float32(0.6), 0, 0, 0, 0, 0]


def test_latency_is_encoded_without_loss_of_order() -> None:
    latency = np.geomspace(1e-3, 1e3, 200)
    pairs = np.stack([latency, 1.01 * latency], axis=-1)
    encoded = observe(Game([0.5, 0.8], [0.1, 0.8], pairs, value=1, churn_penalty=5))[:, 2].astype(float)
    assert (np.diff(encoded) > 0).all()


def test_observations_do_not_depend_on_the_units() -> None:
    game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
    scaled = Game([0.5, 0.8], [1, 8], [0.065, 0.07], value=0.11, churn_penalty=50)
    commitment, same = Commitment.cascade(0, 0.5, [0.2, 0]), Commitment.cascade(0, 0.5, [0.02, 0])
    np.testing.assert_allclose(observe(game, commitment), observe(scaled, same), rtol=1e-6)


def test_features_are_the_signs_of_net_values_and_the_logarithms_of_price_ratios() -> None:
    games = Game.concatenate([some_game(3, seed=seed).reshape(1) for seed in range(40)])
    commitment = ProviderActions(3).commitment(games, np.random.default_rng(1).random((40, 6)))
    found = with_features(observe(games, commitment))
    net = games.success * games.value[:, None] - games.latency - commitment.delay
    np.testing.assert_array_equal(found[:, 17:20], np.sign(net))
    ratio = np.log(games.churn_penalty[:, None] * games.success / games.cost) / 5
    np.testing.assert_allclose(found[:, 20:], np.clip(ratio, -1, 1), rtol=1e-3, atol=1e-3)
    assert feature_space(3).contains(found[0])
