"""The single Gymnasium environments against Gymnasium's own checks, its registry and its wrappers."""

import copy
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordVideo, TimeLimit

from stackroute import Game, load_game
from stackroute._registration import register_environments
from stackroute.agents import CountingUser, EquilibriumProvider, FixedPatienceUser, RandomUser
from stackroute.envs import RE_PROMPT, ProviderEnv, UserEnv, observation_space, raw_env

# Loaded once: reading the files takes longer than playing.
GAMES = [load_game(name) for name in ("g1", "g4b", "gpt-4.1-o3-dev")]


def make(name: str, **options: Any) -> Any:
    return gymnasium.make(f"stackroute/{name}-v0", **options)


USERS = pytest.mark.parametrize("user", [FixedPatienceUser(0.6), CountingUser(3)], ids=["stationary", "stateful"])
DECISIONS = pytest.mark.parametrize("decision", ["pass", "task"])


@USERS
def test_check_env_of_the_provider(user: Any, options: dict[str, Any]) -> None:
    check_env(make("Provider", user=user, **options).unwrapped, skip_render_check=True)


@DECISIONS
def test_check_env_of_the_user(decision: str, committed: dict[str, Any]) -> None:
    check_env(make("User", decision=decision, **committed).unwrapped, skip_render_check=True)


@pytest.mark.usefixtures("screen")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Provider", {}),
        ("Provider", {"tasks_per_commitment": 10, "user": "random"}),
        ("Provider", {"user": "informed"}),
        ("Provider", {"routing": "pass"}),
        ("User", {}),
        ("User", {"decision": "task"}),
        ("User", {"provider": "equilibrium", "game": "gpt-4.1-o3-dev"}),
    ],
)
def test_check_env_with_rendering(name: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(name, **options).unwrapped)


def play_on(made: Any, actions: list[Any]) -> list[Any]:
    """All that an environment returns for these actions."""
    returned = []
    for action in actions:
        returned.append(made.step(action))
        if returned[-1][2] or returned[-1][3]:
            returned.append(made.reset())
    return returned


def play(made: Any, seed: int | None, moves: int) -> list[Any]:
    """The same from a reset on, for sampled actions."""
    made.action_space.seed(7)
    return [made.reset(seed=seed), *play_on(made, [made.action_space.sample() for _ in range(moves)])]


def assert_reproducible(made: Any) -> None:
    """A seed fixes the play; specs, copies and pickles keep it."""
    expected = play(made, 21, 12)
    np.testing.assert_equal(play(gymnasium.make(made.spec), 21, 12), expected)
    np.testing.assert_equal(play(made.unwrapped, 21, 12), expected)
    other = play(made.unwrapped, 22, 12)
    with pytest.raises(AssertionError):
        np.testing.assert_equal(other, expected)

    # In the middle of an episode where there is one.
    bare = made.unwrapped
    bare.reset(seed=5)
    if bare.step(RE_PROMPT if bare.action_space == gymnasium.spaces.Discrete(2) else bare.action_space.sample())[2]:
        bare.reset()
    twins = [copy.deepcopy(bare), pickle.loads(pickle.dumps(bare))]
    actions = [bare.action_space.sample() for _ in range(8)]
    expected, *others = ([*play_on(played, actions), played.tasks.state()] for played in (bare, *twins))
    for returned in others:
        np.testing.assert_equal(returned, expected)


@USERS
def test_a_seed_fixes_the_play_of_the_provider(user: Any, options: dict[str, Any]) -> None:
    assert_reproducible(make("Provider", user=user, **options))


@DECISIONS
def test_a_seed_fixes_the_play_of_the_user(decision: str, committed: dict[str, Any]) -> None:
    assert_reproducible(make("User", decision=decision, **committed))


def test_a_spec_is_a_text() -> None:
    made = make("User", game="g1", provider="equilibrium", observe={"user": ["game", "history"]}, max_passes=9)
    np.testing.assert_equal(play(gymnasium.make(EnvSpec.from_json(made.spec.to_json())), 3, 20), play(made, 3, 20))


@pytest.mark.parametrize(
    ("name", "game"),
    [
        ("User", Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)),
        ("Provider", Game([[0.1, 0.8], [1 / 3, 0.6]], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)),
        ("User", GAMES[2]),
        ("Provider", [GAMES[0], GAMES[1].game, "g5"]),
    ],
)
def test_a_spec_with_its_games_is_a_text(name: str, game: Any) -> None:
    made = make(name, game=game, max_passes=np.int64(9))
    again = gymnasium.make(EnvSpec.from_json(made.spec.to_json()))
    np.testing.assert_equal(play(again, 3, 12), play(made, 3, 12))
    assert again.unwrapped.variant.labels == made.unwrapped.variant.labels
    assert (
        json.loads(gymnasium.make_vec(f"stackroute/{name}-v0", 2, game=game).spec.to_json())["kwargs"]["num_envs"] == 2
    )


def test_numbers_of_no_game_are_errors() -> None:
    for numbers, message in (({"success": [0.5]}, "cost"), ({"models": []}, r"game: .* missing key|expected|at least")):
        with pytest.raises((TypeError, ValueError), match=message):
            make("User", game=numbers)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Provider", {}),
        ("Provider", {"routing": "pass"}),
        ("Provider", {"user": CountingUser(3), "tasks_per_commitment": 2}),
        ("User", {}),
        ("User", {"decision": "task"}),
    ],
)
def test_infos_have_the_same_names_and_types_after_reset_and_step(name: str, options: dict[str, Any]) -> None:
    returned = play(make(name, **options), 3, 12)
    kinds = [{key: type(value) for key, value in parts[-1].items()} for parts in returned]
    assert {len(parts) for parts in returned} == {2, 5}
    assert all(kind == kinds[0] for kind in kinds)


def test_every_environment_has_spaces_of_its_own() -> None:
    one, other = make("User", decision="task"), make("User", decision="task")
    other.action_space.seed(1)
    expected = [other.action_space.sample() for _ in range(3)]
    other.action_space.seed(1)
    one.action_space.seed(2)
    np.testing.assert_array_equal([other.action_space.sample() for _ in range(3)], expected)


def test_processes_that_have_not_imported_the_package_find_it_by_its_name() -> None:
    ask = "import gymnasium; print(gymnasium.make('stackroute:stackroute/User-v0').spec.id)"
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=100)
    assert ran.stdout == "stackroute/User-v0\n"


def test_a_time_limit_truncates_and_the_next_episode_is_a_new_task(hopeless: Game) -> None:
    limited = TimeLimit(UserEnv(hopeless), 3)
    limited.reset(seed=0)
    assert [limited.step(RE_PROMPT)[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]
    limited.reset()
    assert limited.unwrapped.tasks.rows["number"] == [1]
    assert limited.step(RE_PROMPT)[2:4] == (False, False)


@pytest.mark.parametrize("name", ["Provider", "User"])
def test_a_video_is_recorded(tmp_path: Path, name: str) -> None:
    pytest.importorskip("moviepy", reason="RecordVideo writes with moviepy")
    pytest.importorskip("matplotlib", reason="images are drawn with matplotlib")
    options = {"user": "random", "routing": "pass"} if name == "Provider" else {}
    folder = tmp_path / "videos"
    made = RecordVideo(
        make(name, render_mode="rgb_array", **options),
        str(folder),
        episode_trigger=lambda k: k < 2,
        disable_logger=True,
    )
    made.action_space.seed(1)
    for seed in range(3):
        made.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = made.step(made.action_space.sample())
            over = terminated or truncated
    made.close()
    videos = sorted(folder.glob("*.mp4"))
    assert [video.name for video in videos] == [f"rl-video-episode-{k}.mp4" for k in (0, 1)]
    assert all(video.stat().st_size > 1000 for video in videos)


def test_games_and_policies_are_objects_names_or_files(cascade_game: Game, tmp_path: Path) -> None:
    provider = make("Provider", game=cascade_game, user=RandomUser())
    user = make("User", game=cascade_game, provider=EquilibriumProvider())
    assert observation_space(blocks=["game"]).contains(provider.reset(seed=0)[0])
    assert observation_space().contains(user.reset(seed=0)[0])
    config = load_game("g1")
    (tmp_path / "mine.yaml").write_text(json.dumps(config.model_dump(exclude_none=True)))
    for game in (config, config.game, "g1", tmp_path / "mine.yaml", str(tmp_path / "mine.yaml")):
        assert float(raw_env(game).game.value) == 2


def test_a_first_pass_that_never_fails_has_failed_all_the_same() -> None:
    certain = Game([1 - 1e-12, 1 - 1e-13], [0.1, 0.2], [0.1, 0.2], value=1, churn_penalty=1)
    single = UserEnv(certain, "equilibrium")
    observation, info = single.reset(seed=0)
    assert single.observation_space.contains(observation)
    assert info["first_latency"] == 0.1
    assert single.step(RE_PROMPT)[1:4] == (0.9, True, False)


def test_large_seeds_are_seeds(cascade_game: Game) -> None:
    for made in (raw_env(cascade_game), UserEnv(cascade_game), ProviderEnv(cascade_game)):
        made.reset(seed=2**70 + 3)
        assert made.tasks.rows["seed"] == [3]


def test_importing_the_package_twice_registers_once() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_environments()
