"""The PettingZoo faces against PettingZoo's own kits, and what the kits do not look at.

None of the kits warns about these environments, so no warning is allowed anywhere (the project turns them into errors).
pettingzoo's max_cycles_test is not used: it asserts that an episode of random play always lasts exactly `max_cycles`
steps and that every agent acts in each of them. Here a task ends by success or abandonment, and the provider acts once.
"""

import contextlib
import copy
import itertools
import logging
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.error import ResetNeeded
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test, seed_test
from pettingzoo.test.state_test import state_test

from stackroute import Game, load_game
from stackroute.envs import ABANDON, RE_PROMPT, ParallelRoutingGameEnv, env, parallel_env, raw_env, rendering

PROVIDER, USER = "provider_0", "user_0"
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


def name_of(options: Any) -> str:
    if not isinstance(options, dict):
        return getattr(options, "__name__", str(options))
    many = "many" if "reward_unit" in options else ""
    words = {"throttling": "delays" if options.get("throttling") else "", "game": many}
    told = [str(words.get(name, word)) for name, word in options.items() if words.get(name, word)]
    return "-".join(told) or "default"


EVERY_VARIANT = pytest.mark.parametrize("options", VARIANTS, ids=name_of)


@pytest.fixture
def hopeless() -> Game:
    """A game whose passes fail."""
    return Game([1e-12, 2e-12], [0.125, 0.5], [0.25, 0.5], value=2, churn_penalty=4)


@EVERY_VARIANT
@pytest.mark.parametrize("make", [env, raw_env], ids=["wrapped", "raw"])
def test_aec_api(make: Any, options: dict[str, Any]) -> None:
    api_test(make(**options), num_cycles=40)


@EVERY_VARIANT
def test_parallel_api(options: dict[str, Any]) -> None:
    parallel_api_test(parallel_env(**options), num_cycles=40)


@EVERY_VARIANT
def test_seeds(options: dict[str, Any]) -> None:
    seed_test(lambda: env(**options), num_cycles=30)
    parallel_seed_test(lambda: parallel_env(**options), num_cycles=30)


@EVERY_VARIANT
def test_state(options: dict[str, Any]) -> None:
    state_test(env(**options), parallel_env(**options), num_cycles=10)


@pytest.mark.parametrize("throttling", [False, True])
def test_the_kits_hold_over_many_moves(throttling: bool) -> None:
    for make in (env, raw_env):
        api_test(make(throttling=throttling), num_cycles=200)
    seed_test(lambda: env(throttling=throttling), num_cycles=50)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A screen that nobody sees, and frames that nobody waits for."""
    pygame = pytest.importorskip("pygame")
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(rendering, "FRAMES_PER_SECOND", 10_000)
    yield
    pygame.quit()


@pytest.mark.usefixtures("screen")
@pytest.mark.parametrize("options", [{}, {"throttling": True, "commitment": "pass"}, MANY], ids=name_of)
def test_render_modes(options: dict[str, Any]) -> None:
    def aec(render_mode: str) -> Any:
        made = env(render_mode=render_mode, **options)
        for k, agent in enumerate(made.possible_agents):
            made.action_space(agent).seed(k)
        return made

    assert aec("ansi").metadata["render_modes"] == ["ansi", "human", "rgb_array"]
    render_test(aec, {"ansi": lambda text: "task" in text})

    # The kit knows only agents that move in turn.
    for mode, kind in (("ansi", str), ("rgb_array", np.ndarray), ("human", type(None))):
        made = parallel_env(render_mode=mode, **options)
        made.reset(seed=3)
        for _ in range(3):
            frame = made.render()
            assert isinstance(frame, kind)
            if mode == "rgb_array":
                assert (frame.ndim, frame.shape[2], frame.dtype) == (3, 3, np.uint8)
                assert frame.min() < frame.max()
            if made.agents:
                made.step({agent: made.action_space(agent).sample() for agent in made.agents})
        made.close()


def test_rendering_without_a_mode_warns_as_pettingzoo_does() -> None:
    made = raw_env()
    made.reset(seed=0)
    with pytest.warns(UserWarning, match="without specifying any render mode"):
        assert made.render() is None


@pytest.mark.parametrize(("kind", "face"), [("aec", raw_env), ("parallel", ParallelRoutingGameEnv)])
def test_registry(kind: Any, face: type) -> None:
    made = pettingzoo.make(kind, "stackroute-v0", game="g1", observe="history", throttling=True)
    assert isinstance(made.unwrapped, face)
    assert float(made.unwrapped.game.value) == 2
    assert str(made) == "stackroute_v0"
    assert made.unwrapped.variant.max_passes == 1000
    assert made.observation_space(USER).shape == (13,)
    assert made.action_space(PROVIDER).shape == (4,)
    capped = pettingzoo.make(kind, "stackroute-v0", max_cycles=7)
    assert capped.unwrapped.variant.max_passes == 7


def steps_of_an_endless_task(made: Any) -> tuple[int, bool, bool]:
    """How many parallel steps, or pairs of agents' moves, a user that never gives up makes."""
    steps = 0
    if isinstance(made.unwrapped, ParallelRoutingGameEnv):
        made.reset(seed=0)
        while made.agents:
            _, _, terminated, truncated, _ = made.step({PROVIDER: np.zeros(2), USER: RE_PROMPT})
            steps += 1
        return steps, terminated[USER], truncated[USER]
    made.reset(seed=0)
    for agent in made.agent_iter():
        _, _, terminated, truncated, _ = made.last()
        if terminated or truncated:
            return steps, terminated, truncated
        made.step(np.zeros(2) if agent == PROVIDER else RE_PROMPT)
        steps += 1
    raise AssertionError("no last move")


@pytest.mark.parametrize("most", [1, 4])
def test_max_cycles_is_settable_and_counts_passes(hopeless: Game, most: int) -> None:
    # The commitment plays the first pass; the re-prompt after the last one truncates.
    expected = (most + 1, False, True)
    for make in (env, raw_env, parallel_env):
        for name in ("max_cycles", "max_passes"):
            assert steps_of_an_endless_task(make(hopeless, **{name: most})) == expected
        with pytest.raises(TypeError, match="max_cycles and max_passes are two names of one thing"):
            make(hopeless, max_cycles=3, max_passes=3)
        with pytest.raises(ValueError, match="max_passes: 0 is not allowed; expected a whole number of at least 1"):
            make(hopeless, max_cycles=0)
    for kind in ("aec", "parallel"):
        made = pettingzoo.make(kind, "stackroute-v0", max_cycles=most, game=hopeless)
        assert steps_of_an_endless_task(made) == expected


def choices(options: dict[str, Any], seed: int) -> Iterator[tuple[Any, int]]:
    """A provider's and a user's actions without end."""
    space = raw_env(**options).action_space(PROVIDER)
    space.seed(seed)
    generator = np.random.default_rng(seed)
    while True:
        yield space.sample(), int(generator.random() < 0.2)


def returns_of_parallel(made: Any, seed: int, plan: list[tuple[Any, int]]) -> dict[str, float]:
    made.reset(seed=seed)
    totals = {PROVIDER: 0.0, USER: 0.0}
    for action, answer in plan:
        _, rewards, _, _, _ = made.step({PROVIDER: action, USER: answer})
        for agent, reward in rewards.items():
            totals[agent] += reward
        if not made.agents:
            return totals
    raise AssertionError("the plan is too short")


def returns_of_aec(made: Any, seed: int, plan: list[tuple[Any, int]]) -> dict[str, float]:
    per_pass = made.unwrapped.variant.per_pass
    made.reset(seed=seed)
    totals = {PROVIDER: 0.0, USER: 0.0}
    step = -1
    for agent in made.agent_iter():
        _, reward, terminated, truncated, _ = made.last()
        totals[agent] += reward
        if terminated or truncated:
            made.step(None)
        elif agent == USER:
            step += 1
            made.step(plan[step][1])
        else:
            # The provider moves before every pass, or before the first one only.
            step += step < 0 or not per_pass
            made.step(plan[step][0])
    assert made.agents == []
    return totals


@EVERY_VARIANT
def test_both_faces_give_the_same_returns(options: dict[str, Any]) -> None:
    aec, at_once = env(**options, max_passes=6), parallel_env(**options, max_passes=6)
    lengths = set()
    for seed in range(12):
        plan = list(itertools.islice(choices(options, seed), 8))
        expected = returns_of_parallel(at_once, seed, plan)
        assert returns_of_aec(aec, seed, plan) == pytest.approx(expected, rel=1e-12)
        assert expected[PROVIDER] < 0
        lengths.add(at_once.task.passes)
    assert len(lengths) > 1


def test_the_reward_of_a_re_prompt_comes_with_the_step_of_the_re_prompt(hopeless: Game) -> None:
    made = parallel_env(hopeless, throttling=True)
    made.reset(seed=1)
    commitment = np.array([0.0, 0.0, 0.5, 0.0])
    told = made.step({PROVIDER: commitment, USER: RE_PROMPT})
    assert told[1] == {PROVIDER: -0.125, USER: -1.25}
    assert told[4][USER] == {"pass": 1, "model": 1, "latency": 1.25, "value": 0.0}
    for number in (2, 3):
        told = made.step({USER: RE_PROMPT})
        assert told[1] == {PROVIDER: -0.125, USER: -1.25}
        assert told[4][PROVIDER] == {"pass": number, "model": 1, "service_cost": 0.125, "churn_penalty": 0.0}
    told = made.step({USER: ABANDON})
    assert told[1] == {PROVIDER: -4.0, USER: 0.0}
    assert (told[2], told[3]) == ({PROVIDER: True, USER: True}, {PROVIDER: False, USER: False})

    # Without commitment the answer and the next choice are made at once, and the step has the rewards of both.
    made = parallel_env(hopeless, commitment="pass")
    made.reset(seed=1)
    made.step({PROVIDER: np.array([0.0])})
    told = made.step({PROVIDER: np.array([1.0]), USER: RE_PROMPT})
    assert told[1] == {PROVIDER: -0.5, USER: -0.5}
    assert told[4][USER] == {"pass": 2, "model": 2, "latency": 0.5, "value": 0.0}


def test_in_turns_the_reward_of_a_re_prompt_without_commitment_comes_with_the_providers_move(hopeless: Game) -> None:
    made = raw_env(hopeless, commitment="pass")
    made.reset(seed=1)
    made.step(np.array([0.0]))
    made.step(RE_PROMPT)
    assert made.agent_selection == PROVIDER
    assert made.rewards == {PROVIDER: 0.0, USER: 0.0}
    made.step(np.array([1.0]))
    assert made.rewards == {PROVIDER: -0.5, USER: -0.5}
    assert made.last()[1] == -0.5


@EVERY_VARIANT
def test_the_action_of_who_is_not_to_move_is_ignored(options: dict[str, Any]) -> None:
    per_pass = options["commitment"] == "pass"
    for seed in range(3):
        told: list[list[Any]] = []
        for ignored in ("given", "rubbish", "missing"):
            made = parallel_env(**options, max_passes=5)
            steps: list[Any] = [made.reset(seed=seed)]
            for action, answer in itertools.islice(choices(options, seed), 7):
                first = made.task.passes == 0
                actions = {PROVIDER: action, USER: answer}
                for agent, counts in ((PROVIDER, first or per_pass), (USER, not first)):
                    if not counts and ignored == "missing":
                        del actions[agent]
                    elif not counts and ignored == "rubbish":
                        actions[agent] = "rubbish"
                steps.append(made.step(actions))
                if not made.agents:
                    break
            told.append(steps)
        np.testing.assert_equal(told[1], told[0])
        np.testing.assert_equal(told[2], told[0])


@pytest.mark.parametrize("make", [env, raw_env, parallel_env])
def test_copies_and_pickles_go_on_alike(make: Any) -> None:
    at_once = make is parallel_env
    original = make(MANY["game"], throttling=True, observe="history")
    original.reset(seed=11)
    commitment = np.array([0.0, 0.3, 0.0, 0.1])
    original.step({PROVIDER: commitment} if at_once else commitment)
    twins = [copy.deepcopy(original), pickle.loads(pickle.dumps(original))]
    for _ in range(5):
        told = []
        for played in (original, *twins):
            if played.unwrapped.task.over:
                played.reset()
                played.step({PROVIDER: commitment} if at_once else commitment)
            result = played.step({USER: RE_PROMPT} if at_once else RE_PROMPT)
            told.append((result, played.unwrapped.task.parts, played.state(), played.unwrapped.task.number))
        np.testing.assert_equal(told[1], told[0])
        np.testing.assert_equal(told[2], told[0])


def test_the_two_players_see_the_same_and_the_provider_sees_no_commitment(cascade_game: Game) -> None:
    game = raw_env(game=cascade_game, throttling=True)
    game.reset(seed=5)
    before = game.observe(PROVIDER)
    np.testing.assert_array_equal(before[7:], 0)
    game.step(np.array([0.0, 0.25, 0.0, 1.0]))
    after = game.observe(USER)
    np.testing.assert_array_equal(after, game.observe(PROVIDER))
    np.testing.assert_allclose(after[:7], before[:7])
    np.testing.assert_allclose(after[7:], [0, 0.25, 0, 1])


def test_infos_name_the_reward_parts(cascade_game: Game) -> None:
    game = raw_env(game=cascade_game, throttling=True)
    game.reset(seed=5)
    game.step(np.array([0.0, 0.25, 0.1, 0.0]))
    assert game.infos[PROVIDER] == {"pass": 1, "model": 1, "service_cost": 0.1, "churn_penalty": 0.0}
    assert game.infos[USER] == {"pass": 1, "model": 1, "latency": pytest.approx(0.76), "value": 0.0}
    game.step(1)
    assert game.infos[PROVIDER]["churn_penalty"] == 5
    assert game.rewards == {PROVIDER: -5, USER: 0}
    assert game.terminations == {PROVIDER: True, USER: True}


def test_truncation_is_no_termination(cascade_game: Game) -> None:
    game = raw_env(game=cascade_game, throttling=True, max_passes=1)
    game.reset(seed=5)
    game.step(np.array([0.0, 0.25, 0.0, 0.0]))
    game.step(RE_PROMPT)
    assert game.truncations == {PROVIDER: True, USER: True}
    assert game.terminations == {PROVIDER: False, USER: False}
    assert game.rewards == {PROVIDER: 0, USER: 0}


def ended(make: Any, game: Game) -> Any:
    made = make(game)
    made.reset(seed=1)
    made.step(np.zeros(2))
    made.step(ABANDON)
    return made


@pytest.mark.parametrize("make", [env, raw_env])
def test_agents_that_are_done_step_with_none(hopeless: Game, make: Any) -> None:
    made = ended(make, hopeless)
    with pytest.raises(ValueError, match="the only valid action is None"):
        made.step(RE_PROMPT)
    for left in (1, 0):
        made.step(None)
        assert len(made.agents) == made.num_agents == left
    assert made.state().shape == (13,)


def test_steps_out_of_order_are_told_as_pettingzoo_tells_them(hopeless: Game, caplog: pytest.LogCaptureFixture) -> None:
    wrapped = env(hopeless)
    for call in (lambda: wrapped.step(np.zeros(2)), wrapped.render, wrapped.state, lambda: wrapped.observe(USER)):
        with pytest.raises(AssertionError, match=r"reset\(\) needs to be called before"):
            call()
    for made in (raw_env(hopeless), parallel_env(hopeless)):
        for call in (lambda made=made: made.step({PROVIDER: np.zeros(2)}), made.render, made.state):
            with pytest.raises(ResetNeeded, match="call reset first"):
                call()
    made = ended(env, hopeless)
    made.step(None)
    made.step(None)
    with caplog.at_level(logging.WARNING), contextlib.redirect_stdout(None):
        made.step(RE_PROMPT)
    assert "Should reset() first" in caplog.text

    at_once = parallel_env(hopeless)
    at_once.reset(seed=1)
    at_once.step({PROVIDER: np.zeros(2)})
    at_once.step({USER: ABANDON})
    assert at_once.agents == []
    with pytest.raises(ResetNeeded, match="the task has ended; call reset before step"):
        at_once.step({USER: RE_PROMPT})
