"""What is not allowed is an error that names what is, and leaves the environment as it was.

Marked as expected failures, strictly: known shortcomings. Whoever mends one removes its mark.
"""

import copy
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.error import ResetNeeded

from stackroute import Commitment, ConfigError, Game, load_game
from stackroute.agents import FixedPatienceUser, RandomUser
from stackroute.envs import (
    PassBatch,
    PatienceBatch,
    ProviderBatch,
    ProviderEnv,
    ProviderVectorEnv,
    RoutingBatch,
    UserBatch,
    UserEnv,
    UserVectorEnv,
    parallel_env,
    raw_env,
)
from stackroute.envs.sb3 import PassVecEnv, PatienceVecEnv, ProviderVecEnv, UserVecEnv

G1, G4B = load_game("g1"), load_game("g4b")
HOPELESS = Game([1e-12, 2e-12], [0.125, 0.5], [0.25, 0.5], value=2, churn_penalty=4)
NAN = float("nan")
SIZE = 2

# Actions of one environment: never allowed, whatever the space.
ALWAYS: list[Any] = [
    None,
    "re-prompt",
    "",
    object(),
    {},
    [],
    NAN,
    np.inf,
    [NAN],
    np.zeros((3, 2)),
    np.array(["0", "0"]),
]
ALWAYS += [[None, None], np.array([0.1, 0.2], dtype=object), np.array([0.1, 0.2j]), np.datetime64("2020"), 2**70]
NOT_A_BOX: list[Any] = [*ALWAYS, True, 0, 0.5, [True, False], [[0.1, 0.2]], [0.1], [0.1, 0.2, 0.3]]
NOT_A_BOX += [[0.0, 1.5], [-1e-9, 0.0], [0.0, NAN], [0.0, np.inf], np.float32([0, 2])]
NOT_A_NUMBER: list[Any] = [*ALWAYS, True, False, np.True_, 0.5, 0.0, 1.0, np.float64(1), [0], [0, 1], -1, 10**6, "0"]
NOT_AN_ANSWER: list[Any] = [*ALWAYS, 0.5, 0.0, 1.0, np.float64(1), [0], [0, 1], -1, 2, "0", np.array([1])]
NOT_A_SHARE: list[Any] = [*ALWAYS, True, 0, 0.5, [True], [[0.5]], [0.1, 0.2], [1.5], [-1e-9], ["0.5"]]

# Actions of two slots.
TWICE: list[Any] = [*ALWAYS, [None, None], ["a", "b"], [object(), object()], np.zeros((3, 2)), np.zeros((1, 2)), 0, 0.5]
NO_BOXES: list[Any] = [
    *TWICE,
    [[0.0, 0.1], [0.0, 1.5]],
    [[0.0, NAN], [0.0, 0.1]],
    np.zeros((2, 3)),
    np.zeros((2, 2, 2)),
]
NO_BOXES += [np.zeros((2, 2), dtype=bool), np.zeros((2, 2), dtype=object), [["0", "0"], ["0", "0"]], [0.1, 0.2]]
NO_NUMBERS: list[Any] = [*TWICE, [0.0, 1.0], [True, False], [0, -1], [0, 10**6], [0, 0, 0], [[0, 0]], ["0", "1"]]
NO_ANSWERS: list[Any] = [*TWICE, [0, 2], [-1, 0], [0.5, 0], [NAN, 0], [0, 0, 0], [[0, 0]], [[0], [0]], ["0", "1"]]
NO_SHARES: list[Any] = [*TWICE, [[0.1], [1.5]], [[NAN], [0.1]], [0.1, 0.2], [[True], [False]], [["0"], ["0"]]]
NO_SHARES += [np.zeros((2, 2)), np.zeros((2, 1, 1)), np.zeros((3, 1))]


def begun(made: Any) -> Any:
    made.reset(seed=5)
    return made


def asked(made: Any) -> Any:
    """A task whose user is to answer."""
    begun(made).step(np.array([0.0, 0.25]))
    return made


class One:
    """The parallel environment as seen by one agent; the other's action is always good."""

    def __init__(self, env: Any, agent: str) -> None:
        self.env, self.agent = env, agent

    @property
    def task(self) -> Any:
        return self.env.task

    def step(self, action: Any) -> Any:
        return self.env.step({"provider_0": BOX, "user_0": 0, self.agent: action})

    def reset(self) -> Any:
        return self.env.reset()


def plain(told: Any) -> Any:
    """The same as lists, dictionaries and numbers, which compare as a whole."""
    if isinstance(told, dict):
        return {name: plain(value) for name, value in told.items()}
    if isinstance(told, np.ndarray | np.generic):
        told = told.tolist()
    return [plain(one) for one in told] if isinstance(told, list | tuple) else told


def started(made: Any) -> Any:
    made.reset()
    return made


BOX, SHARE, TWO_BOXES, TWO_SHARES = [0.0, 0.25], [0.75], [[0.0, 0.25], [1.0, 0.5]], [[0.25], [0.75]]
FACES: dict[str, tuple[Any, Any, list[Any]]] = {
    "aec provider": (lambda: begun(raw_env(HOPELESS)), BOX, NOT_A_BOX),
    "aec provider grid": (lambda: begun(raw_env(HOPELESS, action="grid")), 3, NOT_A_NUMBER),
    "aec user": (lambda: asked(raw_env(HOPELESS)), 0, NOT_AN_ANSWER),
    "parallel provider": (lambda: One(begun(parallel_env(HOPELESS)), "provider_0"), BOX, NOT_A_BOX),
    "parallel user": (lambda: One(asked_at_once(), "user_0"), 0, NOT_AN_ANSWER),
    "provider": (lambda: begun(ProviderEnv(G4B)), BOX, NOT_A_BOX),
    "provider grid": (lambda: begun(ProviderEnv(G4B, action="grid")), 3, NOT_A_NUMBER),
    "provider pass": (lambda: begun(ProviderEnv(G4B, commitment="pass")), SHARE, NOT_A_SHARE),
    "user": (lambda: begun(UserEnv(HOPELESS)), 0, NOT_AN_ANSWER),
    "user task": (lambda: begun(UserEnv(G4B, decision="task")), SHARE, NOT_A_SHARE),
    "user task grid": (lambda: begun(UserEnv(G4B, decision="task", action="grid")), 3, NOT_A_NUMBER),
    "vector provider": (lambda: begun(ProviderVectorEnv(SIZE, G4B)), TWO_BOXES, NO_BOXES),
    "vector provider grid": (lambda: begun(ProviderVectorEnv(SIZE, G4B, action="grid")), [3, 4], NO_NUMBERS),
    "vector pass": (lambda: begun(ProviderVectorEnv(SIZE, G4B, commitment="pass")), TWO_SHARES, NO_SHARES),
    "vector user": (lambda: begun(UserVectorEnv(SIZE, HOPELESS)), [0, 0], NO_ANSWERS),
    "vector user task": (lambda: begun(UserVectorEnv(SIZE, G4B, decision="task")), TWO_SHARES, NO_SHARES),
    "vector user task grid": (
        lambda: begun(UserVectorEnv(SIZE, G4B, decision="task", action="grid")),
        [3, 4],
        NO_NUMBERS,
    ),
    "batch provider": (lambda: ProviderBatch(G4B, "random", SIZE), TWO_BOXES, NO_BOXES),
    "batch pass": (lambda: PassBatch(G4B, "random", SIZE), TWO_SHARES, NO_SHARES),
    "batch user": (lambda: UserBatch(HOPELESS, "random", SIZE), [0, 0], NO_ANSWERS),
    "batch patience": (
        lambda: PatienceBatch(G4B, "random", SIZE),
        [0.25, 0.75],
        [one for one in TWICE if not np.array_equal(one, [])] + [[0.1, 1.5], [NAN, 0.1], [[0.1], [0.1]], [True, False]],
    ),
    "sb3 user": (lambda: started(UserVecEnv(UserBatch(HOPELESS, "random", SIZE))), [0, 0], NO_ANSWERS),
    "sb3 provider grid": (
        lambda: started(ProviderVecEnv(ProviderBatch(G4B, "random", SIZE, action="grid"))),
        [3, 4],
        NO_NUMBERS,
    ),
    "sb3 pass grid": (lambda: started(PassVecEnv(PassBatch(G4B, "random", SIZE, action="grid"))), [0, 1], NO_NUMBERS),
}


def asked_at_once() -> Any:
    made = begun(parallel_env(HOPELESS))
    made.step({"provider_0": np.array([0.0, 0.25])})
    return made


def play_on(made: Any, action: Any) -> list[Any]:
    """What an environment says to good actions."""
    told: list[Any] = []
    for _ in range(4):
        step = made.step(copy.deepcopy(action))
        if isinstance(made, ProviderVecEnv | PassVecEnv | UserVecEnv | PatienceVecEnv):
            step[3].clear()  # Holds the time.
        told.append(step)
        task = getattr(made, "task", None)
        if step is None:
            told.append([made.rewards, made.infos, made.state()])
            action = 0 if made.agent_selection == "user_0" else action
        if task is not None and task.over:
            told.append(made.reset())
    return told


def assert_rejects(made: Any, bad: Any, good: Any, match: str = "expected") -> None:
    """A bad action is an error of the documented type, after which the environment goes on like a twin's."""
    twin = copy.deepcopy(made)
    with pytest.raises(ValueError, match=match):
        made.step(bad)
    assert plain(play_on(made, good)) == plain(play_on(twin, good))


@pytest.mark.parametrize("face", FACES)
def test_bad_actions_are_errors_that_name_what_is_allowed_and_change_nothing(face: str) -> None:
    make, good, bad_ones = FACES[face]
    for bad in bad_ones:
        assert_rejects(make(), bad, good, match=r"(?s)(not|no) .*expected")


@pytest.mark.parametrize("face", FACES)
def test_good_actions_are_none_of_them(face: str) -> None:
    make, good, _ = FACES[face]
    assert plain(play_on(make(), good)) == plain(play_on(make(), np.asarray(good)))


@pytest.mark.parametrize("agent", ["provider_0", "user_0"])
def test_an_action_that_counts_must_not_be_missing(agent: str) -> None:
    made = begun(parallel_env(HOPELESS)) if agent == "provider_0" else asked_at_once()
    other = "user_0" if agent == "provider_0" else "provider_0"
    for actions in ({}, {other: 0}, {"nobody": 0}):
        with pytest.raises(ValueError, match=f"expected one of {agent}, whose action counts"):
            made.step(actions)
    assert made.task.passes == (agent == "user_0")
    both = begun(parallel_env(HOPELESS, commitment="pass"))
    both.step({"provider_0": [0.0]})
    for bad in (
        {"provider_0": [0.0]},
        {"user_0": 0},
        {"provider_0": [2.0], "user_0": 0},
        {"provider_0": [0.0], "user_0": 3},
    ):
        twin = copy.deepcopy(both)
        with pytest.raises(ValueError, match="expected"):
            both.step(bad)
        good = {"provider_0": [0.0], "user_0": 0}
        np.testing.assert_equal(both.step(good), twin.step(good))


@pytest.mark.parametrize(
    ("actions", "answers", "message"),
    [
        ([[0.0, 0.1], [0.0, 1.5]], [0, 0], "actions of slot 1"),
        ([[NAN, 0.1], [0.0, 0.5]], [0, 0], "actions of slot 0"),
        ([[0.0, 0.1], [0.0, 0.5]], [0, 2], "actions of slot 1"),
        ([[0.0, 0.1], [0.0, 0.5]], [0.0, 1.0], "expected whole numbers"),
        ([[0.0, 0.1], [0.0, 0.5]], [True, False], "expected whole numbers"),
        ([[0.0, 0.1], [0.0, 0.5]], [0], r"expected \(2,\)"),
        ([0.0, 0.1], [0, 0], r"expected \(2, 2\)"),
        ("rubbish", [0, 0], "expected numbers"),
        (None, [0, 0], "expected numbers"),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_bad_actions_of_both_players_are_errors(actions: Any, answers: Any, message: str, before: int) -> None:
    batch = RoutingBatch(HOPELESS, SIZE, seed=3, observe="history")
    for _ in range(before):
        batch.step(TWO_BOXES, [0, 0])
    twin = copy.deepcopy(batch)
    with pytest.raises(ValueError, match=message):
        batch.step(actions, answers)
    for _ in range(3):
        np.testing.assert_equal(batch.step(TWO_BOXES, [0, 0]), twin.step(TWO_BOXES, [0, 0]))
        np.testing.assert_equal(batch.parts, twin.parts)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.array([0.0, 1.5, 0.0, 0.0]), "expected numbers in"),
        (np.array([0.0, np.nan, 0.0, 0.0]), "expected numbers in"),
        (np.array([0.0, 0.5]), "expected \\(4,\\)"),
    ],
)
def test_a_bad_commitment_is_an_error_and_changes_nothing(cascade_game: Game, action: Any, message: str) -> None:
    game = raw_env(game=cascade_game, throttling=True)
    game.reset(seed=5)
    with pytest.raises(ValueError, match=message):
        game.step(action)
    game.step(np.array([0.0, 0.25, 0.0, 0.0]))
    assert game.task.passes == 1

    single = ProviderEnv(cascade_game, throttling=True)
    single.reset(seed=5)
    with pytest.raises(ValueError, match=message):
        single.step(action)


@pytest.mark.parametrize("action", [2, -1, 0.5])
def test_a_bad_answer_is_an_error_and_changes_nothing(cascade_game: Game, action: Any) -> None:
    game = raw_env(game=cascade_game, throttling=True)
    game.reset(seed=5)
    game.step(np.array([0.0, 0.25, 0.0, 0.0]))
    single = UserEnv(cascade_game)
    single.reset(seed=5)
    for played in (game, single):
        with pytest.raises(ValueError, match="expected 0 \\(re-prompt\\) or 1 \\(abandon\\)"):
            played.step(action)
        assert played.task.passes == 1


MAKERS: dict[str, Any] = {
    "aec": raw_env,
    "parallel": parallel_env,
    "provider": ProviderEnv,
    "user": UserEnv,
    "vector provider": ProviderVectorEnv,
    "vector user": UserVectorEnv,
    "provider batch": lambda **options: ProviderBatch(options.pop("game", G4B), "random", SIZE, **options),
    "pass batch": lambda **options: PassBatch(options.pop("game", G4B), "random", SIZE, **options),
    "user batch": lambda **options: UserBatch(options.pop("game", G4B), "random", SIZE, **options),
    "patience batch": lambda **options: PatienceBatch(options.pop("game", G4B), "random", SIZE, **options),
    "routing batch": lambda **options: RoutingBatch(options.pop("game", G4B), SIZE, **options),
    "gymnasium provider": lambda **options: gymnasium.make("stackroute/Provider-v0", **options),
    "gymnasium user": lambda **options: gymnasium.make_vec("stackroute/User-v0", **options),
    "pettingzoo": lambda **options: pettingzoo.make("aec", "stackroute-v0", **options),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_bad_options_name_what_is_allowed(maker: str) -> None:
    make = MAKERS[maker]
    with pytest.raises(TypeError, match="throttle: no such option; did you mean 'throttling'"):
        make(throttle=True)
    for name, bad_ones, allowed in (
        ("throttling", (1, "yes", None, [True]), "True or False"),
        ("observe", ("all", None, ["commitment"], 0), "one of commitment, history"),
        ("commitment", ("never", None, 1), "pass"),
        ("action", ("boxes", None, 3), "one of box, grid"),
        ("reward_unit", ("usd", None, 1), "one of game, relative"),
        ("max_passes", (0, -1, 1.5, "3", None, NAN), "a whole number of at least 1"),
    ):
        for bad in bad_ones:
            with pytest.raises(ValueError, match=rf"{name}: .* is not allowed; expected .*{allowed}"):
                make(**{name: bad})
    for bad, error, allowed in (
        (3, TypeError, "expected a Game"),
        (None, TypeError, "expected a Game"),
        ([G1, 3], TypeError, "expected a Game"),
        ([], ValueError, "expected at least one game"),
        ("g4bb", ConfigError, "did you mean 'g4b'"),
    ):
        with pytest.raises(error, match=allowed):
            make(game=bad)


def test_bad_arguments_name_what_is_allowed(random_games: Game) -> None:
    with pytest.raises(ValueError, match=r"game: a batch of shape \(20, 15\) is not allowed"):
        raw_env(game=random_games.reshape(20, 15))
    with pytest.raises(ValueError, match="an empty list is not allowed"):
        raw_env(game=[])
    with pytest.raises(TypeError, match="expected a Game"):
        raw_env(game=3)
    with pytest.raises(ConfigError, match="did you mean 'g4b'"):
        raw_env(game="g4bb")
    with pytest.raises(ValueError, match="'nobody' is not allowed; expected one of informed, random, rational"):
        ProviderEnv(user="nobody")
    with pytest.raises(ValueError, match="'nobody' is not allowed; expected one of equilibrium, random"):
        UserEnv(provider="nobody")
    with pytest.raises(TypeError, match="with a patience method"):
        ProviderEnv(user=RandomUser)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="with a patience method"):
        ProviderEnv(user=object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="render_mode"):
        raw_env(render_mode="hologram")


@pytest.mark.parametrize("number", [0, -1, 1.5, float("nan"), "3"])
def test_numbers_of_things_are_whole_and_positive(cascade_game: Game, number: Any) -> None:
    for make in (raw_env, UserEnv, ProviderEnv):
        with pytest.raises(ValueError, match=r"max_passes: .* expected a whole number of at least 1"):
            make(cascade_game, max_passes=number)
    with pytest.raises(ValueError, match="tasks_per_commitment"):
        ProviderEnv(cascade_game, tasks_per_commitment=number)
    for name, call in {
        "tasks_per_commitment": lambda: ProviderVectorEnv(2, cascade_game, tasks_per_commitment=number),
        "lookahead": lambda: UserVectorEnv(2, cascade_game, lookahead=number),
        "num_envs": lambda: UserVectorEnv(number, cascade_game),
        "num_envs:": lambda: ProviderVectorEnv(number, cascade_game),
        "size": lambda: RoutingBatch(cascade_game, number),
    }.items():
        with pytest.raises(ValueError, match=rf"{name}.* expected a whole number of at least 1"):
            call()


def test_options_that_exclude_each_other_say_so() -> None:
    for call in (
        lambda: ProviderEnv(G4B, commitment="pass", tasks_per_commitment=2),
        lambda: ProviderVectorEnv(2, G4B, commitment="pass", tasks_per_commitment=2),
    ):
        with pytest.raises(ValueError, match="tasks_per_commitment: 2 is not allowed; expected 1 with 'pass'"):
            call()
    with pytest.raises(ValueError, match="commitment: 'pass' is not allowed; expected 'task'"):
        ProviderBatch(G4B, "random", 2, commitment="pass")
    with pytest.raises(ValueError, match="commitment: 'task' is not allowed; expected 'pass'"):
        PassBatch(G4B, "random", 2, commitment="task")
    for make in (lambda **options: UserEnv(G4B, **options), lambda **options: UserVectorEnv(2, G4B, **options)):
        with pytest.raises(ValueError, match="decision: 'never' is not allowed; expected one of pass, task"):
            make(decision="never")


@pytest.mark.parametrize("mode", ["hologram", 3, ["ansi"], ""])
def test_bad_render_modes_name_what_is_allowed(mode: Any) -> None:
    for make in (raw_env, parallel_env, ProviderEnv, UserEnv):
        with pytest.raises(ValueError, match=r"render_mode: .* expected None or one of ansi, human, rgb_array"):
            make(G4B, render_mode=mode)
    for make in (ProviderVectorEnv, UserVectorEnv):
        with pytest.raises(ValueError, match=r"render_mode: .* expected None: only single environments render"):
            make(2, G4B, render_mode=mode)


@pytest.mark.parametrize("seed", [-5, 1.7, "3", NAN, [1, 2], {}])
def test_bad_seeds_are_errors(cascade_game: Game, seed: Any) -> None:
    makers: tuple[Any, ...] = (raw_env, parallel_env, UserEnv, ProviderEnv)
    for made in (make(cascade_game, max_passes=5) for make in makers):
        made.reset(seed=4)
        twin = copy.deepcopy(made)
        with pytest.raises(gymnasium.error.Error, match="Seed must be"):
            made.reset(seed=seed)
        np.testing.assert_equal(made.reset(), twin.reset())
        np.testing.assert_equal(made.task.state(), twin.task.state())
        assert (made.task.seed, made.task.number) == (twin.task.seed, twin.task.number)


@pytest.mark.parametrize(
    ("seed", "error"),
    [
        (-5, gymnasium.error.Error),
        ([1, -2], gymnasium.error.Error),
        ([1, 1.5], gymnasium.error.Error),
        ([1, "a"], gymnasium.error.Error),
        ([1], ValueError),
        ([1, 2, 3], ValueError),
        ([], ValueError),
    ],
)
def test_bad_seeds_of_vectors_are_errors(seed: Any, error: type[Exception]) -> None:
    for vector in (ProviderVectorEnv(2, G4B), UserVectorEnv(2, G4B)):
        vector.reset(seed=4)
        twin = copy.deepcopy(vector)
        with pytest.raises(error, match=r"Seed must be|expected \(2,\)"):
            vector.reset(seed=seed)
        np.testing.assert_equal(vector.reset(), twin.reset())
    with pytest.raises(ValueError, match="'reset_mask' is not allowed"):
        vector.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ValueError, match=r"seed: shape \(3,\) is not allowed; expected \(2,\)"):
        vector.batch.reset([1, 2, 3])


def test_steps_out_of_order_are_errors() -> None:
    for vector in (ProviderVectorEnv(2, G4B), UserVectorEnv(2, G4B)):
        with pytest.raises(ResetNeeded, match="call reset before step"):
            vector.step(vector.action_space.sample())
    provider = ProviderEnv(G4B)
    for _ in range(2):
        with pytest.raises(ResetNeeded, match="call reset before step"):
            provider.step(BOX)
        provider.reset(seed=1)
        provider.step(BOX)
        with pytest.raises(ResetNeeded, match="call reset before step"):
            provider.step(BOX)
    for made in (ProviderEnv(G4B), UserEnv(G4B), raw_env(G4B), parallel_env(G4B)):
        with pytest.raises(ResetNeeded, match="call reset"):
            made.render()


def test_a_task_that_ended_cannot_be_answered(cascade_game: Game) -> None:
    single = UserEnv(cascade_game)
    with pytest.raises(gymnasium.error.ResetNeeded):
        single.step(0)
    single.reset(seed=0)
    single.step(1)
    with pytest.raises(gymnasium.error.ResetNeeded):
        single.step(0)


class Says:
    """A user whose answer can be set."""

    answer: Any = 0.5

    def patience(self, game: Game, commitment: Commitment | None, draws: np.ndarray) -> Any:
        return self.answer


class SaysByModel:
    """The same for a user that tells the models apart."""

    answer: Any = 0.5

    def patience_by_model(self, game: Game, commitment: Commitment | None, draws: np.ndarray) -> Any:
        return self.answer


class Commits:
    """A provider whose commitment can be set."""

    answer: Any = Commitment(1, 0.0, [0.0, 0.0])

    def commit(self, game: Game, draws: np.ndarray) -> Any:
        return self.answer


IMPOSSIBLE = [7.0, -0.1, NAN, None, "a", True, object(), [0.1, None]]
USERS = pytest.mark.parametrize("user", [Says, SaysByModel])


@USERS
def test_impossible_patiences_of_policies_are_errors(user: Any) -> None:
    for answer in IMPOSSIBLE:
        policy = user()
        policy.answer = answer
        for options, action in (({}, BOX), ({"commitment": "pass"}, SHARE)):
            with pytest.raises(ValueError, match=r"patience: .* is not allowed; expected"):
                begun(ProviderEnv(G4B, policy, **options)).step(action)
            with pytest.raises(ValueError, match=r"patience: .* is not allowed; expected"):
                begun(ProviderVectorEnv(SIZE, G4B, policy, **options)).step([action, action])
    for answer in (np.zeros(3), np.zeros((4, 3, 2))):
        policy = user()
        policy.answer = answer
        with pytest.raises(ValueError, match=r"shape|dimensions"):
            begun(ProviderEnv(G4B, policy)).step(BOX)
        with pytest.raises(ValueError, match=r"shape|dimensions"):
            begun(ProviderVectorEnv(SIZE, G4B, policy)).step(TWO_BOXES)


@USERS
def test_a_batch_of_commitments_survives_an_impossible_patience(user: Any) -> None:
    vector = begun(ProviderVectorEnv(SIZE, G4B, user()))
    twin = copy.deepcopy(vector)
    vector.batch.user.answer = 7.0
    with pytest.raises(ValueError, match=r"patience: 7\.0 is not allowed"):
        vector.step(TWO_BOXES)
    vector.batch.user.answer = 0.5
    assert plain(play_on(vector, TWO_BOXES)) == plain(play_on(twin, TWO_BOXES))


@pytest.mark.parametrize(("options", "action"), [({}, BOX), ({"commitment": "pass"}, SHARE)])
@USERS
def test_a_task_survives_an_impossible_patience(user: Any, options: Any, action: Any) -> None:
    single = begun(ProviderEnv(HOPELESS, user(), **options))
    twin = copy.deepcopy(single)
    single.user.answer = 7.0
    with pytest.raises(ValueError, match=r"patience: 7\.0 is not allowed"):
        # Without commitment the user is asked when a task begins, with it when the provider has committed.
        single.reset(seed=3) if options else single.step(action)
    single.user.answer = 0.5
    for env in (single, twin):
        if options:
            env.reset(seed=3)
    np.testing.assert_equal(single.step(action), twin.step(action))


def test_a_batch_of_users_survives_a_provider_that_fails() -> None:
    vector = begun(UserVectorEnv(SIZE, HOPELESS, Commits(), lookahead=2))
    twin = copy.deepcopy(vector)
    for batch in (vector.batch, twin.batch):
        batch.step([1, 1])
    vector.batch.provider.answer = Commitment([1, 2, 1], 0.0, [0.0, 0.0])
    twin.batch.provider.answer = vector_answer = Commitment(2, 0.0, [0.0, 0.0])
    with pytest.raises(ValueError, match="shape"):
        vector.batch.step([1, 1])
    vector.batch.provider.answer = vector_answer
    vector.batch.step([1, 1])
    twin.batch.step([1, 1])
    np.testing.assert_equal(vector.batch.observation, twin.batch.observation)


@pytest.mark.parametrize("answer", [None, "a", (1, 0.5, [0.0, 0.0]), 1])
def test_impossible_commitments_of_policies_are_errors(answer: Any) -> None:
    policy = Commits()
    policy.answer = answer
    with pytest.raises((ValueError, TypeError), match="expected a Commitment"):
        begun(UserEnv(G4B, policy))


def test_policies_are_objects_or_names() -> None:
    for bad in (None, 3, object(), Says, Commits, [Says()]):
        for make in (ProviderEnv, lambda game, user: ProviderVectorEnv(2, game, user)):
            with pytest.raises(TypeError, match=r"user: .* expected a name or an object with a patience method"):
                make(G4B, bad)
        for make in (UserEnv, lambda game, provider: UserVectorEnv(2, game, provider)):
            with pytest.raises(TypeError, match=r"provider: .* expected a name or an object with a commit method"):
                make(G4B, bad)
    with pytest.raises(ValueError, match=r"patience: 1\.5 is not allowed"):
        FixedPatienceUser(1.5)


def test_a_user_that_needs_a_commitment_says_so_where_it_sees_none() -> None:
    with pytest.raises(ValueError, match="an informed user answers a commitment that it sees"):
        begun(ProviderEnv(G4B, "informed", commitment="pass")).step(SHARE)
    with pytest.raises(ValueError, match="an informed user answers a commitment that it sees"):
        begun(ProviderVectorEnv(2, G4B, "informed", commitment="pass"))


@pytest.mark.parametrize("make", [ProviderVectorEnv, UserVectorEnv])
def test_a_vector_s_seed_that_is_no_whole_number_is_the_error_of_a_single_one(make: Any) -> None:
    with pytest.raises(gymnasium.error.Error):
        make(2, G4B).reset(seed=1.7)


@pytest.mark.parametrize("seed", [-5, 1.7, "3", [1.5, 2]])
def test_bad_seeds_of_batches_are_errors(seed: Any) -> None:
    with pytest.raises(gymnasium.error.Error, match=r"[Ss]eed"):
        ProviderBatch(G4B, "random", 2).reset(seed)


@pytest.mark.parametrize("make", [ProviderVectorEnv, UserVectorEnv])
def test_a_list_of_seeds_names_one_for_every_slot(make: Any) -> None:
    vector = begun(make(2, [G1, G4B]))
    before = vector.batch._seeds.copy()
    with pytest.raises(ValueError, match=r"seed: \[1, None\] is not allowed; expected a seed for every slot"):
        vector.reset(seed=[1, None])
    assert vector.batch._seeds.tolist() == before.tolist()


def test_the_seeds_of_slots_begin_again_at_0() -> None:
    vector = ProviderVectorEnv(2, [G1, G4B])
    vector.reset(seed=2**63 - 1)
    assert vector.batch._seeds.tolist() == [2**63 - 1, 0]


@pytest.mark.parametrize("answers", [[0.0, 1.0], [True, False]])
@pytest.mark.parametrize("face", ["vector user", "batch user", "sb3 user"])
def test_answers_of_another_type_are_errors_in_batches(face: str, answers: Any) -> None:
    make, good, _ = FACES[face]
    assert_rejects(make(), answers, good)


@pytest.mark.parametrize("face", ["aec user", "user"])
@pytest.mark.parametrize("answer", [True, False, np.array(0.0), np.array(True)])
def test_answers_of_another_type_are_errors(face: str, answer: Any) -> None:
    make, good, _ = FACES[face]
    assert_rejects(make(), answer, good)


@pytest.mark.parametrize("levels", [[0, -1], [0, 10], [0.0, 1.0], [True, False], "ab"])
def test_bad_levels_of_patience_are_errors(levels: Any) -> None:
    assert_rejects(started(PatienceVecEnv(PatienceBatch(G4B, "random", SIZE, action="grid"))), levels, np.array([3, 4]))


def boxes_of_sb3() -> list[tuple[Any, Any]]:
    return [
        (started(ProviderVecEnv(ProviderBatch(G4B, "random", SIZE))), np.zeros((SIZE, 2))),
        (started(PassVecEnv(PassBatch(G4B, "random", SIZE))), np.zeros((SIZE, 1))),
        (started(PatienceVecEnv(PatienceBatch(G4B, "random", SIZE))), np.zeros((SIZE, 1))),
    ]


@pytest.mark.parametrize("kind", range(3), ids=["provider", "pass", "patience"])
def test_bad_numbers_of_learners_are_errors(kind: int) -> None:
    for bad in (np.nan, [np.nan]):
        env, good = boxes_of_sb3()[kind]
        assert_rejects(env, good + bad, good, match="expected")
    if kind < 2:
        for bad in (np.zeros(SIZE), np.zeros((SIZE + 1, good.shape[1])), np.zeros((SIZE, good.shape[1] + 1)), None):
            env, good = boxes_of_sb3()[kind]
            assert_rejects(env, bad, good, match="expected")


@pytest.mark.parametrize("bad", [np.zeros((SIZE, 2)), np.zeros(SIZE), np.zeros((SIZE, 0)), None])
def test_patiences_of_another_shape_are_errors(bad: Any) -> None:
    env, good = boxes_of_sb3()[2]
    assert_rejects(env, bad, good)


@pytest.mark.parametrize("kind", range(3), ids=["provider", "pass", "patience"])
@pytest.mark.parametrize("bad", ["0", True, object()], ids=["words", "truths", "objects"])
def test_actions_of_learners_of_another_type_are_errors(kind: int, bad: Any) -> None:
    env, good = boxes_of_sb3()[kind]
    assert_rejects(env, np.full(good.shape, bad), good)


@pytest.mark.parametrize("actions", [None, 3, {1: 0, "nobody": 0}])
def test_actions_at_once_that_are_no_dictionary_are_errors(actions: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        asked_at_once().step(actions)


def test_too_many_passes_are_an_error() -> None:
    with pytest.raises(ValueError, match="max_passes"):
        ProviderVectorEnv(2, G4B, max_passes=2**70)
