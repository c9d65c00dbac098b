from typing import Any

import numpy as np
import pytest

from stackroute import Commitment, Game, best_response, solve
from stackroute.agents import (
    CountingUser,
    EquilibriumProvider,
    FixedPatienceUser,
    InformedUser,
    LearningUser,
    LogitUser,
    MixtureUser,
    RandomProvider,
    RandomUser,
    RationalUser,
    ShoppingUser,
    StaticProvider,
)
from stackroute.analytic import InvalidGameError, informed_response, nash_equilibria, stratified_games
from stackroute.envs import (
    InformedUserPolicy,
    ProviderEnv,
    ProviderPolicy,
    ProviderVectorEnv,
    Seen,
    StatefulUserPolicy,
    UserPolicy,
)
from stackroute.envs.policies import find_user, patience_by_model

NO_NUMBER = np.zeros(())


@pytest.mark.parametrize("policy", [EquilibriumProvider(), StaticProvider(Commitment.static(1)), RandomProvider()])
def test_providers_follow_the_protocol(policy: ProviderPolicy, cascade_game: Game) -> None:
    assert isinstance(policy, ProviderPolicy)
    assert policy.commit(cascade_game, np.zeros(5)).shape == ()


STATIONARY = [
    RationalUser(),
    FixedPatienceUser(0.3),
    RandomUser(),
    ShoppingUser(0.2),
    MixtureUser([RandomUser(), FixedPatienceUser(1)], [1, 1]),
]


@pytest.mark.parametrize("user", [*STATIONARY, InformedUser(), LogitUser(2)])
def test_stationary_users_follow_their_protocol(user: Any, random_games: Game) -> None:
    assert isinstance(user, UserPolicy) == (user in STATIONARY) != isinstance(user, InformedUserPolicy)
    assert not isinstance(user, StatefulUserPolicy)
    commitment = Commitment.cascade(np.zeros(300, dtype=int), 0.5).broadcast_to((300,))
    patience = patience_by_model(user, random_games, commitment, np.linspace(0, 0.99, 300))
    assert patience.shape == (300, 2)
    assert ((patience >= 0) & (patience <= 1)).all()
    one = patience_by_model(user, random_games[4], commitment[4], np.linspace(0, 0.99, 300)[4])
    np.testing.assert_allclose(one, patience[4], rtol=1e-12)


def test_the_rational_user_at_s0_follows_its_tie_breaking(cascade_game: Game) -> None:
    at_s0 = solve(cascade_game).commitment
    assert float(at_s0.cascade_probability[0]) == pytest.approx(4 / 13, rel=1e-12)
    for tie_breaking, stays in (("strong", 1), ("pessimistic", 0)):
        assert RationalUser(tie_breaking).patience(cascade_game, at_s0, NO_NUMBER) == stays  # type: ignore[arg-type]
        informed = InformedUser(tie_breaking).patience_by_model(cascade_game, at_s0, NO_NUMBER)  # type: ignore[arg-type]
        assert informed.tolist() == [stays, 1]
    with pytest.raises(ValueError, match="tie_breaking"):
        InformedUser("kind").patience_by_model(cascade_game, at_s0, NO_NUMBER)  # type: ignore[arg-type]


def test_random_policies_cover_their_ranges(cascade_game: Game) -> None:
    numbers = np.random.default_rng(0).random((4000, 5))
    commitment = RandomProvider(throttling=True).commit(cascade_game, numbers)
    assert commitment.first_model.mean() == pytest.approx(0.5, abs=0.03)
    assert commitment.cascade_probability.mean() == pytest.approx(0.5, abs=0.02)
    assert 0.99 * cascade_game.value < commitment.delay.max() <= cascade_game.value
    assert (RandomProvider().commit(cascade_game, numbers).delay == 0).all()
    lottery = RandomProvider(routing="lottery").commit(cascade_game, numbers)
    assert (lottery.transition[:, 0] == lottery.transition[:, 1]).all()
    three = Game([0.1, 0.5, 0.3], [1] * 3, [1] * 3, 2, 1)
    starts = RandomProvider().commit(three, np.random.default_rng(0).random((6000, 7))).first_model
    np.testing.assert_allclose(np.bincount(starts) / 6000, 1 / 3, atol=0.03)


@pytest.mark.parametrize(
    ("create", "error", "message"),
    [
        (lambda: FixedPatienceUser(1.2), InvalidGameError, r"patience: 1\.2 is not allowed"),
        (lambda: StaticProvider(1), TypeError, "commitment: 1 is not allowed"),  # type: ignore[arg-type]
        (lambda: StaticProvider(Commitment.static([0, 1])), ValueError, r"a batch of shape \(2,\) is not allowed"),
        (lambda: ShoppingUser(-1), InvalidGameError, r"outside_option: -1\.0 is not allowed"),
        (lambda: LogitUser(0), InvalidGameError, r"precision: 0\.0 is not allowed"),
        (lambda: LogitUser(np.inf), InvalidGameError, "precision: inf is not allowed"),
        (lambda: CountingUser(0), ValueError, "passes: 0 is not allowed"),
        (lambda: LearningUser(0, 1), InvalidGameError, r"alpha: 0\.0 is not allowed"),
        (lambda: LearningUser(1, -1), InvalidGameError, r"beta: -1\.0 is not allowed"),
        (lambda: MixtureUser([RandomUser()], [1, 2]), ValueError, r"shares: \[1, 2\] are not allowed"),
        (lambda: MixtureUser([RandomUser()], [0]), ValueError, r"shares: \[0\] are not allowed"),
        (lambda: MixtureUser([CountingUser(2)], [1]), TypeError, "users: .* is not allowed"),  # type: ignore[list-item]
    ],
)
def test_bad_arguments_are_errors(create: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        create()


def test_the_informed_user_tells_the_models_apart(cascade_game: Game) -> None:
    assert isinstance(find_user("informed"), InformedUser)
    only_first = Game([0.22, 0.7], [0.09, 0.11], [0.04, 0.51], value=0.64, churn_penalty=4.83)
    informed = InformedUser()
    assert informed.patience_by_model(only_first, Commitment.cascade(0, 0.3), NO_NUMBER).tolist() == [1, 0]
    # Only the second model is worth the wait: on it the user always stays, on the first one from s0 upwards.
    for cascade, stays in ((0.2, 0), (0.4, 1)):
        commitment = Commitment.cascade(0, cascade)
        found = informed.patience_by_model(cascade_game, commitment, NO_NUMBER)
        np.testing.assert_array_equal(found, informed_response(cascade_game, commitment))
        assert found.tolist() == [stays, 1]


def test_the_learning_user_needs_to_see_the_value() -> None:
    hidden = Seen(None, None, np.ones(2, dtype=int), None)
    with pytest.raises(ValueError, match="needs to see the value"):
        LearningUser(1, 1).begin(hidden, np.zeros(2))


def test_a_user_that_learns_over_tasks_comes_to_answer_like_one_that_knows() -> None:
    # Each pass is worth it for whoever knows p = .3, and for whoever believes in Beta(1, 6) at first it is not.
    game = Game([0.3], [0.1], [0.5], value=2, churn_penalty=1)
    served = {"routing": "lottery", "throttling": False, "tasks_per_commitment": 400}
    worth = {}
    for name, user in {
        "knows": RationalUser(),
        "learns": LearningUser(1, 6, over_tasks=True),
        "forgets": LearningUser(1, 6),
    }.items():
        env = ProviderVectorEnv(200, game, user, **served)  # type: ignore[arg-type]
        env.reset(seed=1)
        for _ in range(2):
            env.advance(np.zeros((200, 2)))
        infos = env.step_infos
        worth[name] = (infos["value"] - infos["latency"]).mean()
        first = env.tasks.rows.copy()
        again = ProviderVectorEnv(200, game, user, **served)  # type: ignore[arg-type]
        again.reset(seed=9)
        again.advance(np.zeros((200, 2)))
        again.reset(seed=1)
        for _ in range(2):
            again.advance(np.zeros((200, 2)))
        np.testing.assert_array_equal(again.tasks.rows, first)
        np.testing.assert_array_equal(again.step_infos["value"], infos["value"])
    exact = 2 - 0.5 / 0.3
    # 80,000 tasks, whose utility has a standard deviation of about 1.3: four standard errors.
    assert worth["knows"] == pytest.approx(exact, abs=0.02)
    assert worth["forgets"] == pytest.approx(2 * 0.3 - 0.5, abs=0.02)
    # By chance some stay cautious for long.
    assert worth["learns"] > exact - 0.15 * (exact - worth["forgets"])


@pytest.mark.parametrize("user", [InformedUser(), ShoppingUser(0.1), LogitUser(1)])
def test_users_that_answer_a_commitment_need_to_see_it(cascade_game: Game, user: Any) -> None:
    with pytest.raises(ValueError, match="answers a commitment that it sees"):
        ProviderEnv(cascade_game, user, routing="pass").reset(seed=0)
    hidden = ProviderVectorEnv(2, cascade_game, user, observe={"user": ["game"]})
    hidden.reset(seed=0)
    with pytest.raises(ValueError, match="answers a commitment that it sees"):
        hidden.step(np.zeros((2, 4)))


def test_the_rational_user_that_sees_no_commitment_plays_its_part_of_the_cheapest_nash_equilibrium(
    cascade_game: Game,
) -> None:
    games = stratified_games(300, seed=5)
    found = nash_equilibria(games)
    patience = RationalUser().patience(games, None, np.zeros(300))
    costs = np.where(found.exists, found.provider_cost, np.inf)
    cheapest = costs.argmin(axis=0)
    alone = (costs <= costs.min(axis=0) * (1 + 1e-9)).sum(axis=0) == 1
    assert alone.mean() > 0.9
    np.testing.assert_array_equal(patience[alone], found.patience[cheapest, np.arange(300)][alone])
    # All three kinds of equilibria are met, and games with several.
    assert set(cheapest[alone]) == {0, 1, 2}
    assert (found.exists.sum(axis=0) > 1).any()
    # eta1 (1 - r / 5) = eta2 (1 - r / 2) with eta = (-12 / 5, -16 / 5) at r = 5 / 7.
    for user in (RationalUser(), RationalUser("pessimistic")):
        assert float(user.patience(cascade_game, None, NO_NUMBER)) == pytest.approx(5 / 7, rel=1e-12)


def test_the_shopping_user_counts_only_what_the_value_exceeds_its_option_by(cascade_game: Game) -> None:
    commitment = Commitment.cascade(0, [0.0, 0.3, 0.6, 1.0])
    reduced = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=0.9, churn_penalty=5)
    for tie_breaking in ("strong", "pessimistic"):
        found = ShoppingUser(0.2, tie_breaking).patience(cascade_game, commitment, np.zeros(4))  # type: ignore[arg-type]
        np.testing.assert_array_equal(found, best_response(reduced, commitment, tie_breaking))  # type: ignore[arg-type]
    assert (found != best_response(cascade_game, commitment, tie_breaking)).any()  # type: ignore[arg-type]
    for option in (1.1, 5.0):
        assert (ShoppingUser(option).patience(cascade_game, commitment, np.zeros(4)) == 0).all()


@pytest.mark.parametrize("precision", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("models", [1, 2, 4])
def test_the_logit_user_is_at_its_fixed_point(models: int, precision: float) -> None:
    generator = np.random.default_rng(models)
    success, cost, latency = generator.uniform(0.1, 0.9, models), *generator.uniform(0.1, 0.6, (2, models))
    game = Game(success, cost, latency, 1.0, 1.0)
    commitment = Commitment(np.eye(models)[0], generator.dirichlet(np.ones(models), models), 0.1)
    stays = LogitUser(precision).patience_by_model(game, commitment, NO_NUMBER)
    worth = np.log(stays / (1 - stays)) / precision
    after_failure = np.log(1 + np.exp(precision * worth)) / precision
    xi = success * 1.0 - latency - 0.1
    np.testing.assert_allclose(
        worth, commitment.transition @ (xi + (1 - success) * after_failure), rtol=1e-9, atol=1e-9
    )


def test_a_logit_user_of_great_precision_is_the_informed_one(cascade_game: Game) -> None:
    for commitment in (Commitment.cascade(0, 0.2), Commitment.cascade(0, 0.4), Commitment.static(1)):
        found = LogitUser(1e5).patience_by_model(cascade_game, commitment, NO_NUMBER)
        np.testing.assert_allclose(found, informed_response(cascade_game, commitment), atol=1e-6)


def test_a_mixture_draws_its_users_by_their_shares() -> None:
    game, commitment = Game([0.5], [0.1], [0.1], 1, 1), Commitment.static(0, models=1)
    numbers = (np.arange(1000) + 0.5) / 1000
    mixture = MixtureUser([FixedPatienceUser(0.5), RandomUser(), FixedPatienceUser(0)], [1, 2, 1])
    patience = mixture.patience(game, commitment, numbers)
    assert (patience[:250] == 0.5).all()
    np.testing.assert_allclose(patience[250:750], (numbers[250:750] - 0.25) / 0.5, atol=1e-12)
    assert (patience[750:] == 0).all()
