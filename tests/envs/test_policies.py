from typing import Any

import numpy as np
import pytest

from stackroute import Commitment, Game
from stackroute.agents import FixedPatienceUser, RandomProvider, RationalUser
from stackroute.analytic import InvalidGameError
from stackroute.envs import (
    ProviderActions,
    ProviderEnv,
    ProviderVectorEnv,
    UserEnv,
    UserVectorEnv,
    register_provider,
    register_user,
)
from stackroute.envs import policies as registry
from stackroute.envs.policies import commitment_by, find_provider, find_user, patience_by_model

GAME = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)


@pytest.mark.parametrize("throttling", [False, True])
@pytest.mark.parametrize("name", ["random", "equilibrium"])
def test_a_provider_given_by_name_delays_exactly_with_throttling(name: str, throttling: bool) -> None:
    single = UserEnv("gpt-4.1-o3-dev-low-p", name, throttling=throttling)
    vectors = [UserVectorEnv(8, "g7", name, decision=decision, throttling=throttling) for decision in ("pass", "task")]
    for made in (single, *vectors):
        made.reset(seed=0)
        assert (made.tasks.commitment().delay.max() > 0) == throttling


def test_a_provider_given_as_an_object_does_as_it_likes_and_one_by_name_routes_as_the_environment() -> None:
    slow = UserVectorEnv(8, "g7", RandomProvider(throttling=True), throttling=False)
    lottery = UserVectorEnv(8, "g7", "random", routing="lottery")
    for made in (slow, lottery):
        made.reset(seed=0)
    assert slow.tasks.commitment().delay.max() > 0
    assert not lottery.tasks.commitment().is_cascade.any()


def test_registered_policies_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PROVIDERS", dict(registry._PROVIDERS))
    monkeypatch.setattr(registry, "_USERS", dict(registry._USERS))
    given: list[ProviderActions] = []
    register_provider("mine", lambda actions: given.append(actions) or RandomProvider())  # type: ignore[func-returns-value]
    register_user("mine", lambda: FixedPatienceUser(0.25))
    UserEnv(GAME, "mine", routing="lottery", throttling=False)
    assert given == [ProviderActions(2, "lottery", throttling=False)]
    assert ProviderEnv(GAME, "mine").user.patience(GAME, None, np.zeros(())) == 0.25  # type: ignore[union-attr]
    for register, name in ((register_user, "rational"), (register_provider, "random"), (register_user, "mine")):
        with pytest.raises(ValueError, match=f": '{name}' is registered already"):
            register(name, RationalUser)  # type: ignore[operator]
    with pytest.raises(TypeError, match="user: 3 is not allowed; expected what creates a policy"):
        register_user("three", 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", [3, None, RationalUser, GAME.shape])
def test_what_is_no_policy_is_an_error(policy: Any) -> None:
    with pytest.raises(TypeError, match=r"user: .* is not allowed; expected a name or an object with a patience"):
        find_user(policy)
    with pytest.raises(TypeError, match=r"provider: .* is not allowed; expected a name or an object with a commit"):
        find_provider(policy, ProviderActions())


def test_unknown_names_are_errors() -> None:
    with pytest.raises(ValueError, match="user: 'kind' is not allowed; expected one of informed, random, rational"):
        ProviderEnv(GAME, "kind")
    with pytest.raises(ValueError, match="provider: 'kind' is not allowed; expected one of equilibrium, random"):
        UserVectorEnv(2, GAME, "kind")


class Answers:
    """A policy, provider and user at once, that answers what it is given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def commit(self, game: Game, random_numbers: np.ndarray) -> Any:
        return self.answer

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: np.ndarray) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("asked", "make", "answer", "error", "message"),
    [
        (commitment_by, UserVectorEnv, [0, 0.5], TypeError, "provider: its commit method returned"),
        (commitment_by, UserVectorEnv, Commitment.static(0, models=3), ValueError, "commitments over 3 models are"),
        (commitment_by, UserVectorEnv, Commitment.static([0, 1]), ValueError, r"shape \(2,\) are not allowed"),
        (patience_by_model, ProviderVectorEnv, 1.5, InvalidGameError, r"patience: 1\.5 is not allowed"),
        (patience_by_model, ProviderVectorEnv, np.nan, InvalidGameError, "patience: nan is not allowed"),
        (patience_by_model, ProviderVectorEnv, "often", InvalidGameError, "patience"),
        (patience_by_model, ProviderVectorEnv, [0.5, 0.5], ValueError, r"patience: shape \(2, 1\) .* to \(3, 2\)"),
    ],
)
def test_wrong_answers_of_a_policy_are_errors(
    asked: Any, make: Any, answer: Any, error: type[Exception], message: str
) -> None:
    arguments = (GAME, np.zeros((3, 5))) if asked is commitment_by else (GAME, None, np.zeros(3))
    with pytest.raises(error, match=message):
        asked(Answers(answer), *arguments)
    env = make(3, GAME, Answers(answer))
    with pytest.raises(error, match=message):
        env.reset(seed=0), env.step(np.zeros((3, 4)))


class CountsItsCalls(Answers):
    def __init__(self) -> None:
        super().__init__(0.9)
        self.sizes: list[tuple[int, ...]] = []

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: np.ndarray) -> Any:
        self.sizes.append(np.shape(random_numbers))
        return super().patience(game, commitment, random_numbers)


def test_a_policy_is_asked_when_tasks_begin_and_never_for_nobody() -> None:
    user = CountsItsCalls()
    vector = ProviderVectorEnv(2, GAME, user, routing="pass", throttling=False, max_passes=50)
    vector.reset(seed=0)
    steps = [np.logical_or(*vector.step(np.zeros((2, 1)))[2:4]).any() for _ in range(30)]
    assert len(user.sizes) == 1 + sum(steps)
    assert set(user.sizes) == {(2,)}
