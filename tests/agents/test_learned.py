import pickle
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from stackroute import Commitment, Game, load_game
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
    ProviderEnv,
    ProviderPolicy,
    ProviderVectorEnv,
    UserEnv,
    UserPolicy,
    UserVectorEnv,
    observe,
)
from stackroute.envs.actions import from_symmetric
from stackroute.envs.sb3 import VecEnv

TRUSTED = pytest.mark.filterwarnings("ignore:.*runs code of whoever made this file")
COMMITMENTS = Commitment.cascade([0, 0, 1], [0.0, 0.7, 0.0], [[0, 0], [0.1, 0.5], [0, 0.2]])


def choosing(game: Game, **options: Any) -> VecEnv:
    return VecEnv(UserVectorEnv(4, game, RandomProvider(), decision="task", **options))


def learned_user(game: Game) -> LearnedUser:
    return LearnedUser(PPO("MlpPolicy", choosing(game, action="grid"), seed=1, device="cpu").policy)


def learned_provider(game: Game) -> LearnedProvider:
    env = VecEnv(ProviderVectorEnv(4, game, RationalUser()))
    return LearnedProvider(PPO("MlpPolicy", env, seed=1, device="cpu").policy)


def test_they_follow_the_protocols_of_every_other_player(cascade_game: Game) -> None:
    assert isinstance(learned_user(cascade_game), UserPolicy)
    assert isinstance(learned_provider(cascade_game), ProviderPolicy)


def test_policies_are_read_in_the_actions_they_were_trained_on(tmp_path: Path) -> None:
    env = ProviderEnv("g1", throttling=True)
    model = PPO("MlpPolicy", env, seed=1, device="cpu")
    observation, _ = env.reset(seed=0)
    action, _ = model.predict(observation, deterministic=True)
    provider = LearnedProvider(model.policy)
    save_policy(provider, tmp_path / "provider.npz")
    for policy in (provider, load_provider(tmp_path / "provider.npz")):
        commitment = policy.commit(env.variant.games[0], np.zeros(5))
        np.testing.assert_allclose(commitment.cascade_probability, action[1:2])
        np.testing.assert_allclose(commitment.delay, action[2:] * 2)


def predicting(utility: list[float]) -> PPO:
    model = PPO("MlpPolicy", choosing(load_game("g1").game, action="grid"), seed=1, device="cpu")
    with torch.no_grad():
        model.policy.action_net.weight.zero_()
        model.policy.action_net.bias.copy_(torch.tensor(utility))
    return model


@pytest.mark.parametrize("peak", [-1.0, 0.0, 0.03, 0.31, 0.5, 0.83, 0.94, 0.96, 1.0, 3.0])
def test_a_user_that_predicts_utility_answers_at_the_peak(tmp_path: Path, peak: float) -> None:
    levels = np.array(PATIENCE_LEVELS)
    model = predicting([float(-3 * (level - peak) ** 2) for level in levels])
    save_policy(LearnedUser(model.policy, predicts_utility=True), tmp_path / "user.npz")
    answers = load_user(tmp_path / "user.npz").patience(load_game("g1").game, COMMITMENTS, np.zeros(3))
    np.testing.assert_allclose(answers, 1 if peak > 0.95 else max(peak, 0), atol=1e-4)
    nearest = levels[np.abs(levels - peak).argmin()]
    np.testing.assert_allclose(
        LearnedUser(model.policy).patience(load_game("g1").game, COMMITMENTS, np.zeros(3)), nearest
    )


def test_a_user_that_predicts_utility_answers_at_an_end_where_nothing_bends() -> None:
    for slope, end in ((1.0, 1.0), (-1.0, 0.0)):
        model = predicting([slope * level + level**2 - level for level in PATIENCE_LEVELS])
        user = LearnedUser(model.policy, predicts_utility=True)
        np.testing.assert_array_equal(user.patience(load_game("g1").game, COMMITMENTS, np.zeros(3)), end)


def test_only_a_policy_over_the_list_predicts_utility() -> None:
    model = PPO("MlpPolicy", choosing(load_game("g1").game, action="box"), seed=1, device="cpu")
    with pytest.raises(ValueError, match="predicts_utility: True is not allowed"):
        LearnedUser(model.policy, predicts_utility=True)


def test_activations_survive_saving(cascade_game: Game, tmp_path: Path) -> None:
    env = choosing(cascade_game, action="grid")
    model = PPO("MlpPolicy", env, policy_kwargs={"activation_fn": torch.nn.ReLU}, device="cpu")
    save_policy(LearnedUser(model.policy), tmp_path / "user.npz")
    loaded = load_user(tmp_path / "user.npz")
    assert loaded.policy.activation_fn is torch.nn.ReLU

    model = PPO("MlpPolicy", env, policy_kwargs={"activation_fn": torch.nn.Hardswish}, device="cpu")
    with pytest.raises(ValueError, match="policy: cannot be saved"):
        save_policy(LearnedUser(model.policy), tmp_path / "other.npz")
    assert not (tmp_path / "other.npz").exists()


def test_policies_with_other_actions_are_errors(cascade_game: Game) -> None:
    per_pass = PPO("MlpPolicy", UserEnv(cascade_game), device="cpu").policy
    commits = learned_provider(cascade_game).policy
    with pytest.raises(ValueError, match=r"policy: observations .* are not allowed"):
        LearnedProvider(per_pass)
    history = UserEnv("g1", observe={"user": ["game", "history"]})
    with pytest.raises(ValueError, match=r"policy: observations .* are not allowed; expected those of game and comm"):
        LearnedUser(PPO("MlpPolicy", history, device="cpu").policy)
    for policy, space in ((per_pass, spaces.Discrete(3)), (commits, spaces.Box(-1, 1, (7,)))):
        policy.action_space = space
    with pytest.raises(ValueError, match=r"policy: actions Discrete\(3\) .* expected Discrete\(2\), Discrete\(10\)"):
        LearnedUser(per_pass)
    with pytest.raises(ValueError, match="expected those of a provider that commits"):
        LearnedProvider(commits)
    for player in (LearnedProvider, LearnedUser):
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
            user = LearnedUser(policy)
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


@pytest.mark.parametrize("options", [{}, {"routing": "lottery"}, {"throttling": False}, {"action": "grid"}])
@pytest.mark.parametrize("models", [1, 3])
def test_players_of_any_number_of_models(tmp_path: Path, models: int, options: dict[str, Any]) -> None:
    parts = np.linspace(0.2, 0.8, models)
    game = Game(parts, parts, parts / 2, value=1.0, churn_penalty=2.0)
    env = ProviderEnv(game, "random", **options)
    provider = LearnedProvider(PPO("MlpPolicy", env, seed=1, device="cpu").policy)
    users = UserVectorEnv(4, game, "random", decision="task", **options)
    user = LearnedUser(PPO("MlpPolicy", VecEnv(users), seed=1, device="cpu").policy)
    assert (provider.view.models, user.view.models) == (models, models)
    for player in (provider, user):
        save_policy(player, tmp_path / f"{type(player).__name__}.npz")
    made = provider.commit(game, np.zeros(2 * models + 1))
    again = load_provider(tmp_path / "LearnedProvider.npz").commit(game, np.zeros(2 * models + 1))
    assert made.models == models
    for name in ("start", "transition", "delay"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    patience = user.patience(game, made, np.zeros(()))
    assert load_user(tmp_path / "LearnedUser.npz").patience(game, made, np.zeros(())) == patience
    assert 0 <= patience <= 1


def trained_under_normalisation(players: Any, **options: Any) -> tuple[PPO, VecNormalize]:
    """A model whose policy is far from indifferent, and the statistics that it was trained with."""
    envs = VecNormalize(VecEnv(players, seed=0), **options)
    model = PPO("MlpPolicy", envs, n_steps=16, n_epochs=2, learning_rate=0.03, seed=0, device="cpu")
    return model.learn(4 * 32), envs


@TRUSTED
@pytest.mark.parametrize("side", ["user", "provider"])
def test_a_policy_sees_what_it_was_trained_on(random_games: Game, tmp_path: Path, side: str) -> None:
    games = random_games[:20]
    players: dict[str, Any] = {
        "user": lambda: UserVectorEnv(4, games, "random", decision="task"),
        "provider": lambda: ProviderVectorEnv(4, games, RationalUser()),
    }
    kind: Any = LearnedUser if side == "user" else LearnedProvider
    model, envs = trained_under_normalisation(players[side](), clip_obs=1.5)

    def played(player: Any) -> Any:
        if side == "user":
            return player.patience(games, COMMITMENTS[1], np.zeros(20))
        return player.commit(games, np.zeros((20, 5))).transition

    raw = observe(games, COMMITMENTS[1] if side == "user" else None, blocks=kind(model.policy).view.blocks)
    expected, _ = model.predict(envs.normalize_obs(raw), deterministic=True)
    player = kind.from_sb3(model)
    if side == "user":
        np.testing.assert_allclose(played(player), from_symmetric(expected[:, 0]), atol=1e-6)
    assert np.abs(played(player) - played(kind(model.policy))).max() > 0.01

    save_policy(player, tmp_path / "player.npz")
    envs.save(str(tmp_path / "statistics.pkl"))
    model.save(tmp_path / "model.zip")
    alone = PPO.load(tmp_path / "model.zip")
    statistics = VecNormalize.load(str(tmp_path / "statistics.pkl"), VecEnv(players[side]()))
    loaded = (load_user if side == "user" else load_provider)(tmp_path / "player.npz")
    for same in (loaded, kind.from_sb3(alone, vec_normalize=VecMonitor(statistics))):
        np.testing.assert_array_equal(played(same), played(player))
    with pytest.raises(ValueError, match=r"normalised or changed, .* expected from_sb3\(model, vec_normalize=\.\.\.\)"):
        kind.from_sb3(alone)
    with pytest.raises(PolicyFileError, match=r"model\.zip: .* normalised or changed"):
        (load_user if side == "user" else load_provider)(tmp_path / "model.zip", trust=True)


@TRUSTED
def test_normalised_observations_are_noticed_in_one_game_and_rewards_do_not_matter(
    cascade_game: Game, tmp_path: Path
) -> None:
    for options, refused in (({}, True), ({"norm_obs": False}, False)):
        model, _ = trained_under_normalisation(ProviderVectorEnv(4, cascade_game, RationalUser()), **options)
        model.save(tmp_path / "model.zip")
        if refused:
            with pytest.raises(PolicyFileError, match="normalised or changed"):
                load_provider(tmp_path / "model.zip", trust=True)
        else:
            loaded = load_provider(tmp_path / "model.zip", trust=True)
            numbers = np.zeros(5)
            expected = LearnedProvider.from_sb3(model).commit(cascade_game, numbers)
            np.testing.assert_array_equal(loaded.commit(cascade_game, numbers).transition, expected.transition)


def test_statistics_of_something_else_are_errors(cascade_game: Game) -> None:
    model, envs = trained_under_normalisation(choosing(cascade_game).env)
    other = VecNormalize(VecEnv(ProviderVectorEnv(4, cascade_game, RationalUser())))
    with pytest.raises(ValueError, match=r"statistics of 7 numbers .* expected those of observations of shape \(11,\)"):
        LearnedUser.from_sb3(model, vec_normalize=other)
    with pytest.raises(ValueError, match=r"vec_normalize: .* expected a VecNormalize"):
        LearnedUser.from_sb3(model, vec_normalize=envs.venv)
    for wrong in ("statistics.pkl", cascade_game):
        with pytest.raises(TypeError, match=r"vec_normalize: .* expected a VecNormalize"):
            LearnedUser.from_sb3(model, vec_normalize=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"model: .* expected a model of stable-baselines3"):
        LearnedUser.from_sb3(model.policy)  # type: ignore[arg-type]
    wrapped = gymnasium.wrappers.NormalizeObservation(UserEnv(cascade_game))
    with pytest.raises(ValueError, match=r"policy: observations Box\(-inf, inf"):
        LearnedUser.from_sb3(PPO("MlpPolicy", wrapped, device="cpu"))
