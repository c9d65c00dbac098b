"""The single Gymnasium faces against Gymnasium's own checks, its registry and its wrappers."""

import copy
import itertools
import json
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordEpisodeStatistics, RecordVideo, TimeLimit

import stackroute
from stackroute import Game, load_game
from stackroute._registration import register_environments
from stackroute.agents import EquilibriumProvider, FixedPatienceUser, RandomUser
from stackroute.envs import RE_PROMPT, ProviderEnv, UserEnv, observation_space, raw_env, rendering

# Loaded once: reading the files takes longer than playing.
GAMES = [load_game(name) for name in ("g1", "g4b", "gpt-4.1-o3-dev")]
ONE = {"game": GAMES[1]}
MANY = {"game": GAMES, "reward_unit": "relative"}
VARIANTS = [
    {"throttling": throttling, "observe": observe, "commitment": commitment, "action": action, **games}
    for throttling, observe, commitment, action, games in itertools.product(
        (False, True), ("commitment", "history"), ("task", "pass"), ("box", "grid"), (ONE, MANY)
    )
]
FACES: list[tuple[str, dict[str, Any]]] = [
    ("Provider", {"user": "rational"}),
    ("User", {"decision": "pass"}),
    ("User", {"decision": "task"}),
]


def name_of(options: Any) -> str:
    if not isinstance(options, dict):
        return str(options)
    many = "many" if "reward_unit" in options else ""
    words = {"throttling": "delays" if options.get("throttling") else "", "game": many}
    told = [str(words.get(name, word)) for name, word in options.items() if words.get(name, word)]
    return "-".join(told) or "default"


EVERY_VARIANT = pytest.mark.parametrize("options", VARIANTS, ids=name_of)
EVERY_FACE = pytest.mark.parametrize(("name", "face"), FACES, ids=name_of)


def make(name: str, **options: Any) -> Any:
    return gymnasium.make(f"stackroute/{name}-v0", **options)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A screen that nobody sees, and frames that nobody waits for."""
    pygame = pytest.importorskip("pygame")
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(rendering, "FRAMES_PER_SECOND", 10_000)
    yield
    pygame.quit()


@EVERY_FACE
@EVERY_VARIANT
def test_check_env(name: str, face: dict[str, Any], options: dict[str, Any]) -> None:
    check_env(make(name, **face, **options).unwrapped, skip_render_check=True)


@pytest.mark.usefixtures("screen")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Provider", {}),
        ("Provider", {"throttling": True, "tasks_per_commitment": 10, "user": "random"}),
        ("Provider", {"user": "informed"}),
        ("Provider", {"commitment": "pass"}),
        ("User", {}),
        ("User", {"decision": "task"}),
        ("User", {"provider": "equilibrium", "game": "gpt-4.1-o3-dev"}),
    ],
    ids=name_of,
)
def test_check_env_with_rendering(name: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(name, **options).unwrapped)


def play(made: Any, seed: int | None, moves: int) -> list[Any]:
    """Everything that an environment says to a fixed sequence of actions."""
    made.action_space.seed(7)
    told: list[Any] = [made.reset(seed=seed)]
    for _ in range(moves):
        told.append(made.step(made.action_space.sample()))
        if told[-1][2] or told[-1][3]:
            told.append(made.reset())
    return told


@EVERY_FACE
@EVERY_VARIANT
def test_a_seed_fixes_the_play_and_specs_copies_and_pickles_keep_it(
    name: str, face: dict[str, Any], options: dict[str, Any]
) -> None:
    made = make(name, **face, **options)
    expected = play(made, 21, 12)
    np.testing.assert_equal(play(gymnasium.make(made.spec), 21, 12), expected)
    np.testing.assert_equal(play(made.unwrapped, 21, 12), expected)
    other = play(made.unwrapped, 22, 12)
    with pytest.raises(AssertionError):
        np.testing.assert_equal(other, expected)

    # In the middle of an episode where there is one.
    bare = made.unwrapped
    bare.reset(seed=5)
    while name == "User" and face["decision"] == "pass" and bare.task.passes < 3:
        if bare.step(RE_PROMPT)[2]:
            bare.reset()
    twins = [copy.deepcopy(bare), pickle.loads(pickle.dumps(bare))]
    actions = [bare.action_space.sample() for _ in range(8)]
    for action in actions:
        told = []
        for played in (bare, *twins):
            step = played.step(action)
            told.append((step, played.reset() if step[2] or step[3] else None, played.task.state()))
        np.testing.assert_equal(told[1], told[0])
        np.testing.assert_equal(told[2], told[0])


@EVERY_FACE
def test_episodes_of_wrappers_have_the_returns_and_lengths_of_play(name: str, face: dict[str, Any]) -> None:
    wrapped = RecordEpisodeStatistics(make(name, **face, **MANY, commitment="pass", max_passes=4))
    wrapped.action_space.seed(0)
    lengths = set()
    for seed in range(20):
        wrapped.reset(seed=seed)
        total, length, over = 0.0, 0, False
        while not over:
            _, reward, terminated, truncated, info = wrapped.step(wrapped.action_space.sample())
            total, length, over = total + reward, length + 1, terminated or truncated
        assert info["episode"]["r"] == pytest.approx(total)
        assert info["episode"]["l"] == length
        lengths.add(length)
    assert lengths == {1} if face.get("decision") == "task" else len(lengths) > 1


def test_a_time_limit_truncates_and_the_next_episode_is_a_new_task() -> None:
    hopeless = Game([1e-12, 2e-12], [0.125, 0.5], [0.25, 0.5], value=2, churn_penalty=4)
    limited = TimeLimit(UserEnv(hopeless), 3)
    limited.reset(seed=0)
    assert [limited.step(RE_PROMPT)[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]
    limited.reset()
    assert limited.unwrapped.task.number == 1
    assert limited.step(RE_PROMPT)[2:4] == (False, False)


@pytest.mark.parametrize("decision", ["pass", "task"])
def test_a_video_of_the_user_is_recorded(tmp_path: Path, decision: str) -> None:
    pytest.importorskip("moviepy", reason="RecordVideo writes with moviepy")
    pytest.importorskip("matplotlib", reason="images are drawn with matplotlib")
    made = RecordVideo(
        make("User", render_mode="rgb_array", decision=decision, **ONE),
        str(tmp_path / "videos"),
        episode_trigger=lambda episode: episode < 2,
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
    videos = sorted((tmp_path / "videos").glob("*.mp4"))
    assert [video.name for video in videos] == [f"rl-video-episode-{k}.mp4" for k in (0, 1)]
    assert all(video.stat().st_size > 1000 for video in videos)


@pytest.mark.usefixtures("screen")
@EVERY_FACE
def test_every_render_mode_of_the_metadata_renders(name: str, face: dict[str, Any]) -> None:
    assert ProviderEnv.metadata["render_modes"] == UserEnv.metadata["render_modes"] == ["ansi", "human", "rgb_array"]
    for mode, kind in (("ansi", str), ("rgb_array", np.ndarray), ("human", type(None))):
        made = make(name, render_mode=mode, **face, **ONE)
        assert made.render_mode == made.unwrapped.render_mode == mode
        made.reset(seed=0)
        assert isinstance(made.render(), kind)
        made.step(made.action_space.sample())
        frame = made.render()
        assert isinstance(frame, kind)
        if isinstance(frame, np.ndarray):
            assert (frame.ndim, frame.shape[2], frame.dtype) == (3, 3, np.uint8)
        made.close()
    silent = make(name, **face, **ONE).unwrapped
    silent.reset(seed=0)
    with pytest.warns(UserWarning, match="without specifying any render mode"):
        assert silent.render() is None


def test_gymnasium_make_accepts_games_and_policies_as_objects(cascade_game: Game) -> None:
    provider = make("Provider", game=cascade_game, user=RandomUser())
    user = make("User", game=cascade_game, provider=EquilibriumProvider())
    for made in (provider, user):
        observation, _ = made.reset(seed=0)
        assert observation_space().contains(observation)


def test_games_are_given_as_objects_configs_names_or_files(tmp_path: Path) -> None:
    config = stackroute.load_game("g1")
    (tmp_path / "mine.yaml").write_text(json.dumps(config.model_dump(exclude_none=True)))
    for game in (config, config.game, "g1", tmp_path / "mine.yaml", str(tmp_path / "mine.yaml")):
        assert float(raw_env(game).game.value) == 2


def test_a_user_that_is_never_asked_is_asked_in_the_end() -> None:
    certain = Game([1 - 1e-12, 1 - 1e-13], [0.1, 0.2], [0.1, 0.2], value=1, churn_penalty=1)
    single = UserEnv(certain)
    _, info = single.reset(seed=0)
    assert (info["passed_over"], info["declared"]) == (999, True)
    assert not single.task.ended


def test_resets_without_a_seed_go_on_to_new_tasks() -> None:
    single = UserEnv("g1")
    first, _ = single.reset(seed=1)
    second, _ = single.reset()
    assert not np.array_equal(first, second)
    again, _ = single.reset(seed=1)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("tasks", [1, 3])
def test_a_provider_s_episodes_take_up_as_many_tasks_as_they_serve(tasks: int) -> None:
    single = ProviderEnv(GAMES, FixedPatienceUser(0.5), tasks_per_commitment=tasks)
    single.reset(seed=4)
    numbers = []
    for _ in range(3):
        numbers.append(single.task.number)
        single.step(np.zeros(2))
        single.reset()
    assert numbers == [0, tasks, 2 * tasks]


def test_large_seeds_are_seeds(cascade_game: Game) -> None:
    for made in (raw_env(cascade_game), UserEnv(cascade_game), ProviderEnv(cascade_game)):
        made.reset(seed=2**70 + 3)


def test_importing_the_package_twice_registers_once() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_environments()
    specs = [spec for spec in gymnasium.registry if spec.startswith("stackroute/")]
    assert sorted(specs) == ["stackroute/Provider-v0", "stackroute/User-v0"]
