import numpy as np
import pytest

from stackroute import Commitment, Game, load_game, solve
from stackroute.training.learn.evaluation import evaluate, provider_regret, random_regrets, throttled
from stackroute.training.learn.exploration import ExploringProvider


def test_the_equilibrium_has_no_regret() -> None:
    for name in ("g1", "g4b", "g5", "g7", "gpt-4.1-o3-dev-low-p"):
        game = load_game(name).game
        exact = solve(game, throttling=True)
        evaluation = evaluate(game, exact.commitment, exact.patience, throttling=True)
        assert evaluation.learned == evaluation.equilibrium
        assert (evaluation.provider_regret, evaluation.user_regret) == (0, 0)


def test_a_commitment_with_delays_is_no_play_of_a_game_without() -> None:
    game = load_game("gpt-4.1-o3-dev-low-p").game
    exact = solve(game, throttling=True)
    with pytest.raises(ValueError, match=r"commitment: delays .* are not allowed; expected none without throttling"):
        evaluate(game, exact.commitment, exact.patience, throttling=False)


def test_regrets_by_hand() -> None:
    # Both models worth it, cost of pass 0.4 and 0.75: serving the second costs 87.5 % too much.
    game = load_game("g1").game
    evaluation = evaluate(game, Commitment.static(1), np.float64(0.5), throttling=False)
    assert evaluation.provider_regret == pytest.approx(0.75 / 0.4 - 1)
    # U(r) = xi2 / (1 - 0.2 r) with xi2 = 1.3, relative to V p2 = 1.6.
    assert evaluation.user_regret == pytest.approx((1.3 / 0.8 - 1.3 / 0.9) / 1.6)
    assert evaluation.learned.provider_cost == pytest.approx((0.6 + 3 * 0.5 * 0.2) / 0.9)


def test_at_the_cliff_the_two_tie_breakings_differ(cascade_game: Game) -> None:
    exact = solve(cascade_game)
    evaluation = evaluate(cascade_game, exact.commitment, exact.patience, throttling=False)
    assert evaluation.provider_regret == 0
    # Abandoned at once: c1 + P (1 - p1) = 2.6 in place of J*.
    assert evaluation.provider_regret_pessimistic == pytest.approx(2.6 / float(exact.provider_cost) - 1)


def test_random_commitments_by_hand() -> None:
    # In g2 both models are worth it and the second one is cheaper: serving it is right, whatever else the action says.
    # Its share of the actions is a half; a cascade from the first model is right where it is nearly 1.
    game = load_game("g2").game
    evaluation = evaluate(game, Commitment.static(1), np.float64(1), throttling=False)
    generator = np.random.default_rng(5)
    start, cascade = generator.uniform(-1, 1, (2, 100_000))
    made = Commitment.cascade((start >= 0).astype(int), np.clip(0.5 + cascade / 1.8, 0, 1) * (start < 0))
    regret = provider_regret(game, made, solve(game).provider_cost)
    assert evaluation.random_right == pytest.approx((regret <= 0.01).mean(), abs=0.05)
    regrets = random_regrets(game, solve(game))
    assert regrets.shape == (1_000,)
    assert evaluation.random_regret == np.median(regrets)


def test_random_commitments_of_several_games_are_those_of_each(random_games: Game) -> None:
    games = random_games[:3]
    together = random_regrets(games, solve(games, throttling=True))
    for number in range(3):
        alone = random_regrets(games[number], solve(games[number], throttling=True))
        np.testing.assert_allclose(together[:, number], alone)


@pytest.mark.parametrize(
    ("name", "commitment", "expected"),
    [
        ("g7", Commitment.static(0), False),
        ("g7", Commitment.cascade(0, 0.0, [0.5, 2.0]), False),
        ("g7", Commitment.cascade(0, 0.0, [1.0, 0.0]), True),
        ("g7", Commitment.cascade(0, 1.0, [0.0, 1.5]), True),
        ("g7", Commitment.static(1, [2.0, 1.0]), False),
        # Leaving anyway is not throttled.
        ("g3", Commitment.cascade(0, 0.0, [1.0, 1.0]), False),
    ],
)
def test_throttled_means_that_delays_turn_staying_into_leaving(
    name: str, commitment: Commitment, expected: bool
) -> None:
    assert bool(throttled(load_game(name).game, commitment)) is expected


def test_exploration_meets_every_kind_of_commitment(cascade_game: Game) -> None:
    numbers = np.random.default_rng(0).random((20_000, 5))
    commitment = ExploringProvider(throttling=True).commit(cascade_game, numbers)
    fraction = commitment.delay / float(cascade_game.value)
    assert (fraction == 0).all(axis=1).mean() == pytest.approx(0.5, abs=0.02)
    assert ((fraction >= 0) & (fraction <= 1)).all()
    assert (fraction > 0.7).any(axis=1).mean() > 0.1
    assert {0.0, 1.0} <= set(commitment.cascade_probability[:, 0])
    assert (commitment.first_model == 1).mean() == pytest.approx(0.5, abs=0.02)
    assert (ExploringProvider(throttling=False).commit(cascade_game, numbers).delay == 0).all()
