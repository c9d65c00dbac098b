"""What is not allowed is an error that names what is, and leaves the environment as it was."""

import copy
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.error import ResetNeeded

from stackroute import Commitment, Game, load_game
from stackroute.envs import (
    ProviderEnv,
    ProviderVectorEnv,
    RoutingBatch,
    UserEnv,
    UserVectorEnv,
    parallel_env,
    raw_env,
)
from stackroute.envs.sb3 import VecEnv

G1, G4B = load_game("g1"), load_game("g4b")
HOPELESS = Game([1e-12, 2e-12], [0.125, 0.5], [0.25, 0.5], value=2, churn_penalty=4)
NAN = float("nan")
SIZE = 2

# Actions of one environment: never allowed, whatever the space.
ALWAYS: list[Any] = [
    *(None, "re-prompt", "", object(), {}, [], NAN, np.inf, [NAN], np.zeros((3, 2)), np.array(["0", "0"])),
    *([None, None], np.array([0.1, 0.2], dtype=object), np.array([0.1, 0.2j]), np.datetime64("2020"), 2**70),
    *([[0.1], [0.1, 0.2]], [0.1, [0.2]], np.ma.array([0.0, 0.25], mask=[False, True]), np.ma.array(0, mask=True)),
]
NOT_A_BOX: list[Any] = [*ALWAYS, True, 0, 0.5, [True, False], [[0.1, 0.2]], [0.1], [0.1, 0.2, 0.3]]
NOT_A_BOX += [[0.0, 1.5], [-1e-9, 0.0], [0.0, NAN], [0.0, np.inf], np.float32([0, 2])]
NOT_A_NUMBER: list[Any] = [*ALWAYS, True, False, np.True_, 0.5, 0.0, 1.0, np.float64(1), [0], [0, 1], -1, 10**6, "0"]
NOT_AN_ANSWER: list[Any] = [*NOT_A_NUMBER[:-2], 2, "0", np.array([1]), np.array(0.0), np.array(True)]
NOT_A_SHARE: list[Any] = [*ALWAYS, True, 0, 0.5, [True], [[0.5]], [0.1, 0.2], [1.5], [-1e-9], ["0.5"]]

# Actions of two slots.
TWICE: list[Any] = [*ALWAYS, ["a", "b"], [object(), object()], np.zeros((3, 2)), np.zeros((1, 2)), 0, 0.5]
NO_BOXES: list[Any] = [*TWICE, [[0.0, 0.1], [0.0, 1.5]], [[0.0, NAN], [0.0, 0.1]], np.zeros((2, 3))]
NO_BOXES += [np.zeros((2, 2, 2)), np.zeros((2, 2), dtype=bool), [["0", "0"], ["0", "0"]], [0.1, 0.2]]
NO_NUMBERS: list[Any] = [*TWICE, [0.0, 1.0], [True, False], [0, -1], [0, 10**6], [0], [0, 0, 0], [[0, 0]], ["0", "1"]]
NO_ANSWERS: list[Any] = [*NO_NUMBERS, [0, 2], [0.5, 0], [NAN, 0], [[0], [0]]]
NO_SHARES: list[Any] = [*TWICE, [[0.1], [1.5]], [[NAN], [0.1]], [0.1, 0.2], [[True], [False]], [["0"], ["0"]]]
NO_SHARES += [np.zeros((2, 2)), np.zeros((2, 1, 1)), np.zeros((3, 1))]
# A learner's numbers are clipped.
NO_CLIPPED: list[Any] = [*TWICE, [[NAN], [0.1]], [0.1, 0.2], [[True], [False]], np.zeros((2, 2)), np.zeros((3, 1))]


def begun(made: Any) -> Any:
    made.reset(seed=5)
    return made


def asked(made: Any) -> Any:
    """A task whose user is to answer."""
    begun(made).step(np.array([0.0, 0.25]))
    return made


def asked_at_once() -> Any:
    made = begun(parallel_env(HOPELESS, throttling=False))
    made.step({"provider_0": np.array([0.0, 0.25])})
    return made


class One:
    """The parallel environment as one agent has it; the other's action is always good."""

    def __init__(self, env: Any, agent: str) -> None:
        self.env, self.agent, self.tasks = env, agent, env.tasks

    def step(self, action: Any) -> Any:
        return self.env.step({"provider_0": BOX, "user_0": 0, self.agent: action})

    def reset(self) -> Any:
        return self.env.reset()


class Half:
    """A batch of both players as one of them has it; the other's actions are always good."""

    def __init__(self, player: str, before: int) -> None:
        self.batch, self.player, self.num_envs = RoutingBatch(HOPELESS, SIZE, seed=3, **STILL), player, SIZE
        for _ in range(before):
            self.batch.step(TWO_BOXES, [0, 0])

    def step(self, actions: Any) -> Any:
        return self.batch.step(*((actions, [0, 0]) if self.player == "provider" else (TWO_BOXES, actions)))


class Learner:
    """The `VecEnv`, without the time in its infos."""

    def __init__(self, made: Any) -> None:
        self.env = VecEnv(made, seed=5)
        self.env.reset()

    def step(self, actions: Any) -> Any:
        return self.env.step(actions)[:3]


def plain(returned: Any) -> Any:
    """The same as lists, dictionaries and numbers, which compare as a whole."""
    if isinstance(returned, dict):
        return {name: plain(value) for name, value in returned.items()}
    if isinstance(returned, np.ndarray | np.generic):
        returned = returned.tolist()
    return [plain(one) for one in returned] if isinstance(returned, list | tuple) else returned


BOX, SHARE, TWO_BOXES, TWO_SHARES = [0.0, 0.25], [0.75], [[0.0, 0.25], [1.0, 0.5]], [[0.25], [0.75]]
STILL: dict[str, Any] = {"throttling": False}
GRID: dict[str, Any] = {**STILL, "action": "grid"}
PASS: dict[str, Any] = {**STILL, "routing": "pass"}
TASK: dict[str, Any] = {"decision": "task"}
MAKES: dict[str, tuple[Any, Any, list[Any]]] = {
    "aec provider": (lambda: begun(raw_env(HOPELESS, **STILL)), BOX, NOT_A_BOX),
    "aec provider grid": (lambda: begun(raw_env(HOPELESS, **GRID)), 3, NOT_A_NUMBER),
    "aec user": (lambda: asked(raw_env(HOPELESS, **STILL)), 0, NOT_AN_ANSWER),
    "parallel provider": (lambda: One(begun(parallel_env(HOPELESS, **STILL)), "provider_0"), BOX, NOT_A_BOX),
    "parallel user": (lambda: One(asked_at_once(), "user_0"), 0, NOT_AN_ANSWER),
    "provider": (lambda: begun(ProviderEnv(G4B, **STILL)), BOX, NOT_A_BOX),
    "provider grid": (lambda: begun(ProviderEnv(G4B, **GRID)), 3, NOT_A_NUMBER),
    "provider pass": (lambda: begun(ProviderEnv(G4B, **PASS)), SHARE, NOT_A_SHARE),
    "user": (lambda: begun(UserEnv(HOPELESS)), 0, NOT_AN_ANSWER),
    "user task": (lambda: begun(UserEnv(G4B, **TASK)), SHARE, NOT_A_SHARE),
    "user task grid": (lambda: begun(UserEnv(G4B, action="grid", **TASK)), 3, NOT_A_NUMBER),
    "vector provider": (lambda: begun(ProviderVectorEnv(SIZE, G4B, **STILL)), TWO_BOXES, NO_BOXES),
    "vector provider grid": (lambda: begun(ProviderVectorEnv(SIZE, G4B, **GRID)), [3, 4], NO_NUMBERS),
    "vector pass": (lambda: begun(ProviderVectorEnv(SIZE, G4B, **PASS)), TWO_SHARES, NO_SHARES),
    "vector user": (lambda: begun(UserVectorEnv(SIZE, HOPELESS)), [0, 0], NO_ANSWERS),
    "vector user task": (lambda: begun(UserVectorEnv(SIZE, G4B, **TASK)), TWO_SHARES, NO_SHARES),
    "vector user task grid": (lambda: begun(UserVectorEnv(SIZE, G4B, action="grid", **TASK)), [3, 4], NO_NUMBERS),
    **{
        f"batch {player} {before}": (partial(Half, player, before), good, bad)
        for player, good, bad in (("provider", TWO_BOXES, NO_BOXES), ("user", [0, 0], NO_ANSWERS))
        for before in (0, 1)
    },
    "sb3 provider grid": (lambda: Learner(ProviderVectorEnv(SIZE, G4B, **GRID)), [3, 4], NO_NUMBERS),
    "sb3 pass": (lambda: Learner(ProviderVectorEnv(SIZE, G4B, **PASS)), TWO_SHARES, NO_CLIPPED),
    "sb3 user": (lambda: Learner(UserVectorEnv(SIZE, HOPELESS)), [0, 0], NO_ANSWERS),
}


def play_on(made: Any, action: Any) -> list[Any]:
    """What an environment returns for good actions."""
    returned: list[Any] = []
    for _ in range(4):
        returned.append(made.step(copy.deepcopy(action)))
        if returned[-1] is None:
            returned.append([made.rewards, made.infos, made.state()])
            action = 0 if made.agent_selection == "user_0" else action
        if not isinstance(made, Learner) and not hasattr(made, "num_envs") and made.tasks.rows["end"].any():
            returned.append(made.reset())
    return returned


@pytest.mark.parametrize("kind", MAKES)
def test_bad_actions_are_errors_that_name_what_is_allowed_and_change_nothing(kind: str) -> None:
    make, good, bad_ones = MAKES[kind]
    expected = plain(play_on(make(), good))
    assert plain(play_on(make(), np.asarray(good))) == expected
    made = make()
    for bad in bad_ones:
        with pytest.raises(ValueError, match=r"(?s)^action.*(not|no) .*expected"):
            made.step(bad)
    assert plain(play_on(made, good)) == expected


@pytest.mark.parametrize("agent", ["provider_0", "user_0"])
def test_an_action_that_counts_must_not_be_missing(agent: str) -> None:
    made = begun(parallel_env(HOPELESS)) if agent == "provider_0" else asked_at_once()
    other = "user_0" if agent == "provider_0" else "provider_0"
    for actions in ({}, {other: 0}, {"nobody": 0}, None, 3, {1: 0}):
        with pytest.raises(ValueError, match=f"expected one of {agent}, whose action counts"):
            made.step(actions)
    assert made.tasks.rows["passes"] == [agent == "user_0"]


@pytest.mark.parametrize(
    "bad",
    [{"provider_0": [0.0]}, {"user_0": 0}, {"provider_0": [2.0], "user_0": 0}, {"provider_0": [0.0], "user_0": 3}],
)
def test_without_commitment_both_actions_have_to_be_good(bad: Any) -> None:
    both = begun(parallel_env(HOPELESS, **PASS))
    both.step({"provider_0": [0.0]})
    twin = copy.deepcopy(both)
    with pytest.raises(ValueError, match="expected"):
        both.step(bad)
    good = {"provider_0": [0.0], "user_0": 0}
    np.testing.assert_equal(both.step(good), twin.step(good))


SINGLES = [raw_env, parallel_env, ProviderEnv, UserEnv]
VECTORS = [partial(ProviderVectorEnv, 2), partial(UserVectorEnv, 2)]
PROVIDERS, USERS = [ProviderEnv, VECTORS[0]], [UserEnv, VECTORS[1]]
EVERY = [
    *(*SINGLES, ProviderVectorEnv, UserVectorEnv),
    lambda **options: RoutingBatch(options.pop("game", G4B), SIZE, **options),
    partial(gymnasium.make, "stackroute/Provider-v0"),
    partial(gymnasium.make_vec, "stackroute/User-v0"),
    partial(pettingzoo.make, "aec", "stackroute-v0"),
]
THREE = Game([0.3, 0.5, 0.8], [0.1, 0.3, 0.8], [0.2, 0.4, 0.7], value=2, churn_penalty=3)
BLOCKS, COUNT = "lists of game, commitment, history, context, group by player", "a whole number of at least 1"
NO_COUNTS = [0, -1, 1.5, NAN, "3", True, None]
NO_MODES = ["hologram", 3, ["ansi"], ""]
BAD_OPTIONS: list[tuple[list[Any], str, list[Any], str, dict[str, Any]]] = [
    (EVERY, "throttling", [1, "yes", None, [True]], "expected .*True or False", {}),
    (EVERY, "observe", ["history", None, ["game"], 0, {"me": ["game"]}], f"expected .*{BLOCKS}", {}),
    (EVERY, "observe", [{"user": bad} for bad in ("game", [], ["all"], None, [["game"]])], f"expected .*{BLOCKS}", {}),
    (EVERY, "routing", ["never", None, 1], "expected .*one of cascade, lottery, pass", {}),
    (EVERY, "action", ["boxes", None, 3], "expected .*one of box, grid", {}),
    (EVERY, "reward_unit", ["usd", None, 1], "expected .*one of game, relative", {}),
    (EVERY, "max_passes", [*NO_COUNTS, 2**70], f"expected {COUNT} and at most 2147483647", {}),
    (EVERY, "game", [3, None, [G1, 3]], "expected a Game", {}),
    (EVERY, "game", [[]], "expected at least one game", {}),
    (EVERY, "game", [[G1, THREE]], r"games of \[2, 3\] models are not allowed together", {}),
    (EVERY, "game", ["g4bb"], "did you mean 'g4b'", {}),
    (PROVIDERS, "tasks_per_commitment", NO_COUNTS, f"expected {COUNT}", {}),
    (VECTORS[1:], "tasks_per_commitment", NO_COUNTS, f"expected {COUNT}", {"decision": "task"}),
    (VECTORS[1:], "lookahead", NO_COUNTS, f"expected {COUNT}", {}),
    ([ProviderVectorEnv, UserVectorEnv], "num_envs", NO_COUNTS, f"expected {COUNT}", {}),
    ([partial(RoutingBatch, G4B)], "size", NO_COUNTS, f"expected {COUNT}", {}),
    (PROVIDERS, "tasks_per_commitment", [2], "2 is not allowed; expected 1 with 'pass'", {"routing": "pass"}),
    (USERS, "tasks_per_commitment", [2], "2 is not allowed; expected 1 with decision='pass'", {}),
    (USERS, "decision", ["never"], "'never' is not allowed; expected one of pass, task", {}),
    (USERS, "routing", ["pass"], "'pass' is not allowed; expected 'cascade' or 'lottery'", {}),
    (SINGLES, "render_mode", NO_MODES, "expected None or one of ansi, human, rgb_array", {}),
    (VECTORS, "render_mode", NO_MODES, "expected None: only single environments render", {}),
]


@pytest.mark.parametrize(("makes", "name", "bad_ones", "message", "options"), BAD_OPTIONS)
def test_bad_options_name_what_is_allowed(
    makes: list[Any], name: str, bad_ones: list[Any], message: str, options: dict[str, Any]
) -> None:
    named = "" if name == "game" else f"{name}: .*"
    for make in makes:
        for bad in bad_ones:
            with pytest.raises((TypeError, ValueError), match=named + message):
                make(**options, **{name: bad})


def test_options_that_do_not_exist_name_those_that_do() -> None:
    for make in EVERY:
        for name, meant in (("throttle", "throttling"), ("rewards_unit", "reward_unit"), ("observes", "observe")):
            with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'; did you mean '{meant}'"):
                make(**{name: True})
        with pytest.raises(
            TypeError, match="unexpected keyword argument 'zzz'; the options are routing, throttling, observe"
        ):
            make(zzz="pass")


SEED_ERROR = gymnasium.error.Error
NO_SEEDS: list[tuple[list[Any], list[Any], type[Exception]]] = [
    ([partial(make, G4B, max_passes=5) for make in SINGLES], [-5, 1.7, "3", NAN, [1, 2], {}, True], SEED_ERROR),
    (VECTORS, [-5, 1.7, "3", [1, -2], [1, 1.5], [1, "a"]], SEED_ERROR),
    (VECTORS, [[1, None], [1], [1, 2, 3], []], ValueError),
]


@pytest.mark.parametrize(("makes", "seeds", "error"), NO_SEEDS)
def test_bad_seeds_are_errors(makes: list[Any], seeds: list[Any], error: type[Exception]) -> None:
    batch = RoutingBatch(G4B, 2)
    for seed in seeds:
        for made in (begun(make()) for make in makes):
            twin = copy.deepcopy(made)
            with pytest.raises(error, match=r"[Ss]eed"):
                made.reset(seed=seed)
            np.testing.assert_equal(made.tasks.rows, twin.tasks.rows)
            np.testing.assert_equal(made.reset(), twin.reset())
        if makes is VECTORS:
            with pytest.raises(error, match=r"[Ss]eed"):
                batch.reset(seed)
            assert batch.tasks.rows["seed"].tolist() == [0, 1]


def test_a_mask_of_resets_is_an_error() -> None:
    for make in VECTORS:
        with pytest.raises(ValueError, match="'reset_mask' is not allowed"):
            begun(make()).reset(options={"reset_mask": np.array([True, False])})


def test_steps_out_of_order_are_errors() -> None:
    for vector in (ProviderVectorEnv(2), UserVectorEnv(2)):
        with pytest.raises(ResetNeeded, match="call reset before step"):
            vector.step(vector.action_space.sample())
    for single, action in ((ProviderEnv(throttling=False), BOX), (UserEnv(), 1), (UserEnv(decision="task"), SHARE)):
        for _ in range(2):
            with pytest.raises(ResetNeeded, match="call reset before step"):
                single.step(action)
            single.reset(seed=1)
            single.step(action)
    for made in (ProviderEnv(), UserEnv(), raw_env(), parallel_env()):
        with pytest.raises(ResetNeeded, match="call reset"):
            made.render()


class Says:
    """A user or provider whose answer can be set."""

    answer: Any = 0.5

    def patience(self, *_: Any) -> Any:
        return self.answer

    commit = patience


class SaysByModel:
    """The same for a user that tells the models apart."""

    answer: Any = 0.5
    patience_by_model = Says.patience


@pytest.mark.parametrize("user", [Says, SaysByModel])
@pytest.mark.parametrize("make", [ProviderEnv, partial(ProviderVectorEnv, 1)])
def test_an_episode_survives_an_impossible_patience(make: Any, user: Any) -> None:
    made = begun(make([HOPELESS, G4B], user(), **STILL))
    twin = copy.deepcopy(made)
    made.user.answer = 7.0
    action = np.reshape(BOX, made.action_space.shape)
    with pytest.raises(ValueError, match=r"patience: 7\.0 is not allowed"):
        made.step(action)
    made.user.answer = 0.5
    for _ in range(3):
        assert plain(made.step(action)) == plain(twin.step(action))
        assert plain(made.reset()) == plain(twin.reset())


def test_users_survive_a_provider_that_fails() -> None:
    provider = Says()
    provider.answer = Commitment.static(0)
    vector = begun(UserVectorEnv(SIZE, HOPELESS, provider, lookahead=1))
    twin = copy.deepcopy(vector)
    provider.answer = Commitment.static([0, 1, 0])
    with pytest.raises(ValueError, match=r"provider: commitments of shape \(3,\) are not allowed"):
        vector.step([1, 1])
    provider.answer = Commitment.static(0)
    assert plain(vector.reset(seed=3)) == plain(twin.reset(seed=3))
    assert plain(vector.step([0, 1])) == plain(twin.step([0, 1]))


@pytest.mark.parametrize("options", [{"routing": "pass"}, {"observe": {"user": ["game"]}}], ids=str)
def test_a_user_that_needs_a_commitment_says_so_where_it_sees_none(options: Any) -> None:
    for made in (ProviderEnv(G4B, "informed", **options), ProviderVectorEnv(2, G4B, "informed", **options)):
        with pytest.raises(ValueError, match="this user answers a commitment that it sees"):
            begun(made).step(made.action_space.sample())
