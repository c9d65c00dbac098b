"""The PettingZoo environments against PettingZoo's own tests, and what these do not look at.

`max_cycles_test` is not used: it asserts that an episode of random play lasts exactly `max_cycles` steps and that every
agent acts in each of them. Here a task ends by success or abandonment, and the provider acts once.
"""

import copy
import itertools
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.error import ResetNeeded
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test, seed_test
from pettingzoo.test.state_test import state_test
from pettingzoo.utils.conversions import aec_to_parallel, parallel_to_aec, turn_based_aec_to_parallel

from stackroute import Commitment, Game
from stackroute.envs import ABANDON, RE_PROMPT, ParallelRoutingGameEnv, env, observe, parallel_env, raw_env

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
@pytest.mark.parametrize("make", [env, lambda **options: parallel_to_aec(parallel_env(**options))])
@pytest.mark.parametrize("options", [{}, {"routing": "pass"}, {"game": ["g1", "g4b"], "throttling": False}], ids=str)
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


@pytest.mark.parametrize("observed", [{}, {"provider": ALL, "user": ALL}])
@pytest.mark.parametrize("make", [env, parallel_env])
def test_the_agents_spaces_are_their_own_and_stay(make: Any, observed: Any) -> None:
    made = make(observe=observed)
    for space in (made.observation_space, made.action_space):
        assert space(PROVIDER) is space(PROVIDER)
        assert space(PROVIDER) is not space(USER)


@pytest.mark.parametrize("most", [1, 4])
def test_max_cycles_is_another_name_of_max_passes(hopeless: Game, most: int) -> None:
    for make in (env, parallel_env):
        for name in ("max_cycles", "max_passes"):
            made = make(hopeless, throttling=False, **{name: most})
            # The commitment plays the first pass; the re-prompt after the last one truncates.
            plan = [(np.zeros(2), RE_PROMPT)] * (most + 1)
            totals = (returns_of_parallel if make is parallel_env else returns_of_aec)(made, 0, plan)
            assert totals == {PROVIDER: -0.125 * most, USER: -0.25 * most}
            assert (passes(made), made.unwrapped.tasks.ends[:, 0].tolist()) == (most, [False, True])
        with pytest.raises(TypeError, match="max_cycles and max_passes are two names of one thing"):
            make(hopeless, max_cycles=3, max_passes=3)
        with pytest.raises(ValueError, match="max_passes: 0 is not allowed; expected a whole number of at least 1"):
            make(hopeless, max_cycles=0)


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
    by_pass = made.unwrapped.variant.routing == "pass"
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
            step += step < 0 or not by_pass
            made.step(plan[step][0])
    assert made.agents == []
    return totals


def test_both_apis_give_the_same_returns(options: dict[str, Any]) -> None:
    aec, at_once = env(**options, max_passes=6), parallel_env(**options, max_passes=6)
    lengths = set()
    for seed in range(12):
        plan = list(itertools.islice(choices(options, seed), 8))
        expected = returns_of_parallel(at_once, seed, plan)
        assert returns_of_aec(aec, seed, plan) == pytest.approx(expected, rel=1e-12)
        assert expected[PROVIDER] < 0
        lengths.add(passes(at_once))
    assert len(lengths) > 1


def test_the_reward_of_a_re_prompt_comes_with_the_step_of_the_re_prompt(hopeless: Game) -> None:
    made = parallel_env(hopeless)
    made.reset(seed=1)
    step = made.step({PROVIDER: np.array([0.0, 0.0, 0.5, 0.0]), USER: RE_PROMPT})
    assert step[1] == {PROVIDER: -0.125, USER: -1.25}
    assert step[4][USER] == {"pass": 1, "model": 0, "latency": 1.25, "value": 0.0}
    for number in (2, 3):
        step = made.step({USER: RE_PROMPT})
        assert step[1] == {PROVIDER: -0.125, USER: -1.25}
        assert step[4][PROVIDER] == {"pass": number, "model": 0, "service_cost": 0.125, "churn_penalty": 0.0}
    step = made.step({USER: ABANDON})
    assert step[1] == {PROVIDER: -4.0, USER: 0.0}
    assert (step[2], step[3]) == ({PROVIDER: True, USER: True}, {PROVIDER: False, USER: False})

    # Without commitment the answer and the next choice are made at once, and the step has the rewards of both.
    made = parallel_env(hopeless, routing="pass")
    made.reset(seed=1)
    made.step({PROVIDER: np.array([0.0, 0.0])})
    step = made.step({PROVIDER: np.array([1.0, 0.5]), USER: RE_PROMPT})
    assert step[1] == {PROVIDER: -0.5, USER: -1.5}
    assert step[4][USER] == {"pass": 2, "model": 1, "latency": 1.5, "value": 0.0}


def test_in_turn_the_reward_of_a_re_prompt_without_commitment_comes_with_the_provider_s_move(hopeless: Game) -> None:
    made = raw_env(hopeless, routing="pass")
    made.reset(seed=1)
    made.step(np.array([0.0, 0.0]))
    made.step(RE_PROMPT)
    assert made.agent_selection == PROVIDER
    assert made.rewards == {PROVIDER: 0.0, USER: 0.0}
    made.step(np.array([1.0, 0.0]))
    assert made.rewards == {PROVIDER: -0.5, USER: -0.5}
    assert made.last()[1] == -0.5


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
    by_pass = options["routing"] == "pass"
    for seed in range(3):
        plays: list[list[Any]] = []
        for ignored in ("given", "rubbish", "missing"):
            made = parallel_env(**options, max_passes=5)
            steps: list[Any] = [made.reset(seed=seed)]
            for action, answer in itertools.islice(choices(options, seed), 7):
                first = passes(made) == 0
                actions = {PROVIDER: action, USER: answer}
                for agent, counts in ((PROVIDER, first or by_pass), (USER, not first)):
                    if not counts and ignored == "missing":
                        del actions[agent]
                    elif not counts and ignored == "rubbish":
                        actions[agent] = "rubbish"
                steps.append(made.step(actions))
                if not made.agents:
                    break
            plays.append(steps)
        np.testing.assert_equal(plays[1], plays[0])
        np.testing.assert_equal(plays[2], plays[0])


@pytest.mark.parametrize("make", [env, parallel_env])
def test_copies_and_pickles_go_on_alike(make: Any) -> None:
    at_once = make is parallel_env
    original = make(["g1", "g4b"], observe={"user": ALL})
    original.reset(seed=12)
    commitment = np.array([0.0, 0.3, 0.0, 0.1])
    original.step({PROVIDER: commitment} if at_once else commitment)
    twins = [copy.deepcopy(original), pickle.loads(pickle.dumps(original))]
    for _ in range(5):
        played_on = []
        for played in (original, *twins):
            while played.unwrapped.tasks.ends.any():
                played.reset()
                played.step({PROVIDER: commitment} if at_once else commitment)
            result = played.step({USER: RE_PROMPT} if at_once else RE_PROMPT)
            infos = None if at_once else played.infos
            played_on.append((result, infos, played.state(), played.unwrapped.tasks.rows["number"].copy()))
        np.testing.assert_equal(played_on[1], played_on[0])
        np.testing.assert_equal(played_on[2], played_on[0])


@pytest.mark.parametrize("make", [raw_env, parallel_env])
def test_agents_observe_their_blocks_and_the_state_hides_nothing(cascade_game: Game, make: Any) -> None:
    commitment = Commitment.cascade(1, 0.4, [0.0, 0.55])
    everything = observe(cascade_game, commitment, blocks=ALL)
    for routing in ("cascade", "pass"):
        for observed in ({}, {"user": ["history"], "provider": ["history", "game"]}):
            made = make(cascade_game, routing=routing, observe=observed, max_passes=9)
            made.reset(seed=6)
            np.testing.assert_array_equal(made.state()[:7], everything[:7])
            assert (made.state()[7:] == 0).all()
            action = np.array([0.9, 0.5] if routing == "pass" else [0.9, 0.4, 0.0, 0.5])
            made.step(action if make is raw_env else {PROVIDER: action})
            # A choice of the next pass is not seen, but which model served is.
            expected = everything.copy()
            expected[7:11] *= routing == "cascade"
            np.testing.assert_allclose(made.state(), expected, rtol=1e-6)
            assert made.state_space.contains(made.state())
            if make is raw_env:
                provider, user = made.observe(PROVIDER), made.observe(USER)
                np.testing.assert_array_equal(provider, made.state()[np.r_[:7, 11:13] if observed else slice(7)])
                np.testing.assert_array_equal(user, made.state()[slice(11, 13) if observed else slice(11)])


def ended(game: Game) -> Any:
    made = env(game)
    made.reset(seed=1)
    made.step(np.zeros(4))
    made.step(ABANDON)
    return made


def test_agents_that_are_done_step_with_none(hopeless: Game) -> None:
    made = ended(hopeless)
    with pytest.raises(ValueError, match="the only valid action is None"):
        made.step(RE_PROMPT)
    for left in (1, 0):
        made.step(None)
        assert len(made.agents) == made.num_agents == left
    assert made.state().shape == (13,)


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
    made = ended(hopeless)
    made.step(None)
    made.step(None)
    with pytest.raises(ResetNeeded, match="the task has ended; call reset before step"):
        made.step(RE_PROMPT)

    at_once = parallel_env(hopeless)
    at_once.reset(seed=1)
    at_once.step({PROVIDER: np.zeros(4)})
    at_once.step({USER: ABANDON})
    assert at_once.agents == []
    with pytest.raises(ResetNeeded, match="there is no task in play; call reset before step"):
        at_once.step({USER: RE_PROMPT})
