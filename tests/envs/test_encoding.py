import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackroute import Commitment, Game
from stackroute.envs import (
    RoutingBatch,
    action_from_commitment,
    commitment_from_action,
    observation_space,
    observe,
    raw_env,
)
from stackroute.envs.encoding import from_symmetric

UNIT = st.floats(0, 1)


@settings(derandomize=True, deadline=None)
@given(model=st.sampled_from([1, 2]), cascade=UNIT, delay=st.tuples(UNIT, UNIT), value=st.floats(1e-3, 1e3))
def test_action_and_commitment_are_inverse(
    model: int, cascade: float, delay: tuple[float, float], value: float
) -> None:
    game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=value, churn_penalty=5)
    commitment = Commitment(model, cascade, np.array(delay) * value)
    again = commitment_from_action(game, action_from_commitment(game, commitment, throttling=True))
    assert int(again.model) == model
    assert float(again.cascade) == cascade
    np.testing.assert_allclose(again.delay, commitment.delay, rtol=1e-15, atol=0)


def test_without_throttling_actions_have_no_delay(cascade_game: Game) -> None:
    commitment = commitment_from_action(cascade_game, [0.5, 0.25])
    assert (int(commitment.model), float(commitment.cascade), commitment.delay.tolist()) == (2, 0.25, [0, 0])
    with pytest.raises(ValueError, match="without throttling"):
        action_from_commitment(cascade_game, Commitment(1, 0.5, [0, 0.1]), throttling=False)


def test_dead_zones_reach_the_ends_and_keep_the_middle() -> None:
    np.testing.assert_allclose(from_symmetric([-1, -0.9, -0.45, 0, 0.45, 0.9, 1]), [0, 0, 0.25, 0.5, 0.75, 1, 1])
    assert from_symmetric(-0.95) == 0
    assert from_symmetric(0.95) == 1


def test_observations_of_extreme_games_lie_in_the_space() -> None:
    for scale in (1e-9, 1.0, 1e9):
        game = Game([1e-9, 1 - 1e-9], [0, scale], [scale, 2 * scale], value=1e-9, churn_penalty=1e9)
        for commitment in (None, Commitment(2, 1.0, [0.0, 1e9])):
            assert observation_space().contains(observe(game, commitment))


def test_latency_is_encoded_without_loss_of_order() -> None:
    latency = np.geomspace(1e-3, 1e3, 200)
    pairs = np.stack([latency, 1.01 * latency], axis=-1)
    encoded = observe(Game([0.5, 0.8], [0.1, 0.8], pairs, value=1, churn_penalty=5))[:, 2].astype(float)
    assert (np.diff(encoded) > 0).all()
    np.testing.assert_allclose(encoded[latency <= 1], latency[latency <= 1], rtol=1e-6)


def test_observations_do_not_depend_on_the_units() -> None:
    game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
    scaled = Game([0.5, 0.8], [1, 8], [0.065, 0.07], value=0.11, churn_penalty=50)
    commitment, same = Commitment(1, 0.5, [0.2, 0]), Commitment(1, 0.5, [0.02, 0])
    np.testing.assert_allclose(observe(game, commitment), observe(scaled, same), rtol=1e-6)


def test_batches_are_encoded_as_their_members(random_games: Game) -> None:
    commitment = Commitment([[1], [2]], [[0.25], [0.75]])
    encoded = observe(random_games, commitment)
    assert encoded.shape == (2, 300, 11)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded[1, 17], observe(random_games[17], commitment[1, 0]))


def documented(game: Game, commitment: Commitment | None) -> list[float]:
    """The table of `observation_space`, entry by entry, for a single game."""
    relative = [float(t / game.value) for t in game.latency]
    money = float(game.cost.max() + game.churn_penalty)
    entries = [float(p) for p in game.success]
    entries += [t if t <= 1 else 2 - 1 / t for t in relative]
    entries += [float(c) / money for c in game.cost] + [float(game.churn_penalty) / money]
    if commitment is None:
        return entries + [0.0] * 4
    delays = [math.log(1 + 50 * min(float(d / game.value), 1)) / math.log(51) for d in commitment.delay]
    return [*entries, float(commitment.model == 2), float(commitment.cascade), *delays]


@settings(derandomize=True, deadline=None)
@given(
    index=st.integers(0, 299),
    model=st.sampled_from([1, 2]),
    cascade=UNIT,
    delay=st.tuples(st.floats(0, 10), st.floats(0, 10)),
)
def test_observations_are_the_documented_table(
    index: int, model: int, cascade: float, delay: tuple[float, float]
) -> None:
    generator = np.random.default_rng(index)
    success, cost, latency = (np.sort(generator.uniform(0.01, high, 2)) for high in (0.99, 9, 9))
    game = Game(success, cost, latency, generator.uniform(0.2, 3), generator.uniform(0, 4))
    for commitment in (None, Commitment(model, cascade, delay)):
        seen = observe(game, commitment)
        np.testing.assert_allclose(seen, documented(game, commitment), rtol=1e-6, atol=1e-7)
        assert observation_space().contains(seen)


def test_tasks_in_play_are_encoded_as_their_commitments(random_games: Game) -> None:
    batch = RoutingBatch(random_games, 200, seed=4, throttling=True)
    index = batch._tasks["game"].copy()
    np.testing.assert_array_equal(batch.observation, observe(random_games[index]))
    actions = np.random.default_rng(0).random((200, 4))
    actions[:50, 2:] = 0
    step = batch.step(actions, np.zeros(200, dtype=int))
    on = ~step.terminated
    expected = observe(random_games[index], commitment_from_action(random_games[index], actions))
    np.testing.assert_array_equal(step.observation[on], expected[on])
    np.testing.assert_array_equal(batch.final_observation[~on], expected[~on])


def test_a_history_ends_at_one() -> None:
    hopeless = Game([1e-12, 2e-12], [0.1, 0.2], [0.1, 0.2], value=1, churn_penalty=1)
    env = raw_env(hopeless, observe="history", max_passes=30)
    env.reset(seed=0)
    env.step(np.array([0.0, 1.0]))
    entries = [env.observe("user_0")[11:].tolist()]
    while not env.task.over:
        env.step(0)
        entries.append(env.observe("user_0")[11:].tolist())
    assert [model for model, _ in entries] == [0.0] + [1.0] * 30
    passes = [*range(1, 31), 30]
    np.testing.assert_allclose([code for _, code in entries], np.log1p(passes) / np.log(31), rtol=1e-6)
    assert entries[-1][1] == 1


def test_commitments_broadcast_over_games_and_actions(random_games: Game) -> None:
    actions = np.random.default_rng(3).random((5, 1, 4))
    commitment = commitment_from_action(random_games, actions)
    assert commitment.shape == (5, 300)
    assert commitment.delay.shape == (5, 300, 2)
    one = commitment_from_action(random_games[7], actions[2, 0])
    assert (int(commitment.model[2, 7]), commitment.cascade[2, 7]) == (int(one.model), float(one.cascade))
    np.testing.assert_array_equal(commitment.delay[2, 7], one.delay)
    np.testing.assert_array_equal(one.delay, actions[2, 0, 2:] * random_games.value[7])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([0.5], "shape"),
        ([0.5, 0.5, 0.5], "shape"),
        (0.5, "shape"),
        ([0.5, 1.0000001], "numbers in"),
        ([-1e-300, 0.5], "numbers in"),
        ([np.nan, 0.5], "numbers in"),
    ],
)
def test_actions_outside_the_box_are_errors(cascade_game: Game, action: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        commitment_from_action(cascade_game, action)
