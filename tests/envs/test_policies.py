from typing import Any

import gymnasium
import numpy as np
import pytest

from stackroute import Commitment, Game
from stackroute.agents import RandomProvider, RationalUser
from stackroute.envs import PatienceBatch, ProviderBatch, UserBatch, UserEnv, register_provider, register_user
from stackroute.envs.sb3 import PassVecEnv, PatienceVecEnv, ProviderVecEnv, UserVecEnv


@pytest.mark.parametrize("throttling", [False, True])
@pytest.mark.parametrize("name", ["random", "equilibrium"])
def test_a_provider_given_by_name_delays_exactly_with_throttling(name: str, throttling: bool) -> None:
    user = gymnasium.make("stackroute/User-v0", game="gpt-4.1-o3-dev-low-p", provider=name, throttling=throttling)
    delays = []
    for episode in range(5):
        user.reset(seed=episode)
        delays.append(user.unwrapped.task.commitment.delay.max())  # type: ignore[attr-defined]
    assert (max(delays) > 0) == throttling
    for batch in (UserBatch("g7", name, 8, throttling=throttling), PatienceBatch("g7", name, 8, throttling=throttling)):
        assert (batch.observation[:, 9:11].max() > 0) == throttling


def test_a_provider_given_as_an_object_does_as_it_likes() -> None:
    assert UserBatch("g7", RandomProvider(throttling=True), 8).observation[:, 9:11].max() > 0


@pytest.mark.parametrize(
    ("options", "action"), [({}, [0.0, 0.5]), ({}, [[0.0, 0.5]]), ({"action": "grid"}, 3), ({"action": "grid"}, [3])]
)
@pytest.mark.parametrize("game", ["g1", ["g1", "g4b"]])
def test_one_action_is_not_taken_for_all(game: Any, options: Any, action: Any) -> None:
    for face in (
        ProviderBatch(game, "rational", 4, **options),
        gymnasium.make_vec("stackroute/Provider-v0", num_envs=4, game=game, **options),
    ):
        face.reset(seed=0)
        with pytest.raises(ValueError, match=r"actions: shape .* is not allowed; expected \(4,"):
            face.step(np.array(action))


def test_names_of_policies_are_taken_once_and_create_something() -> None:
    with pytest.raises(ValueError, match="user: 'rational' is registered already"):
        register_user("rational", RationalUser)
    with pytest.raises(ValueError, match="provider: 'random' is registered already"):
        register_provider("random", RandomProvider)
    with pytest.raises(TypeError, match="user: 3 is not allowed; expected what creates a policy"):
        register_user("three", 3)  # type: ignore[arg-type]


def test_a_learner_s_view_keeps_the_seed_of_its_batch(cascade_game: Game) -> None:
    for own, given, seeds in ((5, None, [5, 6, 7]), (0, 5, [5, 6, 7]), (5, 1, [1, 2, 3])):
        env = ProviderVecEnv(ProviderBatch(cascade_game, "rational", 3, seed=own), seed=given)
        env.reset()
        assert env.batch._seeds.tolist() == seeds


class CountsItsCalls:
    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def patience(self, game: Game, commitment: Commitment | None, draws: np.ndarray) -> np.ndarray:
        self.sizes.append(np.shape(draws))
        return np.full(np.shape(draws), 0.9)


def test_a_policy_is_asked_once_a_task_and_never_for_nobody(cascade_game: Game) -> None:
    user = CountsItsCalls()
    vector = gymnasium.make_vec(
        "stackroute/Provider-v0", num_envs=2, game=cascade_game, user=user, commitment="pass", max_passes=50
    )
    vector.reset(seed=0)
    ended = sum(int(np.logical_or(*vector.step(np.zeros((2, 1)))[2:4]).sum()) for _ in range(30))
    # Both slots also begin a task when they are made, and again with the reset.
    assert sum(size[0] for size in user.sizes) == 4 + ended
    assert (0,) not in user.sizes


@pytest.mark.parametrize("face", [ProviderVecEnv, PassVecEnv, PatienceVecEnv, UserVecEnv])
def test_a_learner_s_view_wants_its_batch(face: Any) -> None:
    with pytest.raises(TypeError, match=r"batch: \['g4b'\] is not allowed; expected a \w+Batch"):
        face(["g4b"])


@pytest.mark.parametrize(("name", "hint"), [("games", "did you mean 'game'"), ("xyz", "the options are throttling, ")])
def test_a_misspelt_argument_gets_a_hint(name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: no such option; {hint}"):
        UserEnv(**{name: "g5"})
