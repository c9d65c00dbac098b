from typing import Any

import gymnasium
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
    single.reset(seed=0)
    assert (single.tasks.commitment().delay.max() > 0) == throttling
    for decision in ("pass", "task"):
        user = UserVectorEnv(8, "g7", name, decision=decision, throttling=throttling)
        assert (user.reset(seed=0)[0][:, 9:11].max() > 0) == throttling


def test_a_provider_given_as_an_object_does_as_it_likes() -> None:
    user = UserVectorEnv(8, "g7", RandomProvider(throttling=True), throttling=False)
    assert user.reset(seed=0)[0][:, 9:11].max() > 0


def test_a_provider_given_by_name_routes_as_the_environment() -> None:
    user = UserVectorEnv(8, "g7", "random", routing="lottery")
    user.reset(seed=0)
    assert not user.tasks.commitment().is_cascade.any()


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
    ("answer", "error", "message"),
    [
        ([0, 0.5], TypeError, "its commit method returned"),
        (Commitment.static(0, models=3), ValueError, "commitments over 3 models are not allowed; expected"),
        (Commitment.static([0, 1]), ValueError, r"commitments of shape \(2,\) are not allowed; expected \(3,\)"),
    ],
)
def test_wrong_commitments_of_a_policy_are_errors(answer: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"provider: {message}"):
        commitment_by(Answers(answer), GAME, np.zeros((3, 5)))
    with pytest.raises(error, match="provider: "):
        UserVectorEnv(3, GAME, Answers(answer)).reset(seed=0)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (1.5, InvalidGameError, r"patience: 1\.5 is not allowed"),
        (np.nan, InvalidGameError, "patience: nan is not allowed"),
        ("often", InvalidGameError, "patience"),
        ([0.5, 0.5], ValueError, r"patience: shape \(2, 1\) is not allowed; expected one that broadcasts to \(3, 2\)"),
    ],
)
def test_wrong_patiences_of_a_policy_are_errors(answer: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        patience_by_model(Answers(answer), GAME, None, np.zeros(3))
    env = ProviderVectorEnv(3, GAME, Answers(answer))
    env.reset(seed=0)
    with pytest.raises(error, match=message):
        env.step(np.zeros((3, 4)))


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


@pytest.mark.parametrize(
    ("kind", "action"), [("box", [0.0, 0.5, 0, 0]), ("box", [[0.0] * 4]), ("grid", 3), ("grid", [3])]
)
@pytest.mark.parametrize("game", ["g1", ["g1", "g4b"]])
def test_one_action_is_not_taken_for_all(game: Any, kind: Any, action: Any) -> None:
    env = gymnasium.make_vec("stackroute/Provider-v0", num_envs=4, game=game, action=kind)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action: shape .* is not allowed; expected \(4,"):
        env.step(np.array(action))
