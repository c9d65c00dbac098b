import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO
from stackroute.envs.encoding import observe

from stackroute import Commitment, Game
from stackroute.agents import (
    LearnedProvider,
    LearnedUser,
    RandomProvider,
    RationalUser,
    load_provider,
    load_user,
    save_policy,
)
from stackroute.agents.errors import PolicyFileError
from stackroute.envs import (
    PATIENCE_LEVELS,
    RE_PROMPT,
    PatienceBatch,
    ProviderBatch,
    ProviderEnv,
    ProviderPolicy,
    UserEnv,
    UserPolicy,
)
from stackroute.envs.sb3 import PatienceVecEnv, ProviderVecEnv

COMMITMENTS = Commitment([1, 1, 2], [0.0, 0.7, 0.0], [[0, 0], [0.1, 0.5], [0, 0.2]])


def learned_user(game: Game) -> LearnedUser:
    env = PatienceVecEnv(PatienceBatch(game, RandomProvider(), 4, action="grid"))
    return LearnedUser(PPO("MlpPolicy", env, seed=1, device="cpu").policy, PATIENCE_LEVELS)


def learned_provider(game: Game) -> LearnedProvider:
    env = ProviderVecEnv(ProviderBatch(game, RationalUser(), 4, throttling=True))
    return LearnedProvider(PPO("MlpPolicy", env, seed=1, device="cpu").policy)


def test_they_follow_the_protocols_of_every_other_player(cascade_game: Game) -> None:
    assert isinstance(learned_user(cascade_game), UserPolicy)
    assert isinstance(learned_provider(cascade_game), ProviderPolicy)


def test_a_user_is_the_same_after_saving_and_loading(cascade_game: Game, tmp_path: Path) -> None:
    user = learned_user(cascade_game)
    save_policy(user, tmp_path / "user.npz")
    loaded = load_user(tmp_path / "user.npz")
    patience = user.patience(cascade_game, COMMITMENTS, np.zeros(3))
    np.testing.assert_array_equal(loaded.patience(cascade_game, COMMITMENTS, np.zeros(3)), patience)
    assert set(patience) <= set(PATIENCE_LEVELS)
    single = user.patience(cascade_game, COMMITMENTS[1], np.zeros(()))
    assert (single.shape, single) == ((), patience[1])


def test_a_policy_trained_pass_by_pass_is_a_user_too(cascade_game: Game, tmp_path: Path) -> None:
    model = PPO("MlpPolicy", UserEnv(cascade_game), seed=1, device="cpu")
    user = LearnedUser(model.policy, levels=None)
    save_policy(user, tmp_path / "user.npz")
    patience = load_user(tmp_path / "user.npz").patience(cascade_game, COMMITMENTS, np.zeros(3))
    np.testing.assert_array_equal(patience, user.patience(cascade_game, COMMITMENTS, np.zeros(3)))
    assert ((patience > 0.3) & (patience < 0.7)).all()


def test_policies_are_read_in_the_actions_they_were_trained_on(tmp_path: Path) -> None:
    env = ProviderEnv("g1", throttling=True)
    model = PPO("MlpPolicy", env, seed=1, device="cpu")
    observation, _ = env.reset(seed=0)
    action, _ = model.predict(observation, deterministic=True)
    provider = LearnedProvider(model.policy)
    save_policy(provider, tmp_path / "provider.npz")
    for policy in (provider, load_provider(tmp_path / "provider.npz")):
        commitment = policy.commit(env.variant.games[0], np.zeros(4))
        np.testing.assert_allclose(commitment.cascade, action[1])
        np.testing.assert_allclose(commitment.delay, action[2:] * 2)


def test_activations_survive_saving(cascade_game: Game, tmp_path: Path) -> None:
    env = PatienceVecEnv(PatienceBatch(cascade_game, RandomProvider(), 4, action="grid"))
    model = PPO("MlpPolicy", env, policy_kwargs={"activation_fn": torch.nn.ReLU}, device="cpu")
    save_policy(LearnedUser(model.policy, PATIENCE_LEVELS), tmp_path / "user.npz")
    loaded = load_user(tmp_path / "user.npz")
    assert loaded.policy.activation_fn is torch.nn.ReLU

    model = PPO("MlpPolicy", env, policy_kwargs={"activation_fn": torch.nn.Hardswish}, device="cpu")
    with pytest.raises(ValueError, match="policy: cannot be saved"):
        save_policy(LearnedUser(model.policy, PATIENCE_LEVELS), tmp_path / "other.npz")
    assert not (tmp_path / "other.npz").exists()


def test_policies_with_other_actions_are_errors(cascade_game: Game) -> None:
    per_pass = PPO("MlpPolicy", UserEnv(cascade_game), device="cpu").policy
    with pytest.raises(ValueError, match=r"expected Discrete\(10\)"):
        LearnedUser(per_pass, PATIENCE_LEVELS)
    with pytest.raises(ValueError, match="expected those of ProviderVecEnv"):
        LearnedProvider(per_pass)
    for player in (LearnedProvider, lambda policy: LearnedUser(policy, None)):
        with pytest.raises(TypeError, match=r"policy: Linear is not allowed; expected a policy of stable-baselines3"):
            player(torch.nn.Linear(11, 2))


def test_a_value_based_user_re_prompts_always_or_never(cascade_game: Game, tmp_path: Path) -> None:
    policy = DQN("MlpPolicy", UserEnv(cascade_game), seed=4, device="cpu").policy
    observation = observe(cascade_game, COMMITMENTS)
    with torch.no_grad():
        policy.q_net.q_net[-1].weight.zero_()
        for bias, patience in (([1.0, 0.0], 1.0), ([0.0, 1.0], 0.0)):
            policy.q_net.q_net[-1].bias.copy_(torch.tensor(bias))
            expected = 1.0 if int(policy.predict(observation)[0][0]) == RE_PROMPT else 0.0
            user = LearnedUser(policy, None)
            save_policy(user, tmp_path / "user.npz")
            for one in (user, load_user(tmp_path / "user.npz")):
                assert one.patience(cascade_game, COMMITMENTS, np.zeros(3)).tolist() == [patience] * 3 == [expected] * 3


class Exploit:
    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        return RuntimeError, ("code in the file ran",)


def test_loading_runs_no_code_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "user.npz"
    np.savez(path, specification=np.array(Exploit(), dtype=object), allow_pickle=True)
    with pytest.raises(PolicyFileError, match="not a saved policy"):
        load_user(path)
    path.write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(PolicyFileError, match="not a saved policy"):
        load_user(path)


def test_a_file_of_another_kind_is_an_error(cascade_game: Game, tmp_path: Path) -> None:
    save_policy(learned_user(cascade_game), tmp_path / "user.npz")
    with pytest.raises(PolicyFileError, match="holds a user; expected a provider"):
        load_provider(tmp_path / "user.npz")
    (tmp_path / "text.npz").write_text("no policy")
    with pytest.raises(PolicyFileError, match=r"text\.npz: not a saved policy"):
        load_user(tmp_path / "text.npz")
    half = (tmp_path / "user.npz").read_bytes()[:2000]
    (tmp_path / "half.npz").write_bytes(half)
    with pytest.raises(PolicyFileError, match=r"half\.npz: not a saved policy"):
        load_user(tmp_path / "half.npz")
    with pytest.raises(FileNotFoundError):
        load_user(tmp_path / "absent.npz")


def test_policies_over_other_observations_are_refused() -> None:
    env = UserEnv("g1", observe="history")
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=1, device="cpu")
    with pytest.raises(ValueError, match=r"policy: observations .* are not allowed; expected Box\(.*\(11,\)"):
        LearnedUser(model.policy, levels=None)
