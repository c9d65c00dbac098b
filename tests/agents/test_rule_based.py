import numpy as np
import pytest

from stackroute import Commitment, Game, InvalidGameError, best_response, solve
from stackroute.agents import (
    EquilibriumProvider,
    FixedPatienceUser,
    RandomProvider,
    RandomUser,
    RationalUser,
    StaticProvider,
)
from stackroute.envs import ProviderBatch, ProviderPolicy, UserPolicy

NO_DRAWS = np.zeros(4)


@pytest.mark.parametrize("policy", [EquilibriumProvider(), StaticProvider(1), RandomProvider()])
def test_providers_follow_the_protocol(policy: ProviderPolicy, cascade_game: Game) -> None:
    assert isinstance(policy, ProviderPolicy)
    assert policy.commit(cascade_game, NO_DRAWS).shape == ()


@pytest.mark.parametrize("policy", [RationalUser(), FixedPatienceUser(0.3), RandomUser()])
def test_users_follow_the_protocol(policy: UserPolicy, random_games: Game) -> None:
    assert isinstance(policy, UserPolicy)
    draws = np.linspace(0, 0.99, 300)
    patience = np.asarray(policy.patience(random_games, Commitment(np.ones(300), np.full(300, 0.5)), draws))
    assert patience.shape == (300,)
    assert ((patience >= 0) & (patience <= 1)).all()


def test_the_rational_user_at_s0_follows_its_tie_breaking(cascade_game: Game) -> None:
    at_s0 = solve(cascade_game).commitment
    assert RationalUser().patience(cascade_game, at_s0, np.zeros(())) == 1
    assert RationalUser("pessimistic").patience(cascade_game, at_s0, np.zeros(())) == 0


def test_the_equilibrium_provider_against_the_rational_user_costs_what_theory_says() -> None:
    game = Game([0.5, 0.8], [0.3, 0.6], [0.1, 0.2], value=2, churn_penalty=0.4)
    for throttling in (False, True):
        exact = solve(game, throttling=throttling)
        commitment = EquilibriumProvider(throttling).commit(game, NO_DRAWS)
        assert best_response(game, commitment) == exact.patience
        batch = ProviderBatch(game, RationalUser(), 1, tasks_per_commitment=200_000, throttling=True)
        delays = commitment.delay / float(game.value) if throttling else np.zeros(2)
        played = batch.step([[float(commitment.model == 2), float(commitment.cascade), *delays]])
        cost = played["service_cost"] + played["churn_penalty"]
        # 200,000 tasks: one standard error is about 0.3 % of either cost.
        assert cost[0] == pytest.approx(float(exact.provider_cost), rel=0.012)


def test_random_policies_cover_their_ranges(cascade_game: Game) -> None:
    draws = np.random.default_rng(0).random((4000, 4))
    commitment = RandomProvider(throttling=True).commit(cascade_game, draws)
    assert (commitment.model == 2).mean() == pytest.approx(0.5, abs=0.03)
    assert commitment.cascade.mean() == pytest.approx(0.5, abs=0.02)
    assert commitment.delay.max() <= float(cascade_game.value)
    assert (RandomProvider().commit(cascade_game, draws).delay == 0).all()


def test_bad_arguments_are_errors() -> None:
    with pytest.raises(InvalidGameError, match=r"patience: 1\.2 is not allowed"):
        FixedPatienceUser(1.2)
    with pytest.raises(InvalidGameError, match=r"model: 3\.0 is not allowed"):
        StaticProvider(3)
