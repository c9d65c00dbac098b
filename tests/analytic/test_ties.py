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
    provider_cost,
    regime,
    solve,
    user_utility,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# Binary fractions: V p - t and every product below are exact.
HALF, MOST = 0.5, 0.75
INDIFFERENT_TO_STANDARD = Game([HALF, MOST], [0.25, 1], [1, 1.25], value=2, churn_penalty=4)
INDIFFERENT_TO_REASONING = Game([HALF, MOST], [0.25, 1], [0.5, 1.5], value=2, churn_penalty=4)
INDIFFERENT_TO_BOTH = Game([HALF, MOST], [0.25, 1], [1, 1.5], value=2, churn_penalty=4)


def both(game: Game, commitment: Commitment) -> tuple[float, float]:
    return tuple(float(best_response(game, commitment, tie)) for tie in ("strong", "pessimistic"))


@pytest.mark.parametrize(
    ("game", "commitment"),
    [
        (INDIFFERENT_TO_STANDARD, Commitment.static(0)),
        (INDIFFERENT_TO_REASONING, Commitment.cascade(0, 1)),
        (INDIFFERENT_TO_REASONING, Commitment.static(1)),
        (INDIFFERENT_TO_BOTH, Commitment.static(0)),
        (INDIFFERENT_TO_BOTH, Commitment.cascade(0, 0.5)),
        (INDIFFERENT_TO_BOTH, Commitment.cascade(0, 1)),
        (INDIFFERENT_TO_BOTH, Commitment.static(1)),
    ],
)
def test_indifferent_user_takes_sides(game: Game, commitment: Commitment) -> None:
    utilities = user_utility(game, commitment, np.linspace(0, 1, 11))
    np.testing.assert_array_equal(utilities, np.full(11, utilities[0]))
    costs = provider_cost(game, commitment, np.linspace(0, 1, 11))
    strong, pessimistic = both(game, commitment)
    assert (strong, pessimistic) == (1, 0), "P is above both costs of pass here"
    assert provider_cost(game, commitment, strong) == costs.min()
    assert provider_cost(game, commitment, pessimistic) == costs.max()


def test_low_penalty_turns_the_sides_around() -> None:
    game = Game([HALF, MOST], [0.5, 1], [1, 1.5], value=2, churn_penalty=0.25)
    for commitment in (
        Commitment.static(0),
        Commitment.cascade(0, 0.5),
        Commitment.cascade(0, 1),
        Commitment.static(1),
    ):
        assert both(game, commitment) == (0, 1)


def test_provider_that_does_not_care_either_is_stayed_with() -> None:
    game = Game([HALF, MOST], [0.5, 1], [1, 1.5], value=2, churn_penalty=1)
    assert both(game, Commitment.static(0)) == (1, 1)


def test_interior_optimum_of_the_provider_is_taken_by_an_indifferent_user() -> None:
    # P lies between the costs of pass, so J as a function of r can have its best point inside.
    game = Game([HALF, MOST], [0.25, 3], [1, 1.5], value=2, churn_penalty=2)
    for s in (0.05, 0.1, 0.2, 0.5, 0.9):
        commitment = Commitment.cascade(0, s)
        costs = provider_cost(game, commitment, np.linspace(0, 1, 10001))
        strong, pessimistic = (provider_cost(game, commitment, r) for r in both(game, commitment))
        assert strong <= costs.min() + 1e-12
        assert strong == pytest.approx(costs.min(), rel=1e-6)
        assert pessimistic >= strong


@pytest.mark.parametrize("penalty", [0.01, 0.5, 20])
def test_strong_costs_at_most_pessimistic(random_games: Callable[..., Game], penalty: float) -> None:
    for rule in Regime:
        draw = random_games(rule, 500, seed=71 + rule)
        game = Game(draw.success, draw.cost, draw.latency, draw.value, penalty * draw.churn_penalty)
        s0 = np.nan_to_num(cascade_thresholds(game).low, nan=1.0)
        xi = np.maximum(game.net_value, 0)
        for commitment in (
            Commitment.cascade(0, s0),
            Commitment.cascade(0, s0 / 2, xi),
            Commitment.cascade(1, s0, xi),
            Commitment.cascade(0, np.zeros(500), xi),
        ):
            strong, pessimistic = (
                provider_cost(game, commitment, best_response(game, commitment, tie))
                for tie in ("strong", "pessimistic")
            )
            assert (strong <= pessimistic * (1 + 1e-12)).all()
        for throttling in (False, True):
            least = solve(game, throttling=throttling, tie_breaking="strong").provider_cost
            assert (
                least <= solve(game, throttling=throttling, tie_breaking="pessimistic").provider_cost * (1 + 1e-12)
            ).all()


def test_ties_differ_at_s0(random_games: Callable[..., Game]) -> None:
    game = random_games(Regime.ONLY_REASONING_WORTH, 3000, seed=81)
    at_s0 = Commitment.cascade(0, cascade_thresholds(game).low)
    strong, pessimistic = (best_response(game, at_s0, tie) for tie in ("strong", "pessimistic"))
    np.testing.assert_array_equal(strong, 1 - pessimistic)
    leaves, stays = (provider_cost(game, at_s0, np.full(game.shape, r)) for r in (0.0, 1.0))
    clear = np.abs(leaves - stays) > 1e-9 * leaves
    np.testing.assert_array_equal(strong[clear], (stays < leaves)[clear].astype(float))


@pytest.mark.parametrize("latency", [1.477, 1.4799, 1.47999, 1.479999])
def test_tie_at_s0_is_seen_when_s0_is_near_one(latency: float) -> None:
    # 1 - s0 carries the rounding of s0, which is large beside it.
    for value in np.linspace(1.851, 2.2, 60):
        t2 = value * 0.8 - (1.48 - latency)
        game = Game([0.5, 0.8], [0.05, 0.8], [t2 - 0.01, t2], value, churn_penalty=20)
        assert regime(game) == Regime.ONLY_REASONING_WORTH
        s0 = cascade_thresholds(game).low
        assert s0 > 0.98
        assert both(game, Commitment.cascade(0, s0)) == (1, 0)
        assert solve(game).commitment.cascade_probability[..., 0] == s0


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7])
def test_user_stays_at_s_low_when_it_is_near_one(gap: float) -> None:
    for value in np.linspace(1, 2, 40):
        game = Game([0.5, 0.8], [0.05, 0.8], [0.25 * value, 0.8 * value * (1 + gap)], value, churn_penalty=20)
        assert regime(game) == Regime.ONLY_STANDARD_WORTH
        s_low = cascade_thresholds(game).low
        assert s_low > 0.99
        assert both(game, Commitment.cascade(0, s_low)) == (1, 1)


def test_user_stays_at_s_low(random_games: Callable[..., Game]) -> None:
    game = random_games(Regime.ONLY_STANDARD_WORTH, 3000, seed=82)
    at_s_low = Commitment.cascade(0, cascade_thresholds(game).low)
    for tie in ("strong", "pessimistic"):
        assert (best_response(game, at_s_low, tie) == 1).all()


def test_a_start_on_the_reasoning_model_ignores_the_cascade() -> None:
    for game in (INDIFFERENT_TO_STANDARD, INDIFFERENT_TO_REASONING):
        answers = best_response(game, Commitment.cascade(1, np.linspace(0, 1, 5)))
        np.testing.assert_array_equal(answers, np.full(5, answers[0]))


def test_equal_costs_of_pass_give_the_user_what_it_prefers() -> None:
    faster_standard = Game([0.25, 0.5], [0.25, 0.5], [0.25, 1], value=4, churn_penalty=3)
    faster_reasoning = Game([0.25, 0.5], [0.25, 0.5], [0.75, 1], value=4, churn_penalty=3)
    assert faster_standard.cost_of_pass.tolist() == faster_reasoning.cost_of_pass.tolist() == [1, 1]
    for game, utility in ((faster_standard, 4 - 1), (faster_reasoning, 4 - 2)):
        found = solve(game)
        assert found.provider_cost == 1
        assert found.user_utility == utility


def test_penalty_at_the_switch_of_models() -> None:
    # P = (c2 - c1) / (p2 - p1) = 2 exactly: A1 = A2.
    game = Game([0.25, 0.5], [0.5, 1], [1.25, 2], value=2, churn_penalty=[1.99, 2, 2.01])
    found = solve(game)
    assert regime(game).tolist() == [Regime.NEITHER_WORTH] * 3
    assert found.commitment.first_model.tolist() == [0, 0, 1], "a tie goes to the model that the user prefers"
    np.testing.assert_allclose(found.provider_cost, [0.5 + 1.99 * 0.75, 2, 1 + 2.01 * 0.5])


def test_delay_to_indifference_is_felt_as_exactly_zero(random_games: Callable[..., Game]) -> None:
    game = random_games(Regime.BOTH_WORTH, 3000, seed=83)
    assert not game.with_delay(game.net_value).any()
