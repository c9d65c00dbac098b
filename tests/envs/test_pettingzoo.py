"""The PettingZoo environments against PettingZoo's own tests, and what these do not look at.

`max_cycles_test` is not used: it asserts that an episode of random play lasts exactly `max_cycles` steps and that every
agent acts in each of them. Here a task ends by success or abandonment, and the provider acts once.
"""

import copy
import pickle
from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.error import ResetNeeded
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test, seed_test
from pettingzoo.test.state_test import state_test
from pettingzoo.utils.conversions import aec_to_parallel, parallel_to_aec, turn_based_aec_to_parallel

from stackroute import Game
from stackroute.envs import ABANDON, RE_PROMPT, ParallelRoutingGameEnv, env, parallel_env, raw_env

# The two agents observe different things; what else PettingZoo warns about is an error.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Agents have different observation space sizes"),
    pytest.mark.filterwarnings("ignore:Observations are different shapes"),
]

PROVIDER, USER = "provider_0", "user_0"
ALL = ("game", "commitment", "history")


def passes(made: Any) -> int:
    return int(made.unwrapped.tasks.rows["passes"][0])


def test_aec_api(options: dict[str, Any]) -> None:
    api_test(env(**options), num_cycles=40)


def test_parallel_api(options: dict[str, Any]) -> None:
    parallel_api_test(parallel_env(**options), num_cycles=40)


def test_seeds(options: dict[str, Any]) -> None:
    seed_test(lambda: env(**options), num_cycles=30)
    parallel_seed_test(lambda: parallel_env(**options), num_cycles=30)


def test_state(options: dict[str, Any]) -> None:
    state_test(env(**options), parallel_env(**options), num_cycles=10)


@pytest.mark.parametrize("routing", ["cascade", "pass"])
def test_conversions_of_pettingzoo(routing: Any) -> None:
    api_test(parallel_to_aec(parallel_env(routing=routing)), num_cycles=100)
    parallel_api_test(turn_based_aec_to_parallel(env(routing=routing)), num_cycles=100)
    # This conversion is for environments that ask every agent in every cycle.
    with pytest.raises(AssertionError, match="not generally safe"):
        aec_to_parallel(env(routing=routing))
    assert parallel_env.metadata["is_parallelizable"]


@pytest.mark.usefixtures("screen")
@pytest.mark.parametrize(
    ("make", "options"),
    [
        (env, {}),
        (env, {"routing": "pass"}),
        (lambda **options: parallel_to_aec(parallel_env(**options)), {"game": ["g1", "g4b"], "throttling": False}),
    ],
)
def test_render_modes(make: Any, options: dict[str, Any]) -> None:
    def seeded(render_mode: str) -> Any:
        made = make(render_mode=render_mode, **options)
        for k, agent in enumerate(made.possible_agents):
            made.action_space(agent).seed(k)
        return made

    assert seeded("ansi").metadata["render_modes"] == ["ansi", "human", "rgb_array"]
    render_test(seeded, {"ansi": lambda text: "task" in text})


@pytest.mark.parametrize(("kind", "expected"), [("aec", raw_env), ("parallel", ParallelRoutingGameEnv)])
def test_registry(kind: Any, expected: type) -> None:
    made = pettingzoo.make(kind, "stackroute-v0", game="g1", observe={"user": ALL}, max_cycles=7)
    assert isinstance(made.unwrapped, expected)
    assert float(made.unwrapped.game.value) == 2
    assert str(made) == "stackroute_v0"
    assert (made.observation_space(PROVIDER).shape, made.observation_space(USER).shape) == ((7,), (13,))
    assert made.action_space(PROVIDER).shape == (4,)
    assert made.unwrapped.variant.max_passes == 7
    assert pettingzoo.make(kind, "stackroute-v0").unwrapped.variant.max_passes == 1000


def test_max_cycles_is_another_name_of_max_passes(hopeless: Game) -> None:
    for make in (env, parallel_env):
        for name in ("max_cycles", "max_passes"):
            assert make(hopeless, **{name: 4}).unwrapped.variant.max_passes == 4
        with pytest.raises(TypeError, match="max_cycles and max_passes are two names of one thing"):
            make(hopeless, max_cycles=3, max_passes=3)
        with pytest.raises(ValueError, match="max_passes: 0 is not allowed; expected a whole number of at least 1"):
            make(hopeless, max_cycles=0)


@pytest.mark.parametrize("routing", ["cascade", "lottery", "pass"])
def test_infos_have_the_same_keys_at_reset_and_step(cascade_game: Game, routing: Any) -> None:
    aec, at_once = raw_env(cascade_game, routing=routing), parallel_env(cascade_game, routing=routing)
    aec.reset(seed=5)
    _, infos = at_once.reset(seed=5)
    fresh = {
        PROVIDER: {"pass": 0, "model": -1, "service_cost": 0.0, "churn_penalty": 0.0},
        USER: {"pass": 0, "model": -1, "latency": 0.0, "value": 0.0},
    }
    assert infos == aec.infos == fresh
    action = np.zeros(aec.action_space(PROVIDER).shape)
    aec.step(action)
    assert aec.infos == at_once.step({PROVIDER: action})[4]
    assert aec.infos[PROVIDER] == {"pass": 1, "model": 0, "service_cost": 0.1, "churn_penalty": 0.0}
    assert aec.infos[USER] == {"pass": 1, "model": 0, "latency": pytest.approx(0.65), "value": 0.0}
    aec.step(ABANDON)
    assert aec.infos[PROVIDER] == {"pass": 1, "model": 0, "service_cost": 0.0, "churn_penalty": 5.0}
    assert (aec.rewards, aec.terminations) == ({PROVIDER: -5, USER: 0}, {PROVIDER: True, USER: True})


def test_the_action_of_who_is_not_to_move_is_ignored(options: dict[str, Any]) -> None:
    given, rubbish, missing = (parallel_env(**options, max_passes=5) for _ in range(3))
    given.action_space(PROVIDER).seed(1)
    for seed in range(3):
        for made in (given, rubbish, missing):
            made.reset(seed=seed)
        while given.agents:
            actions = {
                PROVIDER: given.action_space(PROVIDER).sample(),
                USER: RE_PROMPT if passes(given) < 3 else ABANDON,
            }
            counts = [USER] if passes(given) else [PROVIDER]
            counts += [PROVIDER] if passes(given) and options["routing"] == "pass" else []
            needed = {agent: actions[agent] for agent in counts}
            expected = given.step(actions)
            np.testing.assert_equal(rubbish.step({PROVIDER: "rubbish", USER: "rubbish", **needed}), expected)
            np.testing.assert_equal(missing.step(needed), expected)


@pytest.mark.parametrize("make", [env, parallel_env])
def test_copies_and_pickles_go_on_alike(make: Any) -> None:
    def moved(played: Any, agent: str, action: Any) -> Any:
        result = played.step({agent: action} if make is parallel_env else action)
        return result, played.agents, played.state(), None if make is parallel_env else (played.rewards, played.infos)

    original = make(["g1", "g4b"], observe={"user": ALL})
    original.reset(seed=12)
    moved(original, PROVIDER, np.array([0.0, 0.3, 0.0, 0.1]))
    twins = [copy.deepcopy(original), pickle.loads(pickle.dumps(original))]
    ended = 0
    for _ in range(5):
        expected = moved(original, USER, RE_PROMPT)
        for twin in twins:
            np.testing.assert_equal(moved(twin, USER, RE_PROMPT), expected)
        while original.unwrapped.tasks.ends.any():
            ended += 1
            for played in (original, *twins):
                played.reset()
                moved(played, PROVIDER, np.array([0.0, 0.3, 0.0, 0.1]))
    assert ended


def test_agents_that_are_done_step_with_none(hopeless: Game) -> None:
    made = env(hopeless)
    made.reset(seed=1)
    made.step(np.zeros(4))
    made.step(ABANDON)
    with pytest.raises(ValueError, match="the only valid action is None"):
        made.step(RE_PROMPT)
    for left in (1, 0):
        made.step(None)
        assert len(made.agents) == made.num_agents == left
    assert made.state().shape == (13,)
    with pytest.raises(ResetNeeded, match="the task has ended; call reset before step"):
        made.step(RE_PROMPT)


def test_steps_out_of_order_are_errors(hopeless: Game) -> None:
    for made in (env(hopeless), parallel_env(hopeless)):
        for call in (lambda made=made: made.step({PROVIDER: np.zeros(4)}), made.render, made.state):
            with pytest.raises(ResetNeeded, match="call reset"):
                call()
    aec = env(hopeless)
    for call in (aec.last, lambda: aec.observe(USER), aec.agent_iter, lambda: aec.agent_selection):
        with pytest.raises((ResetNeeded, AttributeError), match="call reset"):
            call()
    assert not hasattr(aec, "nonsense")
    at_once = parallel_env(hopeless)
    at_once.reset(seed=1)
    at_once.step({PROVIDER: np.zeros(4)})
    at_once.step({USER: ABANDON})
    assert at_once.agents == []
    with pytest.raises(ResetNeeded, match="there is no task in play; call reset before step"):
        at_once.step({USER: RE_PROMPT})
