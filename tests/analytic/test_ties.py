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
    solve_informed,
    user_utility,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# Binary fractions: V p - t and every product below are exact.
HALF, MOST = 0.5, 0.75
INDIFFERENT_TO_STANDARD = Game([HALF, MOST], [0.25, 1], [1, 1.25], value=2, churn_penalty=4)
INDIFFERENT_TO_REASONING = Game([HALF, MOST], [0.25, 1], [0.5, 1.5], value=2, churn_penalty=4)
INDIFFERENT_TO_BOTH = Game([HALF, MOST], [0.25, 1], [1, 1.5], value=2, churn_penalty=4)
EVERYWHERE = [Commitment.static(0), Commitment.cascade(0, 0.5), Commitment.cascade(0, 1), Commitment.static(1)]


def both(game: Game, commitment: Commitment) -> tuple[float, float]:
    return tuple(float(best_response(game, commitment, tie)) for tie in ("strong", "pessimistic"))


@pytest.mark.parametrize(
    ("game", "commitments"),
    [
        (INDIFFERENT_TO_STANDARD, [Commitment.static(0)]),
        (INDIFFERENT_TO_REASONING, [Commitment.cascade(0, 1), Commitment.static(1)]),
        (INDIFFERENT_TO_BOTH, EVERYWHERE),
    ],
)
@pytest.mark.parametrize(("penalty", "sides"), [(4, (1, 0)), (0.25, (0, 1)), (None, (1, 1))])
def test_indifferent_user_takes_sides(
    game: Game, commitments: list[Commitment], penalty: float | None, sides: tuple[float, float]
) -> None:
    # P above both costs of pass, below both, and equal to both: then the provider does not care either.
    cost = [0.25, 1] if penalty == 4 else [0.5, 1]
    if penalty is None:
        cost, penalty = [0.5, 0.75], 1
    game = Game(game.success, cost, game.latency, game.value, penalty)
    for commitment in commitments:
        utilities, costs = (payoff(game, commitment, np.linspace(0, 1, 11)) for payoff in (user_utility, provider_cost))
        np.testing.assert_array_equal(utilities, np.full(11, utilities[0]))
        assert both(game, commitment) == sides
        strong, pessimistic = (provider_cost(game, commitment, r) for r in sides)
        np.testing.assert_allclose([strong, pessimistic], [costs.min(), costs.max()], rtol=1e-15)


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


@pytest.mark.parametrize("gap", [None, 1e-3, 1e-5, 1e-7])
def test_user_stays_at_s_low_also_when_it_is_near_one(random_games: Callable[..., Game], gap: float | None) -> None:
    if gap is None:
        game = random_games(Regime.ONLY_STANDARD_WORTH, 3000, seed=82)
    else:
        value = np.linspace(1, 2, 40)
        latency = np.multiply.outer(value, [0.25, 0.8 * (1 + gap)])
        game = Game([0.5, 0.8], [0.05, 0.8], latency, value, churn_penalty=20)
        assert (cascade_thresholds(game).low > 0.99).all()
    assert (regime(game) == Regime.ONLY_STANDARD_WORTH).all()
    at_s_low = Commitment.cascade(0, cascade_thresholds(game).low)
    for tie in ("strong", "pessimistic"):
        assert (best_response(game, at_s_low, tie) == 1).all()


def test_a_start_on_the_reasoning_model_ignores_the_cascade() -> None:
    for game in (INDIFFERENT_TO_STANDARD, INDIFFERENT_TO_REASONING):
        answers = best_response(game, Commitment.cascade(1, np.linspace(0, 1, 5)))
        np.testing.assert_array_equal(answers, np.full(5, answers[0]))


@pytest.mark.parametrize(("latency", "best", "worst"), [([0.25, 1], 3, 2), ([0.75, 1], 2, 1)])
def test_equal_costs_of_pass_give_the_user_what_it_prefers(latency: list[float], best: float, worst: float) -> None:
    game = Game([0.25, 0.5], [0.25, 0.5], latency, value=4, churn_penalty=3)
    found, informed = solve(game), solve_informed(game)
    assert (found.provider_cost, found.user_utility, found.user_utility_worst) == (1, best, worst)
    assert (informed.provider_cost, informed.user_utility) == (1, best)


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


@pytest.mark.parametrize("churn_penalty", [1, 1 - 2**-20, 1 + 2**-20])
def test_penalty_at_the_end_of_throttling_of_both(churn_penalty: float) -> None:
    # kappa1 = 1 < kappa2 = 1.5, so throttling pays below P* = 1; at P* itself the user is kept, without delay.
    game = Game([0.25, 0.5], [0.25, 0.75], [0.25, 1], value=4, churn_penalty=churn_penalty)
    found = solve(game, throttling=True)
    assert found.commitment.first_model == 0
    if churn_penalty < 1:
        assert (found.patience, found.user_utility) == (0, 0.75)
        assert found.provider_cost == 0.25 + churn_penalty * 0.75
    else:
        assert (found.patience, found.user_utility, found.provider_cost) == (1, 3, 1)
        assert not found.commitment.delay.any()


def test_penalty_at_the_ends_of_throttling_of_the_reasoning_model() -> None:
    # kappa1 = 2 > kappa2 = 1.5, slope (c2 - c1) / (p2 - p1) = 1: throttling pays for P strictly between 1 and 1.5.
    game = Game([0.25, 0.5], [0.5, 0.75], [1.25, 1.5], value=4, churn_penalty=[1, 1.25, 1.5])
    assert (game.net_value == [-0.25, 0.5]).all()
    free, slow = solve(game), solve(game, throttling=True)
    np.testing.assert_array_equal(slow.provider_cost, [1.25, 1.375, 1.5])
    np.testing.assert_array_equal(slow.provider_cost < free.provider_cost, [False, True, False])
    # At the lower end the costs tie, and the user prefers a slow second model (0) to the first (-0.25).
    np.testing.assert_array_equal(slow.commitment.delay, [[0, 0.5], [0, 0.5], [0, 0]])
    np.testing.assert_array_equal(slow.user_utility[:2], [0, 0])
    assert slow.patience[2] == 1
    assert slow.user_utility[2] == 1


@pytest.mark.parametrize("throttling", [False, True])
def test_solution_of_games_with_a_net_value_of_zero(throttling: bool) -> None:
    # kappa = (0.5, 1) and P = 4: the provider wants an indifferent user to stay, and such a user does.
    latencies = {Regime.ONLY_REASONING_WORTH: [1, 1.25], Regime.ONLY_STANDARD_WORTH: [0.5, 1.5]}
    for rule, latency in latencies.items():
        game = Game([0.5, 0.75], [0.25, 0.75], latency, value=2, churn_penalty=4)
        assert (game.net_value == 0).sum() == 1
        found = solve(game, throttling=throttling)
        assert found.regime == rule
        assert (found.commitment.first_model, found.commitment.cascade_probability[0], found.patience) == (0, 0, 1)
        assert found.provider_cost == 0.5
        assert found.user_utility == (0 if rule == Regime.ONLY_REASONING_WORTH else 1)
