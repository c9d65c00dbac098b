import numpy as np
import pytest

from stackroute import Commitment, Game, InvalidGameError, best_response, solve
from stackroute.agents import (
    EquilibriumProvider,
    FixedPatienceUser,
    InformedUser,
    RandomProvider,
    RandomUser,
    RationalUser,
    StaticProvider,
)
from stackroute.analytic import informed_response, nash_equilibria, stratified_games
from stackroute.envs import InformedUserPolicy, PassBatch, ProviderBatch, ProviderEnv, ProviderPolicy, UserPolicy
from stackroute.envs.policies import find_user, patience_by_model

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


def test_the_informed_user_follows_its_protocol(random_games: Game) -> None:
    user = InformedUser()
    assert isinstance(user, InformedUserPolicy)
    assert not isinstance(user, UserPolicy)
    assert isinstance(find_user("informed"), InformedUser)
    commitment = Commitment(np.ones(300), np.full(300, 0.5))
    patience = user.patience_by_model(random_games, commitment, np.zeros(300))
    np.testing.assert_array_equal(patience, informed_response(random_games, commitment))
    assert patience.shape == (300, 2)
    assert set(np.unique(patience)) == {0.0, 1.0}
    one = user.patience_by_model(random_games[4], commitment[4], np.zeros(()))
    np.testing.assert_array_equal(one, patience[4])
    np.testing.assert_array_equal(
        patience_by_model(user, random_games, commitment, np.zeros(300)),
        user.patience_by_model(random_games, commitment, np.zeros(300)),
    )


def test_the_informed_user_tells_the_models_apart(cascade_game: Game) -> None:
    only_standard = Game([0.22, 0.7], [0.09, 0.11], [0.04, 0.51], value=0.64, churn_penalty=4.83)
    no_draw = np.zeros(())
    assert InformedUser().patience_by_model(only_standard, Commitment(1, 0.3), no_draw).tolist() == [1, 0]
    # Only the reasoning model is worth the wait: on it the user always stays, on the standard one from s0 upwards.
    for cascade, stays in ((0.2, 0), (0.4, 1)):
        seen = InformedUser().patience_by_model(cascade_game, Commitment(1, cascade), no_draw)
        assert seen.tolist() == [stays, 1]


def test_the_informed_user_at_s0_follows_its_tie_breaking(cascade_game: Game) -> None:
    at_s0 = solve(cascade_game).commitment
    assert InformedUser().patience_by_model(cascade_game, at_s0, np.zeros(())).tolist() == [1, 1]
    assert InformedUser("pessimistic").patience_by_model(cascade_game, at_s0, np.zeros(())).tolist() == [0, 1]
    with pytest.raises(ValueError, match="tie_breaking"):
        InformedUser("kind").patience_by_model(cascade_game, at_s0, np.zeros(()))  # type: ignore[arg-type]


def test_the_informed_user_needs_a_commitment_to_see(cascade_game: Game) -> None:
    with pytest.raises(ValueError, match="an informed user answers a commitment that it sees"):
        InformedUser().patience_by_model(cascade_game, None, np.zeros(()))
    with pytest.raises(ValueError, match="an informed user answers a commitment that it sees"):
        PassBatch(cascade_game, "informed", 3)
    with pytest.raises(ValueError, match="an informed user answers a commitment that it sees"):
        ProviderEnv(cascade_game, "informed", commitment="pass").reset(seed=0)


def test_the_rational_user_that_sees_no_commitment_plays_its_part_of_the_cheapest_nash_equilibrium() -> None:
    games = stratified_games(300, seed=5)
    found = nash_equilibria(games)
    patience = RationalUser().patience(games, None, np.zeros(300))
    costs = np.where(found.exists, found.provider_cost, np.inf)
    cheapest = costs.argmin(axis=0)
    alone = (costs <= costs.min(axis=0) * (1 + 1e-9)).sum(axis=0) == 1
    assert alone.mean() > 0.9
    np.testing.assert_array_equal(patience[alone], found.patience[cheapest, np.arange(300)][alone])
    # All three kinds of equilibria are met, and patiences strictly between 0 and 1.
    assert set(cheapest[alone]) == {0, 1, 2}
    assert ((patience > 0) & (patience < 1)).any()
    assert (found.exists.sum(axis=0) > 1).any()


def test_the_rational_user_without_a_commitment_is_as_patient_as_the_mix_on_the_cascade_game(
    cascade_game: Game,
) -> None:
    # eta1 (1 - r / 5) = eta2 (1 - r / 2) with eta = (-12 / 5, -16 / 5) at r = 5 / 7.
    for user in (RationalUser(), RationalUser("pessimistic")):
        assert float(user.patience(cascade_game, None, np.zeros(()))) == pytest.approx(5 / 7, rel=1e-12)
    assert RationalUser().patience(cascade_game, Commitment(2, 0.0), np.zeros(())) == 1
