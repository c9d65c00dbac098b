import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackroute import Commitment, Game
from stackroute.envs import action_from_commitment, commitment_from_action, observation_space, observe
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
